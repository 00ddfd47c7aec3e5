//! Messages and mailboxes: their headers, what they say, and what is attached to them.

mod attachments;
mod body;
mod mailbox;

use std::borrow::Cow;

use mail_parser::{Address, DateTime, Message, MessageParser, MessagePart};

use super::composer::{Composer, folded};
use super::fault::{Fault, Kind, Warning};
use super::{Extracted, Format, encoding};
pub use mailbox::messages;

/// Level of the heading that is a message's subject.
const SUBJECT: usize = 1;
/// Parts that hold parts. Each costs a search for its end, and a message within a message costs stack.
const NESTED: usize = 1000;
/// Bytes that are looked through for the ends of parts, all searches together.
const SEARCHED: usize = 2 << 30;
/// Characters of a sender or recipient.
const PERSON: usize = 300;
/// Messages of one mailbox that are read.
const MESSAGES: usize = 20_000;
/// Parts that are told one by one when they cannot be read.
const TOLD: usize = 500;
/// Recipients that are named.
const RECIPIENTS: usize = 100;

/// How what is attached is read.
#[derive(Debug, Clone, Copy)]
struct Reach {
    /// Documents that the message lies within.
    depth: usize,
    /// Whether pictures of text are wanted.
    wants_scans: bool,
}

/// A message with its attachments. `depth` counts the documents that it lies within; the pictures of text that are
/// attached come along where they are wanted.
///
/// # Errors
/// [`Kind::Damaged`] for what is no message; [`Kind::TooComplex`] for more parts or text than a document is given.
pub fn extract(bytes: &[u8], depth: usize, wants_scans: bool) -> Result<Extracted, Fault> {
    let mut composer = Composer::default();
    let message = parse(bytes)?;
    facts(&message, &mut composer);
    write(&message, "", Reach { depth, wants_scans }, &mut composer)?;
    Ok(composer.finish(Format::Mail.media_type()))
}

/// A mailbox, with a heading for each message. A message that cannot be read is left out, with a warning.
///
/// # Errors
/// [`Kind::TooComplex`] for more text than a document is given.
pub fn extract_mailbox(bytes: &[u8], depth: usize, wants_scans: bool) -> Result<Extracted, Fault> {
    let mut composer = Composer::default();
    let reach = Reach { depth, wants_scans };
    let mut count = 0usize;
    for (name, message) in messages(bytes) {
        count += 1;
        if count > MESSAGES {
            let message = format!("messages beyond the first {MESSAGES} were left out");
            composer.warnings.push(Warning::new(Kind::TooComplex, None, message));
            break;
        }
        let written = parse(&message).and_then(|message| write(&message, "Message", reach, &mut composer));
        match written {
            Ok(()) => {}
            Err(fault) if composer.check().is_err() => return Err(fault),
            Err(fault) => leave_out(&name, &fault, &mut composer),
        }
    }
    Ok(composer.finish(Format::Mailbox.media_type()))
}

