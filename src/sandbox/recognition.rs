//! Text in pictures, through a `tesseract` where the machine has one.
//!
//! It is a large program that reads hostile files, so it runs confined too: it may read what is installed, and
//! reach nothing else.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::confine::{self, Bounds};
use super::{Limits, RECOGNITION_VERB};
use crate::extract::Fault;

/// The program, and the variable that says where its languages lie.
const PROGRAM: &str = "tesseract";
const LANGUAGES_AT: &str = "TESSDATA_PREFIX";
/// Bytes of text of one page.
const LONGEST: u64 = 1 << 20;
/// Where programs and what they need are installed.
#[cfg(target_os = "linux")]
const INSTALLED: [&str; 10] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/dev/null",
    "/proc/self",
];

/// Reads pictures.
#[derive(Debug, Clone)]
pub struct Recognizer {
    program: PathBuf,
    languages: String,
}

impl Recognizer {
    /// The one on this machine that reads `languages`, as it names them: `eng+deu`. `None` where there is none.
    pub fn find(languages: &str) -> Option<Recognizer> {
        let paths = std::env::var_os("PATH")?;
        let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
        let program = std::env::split_paths(&paths).map(|path| path.join(&name)).find(|path| path.is_file())?;
        Some(Recognizer { program, languages: languages.to_owned() })
    }

    /// Where it lies.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Those of its languages that it has not got.
    ///
    /// # Errors
    /// Where the program cannot be run.
    pub fn missing(&self) -> io::Result<Vec<String>> {
        let listed = Command::new(&self.program).arg("--list-langs").output()?;
        // Some versions list them as an error.
        let said = [listed.stdout, listed.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let has = |language: &&str| said.lines().any(|line| line.trim() == *language);
        Ok(self.languages.split('+').filter(|language| !has(language)).map(str::to_owned).collect())
    }

    /// The text of a picture; empty where there is none. `carrel` is this program, which confines the other.
    ///
    /// # Errors
    /// Where the picture is none, or takes too long.
    pub fn recognize(&self, carrel: &Path, limits: Limits, picture: &[u8]) -> Result<String, Fault> {
        let mut command = Command::new(carrel);
        command.arg(RECOGNITION_VERB).arg("--program").arg(&self.program).args(["--languages", &self.languages]);
        command.args(["--memory", &limits.memory.to_string(), "--seconds", &limits.seconds.to_string()]);
        command.env_clear().envs(std::env::var_os(LANGUAGES_AT).map(|path| (LANGUAGES_AT, path)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let text = converse(&mut command, picture, Duration::from_secs(limits.seconds));
        text.map_err(|error| {
            tracing::warn!(%error, "text recognition failed");
            Fault::damaged("no text could be recognized in its picture")
        })
    }
}

/// Gives a program its input, and takes its output, within a limit.
fn converse(command: &mut Command, input: &[u8], limit: Duration) -> io::Result<String> {
    let mut child = command.spawn()?;
    let (to, from) = (child.stdin.take(), child.stdout.take());
    let (done, over) = channel::<()>();
    let (text, status) = std::thread::scope(|scope| {
        // One that ends early does not want the rest.
        scope.spawn(move || to.map(|mut to| to.write_all(input)));
        let reading = scope.spawn(move || {
            let mut text = Vec::new();
            let read = from.map_or(Ok(0), |from| from.take(LONGEST).read_to_end(&mut text));
            drop(done);
            read.map(|_| text)
        });
        if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            child.kill()?;
        }
        let text = reading.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        // Whoever says more than is wanted need not finish.
        let _ = text.as_ref().is_ok_and(|text| text.len() as u64 >= LONGEST).then(|| child.kill());
        Ok::<_, io::Error>((text, child.wait()?))
    })?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&text?).into_owned()),
        false => Err(io::Error::other(status.to_string())),
    }
}

/// Becomes the program, confined. Returns only where that fails.
pub fn become_confined(program: &Path, languages: &str, bounds: Bounds) -> io::Error {
    #[cfg(unix)]
    {
        let is_bounded = confine::bound(bounds);
        if let Err(error) = is_bounded {
            return error;
        }
        let mut command = Command::new(program);
        command.args(["stdin", "stdout", "-l", languages]).env("OMP_THREAD_LIMIT", "1");
        #[cfg(target_os = "linux")]
        {
            let own = [program.parent().map(Path::to_owned), std::env::var_os(LANGUAGES_AT).map(PathBuf::from)];
            let own = own.into_iter().flatten();
            let readable: Vec<PathBuf> = INSTALLED.iter().map(PathBuf::from).chain(own).collect();
            if let Err(error) = confine::wall(&readable) {
                return io::Error::other(error.to_string());
            }
            if !confine::forbid_reaching_out() {
                return io::Error::other("system calls cannot be filtered");
            }
        }
        std::os::unix::process::CommandExt::exec(&mut command)
    }
    #[cfg(not(unix))]
    {
        let _ = (program, languages, bounds);
        io::ErrorKind::Unsupported.into()
    }
}
