//! From bytes to text: which encoding they are in, told by their marks, by what they state, or by how they look.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

use super::Extracted;
use super::fault::{Fault, Kind, Warning};

/// Bytes of a legacy encoding that are looked at to tell which it is.
const SAMPLE: usize = 1 << 20;
/// Bytes at the beginning in which a page or an XML file states its encoding.
const HEAD: usize = 4096;
/// UTF-8 sequences for each broken one, for a text to be broken UTF-8 rather than something else.
const MOSTLY: usize = 10;
/// Of so many bytes, one may be a control character in what is text.
const CONTROLS: usize = 20;

/// A text, and how it was told from bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Without a byte order mark, and without control characters but tabs, line ends and form feeds.
    pub text: String,
    /// The encoding that it was taken for, where that is not UTF-8.
    pub encoding: Option<&'static str>,
    /// What of it could not be read.
    pub warning: Option<Warning>,
}

impl Decoded {
    /// Adds to what was made of the text how the text was told.
    pub fn note(self, extracted: &mut Extracted) {
        if let Some(encoding) = self.encoding {
            extracted.metadata.entry("encoding").or_insert_with(|| encoding.to_ascii_lowercase().into());
        }
        extracted.warnings.extend(self.warning);
    }
}

/// The text of bytes in whatever encoding. `stated` is the encoding's name, where somebody says one; it is believed
/// if the bytes can be in it.
///
/// # Errors
/// [`Kind::Unsupported`] for what is no text in any encoding.
pub fn decode(bytes: &[u8], stated: Option<&str>) -> Result<Decoded, Fault> {
    if let Some(found) = by_mark(bytes) {
        return finish(found);
    }
    let controls = controls(bytes);
    if controls > 0
        && let Some(encoding) = utf16(bytes)
    {
        return finish(through(encoding, bytes));
    }
    if bytes.contains(&0) || controls > bytes.len() / CONTROLS {
        return Err(Fault::new(Kind::Unsupported, "the file is neither text nor in a format that is taken in"));
    }
    finish(eight_bits(bytes, stated))
}

/// The encoding that a media type names: `text/plain; charset=koi8-r`.
pub fn charset(media_type: &str) -> Option<&str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// The encoding that an HTML page or an XML file states at its beginning.
pub fn stated_within(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..HEAD).unwrap_or(bytes)).to_ascii_lowercase();
    let declaration = head.trim_start().strip_prefix("<?xml").and_then(|rest| rest.split("?>").next());
    declaration.and_then(|text| value_of(text, "encoding")).or_else(|| value_of(&head, "charset"))
}

/// What stands behind `name=`, with or without quotes.
fn value_of(text: &str, name: &str) -> Option<String> {
    text.split(name).skip(1).find_map(|rest| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let value: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).collect();
        (!value.is_empty()).then_some(value)
    })
}

/// Text whose byte order mark tells its encoding.
fn by_mark(bytes: &[u8]) -> Option<Decoded> {
    let utf32 = |read: fn([u8; 4]) -> u32, name| {
        let (units, _) = bytes.as_chunks::<4>();
        let text = units.iter().skip(1).map(|unit| char::from_u32(read(*unit)).unwrap_or('\u{FFFD}')).collect();
        Some(Decoded { text, encoding: Some(name), warning: None })
    };
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] if bytes.len().is_multiple_of(4) => utf32(u32::from_le_bytes, "UTF-32LE"),
        [0, 0, 0xFE, 0xFF, ..] => utf32(u32::from_be_bytes, "UTF-32BE"),
        [0xFF, 0xFE, rest @ ..] => Some(through(UTF_16LE, rest)),
        [0xFE, 0xFF, rest @ ..] => Some(through(UTF_16BE, rest)),
        _ => None,
    }
}

fn through(encoding: &'static Encoding, bytes: &[u8]) -> Decoded {
    let (text, broken) = encoding.decode_without_bom_handling(bytes);
    let warning = broken.then(|| {
        let message = format!("parts of the text are not valid {} and were replaced", encoding.name());
        Warning::new(Kind::Damaged, None, message)
    });
    Decoded { text: text.into_owned(), encoding: (encoding != UTF_8).then(|| encoding.name()), warning }
}

