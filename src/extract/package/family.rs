//! Which format a package is in, by its parts, and whether it is encrypted.

use super::Package;
use crate::extract::fault::{Fault, Kind};
use crate::extract::xml_events::{Node, Nodes};

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Document,
    Presentation,
    Workbook,
    BinaryWorkbook,
    OpenText,
    OpenPresentation,
    OpenSpreadsheet,
    Book,
}

/// Which format its parts make up, and the media type of it.
pub fn family(package: &mut Package<'_>) -> Result<(Family, String), Fault> {
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
