//! A host behind `qemu+ssh://`: a real ssh server on loopback in front of a
//! lab. ssh never asks on the screen, every failure says what to do, a broken
//! link mends itself, and no ssh process is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;
mod same_host;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use kvmscope::{
    clock::Clock,
    libvirt::{Answer, Error, Question, Reader, Reply, Settings},
};
use lab::{
    guests::Lab,
    processes::{self, Process},
    program,
    sshd::Sshd,
    terminal::{PATIENCE, Terminal, flowed},
};
use same_host::same_host;
use serde_json::Value;

const SIZE: (u16, u16) = (40, 170);
/// Connections that one kvmscope may have open: lister, describer, lists, and
/// one for what libvirt itself announces.
const CONNECTIONS: usize = 8;

/// Two idle guests, and a server in front of them.
fn remote_host(test: &str) -> Option<(&'static Lab, Sshd)> {
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    match LAB.get_or_init(|| Lab::idle(2)) {
        Ok(lab) => Some((lab, Sshd::start(test, &lab.directory())?)),
        Err(reason) => {
            lab::skipped(test, reason);
            None
        }
    }
}

/// What ssh would ask through where it may not ask on a terminal; it leaves a
/// file behind when it is started.
struct Askpass {
    home: tempfile::TempDir,
    program: String,
}

