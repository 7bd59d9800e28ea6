//! `kvmscope agent` as a process: its standard error, its service manager, its
//! end.

#![allow(dead_code, reason = "each test file uses what it needs")]

pub mod asking;

use std::{
    io::{BufRead as _, BufReader},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::lab::{processes::send, program};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running agent, killed when dropped.
pub struct Agent {
    process: Child,
    lines: Receiver<String>,
    /// What it has logged so far, for whoever wonders.
    pub log: Vec<String>,
    /// How many of its lines were looked through for words already.
    heard: usize,
    manager: UnixDatagram,
    home: PathBuf,
}

impl Agent {
    /// Starts it with `home` in place of the user's, and waits until it says
    /// that it is ready.
    pub fn start(home: &Path, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, &[])
    }

    /// As [`Agent::start`], with more variables.
    pub fn start_with(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut agent = Self::spawn(home, arguments, variables);
        agent.told("READY=1");
        agent
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let socket = home.join("notify");
        let _ = std::fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut process = program::kvmscope(home)
            .arg("agent")
            .args(arguments)
            .env("NOTIFY_SOCKET", &socket)
            .env_remove("JOURNAL_STREAM")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { process, lines, log: Vec::new(), heard: 0, manager, home: home.to_owned() }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the service manager is told something that begins so;
    /// returns all of it.
    pub fn told(&mut self, beginning: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut bytes = [0; 4096];
            if let Ok(length) = self.manager.recv(&mut bytes) {
                let told = String::from_utf8_lossy(&bytes[..length]).into_owned();
                if told.starts_with(beginning) {
                    return told;
                }
                continue;
            }
            self.log.extend(self.lines.try_iter());
            let gone = self.process.try_wait().unwrap();
            assert!(gone.is_none(), "it ended: {gone:?}\n{}", self.log.join("\n"));
            assert!(Instant::now() < end, "{beginning} is never told\n{}", self.log.join("\n"));
        }
    }

    /// Waits for a line of its log that holds `words`, later than those that
    /// were waited for before.
    pub fn logged(&mut self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            while let Some(line) = self.log.get(self.heard) {
                self.heard += 1;
                if line.contains(words) {
                    return line.clone();
                }
            }
            let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) else {
                panic!("{words} is never logged:\n{}", self.log.join("\n"));
            };
            self.log.push(line);
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                self.log.extend(self.lines.iter());
                return status;
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.log.join("\n"));
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Ends it as a service manager would.
    pub fn end(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            self.log.extend(self.lines.try_iter());
            eprintln!("the agent's log:\n{}", self.log.join("\n"));
        }
    }
}