/// UTF-8, or one of the encodings before it.
fn eight_bits(bytes: &[u8], stated: Option<&str>) -> Decoded {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let escapes_to_japanese = bytes.windows(2).any(|pair| pair == b"\x1B$");
    match std::str::from_utf8(bytes) {
        Ok(text) if !escapes_to_japanese => {
            return Decoded { text: text.to_owned(), encoding: None, warning: None };
        }
        Ok(text) => {
            // All of it is ASCII: terminals' colours and the old Japanese of mail both escape in it.
            let japanese = ISO_2022_JP.decode_without_bom_handling_and_without_replacement(bytes);
            let plain = || Decoded { text: text.to_owned(), encoding: None, warning: None };
            return japanese.map_or_else(plain, |text| Decoded {
                text: text.into_owned(),
                encoding: Some(ISO_2022_JP.name()),
                warning: None,
            });
        }
        Err(_) if is_broken_utf8(bytes) => return through(UTF_8, bytes),
        Err(_) => {}
    }
    let stated = stated.and_then(|name| Encoding::for_label(name.as_bytes()));
    if let Some(encoding) = stated.filter(|encoding| *encoding != UTF_8 && encoding.is_ascii_compatible())
        && let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes)
    {
        return Decoded { text: text.into_owned(), encoding: Some(encoding.name()), warning: None };
    }
    through(guess(bytes), bytes)
}

/// The encoding that bytes look like which are not UTF-8.
pub fn guess(bytes: &[u8]) -> &'static Encoding {
    // What is ASCII tells nothing, so a long beginning of it is passed over.
    let begins = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0).saturating_sub(SAMPLE / 2);
    let sample = bytes.get(begins..).unwrap_or_default();
    let sample = sample.get(..SAMPLE).unwrap_or(sample);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, sample.len() == bytes.len());
    detector.guess(None, Utf8Detection::Deny)
}

/// Whether bytes that are no valid UTF-8 are meant to be: mostly sequences of it, or cut within the last.
fn is_broken_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut broken) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        match chunk.invalid() {
            [] => {}
            // A lone lead byte is a letter in other encodings.
            [_] => broken += 1,
            _ => broken += usize::from(good > 0 || broken > 0),
        }
    }
    good >= broken * MOSTLY && (good > 0 || broken == 0)
}

/// Which byte order bytes without a mark are in, if they are UTF-16.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let (units, []) = bytes.get(..SAMPLE).unwrap_or(bytes).as_chunks::<2>() else { return None };
    [(UTF_16BE, u16::from_be_bytes as fn([u8; 2]) -> u16), (UTF_16LE, u16::from_le_bytes)]
        .into_iter()
        .filter_map(|(encoding, read)| likeness(units, read).map(|score| (score, encoding)))
        .max_by_key(|(score, _)| *score)
        .map(|(_, encoding)| encoding)
}

/// How many units look like text, if they can be UTF-16 at all.
fn likeness(units: &[[u8; 2]], read: fn([u8; 2]) -> u16) -> Option<usize> {
    let (mut latin, mut ideographs, mut controls, mut distinct) = (0, 0, 0, false);
    let mut pages = [0usize; 32];
    let mut total = 0;
    for decoded in char::decode_utf16(units.iter().map(|unit| read(*unit))) {
        total += 1;
        // A sample may end within a pair.
        let Ok(c) = decoded else {
            if total < units.len().min(SAMPLE / 2) {
                return None;
            }
            continue;
        };
        let code = u32::from(c);
        match code {
            0x09 | 0x0A | 0x0C | 0x0D | 0x20..=0x7E | 0xA0..=0xFF => latin += 1,
            0..=0xFF => controls += 1,
            0x100..=0x1FFF => {
                if let Some(page) = usize::try_from(code >> 8).ok().and_then(|page| pages.get_mut(page)) {
                    *page += 1;
                }
            }
            0x3000..=0x30FF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3 | 0xFF00..=0xFFEF => {
                ideographs += 1;
                distinct |= code & 0x80 != 0;
            }
            _ => {}
        }
    }
    let scripts: usize = pages.iter().max().copied().unwrap_or(0);
    // ASCII with a stray NUL makes ideographs in pairs, but never of bytes beyond ASCII.
    let of_ideographs = if distinct { ideographs } else { 0 };
    let score = latin + scripts + of_ideographs;
    (controls * 100 <= total && score * 10 >= total * 9).then_some(score)
}

/// Control characters that text has no use for. Escapes are let pass: of terminals' colours a log is full.
fn controls(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_control(**byte) && **byte != 0x1B).count()
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C)) || byte == 0x7F
}

