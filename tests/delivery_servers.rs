//! Delivery to servers that are killed, restarted and frozen: InfluxDB 1.6 and
//! VictoriaMetrics as processes of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test that fails stops there"
)]

#[path = "lab/database.rs"]
mod database;
mod double;
#[path = "lab/port.rs"]
mod port;
mod recording;
mod sample;
#[path = "lab/skip.rs"]
mod skip;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use double::Double;
use kvmscope::{config::Api, model::status::DeliveryState};
use recording::{LINES, assert_accounted, record, settings, start, wait, wait_settled, watcher::Watcher};
use rustix::process::Signal;

/// A database process, in a directory of its own, on a port that it keeps
/// when it is started again.
struct Process {
    child: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
    command: fn(SocketAddr, &Path) -> Command,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// `None`, after saying so, where the program is not installed.
    fn start(test: &str, program: &str, command: fn(SocketAddr, &Path) -> Command) -> Option<Self> {
        let address = port::free();
        Self::start_at(address, test, program, command)
    }

    /// The same at an address of the caller's choice.
    fn start_at(
        address: SocketAddr,
        test: &str,
        program: &str,
        command: fn(SocketAddr, &Path) -> Command,
    ) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let Ok(child) = quiet(&mut command(address, directory.path())).spawn() else {
            skip::skipped(test, &format!("{program} is not installed"));
            return None;
        };
        let mut process = Self { child, address, directory, command };
        process.becomes_ready();
        Some(process)
    }

    /// Ends it with this signal and waits for its end.
    fn end(&mut self, signal: Signal) {
        self.send(signal);
        self.child.wait().unwrap();
    }

    fn send(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    fn restart(&mut self) {
        self.child = quiet(&mut (self.command)(self.address, self.directory.path())).spawn().unwrap();
        self.becomes_ready();
    }

    fn becomes_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(self.address).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
            assert!(Instant::now() < deadline, "not ready within a minute");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// One request, and the status and body of its answer.
fn http(address: SocketAddr, method: &str, target: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {target} HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(body).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut input = BufReader::new(stream);
    let mut first = String::new();
    input.read_line(&mut first).unwrap();
    let mut length = None;
    loop {
        let mut header = String::new();
        input.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse().unwrap());
        }
    }
    let status = first.split(' ').nth(1).unwrap().parse().unwrap();
    let length = if status == 204 { Some(0) } else { length };
    let mut body = String::new();
    input.take(length.unwrap_or(u64::MAX)).read_to_string(&mut body).unwrap();
    (status, body)
}

fn influxd(address: SocketAddr, directory: &Path) -> Command {
    database::influxd(address, directory, false)
}

/// Records 60 cycles, with `outage` after the twentieth.
fn through_an_outage(server: &mut Process, outage: Signal) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    let handle = start(settings);
    record(&handle, 1..=20);
    let status = wait_settled(&handle, 100);
    assert_eq!(status.api, Some("v1"));
    server.end(outage);
    record(&handle, 21..=60);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }) && d.waiting() == 200);
    server.restart();
    handle.retry_now();
    // A server that listens may still answer that it is not ready.
    let status = wait_settled(&handle, 300);
    assert_eq!(status.delivered, 300);
    assert_accounted(&status);
}

/// What happens to a server while it is written to.
#[derive(Clone, Copy, Debug)]
enum Trial {
    Killed,
    Restarted,
    Frozen,
}

/// Ends the load, also where the test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Records without a break while `trials` happen to the server, each until
/// lines wait, and until they are delivered while more come. Returns the
/// number of the last cycle, with everything delivered and every figure on the
/// way in order.
fn under_load(server: &mut Process, trials: &[Trial]) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    settings.influx.timeout = Duration::from_secs(1);
    let handle = start(settings);
    let watcher = Watcher::start(&handle);
    let ended = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let ending = Ending(&ended);
        let load = scope.spawn(|| {
            let mut last = 0;
            while !ended.load(Ordering::Acquire) {
                record(&handle, last + 1..=last + 5);
                last += 5;
            }
            last
        });
        wait(&handle, "delivering", |d, _| d.delivered >= 200);
        for trial in trials {
            let before = handle.status().borrow().0.clone();
            match trial {
                Trial::Killed => server.end(Signal::KILL),
                Trial::Restarted => server.end(Signal::TERM),
                Trial::Frozen => server.send(Signal::STOP),
            }
            let (down, _) = wait(&handle, "retrying", |d, _| {
                matches!(d.state, DeliveryState::Retrying { .. })
                    && d.emitted >= before.emitted + 300
                    && d.waiting() >= 100
            });
            match trial {
                Trial::Frozen => server.send(Signal::CONT),
                Trial::Killed | Trial::Restarted => server.restart(),
            }
            handle.retry_now();
            wait(&handle, "caught up", |d, _| d.delivered >= down.emitted + 200);
        }
        drop(ending);
        load.join().unwrap()
    });
    let all = last * LINES as u64;
    wait_settled(&handle, all);
    drop(handle);
    let (figures, status) = watcher.end();
    assert!(figures > 100, "only {figures} figures seen");
    assert_eq!((status.delivered, status.quarantined, status.dropped_total()), (all, 0, 0), "{status:#?}");
    assert!(status.retries >= trials.len() as u64, "{status:#?}");
    last
}

/// The `cputime_ns` of cycles 1 to `last`.
fn expected(last: u64) -> Vec<u64> {
    (1..=last).map(|cycle| cycle * 1_000_003).collect()
}

