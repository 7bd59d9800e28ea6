//! A screen attached to an agent: found by itself, by a socket, by an address;
//! what its keys do there; and what happens when the agent ends, or is none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod lab;

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agent_process::{
    Agent,
    asking::{ask, request, tcp, unix},
};
use kvmscope::{
    model::{
        WallTime,
        past::{Found, Moment, Question},
    },
    wire::{self, Ask, Cutter, Greeting, News, Told},
};
use lab::terminal::Terminal;
use rustix::process::Signal;

const TOKEN: &str = "tok-2b1f77aa90c35de14408";
const SIZE: (u16, u16) = (30, 150);

/// An agent on a demo host of its own.
struct Scene {
    agent: Agent,
    home: tempfile::TempDir,
    host: String,
    /// Where it was told to answer.
    socket: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Scene {
    /// In a place of its own, with more lines of `[agent]`.
    fn start(more: &str) -> Self {
        Self::with(more, &[])
    }

    fn with(more: &str, variables: &[(&'static str, String)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("agent.sock");
        let config = home.path().join("agent.toml");
        std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n{more}\n", socket.display())).unwrap();
        let host = lab::own_demo_host(home.path());
        let arguments: Vec<String> =
            ["--config", config.to_str().unwrap(), "--uri", &host, "--poll-interval", "0.2"]
                .map(str::to_owned)
                .into();
        let agent = started(home.path(), &arguments, variables);
        Self { agent, home, host, socket, arguments, variables: variables.to_vec() }
    }

    /// At the usual place.
    fn usual() -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = lab::own_demo_host(home.path());
        let arguments: Vec<String> = ["--uri", &host, "--poll-interval", "0.2"].map(str::to_owned).into();
        let agent = started(home.path(), &arguments, &[]);
        let socket = usual_place(home.path(), &host);
        Self { agent, home, host, socket, arguments, variables: Vec::new() }
    }

    fn start_again(&mut self) {
        self.agent = started(self.home.path(), &self.arguments, &self.variables);
    }

    /// A screen with these arguments beside the host's.
    fn screen(&self, arguments: &[&str]) -> Terminal {
        self.screen_with(arguments, &[])
    }

    fn screen_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Terminal {
        Terminal::start(self.home.path(), SIZE, &[&["--uri", &self.host], arguments].concat(), variables)
    }

    /// A screen attached by the socket.
    fn attached(&self) -> Terminal {
        let terminal = self.screen(&["--attach", self.socket.to_str().unwrap()]);
        terminal.wait_for("agent collecting");
        terminal
    }

    fn status(&self, field: &str) -> serde_json::Value {
        ask(&self.socket, "GET", "/api/telemetry/status").json()[field].clone()
    }

    /// Waits until so many cycles are recorded.
    fn collected(&self, cycles: u64) {
        lab::within(agent_process::PATIENCE, "cycles are collected", || {
            self.status("total_collections").as_u64().filter(|count| *count >= cycles)
        });
    }
}

fn started(home: &Path, arguments: &[String], variables: &[(&'static str, String)]) -> Agent {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut agent = Agent::start_with(home, &arguments, &variables);
    agent.told("STATUS=collecting");
    agent
}

fn usual_place(home: &Path, host: &str) -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    let directory = kvmscope::rundir::place(root, Some(&home.join("run")), None).unwrap();
    kvmscope::rundir::socket(&directory, host)
}

/// What an attached screen is sent, read by hand.
struct Stream<S> {
    reading: S,
    cutter: Cutter,
    /// Every byte of every message, unpacked.
    plain: Vec<u8>,
    chunks: Vec<u8>,
}

impl<S: std::io::Read + std::io::Write> Stream<S> {
    fn open(mut stream: S, headers: &[(&str, &str)]) -> Self {
        stream.write_all(request("GET", wire::STREAM, "localhost", headers).as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self { reading: stream, cutter: Cutter::default(), plain: Vec::new(), chunks: Vec::new() }
    }

    fn message(&mut self) -> Vec<u8> {
        loop {
            if let Some(message) = self.cutter.cut(wire::LONGEST).unwrap() {
                return message.to_vec();
            }
            let end = loop {
                if let Some(end) = self.chunks.windows(2).position(|two| two == b"\r\n") {
                    break end;
                }
                self.more();
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.chunks[..end]).unwrap(), 16).unwrap();
            while self.chunks.len() < end + 2 + size + 2 {
                self.more();
            }
            self.cutter.add(&self.chunks[end + 2..end + 2 + size]);
            self.chunks.drain(..end + 2 + size + 2);
        }
    }

    fn more(&mut self) {
        let mut bytes = [0; 8192];
        let count = self.reading.read(&mut bytes).unwrap();
        assert!(count > 0, "the stream ended");
        self.chunks.extend_from_slice(&bytes[..count]);
    }

    fn greeting(&mut self) -> Greeting {
        let message = self.message();
        self.plain.extend_from_slice(&message);
        serde_json::from_slice(&message).unwrap()
    }

    fn news(&mut self) -> News {
        let message = self.message();
        self.plain.extend(zstd::decode_all(&*message).unwrap());
        wire::unpack(&message).unwrap()
    }
}

/// Asks as an attached screen does.
fn asked(socket: &Path, what: &Ask) -> Told {
    let body = wire::pack(what).unwrap();
    let length = body.len().to_string();
    let mut bytes = request("POST", wire::ASK, "localhost", &[("Content-Length", &length)]).into_bytes();
    bytes.extend_from_slice(&body);
    let answer = agent_process::asking::Answer::read(&agent_process::asking::exchange(unix(socket), &bytes));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let mut cutter = Cutter::default();
    cutter.add(&answer.body);
    wire::unpack(&cutter.cut(wire::LONGEST).unwrap().unwrap()).unwrap()
}

#[test]
fn beside_an_agent_a_plain_start_attaches_and_says_so_and_nobody_else_records() {
    let mut scene = Scene::usual();
    let pid = scene.agent.pid();
    let opened = Instant::now();
    let mut terminal = Terminal::start(scene.home.path(), (110, 150), &["--uri", &scene.host], &[]);
    terminal.wait_for(&format!("attached to kvmscope agent (process {pid})"));
    let opened = opened.elapsed();
    let screen = terminal.wait_for("agent collecting 0.2 s");
    assert!(!screen.contains("NOT RECORDING"), "{screen}");
    eprintln!("attached after {opened:?}");
    terminal.press("c");
    terminal.wait_for("as this screen's");
    let screen = terminal.wait_for(&format!("{pid}, started"));
    assert!(screen.contains("recording locally"), "{screen}");
    // Its configuration is shown, with where it has it from.
    terminal.wait_for("command line --poll-interval");
    terminal.press("q");
    terminal.ends_well();
    // The agent goes on, and the lock is still its own.
    let before = scene.status("total_collections").as_u64().unwrap();
    scene.collected(before + 3);
    scene.agent.end();
}

#[test]
fn stopping_asks_and_everybodys_screen_shows_it() {
    let scene = Scene::start("");
    let (mut one, two) = (scene.attached(), scene.attached());
    one.press("s");
    one.wait_for("Stop the agent's collection, for everybody?");
    one.press("n");
    one.wait("the question is gone", |screen| !screen.contains("for everybody?"));
    assert_eq!(scene.status("running"), true);
    one.press("s");
    one.wait_for("for everybody?");
    one.press("y");
    for terminal in [&one, &two] {
        terminal.wait_for("COLLECTION STOPPED since");
        terminal.wait_for("agent stopped");
    }
    assert_eq!(scene.status("running"), false);
    one.press("s");
    for terminal in [&one, &two] {
        terminal.wait("it collects again", |screen| {
            screen.contains("agent collecting") && !screen.contains("STOPPED")
        });
    }
    assert_eq!(scene.status("running"), true);
    one.press("+");
    two.wait_for("agent collecting 0.5 s");
    one.press("q");
    one.ends_well();
    assert_eq!(scene.status("running"), true, "who leaves stops nothing");
}

#[test]
fn over_an_agents_end_the_screen_waits_says_so_and_goes_on_without_a_gap() {
    let mut scene = Scene::usual();
    scene.collected(40);
    let mut terminal = scene.screen(&[]);
    terminal.wait_for("agent collecting");
    terminal.wait_for("web-frontend-1");
    scene.agent.signal(Signal::KILL);
    scene.agent.wait();
    let screen = terminal.wait_for("AGENT GONE since");
    assert!(screen.contains("agent gone") && screen.contains("r tries now"), "{screen}");
    terminal.wait("the age is told", |screen| screen.contains("as of ") && screen.contains(" s old"));
    terminal.press("s");
    terminal.wait_for_words("the agent does not answer: nothing can be asked of it");
    // It never records in the agent's place, which finds its lock free.
    lab::within(agent_process::PATIENCE, "more attempts are made", || {
        let screen = terminal.screen();
        (screen.contains("5 s old") || screen.contains("6 s old") || screen.contains("7 s old")).then_some(())
    });
    scene.start_again();
    let pid = scene.agent.pid();
    terminal.press("r");
    terminal.wait_for(&format!("attached again to kvmscope agent (process {pid})"));
    terminal.wait("it is live", |screen| screen.contains("agent collecting") && !screen.contains("GONE"));
    scene.collected(40);

    // What the screen is given for its histories is what the API tells: once
    // nothing is added any more, cycle by cycle.
    ask(&scene.socket, "POST", "/api/telemetry/stop");
    let cycles = lab::within(agent_process::PATIENCE, "record and API agree", || {
        let question = Question { moment: Moment::AtOrBefore(WallTime(i64::MAX)), history: 3600 };
        let Told::Past(answer) = asked(&scene.socket, &Ask::Past(question)) else { panic!() };
        let Found::Seen(past) = answer.found else { panic!("{:?}", answer.found) };
        let cycles: Vec<WallTime> = past.slots.iter().copied().flatten().collect();
        let api = ask(
            &scene.socket,
            "GET",
            "/api/telemetry/history?vm=web-frontend-1&measurement=vm_metrics&field=cputime_ns",
        )
        .json();
        let points = api["points"].as_array().unwrap().iter().filter(|point| !point[1].is_null()).count();
        (points == cycles.len()).then_some(cycles)
    });
    assert!(cycles.len() >= 60, "{}", cycles.len());
    let apart = |two: &[WallTime]| two[1].since(two[0]) > Duration::from_secs(2);
    let pauses = cycles.windows(2).filter(|two| apart(two)).count();
    assert_eq!(pauses, 1, "the time without an agent, and no other: {cycles:?}");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn what_was_recorded_before_the_screen_opened_is_in_its_sparklines_and_can_be_looked_at() {
    let scene = Scene::start("");
    scene.collected(75);
    let mut terminal = scene.attached();
    terminal.wait_for("web-frontend-1");
    // The shortest span: three cycles a column.
    terminal.press("\rZZZZZZ");
    let columns = |screen: &str| {
        let line = screen.lines().find(|line| line.contains(" cpu  ")).unwrap_or_default();
        line.chars().filter(|c| ('▁'..='█').contains(c)).count()
    };
    terminal.wait("the sparkline is long", |screen| columns(screen) >= 20);
    terminal.press("[");
    terminal.wait_for("looking at");
    terminal.press("{");
    let screen = terminal.wait_for("from the record");
    assert!(screen.contains("web-frontend-1") || screen.contains("looking at"), "{screen}");
    terminal.press("p");
    terminal.wait("it is live again", |screen| !screen.contains("looking at"));
    // The XML comes by the agent as well.
    terminal.press("x");
    terminal.wait_for("<domain");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn by_an_address_only_the_token_opens_and_it_is_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, TOKEN).unwrap();
    let address = lab::port::free();
    let scene = Scene::start(&format!("listen = \"{address}\"\ntoken_file = \"{}\"", path.display()));
    let url = format!("http://{address}");
    let with = |token: &str| {
        let variables: &[(&str, &str)] = &[("KVMSCOPE_AGENT_TOKEN", token)];
        scene.screen_with(&["--attach", &url], if token.is_empty() { &[] } else { variables })
    };
    let mut right = with(TOKEN);
    right.wait_for("agent collecting");
    right.press("c");
    right.wait_for(&url);
    let wrong = "tok-2b1f77aa90c35de14409";
    let mut refused = with(wrong);
    let screen = refused.wait_for_words("NO AGENT at");
    assert!(screen.contains("does not take this token"), "{screen}");
    assert_eq!(screen.matches("does not take this token").count(), 1, "{screen}");
    let mut none = with("");
    none.wait_for_words("wants a token; set KVMSCOPE_AGENT_TOKEN");
    // From the file, as the agent has it itself.
    let config = scene.home.path().join("agent.toml");
    let mut by_file = scene.screen(&["--attach", &url, "--config", config.to_str().unwrap()]);
    by_file.wait_for("agent collecting");
    for (terminal, token) in
        [(&mut right, TOKEN), (&mut refused, wrong), (&mut none, TOKEN), (&mut by_file, TOKEN)]
    {
        terminal.press("l");
        terminal.press("q");
        terminal.ends_well();
        let all = String::from_utf8_lossy(&terminal.everything()).into_owned();
        assert!(!all.contains(token), "the token is on the screen");
    }
    let log = std::fs::read_to_string(scene.home.path().join("state/kvmscope/kvmscope.log")).unwrap();
    assert!(log.contains("not attached to") && !log.contains(TOKEN) && !log.contains(wrong), "{log}");
}

#[test]
fn by_https_the_agents_certificate_has_to_be_known() {
    const TEST: &str = "attaching by https";
    if !lab::installed("openssl") {
        lab::skip::skipped(TEST, "openssl is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let address = lab::port::free();
    let scene = Scene::start(&format!(
        "listen = \"{address}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"",
        certificate.display(),
        key.display()
    ));
    let config = scene.home.path().join("screen.toml");
    std::fs::write(&config, format!("[agent]\nca_file = \"{}\"\n", certificate.display())).unwrap();
    let url = format!("https://{address}");
    let known = scene.screen(&["--attach", &url, "--config", config.to_str().unwrap()]);
    known.wait_for("agent collecting");
    let unknown = scene.screen(&["--attach", &url]);
    let screen = unknown.wait_for_words("NO AGENT at");
    assert!(screen.contains("no trusted connection"), "{screen}");
    assert!(screen.contains("agent.ca_file"), "{screen}");
}

#[test]
fn without_an_agent_the_screen_opens_says_so_and_collects_nothing() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", &host, "--attach"], &[]);
    let screen = terminal.wait_for_words("no agent listens there; start it with `kvmscope agent`");
    assert!(screen.contains("NO AGENT at"), "{screen}");
    assert!(!screen.contains("web-frontend-1"), "{screen}");
    terminal.press("s");
    terminal.wait_for_words("nothing can be asked of it");
    // As soon as there is one, it is attached to.
    let mut agent = Agent::start(home.path(), &["--uri", &host, "--poll-interval", "0.2"]);
    terminal.wait_for("web-frontend-1");
    terminal.wait_for("agent collecting");
    agent.end();
    terminal.wait_for("AGENT GONE");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn a_place_that_is_none_is_refused_before_anything_is_opened() {
    let home = tempfile::tempdir().unwrap();
    for (place, words) in [
        ("http://hv-07:8642", "https alone"),
        ("https://user:sesame@hv-07:1", "KVMSCOPE_AGENT_TOKEN"),
        ("ftp://hv-07", "--attach"),
    ] {
        let mut terminal = Terminal::start(home.path(), SIZE, &["--attach", place], &[]);
        assert!(!terminal.wait_for_end().success());
        let said = lab::terminal::flowed(&String::from_utf8_lossy(&terminal.everything()));
        assert!(said.contains(words) && !said.contains("sesame"), "{said}");
    }
}

/// Answers everybody on a socket with `answer`, over and over.
fn impostor(path: &Path, answer: impl Fn(&mut UnixStream) + Send + 'static) {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut head);
            answer(&mut stream);
        }
    });
}

fn http(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\n\r\n", wire::CONTENT_TYPE).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&length[..], message].concat()
}

/// A greeting that this version takes.
fn greeting() -> Vec<u8> {
    let agent = kvmscope::model::link::Agent {
        version: "0.1.0\u{1b}[31m".into(),
        pid: 4,
        since: WallTime(0),
        uri: "test:///evil\u{202e}".into(),
        config: Vec::new(),
    };
    wire::greeting(&agent).to_vec()
}

#[test]
fn an_agent_of_another_form_is_refused_with_both_versions() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("agent.sock");
    let other = format!("{{\"form\":{},\"version\":\"9.9.9\",\"agent\":{{}}}}", wire::FORM + 1);
    impostor(&socket, move |stream| {
        let _ = stream.write_all(&http(&framed(other.as_bytes())));
        let _ = stream.read(&mut [0]);
    });
    let mut terminal = Terminal::start(home.path(), SIZE, &["--attach", socket.to_str().unwrap()], &[]);
    terminal.wait_for_words(&format!(
        "the agent is kvmscope 9.9.9, this is {}: restart the agent",
        env!("CARGO_PKG_VERSION")
    ));
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn whatever_answers_on_the_socket_the_screen_lives_and_says_that_it_is_no_agent() {
    let home = tempfile::tempdir().unwrap();
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(1 << 29), &mut bomb).unwrap();
    let bomb = framed(&bomb.finish().unwrap());
    // A frame within a frame within a frame, as far as it goes: the same byte
    // says "there is one more" over and over.
    let deep = framed(&zstd::bulk::compress(&vec![1; 1 << 20], 1).unwrap());
    let after = |message: &[u8]| http(&[greeting(), message.to_vec()].concat());
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"\x00\x01\xff\xfe garbage \x1b[2J\n".to_vec(), "NO AGENT"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>hello".to_vec(),
            "no kvmscope agent (HTTP 200)",
        ),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "no agent that screens can attach to",
        ),
        (
            b"HTTP/1.1 503 No\r\nContent-Length: 39\r\n\r\n{\"error\":\"too many \\u001b[31m screens\"}"
                .to_vec(),
            "the agent refuses: too many _[31m screens",
        ),
        (http(&[0xff; 64]), "NO AGENT"),
        (http(&framed(b"{}")), "its greeting cannot be read"),
        (http(b""), "broke off before a greeting"),
        (after(&u32::MAX.to_be_bytes()), "AGENT GONE"),
        (after(&framed(b"not packed")), "says what no agent says"),
        (after(&bomb), "longer than any may be"),
        (after(&deep), "says what no agent says"),
    ];
    for (n, (answer, words)) in cases.into_iter().enumerate() {
        let socket = home.path().join(format!("{n}.sock"));
        impostor(&socket, move |stream| {
            let _ = stream.write_all(&answer);
        });
        let mut terminal = Terminal::start(home.path(), SIZE, &["--attach", socket.to_str().unwrap()], &[]);
        terminal.wait_for_words(words);
        terminal.press("?");
        terminal.wait_for("keys: everywhere");
        terminal.press("?q");
        terminal.ends_well();
        let all = terminal.everything();
        let cleared = b"\x1b[31m screens";
        assert!(!all.windows(cleared.len()).any(|bytes| bytes == cleared), "case {n}");
    }
}

