//! An export out of a running agent: one question over its socket, and its
//! answer as it comes.
//!
//! The answer is HTTP/1.1 in chunks, so that one that was cut off is known for
//! that, and its trailer counts what is damaged. Nothing of it is kept: each
//! part is handed on at once.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper::{Request, StatusCode, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

use crate::{model::name::fit, wire::DAMAGED};

/// Why it did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The socket is not open to this user.
    #[error("this user may not ask there; run as root or as a member of the socket's group")]
    Forbidden,
    /// It was refused, with the agent's words.
    #[error("it answers {status}: {words}")]
    Refused {
        /// HTTP's number.
        status: u16,
        /// The agent's words.
        words: String,
    },
    /// It was cut off.
    #[error("its answer was cut off ({0}), so that the export is not whole; its log says why")]
    CutOff(io::Error),
    /// It is no agent, or one of another version.
    #[error("its answer is none of a kvmscope agent of this version")]
    Foreign,
    /// It cannot be reached.
    #[error("{0}; see whether it runs")]
    Unreachable(io::Error),
}

/// How long the agent may say nothing: it may read long before it finds a line.
const PATIENCE: Duration = Duration::from_mins(2);
/// Longest refusal that is read.
const LONGEST_REFUSAL: usize = 64 * 1024;

/// Asks at `socket` and gives `each` part of what comes, until it wants no
/// more. Waits. Returns how many lines the record has lost to damage; `None`:
/// no more was wanted.
///
/// # Errors
/// See [`FetchError`].
pub fn export(
    socket: &Path,
    parameters: &[(&str, String)],
    each: impl FnMut(&[u8]) -> bool,
) -> Result<Option<u64>, FetchError> {
    let asked = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = Request::get(format!("/api/telemetry/export?{asked}"))
        .header(header::HOST, "agent")
        .header(header::TE, "trailers")
        .header(header::CONNECTION, "close, TE")
        .body(Empty::<Bytes>::new())
        .map_err(|error| FetchError::Unreachable(io::Error::other(error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(FetchError::Unreachable)?.block_on(ask(socket, request, each))
}

async fn ask(
    socket: &Path,
    request: Request<Empty<Bytes>>,
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<Option<u64>, FetchError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => FetchError::Forbidden,
        _ => FetchError::Unreachable(error),
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // What it meets is told to whoever waits for the answer.
    tokio::spawn(connection);
    let answer = in_time(sender.send_request(request)).await.map_err(FetchError::Unreachable)?;
    let answer = answer.map_err(unreachable)?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Refused {
            status: answer.status().as_u16(),
            words: refusal(answer.into_body()).await,
        });
    }
    // Of another form the end could not be told from a cut.
    let form = answer.headers().get(header::TRANSFER_ENCODING);
    if !form.is_some_and(|form| form.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(FetchError::Foreign);
    }
    let mut body = answer.into_body();
    let mut lost = None;
    while let Some(frame) = in_time(body.frame()).await.map_err(FetchError::CutOff)? {
        let frame = frame.map_err(|error| FetchError::CutOff(io::Error::other(error)))?;
        match frame.into_data() {
            Ok(part) if each(&part) => {}
            Ok(_) => return Ok(None),
            Err(frame) => {
                let told = frame.trailers_ref().and_then(|trailers| trailers.get(DAMAGED)?.to_str().ok());
                lost = told.and_then(|told| told.parse().ok());
            }
        }
    }
    // Without the number nobody knows whether it is whole.
    lost.map(Some).ok_or(FetchError::Foreign)
}

async fn in_time<T>(answer: impl Future<Output = T>) -> io::Result<T> {
    timeout(PATIENCE, answer).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {} s", PATIENCE.as_secs()))
    })
}

fn unreachable(error: hyper::Error) -> FetchError {
    if error.is_parse() { FetchError::Foreign } else { FetchError::Unreachable(io::Error::other(error)) }
}

/// What the agent says of it.
async fn refusal(body: Incoming) -> String {
    let body = in_time(Limited::new(body, LONGEST_REFUSAL).collect()).await;
    let body = body.ok().and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
    let told: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let words = |name: &str| Some(fit(told.as_ref()?[name].as_str()?).into_owned());
    match (words("error"), words("allowed")) {
        (Some(error), Some(allowed)) => format!("{error} (allowed: {allowed})"),
        (Some(error), None) => error,
        (None, _) => "without a reason".to_owned(),
    }
}
