//! A double of InfluxDB 3 Core: not the server, but what answers as the
//! server was recorded to answer (`tests/data/influxdb3-transcripts.json`;
//! `tests/influx_double.rs` replays every one of them against it).
//!
//! Writes are really parsed, by `influxdb-line-protocol`, checked against the
//! tables' column types, and stored; limits, partial writes, authentication
//! and both older write APIs are implemented, not replayed. Queries are a
//! small `select` over what was stored: columns, one equality, `order by
//! time`. Only the identity in `/ping` is the recorded server's own.
//!
//! Beside that it misbehaves on request (one write: [`Fault`]; until further
//! notice: [`Mode`]), as servers and what stands before them do. Passing against it is not passing against InfluxDB.
#![allow(dead_code, reason = "each test uses its part")]

pub mod certificates;
mod engine;
mod http;
mod lines;
mod modes;
pub mod proxy;
mod query;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::oneshot};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

use engine::Engine;
pub use http::{Request, Response};
#[allow(unused_imports, reason = "each test uses its part")]
pub use modes::{Mode, RetryAfter};

/// How one write request goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer instead of the server's; nothing is written.
    Answer(Response),
    /// No answer, ever, on a connection that stays open.
    Hang,
    /// The connection breaks before anything is written.
    Reset,
    /// Everything is written, but the connection breaks before the answer.
    WriteThenReset,
}

/// A running double. Dropping it closes the port and every connection.
pub struct Double {
    address: SocketAddr,
    encrypted: bool,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    engine: Engine,
    requests: Vec<Request>,
    faults: VecDeque<Fault>,
    /// What every write is answered while it is set.
    standing: Option<Fault>,
    mode: Mode,
    /// Requests that the mode did not let be answered in the ordinary way.
    met: usize,
}

/// Certificate and key of an encrypted double, and the CA its clients' own
/// certificates must be signed by, where it asks for them.
pub struct Tls<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
    pub client_ca: Option<&'a Path>,
}

impl Double {
    /// A server that asks for no token.
    pub fn open() -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), None, None)
    }

    /// A server that asks for `token`.
    pub fn guarded(token: &str) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), Some(token), None)
    }

    /// An encrypted server.
    pub fn encrypted(tls: &Tls<'_>) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), None, Some(acceptor(tls)))
    }

    /// A server on a port of the caller's choice, to come back where an
    /// earlier one was.
    pub fn open_at(address: SocketAddr) -> Self {
        Self::start(address, None, None)
    }

    fn start(address: SocketAddr, token: Option<&str>, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().engine = Engine::new(token);
        let (stop, stopped) = oneshot::channel();
        let encrypted = acceptor.is_some();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = http::serve(listener, acceptor, serving) => {}
                    _ = stopped => {}
                }
            });
            // Dropping the runtime drops every connection, hanging or not.
        });
        Self { address, encrypted, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, by address: a machine need not know the name `localhost`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.encrypted { "https" } else { "http" }, self.address)
    }

    /// Lets the next write go wrong; further calls queue up.
    pub fn next(&self, fault: Fault) {
        self.shared.state.lock().unwrap().faults.push_back(fault);
    }

    /// Lets every write go wrong until further notice (`None`: right again).
    pub fn always(&self, fault: Option<Fault>) {
        self.shared.state.lock().unwrap().standing = fault;
    }

    /// Behaves so until further notice.
    pub fn set_mode(&self, mode: Mode) {
        let mut state = self.shared.state.lock().unwrap();
        state.engine.set_before_3_10(matches!(mode, Mode::Before310));
        state.mode = mode;
        state.met = 0;
    }

    /// Requests that have met the mode's misbehaviour since it was set.
    pub fn met(&self) -> usize {
        self.shared.state.lock().unwrap().met
    }

    /// Writes a line, past every fault and mode.
    pub fn put(&self, database: &str, line: &str) {
        self.shared.state.lock().unwrap().engine.put(database, line);
    }

    /// Every accepted line of a database as it was sent, in order; repeated
    /// ones are there as often as they came.
    pub fn lines(&self, database: &str) -> Vec<String> {
        self.shared.state.lock().unwrap().engine.accepted(database)
    }

    /// Every request so far, bodies decompressed.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// Requires this token from now on, or none.
    pub fn set_token(&self, token: Option<&str>) {
        self.shared.state.lock().unwrap().engine.set_token(token);
    }

    /// Waits until the double has seen what `seen` looks for; false when
    /// `patience` ran out first.
    pub fn wait(&self, patience: Duration, seen: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if seen(self) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let state = self.shared.state.lock().unwrap();
            // A change between the look and this wait costs one short turn.
            let turn = left.min(Duration::from_millis(20));
            drop(self.shared.changed.wait_timeout(state, turn).unwrap());
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn acceptor(tls: &Tls<'_>) -> TlsAcceptor {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(tls.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(tls.key).unwrap();
    let builder = ServerConfig::builder();
    let builder = match tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        }
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(certificates, key).unwrap()))
}
