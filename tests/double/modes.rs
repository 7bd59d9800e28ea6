//! What the double is, or what stands before it, until a test says otherwise.
//!
//! A mode that imitates a recorded answer gives it to the letter
//! (`tests/influx_double.rs` holds it to that); the others are what proxies
//! and other servers were seen to do, and claim no more.

use std::time::{Duration, SystemTime};

use super::{
    Fault,
    engine::UNAUTHENTICATED,
    http::{Request, Response},
};

/// See the module.
#[derive(Clone, Debug, Default)]
pub enum Mode {
    /// InfluxDB 3.10, as recorded.
    #[default]
    Current,
    /// InfluxDB 3 before 3.10: a write with refused lines writes nothing and
    /// names one of them, in an object, with the words of a partial write.
    Before310,
    /// Neither `/ping` nor `/health`.
    NoPing,
    /// A proxy that lets `/write` through and nothing else.
    WriteOnly,
    /// What `VictoriaMetrics` offers: no version, no v3, and 400 for what it
    /// does not know.
    LikeVictoriaMetrics,
    /// The same as a cluster, below a path: there is no `/ping` either.
    LikeCluster(&'static str),
    /// 503, perhaps with Retry-After.
    Unavailable(Option<RetryAfter>),
    /// 429, perhaps with Retry-After.
    TooManyRequests(Option<RetryAfter>),
    /// 401 whatever the token.
    Unauthorized,
    /// 413 for more bytes than this, after decompression.
    TooLarge(usize),
    /// 500 in plain text, as while shutting down.
    Failing,
    /// A proxy's web page with this status.
    Page(u16),
    /// No answer, ever.
    Hang,
    /// Everything is right, but the answer comes byte by byte with this pause
    /// between two.
    Drip(Duration),
    /// Everything is written, and the connection breaks before the answer.
    WriteThenReset,
    /// The connection breaks while the request is still on its way.
    Disconnect,
}

/// The two forms of the header.
#[derive(Clone, Copy, Debug)]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// A date so long from now.
    Date(Duration),
}

impl Mode {
    /// What is answered in the server's place, if anything is.
    pub fn instead(&self, request: &Request, plain_bytes: usize) -> Option<Fault> {
        if let Some(unknown) = self.unknown(request) {
            return Some(Fault::Answer(unknown));
        }
        if !request.is_write() {
            return None;
        }
        let response = match self {
            Self::Unavailable(wish) => with_wish(Response::new(503, "come back later"), *wish),
            Self::TooManyRequests(wish) => with_wish(Response::new(429, "slow down"), *wish),
            Self::Unauthorized => Response::new(401, UNAUTHENTICATED),
            Self::TooLarge(most) if plain_bytes > *most => {
                Response::new(413, format!("max request size ({most} bytes) exceeded"))
            }
            Self::Failing => Response::new(500, "shutting down"),
            Self::Page(status) => Response::new(
                *status,
                "<html><head><title>A proxy's page</title></head><body>nothing to see</body></html>",
            )
            .with("content-type", "text/html"),
            Self::Hang => return Some(Fault::Hang),
            Self::WriteThenReset => return Some(Fault::WriteThenReset),
            _ => return None,
        };
        Some(Fault::Answer(response))
    }

    /// The refusal of an address that this mode does not know.
    fn unknown(&self, request: &Request) -> Option<Response> {
        let path = request.path.as_str();
        let unsupported = || {
            let text = format!("requestURI: {path}?db=lp; unsupported path requested: {path:?}");
            Response::new(400, text).with("x-server-hostname", "vm")
        };
        match self {
            Self::NoPing => matches!(path, "/ping" | "/health").then(|| Response::new(404, "Not found")),
            Self::WriteOnly => {
                let page = "<html><head><title>404 Not Found</title></head></html>";
                (path != "/write").then(|| Response::new(404, page))
            }
            Self::LikeVictoriaMetrics => match path {
                "/ping" => Some(Response::new(204, "").with("x-server-hostname", "vm")),
                "/health" | "/write" | "/api/v2/write" => None,
                _ => Some(unsupported()),
            },
            Self::LikeCluster(prefix) => {
                let known =
                    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest, "/write" | "/api/v2/write"));
                (!known).then(unsupported)
            }
            _ => None,
        }
    }

    /// The path below which the server's own begin.
    pub fn prefix(&self) -> &str {
        if let Self::LikeCluster(prefix) = self { prefix } else { "" }
    }

    /// The pause between two bytes of an answer to a write.
    pub fn pace(&self, request: &Request) -> Option<Duration> {
        match self {
            Self::Drip(pace) if request.is_write() => Some(*pace),
            _ => None,
        }
    }
}

fn with_wish(response: Response, wish: Option<RetryAfter>) -> Response {
    match wish {
        None => response,
        Some(RetryAfter::Seconds(seconds)) => response.with("retry-after", seconds.to_string()),
        Some(RetryAfter::Date(span)) => {
            let now = SystemTime::now();
            response
                .with("date", httpdate::fmt_http_date(now))
                .with("retry-after", httpdate::fmt_http_date(now + span))
        }
    }
}
