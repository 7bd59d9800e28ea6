//! From a server's answer to what becomes of the batch: a pure function.

mod mend;
mod said;

use std::time::Duration;

use self::said::{Data, ErrorBody};

pub use self::said::summary;

/// What came back from one write request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server answered.
    Http {
        /// Status code.
        status: u16,
        /// `Retry-After`, both forms already turned into a span, uncapped.
        retry_after: Option<Duration>,
        /// The body's beginning, at most 64 KiB.
        body: String,
    },
    /// There was no answer.
    Failed {
        /// At which step.
        step: FailedStep,
        /// What failed, free of secrets.
        text: String,
    },
}

/// The step at which a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedStep {
    /// Name look-up or connecting.
    Connect,
    /// TLS: certificate or handshake.
    Tls,
    /// The time was up.
    Timeout,
    /// Sending or receiving broke off.
    Transfer,
    /// The credentials could not be read or are missing.
    Credentials,
}

/// What becomes of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All written: advance.
    Delivered,
    /// Written but for these lines, which go to quarantine: advance.
    DeliveredExcept(Vec<RefusedLine>),
    /// Keep the batch at the head and try again.
    Retry {
        /// The server's own wish, capped at 10 minutes.
        after: Option<Duration>,
        /// One line for the screen.
        why: String,
    },
    /// Needs the operator. Keep everything, probe rarely.
    Pause {
        /// What the server said.
        why: String,
        /// What to do.
        mend: String,
    },
    /// Too large: send halves, down to one line.
    Halve,
    /// Nothing was written; take this line out and send the rest again.
    TakeOut(RefusedLine),
    /// Nothing was written and no line is named: bisect with a bound.
    Bisect {
        /// What the server said.
        why: String,
    },
}

/// A line the server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// 0-based index in the batch.
    pub index: usize,
    /// The server's words.
    pub message: String,
}

/// What to do after `answer` to a batch of `lines_in_batch` lines sent to
/// `api` (`v1`, `v2` or `v3`). The whole policy of delivery, and nothing
/// else, is here.
#[must_use]
pub fn decide(api: &str, answer: &Answer, lines_in_batch: usize) -> Decision {
    let why = summary(answer);
    let (status, retry_after, body) = match answer {
        Answer::Failed { step, .. } => return failed(*step, why),
        Answer::Http { status, retry_after, body } => (*status, *retry_after, body.as_str()),
    };
    match status {
        // No database answers a write with a web page: a portal or a wrong
        // port did, and what it was sent is written nowhere.
        200..=299 if said::is_markup(body) => pause(why, mend::NO_DATABASE),
        200..=299 => Decision::Delivered,
        300..=399 => pause(why, mend::REDIRECTED),
        400 | 422 => refused(why, body, lines_in_batch),
        401 => pause(why, mend::CREDENTIALS),
        403 => pause(why, mend::PERMISSION),
        404 if body.contains("database not found") => pause(why, mend::NO_SUCH_DATABASE),
        404 if api == "v2" && body.contains("bucket") => pause(why, mend::NO_SUCH_BUCKET),
        404 | 405 => pause(why, mend::PATH),
        407 => pause(why, mend::PROXY),
        413 if lines_in_batch > 1 => Decision::Halve,
        413 => Decision::TakeOut(RefusedLine { index: 0, message: why }),
        501 => pause(why, mend::NOT_IMPLEMENTED),
        408 | 425 | 429 | 500..=599 => {
            Decision::Retry { after: retry_after.map(|wish| wish.min(LONGEST_WISH)), why }
        }
        _ => pause(why, mend::UNEXPECTED),
    }
}

/// The longest wait a server may ask for.
const LONGEST_WISH: Duration = Duration::from_mins(10);

fn pause(why: String, mend: &str) -> Decision {
    Decision::Pause { why, mend: mend.to_owned() }
}

fn failed(step: FailedStep, why: String) -> Decision {
    match step {
        FailedStep::Connect | FailedStep::Timeout | FailedStep::Transfer => {
            Decision::Retry { after: None, why }
        }
        FailedStep::Tls => pause(why, mend::TLS),
        FailedStep::Credentials => pause(why, mend::CREDENTIALS),
    }
}

/// 400 and 422: which lines, if any, the server has named, and whether it is
/// about lines at all.
fn refused(why: String, body: &str, lines_in_batch: usize) -> Decision {
    let refused_line = |line: &said::LineError| {
        let index = line.line_number?.checked_sub(1).filter(|index| *index < lines_in_batch)?;
        let message = line.error_message.as_deref().map_or_else(|| why.clone(), said::words);
        Some(RefusedLine { index, message })
    };
    match ErrorBody::parse(body).data {
        Some(Data::Lines(lines)) => {
            // A line number outside the batch would leave a refused line
            // unnamed: finding it costs requests, losing it costs data.
            let named: Option<Vec<_>> = lines.iter().map(refused_line).collect();
            match named {
                Some(mut named) if !named.is_empty() => {
                    named.sort_by_key(|line| line.index);
                    named.dedup_by_key(|line| line.index);
                    Decision::DeliveredExcept(named)
                }
                _ => Decision::Bisect { why },
            }
        }
        Some(Data::Line(line)) => refused_line(&line).map_or(Decision::Bisect { why }, Decision::TakeOut),
        Some(Data::Other(_)) | None => match mend::of_request(&said::words(body)) {
            Some(mend) => pause(why, mend),
            None => Decision::Bisect { why },
        },
    }
}

#[cfg(test)]
mod tests;
