//! A real Chromium without a window, driven through its debugging protocol over
//! two pipes: no port is opened, and nothing but loopback can be reached.

#![allow(dead_code, reason = "each test file uses what it needs")]

pub mod forward;
pub mod scene;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::lab::{installed, skipped, within_or_say};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// As the distributions call it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page, ended when dropped.
pub struct Browser {
    process: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// What the page was heard of: requests, errors.
    events: Vec<Value>,
    session: Option<String>,
    count: u64,
    // Removed after the browser has ended.
    _home: tempfile::TempDir,
}

impl Browser {
    /// Starts it; or `None` after saying that `test` is skipped and why.
    pub fn start(test: &str) -> Option<Self> {
        let Some(program) = NAMES.into_iter().find(|name| installed(name)) else {
            skipped(test, "chromium is not installed");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        // The browser takes commands on descriptor 3 and answers on 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh", program])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--disable-default-apps",
                "--no-proxy-server",
            ])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
            .arg(format!("--user-data-dir={}", home.path().display()))
            .arg("about:blank")
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (tell, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|length| length > 0) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else { return };
                if tell.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser =
            Self { process, input, messages, events: Vec::new(), session: None, count: 0, _home: home };
        let targets = browser.call("Target.getTargets", &json!({}));
        let page = targets["targetInfos"].as_array().unwrap().iter().find(|target| target["type"] == "page");
        let id = &page.expect("it has a page")["targetId"];
        let attached = browser.call("Target.attachToTarget", &json!({ "targetId": id, "flatten": true }));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.size(1400, 900);
        Some(browser)
    }

    /// Calls a method of the protocol.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.count += 1;
        let mut message = json!({ "id": self.count, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.input.as_mut().unwrap().write_all(&bytes).unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(mut message) = self.messages.recv_timeout(left) else {
                panic!("the browser does not answer {method} {parameters}");
            };
            if message["id"] == self.count {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Opens a page.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", &json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        self.try_value(expression).unwrap_or_else(|thrown| panic!("{expression}: {thrown}"))
    }

    /// As [`Browser::value`].
    ///
    /// # Errors
    /// What the page threw.
    pub fn try_value(&mut self, expression: &str) -> Result<Value, Value> {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call("Runtime.evaluate", &parameters);
        if answer["exceptionDetails"].is_null() {
            Ok(answer["result"]["value"].take())
        } else {
            Err(answer["exceptionDetails"].take())
        }
    }

    /// Its text.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is no text: {value}")).to_owned()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&mut self, what: &str, expression: &str) {
        let last = std::cell::Cell::new(Value::Null);
        within_or_say(
            PATIENCE,
            || format!("{what}: {expression} is {}", last.take()),
            || {
                // While a page comes, there is none to ask.
                let value = self.try_value(expression).unwrap_or_else(|thrown| thrown);
                let is = value == true;
                last.set(value);
                is.then_some(())
            },
        );
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            _ if key.chars().count() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let parameters = json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", &parameters);
        }
    }

    /// Types a text where the focus is.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Clicks with the mouse in the middle of what the selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.value(&format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2] }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let parameters =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &parameters);
        }
    }

    /// The window's size.
    pub fn size(&mut self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the system prefers: `dark` or `light`.
    pub fn prefers(&mut self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &features);
    }

    /// The addresses that were asked for so far.
    pub fn asked(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Those of them that hold `part`, and how many of these were asked for at
    /// once at most.
    pub fn asked_for(&self, part: &str) -> (Vec<String>, usize) {
        let (mut urls, mut open, mut most) = (Vec::new(), BTreeSet::new(), 0);
        for event in &self.events {
            let (method, of) = (event["method"].as_str().unwrap_or_default(), &event["params"]);
            let id = of["requestId"].as_str().unwrap_or_default();
            match method {
                "Network.requestWillBeSent" => {
                    let url = of["request"]["url"].as_str().unwrap();
                    if url.contains(part) {
                        urls.push(url.to_owned());
                        open.insert(id);
                        most = most.max(open.len());
                    }
                }
                "Network.loadingFinished" | "Network.loadingFailed" => _ = open.remove(id),
                _ => {}
            }
        }
        (urls, most)
    }

    /// What went wrong in the page: exceptions, and what its policy refused.
    pub fn faults(&self) -> Vec<String> {
        let is_fault = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Page.javascriptDialogOpening") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => {
                let entry = &event["params"]["entry"];
                // That a connection fails is what some tests are about.
                entry["level"] == "error" && entry["source"] != "network"
            }
            _ => false,
        };
        self.events.iter().filter(is_fault).map(|event| event["params"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its pipe; all its processes do.
        drop(self.input.take());
        let end = Instant::now() + Duration::from_secs(10);
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > end {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}
