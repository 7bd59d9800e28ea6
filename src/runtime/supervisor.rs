//! What the service manager is told: that the agent is ready, how it is, that
//! it lives, that it ends (systemd's notification protocol).
//!
//! Owns the way there and nothing of what is said. Where nobody listens,
//! telling costs nothing; it never waits.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::Path,
    time::Duration,
};

/// The way to the service manager.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    way: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Whoever `NOTIFY_SOCKET` names, and how often `WATCHDOG_USEC` wants to
    /// hear that the process lives.
    pub fn of_process() -> Self {
        let way = std::env::var_os("NOTIFY_SOCKET").filter(|place| !place.is_empty()).and_then(|place| {
            let opened = open(&place);
            opened
                .inspect_err(|error| tracing::warn!("the service manager cannot be told anything: {error}"))
                .ok()
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        // A child of the one that is watched is not.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog =
            number("WATCHDOG_USEC").filter(|wanted| ours && *wanted > 0).map(Duration::from_micros);
        Self { way, watchdog }
    }

    /// How often it is to be told [`Self::lives`], half of what it waits for;
    /// `None`: it does not watch.
    pub fn beat(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.way.is_some()).map(|watchdog| watchdog / 2)
    }

    /// The agent answers from now on.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The agent lives.
    pub fn lives(&self) {
        self.tell("WATCHDOG=1");
    }

    /// The agent ends.
    pub fn ends(&self) {
        self.tell("STOPPING=1");
    }

    /// How it is, in words for `systemctl status`.
    pub fn is(&self, words: &str) {
        self.tell(&format!("STATUS={}", words.replace(char::is_control, "_")));
    }

    fn tell(&self, words: &str) {
        if let Some((socket, to)) = &self.way
            && let Err(error) = socket.send_to_addr(words.as_bytes(), to)
        {
            tracing::debug!("the service manager was not told {words}: {error}");
        }
    }
}

fn open(place: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(Path::new(place))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("kvmscope-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let listeners = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into()),
        ];
        for (listener, place) in listeners {
            let supervisor = Supervisor { way: Some(open(&place).unwrap()), watchdog: None };
            supervisor.ready();
            supervisor.is("collecting\n7 VMs");
            let heard = || {
                let mut bytes = [0; 64];
                let length = listener.recv(&mut bytes).unwrap();
                String::from_utf8(bytes[..length].to_vec()).unwrap()
            };
            assert_eq!((heard(), heard()), ("READY=1".to_owned(), "STATUS=collecting_7 VMs".to_owned()));
        }
    }

    #[test]
    fn it_is_told_twice_as_often_as_it_wants_to_hear_and_never_where_nobody_listens() {
        let watchdog = Some(Duration::from_secs(30));
        assert_eq!(Supervisor { way: None, watchdog }.beat(), None);
        let way = open(OsStr::new("@nobody")).unwrap();
        let supervisor = Supervisor { way: Some(way), watchdog };
        assert_eq!(supervisor.beat(), Some(Duration::from_secs(15)));
        // Nobody is there: it goes on.
        supervisor.lives();
    }
}
