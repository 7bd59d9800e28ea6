//! Bad input, as the user meets it: each is told in words that say what, where
//! and what to do; the screen opens all the same and obeys at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use lab::{
    program::{self, Nobody},
    terminal::{Terminal, flowed},
};

const SIZE: (u16, u16) = (40, 140);
/// What "at once" may take on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);

/// How a command without a screen ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Asserts that `text` holds each of `parts`.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    let text = flowed(text);
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    // Membership in that group is root; nobody is ever told to get it.
    assert!(!text.to_lowercase().contains("group"), "{text}");
}

fn local(socket: &Path) -> String {
    format!("qemu:///system?socket={}", socket.display())
}

/// `q`, and the program is gone at once.
#[track_caller]
fn quits_at_once(terminal: &mut Terminal) {
    let pressed = Instant::now();
    terminal.press("q");
    terminal.ends_well();
    assert!(pressed.elapsed() < AT_ONCE, "q took {:?}", pressed.elapsed());
}

/// `s` stops and starts at once, whatever libvirt does.
#[track_caller]
fn stops_and_starts_at_once(terminal: &mut Terminal) {
    let pressed = Instant::now();
    terminal.press("s");
    terminal.wait_for("COLLECTION STOPPED since");
    terminal.press("s");
    terminal.wait("no banner of being stopped", |screen| {
        !screen.contains("COLLECTION STOPPED") && !screen.contains("COLLECTION STOPPING")
    });
    assert!(pressed.elapsed() < AT_ONCE, "s twice took {:?}", pressed.elapsed());
}

/// Seconds until the next try, as the banner says.
fn next_try(screen: &str) -> Option<u64> {
    flowed(screen).split_once("next try in ")?.1.split_once(" s")?.0.parse().ok()
}

// libvirt

#[test]
fn unreachable_libvirt_is_told_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let words = [
        "qemu:///system?socket=/nonexistent cannot be reached",
        "'/nonexistent': No such file or directory",
        "Check that libvirtd or virtqemud runs",
        "its read-only socket is open to this user",
    ];
    let uri = local(Path::new("/nonexistent"));
    let once = ended(program::kvmscope(home.path()).args(["once", "--uri", &uri]));
    assert_eq!((once.code, once.out.as_str()), (Some(1), ""), "{}", once.err);
    says(&once.err, &words);
    assert_eq!(once.err.matches("cannot be reached").count(), 1, "said twice: {}", once.err);
    let json = ended(program::kvmscope(home.path()).args(["once", "--json", "--uri", &uri]));
    assert_eq!((json.code, json.out.as_str()), (Some(1), ""), "{}", json.err);
    let check = ended(program::kvmscope(home.path()).args(["check", "--uri", &uri]));
    assert_eq!((check.code, check.err.as_str()), (Some(1), ""), "{}", check.out);
    says(check.out.lines().find(|line| line.contains("failed")).unwrap(), &words);
    // What does not depend on libvirt is checked all the same.
    assert!(check.out.contains("ok      local record"), "{}", check.out);
}

#[test]
fn the_screen_of_an_unreachable_libvirt_opens_and_obeys() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("libvirt-sock-ro");
    let uri = local(&socket);
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[]);
    terminal.wait_for("LIBVIRT NOT REACHED since");
    let screen = terminal.wait_for_words("its read-only socket is open to this user · next try");
    says(&screen, &["cannot be reached", "Check that libvirtd or virtqemud runs", "r tries now"]);
    stops_and_starts_at_once(&mut terminal);
    terminal.wait_for("LIBVIRT NOT REACHED since");
    // A socket that counts the attempts to reach what it is not.
    let listener = UnixListener::bind(&socket).unwrap();
    let (attempt, attempts) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            if attempt.send(()).is_err() {
                return;
            }
        }
    });
    // The tries become rarer by themselves …
    terminal.wait("a wait of 7 s or more", |screen| next_try(screen).is_some_and(|seconds| seconds >= 7));
    while attempts.try_recv().is_ok() {}
    // … but `r` does not wait.
    terminal.press("r");
    attempts.recv_timeout(AT_ONCE).expect("r tries now");
    quits_at_once(&mut terminal);
}

