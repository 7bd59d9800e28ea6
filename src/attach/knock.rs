//! Whether somebody answers at the usual place, found out in no time: before a
//! screen decides whether to collect itself.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::mpsc,
    time::Duration,
};

use super::Place;

/// How long a screen's opening may wait for it.
const WITHIN: Duration = Duration::from_millis(60);

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knock {
    /// Nobody is there, or not for this user.
    Nobody,
    /// Somebody listens, and has said nothing yet.
    Somebody,
    /// An agent answers.
    Agent,
}

/// Knocks at the socket of `place`. Returns within a moment, whatever stands
/// there.
#[must_use]
pub fn knock(place: &Place) -> Knock {
    let Some(path) = place.socket().map(std::path::Path::to_owned) else { return Knock::Nobody };
    let (tell, told) = mpsc::channel();
    let try_it = move || {
        // A full queue of connections holds up this thread alone.
        let Ok(mut stream) = UnixStream::connect(path) else {
            let _ = tell.send(Knock::Nobody);
            return;
        };
        let _ = tell.send(Knock::Somebody);
        let _ = stream.set_read_timeout(Some(WITHIN));
        let _ = stream.set_write_timeout(Some(WITHIN));
        let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        if stream.write_all(request).is_ok() {
            let _ = stream.take(4096).read_to_end(&mut answer);
        }
        let answer = String::from_utf8_lossy(&answer);
        if answer.starts_with("HTTP/1.1 ") && answer.contains("{\"status\":\"") {
            let _ = tell.send(Knock::Agent);
        }
    };
    if std::thread::Builder::new().name("knock".into()).spawn(try_it).is_err() {
        return Knock::Nobody;
    }
    let end = std::time::Instant::now() + WITHIN;
    let mut found = None;
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        match told.recv_timeout(left) {
            Ok(known @ (Knock::Agent | Knock::Nobody)) => return known,
            Ok(known) => found = Some(known),
            // A connection that does not come about is somebody's full queue.
            Err(mpsc::RecvTimeoutError::Timeout) => return found.unwrap_or(Knock::Somebody),
            Err(mpsc::RecvTimeoutError::Disconnected) => return found.unwrap_or(Knock::Nobody),
        }
    }
}
