//! Which format a text is in, by how it begins.

use serde::de::IgnoredAny;

use super::Format;

/// Lines at the beginning of a text that are looked at.
const LINES: usize = 100;

/// The format of a text that begins as only one format does, whatever its name is.
pub fn unmistakable(text: &str) -> Option<Format> {
    if is_mailbox(text) {
        return Some(Format::Mailbox);
    }
    if mail_headers(text) == Headers::Certain {
        return Some(Format::Mail);
    }
    let declared = text.trim_start().starts_with("<?xml");
    let element = first_element(text)?;
    let is = |name: &str| {
        let Some((begins, rest)) = element.split_at_checked(name.len()) else { return false };
        begins.eq_ignore_ascii_case(name) && rest.starts_with(|c: char| c.is_whitespace() || c == '>')
    };
    match () {
        () if is("<!doctype html") || is("<html") => Some(Format::Html),
        () if declared => Some(Format::Xml),
        () => None,
    }
}

/// Whether a text that is said to be in a format begins as it must.
pub fn can_be(text: &str, format: Format) -> bool {
    let first = text.lines().next().unwrap_or_default();
    match format {
        Format::Mail => header_name(first).is_some(),
        Format::Mailbox => first.starts_with("From "),
        Format::Xml => text.trim_start().starts_with('<'),
        _ => true,
    }
}

/// The format of a text that nothing else tells.
pub fn likely(text: &str, bytes: &[u8]) -> Option<Format> {
    if mail_headers(text) == Headers::Likely {
        return Some(Format::Mail);
    }
    let start = text.trim_start();
    if start.starts_with('<') && infer::get(start.as_bytes()).is_some_and(|kind| kind.mime_type() == "text/html") {
        return Some(Format::Html);
    }
    let mut marks = start.chars().filter(|c| !c.is_whitespace());
    match (marks.next(), marks.next()) {
        (Some('{'), Some('"')) | (Some('['), Some('{' | '"')) => {}
        _ => return None,
    }
    if serde_json::from_slice::<IgnoredAny>(bytes.trim_ascii()).is_ok() {
        return Some(Format::Json);
    }
    let mut lines = start.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES).peekable();
    // The last of a beginning may be cut.
    let mut read = 0;
    while let Some(line) = lines.next() {
        match serde_json::from_str::<IgnoredAny>(line) {
            Ok(_) => read += 1,
            Err(_) if lines.peek().is_none() => {}
            Err(_) => return None,
        }
    }
    (read >= 2).then_some(Format::JsonLines)
}

/// The text from its first element on: behind a declaration, comments and instructions.
fn first_element(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    loop {
        rest = match rest {
            _ if rest.starts_with("<!--") => rest.split_once("-->")?.1.trim_start(),
            _ if rest.starts_with("<?") => rest.split_once("?>")?.1.trim_start(),
            _ => return rest.starts_with('<').then_some(rest),
        };
    }
}

/// Whether a text begins as a mailbox does: `From sender date`, and a header on the next line.
fn is_mailbox(text: &str) -> bool {
    let mut lines = text.lines();
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return false };
    first.strip_prefix("From ").is_some_and(is_envelope) && header_name(second).is_some()
}

/// Whether what stands behind `From ` tells who sent a message, and when.
pub fn is_envelope(rest: &str) -> bool {
    let has_year = rest.split_whitespace().any(|word| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()));
    let has_time = rest.split_whitespace().any(|word| {
        let mut parts = word.split(':');
        parts.clone().count() >= 2
            && parts.all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
    });
    has_year && has_time
}

#[derive(PartialEq)]
enum Headers {
    None,
    Likely,
    Certain,
}

/// How surely a text begins with the headers of a message.
fn mail_headers(text: &str) -> Headers {
    let (mut known, mut telling) = (0, 0);
    for (number, line) in text.lines().take(LINES).enumerate() {
        if line.is_empty() || (number > 0 && line.starts_with([' ', '\t'])) {
            if line.is_empty() {
                break;
            }
            continue;
        }
        let Some(name) = header_name(line) else { return Headers::None };
        match name.to_ascii_lowercase().as_str() {
            "message-id" | "received" | "mime-version" | "return-path" | "delivered-to" | "dkim-signature"
            | "arc-seal" => telling += 1,
            "from" | "to" | "subject" | "date" | "cc" | "reply-to" | "content-type" | "sender" => known += 1,
            _ => {}
        }
    }
    match (known, telling) {
        (2.., 1..) => Headers::Certain,
        (2.., 0) => Headers::Likely,
        _ => Headers::None,
    }
}

fn header_name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_tell() {
        let mail = "MIME-Version: 1.0\nReceived: from a\n by b\nSubject: Hi\nFrom: a@example.com\n\nText";
        let cases = [
            ("From a@example.com Sat Jan  3 01:05:34 1996\nReceived: x\n\nHi", Some(Format::Mailbox)),
            ("From here on it rains.\nNote: so it does", None),
            (mail, Some(Format::Mail)),
            ("Subject: Hi\nTo: you\n\nText", None),
            ("Note: this\nis prose", None),
            ("<?xml version='1.0'?><!-- c --><feed/>", Some(Format::Xml)),
            ("<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC \"x\">", Some(Format::Html)),
            (" <!-- c -->\n<HTML lang=en>", Some(Format::Html)),
            ("<htmlx>", None),
            ("<div>badge</div>\n# Readme", None),
            ("<", None),
            ("", None),
        ];
        for (text, format) in cases {
            assert_eq!(unmistakable(text), format, "{text}");
        }
    }

    #[test]
    fn what_has_no_name_is_guessed() {
        let guess = |text: &str| likely(text, text.as_bytes());
        assert_eq!(guess("Subject: Hi\nTo: you\n\nText"), Some(Format::Mail));
        assert_eq!(guess("{\"a\": [1, 2]}"), Some(Format::Json));
        assert_eq!(guess("{\"a\": 1}\n{\"a\": 2}\n{\"a\""), Some(Format::JsonLines));
        assert_eq!(guess("<p>x</p>"), Some(Format::Html));
        for text in ["[ ] buy milk", "{\"a\": oops\nno", "[1] says so", "{curly} words"] {
            assert_eq!(guess(text), None, "{text}");
        }
    }
}