#[test]
fn a_libvirt_that_never_answers_holds_up_nothing() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("libvirt-sock-ro");
    // Connections are taken by the system and never read.
    let _listener = UnixListener::bind(&socket).unwrap();
    let uri = local(&socket);
    let mut once = program::kvmscope(home.path());
    let once = ended(once.args(["once", "--uri", &uri]).env("LIBVIRT_TIMEOUT", "1"));
    assert_eq!(once.code, Some(1), "{}", once.err);
    says(&once.err, &[&uri, "has not answered for 1 s", "see whether libvirtd or virtqemud hangs"]);
    let mut check = program::kvmscope(home.path());
    let check = ended(check.args(["check", "--uri", &uri]).env("LIBVIRT_TIMEOUT", "1"));
    assert_eq!(check.code, Some(1), "{}", check.out);
    says(&check.out, &[&uri, "has not answered for 1 s", "see whether libvirtd or virtqemud hangs"]);

    // While the first attempt hangs, long before its time is up …
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[("LIBVIRT_TIMEOUT", "600")]);
    terminal.wait_for("connecting…");
    stops_and_starts_at_once(&mut terminal);
    quits_at_once(&mut terminal);
    // … and after it.
    let mut terminal = Terminal::start(home.path(), SIZE, &["--uri", &uri], &[("LIBVIRT_TIMEOUT", "1")]);
    let screen = terminal.wait_for_words("LIBVIRT NOT REACHED since");
    says(&screen, &["has not answered for 1 s", "see whether libvirtd or virtqemud hangs"]);
    stops_and_starts_at_once(&mut terminal);
    quits_at_once(&mut terminal);
}

#[test]
fn a_closed_socket_asks_for_a_polkit_rule_and_never_for_a_group() {
    let Some(nobody) = Nobody::new("a_closed_socket_asks_for_a_polkit_rule_and_never_for_a_group") else {
        return;
    };
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = closed.path().join("libvirt-sock-ro");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    let uri = local(&socket);
    let words = [
        &format!("{uri} refuses this user"),
        "Permission denied",
        "let a polkit rule grant org.libvirt.unix.monitor to this user",
    ];
    let once = ended(nobody.kvmscope().args(["once", "--uri", &uri]));
    assert_eq!((once.code, once.out.as_str()), (Some(1), ""), "{}", once.err);
    says(&once.err, &words);
    let check = ended(nobody.kvmscope().args(["check", "--uri", &uri]));
    assert_eq!(check.code, Some(1), "{}{}", check.out, check.err);
    says(&check.out, &words);
    let start = nobody.words();
    let words: Vec<&str> = start.iter().map(String::as_str).chain(["--uri", &uri]).collect();
    let mut terminal = Terminal::run(nobody.home(), SIZE, &words, &[]);
    let screen = terminal.wait_for_words("let a polkit rule grant org.libvirt.unix.monitor to this user");
    says(&screen, &["LIBVIRT NOT REACHED", "refuses this user", "r tries now"]);
    quits_at_once(&mut terminal);
}

#[test]
fn a_bad_uri_is_told_with_a_good_one() {
    let home = tempfile::tempdir().unwrap();
    for (uri, detail) in [
        ("quemu:///system", "libvirt has no hypervisor driver of that name"),
        ("/var/run/libvirt", "it has no scheme"),
        ("qemu:///sys tem", "a space or a control character"),
    ] {
        for command in ["once", "check"] {
            let told = ended(program::kvmscope(home.path()).args([command, "--uri", uri]));
            assert_eq!(told.code, Some(1), "{uri}: {}{}", told.out, told.err);
            let text = told.out + &told.err;
            says(
                &text,
                &[uri, "cannot be used", detail, "Set libvirt.uri, LIBVIRT_URI or --uri", "qemu:///system"],
            );
        }
    }
    let missing = home.path().join("no-host.xml");
    let uri = format!("test://{}", missing.display());
    let told = ended(program::kvmscope(home.path()).args(["once", "--uri", &uri]));
    assert_eq!(told.code, Some(1), "{}", told.err);
    says(&told.err, &[&uri, "No such file or directory", "Check that the file exists"]);
    let arguments = ["--uri", "quemu:///system"];
    let mut terminal = Terminal::start(home.path(), SIZE, &arguments, &[]);
    let screen = terminal.wait_for_words("Set libvirt.uri, LIBVIRT_URI or --uri");
    says(&screen, &["\"quemu:///system\" cannot be used", "no hypervisor driver of that name"]);
    stops_and_starts_at_once(&mut terminal);
    quits_at_once(&mut terminal);
}

#[test]
fn credentials_in_a_uri_are_shown_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let uri = "qemu+tcp://ann:hunter2@127.0.0.1:1/system";
    for command in ["once", "check", "config"] {
        let told = ended(program::kvmscope(home.path()).args([command, "--uri", uri]));
        let text = told.out + &told.err;
        assert!(!text.contains("hunter2"), "{command}: {text}");
        assert!(text.contains("127.0.0.1:1"), "{command}: {text}");
    }
}

