//! The whole program in a terminal: it starts, shows machines, stops and starts
//! collecting, and leaves the terminal and nothing secret behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use lab::{guests::Lab, terminal::Terminal};
use rustix::process::Signal;

const SIZE: (u16, u16) = (40, 140);
const TOKEN: &str = "s3cr3t-T0ken-of-the-test-0123456789abcdef";

/// kvmscope on the demo host, with its first machines on the screen.
fn on_demo_host(home: &Path) -> Terminal {
    let terminal = Terminal::start(home, SIZE, &["--uri", &lab::own_demo_host(home)], &[]);
    terminal.wait_for("web-frontend-1");
    terminal
}

#[test]
fn the_demo_host_says_that_it_is_a_demo() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path());
    let screen = terminal.wait_for("DEMO");
    for name in ["db-primary", "k8s-worker-2", "staging"] {
        assert!(screen.contains(name), "{name} is not on the screen:\n{screen}");
    }
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn a_real_guest_is_shown_and_no_demo_is() {
    let Some(lab) = Lab::shared("a_real_guest_is_shown_and_no_demo_is") else { return };
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", &lab.uri()], &[]);
    // The last one is the hostile name's beginning: its column may cut it.
    for name in ["web-frontend-1", "db-main", "gateway", "batch", "staging", "we b,host=1 \"q"] {
        terminal.wait_for(name);
    }
    assert!(!terminal.screen().contains("DEMO"));
    // Not the mark that turns the rest of the line around.
    assert!(!String::from_utf8_lossy(&terminal.everything()).contains('\u{202e}'));
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn s_stops_and_starts_collection() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path());
    assert!(!terminal.screen().contains("COLLECTION STOPPED"));
    terminal.press("s");
    terminal.wait_for("COLLECTION STOPPED since");
    terminal.press("s");
    terminal.wait("no banner, and machines", |screen| {
        !screen.contains("COLLECTION STOPPED") && screen.contains("web-frontend-1")
    });
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn stopped_from_the_start_reads_nothing_until_s() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal =
        Terminal::start(home.path(), SIZE, &["--stopped", "--uri", &lab::own_demo_host(home.path())], &[]);
    let screen = terminal.wait_for("COLLECTION STOPPED");
    assert!(!screen.contains("web-frontend-1"), "{screen}");
    terminal.press("s");
    terminal.wait_for("web-frontend-1");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn signals_end_it_like_q() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = on_demo_host(home.path());
        terminal.signal(signal);
        let status = terminal.wait_for_end();
        assert!(status.success(), "{signal:?}: {status:?}");
        terminal.is_restored().unwrap_or_else(|wrong| panic!("{signal:?}: {wrong}"));
    }
}

#[test]
fn an_unreachable_hypervisor_opens_the_screen_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let missing = home.path().join("no-socket");
    let uri = format!("qemu:///system?socket={}", missing.display());
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[]);
    terminal.wait_for("LIBVIRT NOT REACHED");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn what_libraries_print_goes_into_the_log_and_not_over_the_screen() {
    let home = tempfile::tempdir().unwrap();
    // Makes libvirt write each of its calls to standard error.
    let variables = [("LIBVIRT_DEBUG", "1")];
    let mut terminal =
        Terminal::start(home.path(), SIZE, &["--uri", &lab::own_demo_host(home.path())], &variables);
    terminal.wait_for("web-frontend-1");
    terminal.press("l");
    // Words of libvirt's own, under the name that says where they came from.
    terminal.wait("libvirt's words in the log", |screen| {
        screen.lines().any(|line| line.contains("stderr") && line.contains("debug :"))
    });
    terminal.press("l");
    terminal.wait("the fleet and nothing else", |screen| {
        screen.contains("template-debian") && !screen.contains("debug :")
    });
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn control_l_draws_everything_anew() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path());
    terminal.wait_for("template-debian");
    // A name never changes, so only a whole new picture brings it back.
    terminal.spoil();
    assert!(!terminal.screen().contains("template-debian"));
    terminal.press("\x0c");
    terminal.wait_for("template-debian");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn any_size_of_terminal_is_survived() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path());
    for (rows, columns) in [(24, 80), (5, 20), (1, 1), (2, 300), (60, 20)] {
        terminal.resize(rows, columns);
    }
    terminal.resize(40, 140);
    terminal.wait_for("web-frontend-2");
    terminal.press("q");
    terminal.ends_well();
}

#[test]
fn the_token_is_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let (url, seen) = server_that_echoes();
    let variables = [("INFLUX_URL", url.as_str()), ("INFLUX_TOKEN", TOKEN)];
    let arguments =
        ["--uri", &lab::own_demo_host(home.path()), "--log-level", "trace", "--poll-interval", "0.2"];
    let mut terminal = Terminal::start(home.path(), SIZE, &arguments, &variables);
    terminal.wait_for("web-frontend-1");
    // The server got it, so the test can fail.
    seen.recv_timeout(lab::terminal::PATIENCE).expect("the token reached the server");
    terminal.wait_for("PAUSED");
    // Each pane that could show it.
    for (key, back) in [("l", "l"), ("c", "c"), ("?", "?")] {
        let before = terminal.screen();
        terminal.press(key);
        terminal.wait("another pane", |screen| screen != before);
        terminal.press(back);
    }
    for place in ["cmdline", "comm"] {
        let text = std::fs::read(format!("/proc/{}/{place}", terminal.pid())).unwrap();
        assert!(!holds_token(&text), "in {place}");
    }
    terminal.press("qy");
    let _ = terminal.wait_for_end();
    assert!(!holds_token(&terminal.everything()), "on the screen");
    for file in files_below(home.path()) {
        assert!(!holds_token(&std::fs::read(&file).unwrap()), "in {}", file.display());
    }
}

fn holds_token(bytes: &[u8]) -> bool {
    // A part of it is as bad.
    bytes.windows(12).any(|window| window == &TOKEN.as_bytes()[..12])
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
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

/// A server that refuses every request with the request's own headers as its
/// reason, as badly written proxies do. The channel says when a token came.
fn server_that_echoes() -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            if holds_token(&request) {
                let _ = sender.send(());
            }
            let head: String = String::from_utf8_lossy(&request).chars().take_while(|c| *c != '\0').collect();
            let head = head.split("\r\n\r\n").next().unwrap().replace("\r\n", " ");
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}",
                head.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, seen)
}
