//! The real binary as a child process, in a directory of its own and with an empty environment.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;

/// The instance admin's key of every server that is started without another.
pub const ADMIN_KEY: &str = "sk_admin_test_0123456789abcdefghij";

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Where a server lives: its working directory, with its data and its log. Outlives the server.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Arc<Home> {
        Arc::new(Home(tempfile::Builder::new().prefix("carrel-it-").tempdir().unwrap()))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The directory of a workspace.
    pub fn workspace(&self, id: &str) -> PathBuf {
        self.data().join("workspaces").join(id)
    }

    /// What all servers in this directory wrote to standard error.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.path().join("stderr.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The names of all files and directories in here, relative to it.
    pub fn names(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.path()).sort_by_file_name().into_iter().flatten();
        entries.map(|e| e.path().strip_prefix(self.path()).unwrap().to_string_lossy().into_owned()).collect()
    }

    /// The program, to be run in this directory.
    pub fn carrel(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carrel"));
        command.args(arguments).current_dir(self.path()).env_clear();
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(self.carrel(arguments), "")
    }
}

/// What a run of the program left.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Standard output as one JSON text.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// Runs `command` to its end with `input` on its standard input; kills it where it takes too long.
pub fn finish(mut command: Command, input: &str) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let id = child.id();
    // A program that does not read its input may close it early.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    let output = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        signal(id, "KILL");
        panic!("{command:?} did not end");
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// A running server. Dropping it ends it and checks that it ended well.
pub struct Server {
    child: Child,
    home: Arc<Home>,
    stdout: Mutex<Receiver<String>>,
    /// Its address: `http://127.0.0.1:PORT`.
    pub url: String,
    /// What it printed before it listened.
    pub greeting: Vec<String>,
    ended: bool,
}

impl Server {
    /// A server of its own for a test that stops it, fills it or looks at its disk.
    pub fn start() -> Server {
        Server::with(&[])
    }

    /// The same with these variables in its environment.
    pub fn with(environment: &[(&str, &str)]) -> Server {
        Server::within(Home::new(), environment)
    }

    /// One on the data that lies in `home`.
    pub fn within(home: Arc<Home>, environment: &[(&str, &str)]) -> Server {
        let mut command = home.carrel(&["serve"]);
        command.env("CARREL_ADMIN_KEY", ADMIN_KEY).envs(environment.iter().copied());
        Server::launch(home, command)
    }

    /// Launches `command`, which is a `serve` without address and data directory.
    pub fn launch(home: Arc<Home>, mut command: Command) -> Server {
        let log = File::options().create(true).append(true).open(home.path().join("stderr.log")).unwrap();
        command.arg("--data").arg(home.data()).args(["--listen", "127.0.0.1:0"]);
        command.env("CARREL_LIMITS_DRAIN_SECONDS", "5");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let mut greeting = Vec::new();
        loop {
            let Ok(line) = stdout.recv_timeout(PATIENCE) else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server did not start; it said {greeting:?}\n{}", home.log());
            };
            if let Some(url) = line.strip_prefix("listening on ") {
                let url = url.trim().to_owned();
                let stdout = Mutex::new(stdout);
                return Server { child, home, stdout, url, greeting, ended: false };
            }
            greeting.push(line);
        }
    }

    /// A server that tests share, each with tenants of its own. It lives while a test holds it.
    pub fn shared() -> Arc<Server> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// A client with the instance admin's key.
    pub fn admin(&self) -> Client {
        Client::new(&self.url, Some(ADMIN_KEY))
    }

    /// The next line that it prints.
    pub fn line(&self) -> String {
        let line = self.stdout.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(PATIENCE);
        line.unwrap_or_else(|_| panic!("nothing more was printed\n{}", self.home.log()))
    }

    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Ends it as a service manager does, and checks that it ended well.
    pub fn stop(mut self) -> Arc<Home> {
        self.end();
        self.home.clone()
    }

    /// Takes its life without a warning.
    pub fn kill(mut self) -> Arc<Home> {
        self.ended = true;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.home.clone()
    }

    fn end(&mut self) {
        self.ended = true;
        signal(self.child.id(), "TERM");
        let status = self.wait();
        let log = self.home.log();
        assert!(status.success(), "the server ended with {status}\n{log}");
        let complaint = log.lines().find(|line| line.contains("panicked") || line.contains("ERROR"));
        assert_eq!(complaint, None, "in the log of the server");
    }

    /// Waits for its end: its standard output closes.
    fn wait(&mut self) -> ExitStatus {
        loop {
            match self.stdout.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.child.wait().unwrap(),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("the server did not stop\n{}", self.home.log());
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if std::thread::panicking() {
            eprintln!("log of the server:\n{}", self.home.log());
            let _ = self.child.kill();
            let _ = self.child.wait();
        } else {
            self.end();
        }
    }
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.unwrap().success(), "no process {process}");
}

/// The lines that come out of `pipe`, as they come.
pub fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