#[test]
fn an_agent_that_says_nothing_any_more_counts_as_gone_and_the_keys_go_on() {
    let scene = Scene::start("");
    let mut terminal = scene.attached();
    scene.agent.signal(Signal::STOP);
    let pressed = Instant::now();
    terminal.press("?");
    terminal.wait_for("keys: everywhere");
    assert!(pressed.elapsed() < Duration::from_secs(3), "{:?}", pressed.elapsed());
    terminal.press("?");
    terminal.wait_for("AGENT GONE since");
    // A screen that is opened now does not wait for it either.
    let opened = Instant::now();
    let other = scene.screen(&["--attach", scene.socket.to_str().unwrap()]);
    other.wait_for("attaching");
    assert!(opened.elapsed() < Duration::from_secs(5), "{:?}", opened.elapsed());
    scene.agent.signal(Signal::CONT);
    for terminal in [&terminal, &other] {
        terminal.wait("it is live", |screen| screen.contains("agent collecting") && !screen.contains("GONE"));
    }
}

#[test]
fn no_secret_is_in_what_a_screen_is_sent() {
    const PASSWORD: &str = "sesame-influx-77";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, TOKEN).unwrap();
    let address = lab::port::free();
    let more = format!(
        "listen = \"{address}\"\ntoken_file = \"{}\"\n[influx]\nurl = \"http://127.0.0.1:9\"",
        path.display()
    );
    let scene = Scene::with(
        &more,
        &[("INFLUX_TOKEN", PASSWORD.to_owned()), ("KVMSCOPE_AGENT_TOKEN", TOKEN.to_owned())],
    );
    let bearer = format!("Bearer {TOKEN}");
    let mut stream = Stream::open(tcp(address), &[("Authorization", &bearer)]);
    let agent = stream.greeting().agent;
    assert_eq!(agent["pid"], scene.agent.pid());
    let (mut frames, mut figures) = (0, 0);
    while frames < 5 || figures < 5 {
        match stream.news() {
            News::Frame(_) => frames += 1,
            News::Collector(_) | News::Delivery(_) => figures += 1,
            News::Beat(_) | News::Config(_) => {}
        }
    }
    let question = Question { moment: Moment::AtOrBefore(WallTime(i64::MAX)), history: 300 };
    let past = format!("{:?}", asked(&scene.socket, &Ask::Past(question)));
    for secret in [TOKEN, PASSWORD] {
        let found = stream.plain.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!found && !past.contains(secret), "{secret} is told");
    }
    assert!(agent["config"].to_string().contains("***"), "{agent}");
}

