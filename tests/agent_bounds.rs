//! Who may ask the agent, and what a caller can take from it: tokens, pages of
//! other sites, encryption, malformed and oversized requests, callers that are
//! slow or many; and what no answer ever holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod double;
mod lab;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use agent_process::{
    Agent,
    asking::{Answer, Headers, ask, ask_tcp, exchange, request, tcp, unix},
};
use kvmscope::agent::serve::{ASKS_WITHIN, MOST_CONNECTIONS};
use rustix::process::Signal;

const TOKEN: &str = "tok-6f1c0a52b9e84d7733aa";

/// Every path that can be asked for.
const PATHS: [&str; 15] = [
    "/api/telemetry/status",
    "/api/telemetry/vms",
    "/api/telemetry/config",
    "/api/telemetry/vm-telemetry",
    "/api/telemetry/stats/web-frontend-1",
    "/api/telemetry/stats/nosuch",
    "/api/telemetry/history?vm=web-frontend-1&measurement=vm_metrics&field=cputime_ns",
    "/api/telemetry/history?vm=nosuch",
    "/api/telemetry/sparklines?vm=7e0ba817-d0a9-5618-abbb-78fe301a9ce4",
    "/api/telemetry/diagnostic",
    "/api/telemetry/export?since=2020-01-01T00:00:00Z",
    "/api/telemetry/export?since=2020-01-01T00:00:00Z&format=jsonl",
    "/api/telemetry/nosuch",
    "/healthz",
    "/metrics",
];

/// An agent on the demo host, with a socket and perhaps an address.
struct Scene {
    agent: Agent,
    socket: PathBuf,
    home: tempfile::TempDir,
}

impl Scene {
    /// With more lines of `[agent]`.
    fn start(more: &str) -> Self {
        Self::with(more, &[], &[])
    }

    fn with(more: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("agent.sock");
        let config = home.path().join("agent.toml");
        std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n{more}\n", socket.display())).unwrap();
        let host = lab::own_demo_host(home.path());
        let own = ["--config", config.to_str().unwrap(), "--uri", &host, "--poll-interval", "0.2"];
        let agent = Agent::start_with(home.path(), &[&own[..], arguments].concat(), variables);
        let scene = Self { agent, socket, home };
        lab::within(agent_process::PATIENCE, "VMs are there", || {
            let count = scene.get("/api/telemetry/vms").json()["count"].as_u64();
            count.filter(|count| *count > 0)
        });
        scene
    }

    fn get(&self, target: &str) -> Answer {
        ask(&self.socket, "GET", target)
    }

