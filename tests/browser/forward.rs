//! An address that leads to a unix socket, as `ssh -L` makes one.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// Changes the answer of `/` on its way: head and body.
pub type Change = fn(String, String) -> (String, String);

/// Leads to `socket` until the test ends.
pub fn forward(socket: &Path) -> SocketAddr {
    listen(socket, None)
}

/// As [`forward`]; the page is changed on its way, as somebody would who has
/// found a way to write into it.
pub fn tampering(socket: &Path, change: Change) -> SocketAddr {
    listen(socket, Some(change))
}

fn listen(socket: &Path, change: Option<Change>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let socket = socket.clone();
            std::thread::spawn(move || lead(stream, socket, change));
        }
    });
    address
}

fn lead(mut near: TcpStream, socket: PathBuf, change: Option<Change>) {
    let Ok(mut far) = UnixStream::connect(socket) else { return };
    let mut first = [0; 8192];
    let Ok(length) = near.read(&mut first) else { return };
    let asked = &first[..length];
    if let (Some(change), true) = (change, asked.starts_with(b"GET / ")) {
        let request = String::from_utf8_lossy(asked).replace("keep-alive", "close");
        let _ = far.write_all(request.as_bytes());
        let mut answer = String::new();
        let _ = far.read_to_string(&mut answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head: Vec<_> =
            head.lines().filter(|line| !line.to_lowercase().starts_with("content-length")).collect();
        let (head, body) = change(head.join("\r\n"), body.to_owned());
        let _ = write!(near, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        return;
    }
    if far.write_all(asked).is_err() {
        return;
    }
    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(std::net::Shutdown::Both);
}