/// Takes control characters out.
fn finish(mut decoded: Decoded) -> Result<Decoded, Fault> {
    if decoded.text.bytes().any(is_control) {
        decoded.text.retain(|c| !u8::try_from(c).is_ok_and(is_control));
    }
    if decoded.text.starts_with('\u{FEFF}') {
        decoded.text.remove(0);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(bytes: &[u8]) -> (String, Option<&'static str>) {
        let decoded = decode(bytes, None).unwrap();
        (decoded.text, decoded.encoding)
    }

    fn utf16_bytes(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn utf8_stays_as_it_is() {
        for text in ["", "plain\r\nlines\n", "Füchse 狐 🦊\tjump\x0C"] {
            assert_eq!(told(text.as_bytes()), (text.to_owned(), None));
        }
        assert_eq!(told(b"\xEF\xBB\xBFhi").0, "hi");
        assert_eq!(told(b"a line\x1B[0m in colour and \x01 no more").0, "a line[0m in colour and  no more");
    }

    #[test]
    fn utf16_is_told_with_and_without_a_mark() {
        let texts = [
            "This is a test document to use for unit tests.\n",
            "Съешь же ещё этих мягких французских булок, да выпей чаю.\n",
            "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。一二三四五\n",
            "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。\n",
        ];
        for text in texts {
            for (order, name) in [(u16::to_le_bytes as fn(u16) -> [u8; 2], "UTF-16LE"), (u16::to_be_bytes, "UTF-16BE")]
            {
                assert_eq!(told(&utf16_bytes(text, order)), (text.to_owned(), Some(name)), "{text}");
                let marked = utf16_bytes(&format!("\u{FEFF}{text}"), order);
                assert_eq!(told(&marked), (text.to_owned(), Some(name)), "{text}");
            }
        }
        let utf32: Vec<u8> = "\u{FEFF}wide".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(told(&utf32), ("wide".to_owned(), Some("UTF-32LE")));
    }

    #[test]
    fn legacy_encodings_are_told_by_their_looks() {
        let texts = [
            (encoding_rs::WINDOWS_1252, "La forêt reste fermée jusqu'à l'été. Größe und Maßstab der Übersichtskarte."),
            (encoding_rs::WINDOWS_1251, "Съешь же ещё этих мягких французских булок, да выпей чаю."),
            (encoding_rs::KOI8_U, "Съешь же ещё этих мягких французских булок, да выпей чаю."),
            (
                encoding_rs::SHIFT_JIS,
                "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
            ),
            (
                encoding_rs::EUC_JP,
                "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
            ),
            (encoding_rs::GBK, "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。"),
            (encoding_rs::BIG5, "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心。"),
            (encoding_rs::EUC_KR, "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
        ];
        for (encoding, text) in texts {
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(told(&bytes), (text.to_owned(), Some(encoding.name())), "{}", encoding.name());
        }
        assert_eq!(told(b"caf\xE9 au lait").0, "café au lait");
        assert_eq!(told(b"\x1B$B$3$s\x1B(B ja"), ("こん ja".to_owned(), Some("ISO-2022-JP")));
    }

    #[test]
    fn what_is_stated_is_believed_where_it_can_be() {
        let decoded = |bytes: &[u8], stated| decode(bytes, Some(stated)).unwrap();
        assert_eq!(decoded(b"\xE1\xE2", "iso-8859-7").text, "αβ");
        assert_eq!(decoded("αβ".as_bytes(), "iso-8859-7").text, "αβ");
        assert_eq!(decoded(b"caf\xE9", "nonsense").text, "café");
        assert_eq!(stated_within(b"<?xml version='1.0' encoding='KOI8-R'?><a/>").as_deref(), Some("koi8-r"));
        assert_eq!(stated_within(b"<meta charset=gbk><p>").as_deref(), Some("gbk"));
        let content = b"<meta http-equiv=content-type content=\"text/html; charset=Shift_JIS\">";
        assert_eq!(stated_within(content).as_deref(), Some("shift_jis"));
        assert_eq!(stated_within(b"<p>no word of it"), None);
        assert_eq!(charset("text/plain; Charset=\"koi8-r\""), Some("koi8-r"));
        assert_eq!(charset("text/plain"), None);
    }

    #[test]
    fn broken_utf8_loses_only_what_is_broken() {
        let mut bytes = "Größe über Maßstäbe: ä ö ü ß é è ê".as_bytes().to_vec();
        bytes.push(0xFF);
        let decoded = decode(&bytes, None).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.encoding), ("Größe über Maßstäbe: ä ö ü ß é è ê\u{FFFD}", None));
        assert!(decoded.warning.is_some());
    }

    #[test]
    fn binary_data_is_refused() {
        let noise: Vec<u8> = (0..2000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for bytes in [b"text\0with\0zeros".as_slice(), b"text\0with\0zero", b"\0", b"\x7FELF\x02\x01\x01\0\0\0", &noise]
        {
            assert_eq!(decode(bytes, None).unwrap_err().kind, Kind::Unsupported, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_made_text_without_controls(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(decoded) = decode(&bytes, None) {
                prop_assert!(!decoded.text.bytes().any(is_control));
            }
        }

        #[test]
        fn valid_text_is_kept(text in "\\PC{0,100}") {
            prop_assume!(!text.starts_with('\u{FEFF}'));
            let decoded = decode(text.as_bytes(), None).unwrap();
            prop_assert_eq!(decoded.text, text);
        }
    }
}
