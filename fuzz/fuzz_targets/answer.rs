#![no_main]

use carrel::sandbox::answer;

// What a reader says that a document has taken over.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(Ok(found)) = answer::document(&mut &bytes[..]) {
        if let Ok(found) = carrel::extract::checked(found) {
            carrel_fuzz::keeps_its_promises(&found);
        }
    }
    let mut rest = bytes;
    while let Ok(Some(Ok(_))) = answer::unpacked(&mut rest) {}
});
