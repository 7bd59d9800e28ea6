//! Who may ask: the token of a TCP door, pages of other sites, and bounds on a
//! request and on the time for its answer.
//!
//! The unix socket asks for no token: its file's permissions say who may. Over
//! TCP on an address of this machine without a token, a browser here could be
//! made to ask by any page it has open: such a request is told by its `Host`
//! and `Origin`.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use subtle::ConstantTimeEq as _;

use super::fault::Fault;

/// How long an answer may take to begin.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// No request here needs a body; tools may send a short one.
const LONGEST_BODY: u64 = 64 * 1024;
/// No token is longer; a larger file is not one.
const LONGEST_TOKEN: u64 = 4096;
/// One that is shorter can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file cannot be read.
    #[error("agent.token_file {path} cannot be read: {why}; make it readable for this user alone")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// What is in it cannot be a token.
    #[error(
        "agent.token_file {path} holds no token: one is {SHORTEST_TOKEN} to {LONGEST_TOKEN} letters, digits and \
         signs without blanks, such as `openssl rand -hex 32` makes"
    )]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

/// The token that requests have to carry, and where it is read again.
pub struct Token {
    path: PathBuf,
    value: RwLock<SecretString>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads it from its file.
    ///
    /// # Errors
    /// The file cannot be read, or holds none.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Ok(Self { path: path.to_owned(), value: RwLock::new(read(path)?) })
    }

    /// Reads it again.
    ///
    /// # Errors
    /// As [`Token::read`]; the one before stays.
    pub fn reread(&self) -> Result<(), TokenError> {
        let value = read(&self.path)?;
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = value;
        Ok(())
    }

    /// Whether the request carries it. Takes as long for any other of its length.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let value = self.value.read().unwrap_or_else(PoisonError::into_inner);
        let mut carried = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(one), None) = (carried.next(), carried.next()) else { return false };
        let Some((scheme, token)) = one.as_bytes().split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(token.ct_eq(value.expose_secret().as_bytes()))
    }
}

fn read(path: &Path) -> Result<SecretString, TokenError> {
    let failed = |error: std::io::Error| TokenError::File { path: path.to_owned(), why: error.to_string() };
    let unfit = || TokenError::Unfit { path: path.to_owned() };
    let mut text = Zeroizing::new(Vec::new());
    File::open(path).and_then(|file| file.take(LONGEST_TOKEN + 1).read_to_end(&mut text)).map_err(failed)?;
    let token = std::str::from_utf8(&text).map_err(|_| unfit())?.trim();
    let fits = token.len() >= SHORTEST_TOKEN
        && text.len() as u64 <= LONGEST_TOKEN
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(SecretString::from(token)) } else { Err(unfit()) }
}

/// What a door asks of those who come in.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// Nothing: the socket's permissions have.
    Socket,
    /// A token.
    Token(Arc<Token>),
    /// That they mean this machine.
    Local,
}

