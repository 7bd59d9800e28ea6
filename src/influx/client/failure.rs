//! Why there was no answer: from reqwest's nested errors to a step and words.

use std::{error::Error, io, time::Duration};

use crate::influx::policy::{Answer, FailedStep};

/// Turns a failed request into an answer. `host` is shown in its place of the
/// URL, which never appears.
pub(super) fn answer(error: reqwest::Error, host: &str, timeout: Duration, connecting: Duration) -> Answer {
    let error = error.without_url();
    let words = innermost(&error);
    // What a proxy says to CONNECT comes as an error in words.
    if causes(&error).any(|cause| cause.to_string().contains("proxy authorization required")) {
        let body = format!("the way to {host} is refused");
        return Answer::Http { status: 407, retry_after: None, body };
    }
    let (step, text) = if error.is_timeout() {
        let what = if error.is_connect() {
            format!("connecting to {host} took longer than {}", seconds(connecting))
        } else {
            format!("{host} did not answer within {}", seconds(timeout))
        };
        (FailedStep::Timeout, what)
    } else if is_tls(&error) {
        (FailedStep::Tls, format!("no trusted connection to {host}: {words}"))
    } else if error.is_connect() || error.is_dns() {
        (FailedStep::Connect, format!("cannot connect to {host}: {words}"))
    } else {
        (FailedStep::Transfer, format!("the exchange with {host} broke off: {words}"))
    };
    Answer::Failed { step, text }
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs_f64())
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

/// The words of the innermost cause: the outer ones only say "error sending
/// request".
pub(super) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// rustls reports refused certificates and broken handshakes as invalid data.
fn is_tls(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::InvalidData)
}
