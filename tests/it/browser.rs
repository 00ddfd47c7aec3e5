//! A real browser, spoken to by its debugging protocol: pages, keys, what is shown, and what it asked of whom.
//!
//! Chromium where the path has one; tests say so and do nothing where there is none.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::PATIENCE;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    events: Vec<Value>,
    /// Its profile; goes with it.
    _profile: TempDir,
}

impl Browser {
    /// A browser of its own, or nothing where there is none.
    pub fn start() -> Option<Browser> {
        let paths: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
        let found = NAMES.iter().find_map(|name| paths.iter().map(|path| path.join(name)).find(|file| file.is_file()));
        let Some(program) = found else {
            println!("skipped: there is no Chromium here");
            return None;
        };
        let profile = tempfile::Builder::new().prefix("carrel-browser-").tempdir().unwrap();
        // The protocol comes and goes on descriptors 3 and 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 < /dev/null > /dev/null 2>&1"]).arg(program);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
        ]);
        command.args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--window-size=1000,800",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        // A group of its own, so that its processes end with it.
        let mut child = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let messages = messages(child.stdout.take().unwrap());
        let mut browser =
            Browser { child, input, messages, last_id: 0, session: None, events: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.receive();
            if answer["id"] == self.last_id {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        self.messages.recv_timeout(PATIENCE).expect("the browser answers")
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(opened["errorText"], Value::Null, "{url}");
        loop {
            let event = self.receive();
            let is_loaded = event["method"] == "Page.loadEventFired";
            self.events.push(event);
            if is_loaded {
                return;
            }
        }
    }

    /// The value of an expression on the page; waits for what it promises.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", params);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true of the page, and gives what it then is.
    #[track_caller]
    pub fn until(&mut self, expression: &str) -> Value {
        let patience = PATIENCE.as_millis() / 2;
        self.value(&format!(
            "new Promise((done, fail) => {{
                const end = Date.now() + {patience};
                (function look() {{
                    const value = ({expression});
                    if (value) done(value);
                    else if (Date.now() > end) fail(new Error('it never came'));
                    else setTimeout(look, 10);
                }})();
            }})"
        ))
    }

    /// Presses a key, `Shift+` before it where it is held.
    pub fn press(&mut self, key: &str) {
        let (modifiers, key) = key.strip_prefix("Shift+").map_or((0, key), |key| (8, key));
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Space" => (32, " "),
            other => panic!("no key {other}"),
        };
        let name = if key == "Space" { " " } else { key };
        let mut event =
            json!({"type": "keyDown", "key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers});
        if !text.is_empty() {
            event["text"] = json!(text);
        }
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Types into what has the focus.
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// The addresses of the frames in the page, as far as they were let in.
    pub fn frames(&mut self) -> Vec<String> {
        let tree = self.call("Page.getFrameTree", json!({}))["frameTree"].take();
        let frames = tree["childFrames"].as_array().cloned().unwrap_or_default();
        frames.iter().map(|child| child["frame"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// The addresses that were asked for so far, but for what a page brings along in its own text.
    pub fn asked(&self) -> Vec<String> {
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// What the browser complained of so far: errors of scripts, and what a policy kept from happening. An answer of
    /// 4xx is no complaint.
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => {
                let entry = &event["params"]["entry"];
                entry["level"] == "error" && entry["source"] != "network"
            }
            _ => false,
        };
        self.events.iter().filter(is_complaint).map(|event| event["params"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With all its processes.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// What comes out of the protocol's pipe, as it comes.
fn messages(pipe: impl std::io::Read + Send + 'static) -> Receiver<Value> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for message in BufReader::new(pipe).split(0).map_while(Result::ok) {
            if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}
