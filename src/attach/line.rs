//! The line to an agent: HTTP over its socket or its address, with the token
//! and the certificates that it takes.
//!
//! What goes wrong is told in words for an operator; none of them holds the
//! token.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Response, StatusCode, header, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{Place, trust};
use crate::{
    config,
    model::name::fit,
    wire::{self, Ask, Cutter, Told},
};

/// How long connecting may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// How long the head of an answer may take.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer to a question may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a refusal that are read.
const LONGEST_REFUSAL: usize = 4096;
/// Characters of it that are shown.
const SHOWN: usize = 200;

/// A line to one place.
#[derive(Clone, Debug)]
pub(super) struct Line {
    http: Client,
    base: String,
    token: Option<SecretString>,
}

impl Line {
    /// Prepares it; makes no call.
    pub fn to(place: &Place, settings: &config::Agent) -> Result<Self, String> {
        let builder = Client::builder()
            // A redirect would carry the token to wherever it points.
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECTS_WITHIN)
            .user_agent(concat!("kvmscope/", env!("CARGO_PKG_VERSION")));
        let (builder, base, token) = match place {
            Place::Sockets(_) => {
                let path = place.socket().ok_or("no socket is named")?;
                (builder.unix_socket(path).tls_certs_only([]), "http://localhost".to_owned(), None)
            }
            Place::At(url) => {
                let base = url.as_str().trim_end_matches('/').to_owned();
                let builder = if url.scheme() == "https" {
                    let (agents, own) =
                        (named(settings.ca_file.as_ref())?, named(settings.tls_cert.as_ref())?);
                    let builder = builder.https_only(true);
                    if agents.is_empty() && own.is_empty() {
                        builder
                    } else {
                        builder.tls_backend_preconfigured(trust::with(agents, own)?)
                    }
                } else {
                    builder.tls_certs_only([])
                };
                (builder, base, token(settings)?)
            }
        };
        let http = builder
            .build()
            .map_err(|error| format!("no connection can be prepared: {}", innermost(&error)))?;
        Ok(Self { http, base, token })
    }

    /// Opens the stream; its head says that an agent speaks.
    pub async fn open(&self) -> Result<Response, String> {
        let request = self.signed(self.http.get(format!("{}{}", self.base, wire::STREAM)));
        let opened = async {
            let response = request.send().await.map_err(|error| self.words(error))?;
            self.is_agent(response).await
        };
        tokio::time::timeout(BEGINS_WITHIN, opened).await.map_err(|_| silent(BEGINS_WITHIN))?
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, ask: &Ask) -> Result<Told, String> {
        let body = wire::pack(ask).map_err(|error| error.to_string())?;
        let request = self.signed(self.http.post(format!("{}{}", self.base, wire::ASK)).body(body));
        let answer = async {
            let response = request.send().await.map_err(|error| self.words(error))?;
            let mut response = self.is_agent(response).await?;
            let mut cutter = Cutter::default();
            while let Some(bytes) = response.chunk().await.map_err(|error| self.words(error))? {
                cutter.add(&bytes);
                if let Some(message) = cutter.cut(wire::LONGEST).map_err(|error| error.to_string())? {
                    return wire::unpack(&message).map_err(|error| error.to_string());
                }
            }
            Err("the agent's answer broke off".to_owned())
        };
        tokio::time::timeout(ANSWERS_WITHIN, answer).await.map_err(|_| silent(ANSWERS_WITHIN))?
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    /// The response, where an agent gave it and means it.
    async fn is_agent(&self, response: Response) -> Result<Response, String> {
        let is_ours = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes() == wire::CONTENT_TYPE.as_bytes());
        match response.status() {
            StatusCode::OK if is_ours => Ok(response),
            StatusCode::UNAUTHORIZED if self.token.is_some() => {
                Err("the agent does not take this token; see KVMSCOPE_AGENT_TOKEN and agent.token_file"
                    .into())
            }
            StatusCode::UNAUTHORIZED => {
                Err("the agent wants a token; set KVMSCOPE_AGENT_TOKEN or agent.token_file".into())
            }
            StatusCode::NOT_FOUND => Err(format!(
                "what answers there is no agent that screens can attach to; this is kvmscope {}: restart the \
                 agent with the same version",
                env!("CARGO_PKG_VERSION")
            )),
            status => match refusal(response).await {
                Some(words) => Err(format!("the agent refuses: {words}")),
                None => Err(format!("what answers there is no kvmscope agent (HTTP {})", status.as_u16())),
            },
        }
    }

    fn words(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        let words = fit(&innermost(&error)).into_owned();
        match io_kind(&error) {
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) if self.token.is_none() => {
                "no agent listens there; start it with `kvmscope agent` or `systemctl start kvmscope`".into()
            }
            Some(io::ErrorKind::PermissionDenied) => {
                "this user may not use the agent's socket; ask to be put into its group".into()
            }
            Some(io::ErrorKind::InvalidData) => {
                let refused = causes(&error).find_map(|cause| cause.downcast_ref());
                format!("no trusted connection: {}", trust::refusal(&words, refused))
            }
            _ if error.is_connect() && error.is_timeout() => silent(CONNECTS_WITHIN),
            _ if error.is_connect() => format!("cannot be connected to: {words}"),
            _ => format!("the exchange broke off: {words}"),
        }
    }
}

fn silent(within: Duration) -> String {
    format!("there is no answer within {} s", within.as_secs())
}

/// What the agent says of why it does not.
async fn refusal(mut response: Response) -> Option<String> {
    let mut body = Vec::new();
    while body.len() < LONGEST_REFUSAL
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes[..bytes.len().min(LONGEST_REFUSAL)]);
    }
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let words: String = body.get("error")?.as_str()?.chars().take(SHOWN).collect();
    Some(fit(&words).into_owned())
}

/// The token to carry: what the environment gives goes before the file.
fn token(settings: &config::Agent) -> Result<Option<SecretString>, String> {
    let fits = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(token) = &settings.token {
        let trimmed = token.expose_secret().trim();
        return if fits(trimmed) {
            Ok(Some(trimmed.into()))
        } else {
            Err("KVMSCOPE_AGENT_TOKEN holds no token: letters, digits and signs without blanks".into())
        };
    }
    let Some(path) = &settings.token_file else { return Ok(None) };
    let failed = |why: &str| format!("agent.token_file {} cannot be used: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error.to_string()))?;
    let text = secrecy::zeroize::Zeroizing::new(text);
    let trimmed = text.trim();
    if fits(trimmed) { Ok(Some(trimmed.into())) } else { Err(failed("it holds no token")) }
}

/// What is trusted beside the system's roots.
fn named(file: Option<&PathBuf>) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |path: &PathBuf| read(path).map_err(|why| format!("{} cannot be used: {why}", path.display()));
    Ok(file.map(read).transpose()?.unwrap_or_default())
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate in PEM form".into()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

/// The errors beneath `error`, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An io::Error hides the error it carries from `source`.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

/// The outer ones only say "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
