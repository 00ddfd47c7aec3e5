//! Fetches ONNX Runtime's shared library and packs it for the binary to carry.
//!
//! In this order: `ORT_LIB` (the library itself), `ORT_WHEEL_DIR` (a folder with the wheel named below), or pip, which
//! downloads the wheel. What comes in a wheel must have the pinned hash.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sha2::{Digest, Sha256};

const VERSION: &str = "1.31.1";

/// The wheel of one platform.
struct Wheel {
    /// pip's word for the platform.
    platform: &'static str,
    sha256: &'static str,
    /// The library inside.
    member: &'static str,
}

fn main() {
    for variable in ["ORT_LIB", "ORT_WHEEL_DIR"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    match library(&out) {
        Ok(library) => {
            let packed = zstd::encode_all(library.as_slice(), 9).expect("memory can be compressed");
            fs::write(out.join("onnxruntime.zst"), packed).expect("OUT_DIR can be written");
        }
        Err(why) => {
            eprintln!(
                "ONNX Runtime {VERSION} is needed and {why}: install Python with pip, or set ORT_LIB to the shared \
                 library or ORT_WHEEL_DIR to a folder with its wheel."
            );
            std::process::exit(1);
        }
    }
}

fn library(out: &Path) -> Result<Vec<u8>, String> {
    if let Some(path) = env::var_os("ORT_LIB") {
        return fs::read(&path).map_err(|e| format!("ORT_LIB cannot be read ({e})"));
    }
    let wheel = wheel()?;
    let folder = env::var_os("ORT_WHEEL_DIR").map(PathBuf::from);
    let name = format!("onnxruntime-{VERSION}-cp311-cp311-{}.whl", wheel.platform);
    let (path, downloaded) = match folder {
        Some(folder) => (folder.join(&name), false),
        None => {
            download(&wheel, out)?;
            (out.join(&name), true)
        }
    };
    let bytes = fs::read(&path).map_err(|e| format!("{name} cannot be read ({e})"))?;
    let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    if hash != wheel.sha256 {
        return Err(format!("{name} has the wrong SHA-256 ({hash})"));
    }
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|e| format!("{name} is damaged ({e})"))?;
    let mut member = archive.by_name(wheel.member).map_err(|e| format!("{name} is damaged ({e})"))?;
    let mut library = Vec::new();
    member.read_to_end(&mut library).map_err(|e| format!("{name} is damaged ({e})"))?;
    if downloaded {
        fs::remove_file(&path).map_err(|e| format!("{name} cannot be removed ({e})"))?;
    }
    Ok(library)
}

fn wheel() -> Result<Wheel, String> {
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    match (os.as_str(), arch.as_str()) {
        ("linux", "x86_64") => Ok(Wheel {
            platform: "manylinux_2_28_x86_64",
            sha256: "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
            member: "onnxruntime/capi/libonnxruntime.so.1.31.1",
        }),
        ("linux", "aarch64") => Ok(Wheel {
            platform: "manylinux_2_28_aarch64",
            sha256: "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
            member: "onnxruntime/capi/libonnxruntime.so.1.31.1",
        }),
        ("macos", "aarch64") => Ok(Wheel {
            platform: "macosx_14_0_arm64",
            sha256: "60b6b69bfe580eab576cacc5d132a0e9cf2a37fcfd18d46dd191042b1d1ed0d7",
            member: "onnxruntime/capi/libonnxruntime.1.31.1.dylib",
        }),
        ("windows", "x86_64") => Ok(Wheel {
            platform: "win_amd64",
            sha256: "c3d91b5de31e2fc82d71bd65b2b22bddee8b49057a3a36338e9a868e0ea90c05",
            member: "onnxruntime/capi/onnxruntime.dll",
        }),
        _ => Err(format!("there is no wheel of it for {os} on {arch}")),
    }
}

fn download(wheel: &Wheel, out: &Path) -> Result<(), String> {
    let requirement = format!("onnxruntime=={VERSION}");
    let mut failure = "no Python was found".to_owned();
    for python in ["python3", "python"] {
        let pip = Command::new(python)
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--disable-pip-version-check",
            ])
            .args(["--python-version", "311", "--implementation", "cp", "--abi", "cp311", "--platform", wheel.platform])
            .arg("--dest")
            .arg(out)
            .arg(&requirement)
            .output();
        match pip {
            Ok(pip) if pip.status.success() => return Ok(()),
            // What pip says may name the registry, and a build log is public.
            Ok(_) => failure = format!("{python} -m pip could not download it"),
            Err(_) => {}
        }
    }
    Err(failure)
}