// The configuration

/// A configuration file in a home of its own.
fn configured(content: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("kvmscope.toml");
    std::fs::write(&file, content).unwrap();
    (home, file)
}

#[test]
fn a_bad_configuration_is_refused_with_file_line_key_found_and_allowed() {
    let allowed_span = "allowed: seconds, or text such as \"30 s\"";
    for (content, line, words) in [
        (
            "\n[collector]\npol_interval = 1\n",
            3,
            ["collector.pol_interval", "is not a key", "collector.poll_interval"],
        ),
        ("[collecter]\npoll_interval = 1\n", 1, ["collecter", "is not a section", "collector"]),
        (
            "[influx]\n\ngzip = \"yes\"\n",
            3,
            ["influx.gzip", "found the text \"yes\"", "allowed: true or false"],
        ),
        (
            "[collector]\npoll_interval = \"soon\"\n",
            2,
            ["collector.poll_interval", "found the text \"soon\"", allowed_span],
        ),
        (
            "[collector]\npoll_interval = 0.1\n",
            2,
            ["collector.poll_interval", "found the number 0.1", "from 0.2 s to 1 h"],
        ),
        (
            "[libvirt]\nmax_stuck_calls = 16\n",
            2,
            ["libvirt.max_stuck_calls", "found the number 16", "from 1 to 15"],
        ),
        ("[influx]\napi = \"v4\"\n", 2, ["influx.api", "v4", "v3"]),
        ("[influx\n", 1, ["this is not TOML", "unclosed", "]"]),
    ] {
        let (home, file) = configured(content);
        let file = file.display().to_string();
        for command in ["once", "check", "config"] {
            let told = ended(program::kvmscope(home.path()).args([command, "--config", &file]));
            assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{command} {content}: {}", told.err);
            says(&told.err, &["kvmscope: the configuration is refused", &format!("{file}:{line}:")]);
            says(&told.err, &words);
        }
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for (content, key, instead) in [
        ("[influx]\ntoken = \"tok-hunter2\"\n", "influx.token", "INFLUX_TOKEN"),
        ("[influx]\npassword = \"hunter2\"\n", "influx.password", "INFLUX_PASSWORD"),
        ("[influx]\nurl = \"http://ann:hunter2@h:8181\"\n", "influx.url", "INFLUX_TOKEN"),
        ("[influx]\nurl = \"http://h:8181/?token=hunter2\"\n", "influx.url", "INFLUX_TOKEN"),
    ] {
        let (home, file) = configured(content);
        let file = file.display().to_string();
        for command in ["once", "check", "config"] {
            let told = ended(program::kvmscope(home.path()).args([command, "--config", &file]));
            assert_eq!(told.code, Some(1), "{content}: {}", told.err);
            says(&told.err, &[&format!("{file}:2:"), key, instead]);
            assert!(!(told.out + &told.err).contains("hunter2"), "{content}");
        }
    }
}

#[test]
fn a_bad_configuration_never_opens_the_screen() {
    let (home, file) = configured("[collector]\npoll_interval = 0\n");
    let file = file.display().to_string();
    let mut terminal = Terminal::start(home.path(), SIZE, &["--config", &file], &[]);
    assert_eq!(terminal.wait_for_end().exit_code(), 1);
    says(
        &terminal.screen(),
        &["the configuration is refused", "collector.poll_interval", "from 0.2 s to 1 h"],
    );
    terminal.is_restored().unwrap();
    assert!(!terminal.everything().contains(&0x1b), "escape sequences before the refusal");
}

#[test]
fn a_bad_variable_and_a_bad_flag_are_named_too() {
    let home = tempfile::tempdir().unwrap();
    let told = ended(program::kvmscope(home.path()).arg("config").env("POLL_INTERVAL", "often"));
    assert_eq!(told.code, Some(1), "{}", told.err);
    says(&told.err, &["environment POLL_INTERVAL", "found \"often\"", "from 0.2 s to 1 h"]);
    let told = ended(program::kvmscope(home.path()).args(["config", "--poll-interval", "0"]));
    assert_eq!(told.code, Some(1), "{}", told.err);
    says(&told.err, &["command line --poll-interval", "found \"0\"", "from 0.2 s to 1 h"]);
    let told = ended(program::kvmscope(home.path()).args(["config", "--config", "/nonexistent.toml"]));
    assert_eq!(told.code, Some(1), "{}", told.err);
    says(&told.err, &["/nonexistent.toml", "there is no such file", "--config"]);
}
