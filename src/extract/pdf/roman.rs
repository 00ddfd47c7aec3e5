//! Roman numerals.

/// The value of a numeral in small letters, up to those of a book's preface.
pub fn value(text: &str) -> Option<i64> {
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