impl Askpass {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("askpass");
        std::fs::write(&program, "#!/bin/sh\ntouch \"${0%/*}/asked\"\necho guess\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.display().to_string();
        Self { home, program }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn variables(&self) -> [(&str, &str); 4] {
        [
            ("SSH_ASKPASS", &self.program),
            ("SSH_ASKPASS_REQUIRE", "force"),
            ("DISPLAY", ":0"),
            ("SSH_AUTH_SOCK", "/nonexistent"),
        ]
    }

    #[track_caller]
    fn was_never_asked(&self) {
        assert!(!self.home().join("asked").exists(), "ssh asked for a secret");
    }
}

fn run(sshd: &Sshd, askpass: &Askpass, arguments: &[&str]) -> Output {
    let words = sshd.words();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(arguments);
    for (name, value) in program::environment(askpass.home()) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.envs(askpass.variables()).stdin(std::process::Stdio::null()).output().unwrap()
}

fn screen(sshd: &Sshd, askpass: &Askpass, uri: &str) -> Terminal {
    let words = sshd.words();
    let arguments = ["--uri", uri, "--poll-interval", "0.5"];
    let words: Vec<&str> = words.iter().map(String::as_str).chain(arguments).collect();
    Terminal::run(askpass.home(), SIZE, &words, &askpass.variables())
}

/// Quits, and finds the terminal as it was.
#[track_caller]
fn quits(mut terminal: Terminal) {
    terminal.press("q");
    terminal.ends_well();
}

fn ssh_of(terminal: &Terminal) -> Vec<Process> {
    processes::children(terminal.pid()).into_iter().filter(|child| child.name == "ssh").collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn with_a_good_key_a_remote_host_is_read_like_a_local_one() {
    let test = "with_a_good_key_a_remote_host_is_read_like_a_local_one";
    let Some((lab, sshd)) = remote_host(test) else { return };
    let askpass = Askpass::new();
    // Even a URI that would let ssh ask is kept from it.
    let uri = format!("{}&no_tty=0", sshd.uri("good"));
    let once = |uri: &str| {
        let output = run(&sshd, &askpass, &["once", "--json", "--uri", uri]);
        assert!(output.status.success(), "{uri}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{uri}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let (here, there) = (once(&lab.uri()), once(&uri));
    same_host(&there["host"], &here["host"]);
    let names = |answer: &Value| {
        let vms = answer["vms"].as_array().unwrap().iter();
        vms.map(|vm| vm["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&there), ["idle-1", "idle-2"]);
    assert_eq!(names(&there), names(&here));
    for (here, there) in here["vms"].as_array().unwrap().iter().zip(there["vms"].as_array().unwrap()) {
        for exact in ["uuid", "id", "state"] {
            assert_eq!(here[exact], there[exact]);
        }
        for rate in ["cpu_usage_percent", "disk_read_rate", "network_rx_rate"] {
            assert!(there[rate].is_number(), "{rate} of {there}");
        }
    }
    let output = run(&sshd, &askpass, &["check", "--uri", &uri]);
    let said = flowed(&text(&output.stdout));
    assert!(said.contains("answers, opened read-only: QEMU") && said.contains("2 live of 2"), "{said}");
    assert!(!said.contains("root@"), "{said}");

    let terminal = screen(&sshd, &askpass, &uri);
    terminal.wait_for("idle-2");
    terminal.wait("two paused guests", |screen| screen.contains("‖ 2 paused"));
    let connections = ssh_of(&terminal);
    assert!((1..=CONNECTIONS).contains(&connections.len()), "{connections:?}");
    quits(terminal);
    let left: Vec<_> = connections.iter().filter(|child| processes::is_there(child.pid, "ssh")).collect();
    lab::within_or_say(
        PATIENCE,
        || format!("no ssh is left of {left:?}"),
        || connections.iter().all(|child| !processes::is_there(child.pid, "ssh")).then_some(()),
    );
    askpass.was_never_asked();
}

/// `once`, `check` and the screen each say `words`, ask nothing, show no user,
/// and the screen stays a screen.
#[track_caller]
fn all_say(sshd: &Sshd, key: &str, words: &[&str]) {
    let askpass = Askpass::new();
    let uri = sshd.uri(key);
    let once = run(sshd, &askpass, &["once", "--uri", &uri]);
    assert_eq!(once.status.code(), Some(1));
    let check = run(sshd, &askpass, &["check", "--uri", &uri]);
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(text(&check.stderr), "", "nothing of ssh's own");
    for said in [flowed(&text(&once.stderr)), flowed(&text(&check.stdout))] {
        for words in words {
            assert!(said.contains(words), "{words:?} is not in: {said}");
        }
        assert!(!said.contains("root@") && !said.contains("no_tty"), "{said}");
        assert!(!said.contains(".."), "{said}");
    }
    let terminal = screen(sshd, &askpass, &uri);
    let shown = terminal.wait("the banner", |screen| screen.contains("LIBVIRT NOT REACHED since"));
    assert!(flowed(&shown).contains(words[0]), "{words:?}\n{shown}");
    terminal.wait("a second attempt", |screen| {
        screen.contains("LIBVIRT NOT REACHED") && sshd.sessions().is_empty()
    });
    let everything = text(&terminal.everything());
    for prompt in ["assword:", "passphrase for", "(yes/no", "root@"] {
        assert!(!everything.contains(prompt), "{prompt} was written to the terminal");
    }
    assert!(terminal.is_restored().is_err(), "the screen is still a screen");
    quits(terminal);
    askpass.was_never_asked();
}

#[test]
fn a_key_that_is_not_let_in_is_told_and_nothing_is_asked() {
    let Some((_, sshd)) = remote_host("a_key_that_is_not_let_in_is_told_and_nothing_is_asked") else {
        return;
    };
    all_say(
        &sshd,
        "wrong",
        &["cannot be reached: ***@127.0.0.1: Permission denied (", "authorized_keys", "ssh-add"],
    );
}

#[test]
fn a_key_behind_a_passphrase_is_told_and_nothing_is_asked() {
    let Some((_, sshd)) = remote_host("a_key_behind_a_passphrase_is_told_and_nothing_is_asked") else {
        return;
    };
    all_say(
        &sshd,
        "locked",
        &["cannot be reached: ***@127.0.0.1: Permission denied (", "without a passphrase", "ssh-add"],
    );
}

#[test]
fn an_unknown_host_key_is_told_and_nothing_is_asked() {
    let Some((_, sshd)) = remote_host("an_unknown_host_key_is_told_and_nothing_is_asked") else { return };
    sshd.forget_host();
    all_say(
        &sshd,
        "good",
        &["cannot be reached: Host key verification failed", "by hand", "ssh-keyscan HOST", "known_hosts"],
    );
}

#[test]
fn a_changed_host_key_is_told_as_such() {
    let Some((_, sshd)) = remote_host("a_changed_host_key_is_told_as_such") else { return };
    sshd.know_host("other");
    all_say(&sshd, "good", &["has changed and you have requested strict checking", "ssh-keygen -R HOST"]);
}

#[test]
fn a_far_side_without_a_daemon_is_told_as_such() {
    let test = "a_far_side_without_a_daemon_is_told_as_such";
    let empty = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(test, empty.path()) else { return };
    all_say(
        &sshd,
        "good",
        &["libvirt-sock-ro': No such file or directory", "libvirtd or virtqemud runs on that machine"],
    );
}

#[test]
fn a_link_that_is_cut_in_mid_call_is_told_and_mends_itself() {
    let test = "a_link_that_is_cut_in_mid_call_is_told_and_mends_itself";
    // A daemon of its own, because it is stopped.
    let lab = match Lab::idle(2) {
        Ok(lab) => lab,
        Err(reason) => return lab::skipped(test, &reason),
    };
    let Some(sshd) = Sshd::start(test, &lab.directory()) else { return };

    // One reader, whose call is known to be out.
    let (sender, answers) = mpsc::channel();
    let settings = Settings { uri: sshd.uri_with_client("good"), timeout: PATIENCE };
    let deliver = move |answer: Answer| drop(sender.send(answer));
    let reader = Reader::start(1, settings, Clock::system(), deliver).unwrap();
    let ask = || assert!(reader.ask(1, Question::Roster));
    let roster = || match answers.recv_timeout(PATIENCE).unwrap().reply {
        Ok(Reply::Roster(roster)) => roster.domains.len(),
        other => panic!("{other:?}"),
    };
    ask();
    assert_eq!(roster(), 2);
    let daemon = lab.freeze_daemon();
    ask();
    assert!(answers.recv_timeout(Duration::from_millis(500)).is_err(), "a stopped daemon answers nothing");
    sshd.cut();
    let error = answers.recv_timeout(PATIENCE).unwrap().reply.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("broke while listing the domains: "), "{said}");
    assert!(said.contains("anew by itself") && !said.contains("root@") && !said.contains(".."), "{said}");
    eprintln!("cut in mid-call: {said}");
    drop(daemon);
    ask();
    assert_eq!(roster(), 2, "the same reader connects anew");
    drop(reader);

    // The whole program.
    let askpass = Askpass::new();
    let terminal = screen(&sshd, &askpass, &sshd.uri("good"));
    terminal.wait("two paused guests", |screen| screen.contains("‖ 2 paused"));
    let daemon = lab.freeze_daemon();
    sshd.cut();
    let before = sshd.logins();
    let shown = flowed(&terminal.wait("the banner", |screen| screen.contains("LIBVIRT NOT REACHED since")));
    assert!(shown.contains("next try"), "{shown}");
    drop(daemon);
    terminal.wait("the way back", |screen| {
        !screen.contains("LIBVIRT NOT REACHED") && screen.contains("‖ 2 paused") && sshd.logins() > before
    });
    assert!(!text(&terminal.everything()).contains("root@"));
    quits(terminal);
}

#[test]
fn a_link_that_falls_silent_is_noticed_and_replaced() {
    let test = "a_link_that_falls_silent_is_noticed_and_replaced";
    let Some((_, sshd)) = remote_host(test) else { return };
    let askpass = Askpass::new();
    let terminal = screen(&sshd, &askpass, &sshd.uri("good"));
    terminal.wait("two paused guests", |screen| screen.contains("‖ 2 paused"));
    let before = sshd.logins();
    let stalled = sshd.stall();
    assert!(!stalled.is_empty());
    terminal.wait("the banner", |screen| screen.contains("LIBVIRT NOT REACHED since"));
    // The old links are still silent; new ones do their work.
    terminal.wait("the way back", |screen| {
        !screen.contains("LIBVIRT NOT REACHED") && screen.contains("‖ 2 paused") && sshd.logins() > before
    });
    quits(terminal);
    drop(stalled);
}

#[test]
fn reconnecting_leaves_no_ssh_process_behind() {
    let Some((_, sshd)) = remote_host("reconnecting_leaves_no_ssh_process_behind") else { return };
    let askpass = Askpass::new();
    let mut terminal = screen(&sshd, &askpass, &sshd.uri("good"));
    terminal.wait("two paused guests", |screen| screen.contains("‖ 2 paused"));
    for round in 1..=20 {
        let before = sshd.logins();
        terminal.press("r");
        lab::within(PATIENCE, &format!("reconnect {round}"), || (sshd.logins() > before).then_some(()));
        terminal.wait("the guests again", |screen| screen.contains("‖ 2 paused"));
    }
    let mut last = Vec::new();
    lab::within_or_say(
        Duration::from_secs(20),
        || "the old connections are closed".into(),
        || {
            last = ssh_of(&terminal);
            (last.len() <= CONNECTIONS && last.iter().all(|child| !child.is_zombie)).then_some(())
        },
    );
    assert!(!last.is_empty(), "it is still connected");
    eprintln!("ssh processes after 20 reconnects: {}", last.len());
    quits(terminal);
    lab::within(PATIENCE, "every ssh has ended", || {
        last.iter().all(|child| !processes::is_there(child.pid, "ssh")).then_some(())
    });
    lab::within(PATIENCE, "every session has ended", || sshd.sessions().is_empty().then_some(()));
}
