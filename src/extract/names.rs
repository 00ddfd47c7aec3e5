//! Names of files in an archive that does not say which encoding they are in.
//!
//! By its rules a zip's names are in CP437, if not in UTF-8. Most programs write them in whatever their machine uses, so
//! all names of an archive together tell what that is.

use encoding_rs::{Encoding, IBM866};

use super::encoding;

/// Letters that encodings of Windows have where CP437 has those of German and French, so that they prove nothing.
const UNCERTAIN: &str = "ŠšŽžŒœŸƒŚśŤťŹź";

/// A name as it is written, and as CP437 has it.
pub type Name<'a> = (&'a [u8], &'a str);

/// The names as they are meant.
pub fn names(written: &[Name<'_>]) -> Vec<String> {
    let bytes = written.iter().map(|(bytes, _)| *bytes).collect::<Vec<_>>().join(&b'\n');
    let found = encoding::guess(&bytes);
    // Where the names are few, the old encoding of Russian is mistaken for others.
    let candidates = [found, IBM866];
    let taken = candidates.into_iter().find(|encoding| is_meant(encoding, written));
    let read = |(bytes, otherwise): &Name<'_>| {
        taken
            .and_then(|encoding| encoding.decode_without_bom_handling_and_without_replacement(bytes))
            .map_or_else(|| (*otherwise).to_owned(), |name| name.into_owned())
    };
    written.iter().map(read).collect()
}

/// Whether the names make better words in `encoding` than in CP437.
fn is_meant(encoding: &'static Encoding, written: &[Name<'_>]) -> bool {
    let mut words = Words::default();
    let mut otherwise = Words::default();
    for (bytes, as_cp437) in written {
        let Some(name) = encoding.decode_without_bom_handling_and_without_replacement(bytes) else { return false };
        words.take(&name);
        otherwise.take(as_cp437);
    }
    match encoding.is_single_byte() {
        true => words.good * otherwise.all() >= otherwise.good * words.all() && words.good > 0,
        false => 2 * words.good > words.all(),
    }
}

/// Characters beyond ASCII that stand as they do in words, and others.
#[derive(Default)]
struct Words {
    good: usize,
    bad: usize,
}

impl Words {
    fn all(&self) -> usize {
        self.good + self.bad
    }

    fn take(&mut self, name: &str) {
        let letters: Vec<char> = name.chars().collect();
        let beside = |place: usize, is: fn(&char) -> bool| letters.get(place).is_some_and(is);
        for (place, c) in letters.iter().enumerate().filter(|(_, c)| !c.is_ascii() && !UNCERTAIN.contains(**c)) {
            let is_latin = matches!(c, '\u{C0}'..='\u{24F}' | 'ª' | 'º');
            // A word is not in two scripts; names that mix them do so at the ends of words.
            let touches = |is: fn(&char) -> bool| beside(place + 1, is) || place > 0 && beside(place - 1, is);
            let is_good = match c {
                // Punctuation of East Asian writing, which letters of other encodings look like: it proves nothing.
                '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FFEF}' => continue,
                _ => c.is_alphabetic() && (is_latin || !touches(char::is_ascii_lowercase)),
            };
            match is_good {
                true => self.good += 1,
                false => self.bad += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The letters of CP437 that are not ASCII, from 0x80, as far as the tests have them.
    const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}";

    fn as_cp437(bytes: &[u8]) -> String {
        let letter = |byte: &u8| match byte.checked_sub(0x80) {
            Some(place) => CP437.chars().nth(usize::from(place)).unwrap(),
            None => char::from(*byte),
        };
        bytes.iter().map(letter).collect()
    }

    fn told(written: &[Vec<u8>]) -> Vec<String> {
        let otherwise: Vec<String> = written.iter().map(|bytes| as_cp437(bytes)).collect();
        let pairs: Vec<Name<'_>> =
            written.iter().zip(&otherwise).map(|(bytes, text)| (bytes.as_slice(), text.as_str())).collect();
        names(&pairs)
    }

    #[test]
    fn names_are_read_in_the_encoding_of_all_of_them() {
        for (encoding, list) in [
            (encoding_rs::SHIFT_JIS, &["議事録.txt", "見積書_2024.xlsx", "議事録v2.docx"][..]),
            (encoding_rs::SHIFT_JIS, &["会議/資料（最終）.pdf"]),
            (encoding_rs::SHIFT_JIS, &["日本.md"]),
            (encoding_rs::GBK, &["合同.txt", "会议记录.docx", "财务报表2024.xlsx"]),
            (encoding_rs::BIG5, &["會議記錄.docx", "財務報表.xlsx"]),
            (encoding_rs::EUC_KR, &["회의록.docx", "계약서.pdf"]),
            (encoding_rs::IBM866, &["Договор аренды.docx", "Отчёт.xlsx"]),
            (encoding_rs::IBM866, &["Договор.txt"]),
            (encoding_rs::WINDOWS_1251, &["Договор аренды.docx", "Отчёт.xlsx"]),
            (encoding_rs::WINDOWS_1252, &["Größe.txt", "Übersicht.pdf"]),
            (encoding_rs::WINDOWS_1250, &["Žádost o příspěvek.doc", "Účtenka.pdf"]),
            (encoding_rs::WINDOWS_1252, &["Protocole signé à l'été.txt"]),
        ] {
            let written: Vec<Vec<u8>> = list.iter().map(|name| encoding.encode(name).0.into_owned()).collect();
            assert_eq!(told(&written), list, "{}", encoding.name());
        }
    }

    #[test]
    fn names_that_other_encodings_make_no_words_of_are_in_cp437() {
        let written = |name: &str| {
            let byte = |c: char| match CP437.chars().position(|other| other == c) {
                Some(place) => 0x80 + u8::try_from(place).unwrap(),
                None => u8::try_from(c).unwrap(),
            };
            name.chars().map(byte).collect::<Vec<u8>>()
        };
        for list in [
            &["Größe.txt"][..],
            &["Übersicht.pdf"],
            &["Bücher.txt", "Verträge/Müller.docx"],
            &["Menü.txt"],
            &["Mül.md"],
            &["Présenté.doc"],
            &["Ärzte.txt", "Prüfung.txt", "Fußgänger.txt"],
            &["año.txt"],
        ] {
            let written: Vec<Vec<u8>> = list.iter().map(|name| written(name)).collect();
            assert_eq!(told(&written), list);
        }
        assert_eq!(names(&[]), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_names_are_read_one_by_one(written in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6)) {
            let pairs: Vec<Name<'_>> = written.iter().map(|bytes| (bytes.as_slice(), "otherwise")).collect();
            prop_assert_eq!(names(&pairs).len(), written.len());
        }
    }
}
