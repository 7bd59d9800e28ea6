//! The shapes a value can have: how each is read from what was found, what is
//! allowed in words, and how the effective value is shown.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;

use super::{
    Proxy, Socket,
    draft::Draft,
    environment::Environment,
    error::Fault,
    found::Found,
    quantity::{bytes_of_text, show_bytes, show_span, span_of_seconds, span_of_text},
    tags, url,
};

/// The shape of one key's value, with the way in and out of the draft.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A span of time within bounds.
    Span {
        /// Shortest.
        least: Duration,
        /// Longest.
        most: Duration,
        /// Way in.
        set: fn(&mut Draft, Duration),
        /// Way out.
        get: fn(&Draft) -> Duration,
    },
    /// A size in bytes within bounds.
    Bytes {
        /// Smallest.
        least: u64,
        /// Largest.
        most: u64,
        /// Way in.
        set: fn(&mut Draft, u64),
        /// Way out.
        get: fn(&Draft) -> u64,
    },
    /// A whole number within bounds.
    Count {
        /// Smallest.
        least: usize,
        /// Largest.
        most: usize,
        /// What `"auto"` stands for, where it may be written.
        auto: Option<fn() -> usize>,
        /// Way in.
        set: fn(&mut Draft, usize),
        /// Way out.
        get: fn(&Draft) -> usize,
    },
    /// A number within bounds.
    Number {
        /// Smallest.
        least: f64,
        /// Largest.
        most: f64,
        /// Way in.
        set: fn(&mut Draft, f64),
        /// Way out.
        get: fn(&Draft) -> f64,
    },
    /// Bytes per second, from 1 B/s to 1 TiB/s.
    BytesPerSecond {
        /// Way in.
        set: fn(&mut Draft, f64),
        /// Way out.
        get: fn(&Draft) -> f64,
    },
    /// True or false.
    Flag {
        /// Way in.
        set: fn(&mut Draft, bool),
        /// Way out.
        get: fn(&Draft) -> bool,
    },
    /// One of a few words.
    Word {
        /// All of them.
        words: &'static [&'static str],
        /// Way in.
        set: fn(&mut Draft, &str),
        /// Way out.
        get: fn(&Draft) -> &'static str,
    },
    /// Text without control characters.
    Text {
        /// Fewest characters, 0 or 1.
        least: usize,
        /// Most characters.
        most: usize,
        /// Way in.
        set: fn(&mut Draft, String),
        /// Way out, fit to show.
        get: fn(&Draft) -> String,
    },
    /// A path, or none.
    Path {
        /// What `"auto"` stands for, where it may be written.
        auto: Option<fn(&Environment) -> Option<PathBuf>>,
        /// Way in.
        set: fn(&mut Draft, Option<PathBuf>),
        /// Way out.
        get: fn(&Draft) -> Option<&Path>,
    },
    /// A base URL without credentials, or none.
    BaseUrl {
        /// Way in.
        set: fn(&mut Draft, Option<String>),
        /// Way out.
        get: fn(&Draft) -> Option<&str>,
    },
    /// A proxy's URL without credentials, the environment's, or none.
    ProxyUrl {
        /// Way in.
        set: fn(&mut Draft, Proxy),
        /// Way out.
        get: fn(&Draft) -> &Proxy,
    },
    /// The path of a socket, the usual place, or none.
    Socket {
        /// Way in.
        set: fn(&mut Draft, Socket),
        /// Way out.
        get: fn(&Draft) -> &Socket,
    },
    /// An IP address with a port, or none.
    Address {
        /// Way in.
        set: fn(&mut Draft, Option<SocketAddr>),
        /// Way out.
        get: fn(&Draft) -> Option<SocketAddr>,
    },
    /// A table of static tags.
    Tags {
        /// Way in.
        set: fn(&mut Draft, BTreeMap<String, String>),
        /// Way out.
        get: fn(&Draft) -> &BTreeMap<String, String>,
    },
    /// A secret: from the environment alone, never shown.
    Secret {
        /// What to do instead of writing it into the file.
        instead: &'static str,
        /// Way in.
        set: fn(&mut Draft, SecretString),
        /// Whether there is one.
        is_set: fn(&Draft) -> bool,
    },
}

/// Why a value was refused.
pub(super) enum Refusal {
    /// Wrong type or out of range.
    NotAllowed,
    /// A fault of its own.
    Fault(Fault),
    /// Faults on lines of their own.
    Lines(Vec<(usize, Fault)>),
}

const NONE: &str = "none";
const AUTO: &str = "auto";

