//! The token appears nowhere: not on the screen, not in what commands print,
//! not in the record, not in the process list; whatever the server answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod double;
mod lab;

use std::{
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use double::{Double, Fault, Response, Tls};
use kvmscope::{
    journal::{Account, Journal, Limits, file_name},
    model::WallTime,
};
use lab::{program, terminal::Terminal};

/// Everything of a page fits without scrolling.
const SIZE: (u16, u16) = (110, 180);
/// How long the server waits for what must reach it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The token is looked for in parts of this length: a part is as bad as all of
/// it.
const PART: usize = 12;

/// A token that is in no file of this repository.
fn random_token() -> String {
    let mut token = "tok-".to_owned();
    for _ in 0..3 {
        let _ = write!(token, "{:016x}", RandomState::new().hash_one(0));
    }
    token
}

/// Fails when a part of `token` is in `bytes`.
#[track_caller]
fn is_clean(bytes: &[u8], token: &str, place: &str) {
    let secret = token.strip_prefix("tok-").unwrap().as_bytes();
    for part in secret.chunks_exact(PART) {
        assert!(!holds(bytes, part), "a part of the token is in {place}");
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// The places a run of the program leaves its traces in.
struct Run {
    home: tempfile::TempDir,
    uri: String,
    config: PathBuf,
    variables: Vec<(&'static str, String)>,
    token: String,
}

impl Run {
    /// `settings` are lines of `[influx]`. With `in_file` the token is in a
    /// file that the configuration names, else in the environment.
    fn new(url: &str, settings: &str, in_file: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let uri = lab::own_demo_host(home.path());
        let token = random_token();
        let mut content = format!("[influx]\nurl = \"{url}\"\n{settings}");
        let mut variables = Vec::new();
        if in_file {
            let path = home.path().join("token");
            std::fs::write(&path, format!("{token}\n")).unwrap();
            let _ = writeln!(content, "token_file = \"{}\"", path.display());
        } else {
            variables.push(("INFLUX_TOKEN", token.clone()));
        }
        let config = home.path().join("config.toml");
        std::fs::write(&config, content).unwrap();
        Self { home, uri, config, variables, token }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = ["--uri", &self.uri, "--config", self.config.to_str().unwrap()];
        more.iter().copied().chain(own).collect()
    }

    /// Opens every pane at the finest level, waits for `sign` on the status
    /// page, quits, and looks through everything that was left.
    #[track_caller]
    fn screen_is_clean(&self, reached: impl FnOnce(), sign: &str) {
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let arguments = self.arguments(&["--log-level", "trace", "--poll-interval", "0.2"]);
        let mut terminal = Terminal::start(self.home.path(), SIZE, &arguments, &variables);
        terminal.wait_for("web-frontend-1");
        reached();
        terminal.press("c");
        let status = terminal.wait(&format!("{sign:?} on the status page"), |screen| {
            screen.contains(sign)
                && screen.contains("configuration in effect")
                && screen.contains("influx.url")
        });
        is_clean(status.as_bytes(), &self.token, "the status page");
        for (pane, shows) in [("l>>>>", "everything"), ("?", "quit"), ("?c", "configuration in effect")] {
            terminal.press(pane);
            let screen = terminal.wait_for(shows);
            is_clean(screen.as_bytes(), &self.token, "a page");
        }
        for place in ["cmdline", "comm", "status"] {
            let text = std::fs::read(format!("/proc/{}/{place}", terminal.pid())).unwrap();
            is_clean(&text, &self.token, place);
        }
        terminal.press("q");
        assert!(terminal.wait_for_end().success());
        is_clean(&terminal.everything(), &self.token, "the terminal's bytes");
        self.files_are_clean();
    }

    /// The files of the home but the token's own, and the record unpacked.
    #[track_caller]
    fn files_are_clean(&self) {
        for file in files_below(self.home.path()) {
            if file.file_name() != Some("token".as_ref()) {
                is_clean(&std::fs::read(&file).unwrap(), &self.token, &file.display().to_string());
            }
        }
        let limits = Limits::from(&kvmscope::config::Store::default());
        let state = self.home.path().join("state/kvmscope");
        let opened =
            Journal::open(&state, &file_name(&self.uri), limits, &mut Account::default(), WallTime(0))
                .unwrap();
        let rows = opened.journal.rows(0, usize::MAX).unwrap();
        assert!(rows.iter().any(|row| row.bytes.as_ref().is_some_and(|bytes| holds(bytes, b"vm_metrics"))));
        for row in rows {
            is_clean(&row.bytes.unwrap(), &self.token, "the record's lines");
            is_clean(&row.local.map(|(_, bytes)| bytes).unwrap_or_default(), &self.token, "the record");
        }
        for (_, target, refused) in opened.journal.quarantine(1000).unwrap() {
            is_clean(format!("{target} {refused:?}").as_bytes(), &self.token, "the quarantine");
        }
    }

    /// `config`, `check` and `once` say `words` between them, and no token.
    #[track_caller]
    fn commands_are_clean(&self, words: &[&str]) {
        let mut all = String::new();
        for command in ["config", "check", "once"] {
            let mut process = program::kvmscope(self.home.path());
            process.env("POLL_INTERVAL", "0.2");
            process.args(self.arguments(&[command])).envs(self.variables.iter().map(|(n, v)| (n, v)));
            let output = process.output().unwrap();
            for bytes in [&output.stdout, &output.stderr] {
                is_clean(bytes, &self.token, command);
                all += &String::from_utf8_lossy(bytes);
            }
        }
        for words in words {
            assert!(all.contains(words), "{words:?} is not in: {all}");
        }
    }
}

/// Whether a request with the token has come.
fn got(token: &str) -> impl Fn(&Double) -> bool {
    let token = token.to_owned();
    move |double| {
        let with_token =
            |request: &double::Request| request.header("authorization").is_some_and(|h| h.ends_with(&token));
        double.requests().iter().any(with_token)
    }
}

#[test]
fn a_server_that_takes_it() {
    for in_file in [false, true] {
        let server = Double::open();
        let run = Run::new(&server.url(), "", in_file);
        server.set_token(Some(&run.token));
        run.commands_are_clean(if in_file { &["influx.token_file"] } else { &["influx.token", "***"] });
        let reached = || {
            assert!(server.wait(PATIENCE, |server| !server.lines("vmstats").is_empty()));
            assert!(server.wait(PATIENCE, got(&run.token)));
        };
        run.screen_is_clean(reached, "delivering");
        for line in server.lines("vmstats") {
            is_clean(line.as_bytes(), &run.token, "a line");
        }
    }
}

#[test]
fn a_server_that_refuses_it_and_repeats_it() {
    for in_file in [false, true] {
        let server = Double::open();
        let run = Run::new(&server.url(), "api = \"v3\"\n", in_file);
        let echo = format!("{{\"error\":\"unknown token {0}\",\"data\":\"Bearer {0}\"}}", run.token);
        let answer = Response::new(401, echo).with("WWW-Authenticate", format!("Bearer {}", run.token));
        server.always(Some(Fault::Answer(answer)));
        run.commands_are_clean(&[]);
        run.screen_is_clean(|| assert!(server.wait(PATIENCE, got(&run.token))), "last answer   401");
    }
}

#[test]
fn a_server_that_sends_it_elsewhere() {
    let elsewhere = Double::open();
    let server = Double::open();
    let run = Run::new(&server.url(), "api = \"v3\"\n", false);
    let target = format!("{}/api/v3/write_lp?db=vmstats&token={}", elsewhere.url(), run.token);
    let moved = Response::new(307, format!("moved to {target}")).with("Location", target);
    server.always(Some(Fault::Answer(moved)));
    run.commands_are_clean(&[]);
    run.screen_is_clean(|| assert!(server.wait(PATIENCE, got(&run.token))), "last answer   307");
    assert!(elsewhere.requests().is_empty(), "the redirect was followed: {:?}", elsewhere.requests());
}

#[test]
fn a_server_that_refuses_lines_with_it() {
    let server = Double::open();
    let run = Run::new(&server.url(), "api = \"v3\"\n", false);
    // One line of each request is refused in words that hold the token.
    let body = format!(
        "{{\"error\":\"partial write of line protocol occurred\",\"data\":[{{\"original_line\":\"x\",\
         \"line_number\":1,\"error_message\":\"not for {}\"}}]}}",
        run.token
    );
    server.always(Some(Fault::Answer(Response::new(400, body))));
    run.screen_is_clean(|| assert!(server.wait(PATIENCE, got(&run.token))), "last answer   400");
}

#[test]
fn a_server_that_is_not_trusted() {
    let name = "a_server_that_is_not_trusted";
    if !lab::installed("openssl") {
        return lab::skipped(name, "openssl is not installed");
    }
    let keys = tempfile::tempdir().unwrap();
    for name in ["server", "other"] {
        let made = Command::new("openssl")
            .args(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj".split(' '),
            )
            .arg(format!("/CN={name}"))
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .current_dir(keys.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let at = |name: &str| keys.path().join(name);
    let server =
        Double::encrypted(&Tls { certificate: &at("server.pem"), key: &at("server.key"), client_ca: None });
    let settings = format!("ca_file = \"{}\"\n", at("other.pem").display());
    for in_file in [false, true] {
        let run = Run::new(&server.url(), &settings, in_file);
        run.commands_are_clean(&["no trusted connection"]);
        run.screen_is_clean(|| {}, "no trusted connection");
    }
    assert!(server.requests().is_empty(), "asked without trust: {:?}", server.requests());
}

#[test]
fn a_token_that_cannot_be_used() {
    let run = Run::new("http://127.0.0.1:1", "", false);
    // White space within it: refused in words, and not repeated.
    let broken = format!("{} and more", run.token);
    let run = Run { variables: vec![("INFLUX_TOKEN", broken)], ..run };
    run.commands_are_clean(&["INFLUX_TOKEN"]);
    run.screen_is_clean(|| {}, "INFLUX_TOKEN");
}

#[test]
fn a_token_in_the_wrong_place() {
    let home = tempfile::tempdir().unwrap();
    let token = random_token();
    let file = home.path().join("c.toml");
    let config = file.to_str().unwrap();
    for content in [
        format!("[influx]\ntoken = \"{token}\"\n"),
        format!("[influx]\nurl = \"http://h:8181?token={token}\"\n"),
        format!("[influx]\nurl = \"http://x:{token}@h:8181\"\n"),
        format!("[influx]\nauth = \"{token}\"\n"),
        format!("[influx]\ntoken_file = {{ value = \"{token}\" }}\n"),
        format!("[influx]\ntoken = \"{token}\n"),
    ] {
        std::fs::write(&file, &content).unwrap();
        for command in ["config", "check", "once"] {
            let output = program::kvmscope(home.path()).args([command, "--config", config]).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{content}");
            is_clean(&output.stdout, &token, &format!("{command} of {content}"));
            is_clean(&output.stderr, &token, &format!("{command} of {content}"));
        }
    }
    let url = format!("http://x:{token}@127.0.0.1:1");
    let mut with_flag = program::kvmscope(home.path());
    let output = with_flag.args(["check", "--influx-url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    is_clean(&output.stdout, &token, "check");
    is_clean(&output.stderr, &token, "check");
}