    fn is_well(&self) {
        let asked = Instant::now();
        assert_eq!(self.get("/healthz").status, 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
}

fn token_file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn without_the_token_nothing_is_told_over_tcp_and_a_new_one_counts_at_once() {
    let (_directory, path) = token_file(&format!("{TOKEN}\n"));
    let address = lab::port::free();
    let more = format!("listen = \"{address}\"\ntoken_file = \"{}\"", path.display());
    let mut scene = Scene::start(&more);
    let right = bearer(TOKEN);
    for path in PATHS.iter().filter(|path| **path != "/healthz") {
        let others: [Headers<'_>; 4] = [
            &[],
            &[("Authorization", "Bearer tok-6f1c0a52b9e84d7733ab")],
            &[("Authorization", "Basic dG9rOg==")],
            &[("Authorization", "Bearer ")],
        ];
        for headers in others {
            let answer = ask_tcp(address, "GET", path, headers);
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.json().as_object().unwrap().len(), 1, "{path}");
        }
        let answer = ask_tcp(address, "GET", path, &[("Authorization", &right)]);
        assert_ne!(answer.status, 401, "{path}");
        assert_eq!(answer.status, scene.get(path).status, "as over the socket, which asks for none");
    }
    assert_eq!(ask_tcp(address, "POST", "/api/telemetry/stop", &[]).status, 401);
    assert_eq!(scene.get("/api/telemetry/status").json()["running"], true);
    assert_eq!(ask_tcp(address, "GET", "/healthz", &[]).json()["status"], "ok");

    std::fs::write(&path, "tok-another-one-of-them").unwrap();
    scene.agent.signal(Signal::HUP);
    scene.agent.logged("token and certificate were read again");
    let target = "/api/telemetry/vms";
    assert_eq!(ask_tcp(address, "GET", target, &[("Authorization", &right)]).status, 401);
    let now = bearer("tok-another-one-of-them");
    assert_eq!(ask_tcp(address, "GET", target, &[("Authorization", &now)]).status, 200);
}

#[test]
fn an_agent_that_cannot_be_asked_as_it_was_told_to_does_not_start() {
    let home = tempfile::tempdir().unwrap();
    let host = lab::own_demo_host(home.path());
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let (_directory, short) = token_file("short");
    let there = home.path().join("file");
    std::fs::write(&there, "").unwrap();
    for (more, words) in [
        (format!("token_file = \"{}\"\nlisten = \"127.0.0.1:0\"", short.display()), "holds no token"),
        ("token_file = \"/nonexistent\"\nlisten = \"127.0.0.1:0\"".into(), "agent.token_file /nonexistent"),
        (
            "tls_cert = \"/nonexistent\"\ntls_key = \"/k\"\nlisten = \"127.0.0.1:0\"".into(),
            "/nonexistent cannot",
        ),
        (format!("listen = \"{taken}\""), "cannot be listened on"),
        (format!("socket = \"{}\"", there.display()), "something else stands there"),
        ("listen = \"0.0.0.0:1\"".into(), "agent.token_file"),
    ] {
        let config = home.path().join("agent.toml");
        std::fs::write(&config, format!("[agent]\n{more}\n")).unwrap();
        let output = lab::program::kvmscope(home.path())
            .args(["agent", "--config", config.to_str().unwrap(), "--uri", &host])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{more}: {told}");
        assert!(told.contains(words) && !told.contains("short\n"), "{more}: {told}");
    }
}

#[test]
fn a_page_of_another_site_can_neither_read_nor_stop() {
    let address = lab::port::free();
    let scene = Scene::start(&format!("listen = \"{address}\""));
    let host = address.to_string();
    let asked = |method: &str, target: &str, host: &str, headers: Headers<'_>| {
        Answer::read(&exchange(tcp(address), request(method, target, host, headers).as_bytes())).status
    };
    let (status, stop) = ("/api/telemetry/status", "/api/telemetry/stop");
    assert_eq!(asked("GET", status, &host, &[]), 200);
    assert_eq!(asked("GET", status, "localhost:1", &[]), 200);
    assert_eq!(asked("GET", status, "evil.example", &[]), 403, "a name that was made to lead here");
    assert_eq!(asked("GET", status, &host, &[("Host", "evil.example")]), 400, "two hosts");
    assert_eq!(asked("GET", "http://evil.example/api/telemetry/status", &host, &[]), 400);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        assert_eq!(asked("POST", stop, &host, &[("Origin", origin)]), 403, "{origin}");
    }
    assert_eq!(scene.get(status).json()["running"], true);
    assert_eq!(asked("POST", stop, &host, &[("Origin", &format!("http://{host}"))]), 200);
}

