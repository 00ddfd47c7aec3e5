#![no_main]

use carrel::extract::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for name in [None, Some("a.pdf"), Some("a.json")] {
        if let Ok(format) = Format::detect(bytes, name, None) {
            assert!(!format.media_type().is_empty());
        }
    }
});
