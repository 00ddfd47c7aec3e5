//! Numbers as lists write them: in letters and in Roman numerals. What cannot be written so stands in digits.

/// Letters that one number is written with at most.
const LONGEST: usize = 10;

const ROMAN: &[(u64, &str)] = &[
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
];

/// I, II, III, IV.
pub fn roman(number: u64) -> String {
    if !(1..4000).contains(&number) {
        return number.to_string();
    }
    let (mut left, mut written) = (number, String::new());
    for (value, sign) in ROMAN {
        while left >= *value {
            written.push_str(sign);
            left -= value;
        }
    }
    written
}

/// The value of a Roman numeral in small letters, up to those of a book's preface.
pub fn of_roman(text: &str) -> Option<i64> {
    let value = |char| match char {
        'i' => Some(1),
        'v' => Some(5),
        'x' => Some(10),
        'l' => Some(50),
        'c' => Some(100),
        _ => None,
    };
    let digits: Option<Vec<i64>> = text.chars().map(value).collect();
    let digits = digits.filter(|digits| (1..=8).contains(&digits.len()))?;
    let before = |at: usize| digits.get(at + 1).is_some_and(|next| *next > digits.get(at).copied().unwrap_or(0));
    Some(digits.iter().enumerate().map(|(at, digit)| if before(at) { -digit } else { *digit }).sum())
}

/// a to z, then aa, ab: as pages count.
pub fn letters(number: u64) -> String {
    if number == 0 {
        return number.to_string();
    }
    let (mut left, mut written) = (number, Vec::new());
    while left > 0 {
        written.push(letter(left));
        left = (left - 1) / 26;
    }
    written.into_iter().rev().collect()
}

/// a to z, then aa, bb: as word processors count.
pub fn repeated_letter(number: u64) -> String {
    match number.checked_sub(1).and_then(|before| usize::try_from(before / 26).ok()) {
        Some(rounds) if rounds < LONGEST => std::iter::repeat_n(letter(number), rounds + 1).collect(),
        _ => number.to_string(),
    }
}

/// The letter of a number from 1.
fn letter(number: u64) -> char {
    char::from(b'a' + u8::try_from((number - 1) % 26).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_letters_and_roman_numerals() {
        assert_eq!([0, 1, 4, 1994, 3999, 4000].map(roman), ["0", "I", "IV", "MCMXCIV", "MMMCMXCIX", "4000"]);
        assert_eq!([0, 1, 26, 27, 28, 703].map(letters), ["0", "a", "z", "aa", "ab", "aaa"]);
        assert_eq!([0, 1, 26, 27, 28, 261].map(repeated_letter), ["0", "a", "z", "aa", "bb", "261"]);
        assert_eq!(letters(u64::MAX).len(), 14);
    }
}
