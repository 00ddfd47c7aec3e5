//! Text in pictures, through a `tesseract` where the machine has one.
//!
//! It is a large program that reads hostile files, so it runs confined too: it may read what is installed, and
//! reach nothing else.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::confine::{self, Bounds};
use super::{Limits, RECOGNITION_VERB};
use crate::extract::Fault;

/// The program, and the variable that says where its languages lie.
const PROGRAM: &str = "tesseract";
const LANGUAGES_AT: &str = "TESSDATA_PREFIX";
/// Bytes of text of one page.
const LONGEST: u64 = 1 << 20;
/// How often it is asked whether the program has ended, once it has said all.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Where programs and what they need are installed.
const INSTALLED: [&str; 9] =
    ["/usr", "/lib", "/lib64", "/bin", "/nix/store", "/gnu/store", "/etc/ld.so.cache", "/dev/null", "/proc/self"];

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

    /// Whether it may read what lies in a directory, which then is no place for secrets.
    pub fn reaches(&self, directory: &Path) -> bool {
        let resolved = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        readable(&self.program).iter().any(|open| resolved.starts_with(open))
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

/// What the program may read: what is installed, and what belongs to it.
fn readable(program: &Path) -> Vec<PathBuf> {
    let installed = if cfg!(target_os = "linux") { INSTALLED.as_slice() } else { &[] };
    let folder = program.parent();
    let tree = folder.and_then(Path::parent).filter(|tree| *tree != Path::new("/"));
    let own = [
        folder.map(Path::to_owned),
        tree.map(|tree| tree.join("lib")),
        tree.map(|tree| tree.join("share")),
        std::env::var_os(LANGUAGES_AT).map(PathBuf::from),
    ];
    installed.iter().map(PathBuf::from).chain(own.into_iter().flatten()).collect()
}

/// Gives a program its input, and takes its output, within a limit; then it ends, whatever it started.
fn converse(command: &mut Command, input: &[u8], limit: Duration) -> io::Result<String> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let until = Instant::now() + limit;
    let mut child = command.spawn()?;
    let (to, from) = (child.stdin.take(), child.stdout.take());
    let (told, text) = channel();
    // Nobody waits for these two longer than for the program.
    let input = input.to_vec();
    // One that ends early does not want the rest.
    std::thread::spawn(move || to.map(|mut to| to.write_all(&input)));
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = from.map_or(Ok(0), |from| from.take(LONGEST).read_to_end(&mut text));
        // Where nobody listens, it took too long.
        let _ = told.send(read.map(|_| text));
    });
    let text = text.recv_timeout(limit);
    let mut status = child.try_wait()?;
    while text.is_ok() && status.is_none() && Instant::now() < until {
        std::thread::sleep(LOOK_EVERY);
        status = child.try_wait()?;
    }
    end(&mut child);
    let status = status.map_or_else(|| child.wait(), Ok)?;
    match text {
        Ok(text) if status.success() => Ok(String::from_utf8_lossy(&text?).into_owned()),
        Ok(_) => Err(io::Error::other(status.to_string())),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

/// Ends a program with all that it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // One that has ended already is as good.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
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
            confine::end_with_parent();
            confine::drop_rights();
            match confine::wall(&readable(program)) {
                Ok(true) => {}
                Ok(false) => return io::Error::other("files cannot be kept out of reach on this system"),
                Err(error) => return io::Error::other(error.to_string()),
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
        ErrorKind::Unsupported.into()
    }
}
