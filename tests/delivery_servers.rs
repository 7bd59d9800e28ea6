//! Delivery to servers that go away and come back: the InfluxDB 3 double,
//! and InfluxDB 1.6 and VictoriaMetrics as processes of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a test that fails stops there"
)]

mod double;
mod recording;
mod sample;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use double::{Double, Fault, Mode};
use kvmscope::{
    config::{Api, Auth, SecretSource},
    model::status::{DeliveryState, DeliveryStatus},
};
use recording::{LINES, assert_accounted, assert_same, lines, record, settings, start, wait, wait_settled};

const DATABASE: &str = "vmstats";

#[test]
fn the_double_gets_every_line_across_a_restart_and_a_frozen_spell() {
    let server = Double::open();
    let address = server.address();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    settings.influx.timeout = Duration::from_millis(500);
    let handle = start(settings);
    record(&handle, 1..=10);
    let status = wait_settled(&handle, 50);
    assert_eq!(status.api, Some("v3"), "found by asking");
    assert_same(&server.lines(DATABASE), &lines(1..=10));

    server.always(Some(Fault::Hang));
    record(&handle, 11..=20);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    server.always(None);
    server.next(Fault::WriteThenReset);
    handle.retry_now();
    wait_settled(&handle, 100);
    let arrived: BTreeSet<String> = server.lines(DATABASE).into_iter().collect();
    assert_eq!(arrived, lines(1..=20).into_iter().collect());

    drop(server);
    record(&handle, 21..=30);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    let server = Double::open_at(address);
    handle.retry_now();
    let status = wait_settled(&handle, 150);
    assert_same(&server.lines(DATABASE), &lines(21..=30));
    assert_accounted(&status);
}

#[test]
fn a_server_that_comes_late_and_never_says_what_it_is_is_found() {
    let address = Double::open().address();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(format!("http://{address}")), Some(dir.path()));
    settings.influx.api = Api::Auto;
    let handle = start(settings);
    record(&handle, 1..=5);
    let (status, _) =
        wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }) && d.retries > 0);
    assert_eq!((status.api, status.waiting()), (None, 25));
    let server = Double::open_at(address);
    server.set_mode(Mode::NoPing);
    handle.retry_now();
    let status = wait_settled(&handle, 25);
    assert_eq!((status.api, status.quarantined), (Some("v3"), 0));
    assert_same(&server.lines(DATABASE), &lines(1..=5));
    assert_accounted(&status);
}

#[test]
fn another_server_in_the_place_of_the_first_is_asked_what_it_is() {
    let server = Double::open();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    let handle = start(settings);
    record(&handle, 1..=5);
    assert_eq!(wait_settled(&handle, 25).api, Some("v3"));
    // In the midst of it, without a word.
    server.set_mode(Mode::LikeVictoriaMetrics);
    record(&handle, 6..=10);
    let status = wait_settled(&handle, 50);
    assert_eq!((status.api, status.retries, status.quarantined), (Some("v1"), 0, 0));
    // After a spell of answers that call for patience: asked again each time.
    server.set_mode(Mode::Unavailable(None));
    record(&handle, 11..=15);
    wait(&handle, "retrying", |d, _| matches!(d.state, DeliveryState::Retrying { .. }));
    server.set_mode(Mode::Current);
    handle.retry_now();
    assert_eq!(wait_settled(&handle, 75).api, Some("v3"));
    // And after one that calls for the operator.
    server.set_mode(Mode::Unauthorized);
    record(&handle, 16..=20);
    wait(&handle, "paused", |d, _| matches!(d.state, DeliveryState::Paused { .. }));
    server.set_mode(Mode::WriteOnly);
    handle.retry_now();
    let status = wait_settled(&handle, 100);
    assert_eq!(status.api, Some("v1"));
    assert_same(&server.lines(DATABASE), &lines(1..=20));
    assert_accounted(&status);
}

#[test]
fn a_token_rotated_while_running_pauses_and_resumes_without_a_restart() {
    let server = Double::guarded("first-token");
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "first-token\n").unwrap();
    let mut settings = settings(Some(server.url()), Some(dir.path()));
    settings.influx.api = Api::Auto;
    settings.influx.auth = Auth::Token(Some(SecretSource::File(token.clone())));
    let handle = start(settings);
    record(&handle, 1..=3);
    wait_settled(&handle, 15);
    server.set_token(Some("second-token"));
    record(&handle, 4..=4);
    let (status, _) = wait(&handle, "paused", |d, _| matches!(d.state, DeliveryState::Paused { .. }));
    assert_eq!(status.waiting(), 5);
    fs::write(&token, "second-token\n").unwrap();
    let status = wait_settled(&handle, 20);
    assert_same(&server.lines(DATABASE), &lines(1..=4));
    assert!(!format!("{status:?}").contains("-token"), "{status:?}");
    assert_accounted(&status);
}

