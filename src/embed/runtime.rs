//! ONNX Runtime's shared library: carried by the binary, unpacked into memory, loaded once.

use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use ort::environment::Environment;

use crate::error::{Error, Result};

/// The library, compressed by `build.rs`.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/onnxruntime.zst"));

/// Loads the runtime, the first time; later calls give the first one's answer.
///
/// `ORT_DYLIB_PATH` names another library to load. Where the system has no files in memory, the library passes
/// through a file in `scratch`, which only this user can read or write and which goes once it is loaded.
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
    let path = scratch.join(format!("onnxruntime-{}{}", uuid::Uuid::now_v7(), std::env::consts::DLL_SUFFIX));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Closed before it is loaded, because Windows loads no file that is open for writing.
    let written = options.open(&path).and_then(|mut file| file.write_all(library)).map_err(|e| e.to_string());
    let environment = written.and_then(|()| init(&path));
    // Where a loaded file cannot go, it goes with the rest of the scratch directory at the next start.
    let _ = std::fs::remove_file(&path);
    environment
}

fn init(path: &Path) -> Result<Environment, String> {
    let environment = ort::init_from(path).map_err(|e| e.to_string())?;
    environment.with_name("carrel").with_telemetry(false).build().map_err(|e| e.to_string())
}