impl Shape {
    /// Reads what was found for `key` into the draft.
    pub(super) fn read(
        &self,
        key: &'static str,
        found: &Found,
        environment: &Environment,
        draft: &mut Draft,
    ) -> Result<(), Refusal> {
        let refused = Refusal::NotAllowed;
        match *self {
            Self::Span { least, most, set, .. } => {
                let span = match found {
                    Found::Untyped(text) | Found::Text(text) => span_of_text(text),
                    other => other.number().and_then(span_of_seconds),
                };
                set(draft, span.filter(|s| (least..=most).contains(s)).ok_or(refused)?);
            }
            Self::Bytes { least, most, set, .. } => {
                let bytes = match found {
                    Found::Untyped(text) | Found::Text(text) => bytes_of_text(text),
                    other => other.whole(),
                };
                set(draft, bytes.filter(|b| (least..=most).contains(b)).ok_or(refused)?);
            }
            Self::Count { least, most, auto, set, .. } => {
                let count = match (found.text(), auto) {
                    (Some(AUTO), Some(auto)) => Some(auto()),
                    _ => found.whole().and_then(|n| usize::try_from(n).ok()),
                };
                set(draft, count.filter(|n| (least..=most).contains(n)).ok_or(refused)?);
            }
            Self::Number { least, most, set, .. } => {
                set(draft, found.number().filter(|n| (least..=most).contains(n)).ok_or(refused)?);
            }
            Self::BytesPerSecond { set, .. } => {
                let rate = match found {
                    Found::Untyped(text) | Found::Text(text) => rate_of_text(text),
                    other => other.number(),
                };
                let bounds = 1.0..=1_099_511_627_776.0;
                set(draft, rate.filter(|r| bounds.contains(r)).ok_or(refused)?);
            }
            Self::Flag { set, .. } => set(draft, found.flag().ok_or(refused)?),
            Self::Word { words, set, .. } => {
                set(draft, found.text().filter(|text| words.contains(text)).ok_or(refused)?);
            }
            Self::Text { least, most, set, .. } => {
                let text = found.text().ok_or(Refusal::NotAllowed)?;
                let length = text.chars().count();
                if !(least..=most).contains(&length) || text.chars().any(char::is_control) {
                    return Err(refused);
                }
                set(draft, text.to_owned());
            }
            Self::Path { auto, set, .. } => {
                let text = found.text().ok_or(Refusal::NotAllowed)?;
                let path = match (text, auto) {
                    (NONE, _) => None,
                    (AUTO, Some(auto)) => auto(environment),
                    _ => Some(path_of(text, environment).ok_or(refused)?),
                };
                set(draft, path);
            }
            Self::BaseUrl { set, .. } => {
                let text = found.text().ok_or(Refusal::NotAllowed)?;
                let url = match text {
                    NONE => None,
                    _ => Some(
                        url::base_url(key, text)
                            .map_err(|f| f.map_or(Refusal::NotAllowed, Refusal::Fault))?,
                    ),
                };
                set(draft, url);
            }
            Self::ProxyUrl { set, .. } => {
                let text = found.text().ok_or(Refusal::NotAllowed)?;
                let proxy = match text {
                    AUTO => Proxy::Environment,
                    NONE | "" => Proxy::Direct,
                    _ => Proxy::Url(
                        url::proxy(key, text).map_err(|f| f.map_or(Refusal::NotAllowed, Refusal::Fault))?,
                    ),
                };
                set(draft, proxy);
            }
            Self::Socket { set, .. } => set(draft, socket_of(found, environment).ok_or(refused)?),
            Self::Address { set, .. } => set(draft, address_of(found)?),
            Self::Tags { set, .. } => match found {
                Found::Table(entries) => set(draft, tags::read(entries).map_err(Refusal::Lines)?),
                _ => return Err(refused),
            },
            Self::Secret { instead, set, .. } => match found {
                Found::Untyped(text) => {
                    let text = text.trim();
                    if text.is_empty() || text.chars().any(char::is_control) {
                        return Err(refused);
                    }
                    set(draft, SecretString::from(text));
                }
                _ => {
                    return Err(Refusal::Fault(Fault::SecretInFile { key: key.into(), mend: instead }));
                }
            },
        }
        Ok(())
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        match *self {
            Self::Span { least, most, .. } => format!(
                "seconds, or text such as \"30 s\", \"5 m\", \"7 days\", from {} to {}",
                show_span(least),
                show_span(most)
            ),
            Self::Bytes { least, most, .. } => {
                format!(
                    "bytes, or text such as \"512 MiB\", \"1 GiB\" (units of 1024 only), from {} to {}",
                    show_bytes(least),
                    show_bytes(most)
                )
            }
            Self::Count { least, most, auto, .. } => {
                let auto = if auto.is_some() { ", or \"auto\"" } else { "" };
                format!("a whole number from {least} to {most}{auto}")
            }
            Self::Number { least, most, .. } => format!("a number from {least} to {most}"),
            Self::BytesPerSecond { .. } => {
                "bytes per second, or text such as \"10 MiB\", from 1 B to 1 TiB".into()
            }
            Self::Flag { .. } => "true or false".into(),
            Self::Word { words, .. } => {
                words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
            }
            Self::Text { least: 0, most, .. } => {
                format!("text of at most {most} characters, no control characters")
            }
            Self::Text { least, most, .. } => {
                format!("text of {least} to {most} characters, no control characters")
            }
            Self::Path { auto, .. } => {
                let auto = if auto.is_some() { ", \"auto\"" } else { "" };
                format!("a path that begins with / or ~/{auto}, or \"none\"")
            }
            Self::BaseUrl { .. } => {
                "http:// or https://, a host, perhaps a port and a path; no user, no query; \
                                     or \"none\""
                    .into()
            }
            Self::ProxyUrl { .. } => {
                "http://, https://, socks5:// or socks5h://, a host, perhaps a port; no user, no path; \
                 or \"auto\", \"none\""
                    .into()
            }
            Self::Socket { .. } => "a path that begins with / or ~/, \"auto\", or \"none\"".into(),
            Self::Address { .. } => {
                "an IP address and a port such as \"127.0.0.1:8642\", \"[::1]:8642\"; or \"none\"".into()
            }
            Self::Tags { .. } => format!("a table of {}", tags::ALLOWED),
            Self::Secret { .. } => "one line of text without control characters".into(),
        }
    }

