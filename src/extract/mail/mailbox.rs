//! A mailbox in one file, message by message (RFC 4155).

use std::borrow::Cow;

use crate::extract::sniff;

/// The messages of a mailbox, each with a name of its own: `00001.eml`. Lines that were quoted because they begin as
/// a message does are as they were.
pub fn messages(mailbox: &[u8]) -> impl Iterator<Item = (String, Cow<'_, [u8]>)> {
    let mut rest = mailbox;
    let mut number = 0u32;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let message = next(&mut rest);
            if !message.trim_ascii().is_empty() {
                number = number.saturating_add(1);
                return Some((format!("{number:05}.eml"), unquoted(message)));
            }
        }
    })
}

/// Takes the first message off, without the line that begins it.
fn next<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let whole = *rest;
    let first = line(whole);
    let from = if is_beginning(first) { first.len() } else { 0 };
    let mut at = from;
    let mut after_blank = false;
    while let Some(tail) = whole.get(at..).filter(|tail| !tail.is_empty()) {
        let line = line(tail);
        if after_blank && is_beginning(line) {
            break;
        }
        after_blank = line.trim_ascii().is_empty();
        at += line.len();
    }
    *rest = whole.get(at..).unwrap_or_default();
    whole.get(from..at).unwrap_or_default()
}

/// The first line, with its end.
fn line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// Whether a line begins a message: `From sender date`.
fn is_beginning(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"From ");
    rest.and_then(|rest| std::str::from_utf8(rest).ok()).is_some_and(sniff::is_envelope)
}

/// A message whose `>From ` lines have lost a `>`.
fn unquoted(message: &[u8]) -> Cow<'_, [u8]> {
    let is_quoted = |line: &[u8]| {
        let marks = line.iter().take_while(|byte| **byte == b'>').count();
        marks > 0 && line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "))
    };
    if !message.split_inclusive(|byte| *byte == b'\n').any(is_quoted) {
        return Cow::Borrowed(message);
    }
    let lines = message.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| if is_quoted(line) { line.get(1..).unwrap_or(line) } else { line });
    Cow::Owned(lines.flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_told_apart_and_unquoted() {
        let mailbox = b"From a@x Sat Jan  3 01:05:34 1996\nSubject: One\n\nFrom here on\n>From there\n>>From far\n\n\
            From b@x Sat Jan  3 01:05:35 1996\r\nSubject: Two\r\n\r\nText\r\n";
        let found: Vec<(String, String)> =
            messages(mailbox).map(|(name, bytes)| (name, String::from_utf8_lossy(&bytes).into_owned())).collect();
        let expected = [
            ("00001.eml", "Subject: One\n\nFrom here on\nFrom there\n>From far\n\n"),
            ("00002.eml", "Subject: Two\r\n\r\nText\r\n"),
        ];
        assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(messages(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'>'), any::<u8>()], 0..300)) {
            prop_assert!(messages(&bytes).map(|(_, message)| message.len()).sum::<usize>() <= bytes.len());
        }
    }
}