#[test]
fn over_an_encrypted_door_only_encrypted_requests_are_answered() {
    const TEST: &str = "the agent's encrypted door";
    if !lab::installed("openssl") || !lab::installed("curl") {
        lab::skip::skipped(TEST, "openssl or curl is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (_held, token) = token_file(TOKEN);
    let address = lab::port::free();
    let scene = Scene::start(&format!(
        "listen = \"{address}\"\ntoken_file = \"{}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"",
        token.display(),
        certificate.display(),
        key.display()
    ));
    let curl = |scheme: &str| {
        std::process::Command::new("curl")
            .args(["--silent", "--max-time", "20", "--cacert"])
            .arg(&certificate)
            .args(["--header", &format!("Authorization: {}", bearer(TOKEN))])
            .arg(format!("{scheme}://{address}/api/telemetry/vms"))
            .output()
            .unwrap()
    };
    let answer = curl("https");
    assert!(answer.status.success(), "{answer:?}");
    assert!(String::from_utf8(answer.stdout).unwrap().contains("web-frontend-1"));
    assert!(!curl("http").status.success());
    scene.is_well();
}

#[test]
fn requests_that_are_none_or_too_large_are_refused_and_the_next_is_answered() {
    let scene = Scene::start("");
    let send = |bytes: &[u8]| exchange(unix(&scene.socket), bytes);
    let status = |bytes: &[u8]| {
        let answer = String::from_utf8_lossy(&send(bytes)).into_owned();
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok())
    };
    let head = |name: &str, length: usize| {
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{name}: {}\r\n\r\n", "x".repeat(length)).into_bytes()
    };
    assert_eq!(status(b"GET /healthz\r\n\r\n"), Some(400));
    assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), Some(400));
    assert_eq!(status(&head("X-Long", 100_000)), Some(431));
    let many: String = ["X: 1\r\n"; 200].concat();
    assert_eq!(status(format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes()), Some(431));
    let post = |length: &str| {
        format!(
            "POST /api/telemetry/start HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    assert_eq!(status(post("10000000000").as_bytes()), Some(413));
    assert_eq!(status(post("minus one").as_bytes()), Some(400));
    let mut short = post("2").into_bytes();
    short.extend_from_slice(b"{}");
    assert_eq!(status(&short), Some(200), "tools may send a body");
    let target = format!("/api/telemetry/history?vm={}", "x".repeat(8000));
    assert!(matches!(scene.get(&target).status, 400 | 404 | 414));
    scene.is_well();
}

#[test]
fn one_that_never_finishes_asking_is_let_go_and_one_that_takes_nothing_as_well() {
    let scene = Scene::start("");
    // Asks a letter at a time, and never comes to the end.
    let slow = std::thread::spawn({
        let mut stream = unix(&scene.socket);
        move || {
            let begun = Instant::now();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ");
            loop {
                let mut byte = [0; 512];
                // Nothing within its timeout is no end.
                let closed = stream.read(&mut byte).is_ok_and(|length| length == 0);
                if closed || stream.write_all(b"x").is_err() {
                    return begun.elapsed();
                }
                assert!(begun.elapsed() < agent_process::PATIENCE, "it is never let go");
            }
        }
    });
    // Opens the stream of events and reads none of it.
    let mut deaf = unix(&scene.socket);
    deaf.write_all(request("GET", "/api/telemetry/events", "agent", &[]).as_bytes()).unwrap();
    let let_go = slow.join().unwrap();
    assert!(let_go < ASKS_WITHIN + Duration::from_secs(10), "{let_go:?}");
    scene.is_well();
    lab::within(agent_process::PATIENCE, "the deaf one is let go", || {
        // The other end is closed: what we would send has nowhere to go.
        deaf.write_all(b"x").is_err().then_some(())
    });
    scene.is_well();
}

#[test]
fn as_many_as_there_is_room_for_are_answered_and_one_more_is_told_so() {
    let scene = Scene::start("");
    let mut guests: Vec<UnixStream> = (0..MOST_CONNECTIONS).map(|_| connected(&scene.socket)).collect();
    let one_more = lab::within(agent_process::PATIENCE, "there is no room", || {
        let answer = exchange(connected(&scene.socket), b"");
        (!answer.is_empty()).then(|| Answer::read(&answer))
    });
    assert_eq!((one_more.status, one_more.header("retry-after")), (503, Some("1")));
    assert!(one_more.json()["error"].as_str().unwrap().contains("too many connections"));
    // A thousand of those inside ask at once.
    let request = request("GET", "/api/telemetry/vm-telemetry", "agent", &[]);
    for guest in guests.iter_mut().take(1000) {
        guest.write_all(request.as_bytes()).unwrap();
    }
    for guest in guests.drain(..1000) {
        let answer = Answer::read(&exchange(guest, b""));
        assert_eq!(answer.status, 200);
        assert!(answer.json()["count"].as_u64().unwrap() > 0);
    }
    drop(guests);
    scene.is_well();
    let memory = std::fs::read_to_string(format!("/proc/{}/status", scene.agent.pid())).unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let peak: u64 = peak.trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 300 << 10, "{peak} KiB");
}

fn connected(socket: &Path) -> UnixStream {
    // The queue before the door is short: who finds it full tries again.
    let stream = lab::within(agent_process::PATIENCE, "a connection", || UnixStream::connect(socket).ok());
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

#[test]
fn no_answer_and_no_line_of_the_log_holds_a_token_an_address_or_a_path() {
    let (_held, path) = token_file(TOKEN);
    let address = lab::port::free();
    let server = double::Double::guarded("another-token-than-ours");
    let influx = "itok-90b1d0c77e5f4f26";
    let more =
        format!("listen = \"{address}\"\ntoken_file = \"{}\"\n[log]\nlevel = \"trace\"", path.display());
    let url = server.url();
    let mut scene = Scene::with(&more, &["--influx-url", &url], &[("INFLUX_TOKEN", influx)]);
    lab::within(agent_process::PATIENCE, "the server has refused", || {
        let status = scene.get("/api/telemetry/status").json();
        (status["delivery"]["state"] == "paused").then_some(())
    });
    let port = server.address().port().to_string();
    let home = scene.home.path().display().to_string();
    let file = path.display().to_string();
    let authorization = bearer(TOKEN);
    let mut answers = Vec::new();
    for target in PATHS {
        for headers in [&[][..], &[("Authorization", &*authorization)], &[("Authorization", "Bearer wrong")]]
        {
            let answer = ask_tcp(address, "GET", target, headers);
            answers.push((target, [answer.head.into_bytes(), answer.body].concat()));
        }
        let answer = scene.get(target);
        answers.push((target, [answer.head.into_bytes(), answer.body].concat()));
    }
    for target in ["/api/telemetry/stop", "/api/telemetry/start"] {
        answers.push((target, ask(&scene.socket, "POST", target).body));
    }
    for (target, bytes) in &answers {
        let text = String::from_utf8_lossy(bytes);
        for secret in [TOKEN, influx, &*home, &*file, &*url, &format!(":{port}")] {
            assert!(!text.contains(secret), "{secret} is in {target}: {text}");
        }
    }
    assert!(scene.agent.end().success());
    let log = scene.agent.log.join("\n");
    assert!(!log.contains(TOKEN) && !log.contains(influx), "{log}");
}