/// What `InfluxDB` 1 has of them.
fn in_influxdb_1(server: &Process) -> Vec<u64> {
    let target = "/query?db=vmstats&q=SELECT+cputime_ns+FROM+vm_metrics";
    let (_, answer) = http(server.address, "GET", target, b"");
    let start = answer.find('{').unwrap();
    let end = answer.rfind('}').unwrap();
    let json: serde_json::Value = serde_json::from_str(&answer[start..=end]).unwrap();
    let values = json["results"][0]["series"][0]["values"].as_array().unwrap();
    values.iter().map(|row| row[1].as_u64().unwrap()).collect()
}

/// What `VictoriaMetrics` has of them, repeated ones once.
fn in_victoria_metrics(server: &Process) -> Vec<u64> {
    http(server.address, "GET", "/internal/force_flush", b"");
    let target = "/api/v1/export?match[]=vm_metrics_cputime_ns&start=0&end=4102444800";
    let (_, answer) = http(server.address, "GET", target, b"");
    let mut found = BTreeSet::new();
    for line in answer.lines().filter(|line| line.starts_with('{')) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let values = json["values"].as_array().unwrap();
        found.extend(values.iter().map(|value| value.as_u64().unwrap()));
    }
    found.into_iter().collect()
}

#[test]
fn influxdb_1_killed_and_restarted_has_every_cycle() {
    let Some(mut server) = Process::start("influxdb_1_killed_and_restarted", "influxd", influxd) else {
        return;
    };
    let (status, answer) = http(server.address, "POST", "/query?q=CREATE+DATABASE+vmstats", b"");
    assert_eq!(status, 200, "{answer}");
    through_an_outage(&mut server, Signal::KILL);
    assert_eq!(in_influxdb_1(&server), expected(60));
}

#[test]
fn victoria_metrics_stopped_and_restarted_has_every_cycle() {
    let Some(mut server) = Process::start(
        "victoria_metrics_stopped_and_restarted",
        "victoria-metrics",
        database::victoria_metrics,
    ) else {
        return;
    };
    // It does not sync before it answers, so it is ended in order.
    through_an_outage(&mut server, Signal::TERM);
    assert_eq!(in_victoria_metrics(&server), expected(60));
}

#[test]
fn another_server_at_the_same_address_is_asked_what_it_is() {
    for (program, command) in [
        ("victoria-metrics", database::victoria_metrics as fn(SocketAddr, &Path) -> Command),
        ("influxd", influxd),
    ] {
        let double = Double::open();
        let address = double.address();
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(Some(double.url()), Some(dir.path()));
        settings.influx.api = Api::Auto;
        let handle = start(settings);
        let watcher = Watcher::start(&handle);
        record(&handle, 1..=10);
        assert_eq!(wait_settled(&handle, 50).api, Some("v3"));
        drop(double);
        let test = "another_server_at_the_same_address_is_asked_what_it_is";
        let Some(server) = Process::start_at(address, test, program, command) else { return };
        record(&handle, 11..=60);
        handle.retry_now();
        if program == "influxd" {
            // It has no database yet: this pauses until there is one.
            wait(
                &handle,
                "paused",
                |d, _| matches!(&d.state, DeliveryState::Paused { mend, .. } if mend.contains("CREATE DATABASE")),
            );
            http(address, "POST", "/query?q=CREATE+DATABASE+vmstats", b"");
            handle.retry_now();
        }
        let status = wait_settled(&handle, 300);
        assert_eq!((status.api, status.delivered), (Some("v1"), 300), "{program}");
        drop(handle);
        watcher.end();
        let found = if program == "influxd" { in_influxdb_1(&server) } else { in_victoria_metrics(&server) };
        assert_eq!(found, expected(60)[10..], "{program}");
    }
}

#[test]
fn influxdb_1_killed_restarted_and_frozen_under_load_has_every_cycle() {
    let test = "influxdb_1_killed_restarted_and_frozen_under_load";
    let Some(mut server) = Process::start(test, "influxd", influxd) else { return };
    let (status, answer) = http(server.address, "POST", "/query?q=CREATE+DATABASE+vmstats", b"");
    assert_eq!(status, 200, "{answer}");
    let last = under_load(&mut server, &[Trial::Killed, Trial::Frozen, Trial::Restarted]);
    assert_eq!(in_influxdb_1(&server), expected(last));
}

#[test]
fn victoria_metrics_frozen_and_restarted_under_load_has_every_cycle() {
    let test = "victoria_metrics_frozen_and_restarted_under_load";
    let Some(mut server) = Process::start(test, "victoria-metrics", database::victoria_metrics) else {
        return;
    };
    let last = under_load(&mut server, &[Trial::Frozen, Trial::Restarted]);
    assert_eq!(in_victoria_metrics(&server), expected(last));
}

#[test]
fn victoria_metrics_killed_under_load_is_accounted_for() {
    let test = "victoria_metrics_killed_under_load_is_accounted_for";
    let Some(mut server) = Process::start(test, "victoria-metrics", database::victoria_metrics) else {
        return;
    };
    let last = under_load(&mut server, &[Trial::Killed, Trial::Killed]);
    // It answers before its data is durable, so that what it confirmed before
    // it was killed may be gone; what came after is there, and nothing else.
    let (found, all) = (in_victoria_metrics(&server), expected(last));
    assert!(found.iter().all(|value| all.binary_search(value).is_ok()));
    assert!(found.ends_with(&all[all.len() - 20..]), "{} of {}", found.len(), all.len());
}
