//! The agent as a process, its own figures, and what it takes of the machine.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    lab::{port, program, test_host::test_host_of},
    load::Door,
};

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running agent. Dropping it ends it.
pub struct Agent {
    process: Child,
    socket: PathBuf,
    address: SocketAddr,
}

/// How it is.
#[derive(Clone, Copy)]
pub struct Figures {
    pub at: Instant,
    /// Seconds that they are of.
    pub span: f64,
    pub cycles: u64,
    pub skipped: u64,
    /// Seconds that the last cycle took.
    pub cycle: f64,
    /// Seconds of CPU.
    pub cpu: f64,
    /// Bytes.
    pub resident: f64,
}

impl Agent {
    /// One that collects so many machines of the test hypervisor at 1 Hz, and
    /// records them.
    pub fn start(home: &Path, machines: u32) -> Self {
        let uri = test_host_of(home, machines);
        let socket = home.join("agent.sock");
        let address = port::free();
        let config = home.join("agent.toml");
        let text = format!("[agent]\nsocket = \"{}\"\nlisten = \"{address}\"\n", socket.display());
        std::fs::write(&config, text).unwrap();
        let process = program::kvmscope(home)
            .args(["agent", "--uri", &uri, "--poll-interval", "1", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { process, socket, address };
        let end = Instant::now() + PATIENCE;
        while !agent.is_collecting() {
            assert!(Instant::now() < end, "it does not collect");
            std::thread::sleep(Duration::from_millis(100));
        }
        agent
    }

    fn is_collecting(&self) -> bool {
        self.ask("/api/telemetry/status", "")
            .and_then(|body| serde_json::from_slice::<Value>(&body).ok())
            .is_some_and(|status| status["collector_initialized"] == true)
    }

    /// Its socket.
    pub fn socket(&self) -> Door {
        Door::Unix(self.socket.clone())
    }

    /// Its address.
    pub fn loopback(&self) -> Door {
        Door::Tcp(self.address)
    }

    /// An answer's body, as it is sent with these headers.
    pub fn body(&self, path: &str, headers: &str) -> Vec<u8> {
        self.ask(path, headers).unwrap()
    }

    /// How it is now.
    pub fn figures(&self) -> Figures {
        let status: Value = serde_json::from_slice(&self.body("/api/telemetry/status", "")).unwrap();
        Figures {
            at: Instant::now(),
            span: 0.0,
            cycles: status["total_collections"].as_u64().unwrap(),
            skipped: status["collector"]["skipped_ticks"].as_u64().unwrap(),
            cycle: status["collector"]["last_cycle_sec"].as_f64().unwrap_or(f64::NAN),
            cpu: self.cpu(),
            resident: self.resident(),
        }
    }

    /// Seconds of CPU that all its threads have taken so far.
    fn cpu(&self) -> f64 {
        // In USER_HZ, which is 100 on every Linux a program can see.
        const HZ: f64 = 100.0;
        let stat = self.proc("stat");
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / HZ
    }

    fn resident(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() * 1024.0
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }

    fn ask(&self, path: &str, headers: &str) -> Option<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        Some(answer.split_off(end + 4))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