    /// The effective value, fit to show.
    pub(super) fn show(&self, draft: &Draft) -> String {
        match *self {
            Self::Span { get, .. } => show_span(get(draft)),
            Self::Bytes { get, .. } => show_bytes(get(draft)),
            Self::Count { get, .. } => get(draft).to_string(),
            Self::Number { get, .. } => get(draft).to_string(),
            Self::BytesPerSecond { get, .. } => show_rate(get(draft)),
            Self::Flag { get, .. } => get(draft).to_string(),
            Self::Word { get, .. } => get(draft).to_owned(),
            Self::Text { get, .. } => {
                let text = get(draft);
                if text.is_empty() { "\"\"".into() } else { text }
            }
            Self::Path { get, .. } => {
                get(draft).map_or_else(|| NONE.into(), |path| path.display().to_string())
            }
            Self::BaseUrl { get, .. } => get(draft).unwrap_or(NONE).to_owned(),
            Self::ProxyUrl { get, .. } => match get(draft) {
                Proxy::Environment => AUTO.into(),
                Proxy::Direct => NONE.into(),
                Proxy::Url(url) => url.clone(),
            },
            Self::Socket { get, .. } => match get(draft) {
                Socket::Auto => AUTO.into(),
                Socket::Off => NONE.into(),
                Socket::At(path) => path.display().to_string(),
            },
            Self::Address { get, .. } => {
                get(draft).map_or_else(|| NONE.into(), |address| address.to_string())
            }
            Self::Tags { get, .. } => {
                let tags: Vec<_> =
                    get(draft).iter().map(|(name, value)| format!("{name} = {value}")).collect();
                if tags.is_empty() { NONE.into() } else { tags.join(", ") }
            }
            Self::Secret { is_set, .. } => if is_set(draft) { "***" } else { "not set" }.into(),
        }
    }
}

/// An absolute path; `~/` is the home directory. A relative one would mean
/// another file from every directory kvmscope is started in.
fn path_of(text: &str, environment: &Environment) -> Option<PathBuf> {
    if text.chars().any(char::is_control) {
        return None;
    }
    match text.strip_prefix("~/") {
        Some(rest) => environment.home().map(|home| home.join(rest)),
        None => Some(PathBuf::from(text)).filter(|path| path.is_absolute()),
    }
}

fn socket_of(found: &Found, environment: &Environment) -> Option<Socket> {
    match found.text()? {
        AUTO => Some(Socket::Auto),
        NONE => Some(Socket::Off),
        text => path_of(text, environment).map(Socket::At),
    }
}

/// An address, or none. A host's name would be one at start and another later.
fn address_of(found: &Found) -> Result<Option<SocketAddr>, Refusal> {
    match found.text() {
        Some(NONE) => Ok(None),
        text => text.and_then(|text| text.parse().ok()).map(Some).ok_or(Refusal::NotAllowed),
    }
}

fn rate_of_text(text: &str) -> Option<f64> {
    if let Ok(rate) = text.trim().parse() {
        return Some(rate);
    }
    #[allow(clippy::cast_precision_loss, reason = "bounded to 1 TiB, far below 2^53")]
    bytes_of_text(text.trim().trim_end_matches("/s")).map(|bytes| bytes as f64)
}

fn show_rate(rate: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 1 TiB, whole")]
    if rate.fract() == 0.0 { format!("{}/s", show_bytes(rate as u64)) } else { format!("{rate} B/s") }
}
