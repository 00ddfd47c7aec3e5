//! The numbers of a JSON text as they are written: as numbers of a machine, long ones would lose digits.

/// The numbers, in their order, of a text that is JSON.
pub struct Numbers<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Numbers<'a> {
    pub fn of(text: &'a str) -> Self {
        Numbers { text, at: 0 }
    }

    /// Goes past a string whose first quote has been passed.
    fn skip_string(&mut self) {
        let mut rest = self.text.as_bytes().get(self.at..).unwrap_or_default().iter();
        while let Some(byte) = rest.next() {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += usize::from(rest.next().is_some()),
                _ => {}
            }
        }
    }
}

impl<'a> Iterator for Numbers<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let begin = self.at + rest.iter().position(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9'))?;
            self.at = begin + 1;
            if self.text.as_bytes().get(begin) == Some(&b'"') {
                self.skip_string();
                continue;
            }
            let rest = self.text.get(begin..)?;
            let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
            let number = rest.get(..rest.find(|c| !is_part(c)).unwrap_or(rest.len()))?;
            self.at = begin + number.len();
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_strings() {
        let text = r#"{"a1": [-1.50, 2e+3, "3\"4", "5\\"], "ä6\\\"7": 123456789012345678901234567890, "8": 0}"#;
        let found: Vec<&str> = Numbers::of(text).collect();
        assert_eq!(found, ["-1.50", "2e+3", "123456789012345678901234567890", "0"]);
        assert_eq!(Numbers::of("\"1").next(), None);
        assert_eq!(Numbers::of("\"1\\").next(), None);
    }
}
