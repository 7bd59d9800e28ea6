//! An export out of a running agent: one question over its socket, and its
//! answer as it comes.
//!
//! The answer is HTTP/1.1 in chunks, so that one that was cut off is known for
//! that. Nothing of it is kept: each part is handed on at once.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::agent::export::LOST;

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
/// Longest line of a head.
const LONGEST_LINE: u64 = 16 * 1024;
/// Most lines of a head.
const MOST_LINES: usize = 64;
/// Longest refusal that is read.
const LONGEST_REFUSAL: u64 = 64 * 1024;

/// Asks at `socket` and gives `each` part of what comes, until it wants no
/// more. How many lines the record has lost to damage; `None`: no more was
/// wanted.
pub(super) fn export(
    socket: &Path,
    parameters: &[(&str, String)],
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<Option<u64>, FetchError> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => FetchError::Forbidden,
        _ => FetchError::Unreachable(error),
    })?;
    let asked = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = format!(
        "GET /api/telemetry/export?{asked} HTTP/1.1\r\nHost: agent\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n"
    );
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .map_err(FetchError::Unreachable)?;
    let mut answer = BufReader::with_capacity(1 << 16, stream);
    let (first, headers) = head(&mut answer)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(FetchError::Foreign)?;
    if status != 200 {
        return Err(FetchError::Refused { status, words: refusal(answer) });
    }
    if !value(&headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Err(FetchError::Foreign);
    }
    loop {
        let size = line(&mut answer).map_err(FetchError::CutOff)?;
        let size = size.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let mut left = size.ok_or(FetchError::Foreign)?;
        if left == 0 {
            break;
        }
        while left > 0 {
            let there = answer.fill_buf().map_err(FetchError::CutOff)?;
            let part = &there[..there.len().min(left)];
            if part.is_empty() {
                return Err(FetchError::CutOff(io::ErrorKind::UnexpectedEof.into()));
            }
            if !each(part) {
                return Ok(None);
            }
            let taken = part.len();
            left -= taken;
            answer.consume(taken);
        }
        line(&mut answer).map_err(FetchError::CutOff)?;
    }
    let trailers = lines(&mut answer).map_err(FetchError::CutOff)?;
    Ok(Some(value(&trailers, LOST).and_then(|lost| lost.parse().ok()).unwrap_or(0)))
}

/// The first line of an answer, and its headers.
fn head(answer: &mut impl BufRead) -> Result<(String, Vec<String>), FetchError> {
    let first = line(answer).map_err(FetchError::Unreachable)?;
    if !first.starts_with("HTTP/1.1 ") {
        return Err(FetchError::Foreign);
    }
    Ok((first, lines(answer).map_err(FetchError::Unreachable)?))
}

/// Lines up to an empty one.
fn lines(answer: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    loop {
        match line(answer)? {
            last if last.is_empty() => return Ok(all),
            _ if all.len() == MOST_LINES => return Err(io::ErrorKind::InvalidData.into()),
            next => all.push(next),
        }
    }
}

fn line(answer: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    answer.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn value<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    let mut pairs = headers.iter().filter_map(|header| header.split_once(':'));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// What the agent says of it.
fn refusal(answer: impl BufRead) -> String {
    let mut body = Vec::new();
    let _ = answer.take(LONGEST_REFUSAL).read_to_end(&mut body);
    let told: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let words = |name: &str| told.as_ref().and_then(|told| told[name].as_str()).map(str::to_owned);
    match (words("error"), words("allowed")) {
        (Some(error), Some(allowed)) => format!("{error} (allowed: {allowed})"),
        (Some(error), None) => error,
        (None, _) => "without a reason".to_owned(),
    }
}
