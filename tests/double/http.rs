//! HTTP/1.1 as far as a client of a database speaks it, and its misbehaviour.

use std::{collections::BTreeMap, fmt::Write, io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{Fault, Mode, Shared};

/// One request as it came; the body is decompressed where that works.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Decoded parameters of the query.
    pub query: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Response {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn is_write(&self) -> bool {
        ["/api/v3/write_lp", "/api/v2/write", "/write"].iter().any(|path| self.path.ends_with(path))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Accepts connections for ever.
pub async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // A connection that breaks is the client's affair.
            let _ = match acceptor {
                None => converse(stream, shared, TcpStream::set_zero_linger).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => converse(stream, shared, |s| s.get_ref().0.set_zero_linger()).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

/// Answers the requests of one connection one after the other. `sever` makes
/// closing it a reset.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    shared: Arc<Shared>,
    sever: impl Fn(&S) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let request = match read(&mut stream, &mut buffer, &shared).await {
            Ok(Came::Whole(request)) => request,
            Ok(Came::End) => return Ok(()),
            Ok(Came::Enough) => return sever(&stream),
            Err(error) => {
                stream.write_all(&spelled(&Response::new(400, "bad request"), "GET")).await?;
                return Err(error);
            }
        };
        let (fault, pace, prefix) = {
            let mut state = shared.state.lock().unwrap();
            let mut seen = request.clone();
            if let Ok(body) = super::engine::plain_body(&request) {
                seen.body = body;
            }
            let instead = state.mode.instead(&request, seen.body.len());
            let pace = state.mode.pace(&request);
            state.met += usize::from(instead.is_some() || pace.is_some());
            state.requests.push(seen);
            let once = if request.is_write() {
                state.faults.pop_front().or_else(|| state.standing.clone())
            } else {
                None
            };
            (once.or(instead), pace, state.mode.prefix().to_owned())
        };
        let request = Request {
            path: request.path.strip_prefix(&prefix).unwrap_or(&request.path).to_owned(),
            ..request
        };
        shared.changed.notify_all();
        let response = match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Reset) => return sever(&stream),
            Some(Fault::Answer(response)) => response,
            fault => {
                let response = shared.state.lock().unwrap().engine.answer(&request);
                shared.changed.notify_all();
                if fault.is_some() {
                    return sever(&stream);
                }
                response
            }
        };
        let answer = spelled(&response, &request.method);
        let Some(pace) = pace else {
            stream.write_all(&answer).await?;
            stream.flush().await?;
            continue;
        };
        for byte in answer.chunks(1) {
            tokio::time::sleep(pace).await;
            stream.write_all(byte).await?;
            stream.flush().await?;
        }
    }
}

/// What came from a client.
enum Came {
    Whole(Request),
    /// As much of a request as this mode takes.
    Enough,
    /// Nothing more.
    End,
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    shared: &Shared,
) -> io::Result<Came> {
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(Came::End);
        }
        // Whoever speaks TLS to a plain port is told so in plain words.
        if !buffer[0].is_ascii_uppercase() {
            return Err(io::ErrorKind::InvalidData.into());
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    // A client that takes this for a proxy names the whole address.
    let absolute = if target.starts_with('/') { format!("http://double{target}") } else { target.to_owned() };
    let url = url::Url::parse(&absolute).map_err(io::Error::other)?;
    let mut request = Request {
        method: method.to_owned(),
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: Vec::new(),
    };
    if request.is_write() {
        let mut state = shared.state.lock().unwrap();
        if matches!(state.mode, Mode::Disconnect) {
            state.met += 1;
            drop(state);
            shared.changed.notify_all();
            return Ok(Came::Enough);
        }
    }
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    request.body = buffer.drain(..length).collect();
    Ok(Came::Whole(request))
}

fn spelled(response: &Response, method: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} -\r\n", response.status);
    for (name, value) in &response.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    // 204 has no body, and no length either.
    if response.status != 204 {
        let _ = write!(head, "content-length: {}\r\n", response.body.len());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if method != "HEAD" {
        bytes.extend_from_slice(response.body.as_bytes());
    }
    bytes
}
