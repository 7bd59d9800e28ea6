//! The HTTP client: one write request at a time, its answer as it came.
//!
//! Owns the connection, TLS, credentials, compression and the question which
//! API a server speaks. It decides nothing ([`super::policy`] does), keeps no
//! queue and waits for no retry. Nothing it returns, prints or shows in
//! `Debug` holds a secret.

mod body;
mod check;
mod credentials;
mod endpoint;
mod error;
mod failure;
mod probe;
mod reply;
mod tls;
mod via;

use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, header, redirect};

use self::{
    body::Body,
    credentials::Credentials,
    endpoint::{Dialect, Endpoint},
    reply::Reply,
    via::Via,
};
use crate::{
    config,
    influx::policy::{Answer, FailedStep},
};

pub use self::{
    body::{Packed, Packer},
    check::Check,
    credentials::Kind as SecretKind,
    error::ClientError,
};

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    credentials: Credentials,
    /// `influx.api`; `None` is "ask the server".
    configured: Option<Dialect>,
    /// The API in use, once known.
    dialect: Option<Dialect>,
    /// The API in use before it was to be asked for again: tried early.
    last: Option<Dialect>,
    via: Via,
    gzip: bool,
    timeout: Duration,
    connect_timeout: Duration,
}

impl Client {
    /// Prepares a client; makes no call.
    ///
    /// # Errors
    /// The settings cannot work: see [`ClientError`].
    pub fn new(settings: &config::Influx) -> Result<Self, ClientError> {
        let endpoint = Endpoint::new(settings)?;
        let via = Via::new(&settings.proxy)?;
        let credentials = Credentials::new(&settings.auth)?;
        let builder = reqwest::Client::builder()
            // A redirect would carry the token to wherever it points.
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(concat!("kvmscope/", env!("CARGO_PKG_VERSION")));
        let encrypted = endpoint.is_encrypted() || via.is_encrypted();
        let http = tls::equip(via.equip(builder), settings, encrypted)?
            .build()
            .map_err(|error| ClientError::Tls { why: failure::innermost(&error.without_url()) })?;
        let configured = Dialect::configured(settings.api);
        Ok(Self {
            http,
            endpoint,
            credentials,
            configured,
            dialect: configured,
            last: None,
            via,
            gzip: settings.gzip,
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
        })
    }

    /// Writes lines, uncompressed as the encoder made them, and returns the
    /// answer and how long it took. With `api = "auto"` the server is asked
    /// what it is first; where it cannot answer, that failure is the answer,
    /// and where it does not say, each API is tried until one takes writes.
    /// The same when the API in use is no longer there. A 401 is answered once
    /// with a token file read anew, if its value changed.
    pub async fn write(&mut self, lines: &[u8]) -> (Answer, Duration) {
        let begun = Instant::now();
        let packed = self.packer().pack(lines);
        let (answer, _) = self.write_packed(lines, &packed).await;
        (answer, begun.elapsed())
    }

    /// As [`Client::write`], with `packed` made of these lines before.
    pub async fn write_packed(&mut self, lines: &[u8], packed: &Packed) -> (Answer, Duration) {
        let begun = Instant::now();
        let answer = self.write_now(Body { lines, packed }).await.unwrap_or_else(|failed| failed);
        (answer, begun.elapsed())
    }

    /// What makes lines ready for this client.
    #[must_use]
    pub fn packer(&self) -> Packer {
        Packer { gzip: self.gzip }
    }

    /// `v1`, `v2` or `v3` once known.
    #[must_use]
    pub fn api(&self) -> Option<&'static str> {
        self.dialect.map(Dialect::name)
    }

    /// Asks the server again before the next write, where `api = "auto"`.
    pub fn forget_api(&mut self) {
        self.last = self.dialect.or(self.last);
        self.dialect = self.configured;
    }

    /// Host and path that lines go to, free of credentials.
    #[must_use]
    pub fn target(&self) -> String {
        self.endpoint.shown(self.dialect)
    }

    /// The same for messages, with the proxy before it.
    fn way(&self) -> String {
        self.via.shown(&self.endpoint.shown(None))
    }

    async fn write_now(&mut self, body: Body<'_>) -> Result<Answer, Answer> {
        self.credentials.refresh();
        let Some(dialect) = self.dialect else {
            return Ok(self.search(body, None).await?.into_answer());
        };
        let reply = self.post(dialect, body).await?;
        // Another server may have taken the place of the one that was asked.
        if self.configured.is_none() && probe::is_absent(&reply) {
            return Ok(self.search(body, Some((dialect, reply))).await?.into_answer());
        }
        Ok(reply.into_answer())
    }

    /// One write request, repeated once with credentials read anew.
    async fn post(&mut self, dialect: Dialect, body: Body<'_>) -> Result<Reply, Answer> {
        let reply = self.post_once(dialect, body).await?;
        if reply.status == 401 && self.reread_credentials()? {
            return self.post_once(dialect, body).await;
        }
        Ok(reply)
    }

    async fn post_once(&self, dialect: Dialect, body: Body<'_>) -> Result<Reply, Answer> {
        let request = self
            .http
            .post(self.endpoint.write(dialect))
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        let (posted, is_packed) = body.posted();
        let request = if is_packed { request.header(header::CONTENT_ENCODING, "gzip") } else { request };
        let request = request.body(posted);
        self.send(request, Some(dialect)).await
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Reply, Answer> {
        self.send(self.http.get(self.endpoint.at(path, query)), self.dialect).await
    }

    async fn send(&self, request: RequestBuilder, dialect: Option<Dialect>) -> Result<Reply, Answer> {
        let failed = |error| failure::answer(error, &self.way(), self.timeout, self.connect_timeout);
        let request = self.credentials.sign(request, dialect).build().map_err(failed)?;
        let sent = request.headers().get(header::AUTHORIZATION).cloned();
        let response = self.http.execute(request).await.map_err(failed)?;
        let mut reply = Reply::read(response).await;
        self.credentials.scrub(&mut reply.body, sent.as_ref());
        Ok(reply)
    }

    /// Reads the secret again after a 401; true when it has changed.
    fn reread_credentials(&mut self) -> Result<bool, Answer> {
        self.credentials
            .reread()
            .map_err(|error| Answer::Failed { step: FailedStep::Credentials, text: error.to_string() })
    }
}
