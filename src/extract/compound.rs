//! Compound files (OLE2): old workbooks are read; encrypted documents and the other old formats say what they are.

use std::io::{Cursor, Read};

use super::fault::{Fault, Kind};
use super::{Extracted, spreadsheet};

/// Bytes of a workbook's stream.
const LARGEST: u64 = 128 << 20;

/// The text of a compound file.
///
/// # Errors
/// [`Kind::Encrypted`], [`Kind::Unsupported`] with what to do, and what the reader of workbooks meets.
pub fn extract(bytes: &[u8]) -> Result<Extracted, Fault> {
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes))
        .map_err(|e| Fault::damaged(format!("it is no whole compound file: {e}")))?;
    if file.is_stream("/EncryptedPackage") {
        let message = "the file is protected by a password: save it without one and send it again";
        return Err(Fault::new(Kind::Encrypted, message));
    }
    for name in ["/Workbook", "/Book"] {
        if file.is_stream(name) {
            let stream = file.open_stream(name).map_err(Fault::damaged)?;
            let mut records = Vec::new();
            stream.take(LARGEST + 1).read_to_end(&mut records).map_err(Fault::damaged)?;
            if records.len() as u64 > LARGEST {
                return Err(Fault::too_complex(format!("its workbook is longer than {} MiB", LARGEST >> 20)));
            }
            return spreadsheet::compound(bytes, &records);
        }
    }
    let message = match file {
        file if file.is_stream("/WordDocument") => "a Word document of the old kind is not taken in: save it as .docx",
        file if file.is_stream("/PowerPoint Document") => {
            "a PowerPoint presentation of the old kind is not taken in: save it as .pptx"
        }
        file if file.is_stream("/__properties_version1.0") => "an Outlook message is not taken in: save it as .eml",
        _ => "a compound file of this kind is not taken in",
    };
    Err(Fault::new(Kind::Unsupported, message))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn fault(stream: &str) -> Fault {
        let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        file.create_stream(stream).unwrap().write_all(&[7; 5000]).unwrap();
        extract(&file.into_inner().into_inner()).unwrap_err()
    }

    #[test]
    fn what_cannot_be_read_says_what_to_do() {
        assert_eq!(fault("/EncryptedPackage").kind, Kind::Encrypted);
        for (stream, advice) in
            [("/WordDocument", ".docx"), ("/PowerPoint Document", ".pptx"), ("/__properties_version1.0", ".eml")]
        {
            let fault = fault(stream);
            assert!(fault.kind == Kind::Unsupported && fault.message.contains(advice), "{fault:?}");
        }
        assert_eq!(fault("/Workbook").kind, Kind::Damaged);
        assert_eq!(extract(&[0xD0; 600]).unwrap_err().kind, Kind::Damaged);
    }
}
