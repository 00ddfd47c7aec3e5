//! What is attached to a message: each a document within it, under a heading with its name.

use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use super::super::composer::{Composer, folded};
use super::super::fault::{Fault, Kind, Warning};
use super::super::{Extracted, Format, Input, Structure, extract_within, scans};
use super::{Reach, leave_out, paragraphs, said};
use crate::place::Place;

/// Level of the heading that names what is attached.
const LEVEL: usize = 2;
/// Documents that may lie within each other.
const DEEPEST: usize = 3;
/// Attachments of one message that are read, and their bytes.
const MOST: usize = 200;
const LARGEST: usize = 64 << 20;

/// Writes what is attached to a message, as far as it can be read.
///
/// # Errors
/// [`Kind::TooComplex`] for more text than a document is given.
pub fn write(message: &Message<'_>, reach: Reach, composer: &mut Composer) -> Result<(), Fault> {
    let mut left = LARGEST;
    for (number, part) in message.attachments().enumerate() {
        let name = name(part, number + 1);
        let found = if number >= MOST {
            Err(Fault::too_complex(format!("it has more than {MOST} attachments")))
        } else if reach.depth + 1 > DEEPEST {
            Err(Fault::too_complex(format!("it lies within {DEEPEST} other documents")))
        } else if part.len() > left {
            Err(Fault::too_complex(format!("its attachments are larger than {} MiB", LARGEST >> 20)))
        } else {
            left -= part.len();
            read(message, part, &name, Reach { depth: reach.depth + 1, ..reach })
        };
        match found.and_then(|found| with_bounded_scans(found, composer)) {
            Ok(found) => add(found, &name, composer),
            // Nothing is lost with pictures in a signature.
            Err(fault) if fault.kind == Kind::NoText => {}
            Err(fault) => leave_out(&name, &fault, composer),
        }
        composer.check()?;
        if number >= MOST {
            break;
        }
    }
    Ok(())
}

/// Reads what is attached under this name.
fn read(message: &Message<'_>, part: &MessagePart<'_>, name: &str, reach: Reach) -> Result<Extracted, Fault> {
    let declared = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()),
        None => kind.ctype().to_owned(),
    });
    if let PartType::Message(inner) = &part.body {
        let mut composer = Composer::default();
        super::write(inner, "", reach, &mut composer)?;
        return Ok(composer.finish(Format::Mail.media_type()));
    }
    let text;
    let bytes = match &part.body {
        PartType::Text(_) | PartType::Html(_) => {
            text = said(message, part);
            text.as_bytes()
        }
        _ => part.contents(),
    };
    let format = Format::detect(bytes, Some(name), declared.as_deref())?;
    let Reach { depth, wants_scans } = reach;
    extract_within(Input { bytes, format, name: Some(name), charset: None, wants_scans }, depth)
}

/// The same without its pictures where they are too many beside those that are there.
///
/// # Errors
/// [`Kind::NoTextLayer`] where nothing else is in it.
fn with_bounded_scans(mut found: Extracted, composer: &Composer) -> Result<Extracted, Fault> {
    let all = || composer.scans.iter().chain(&found.scans);
    let is_bounded =
        || all().count() <= scans::MOST && all().map(|scan| scan.image.len()).sum::<usize>() <= scans::LARGEST;
    if found.scans.is_empty() || is_bounded() {
        return Ok(found);
    }
    let why = "its pictures were not given to text recognition: there are too many";
    found.scans.clear();
    match found.content.trim().is_empty() {
        true => Err(Fault::new(Kind::NoTextLayer, why)),
        false => {
            found.warnings.push(Warning::new(Kind::NoTextLayer, None, why));
            Ok(found)
        }
    }
}

/// Adds what is attached under its name, with its places.
fn add(mut found: Extracted, name: &str, composer: &mut Composer) {
    // What a picture says is not known yet; where it says nothing, that is told then.
    let is_seen = |page: Option<u32>| page.is_some_and(|page| found.scans.iter().any(|scan| scan.page == page));
    found.warnings.retain(|warning| warning.code != Kind::NoTextLayer.code() || !is_seen(warning.page));
    for warning in &mut found.warnings {
        // Its pages are none of the message's.
        *warning = Warning { page: None, message: format!("{name}: {}", warning.message), ..warning.clone() };
    }
    let heading = format!("Attachment: {name}");
    let has_text = !found.content.trim().is_empty();
    let scans = composer.scans.len();
    if has_text {
        // Of a text whose white space is folded, no line is where it was.
        let marked = found.marks.first().filter(|mark| mark.at == 0 && found.structure == Structure::Markdown);
        composer.place(marked.map_or(Place::Nowhere, |mark| mark.place.clone()).attached(name));
        composer.heading(LEVEL, &heading);
    }
    match found.structure {
        Structure::Plain if has_text => {
            paragraphs(&found.content, composer);
            composer.warnings.extend(found.warnings);
        }
        Structure::Code => {
            composer.code("", &found.content);
            composer.warnings.extend(found.warnings);
        }
        Structure::Plain | Structure::Markdown => composer.append(&found, LEVEL, Some(name)),
    }
    composer.place(Place::Nowhere);
    if let Some(first) = composer.scans.get_mut(scans) {
        let above = if has_text { String::new() } else { format!("{} {heading}", "#".repeat(LEVEL)) };
        first.heading.get_or_insert(above);
    }
}

fn name(part: &MessagePart<'_>, number: usize) -> String {
    let stated = part.attachment_name().map(folded).filter(|name| !name.is_empty());
    let name = stated.or_else(|| match &part.body {
        PartType::Message(message) => message.subject().map(folded),
        _ => None,
    });
    name.map(|name| name.chars().take(200).collect()).unwrap_or_else(|| format!("part {number}"))
}
