//! Where the agent is asked: a unix socket in the runtime directory, a TCP
//! address, encrypted or not.
//!
//! Owns opening and closing them. The socket's file is put in place when it
//! has its permissions, in the place of one that nobody listens on any more,
//! and is removed at the end.

use std::{
    fs::{self, Permissions},
    io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{SocketAddr as UnixAddress, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use super::guard::{Guard, Token, TokenError};
use crate::{
    config::{self, Socket},
    rundir,
};

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The socket cannot be made.
    #[error("the socket {path} cannot be made: {why}; set agent.socket to another place, or to \"none\"")]
    Socket {
        /// Where.
        path: PathBuf,
        /// What is in the way.
        why: String,
    },
    /// There is no place for a socket.
    #[error(
        "no place for the socket: set XDG_RUNTIME_DIR to a directory of this user's, or set agent.socket"
    )]
    Nowhere,
    /// The address cannot be listened on.
    #[error("agent.listen {address} cannot be listened on: {source}; see who does (`ss -tlnp`)")]
    Address {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The certificate cannot be used.
    #[error("{path} cannot be used for agent.listen: {why}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// The open doors.
#[derive(Debug)]
pub struct Doors {
    pub(super) unix: Option<UnixDoor>,
    pub(super) tcp: Option<TcpDoor>,
}

/// The unix socket. Dropping it removes its file.
#[derive(Debug)]
pub(super) struct UnixDoor {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, which another agent may have replaced.
    file: (u64, u64),
}

/// The TCP address.
#[derive(Debug)]
pub(super) struct TcpDoor {
    pub(super) listener: TcpListener,
    pub(super) guard: Guard,
    pub(super) encryption: Option<Arc<Encryption>>,
    address: SocketAddr,
}

/// What can be read again while the doors are open.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    token: Option<Arc<Token>>,
    encryption: Option<Arc<Encryption>>,
}

impl Doors {
    /// Opens those of `settings`. `record` is the record's directory.
    ///
    /// # Errors
    /// One of them cannot be opened: then none is.
    pub fn open(
        settings: &config::Agent,
        record: Option<&Path>,
        libvirt_uri: &str,
    ) -> Result<Self, DoorError> {
        let unix = match &settings.socket {
            Socket::Off => None,
            Socket::At(path) => Some(UnixDoor::open(path)?),
            Socket::Auto => {
                let path = usual_place(record, libvirt_uri)?;
                rundir::prepare_own(path.parent().unwrap_or(&path))
                    .map_err(|fault| unusable(&path, fault))?;
                Some(UnixDoor::open(&path)?)
            }
        };
        let tcp = settings.listen.map(|address| TcpDoor::open(address, settings)).transpose()?;
        Ok(Self { unix, tcp })
    }

    /// Where they are, in words.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let unix = self.unix.as_ref().map(|door| door.path.display().to_string());
        let tcp = self.tcp.as_ref().map(|door| {
            let scheme = if door.encryption.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", door.address)
        });
        unix.into_iter().chain(tcp).collect()
    }

    /// What can be read again.
    #[must_use]
    pub fn keys(&self) -> Keys {
        let Some(tcp) = &self.tcp else { return Keys::default() };
        let token = match &tcp.guard {
            Guard::Token(token) => Some(Arc::clone(token)),
            Guard::Local | Guard::Socket => None,
        };
        Keys { token, encryption: tcp.encryption.clone() }
    }
}

impl Keys {
    /// Reads token and certificate again: how many there are. One that cannot
    /// be read leaves the one before in force.
    ///
    /// # Errors
    /// Each that could not.
    pub fn reread(&self) -> Result<usize, Vec<DoorError>> {
        let token = self.token.as_ref().map(|token| token.reread().map_err(DoorError::from));
        let encryption = self.encryption.as_ref().map(|encryption| encryption.reread());
        let all: Vec<_> = token.into_iter().chain(encryption).collect();
        let count = all.len();
        let errors: Vec<_> = all.into_iter().filter_map(Result::err).collect();
        if errors.is_empty() { Ok(count) } else { Err(errors) }
    }
}

/// The socket of the agent that records `libvirt_uri`.
///
/// # Errors
/// This user has no place for it, or none that is safe.
fn usual_place(record: Option<&Path>, libvirt_uri: &str) -> Result<PathBuf, DoorError> {
    let directory = rundir::directory(record).ok_or(DoorError::Nowhere)?;
    let path = rundir::socket(&directory, libvirt_uri);
    rundir::prepare(&directory).map_err(|fault| unusable(&path, fault))?;
    Ok(path)
}

