//! SHA-256 as text: what originals and models are known by.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The first eight bytes of the SHA-256 of `bytes`: enough to tell damage, in the width of a column.
pub fn short_sum(bytes: &[u8]) -> i64 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | i64::from(*byte))
}

/// Copies `input` to `output`, some kilobytes at a time. The number of bytes and their SHA-256.
pub fn copy(mut input: impl Read, output: impl Write) -> std::io::Result<(u64, String)> {
    let mut hashing = Hashing { output, hash: Sha256::new() };
    let size = std::io::copy(&mut input, &mut hashing)?;
    Ok((size, hex(&hashing.hash.finalize())))
}

struct Hashing<W> {
    output: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}