#[test]
fn a_screen_that_takes_nothing_keeps_nobody_waiting() {
    let scene = Scene::start("");
    let slow = Stream::open(unix(&scene.socket), &[]);
    let mut quick = Stream::open(unix(&scene.socket), &[]);
    quick.greeting();
    let mut cycles = Vec::new();
    while cycles.len() < 20 {
        if let News::Frame(frame) = quick.news() {
            cycles.push(frame.cycle);
        }
    }
    assert!(cycles.is_sorted(), "{cycles:?}");
    assert!(cycles[19] - cycles[0] < 25, "nearly every cycle arrives: {cycles:?}");
    drop(slow);
}

#[test]
fn what_is_no_question_is_refused() {
    let scene = Scene::start("");
    let send = |body: &[u8]| {
        let length = body.len().to_string();
        let mut bytes = request("POST", wire::ASK, "localhost", &[("Content-Length", &length)]).into_bytes();
        bytes.extend_from_slice(body);
        agent_process::asking::Answer::read(&agent_process::asking::exchange(unix(&scene.socket), &bytes))
            .status
    };
    assert_eq!(send(b""), 400);
    assert_eq!(send(b"\0\0\0\x04abcd"), 400);
    assert_eq!(send(&vec![0; wire::LONGEST_ASK + 1]), 413);
    assert_eq!(send(&wire::pack(&Ask::Interval(Duration::from_millis(1))).unwrap()), 400);
    assert_eq!(send(&wire::pack(&Ask::Interval(Duration::from_secs(9999))).unwrap()), 400);
    assert_eq!(ask(&scene.socket, "POST", wire::STREAM).status, 405);
    assert_eq!(scene.status("running"), true);
}
