//! Documents in other formats than text, written by hand: as small as each format allows.

use std::io::{Cursor, Write};

/// A zip of parts.
pub fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        out.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(content.as_bytes()).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// A PDF with a page for each text, in lines of Helvetica; a page without lines bears a grey picture.
pub fn pdf(pages: &[&[&str]]) -> Vec<u8> {
    let mut objects =
        vec![String::new(), String::new(), "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".into()];
    objects.push("<< /Type /XObject /Subtype /Image /Width 2 /Height 2 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 4 >>\nstream\nabcd\nendstream".into());
    let mut kids = String::new();
    for lines in pages {
        let mut content = String::new();
        for (number, line) in lines.iter().enumerate() {
            let line = line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
            content += &format!("BT /F1 12 Tf 72 {} Td ({line}) Tj ET\n", 720 - 20 * number);
        }
        if lines.is_empty() {
            content += "q 500 0 0 700 50 50 cm /P Do Q\n";
        }
        let page = objects.len() + 1;
        kids += &format!("{page} 0 R ");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R
               /Resources << /Font << /F1 3 0 R >> /XObject << /P 4 0 R >> >> >>",
            page + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    objects[0] = "<< /Type /Catalog /Pages 2 0 R >>".into();
    objects[1] = format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len());
    written(&objects, "")
}

/// A PDF of these objects.
pub fn written(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", number + 1).bytes());
    }
    let table = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    places.iter().for_each(|place| out.extend(format!("{place:010} 00000 n \n").bytes()));
    let size = objects.len() + 1;
    out.extend(format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n").bytes());
    out
}

const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const SLIDES: &str = "http://schemas.openxmlformats.org/presentationml/2006/main";
const DRAWING: &str = "http://schemas.openxmlformats.org/drawingml/2006/main";
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

fn types(part: &str, kind: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Types xmlns=\"{TYPES}\"><Override PartName=\"/{part}\" ContentType=\"application/vnd.openxmlformats-officedocument.{kind}.main+xml\"/></Types>"
    )
}

fn relations(of: &[(&str, &str, &str)]) -> String {
    let each = of
        .iter()
        .map(|(id, kind, target)| format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>"));
    format!("<?xml version=\"1.0\"?><Relationships xmlns=\"{RELATIONS}\">{}</Relationships>", each.collect::<String>())
}

/// A paragraph of a Word document; `style` such as `Heading1`.
pub fn paragraph(style: Option<&str>, text: &str) -> String {
    let style = style.map(|style| format!("<w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr>")).unwrap_or_default();
    format!("<w:p>{style}<w:r><w:t>{text}</w:t></w:r></w:p>")
}

/// A Word document with this body.
pub fn docx(body: &str) -> Vec<u8> {
    let document =
        format!("<?xml version=\"1.0\"?><w:document xmlns:w=\"{WORD}\"><w:body>{body}</w:body></w:document>");
    package(&[
        ("[Content_Types].xml", &types("word/document.xml", "wordprocessingml.document")),
        ("_rels/.rels", &relations(&[("r1", "officeDocument", "word/document.xml")])),
        ("word/document.xml", &document),
    ])
}

/// A workbook with one sheet called `Pumps`, whose data this is.
pub fn xlsx(data: &str) -> Vec<u8> {
    let workbook = format!(
        "<?xml version=\"1.0\"?><workbook xmlns=\"{SHEET}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"Pumps\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let sheet =
        format!("<?xml version=\"1.0\"?><worksheet xmlns=\"{SHEET}\"><sheetData>{data}</sheetData></worksheet>");
    package(&[
        ("[Content_Types].xml", &types("xl/workbook.xml", "spreadsheetml.sheet")),
        ("_rels/.rels", &relations(&[("r1", "officeDocument", "xl/workbook.xml")])),
        ("xl/workbook.xml", &workbook),
        ("xl/_rels/workbook.xml.rels", &relations(&[("r1", "worksheet", "worksheets/sheet1.xml")])),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

/// A row of a sheet.
pub fn row(number: u32, cells: &[&str]) -> String {
    let cell = |(place, text): (usize, &&str)| {
        let column = char::from(b'A' + place as u8);
        format!("<c r=\"{column}{number}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
    };
    format!("<row r=\"{number}\">{}</row>", cells.iter().enumerate().map(cell).collect::<String>())
}

/// A presentation with a slide for each text.
pub fn pptx(slides: &[&str]) -> Vec<u8> {
    let name = |number: usize| format!("slides/slide{number}.xml");
    let ids = (1..=slides.len()).map(|n| format!("<p:sldId id=\"{}\" r:id=\"r{n}\"/>", 255 + n)).collect::<String>();
    let presentation = format!(
        "<?xml version=\"1.0\"?><p:presentation xmlns:p=\"{SLIDES}\" xmlns:r=\"{OFFICE}\"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    );
    let slide = |text: &str| {
        format!(
            "<?xml version=\"1.0\"?><p:sld xmlns:p=\"{SLIDES}\" xmlns:a=\"{DRAWING}\"><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
        )
    };
    let slides: Vec<(String, String, String)> = slides
        .iter()
        .enumerate()
        .map(|(place, text)| (format!("r{}", place + 1), name(place + 1), slide(text)))
        .collect();
    let related: Vec<(&str, &str, &str)> =
        slides.iter().map(|(id, name, _)| (id.as_str(), "slide", name.as_str())).collect();
    let mut parts = vec![
        ("[Content_Types].xml".to_owned(), types("ppt/presentation.xml", "presentationml.presentation")),
        ("_rels/.rels".to_owned(), relations(&[("r1", "officeDocument", "ppt/presentation.xml")])),
        ("ppt/presentation.xml".to_owned(), presentation),
        ("ppt/_rels/presentation.xml.rels".to_owned(), relations(&related)),
    ];
    parts.extend(slides.iter().map(|(_, name, slide)| (format!("ppt/{name}"), slide.clone())));
    package(&parts.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect::<Vec<_>>())
}
