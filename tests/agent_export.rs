//! `kvmscope export` where somebody records: through the agent's socket, one at
//! a time, and never in the way of a cycle; after it was killed; and beside a
//! screen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod exporting;
mod lab;
mod sample;
mod scenes;

use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use agent_process::{
    Agent, PATIENCE,
    asking::{Answer, ask, request, unix},
};
use exporting::{Left, at, refused, stamp, whole};
use kvmscope::{
    clock::Clock,
    model::{Frame, WallTime},
};
use lab::terminal::Terminal;
use rustix::process::Signal;

const LONG_AGO: &str = "2020-01-01T00:00:00Z";
const EXPORT: &str = "/api/telemetry/export?since=2020-01-01T00:00:00Z";

/// An agent that records the demo host, in a record that may be begun already.
struct Scene {
    agent: Agent,
    socket: PathBuf,
    config: PathBuf,
    left: Left,
}

impl Scene {
    fn start(left: Left) -> Self {
        let home = left.home.path();
        std::fs::copy(lab::repository().join("assets/demo-host.xml"), home.join("host.xml")).unwrap();
        let (socket, config) = (home.join("agent.sock"), home.join("agent.toml"));
        std::fs::write(&config, format!("[agent]\nsocket = \"{}\"\n", socket.display())).unwrap();
        let agent = Self::agent(&left, &config);
        let scene = Self { agent, socket, config, left };
        scene.until_recorded(Clock::system().now().0);
        scene
    }

    fn agent(left: &Left, config: &std::path::Path) -> Agent {
        let arguments = ["--config", config.to_str().unwrap(), "--uri", &left.uri, "--poll-interval", "0.2"];
        Agent::start(left.home.path(), &arguments)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.left.command(arguments);
        command.arg("--config").arg(&self.config);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Waits until the record has what was read at `then`.
    fn until_recorded(&self, then: WallTime) {
        let since = at(then.0);
        lab::within(PATIENCE, "the record goes on", || {
            let output = self.run(&["--since", &since]);
            (!output.stdout.is_empty()).then_some(())
        });
    }

    fn cycles(&self) -> u64 {
        ask(&self.socket, "GET", "/api/telemetry/status").json()["total_collections"].as_u64().unwrap()
    }
}

/// Cycles of many VMs that end now: some megabytes of lines.
fn much() -> Vec<Frame> {
    let now = Clock::system().now().0;
    let mut frame = sample::frame(Vec::new());
    let cycle = |number: i64| {
        frame.cycle += 1;
        frame.at = WallTime(now.0 - (400 - number) * 1_000_000_000);
        let many = (0..60_u32).map(|vm| {
            let name = format!("vm-{vm}");
            let mut reading = sample::reading(sample::identity(Some(vm + 1), &name, &scenes::uuid(vm)));
            reading.at = frame.at;
            std::sync::Arc::new(sample::domain(reading))
        });
        frame.domains = many.collect();
        frame.clone()
    };
    (0..300).map(cycle).collect()
}

#[test]
fn the_agent_is_asked_while_it_records_and_the_file_when_it_was_killed() {
    let mut scene = Scene::start(Left::empty());
    let until = Clock::system().now().0;
    // Lines of before are all there when one of later is.
    scene.until_recorded(until);
    let until = at(until.0);
    let span = ["--since", LONG_AGO, "--until", &until];
    let forms = ["lp", "csv", "jsonl"];
    let all = |scene: &Scene| forms.map(|form| whole(&scene.run(&[&span[..], &["--format", form]].concat())));
    let asked = all(&scene);
    let last = asked[0].lines().map(stamp).max().unwrap();
    assert!(asked[0].lines().count() > 10 && at(last) < until, "{}", asked[0]);
    let name = "web-frontend-1";
    let one = whole(&scene.run(&[&span[..], &["--vm", name]].concat()));
    let expected: String =
        asked[0].split_inclusive('\n').filter(|line| line.contains(&format!("name={name},"))).collect();
    assert!(!one.is_empty() && one == expected);

    for (arguments, code, words) in [
        (&["--since", LONG_AGO, "--until", "2020-01-02T00:00:00Z"][..], 4, "nothing is recorded"),
        (&["--since", LONG_AGO, "--vm", "nosuch"], 5, "no VM with the name or uuid \"nosuch\""),
    ] {
        let (found, told) = refused(&scene.run(arguments));
        assert!(found == code && told.contains(words), "{found} {told}");
    }

    scene.agent.signal(Signal::KILL);
    scene.agent.wait();
    let left = all(&scene);
    assert!(left == asked, "what was recorded is what was told");
    // And the next one goes on with it.
    scene.agent = Scene::agent(&scene.left, &scene.config);
    scene.until_recorded(Clock::system().now().0);
    assert!(whole(&scene.run(&span)) == asked[0]);
}

#[test]
fn one_who_takes_nothing_of_an_export_holds_up_no_cycle_and_no_other_question() {
    let mut scene = Scene::start(Left::of(much(), 2000));
    let mut slow = unix(&scene.socket);
    slow.write_all(request("GET", EXPORT, "agent", &[]).as_bytes()).unwrap();
    let mut first = [0; 1024];
    slow.read_exact(&mut first).unwrap();
    let head = String::from_utf8_lossy(&first).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/plain"), "{head}");
    // The second one is told to wait.
    let second = ask(&scene.socket, "GET", EXPORT);
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")), "{second:?}");
    let (code, told) = refused(&scene.run(&["--since", LONG_AGO]));
    assert!(code == 1 && told.contains("503") && told.contains("another export"), "{told}");
    // Cycles go on, and into the record.
    let before = scene.cycles();
    lab::within(PATIENCE, "cycles go on", || (scene.cycles() > before + 10).then_some(()));
    let waits =
        ask(&scene.socket, "GET", "/api/telemetry/status").json()["collector"]["skipped_ticks"].clone();
    assert!(waits.is_u64(), "{waits}");
    drop(slow);
    let again = lab::within(PATIENCE, "the next one is let in", || {
        let answer = ask(&scene.socket, "GET", EXPORT);
        (answer.status == 200).then_some(answer)
    });
    assert!(again.body.len() > scene.left.sent.len());
    assert!(scene.agent.end().success());
}

#[test]
fn an_export_that_was_cut_off_is_not_taken_for_the_whole() {
    let mut scene = Scene::start(Left::of(much(), 2000));
    let mut process = scene
        .command(&["--since", LONG_AGO, "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = process.stdout.take().unwrap();
    let mut begun = [0; 4096];
    out.read_exact(&mut begun).unwrap();
    scene.agent.signal(Signal::KILL);
    scene.agent.wait();
    out.read_to_end(&mut Vec::new()).unwrap();
    let output = process.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("cut off") && told.contains("kvmscope agent (process"), "{told}");
}

#[test]
fn what_the_agents_record_lacks_is_told_with_the_rest() {
    let left = Left::of(much(), 2000);
    let lacks = left.damage();
    let scene = Scene::start(left);
    let until = at(scene.left.frames.last().unwrap().at.0 + 1);
    let output = scene.run(&["--since", LONG_AGO, "--until", &until]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("lacks {lacks} lines")), "{told}");
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count() + lacks, scene.left.sent.lines().count());
}

