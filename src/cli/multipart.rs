//! Forms as a command sends them.

use bytes::Bytes;
use uuid::Uuid;

/// A `multipart/form-data` body of one file and some fields, and its media type.
pub fn form(name: &str, bytes: &[u8], fields: &[(&str, &str)]) -> (String, Bytes) {
    let boundary = format!("carrel-{}", Uuid::now_v7().simple());
    let mut body = Vec::with_capacity(bytes.len() + 512);
    for (field, value) in fields {
        let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    // What HTML says of names in forms: quotes and line breaks are percent-encoded, nothing else is.
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), Bytes::from(body))
}
