//! Asking an agent: one request over a connection of its own.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The head as it came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Its body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.head, String::from_utf8_lossy(&self.body)))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Reads one from the bytes of a connection.
    pub fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }
}

/// What a request says beside its first line and `Host`.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// The head of a request, complete.
pub fn request(method: &str, target: &str, host: &str, headers: Headers<'_>) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head + "\r\n"
}

/// A connection to the socket at `path`.
pub fn unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection to `address`.
pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `bytes` and reads all that comes.
pub fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> Vec<u8> {
    // Who refuses may close before all was sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Asks over the socket at `path`.
pub fn ask(path: &Path, method: &str, target: &str) -> Answer {
    let request = request(method, target, "agent", &[]);
    Answer::read(&exchange(unix(path), request.as_bytes()))
}

/// Asks over TCP.
pub fn ask_tcp(address: SocketAddr, method: &str, target: &str, headers: Headers<'_>) -> Answer {
    let request = request(method, target, &address.to_string(), headers);
    Answer::read(&exchange(tcp(address), request.as_bytes()))
}

/// Percent-encodes a part of a path.
pub fn encoded(text: &str) -> String {
    crate::lab::http::encode(text)
}

/// A stream of events.
pub struct Events {
    stream: BufReader<UnixStream>,
    text: String,
}

impl Events {
    /// Opens it.
    pub fn open(path: &Path) -> Self {
        let mut stream = unix(path);
        let request = request("GET", "/api/telemetry/events", "agent", &[]);
        stream.write_all(request.as_bytes()).unwrap();
        let mut events = Self { stream: BufReader::new(stream), text: String::new() };
        assert!(events.line().starts_with("HTTP/1.1 200"));
        while !events.line().is_empty() {}
        events
    }

    /// The next event of this name: its data.
    pub fn next(&mut self, name: &str) -> Value {
        loop {
            let event = self.event();
            if event.lines().any(|line| line.strip_prefix("event: ") == Some(name)) {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                return serde_json::from_str(data).unwrap();
            }
        }
    }

    /// The next event as it was sent: it comes in chunks, each with its size.
    fn event(&mut self) -> String {
        while !self.text.contains("\n\n") {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            assert!(size > 0, "the stream ended");
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk).unwrap();
            self.text += std::str::from_utf8(&chunk[..size]).unwrap();
        }
        let (event, rest) = self.text.split_once("\n\n").unwrap();
        let (event, rest) = (event.to_owned(), rest.to_owned());
        self.text = rest;
        event
    }

    /// Whether the stream ends.
    pub fn ends(mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }
}
