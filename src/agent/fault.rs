//! Errors as callers see them: JSON with a sentence, and nothing of what is
//! inside: no path, no address, no name of a type.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::telemetry::Json;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    words: String,
    /// What would have been allowed.
    allowed: Option<String>,
    retry_after: bool,
}

impl Fault {
    fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), allowed: None, retry_after: false }
    }

    /// 400: `parameter` cannot be what was given.
    pub fn bad(parameter: &str, found: &str, allowed: impl Into<String>) -> Self {
        let words = format!("{parameter} cannot be {}", shown(found));
        Self { allowed: Some(allowed.into()), ..Self::new(StatusCode::BAD_REQUEST, words) }
    }

    /// 400: `parameter` is not given.
    pub fn lacking(parameter: &str, allowed: impl Into<String>) -> Self {
        let words = format!("{parameter} is missing");
        Self { allowed: Some(allowed.into()), ..Self::new(StatusCode::BAD_REQUEST, words) }
    }

    /// 400: the request is not one.
    pub fn malformed(words: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, words)
    }

    /// 401: it carries no token, or not the right one.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN")
    }

    /// 403: a page of somebody else's asks.
    pub fn forbidden(words: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, words)
    }

    /// 404: there is no such VM.
    pub fn no_vm(asked: &str) -> Self {
        let words = format!("there is no VM {}", shown(asked));
        let allowed = "a libvirt id, a uuid or a name of GET /api/telemetry/vms";
        Self { allowed: Some(allowed.into()), ..Self::new(StatusCode::NOT_FOUND, words) }
    }

    /// 404: there is no such path.
    pub fn no_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path")
    }

    /// 405: not with this method.
    pub fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path is not asked with this method")
    }

    /// 413: the request's body is too large.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here, or a short one")
    }

    /// 500: a fault of ours.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the agent failed; its log says why")
    }

    /// 503: not now.
    pub fn busy(words: &str) -> Self {
        Self { retry_after: true, ..Self::unavailable(words) }
    }

    /// 503: not as it is set up.
    pub fn unavailable(words: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, words)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut fields = vec![("error", Json::from(self.words))];
        if let Some(allowed) = self.allowed {
            fields.push(("allowed", allowed.into()));
        }
        let mut response = (self.status, json(&Json::Object(fields))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// JSON as a response.
pub(super) fn json(value: &Json) -> Response {
    // Plain values into memory: it cannot fail.
    let text = serde_json::to_vec(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, JSON)], text).into_response()
}

/// The content type of every answer but two.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a caller sent, fit to be sent back: quoted, cut, no control characters.
fn shown(found: &str) -> String {
    const LONGEST: usize = 60;
    let mut text: String = found.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if found.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    format!("\"{text}\"")
}