/// Lets a request through to its answer, or not.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match may(&guard, &request) {
        Err(fault) => fault.into_response(),
        Ok(()) => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Fault::busy("the answer takes too long").into_response(),
        },
    };
    for (name, value) in HEADERS {
        // The page has its own.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What every answer says that does not say otherwise.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

fn may(guard: &Guard, request: &Request) -> Result<(), Fault> {
    let headers = request.headers();
    if !names_one_host(request) {
        return Err(Fault::malformed("the request names more than one host"));
    }
    // Neither says anything of the VMs.
    let open = matches!(request.uri().path(), "/" | "/healthz");
    match guard {
        Guard::Token(token) if !open && !token.is_in(headers) => return Err(Fault::unauthorized()),
        Guard::Local if !means_this_machine(headers) => {
            return Err(Fault::forbidden("this address is of this machine alone: ask it as localhost"));
        }
        Guard::Socket if names_a_site(headers) => {
            return Err(Fault::forbidden("the socket is of this machine alone: ask it as localhost"));
        }
        _ => {}
    }
    if *request.method() == Method::POST && !is_of_this_site(headers) {
        return Err(Fault::forbidden("a page of another site may not ask for this"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match length.map(str::parse::<u64>) {
        Some(Ok(length)) if length <= LONGEST_BODY => Ok(()),
        Some(_) => Err(Fault::too_large()),
        None => Ok(()),
    }
}

/// Whether all that names a host in the request names the same: what is judged
/// below is `Host`, and whoever stands between may go by another.
fn names_one_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, more) = (hosts.next().map(HeaderValue::as_bytes).unwrap_or_default(), hosts.next());
    let target = request.uri().authority().is_none_or(|at| at.as_str().as_bytes().eq_ignore_ascii_case(host));
    more.is_none() && target && !host.contains(&b'@')
}

/// Whether `Host` is a name of this machine alone: a page whose own name was
/// made to lead here still says that name.
fn means_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether `Host` is a name that a page elsewhere can have. No tool that asks
/// a socket has one to say, but a browser that reaches the socket through an
/// address that leads there (`ssh -L`) says that of the page which asks.
fn names_a_site(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    host.contains(&b'.') && !means_this_machine(headers)
}

/// A browser names the page that asks; no other tool does.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.zip(host).is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn only_the_token_itself_is_the_token_and_it_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "0123456789abcdef-first\n").unwrap();
        let token = Token::read(&path).unwrap();
        assert!(!format!("{token:?}").contains("0123"));
        let carries = |text: &str| token.is_in(&headers(&[(header::AUTHORIZATION, text)]));
        assert!(carries("Bearer 0123456789abcdef-first") && carries("bearer 0123456789abcdef-first"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "0123456789abcdef-first",
            "Bearer 0123456789abcdef-firs",
            "Bearer 0123456789abcdef-first ",
            "Bearer 0123456789abcdef-firsT",
            "Basic 0123456789abcdef-first",
        ] {
            assert!(!carries(wrong), "{wrong}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        let mut twice = headers(&[(header::AUTHORIZATION, "Bearer 0123456789abcdef-first")]);
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert!(!token.is_in(&twice));

        std::fs::write(&path, "0123456789abcdef-second").unwrap();
        token.reread().unwrap();
        assert!(carries("Bearer 0123456789abcdef-second") && !carries("Bearer 0123456789abcdef-first"));
        std::fs::write(&path, "short").unwrap();
        let refused = token.reread().unwrap_err().to_string();
        assert!(refused.contains("token") && !refused.contains("short"), "{refused}");
        assert!(carries("Bearer 0123456789abcdef-second"), "the one before stays");
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(matches!(Token::read(&path), Err(TokenError::File { .. })));
        let long = "x".repeat(5000);
        for wrong in ["", "\n", "two words of many letters", "fifteen-letters", &long, "äöüäöüäöüäöüäöü"]
        {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(Token::read(&path), Err(TokenError::Unfit { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_request_names_one_host() {
        let asked = |target: &str, hosts: &[&'static str]| {
            let mut request = Request::builder().uri(target).body(axum::body::Body::empty()).unwrap();
            for host in hosts {
                request.headers_mut().append(header::HOST, HeaderValue::from_static(host));
            }
            names_one_host(&request)
        };
        assert!(asked("/", &["localhost:1"]) && asked("/", &[]));
        assert!(asked("http://LOCALHOST:1/", &["localhost:1"]));
        assert!(!asked("http://evil.example/", &["localhost"]) && !asked("http://localhost/", &[]));
        assert!(!asked("/", &["localhost", "evil.example"]));
        assert!(!asked("/", &["evil.example@localhost"]));
    }

    #[test]
    fn a_socket_is_not_asked_by_the_name_of_a_site() {
        for (host, expected) in [
            ("localhost:8080", false),
            ("127.0.0.1:8080", false),
            ("[::1]:8080", false),
            ("agent", false),
            ("", false),
            ("evil.example:8080", true),
            ("127.0.0.1.evil.example", true),
            ("192.0.2.1:8080", true),
        ] {
            assert_eq!(names_a_site(&headers(&[(header::HOST, host)])), expected, "{host}");
        }
        assert!(!names_a_site(&HeaderMap::new()));
    }

    #[test]
    fn a_page_elsewhere_does_not_mean_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8642", true),
            ("127.0.0.1:8642", true),
            ("[::1]:8642", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("192.0.2.1", false),
            ("", false),
        ] {
            assert_eq!(means_this_machine(&headers(&[(header::HOST, host)])), expected, "{host}");
        }
        assert!(!means_this_machine(&HeaderMap::new()));
        let asks =
            |origin| is_of_this_site(&headers(&[(header::HOST, "localhost:8642"), (header::ORIGIN, origin)]));
        assert!(asks("http://localhost:8642"));
        assert!(!asks("http://evil.example") && !asks("null") && !asks("http://localhost:1"));
        assert!(is_of_this_site(&HeaderMap::new()), "no browser");
    }
}
