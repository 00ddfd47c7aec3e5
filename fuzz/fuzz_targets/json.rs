#![no_main]

use carrel::extract::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    carrel_fuzz::read(Format::Json, None, bytes);
    carrel_fuzz::read(Format::Json, Some("a.ipynb"), bytes);
    carrel_fuzz::read(Format::JsonLines, None, bytes);
});
