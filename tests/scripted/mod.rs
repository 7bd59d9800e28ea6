//! A scripted double of a server that speaks line protocol: it answers what
//! a test's own function says, and keeps the lines of every accepted write in
//! the order they came. It claims no likeness to any real server.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// One write as it came, decompressed.
pub struct Write {
    /// Path and query.
    pub target: String,
    /// The `authorization` header.
    pub authorization: Option<String>,
    /// The lines, without their newlines.
    pub lines: Vec<String>,
    /// Bytes of the body, decompressed.
    pub bytes: usize,
}

/// What is answered to a write.
pub enum Reply {
    /// 204, and all lines are kept.
    Written,
    /// Status and body, and these lines (by index) are kept.
    Partly(u16, String, Vec<usize>),
    /// Status, extra headers (each with its line end) and body; no line is kept.
    Status(u16, String, String),
    /// All lines are kept and the connection is closed without an answer.
    WrittenThenReset,
    /// No answer for as long as the server lives.
    Hang,
}

impl Reply {
    /// A status without more.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Status(status, String::new(), body.into())
    }
}

type Script = dyn FnMut(&Write) -> Reply + Send;

struct State {
    script: Box<Script>,
    lines: Vec<String>,
    writes: usize,
}

/// The running double. Dropping it closes its port and every connection.
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
    ended: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Scripted {
    /// Answers as `script` says.
    pub fn new(script: impl FnMut(&Write) -> Reply + Send + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), script)
    }

    /// Accepts everything.
    pub fn willing() -> Self {
        Self::new(|_| Reply::Written)
    }

    /// The same on an address of the caller's choice.
    pub fn at(address: SocketAddr, script: impl FnMut(&Write) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { script: Box::new(script), lines: Vec::new(), writes: 0 };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let thread = {
            let (shared, ended, connections) =
                (Arc::clone(&shared), Arc::clone(&ended), Arc::clone(&connections));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if ended.load(Ordering::Acquire) {
                        break;
                    }
                    let stream = stream.unwrap();
                    connections.lock().unwrap().push(stream.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    // A client that goes away ends its connection's thread.
                    std::thread::spawn(move || drop(serve(stream, &shared)));
                }
            })
        };
        Self { address, shared, ended, connections, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every line kept so far, in the order it came, repeated ones as often.
    pub fn lines(&self) -> Vec<String> {
        self.shared.0.lock().unwrap().lines.clone()
    }

    /// Write requests so far.
    pub fn writes(&self) -> usize {
        self.shared.0.lock().unwrap().writes
    }

    /// Answers differently from now on.
    pub fn rescript(&self, script: impl FnMut(&Write) -> Reply + Send + 'static) {
        self.shared.0.lock().unwrap().script = Box::new(script);
    }

    /// Waits until the kept lines and the number of writes satisfy `seen`.
    #[track_caller]
    pub fn wait(&self, what: &str, mut seen: impl FnMut(&[String], usize) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut state = self.shared.0.lock().unwrap();
        while !seen(&state.lines, state.writes) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: {} lines in {} writes", state.lines.len(), state.writes);
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        for connection in self.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one connection until it ends.
fn serve(stream: TcpStream, shared: &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    loop {
        let mut first = String::new();
        if input.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut gzip, mut authorization) = (0, false, None);
        loop {
            let mut header = String::new();
            input.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "content-encoding" => gzip = value.trim() == "gzip",
                "authorization" => authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body)?;
        if gzip {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain)?;
            body = plain;
        }
        if !first.starts_with("POST") {
            output.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        }
        let lines = String::from_utf8(body.clone()).unwrap().lines().map(str::to_owned).collect();
        let write = Write { target, authorization, lines, bytes: body.len() };
        let reply = {
            let mut state = shared.0.lock().unwrap();
            let reply = (state.script)(&write);
            state.writes += 1;
            match &reply {
                Reply::Written | Reply::WrittenThenReset => state.lines.extend(write.lines.iter().cloned()),
                Reply::Partly(_, _, kept) => {
                    state.lines.extend(kept.iter().map(|index| write.lines[*index].clone()));
                }
                Reply::Status(..) | Reply::Hang => {}
            }
            shared.1.notify_all();
            reply
        };
        let (status, headers, body) = match reply {
            Reply::Written => (204, String::new(), String::new()),
            Reply::Partly(status, body, _) => (status, String::new(), body),
            Reply::Status(status, headers, body) => (status, headers, body),
            Reply::WrittenThenReset => return output.shutdown(std::net::Shutdown::Both),
            Reply::Hang => {
                // Until the other side, or the double's end, closes it.
                input.read_to_end(&mut Vec::new())?;
                return Ok(());
            }
        };
        // In one piece: the second of several small ones would wait for an acknowledgement.
        let answer =
            format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
        output.write_all(answer.as_bytes())?;
    }
}
