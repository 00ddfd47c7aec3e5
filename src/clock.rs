//! Times as this crate writes them: RFC 3339, UTC, microseconds, so that text order is time order.

use jiff::Timestamp;

/// The day that it is, in UTC.
pub fn today() -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date()
}

/// The time now, as text.
pub fn now() -> String {
    text(Timestamp::now())
}

/// `time` as text.
pub fn text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A time that [`text`] wrote, in seconds since 1970; 0 for what is none.
pub fn seconds(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}
