//! What the format of a spreadsheet's cell says beside its number: a unit, a currency, a percentage, decimals.
//!
//! Format codes as ECMA-376, part 1, 18.8.31 has them. Digits are not grouped and none is rounded away: a number is found
//! by how it is written.

/// Bytes of a unit at most.
const LONGEST: usize = 32;

/// What stands around a number, and how many decimals it has at least.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberFormat {
    before: String,
    after: String,
    decimals: usize,
    is_percentage: bool,
}

impl NumberFormat {
    /// What a format code says of numbers that are not negative. Of one that scales numbers, nothing.
    pub fn new(code: &str) -> Self {
        let mut format = NumberFormat::default();
        let mut letters = code.chars().peekable();
        let (mut has_digits, mut is_fraction) = (false, false);
        while let Some(letter) = letters.next() {
            let literal = match letter {
                ';' => break,
                '"' => letters.by_ref().take_while(|letter| *letter != '"').collect(),
                '\\' | '!' => letters.next().into_iter().collect(),
                // A currency with its language, or a colour or condition.
                '[' => {
                    let inner: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                    let currency = inner.strip_prefix('$').unwrap_or_default();
                    currency.split('-').next().unwrap_or_default().to_owned()
                }
                // As wide as the next letter, or filled with it.
                '_' | '*' => {
                    letters.next();
                    continue;
                }
                '0' | '#' | '?' => {
                    has_digits = true;
                    format.decimals += usize::from(is_fraction && letter == '0');
                    continue;
                }
                '.' => {
                    is_fraction = true;
                    continue;
                }
                ',' if matches!(letters.peek(), Some('0' | '#' | '?')) => continue,
                // Thousands are left out; an exponent or a fraction is written in another way.
                ',' | 'E' | 'e' | '/' if has_digits => return NumberFormat::default(),
                '%' => {
                    format.is_percentage = true;
                    "%".to_owned()
                }
                letter if letter.is_ascii_alphanumeric() || letter == '@' => return NumberFormat::default(),
                letter => letter.to_string(),
            };
            match has_digits {
                true => format.after.push_str(&literal),
                false => format.before.push_str(&literal),
            }
        }
        format.before = format.before.trim_start().to_owned();
        format.after.truncate(format.after.trim_end().len());
        match has_digits && format.before.len() <= LONGEST && format.after.len() <= LONGEST {
            true => format,
            false => NumberFormat::default(),
        }
    }

    /// A number as a cell of this format shows it; `digits` writes one.
    pub fn shown(&self, number: f64, digits: impl Fn(f64) -> String) -> String {
        let number = if self.is_percentage { number * 100.0 } else { number };
        let mut text = digits(number.abs());
        if !text.contains('e') && number.is_finite() {
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            if decimals == 0 && self.decimals > 0 {
                text.push('.');
            }
            text.extend(std::iter::repeat_n('0', self.decimals.min(LONGEST).saturating_sub(decimals)));
        }
        let sign = if number < 0.0 { "-" } else { "" };
        format!("{sign}{}{text}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_and_decimals_come_along() {
        let shown = |code: &str, number: f64| NumberFormat::new(code).shown(number, |number| number.to_string());
        let cases = [
            ("General", 1234.5, "1234.5"),
            ("0", 7.0, "7"),
            ("#,##0.00", 1234.5, "1234.50"),
            ("0.0", 1.25, "1.25"),
            (r##"#,##0.00\ "€""##, 1234.5, "1234.50 €"),
            (r##""$"#,##0.00_);[Red]\("$"#,##0.00\)"##, -3.5, "-$3.50"),
            (r##"_-[$£-809]* #,##0_-;\-[$£-809]* #,##0_-"##, 12.0, "£12"),
            ("[$€-2] #,##0", 5.0, "€ 5"),
            ("0.00%", 0.125, "12.50%"),
            ("0%", 0.07, "7.000000000000001%"),
            (r##"0.0" kg""##, 70.0, "70.0 kg"),
            (r##"0.0,, "M""##, 1_500_000.0, "1500000"),
            ("0.00E+00", 1234.5, "1234.5"),
            ("# ?/?", 0.5, "0.5"),
            ("@", 3.0, "3"),
            ("0.00", f64::NAN, "NaN"),
        ];
        for (code, number, expected) in cases {
            assert_eq!(shown(code, number), expected, "{code}");
        }
    }

    proptest! {
        #[test]
        fn any_code_leaves_the_number_readable(code in ".{0,40}", number in -1e9f64..1e9) {
            let shown = NumberFormat::new(&code).shown(number, |number| format!("<{number}>"));
            prop_assert!(shown.contains('<') && shown.len() < 200);
        }
    }
}
