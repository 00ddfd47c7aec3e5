//! Dates as documents state them, in the one form that metadata are compared in.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

/// A stated date as RFC 3339 says it: `2026-03-01`, or a moment in UTC. A time without a zone tells its date alone.
pub fn stated(text: &str) -> Option<String> {
    let text = text.trim();
    let moment = text.parse::<Timestamp>().map(|moment| moment.to_string());
    let date = || text.parse::<DateTime>().map(|time| time.date().to_string());
    moment.or_else(|_| date()).or_else(|_| text.parse::<Date>().map(|date| date.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_said_one_way() {
        let cases = [
            ("2026-03-01", Some("2026-03-01")),
            (" 2026-03-01T10:00:00+01:00 ", Some("2026-03-01T09:00:00Z")),
            ("2026-03-01T10:00:00Z", Some("2026-03-01T10:00:00Z")),
            ("2026-03-01 10:00:00", Some("2026-03-01")),
            ("last spring", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(stated(text).as_deref(), expected, "{text}");
        }
    }
}
