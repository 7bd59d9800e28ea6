//! A proxy: `CONNECT`, whole addresses, and SOCKS 5 without a user, on one
//! port. It keeps every byte that a client sends it, for whoever wants to know
//! what a proxy gets to see.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use super::Tls;

/// A running proxy. Dropping it closes its port.
pub struct Proxy {
    address: SocketAddr,
    /// The port before it that takes encrypted connections alone.
    encrypted: Option<SocketAddr>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Where each connection wanted to go.
    wanted: Mutex<Vec<String>>,
    /// Everything that clients sent.
    seen: Mutex<Vec<u8>>,
    /// Asks for credentials, and takes none.
    demanding: AtomicBool,
    ended: AtomicBool,
}

impl Proxy {
    /// One that lets everybody through.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.ended.load(Ordering::Acquire) {
                    break;
                }
                let (stream, serving) = (stream.unwrap(), Arc::clone(&serving));
                // A connection that breaks is the client's affair.
                std::thread::spawn(move || drop(serve(stream, &serving)));
            }
        });
        Self { address, encrypted: None, shared, thread: Some(thread) }
    }

    /// One that is spoken to through TLS; what it sees is what comes out of it.
    pub fn encrypted(tls: &Tls<'_>) -> Self {
        let mut proxy = Self::open();
        let (acceptor, inner) = (super::acceptor(tls), proxy.address);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        proxy.encrypted = Some(listener.local_addr().unwrap());
        let ended = Arc::clone(&proxy.shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            for stream in listener.incoming() {
                if ended.ended.load(Ordering::Acquire) {
                    break;
                }
                let stream = stream.unwrap();
                stream.set_nonblocking(true).unwrap();
                // One connection after the other is all that a client of ours makes.
                runtime.block_on(async {
                    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
                    let Ok(mut outer) = acceptor.accept(stream).await else { return };
                    let mut inner = tokio::net::TcpStream::connect(inner).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        proxy
    }

    /// Answers everything with 407.
    pub fn demanding() -> Self {
        let proxy = Self::open();
        proxy.shared.demanding.store(true, Ordering::Release);
        proxy
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.encrypted.unwrap_or(self.address)
    }

    /// Where each connection so far wanted to go, as the client said it.
    pub fn wanted(&self) -> Vec<String> {
        self.shared.wanted.lock().unwrap().clone()
    }

    /// Everything that clients sent, in tunnels too.
    pub fn seen(&self) -> Vec<u8> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Whether a client sent these bytes.
    pub fn has_seen(&self, text: &str) -> bool {
        self.seen().windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the listener.
        for address in [Some(self.address), self.encrypted].into_iter().flatten() {
            drop(TcpStream::connect(address));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut first = [0];
    client.peek(&mut first)?;
    if first[0] == 5 {
        return socks(client, shared);
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    shared.seen.lock().unwrap().extend_from_slice(&head);
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if shared.demanding.load(Ordering::Acquire) {
        client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\n\
              content-length: 0\r\nconnection: close\r\n\r\n",
        )?;
        return client.shutdown(Shutdown::Write);
    }
    if method == "CONNECT" {
        shared.wanted.lock().unwrap().push(target.to_owned());
        let server = TcpStream::connect(target)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        return tunnel(client, server, shared);
    }
    let url = url::Url::parse(target).map_err(io::Error::other)?;
    let place = format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap());
    shared.wanted.lock().unwrap().push(place.clone());
    let mut server = TcpStream::connect(place)?;
    server.write_all(&head)?;
    tunnel(client, server, shared)
}

fn socks(mut client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting)?;
    client.read_exact(&mut vec![0; greeting[1].into()])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 4];
    client.read_exact(&mut request)?;
    let length = match request[3] {
        1 => 4,
        4 => 16,
        _ => {
            let mut length = [0];
            client.read_exact(&mut length)?;
            length[0].into()
        }
    };
    let mut host = vec![0; length];
    client.read_exact(&mut host)?;
    let mut port = [0; 2];
    client.read_exact(&mut port)?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(host).unwrap()).to_string(),
        4 => format!("[{}]", std::net::Ipv6Addr::from(<[u8; 16]>::try_from(host).unwrap())),
        _ => String::from_utf8(host).map_err(io::Error::other)?,
    };
    let place = format!("{host}:{}", u16::from_be_bytes(port));
    shared.wanted.lock().unwrap().push(place.clone());
    let server = TcpStream::connect(place)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    tunnel(client, server, shared)
}

/// Passes bytes on in both directions until both have ended.
fn tunnel(mut client: TcpStream, mut server: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let back = std::thread::spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        shared.seen.lock().unwrap().extend_from_slice(&buffer[..length]);
        server.write_all(&buffer[..length])?;
    }
    let _ = server.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}
