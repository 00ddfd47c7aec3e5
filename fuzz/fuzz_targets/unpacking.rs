#![no_main]

use std::io::{self, Seek, Write};

use carrel::sandbox::{answer, unpacking};

/// What an archive may unpack to, and what whoever receives it takes.
const BYTES: u64 = 1 << 20;
const RECEIVED: usize = 4 << 20;

// An archive, taken apart: what is sent of it can be understood, and comes to an end.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut archive = tempfile::tempfile().unwrap();
    archive.write_all(bytes).unwrap();
    archive.rewind().unwrap();
    let mut received = Receiver(Vec::new());
    if unpacking::send(archive, BYTES, &mut received).is_ok() {
        let mut sent = received.0.as_slice();
        while let Some(Ok(_)) = answer::unpacked(&mut sent).unwrap() {}
        assert!(sent.is_empty(), "nothing comes after the end");
    }
});

/// Goes away once it has had enough.
struct Receiver(Vec<u8>);

impl Write for Receiver {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.len() + bytes.len() > RECEIVED {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
