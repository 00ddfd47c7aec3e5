//! A server whose calls of the system fail as planned and are written down: `faulty.c`, loaded into it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use crate::server::{ADMIN_KEY, Home, Server};

/// Kinds of calls, to be added up.
pub const READ: u64 = 1;
pub const WRITE: u64 = 2;
pub const SYNC: u64 = 4;
pub const NAME: u64 = 8;

/// What calls fail with: numbers of Linux, and one that stands for half of a call's work.
pub const EINTR: u64 = 4;
pub const EIO: u64 = 5;
pub const ENOSPC: u64 = 28;
pub const EROFS: u64 = 30;
pub const EDQUOT: u64 = 122;
pub const SHORT: u64 = 9001;

/// The plan that a server with `faulty.c` in it follows, and what it wrote down.
pub struct Faulty {
    home: Arc<Home>,
    plan: File,
}

impl Faulty {
    pub fn new(home: &Arc<Home>) -> Faulty {
        let plan = File::options().create(true).truncate(true).read(true).write(true).open(home.path().join("plan"));
        let plan = plan.unwrap();
        plan.set_len(4096).unwrap();
        Faulty { home: home.clone(), plan }
    }

    /// A server that follows the plan.
    pub fn server(&self, environment: &[(&str, &str)]) -> Server {
        let mut command = self.home.carrel(&["serve"]);
        command.env("CARREL_ADMIN_KEY", ADMIN_KEY).envs(environment.iter().copied());
        self.load_into(&mut command);
        Server::launch(self.home.clone(), command)
    }

    /// Lets `command` follow the plan.
    pub fn load_into(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library());
        command.env("FAULTY_ROOT", self.home.data()).env("FAULTY_PLAN", self.home.path().join("plan"));
    }

    /// A server that writes down what it changes.
    pub fn recorded_server(&self) -> Server {
        let log = self.log();
        self.server(&[("FAULTY_LOG", log.to_str().unwrap())])
    }

    pub fn log(&self) -> PathBuf {
        self.home.path().join("changes.log")
    }

    /// Bytes written down so far.
    pub fn recorded(&self) -> u64 {
        self.log().metadata().map_or(0, |m| m.len())
    }

    /// Lets `many` calls of these kinds fail with `error`, from the `first` one on that is made of `part`'s files
    /// from now on; of all files where it is empty.
    pub fn fail(&self, kinds: u64, part: &str, first: u64, many: u64, error: u64) {
        self.heal();
        let mut name = [0; 256];
        name[..part.len()].copy_from_slice(part.as_bytes());
        self.plan.write_all_at(&name, 64).unwrap();
        for (place, value) in [(0, 0), (1, 0), (4, many), (5, error), (3, first), (2, kinds)] {
            self.set(place, value);
        }
    }

    /// Lets nothing fail any more.
    pub fn heal(&self) {
        self.set(2, 0);
        self.set(3, 0);
    }

    /// Calls that were counted since [`Faulty::fail`].
    pub fn seen(&self) -> u64 {
        self.get(0)
    }

    /// Sets the wall clock ahead, or back.
    pub fn set_clock(&self, seconds: i64) {
        self.set(6, seconds as u64);
    }

    /// Lets the directory lie on a file system of this type.
    pub fn set_file_system(&self, magic: u64) {
        self.set(7, magic);
    }

    fn set(&self, place: u64, value: u64) {
        self.plan.write_all_at(&value.to_ne_bytes(), place * 8).unwrap();
    }

    fn get(&self, place: u64) -> u64 {
        let mut bytes = [0; 8];
        self.plan.read_exact_at(&mut bytes, place * 8).unwrap();
        u64::from_ne_bytes(bytes)
    }
}

/// The library, compiled once by the C compiler that a build needs anyway.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faulty.c");
        let library = tempfile::Builder::new().prefix("carrel-faulty-").suffix(".so").tempfile().unwrap();
        let (_, library) = library.keep().unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let built = Command::new(compiler).args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).output();
        let built = built.unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    })
}
