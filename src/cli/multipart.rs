//! Forms as a command sends them: of bytes that are there, or of a file as it is read.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::fs::File;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

/// Bytes of a file that are read at once.
const PIECE: usize = 64 << 10;

/// A `multipart/form-data` body of one file and some fields, and its media type.
pub fn form(name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> (String, Bytes) {
    of_files(&[(name, bytes)], fields)
}

/// The same of several files.
pub fn of_files(files: &[(&str, &[u8])], fields: &[(&str, &str)]) -> (String, Bytes) {
    let boundary = boundary();
    let size: usize = files.iter().map(|(name, bytes)| bytes.len() + name.len() + 256).sum();
    let mut body = Vec::with_capacity(size + 512);
    body.extend_from_slice(opening(&boundary, fields).as_bytes());
    for (name, bytes) in files {
        body.extend_from_slice(head(&boundary, name).as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(ending(&boundary).as_bytes());
    (kind(&boundary), Bytes::from(body))
}

/// The same of one file that is read while it is sent, and so never in memory whole.
pub fn of_open_file(
    name: &str,
    file: File,
    fields: &[(&str, &str)],
) -> (String, impl Stream<Item = std::io::Result<Bytes>> + Send + use<>) {
    let boundary = boundary();
    let before = opening(&boundary, fields) + &head(&boundary, name);
    let after = format!("\r\n{}", ending(&boundary));
    let piece = |text: String| stream::iter([Ok(Bytes::from(text))]);
    (kind(&boundary), piece(before).chain(ReaderStream::with_capacity(file, PIECE)).chain(piece(after)))
}

/// Whether a name comes out of a form as it went in.
pub fn is_kept(name: &str) -> bool {
    !name.contains(['"', '\r', '\n', '\\'])
}

fn boundary() -> String {
    format!("carrel-{}", Uuid::now_v7().simple())
}

fn kind(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

fn opening(boundary: &str, fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect()
}

fn head(boundary: &str, name: &str) -> String {
    // What HTML says of names in forms: quotes and line breaks are percent-encoded, nothing else is.
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
}

fn ending(boundary: &str) -> String {
    format!("--{boundary}--\r\n")
}
