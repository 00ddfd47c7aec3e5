//! A zip of parts: opens it within bounds, tells which format its parts make up, and has it read.
//!
//! Everything stays in memory: names in the zip are looked up, never written anywhere.

mod family;

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::fault::{Fault, Kind};
use super::{Extracted, docx, epub, opendocument, pptx, spreadsheet};
use family::{Family, family};

/// Parts that a document may have.
const MOST_PARTS: usize = 50_000;
/// Bytes that one part may unpack to.
const LARGEST_PART: u64 = 128 << 20;
/// Bytes that all parts that are read may unpack to together.
const LARGEST: u64 = 256 << 20;

/// A part that unpacks to more than this, and to so many times what it takes, was made to do so.
const LARGE_PART: u64 = 8 << 20;
const LARGEST_RATIO: u64 = 200;

/// How the record begins that ends a zip (APPNOTE.TXT, 4.3.16).
const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";

/// An opened package.
pub struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Where each part is, by its name in small letters with `/` between its folders.
    places: HashMap<String, usize>,
    /// Bytes that may still be unpacked.
    left: u64,
}

/// The text of a package, whichever format it is in.
///
/// # Errors
/// [`Kind::Unsupported`] for what is no document, and what its reader meets.
pub fn extract(bytes: &[u8]) -> Result<Extracted, Fault> {
    let mut package = Package::open(bytes)?;
    let (family, media_type) = family(&mut package)?;
    let mut extracted = match family {
        Family::Document => docx::extract(&mut package)?,
        Family::Presentation => pptx::extract(&mut package)?,
        Family::Workbook => spreadsheet::open_xml(bytes, &mut package)?,
        Family::BinaryWorkbook => spreadsheet::binary(bytes, &mut package)?,
        Family::OpenText | Family::OpenPresentation => opendocument::extract(&mut package)?,
        Family::OpenSpreadsheet => opendocument::sheets::extract(&mut package)?,
        Family::Book => epub::extract(&mut package)?,
    };
    extracted.media_type = media_type;
    Ok(extracted)
}

impl<'a> Package<'a> {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// [`Kind::Damaged`] where there is none, [`Kind::TooComplex`] where it is too long.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unopened(bytes, e))?;
        if archive.len() > MOST_PARTS {
            return Err(Fault::too_complex(format!("it has more than {MOST_PARTS} parts")));
        }
        let mut places = HashMap::new();
        for place in 0..archive.len() {
            if let Some(Ok(name)) = archive.name_for_index(place) {
                places.insert(key(&name), place);
            }
        }
        Ok(Package { archive, places, left: LARGEST })
    }

    /// Bytes that may still be unpacked.
    pub fn room(&self) -> u64 {
        self.left
    }

    /// Lets so many bytes be unpacked from here on.
    pub fn make_room(&mut self, bytes: u64) {
        self.left = bytes;
    }

    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(&key(name))
    }

    /// The names of its parts, in small letters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The bytes of a part; none where there is no such part.
    ///
    /// # Errors
    /// [`Kind::Encrypted`], [`Kind::Damaged`], and [`Kind::TooComplex`] beyond what may be unpacked.
    pub fn part(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let mut bytes = Vec::new();
        Ok(self.unpack(name, &mut bytes)?.then_some(bytes))
    }

    /// The text of a part; none where there is no such part.
    ///
    /// # Errors
    /// As [`Package::part`].
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.part(name)?.map(|bytes| {
            let text = encoding_rs::UTF_8.decode(&bytes).0;
            text.into_owned()
        }))
    }

    /// Unpacks a part to nowhere, so that who reads it without bounds meets nothing beyond them.
    ///
    /// # Errors
    /// As [`Package::part`].
    pub fn measure(&mut self, name: &str) -> Result<u64, Fault> {
        let mut counted = Counted(0);
        self.unpack(name, &mut counted)?;
        Ok(counted.0)
    }

    fn unpack(&mut self, name: &str, into: &mut impl std::io::Write) -> Result<bool, Fault> {
        let Some(place) = self.places.get(&key(name)) else { return Ok(false) };
        let entry = self.archive.by_index(*place).map_err(|e| match e {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
                Fault::new(Kind::Encrypted, "the file is protected by a password")
            }
            e => Fault::damaged(format!("{name}: {e}")),
        })?;
        let most =
            LARGE_PART.max(entry.compressed_size().saturating_mul(LARGEST_RATIO)).min(LARGEST_PART).min(self.left);
        let read =
            std::io::copy(&mut entry.take(most + 1), into).map_err(|e| Fault::damaged(format!("{name}: {e}")))?;
        if read > most {
            return Err(Fault::too_complex(format!("one of its parts unpacks to more than {} MiB", most >> 20)));
        }
        self.left -= read;
        Ok(true)
    }
}

