//! From a server's answer to what becomes of the batch: a pure function.

use std::time::Duration;

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
/// `api` (`v1`, `v2` or `v3`).
#[must_use]
pub fn decide(api: &str, answer: &Answer, lines_in_batch: usize) -> Decision {
    let _ = (api, lines_in_batch);
    match answer {
        Answer::Http { status: 200..=299, .. } => Decision::Delivered,
        Answer::Http { status, .. } => Decision::Retry { after: None, why: format!("HTTP {status}") },
        Answer::Failed { text, .. } => Decision::Retry { after: None, why: text.clone() },
    }
}