/// `vm_devices` has an older, other type for `rxbytes`: every NIC's line is
/// refused, by each API in its own words, and nothing else is.
fn conflict(api: Api, server: &Double, url: &str) -> DeliveryStatus {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(url.to_owned()), Some(dir.path()));
    settings.influx.api = api;
    settings.influx.batch_max_sec = Duration::from_millis(300);
    let handle = start(settings);
    record(&handle, 1..=20);
    let status = wait_settled(&handle, 20 * LINES as u64);
    assert_eq!((status.delivered, status.quarantined), (60, 40), "{status:#?}");
    assert_accounted(&status);
    let arrived: BTreeSet<String> =
        server.lines(DATABASE).into_iter().filter(|line| !line.starts_with("vm_devices,old")).collect();
    let good: BTreeSet<String> =
        lines(1..=20).into_iter().filter(|line| !line.contains("devtype=nic")).collect();
    assert_eq!(arrived, good);
    status
}

#[test]
fn lines_that_conflict_with_a_column_are_quarantined_on_each_api() {
    for api in [Api::V3, Api::V2, Api::V1] {
        let server = Double::open();
        let old = "vm_devices,old=x rxbytes=1.5 1";
        let target = format!("/api/v3/write_lp?db={DATABASE}&precision=nanosecond");
        let (status, answer) = http(server.address(), "POST", &target, old.as_bytes());
        assert_eq!(status, 204, "{answer}");
        conflict(api, &server, &server.url());
    }
}

/// A database process, in a directory of its own, on a port that it keeps
/// when it is started again.
struct Process {
    child: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
    command: fn(&Path, SocketAddr) -> Command,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// `None`, after saying so, where the program is not installed.
    fn start(test: &str, program: &str, command: fn(&Path, SocketAddr) -> Command) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let Ok(child) = quiet(&mut command(directory.path(), address)).spawn() else {
            eprintln!("SKIPPED: {test}: {program} is not installed");
            return None;
        };
        let mut process = Self { child, address, directory, command };
        process.becomes_ready();
        Some(process)
    }

    /// Ends it with this signal and waits for its end.
    fn end(&mut self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = quiet(&mut (self.command)(self.directory.path(), self.address)).spawn().unwrap();
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
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
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

fn influxd(directory: &Path, address: SocketAddr) -> Command {
    let path = directory.display();
    let configuration = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n\
         [meta]\ndir = \"{path}/meta\"\nlogging-enabled = false\n\
         [data]\ndir = \"{path}/data\"\nwal-dir = \"{path}/wal\"\nquery-log-enabled = false\n\
         [monitor]\nstore-enabled = false\n\
         [http]\nbind-address = \"{address}\"\nlog-enabled = false\n"
    );
    let file = directory.join("influxdb.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("influxd");
    command.args(["run", "-config"]).arg(file).env("HOME", directory);
    command
}

fn victoria_metrics(directory: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-httpListenAddr={address}"))
        .arg(format!("-storageDataPath={}", directory.join("data").display()))
        .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]);
    command
}

/// Records 60 cycles, with `outage` after the twentieth.
fn through_an_outage(server: &mut Process, outage: rustix::process::Signal) {
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

/// The `cputime_ns` of cycles 1 to 60.
fn expected() -> Vec<u64> {
    (1..=60).map(|cycle| cycle * 1_000_003).collect()
}

#[test]
fn influxdb_1_killed_and_restarted_has_every_cycle() {
    let Some(mut server) = Process::start("influxdb_1_killed_and_restarted", "influxd", influxd) else {
        return;
    };
    let (status, answer) = http(server.address, "POST", "/query?q=CREATE+DATABASE+vmstats", b"");
    assert_eq!(status, 200, "{answer}");
    through_an_outage(&mut server, rustix::process::Signal::KILL);
    let target = "/query?db=vmstats&q=SELECT+cputime_ns+FROM+vm_metrics";
    let (_, answer) = http(server.address, "GET", target, b"");
    let start = answer.find('{').unwrap();
    let end = answer.rfind('}').unwrap();
    let json: serde_json::Value = serde_json::from_str(&answer[start..=end]).unwrap();
    let values = json["results"][0]["series"][0]["values"].as_array().unwrap();
    let found: Vec<u64> = values.iter().map(|row| row[1].as_u64().unwrap()).collect();
    assert_eq!(found, expected());
}

#[test]
fn victoria_metrics_stopped_and_restarted_has_every_cycle() {
    let Some(mut server) =
        Process::start("victoria_metrics_stopped_and_restarted", "victoria-metrics", victoria_metrics)
    else {
        return;
    };
    // It does not sync before it answers, so it is ended in order.
    through_an_outage(&mut server, rustix::process::Signal::TERM);
    http(server.address, "GET", "/internal/force_flush", b"");
    let (_, answer) = http(
        server.address,
        "GET",
        "/api/v1/export?match[]=vm_metrics_cputime_ns&start=0&end=4102444800",
        b"",
    );
    let mut found = BTreeSet::new();
    for line in answer.lines().filter(|line| line.starts_with('{')) {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let values = json["values"].as_array().unwrap();
        found.extend(values.iter().map(|value| value.as_u64().unwrap()));
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected());
}
