//! InfluxDB 1.6 and VictoriaMetrics as processes, each with its own directory
//! and loopback port, ended when dropped.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{database, http, installed, port, skipped, within};

/// A database server of the test's own.
pub struct Server {
    process: Child,
    address: SocketAddr,
    /// How it is started, and the path at which it says that it is ready.
    command: fn(SocketAddr, &Path) -> Command,
    ready: &'static str,
    // Removed after the process has ended.
    directory: tempfile::TempDir,
}

impl Server {
    /// InfluxDB 1.6 without authentication and without a database; or `None`
    /// after saying that `test` is skipped.
    pub fn influxd(test: &str) -> Option<Self> {
        Self::influxd_as(test, |address, directory| database::influxd(address, directory, false))
    }

    /// One that wants a user and a password, and has no user yet.
    pub fn influxd_with_passwords(test: &str) -> Option<Self> {
        Self::influxd_as(test, |address, directory| database::influxd(address, directory, true))
    }

    fn influxd_as(test: &str, command: fn(SocketAddr, &Path) -> Command) -> Option<Self> {
        if !installed("influxd") {
            skipped(test, "influxd is not installed (make test unpacks it on Debian and Ubuntu)");
            return None;
        }
        Some(Self::start("/ping", command))
    }

    /// VictoriaMetrics, whose writes can be read back at once after `flush`; or
    /// `None` after saying that `test` is skipped.
    pub fn victoria_metrics(test: &str) -> Option<Self> {
        if !installed("victoria-metrics") {
            skipped(test, "victoria-metrics is not installed (make test unpacks it on Debian and Ubuntu)");
            return None;
        }
        Some(Self::start("/health", database::victoria_metrics))
    }

    /// Its process, to freeze it and the like.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens: a loopback address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One request to it; the body of a successful answer.
    pub fn ask(&self, method: &str, target: &str) -> String {
        let (status, body) = http::request(self.address, method, target, b"").unwrap();
        assert!((200..300).contains(&status), "{method} {target}: {status} {body}");
        body
    }

    /// Runs a statement of InfluxDB's query language (InfluxDB only) and returns its JSON.
    pub fn influxql(&self, database: &str, statement: &str) -> String {
        self.ask(
            "POST",
            &format!("/query?epoch=ns&db={}&q={}", http::encode(database), http::encode(statement)),
        )
    }

    /// Ends it as a power cut would: nothing is flushed.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    /// Starts it again where it was, with what it has on disk.
    pub fn restart(&mut self) {
        self.process = spawn(self.command, self.address, self.directory.path());
        assert!(self.answers(), "it ended at once");
    }

    /// Waits until it answers; false where it ends instead.
    fn answers(&mut self) -> bool {
        within(Duration::from_secs(30), "the server answers", || {
            if self.process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let (status, _) = http::request(self.address, "GET", self.ready, b"").ok()?;
            (200..300).contains(&status).then_some(true)
        })
    }

    fn start(ready: &'static str, command: fn(SocketAddr, &Path) -> Command) -> Self {
        // Another process may take the port between choosing and binding it:
        // then the server ends, and the next port is tried.
        for _ in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let address = port::free();
            let process = spawn(command, address, directory.path());
            let mut server = Self { process, address, command, ready, directory };
            if server.answers() {
                return server;
            }
        }
        panic!("the server ends at once, five times");
    }
}

fn spawn(command: fn(SocketAddr, &Path) -> Command, address: SocketAddr, directory: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).unwrap();
    command(address, directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
