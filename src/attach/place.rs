//! Where an agent is asked: what an operator may write, and what is found
//! without a word.

use std::{
    fmt, fs,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use url::{Host, Url};

use crate::{
    config::{self, Socket},
    rundir,
};

/// Where an agent is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A unix socket: the first of these that is there.
    Sockets(Vec<PathBuf>),
    /// An address.
    At(Url),
}

/// Why a place cannot be one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is no URL that leads to an agent.
    #[error("--attach: {0}; give a socket's path, https://HOST:PORT, or http://127.0.0.1:PORT")]
    Url(&'static str),
    /// There is no usual place.
    #[error(
        "--attach: this user has no usual place for an agent's socket; set XDG_RUNTIME_DIR, or give the \
         socket's path"
    )]
    Nowhere,
}

impl Place {
    /// The place that `text` names.
    ///
    /// # Errors
    /// It is no socket's path and no URL that may be asked. The text is not
    /// repeated: it may hold a secret.
    pub fn read(text: &str) -> Result<Self, PlaceError> {
        let text = text.trim();
        if !text.contains("://") {
            return match text.strip_prefix("unix:").unwrap_or(text) {
                "" => Err(PlaceError::Url("nothing is named")),
                path => Ok(Self::Sockets(vec![path.into()])),
            };
        }
        let url = Url::parse(text).map_err(|_| PlaceError::Url("this is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(PlaceError::Url(
                "a URL holds no credentials: set KVMSCOPE_AGENT_TOKEN or agent.token_file",
            ));
        }
        if url.path() != "/" || url.fragment().is_some() {
            return Err(PlaceError::Url("nothing follows the port"));
        }
        match url.scheme() {
            "https" => Ok(Self::At(url)),
            "http" if is_here(&url) => Ok(Self::At(url)),
            "http" => Err(PlaceError::Url("another machine is asked by https alone")),
            _ => Err(PlaceError::Url("an agent speaks https, or http on this machine")),
        }
    }

    /// Where the agent that records `libvirt_uri` on this host usually
    /// answers: where the configuration says, in this user's runtime
    /// directory, or in the system's. Nothing is made there.
    #[must_use]
    pub fn usual(settings: &config::Agent, record: Option<&Path>, libvirt_uri: &str) -> Option<Self> {
        let sockets = match &settings.socket {
            Socket::At(path) => vec![path.clone()],
            Socket::Auto | Socket::Off => {
                let own = rundir::directory(record);
                let system = rundir::place(true, None, None);
                let mut sockets: Vec<_> =
                    own.into_iter().chain(system).map(|place| rundir::socket(&place, libvirt_uri)).collect();
                sockets.dedup();
                sockets
            }
        };
        (!sockets.is_empty()).then_some(Self::Sockets(sockets))
    }

    /// The socket to ask now: the first that is there, else the first; `None`:
    /// it is an address.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        let Self::Sockets(sockets) = self else { return None };
        let is_there = |path: &&PathBuf| fs::metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        sockets.iter().find(is_there).or_else(|| sockets.first()).map(PathBuf::as_path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.socket()) {
            (_, Some(path)) => path.display().fmt(f),
            (Self::At(url), None) => f.write_str(url.as_str().trim_end_matches('/')),
            (Self::Sockets(_), None) => Ok(()),
        }
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_or_a_safe_url_is_a_place() {
        let socket = |path: &str| Ok(Place::Sockets(vec![path.into()]));
        assert_eq!(Place::read("/run/a.sock"), socket("/run/a.sock"));
        assert_eq!(Place::read("unix:a.sock"), socket("a.sock"));
        for fine in ["https://hv-07:8642", "http://127.0.0.1:8642", "http://[::1]:1/", "http://localhost:1"] {
            let place = Place::read(fine).unwrap();
            assert_eq!(place.to_string(), fine.trim_end_matches('/'));
        }
    }

    #[test]
    fn a_place_that_would_give_a_secret_away_is_refused_without_repeating_it() {
        for wrong in [
            "",
            "unix:",
            "http://hv-07:8642",
            "http://127.0.0.1.evil.example:1",
            "https://user:sesame@hv-07:1",
            "https://sesame@hv-07:1",
            "https://hv-07:1/?token=sesame",
            "https://hv-07:1/sesame",
            "ftp://hv-07",
            "https://",
        ] {
            let error = Place::read(wrong).unwrap_err().to_string();
            assert!(!error.contains("sesame") && error.contains("--attach"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_socket_that_is_there_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (directory.path().join("a"), directory.path().join("b"));
        let place = Place::Sockets(vec![first.clone(), second.clone()]);
        assert_eq!(place.socket(), Some(&*first));
        let _door = std::os::unix::net::UnixListener::bind(&second).unwrap();
        assert_eq!(place.socket(), Some(&*second));
    }
}
