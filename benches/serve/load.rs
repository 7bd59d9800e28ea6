//! A caller that asks so often, whether it is answered or not.
//!
//! The moment of every question is fixed beforehand, and an answer's time is
//! counted from it: a server that falls behind cannot slow its caller down, and
//! what waits because of it counts.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Connections that ask in turn: as many questions can wait at once.
const CONNECTIONS: usize = 48;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where it asks.
#[derive(Clone)]
pub enum Door {
    /// A socket.
    Unix(PathBuf),
    /// An address of this machine.
    Tcp(std::net::SocketAddr),
}

impl Door {
    fn open(&self) -> io::Result<Box<dyn Line>> {
        Ok(match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

trait Line: Read + Write + Send {}
impl<T: Read + Write + Send> Line for T {}

/// What came of it.
pub struct Load {
    /// Seconds from the moment a question was due to the last byte of its
    /// answer, sorted.
    pub times: Vec<f64>,
    /// Questions without a whole answer of 200.
    pub failed: u64,
    /// Bytes of an answer's body, the last one's.
    pub body: u64,
}

impl Load {
    /// The time that so large a part of the answers came within.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    pub fn within(&self, part: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        self.times.get((last as f64 * part).ceil() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Asks for `path` so many times a second for `span`.
pub fn load(door: &Door, path: &str, headers: &str, per_second: u32, span: Duration) -> Load {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let questions = u64::from(per_second) * span.as_secs();
    let (next, failed, body) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let times = Mutex::new(Vec::new());
    let begun = Instant::now() + Duration::from_millis(200);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut own = Vec::new();
                let mut buffer = vec![0; 1 << 18];
                let mut line = door.open().ok();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= questions {
                        break;
                    }
                    let due = begun + Duration::from_secs(number) / per_second;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    let answered = match &mut line {
                        Some(line) => ask(&mut **line, &request, &mut buffer),
                        None => Err(io::Error::other("no connection")),
                    };
                    if let Ok(bytes) = answered {
                        own.push(due.elapsed().as_secs_f64());
                        body.store(bytes, Ordering::Relaxed);
                    } else {
                        failed.fetch_add(1, Ordering::Relaxed);
                        line = door.open().ok();
                    }
                }
                times.lock().unwrap().extend(own);
            });
        }
    });
    let mut times = times.into_inner().unwrap();
    times.sort_by(f64::total_cmp);
    Load { times, failed: failed.into_inner(), body: body.into_inner() }
}

/// Asks once and reads the whole answer: the bytes of its body.
fn ask(line: &mut dyn Line, request: &str, buffer: &mut [u8]) -> io::Result<u64> {
    line.write_all(request.as_bytes())?;
    let mut filled = 0;
    let end = loop {
        let count = line.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if let Some(end) = buffer[..filled].windows(4).take(4096).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: u64 = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut left = length.saturating_sub((filled - end) as u64);
    while left > 0 {
        let count = line.read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left = left.saturating_sub(count as u64);
    }
    if head.starts_with("http/1.1 200") { Ok(length) } else { Err(io::Error::other("no 200")) }
}