fn parse(bytes: &[u8]) -> Result<Message<'_>, Fault> {
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let is = |from: usize, word: &str| {
        bytes.get(from..from + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    let nests = |at: &usize| {
        let is_multipart = at.checked_sub("multipart".len()).is_some_and(|from| is(from, "multipart"));
        is_multipart || is(at + 1, "rfc822") || is(at + 1, "global")
    };
    let nested = slashes.filter(nests).count();
    if nested > NESTED || nested.saturating_mul(bytes.len()) > SEARCHED {
        return Err(Fault::too_complex(format!("{nested} of its parts hold parts")));
    }
    MessageParser::default().parse(bytes).ok_or_else(|| Fault::damaged("it has no headers of a message"))
}

/// What a message says of itself, as metadata.
fn facts(message: &Message<'_>, composer: &mut Composer) {
    composer.title = message.subject().map(str::to_owned);
    let mut put = |key: &str, value: serde_json::Value| composer.metadata.insert(key.to_owned(), value);
    if let Some(sender) = people(message.from()).into_iter().next() {
        put("author", sender.into());
    }
    for (key, recipients) in [("to", people(message.to())), ("cc", people(message.cc()))] {
        if !recipients.is_empty() {
            put(key, recipients.into());
        }
    }
    if let Some(created) = message.date().and_then(timestamp) {
        put("created", created.into());
    }
    if let Some(id) = message.message_id() {
        put("message_id", id.into());
    }
}

/// Writes a message: its headers, its text, then its attachments. `untitled` is the heading of one without a subject.
fn write(message: &Message<'_>, untitled: &str, reach: Reach, composer: &mut Composer) -> Result<(), Fault> {
    composer.heading(SUBJECT, message.subject().filter(|subject| !subject.trim().is_empty()).unwrap_or(untitled));
    let mut headers = String::new();
    for (name, people) in [("From", people(message.from())), ("To", people(message.to())), ("Cc", people(message.cc()))]
    {
        if !people.is_empty() {
            headers.push_str(&format!("{name}: {}\n", people.join(", ")));
        }
    }
    if let Some(date) = message.date().filter(|date| date.is_valid()) {
        headers.push_str(&format!("Date: {}\n", date.to_rfc822()));
    }
    composer.paragraph(&headers);
    body::write(message, composer)?;
    attachments::write(message, reach, composer)
}

/// What a part of text says. Where its encoding is not stated, or not rightly, it is told from the bytes.
fn said<'a>(message: &'a Message<'_>, part: &'a MessagePart<'_>) -> Cow<'a, str> {
    let text = part.text_contents().unwrap_or_default();
    let raw = || {
        let range = usize::try_from(part.offset_body).ok()?..usize::try_from(part.offset_end).ok()?;
        encoding::decode(message.raw_message().get(range)?, None).ok()
    };
    if text.contains('\u{FFFD}') && part.encoding == mail_parser::Encoding::None {
        return raw().map_or(Cow::Borrowed(text), |decoded| decoded.text.into());
    }
    Cow::Borrowed(text)
}

fn paragraphs(text: &str, composer: &mut Composer) {
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            composer.paragraph(&paragraph);
            paragraph.clear();
        } else {
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
}

/// Tells that a part was left out, and why.
fn leave_out(name: &str, fault: &Fault, composer: &mut Composer) {
    match composer.warnings.len() {
        ..TOLD => {
            let message = format!("{name} was left out: {}", fault.message);
            composer.warnings.push(Warning::new(fault.kind, None, message));
        }
        TOLD => composer.warnings.push(Warning::new(fault.kind, None, "further parts were left out")),
        _ => {}
    }
}

/// The people of an address header, as `Name <address>`.
fn people(addresses: Option<&Address<'_>>) -> Vec<String> {
    let Some(addresses) = addresses else { return Vec::new() };
    let said = addresses.iter().filter_map(|person| match (person.name(), person.address()) {
        (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
        (name, address) => address.or(name).map(str::to_owned),
    });
    let said = said.map(|person| folded(&person).chars().take(PERSON).collect::<String>());
    said.filter(|person| !person.is_empty()).take(RECIPIENTS).collect()
}

/// A date in RFC 3339 and UTC.
fn timestamp(date: &DateTime) -> Option<String> {
    date.is_valid()
        .then(|| jiff::Timestamp::from_second(date.to_timestamp()).ok())
        .flatten()
        .map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const REPORT: &str = "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nTo: a@example.com, \"B\" <b@example.com>\r\n\
        Subject: Pump\r\nDate: Fri, 23 Dec 2022 12:08:48 -0600\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
        --y\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        # Gr=FC=DFe\r\n\r\nIt stands still.\r\n\
        --y\r\nContent-Type: text/html\r\n\r\n<p>It stands <b>still</b>.</p>\r\n--y--\r\n\
        --x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=hours.csv\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nUHVtcCxIb3VycwpBLDkK\r\n\
        --x\r\nContent-Type: application/x-msdownload\r\nContent-Disposition: attachment; filename=a.exe\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nTVqQAAMAAAAEAAAA//8AALgAAAA=\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inner\r\nFrom: c@example.com\r\n\r\nForwarded words.\r\n--x--\r\n";

    fn read(bytes: &[u8]) -> Extracted {
        extract(bytes, 0, false).unwrap()
    }

    #[test]
    fn a_message_tells_its_headers_text_and_attachments() {
        let found = read(REPORT.as_bytes());
        let expected = "# Pump\n\nFrom: Jürgen <j@example.com>\nTo: a@example.com, B <b@example.com>\n\
            Date: Fri, 23 Dec 2022 12:08:48 -0600\n\n\\# Grüße\n\nIt stands still.\n\n## Attachment: hours.csv\n\n\
            | Pump | Hours |\n| --- | --- |\n| A | 9 |\n\n## Attachment: Inner\n\n### Inner\n\nFrom: c@example.com\n\nForwarded words.";
        assert_eq!(found.content, expected);
        assert_eq!(found.title.as_deref(), Some("Pump"));
        let facts = json!({"author": "Jürgen <j@example.com>", "to": ["a@example.com", "B <b@example.com>"],
            "created": "2022-12-23T18:08:48Z"});
        assert_eq!(serde_json::Value::Object(found.metadata), facts);
        let warnings: Vec<&str> = found.warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(warnings, ["unsupported_media_type"]);
        assert!(found.warnings[0].message.starts_with("a.exe was left out"), "{:?}", found.warnings);
    }

    #[test]
    fn what_is_attached_keeps_its_places_and_stands_below_the_subject() {
        let inner = "Content-Type: message/rfc822\nContent-Disposition: attachment; filename=a.eml\n\n\
            Subject: Inner\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\nForwarded words.\n\
            --y\nContent-Type: text/markdown\nContent-Disposition: attachment; filename=b.md\n\n\
            \n    # code\n\nTitle\n===\nsixth line\n\n```\n# open\n--y--\n";
        let notes = "Content-Type: text/plain\nContent-Disposition: attachment; filename=c.txt\n\nNotes.\n";
        let mailbox = format!(
            "From a@x Sat Jan  3 01:05:34 1996\nSubject: Outer\nContent-Type: multipart/mixed; boundary=x\n\n\
             --x\nContent-Type: text/html\n\n<h1>Page</h1><p>Body.</p>\n--x\n{inner}--x\n{notes}--x--\n\n\
             From b@x Sat Jan  3 01:05:35 1996\nSubject: Next\n\nIts text.\n"
        );
        let found = extract_mailbox(mailbox.as_bytes(), 0, false).unwrap();
        let expected = "# Outer\n\n## Page\n\nBody.\n\n## Attachment: a.eml\n\n### Inner\n\nForwarded words.\n\n\
            #### Attachment: b.md\n\n    # code\n\n##### Title\n\nsixth line\n\n```\n# open\n```\n\n## Attachment: c.txt\n\nNotes.\n\n# Next\n\nIts text.";
        assert_eq!(found.content, expected);
        let place = |text: &str| {
            let at = expected.find(text).unwrap();
            crate::place::locate(&found.marks, expected, 0, &(at..at + text.len())).map(|place| place.to_string())
        };
        let at = |place: &str| Some(place.to_owned());
        assert_eq!([place("Body."), place("Its text.")], [None, None]);
        assert_eq!([place("Forwarded"), place("Notes.")], [at("a.eml"), at("c.txt")]);
        assert_eq!(place("sixth line"), at("a.eml › b.md, line 6"));
    }

    #[test]
    fn pages_are_read_where_there_is_no_plain_text() {
        let page =
            "Subject: x\nFrom: a@example.com\nContent-Type: text/html\n\n<ul><li>one<li>two</ul><script>no()</script>";
        assert!(read(page.as_bytes()).content.ends_with("- one\n- two"), "{}", read(page.as_bytes()).content);
    }

    #[test]
    fn text_without_a_stated_encoding_is_told_by_its_looks() {
        let found = read(b"Subject: x\nFrom: a@example.com\n\nLa for\xEAt reste ferm\xE9e jusqu'\xE0 l'\xE9t\xE9.");
        assert!(found.content.ends_with("La forêt reste fermée jusqu'à l'été."), "{}", found.content);
    }

    #[test]
    fn messages_within_messages_end() {
        let nested = format!("Subject: x\n{}\nText", "Content-Type: message/rfc822\n\n".repeat(100_000));
        assert_eq!(extract(nested.as_bytes(), 0, false).unwrap_err().kind, Kind::TooComplex);
        let deep = format!("{}Subject: core\n\nText", "Subject: shell\nContent-Type: message/rfc822\n\n".repeat(900));
        let found = read(deep.as_bytes());
        assert!(found.warnings.iter().any(|warning| warning.code == "too_complex"), "{:?}", found.warnings);
    }

    #[test]
    fn a_mailbox_has_a_heading_for_each_message() {
        let mailbox = b"From a@x Sat Jan  3 01:05:34 1996\nSubject: One\nFrom: a@x\n\n>From here.\n\n\
            From b@x Sat Jan  3 01:05:35 1996\nSubject: Two\nFrom: b@x\n\nThere.\n";
        let found = extract_mailbox(mailbox, 0, false).unwrap();
        assert_eq!(found.content, "# One\n\nFrom: a@x\n\nFrom here.\n\n# Two\n\nFrom: b@x\n\nThere.");
    }

    proptest! {
        #[test]
        fn mutated_messages_are_read_or_refused(at in 0..REPORT.len(), byte in any::<u8>(), end in 0..REPORT.len()) {
            let mut bytes = REPORT.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = extract(&bytes, 0, true);
            bytes.truncate(end);
            let _ = extract(&bytes, 0, true);
            let _ = extract_mailbox(&bytes, 0, true);
        }
    }
}