#[test]
fn a_user_without_a_record_of_his_own_is_given_the_agents() {
    let mut scene = Scene::start(Left::empty());
    let other = tempfile::tempdir().unwrap();
    let ask = |scene: &Scene| {
        let mut command = exporting::export(other.path(), &scene.left.uri, &["--since", LONG_AGO]);
        command.arg("--config").arg(&scene.config).output().unwrap()
    };
    let told = whole(&ask(&scene));
    assert!(told.lines().any(|line| line.contains("name=web-frontend-1,")), "{told}");
    // What a killed one leaves behind is nobody.
    scene.agent.signal(Signal::KILL);
    scene.agent.wait();
    let (code, told) = refused(&ask(&scene));
    assert!(code == 1 && told.contains("there is no record in"), "{told}");
}

#[test]
fn a_bad_question_is_told_what_is_allowed() {
    let scene = Scene::start(Left::empty());
    for (question, allowed) in [
        ("export", "RFC 3339"),
        ("export?since=yesterday", "RFC 3339"),
        ("export?since=2020-01-01T00:00:00Z&format=xml", "lp, csv, jsonl"),
        ("export?since=2020-01-01T00:00:00Z&until=2019-01-01T00:00:00Z", "before until"),
        ("export?since=2020-01-01T00:00:00Z&color=red", "since, until, vm, format"),
    ] {
        let answer = ask(&scene.socket, "GET", &format!("/api/telemetry/{question}"));
        assert_eq!(answer.status, 400, "{question}: {answer:?}");
        assert!(answer.json()["allowed"].as_str().unwrap().contains(allowed), "{question}: {answer:?}");
    }
    let post: Answer = ask(&scene.socket, "POST", EXPORT);
    assert_eq!(post.status, 405);
}

#[test]
fn beside_a_screen_it_says_which_process_has_the_record() {
    let left = Left::empty();
    let home = left.home.path();
    std::fs::copy(lab::repository().join("assets/demo-host.xml"), home.join("host.xml")).unwrap();
    let mut terminal = Terminal::start(home, (24, 100), &["--uri", &left.uri], &[]);
    terminal.wait_for("web-frontend-1");
    let (code, told) = lab::within(PATIENCE, "it records", || {
        let (code, told) = refused(&left.run(&["--since", "1h"]));
        (!told.contains("there is no record")).then_some((code, told))
    });
    assert_eq!(code, 1);
    let who = format!("kvmscope (process {})", terminal.pid());
    assert!(told.contains(&who) && told.contains("quit it"), "{told}");
    terminal.press("q");
    terminal.wait_for_end();
    assert!(!left.exported(&["--since", "1h"]).is_empty(), "when it has ended the file is read");
}