fn unusable(path: &Path, fault: rundir::Fault) -> DoorError {
    let why = match fault {
        rundir::Fault::System(error) => error.to_string(),
        rundir::Fault::Unsafe => "others could write to its directory".to_owned(),
    };
    DoorError::Socket { path: path.to_owned(), why }
}

impl UnixDoor {
    fn open(path: &Path) -> Result<Self, DoorError> {
        let failed = |why: String| DoorError::Socket { path: path.to_owned(), why };
        // By a longer name nobody could ask.
        UnixAddress::from_pathname(path).map_err(|error| failed(error.to_string()))?;
        match fs::symlink_metadata(path) {
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(failed("something else stands there".into()));
            }
            // What an agent that was killed has left is nobody's.
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(failed("another process listens there".into()));
            }
            _ => {}
        }
        // It is made where nobody else gets to, whatever the process's mask, and
        // has its permissions when it moves to its name.
        let nest = path.with_file_name(format!(".{}", std::process::id()));
        let new = nest.join("s");
        let opened = (|| {
            let _ = fs::remove_file(&new);
            let _ = fs::remove_dir(&nest);
            fs::DirBuilder::new().mode(0o700).create(&nest)?;
            let listener = UnixListener::bind(&new)?;
            fs::set_permissions(&new, Permissions::from_mode(0o660))?;
            listener.set_nonblocking(true)?;
            let meta = fs::symlink_metadata(&new)?;
            fs::rename(&new, path)?;
            Ok((listener, (meta.dev(), meta.ino())))
        })();
        let _ = fs::remove_file(&new);
        let _ = fs::remove_dir(&nest);
        let (listener, file) = opened.map_err(|error: io::Error| failed(error.to_string()))?;
        Ok(Self { listener, path: path.to_owned(), file })
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl TcpDoor {
    fn open(address: SocketAddr, settings: &config::Agent) -> Result<Self, DoorError> {
        let guard = match &settings.token_file {
            Some(path) => Guard::Token(Arc::new(Token::read(path)?)),
            None => Guard::Local,
        };
        let encryption = match (&settings.tls_cert, &settings.tls_key) {
            (Some(certificate), Some(key)) => Some(Arc::new(Encryption::read(certificate, key)?)),
            _ => None,
        };
        let failed = |source| DoorError::Address { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, guard, encryption, address })
    }
}

/// Certificate and key, and where they are read again.
#[derive(Debug)]
pub(super) struct Encryption {
    certificate: PathBuf,
    key: PathBuf,
    inner: RwLock<Arc<ServerConfig>>,
}

impl Encryption {
    fn read(certificate: &Path, key: &Path) -> Result<Self, DoorError> {
        let inner = RwLock::new(Arc::new(server(certificate, key)?));
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), inner })
    }

    fn reread(&self) -> Result<(), DoorError> {
        let server = Arc::new(server(&self.certificate, &self.key)?);
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = server;
        Ok(())
    }

    /// What the next connection is encrypted with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.inner.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn server(certificate: &Path, key: &Path) -> Result<ServerConfig, DoorError> {
    let failed = |path: &Path, why: String| DoorError::Certificate { path: path.to_owned(), why };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(certificate, "it holds no certificate in PEM form".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| failed(key, format!("it does not fit the certificate: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_socket_is_its_groups_and_is_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let door = UnixDoor::open(&path).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        let files = || fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files(), 1, "nothing else is left");
        drop(door);
        assert_eq!(files(), 0);
    }

    #[test]
    fn one_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        drop(UnixListener::bind(&path).unwrap());
        let first = UnixDoor::open(&path).unwrap();
        let refused = UnixDoor::open(&path).unwrap_err().to_string();
        assert!(refused.contains("another process listens") && refused.contains("agent.socket"), "{refused}");
        drop(first);
        fs::write(&path, "a file of somebody's").unwrap();
        assert!(UnixDoor::open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file of somebody's");
        let long = directory.path().join("x".repeat(120));
        assert!(matches!(UnixDoor::open(&long), Err(DoorError::Socket { .. })));
    }

    #[test]
    fn a_successors_socket_is_left_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let first = UnixDoor::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = UnixDoor::open(&path).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);
    }
}
