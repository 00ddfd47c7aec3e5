//! Whether the streams of a file stay within bounds when they are unpacked. The parser unpacks a stream whole, so
//! this is found out before it sees one.

use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};
use memchr::memmem;

use crate::extract::fault::Fault;

/// Most that one stream may unpack to.
const MOST: u64 = 96 << 20;
/// Most that all of them together unpack to.
const MOST_IN_ALL: u64 = 2 << 30;
/// Filters over each other that are looked through.
const DEEPEST: usize = 8;
/// Bytes before a stream in which its dictionary is looked for.
const DICTIONARY: usize = 2_048;

/// # Errors
/// [`crate::extract::Kind::TooComplex`] where a stream unpacks to more than is held in memory at once.
pub fn check(file: &[u8]) -> Result<(), Fault> {
    let mut rest = file;
    let mut at = 0;
    let mut total = 0;
    while let Some(found) = memmem::find(rest, b"stream") {
        at += found + b"stream".len();
        rest = file.get(at..).unwrap_or_default();
        let start = match rest {
            [b'\r', b'\n', ..] => at + 2,
            [b'\n' | b'\r', ..] => at + 1,
            _ => continue,
        };
        let begins = at - b"stream".len();
        if file.get(begins.saturating_sub(3)..begins) == Some(b"end") {
            continue;
        }
        let dictionary = file.get(begins.saturating_sub(DICTIONARY)..begins).unwrap_or_default();
        let own = memmem::rfind(dictionary, b" obj").and_then(|obj| dictionary.get(obj..)).unwrap_or(dictionary);
        let has = |word: &[u8]| memmem::find(own, word).is_some();
        // Pictures are only unpacked where one is wanted, and then by their size.
        if has(b"/Image") {
            continue;
        }
        let data = file.get(start..).unwrap_or_default();
        let bytes = if has(b"/LZW") { unpacks_by_words(data) } else { unpacks_to(data, has(b"/Fl"), MOST) };
        total += bytes;
        if bytes > MOST {
            return Err(Fault::too_complex(format!("a part of it unpacks to more than {} MiB", MOST >> 20)));
        }
        if total > MOST_IN_ALL {
            return Err(Fault::too_complex(format!("it unpacks to more than {} MiB", MOST_IN_ALL >> 20)));
        }
    }
    Ok(())
}

/// Bytes of the largest layer that compressed data unpacks to, through filters over each other; at most a little more
/// than `most`. `is_declared` where it is said to be compressed, so that a header may be missing.
pub fn unpacks_to(data: &[u8], is_declared: bool, most: u64) -> u64 {
    let is_packed = |head: &[u8]| match head {
        // RFC 1950: a deflate stream, and a header whose sum is right.
        [method, check, ..] => method & 0x0F == 8 && u16::from_be_bytes([*method, *check]).is_multiple_of(31),
        _ => false,
    };
    let counted = |mut layer: Box<dyn Read + '_>| {
        let mut head = [0; 2];
        let read = layer.read(&mut head).unwrap_or(0);
        // What is damaged further on is counted up to there.
        let rest = std::io::copy(&mut layer.take(most), &mut std::io::sink()).unwrap_or(0);
        (rest.saturating_add(2), is_packed(head.get(..read).unwrap_or_default()))
    };
    if !is_packed(data) {
        // Some writers leave the header away, and readers put up with it.
        return if is_declared { counted(Box::new(DeflateDecoder::new(data))).0 } else { 0 };
    }
    let mut largest = 0;
    for depth in 1..=DEEPEST {
        let whole: Box<dyn Read + '_> = Box::new(data);
        let layer = (0..depth).fold(whole, |layer, _| Box::new(ZlibDecoder::new(layer)));
        let (bytes, is_packed) = counted(layer);
        largest = largest.max(bytes);
        if !is_packed || largest > most {
            break;
        }
    }
    largest
}

/// Bytes that LZW codes stand for (ISO 32000-2, 7.4.4), up to a little more than what is allowed. Each stands for a
/// word that is one longer than the word of the code before, so that lengths alone need to be kept.
fn unpacks_by_words(data: &[u8]) -> u64 {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut lengths: Vec<u64> = Vec::with_capacity(4096);
    let (mut total, mut last) = (0, None);
    let (mut bits, mut held) = (0_u32, 0_u32);
    lengths.resize(END + 1, 1);
    for byte in data {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        // Codes grow one word early.
        let width = match lengths.len() + 1 {
            ..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        if held < width {
            continue;
        }
        held -= width;
        let code = usize::try_from(bits >> held & ((1 << width) - 1)).unwrap_or(END);
        match code {
            CLEAR => {
                lengths.truncate(END + 1);
                last = None;
            }
            END => break,
            code => {
                if let Some(before) = last.filter(|_| lengths.len() < 4096) {
                    lengths.push(before + 1);
                }
                let Some(length) = lengths.get(code) else { break };
                total += length;
                last = Some(*length);
                if total > MOST {
                    break;
                }
            }
        }
    }
    total
}
