//! ONNX Runtime's shared library: carried by the binary, unpacked into memory, loaded once.

use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;

use crate::error::{Error, Result};

/// The library, compressed by `build.rs`.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/onnxruntime.zst"));

/// Loads the runtime, the first time; later calls give the first one's answer.
///
/// `ORT_DYLIB_PATH` names another library to load. Where the system has no files in memory, the library is written
/// to `scratch`, which must belong to this process alone.
///
/// # Errors
/// One sentence that names the library which could not be loaded.
pub fn load(scratch: &Path) -> Result<&'static Environment> {
    static LOADED: OnceLock<Result<Environment, String>> = OnceLock::new();
    LOADED.get_or_init(|| try_load(scratch)).as_ref().map_err(|why| Error::Unavailable(why.clone()))
}

fn try_load(scratch: &Path) -> Result<Environment, String> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        let path = Path::new(&path);
        return init(path)
            .map_err(|e| format!("ORT_DYLIB_PATH names no usable ONNX Runtime ({}): {e}", path.display()));
    }
    let library = zstd::decode_all(LIBRARY).map_err(|e| format!("the ONNX Runtime in this binary is damaged: {e}"))?;
    place_and_init(&library, scratch).map_err(|e| format!("the ONNX Runtime in this binary cannot be loaded: {e}"))
}

#[cfg(target_os = "linux")]
fn place_and_init(library: &[u8], scratch: &Path) -> Result<Environment, String> {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    let Ok(memory) = rustix::fs::memfd_create("onnxruntime", rustix::fs::MemfdFlags::CLOEXEC) else {
        return write_and_init(library, scratch);
    };
    let mut file = std::fs::File::from(memory);
    file.write_all(library).map_err(|e| e.to_string())?;
    // Once mapped the library needs the file no more, so it is closed on return.
    match init(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd()))) {
        Err(_) => write_and_init(library, scratch),
        ok => ok,
    }
}

#[cfg(not(target_os = "linux"))]
fn place_and_init(library: &[u8], scratch: &Path) -> Result<Environment, String> {
    write_and_init(library, scratch)
}

fn write_and_init(library: &[u8], scratch: &Path) -> Result<Environment, String> {
    let path = scratch.join(format!("onnxruntime-{}", uuid::Uuid::now_v7()));
    std::fs::write(&path, library).map_err(|e| e.to_string())?;
    init(&path)
}

fn init(path: &Path) -> Result<Environment, String> {
    let environment = ort::init_from(path).map_err(|e| e.to_string())?;
    environment.with_name("carrel").with_telemetry(false).build().map_err(|e| e.to_string())
}
