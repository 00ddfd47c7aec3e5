//! A zip of parts: opens it within bounds, tells which format its parts make up, and has it read.
//!
//! Everything stays in memory: names in the zip are looked up, never written anywhere.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::fault::{Fault, Kind};
use super::xml_events::{Node, Nodes};
use super::{Extracted, docx, epub, opendocument, opendocument_sheets, pptx, spreadsheet};

/// Parts that a document may have.
const MOST_PARTS: usize = 50_000;
/// Bytes that one part may unpack to.
const LARGEST_PART: u64 = 128 << 20;
/// Bytes that all parts that are read may unpack to together.
const LARGEST: u64 = 256 << 20;

/// A part that unpacks to more than this, and to so many times what it takes, was made to do so.
const LARGE_PART: u64 = 8 << 20;
const LARGEST_RATIO: u64 = 200;

/// An opened package.
pub struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Where each part is, by its name in small letters with `/` between its folders.
    places: HashMap<String, usize>,
    /// Bytes that may still be unpacked.
    left: u64,
}

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Document,
    Presentation,
    Workbook,
    BinaryWorkbook,
    OpenText,
    OpenPresentation,
    OpenSpreadsheet,
    Book,
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
        Family::OpenSpreadsheet => opendocument_sheets::extract(&mut package)?,
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
        let archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|e| Fault::damaged(format!("it is no whole zip: {e}")))?;
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
            let bound = format!("it unpacks to more than {} MiB", most >> 20);
            return Err(Fault::too_complex(bound));
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

/// Which format its parts make up, and the media type of it.
fn family(package: &mut Package<'_>) -> Result<(Family, String), Fault> {
    if let Some(stated) = package.text("mimetype")? {
        let stated = stated.trim();
        if let Some(family) = of_open_document(stated) {
            check_encryption(package)?;
            return Ok((family, stated.to_owned()));
        }
        if stated.starts_with("application/vnd.oasis.") {
            return Err(Fault::new(Kind::Unsupported, format!("{stated} is not taken in")));
        }
    }
    if let Some(types) = package.text("[Content_Types].xml")? {
        return of_open_xml(&types);
    }
    if package.has("META-INF/container.xml") {
        check_encryption(package)?;
        return Ok((Family::Book, "application/epub+zip".to_owned()));
    }
    if let Some(stated) = stated_in_manifest(package)?
        && let Some(family) = of_open_document(&stated)
    {
        check_encryption(package)?;
        return Ok((family, stated));
    }
    Err(Fault::new(
        Kind::Archive,
        "a zip is an archive of documents, not a document: send it as a job, which takes in what it holds",
    ))
}

fn of_open_document(stated: &str) -> Option<Family> {
    if stated == "application/epub+zip" {
        return Some(Family::Book);
    }
    let kind = stated.strip_prefix("application/vnd.oasis.opendocument.")?;
    Some(match kind.strip_suffix("-template").unwrap_or(kind) {
        "text" | "text-master" | "text-web" => Family::OpenText,
        "presentation" => Family::OpenPresentation,
        "spreadsheet" => Family::OpenSpreadsheet,
        _ => return None,
    })
}

/// Main parts of Office Open XML, what they make up and its media type.
const MAIN_PARTS: &[(&str, Family, &str)] = &[
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Family::Document, ""),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.template", Family::Document, ""),
    ("application/vnd.ms-word.document.macroEnabled", Family::Document, ".12"),
    (
        "application/vnd.ms-word.template.macroEnabledTemplate",
        Family::Document,
        "application/vnd.ms-word.template.macroEnabled.12",
    ),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", Family::Presentation, ""),
    ("application/vnd.openxmlformats-officedocument.presentationml.slideshow", Family::Presentation, ""),
    ("application/vnd.openxmlformats-officedocument.presentationml.template", Family::Presentation, ""),
    ("application/vnd.ms-powerpoint.presentation.macroEnabled", Family::Presentation, ".12"),
    ("application/vnd.ms-powerpoint.slideshow.macroEnabled", Family::Presentation, ".12"),
    ("application/vnd.ms-powerpoint.template.macroEnabled", Family::Presentation, ".12"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Family::Workbook, ""),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.template", Family::Workbook, ""),
    ("application/vnd.ms-excel.sheet.macroEnabled", Family::Workbook, ".12"),
    ("application/vnd.ms-excel.template.macroEnabled", Family::Workbook, ".12"),
    ("application/vnd.ms-excel.sheet.binary.macroEnabled", Family::BinaryWorkbook, ".12"),
];

fn of_open_xml(types: &str) -> Result<(Family, String), Fault> {
    let mut nodes = Nodes::of(types);
    while let Some(node) = nodes.next()? {
        let Node::Start(element) = node else { continue };
        let Some(stated) = element.attribute("ContentType") else { continue };
        // The binary workbook's main part is no XML.
        let Some(main) = stated.strip_suffix(".main+xml").or_else(|| stated.strip_suffix(".main")) else { continue };
        for (name, family, ending) in MAIN_PARTS {
            if main.eq_ignore_ascii_case(name) {
                let media_type = if ending.starts_with('a') { (*ending).to_owned() } else { format!("{name}{ending}") };
                return Ok((*family, media_type));
            }
        }
    }
    Err(Fault::new(
        Kind::Unsupported,
        "an Office Open XML package that is no text, presentation or workbook is not taken in",
    ))
}

fn stated_in_manifest(package: &mut Package<'_>) -> Result<Option<String>, Fault> {
    let Some(manifest) = package.text("META-INF/manifest.xml")? else { return Ok(None) };
    let mut nodes = Nodes::of(&manifest);
    while let Some(node) = nodes.next()? {
        if let Node::Start(element) = node
            && element.attribute("full-path").as_deref() == Some("/")
        {
            return Ok(element.attribute("media-type"));
        }
    }
    Ok(None)
}

/// Fonts are often scrambled in books, which keeps nobody from reading them.
const SCRAMBLED_FONTS: &[&str] = &["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];

fn check_encryption(package: &mut Package<'_>) -> Result<(), Fault> {
    for name in ["META-INF/manifest.xml", "META-INF/encryption.xml"] {
        let Some(text) = package.text(name)? else { continue };
        let mut nodes = Nodes::of(&text);
        while let Some(node) = nodes.next()? {
            let Node::Start(element) = node else { continue };
            let is_encrypted = match element.name() {
                "encryption-data" => true,
                "EncryptionMethod" => {
                    element.attribute("Algorithm").is_some_and(|method| !SCRAMBLED_FONTS.contains(&method.as_str()))
                }
                _ => false,
            };
            if is_encrypted {
                return Err(Fault::new(
                    Kind::Encrypted,
                    "the file is protected by a password or by digital rights management",
                ));
            }
        }
    }
    Ok(())
}