struct Counted(u64);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is said of a zip that cannot be opened; `tail` are its last bytes.
pub fn unopened(tail: &[u8], cause: impl std::fmt::Display) -> Fault {
    match memchr::memmem::find(tail, END_OF_DIRECTORY) {
        None => Fault::new(Kind::Damaged, "the archive breaks off: its directory is missing"),
        Some(_) => Fault::damaged(format!("it is no whole zip: {cause}")),
    }
}

/// What a part is looked up by: some writers change the case of names between their tables, or use `\`.
fn key(name: &str) -> String {
    name.trim_start_matches('/').replace('\\', "/").to_ascii_lowercase()
}

/// Where a reference from the part `from` leads: folders are left by `..`, and a leading `/` is the package itself.
pub fn resolve(from: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let mut path: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect()),
    };
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// A package of parts.
    pub fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in parts {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// What `[Content_Types].xml` says of a package whose main part is of this type.
    pub fn types(main: &str) -> String {
        format!("<Types><Override PartName='/x' ContentType='{main}'/></Types>")
    }

    pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";

    fn kind(parts: &[(&str, &str)]) -> Kind {
        extract(&zipped(parts)).unwrap_err().kind
    }

    #[test]
    fn the_kind_is_told_by_the_parts() {
        let found = |parts: &[(&str, &str)]| extract(&zipped(parts)).map(|found| found.media_type).ok();
        let body = "<document><body><p><r><t>Hi</t></r></p></body></document>";
        let types = |main: &str| types(main);
        let templates = "application/vnd.ms-word.template.macroEnabledTemplate.main+xml";
        assert_eq!(
            found(&[("[Content_Types].xml", &types(templates)), ("word/document.xml", body)]).as_deref(),
            Some("application/vnd.ms-word.template.macroEnabled.12")
        );
        let content = "<document-content><body><text><p>Hi</p></text></body></document-content>";
        let open = "application/vnd.oasis.opendocument.text";
        assert_eq!(found(&[("mimetype", open), ("content.xml", content)]).as_deref(), Some(open));
        let manifest = format!("<manifest><file-entry full-path='/' media-type='{open}-template'/></manifest>");
        assert_eq!(
            found(&[("META-INF/manifest.xml", &manifest), ("content.xml", content)]).as_deref(),
            Some("application/vnd.oasis.opendocument.text-template")
        );
        assert_eq!(kind(&[("a.txt", "hi")]), Kind::Archive);
        assert_eq!(kind(&[("mimetype", "application/vnd.oasis.opendocument.graphics")]), Kind::Unsupported);
        assert_eq!(
            kind(&[("[Content_Types].xml", &types("application/vnd.ms-visio.drawing.main+xml"))]),
            Kind::Unsupported
        );
        assert_eq!(kind(&[("[Content_Types].xml", &types(DOCX))]), Kind::Damaged);
        assert_eq!(extract(b"PK\x03\x04 and no more").unwrap_err().kind, Kind::Damaged);
    }

    #[test]
    fn what_is_encrypted_says_so() {
        let open = ("mimetype", "application/vnd.oasis.opendocument.text");
        let manifest = "<manifest><file-entry full-path='content.xml'><encryption-data/></file-entry></manifest>";
        assert_eq!(kind(&[open, ("content.xml", "x"), ("META-INF/manifest.xml", manifest)]), Kind::Encrypted);
        let rights = "<encryption><EncryptedData><EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#aes128-cbc'/>\
            </EncryptedData></encryption>";
        assert_eq!(kind(&[("mimetype", "application/epub+zip"), ("META-INF/encryption.xml", rights)]), Kind::Encrypted);
        let fonts = "<encryption><EncryptionMethod Algorithm='http://www.idpf.org/2008/embedding'/></encryption>";
        assert_eq!(kind(&[("mimetype", "application/epub+zip"), ("META-INF/encryption.xml", fonts)]), Kind::Damaged);
    }

    #[test]
    fn a_part_that_unpacks_out_of_proportion_is_refused() {
        let bomb = format!("<document><body><p><r><t>{}</t></r></p></body></document>", "a".repeat(9 << 20));
        assert_eq!(kind(&[("[Content_Types].xml", &types(DOCX)), ("word/document.xml", &bomb)]), Kind::TooComplex);
    }

    #[test]
    fn references_stay_in_the_package() {
        let resolved = |target| resolve("word/document.xml", target);
        assert_eq!(
            ["styles.xml", "../media/a.png#x", "/docProps/core.xml", "../../../../etc/passwd"].map(resolved),
            ["word/styles.xml", "media/a.png", "docProps/core.xml", "etc/passwd"]
        );
        let package = zipped(&[("A\\B.xml", "x")]);
        let mut package = Package::open(&package).unwrap();
        assert_eq!(package.text("/a/b.XML").unwrap().as_deref(), Some("x"));
        assert_eq!(package.text("c.xml").unwrap(), None);
    }

    /// A small document of each family.
    fn samples() -> Vec<Vec<u8>> {
        let sheet = "<worksheet><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' s='1'><v>45000</v></c></row></sheetData></worksheet>";
        let chapter = "<html><body><h1>A</h1><p>b</p></body></html>";
        vec![
            zipped(&[
                ("[Content_Types].xml", &types(DOCX)),
                (
                    "word/_rels/document.xml.rels",
                    "<R><R Id='a' Type='x/styles' Target='styles.xml'/><R Id='b' Type='x/footnotes' Target='f.xml'/></R>",
                ),
                ("word/styles.xml", "<styles><style styleId='H'><name val='heading 1'/></style></styles>"),
                ("word/f.xml", "<footnotes><footnote id='1'><p><r><t>note</t></r></p></footnote></footnotes>"),
                (
                    "word/document.xml",
                    "<document><p><pPr><pStyle val='H'/></pPr><r><t>A</t><footnoteReference id='1'/></r></p>\
                    <tbl><tr><tc><tcPr><gridSpan val='2'/></tcPr><p><r><t>x</t></r></p></tc></tr></tbl></document>",
                ),
            ]),
            zipped(&[
                ("mimetype", "application/vnd.oasis.opendocument.text"),
                (
                    "content.xml",
                    "<c><body><h outline-level='1'>A</h><list><list-item><p>x</p></list-item></list><table><table-row \
                    number-rows-repeated='3'><table-cell number-columns-repeated='99999'><p>c</p></table-cell></table-row></table></body></c>",
                ),
            ]),
            zipped(&[
                ("mimetype", "application/epub+zip"),
                ("META-INF/container.xml", "<c><rootfile full-path='o/p.opf'/></c>"),
                (
                    "o/p.opf",
                    "<p><item id='a' href='a.xhtml' media-type='application/xhtml+xml'/><itemref idref='a'/></p>",
                ),
                ("o/a.xhtml", chapter),
            ]),
            zipped(&[
                (
                    "[Content_Types].xml",
                    &types("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"),
                ),
                (
                    "_rels/.rels",
                    "<Relationships><Relationship Id='r' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' Target='xl/workbook.xml'/></Relationships>",
                ),
                ("xl/workbook.xml", "<workbook><sheets><sheet name='S' sheetId='1' r:id='r1'/></sheets></workbook>"),
                (
                    "xl/_rels/workbook.xml.rels",
                    "<Relationships><Relationship Id='r1' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet' Target='worksheets/sheet1.xml'/></Relationships>",
                ),
                ("xl/sharedStrings.xml", "<sst><si><t>A</t></si></sst>"),
                ("xl/worksheets/sheet1.xml", sheet),
            ]),
        ]
    }

    #[test]
    fn the_samples_are_whole() {
        for sample in samples() {
            assert!(extract(&sample).unwrap().content.contains('A'));
        }
    }

    proptest! {
        #[test]
        fn damaged_packages_end_without_a_panic(which in 0..4usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let mut bytes = samples().swap_remove(which);
            for (place, byte) in changes {
                let at = place.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = extract(&bytes);
        }

        #[test]
        fn damaged_parts_end_without_a_panic(which in 0..4usize, changes in prop::collection::vec((any::<prop::sample::Index>(), "[<>/a-z0-9'= ]{0,3}"), 1..6)) {
            let sample = samples().swap_remove(which);
            let mut package = Package::open(&sample).unwrap();
            let names: Vec<String> = package.names().map(str::to_owned).collect();
            let mut parts = Vec::new();
            for name in names {
                let text = package.text(&name).unwrap().unwrap();
                parts.push((name.replace("[content_types]", "[Content_Types]").replace("meta-inf", "META-INF"), text));
            }
            for (place, instead) in changes {
                let which = place.index(parts.len());
                let part = &mut parts[which].1;
                let at = place.index(part.len().max(1)).min(part.len().saturating_sub(1));
                if part.is_char_boundary(at) && part.is_char_boundary(at + 1) && at < part.len() {
                    part.replace_range(at..at + 1, &instead);
                }
            }
            let parts: Vec<(&str, &str)> = parts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let _ = extract(&zipped(&parts));
        }
    }
}
