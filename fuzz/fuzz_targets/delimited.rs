#![no_main]

use carrel::extract::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    carrel_fuzz::read(Format::Csv, None, bytes);
    carrel_fuzz::read(Format::Tsv, None, bytes);
});
