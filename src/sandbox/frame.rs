//! What the server and the processes that read documents say to each other: frames of a tag, a length and bytes.
//!
//! Neither side trusts the other's lengths: memory grows with the bytes that arrive, up to a bound.

use std::io::{self, ErrorKind, Read, Write};

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// What confines the process, in JSON: its first frame.
    Hello = 1,
    /// What is to be read, in JSON; its bytes follow.
    Request,
    /// Bytes: of the document, or of an archive's file.
    Bytes,
    /// What came of a document, in JSON; its text and pictures follow.
    Answer,
    /// What a document states of itself, and what was left out of it, in JSON.
    Facts,
    /// The text of a document.
    Content,
    /// A picture of a page.
    Picture,
    /// An archive's next file, in JSON; its bytes follow.
    Entry,
    /// The archive is over; holds a fault in JSON, or nothing.
    End,
}

const TAGS: [Tag; 9] =
    [Tag::Hello, Tag::Request, Tag::Bytes, Tag::Answer, Tag::Facts, Tag::Content, Tag::Picture, Tag::Entry, Tag::End];

/// Writes a frame.
pub fn write(out: &mut impl Write, tag: Tag, payload: &[u8]) -> io::Result<()> {
    out.write_all(&[tag as u8])?;
    out.write_all(&(payload.len() as u64).to_le_bytes())?;
    out.write_all(payload)
}

/// The next frame; `None` at the end.
///
/// # Errors
/// A frame of more than `most` bytes, an unknown tag, an end in its middle.
pub fn read(input: &mut impl Read, most: u64) -> io::Result<Option<(Tag, Vec<u8>)>> {
    let mut head = [0u8; 9];
    let first = loop {
        match input.read(&mut head) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    let (_, rest) = head.split_at_mut(first);
    input.read_exact(rest)?;
    let [tag, length @ ..] = head;
    let tag = TAGS.iter().find(|known| **known as u8 == tag).ok_or_else(|| broken("an unknown frame"))?;
    let length = u64::from_le_bytes(length);
    if length > most {
        return Err(broken("a frame that is too long"));
    }
    let mut payload = Vec::new();
    let count = input.take(length).read_to_end(&mut payload)?;
    if count as u64 == length { Ok(Some((*tag, payload))) } else { Err(broken("a frame that breaks off")) }
}

/// The payload of the next frame, which must be of this kind.
pub fn expect(input: &mut impl Read, tag: Tag, most: u64) -> io::Result<Vec<u8>> {
    match read(input, most)? {
        Some((found, payload)) if found == tag => Ok(payload),
        Some(_) => Err(broken("a frame out of order")),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let mut line = Vec::new();
        write(&mut line, Tag::Answer, b"{}").unwrap();
        write(&mut line, Tag::End, b"").unwrap();
        let mut input = line.as_slice();
        assert_eq!(expect(&mut input, Tag::Answer, 2).unwrap(), b"{}");
        assert_eq!(read(&mut input, 0).unwrap(), Some((Tag::End, Vec::new())));
        assert_eq!(read(&mut input, 0).unwrap(), None);
        assert!(read(&mut line.as_slice(), 1).is_err(), "longer than allowed");
        assert!(read(&mut &line[..10], 100).is_err(), "breaks off");
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut input = bytes.as_slice();
            while let Ok(Some((_, payload))) = read(&mut input, 1 << 40) {
                prop_assert!(payload.len() <= bytes.len());
            }
        }
    }
}
