//! The token or password: where it comes from, when it is read again.
//!
//! The value lives in a [`SecretString`] and leaves it only for a header
//! marked sensitive. A file is read again when it changes, so that a rotated
//! token needs no restart.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{ClientError, endpoint::Dialect};
use crate::config::{Auth, SecretSource};

/// No secret is longer; a larger file is not one.
const LONGEST: u64 = 64 * 1024;

/// How requests authenticate.
#[derive(Debug)]
pub(super) enum Credentials {
    None,
    Token(Secret),
    Basic { user: String, password: Secret },
}

/// A secret and the file it can be read from again.
#[derive(Debug)]
pub(super) struct Secret {
    value: SecretString,
    file: Option<SecretFile>,
    kind: Kind,
}

#[derive(Debug)]
struct SecretFile {
    path: PathBuf,
    /// Changes when the file's content does.
    stamp: Option<(SystemTime, u64)>,
}

/// Which of the two secrets, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `influx.token_file`
    Token,
    /// `influx.password_file`
    Password,
}

impl Kind {
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::Token => "INFLUX_TOKEN",
            Self::Password => "INFLUX_PASSWORD",
        }
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Token => "influx.token_file",
            Self::Password => "influx.password_file",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
        }
    }
}

impl Credentials {
    /// Reads what the configuration names.
    pub fn new(auth: &Auth) -> Result<Self, ClientError> {
        match auth {
            Auth::None => Ok(Self::None),
            Auth::Token(source) => Ok(Self::Token(Secret::new(source.as_ref(), Kind::Token)?)),
            Auth::Basic { user, password } => {
                let user = user.clone().filter(|user| !user.is_empty()).ok_or(ClientError::NoUser)?;
                if user.contains(':') || user.chars().any(char::is_control) {
                    return Err(ClientError::UnfitUser);
                }
                Ok(Self::Basic { user, password: Secret::new(password.as_ref(), Kind::Password)? })
            }
        }
    }

    fn secret(&mut self) -> Option<&mut Secret> {
        match self {
            Self::None => None,
            Self::Token(secret) | Self::Basic { password: secret, .. } => Some(secret),
        }
    }

    /// Whether requests carry credentials.
    pub fn any(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Adds the credentials to a request to `dialect`; `None`: not known yet.
    pub fn sign(&self, request: RequestBuilder, dialect: Option<Dialect>) -> RequestBuilder {
        let (scheme, secret) = match (self, dialect) {
            (Self::None, _) => return request,
            (Self::Basic { user, password }, _) => {
                return request.basic_auth(user, Some(password.value.expose_secret()));
            }
            (Self::Token(secret), Some(Dialect::V2 | Dialect::V1)) => ("Token ", secret),
            (Self::Token(secret), Some(Dialect::V3) | None) => ("Bearer ", secret),
        };
        let text = Zeroizing::new(format!("{scheme}{}", secret.value.expose_secret()));
        match HeaderValue::from_str(&text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            // Every value was checked when it was read.
            Err(_) => request,
        }
    }

    /// Reads the file again if it has changed. A file that cannot be read
    /// right now leaves the last value in use: it may be just being replaced.
    pub fn refresh(&mut self) {
        if let Some(secret) = self.secret()
            && let Some(file) = &secret.file
            && stamp(&file.path) != file.stamp
            && let Err(error) = secret.reread()
        {
            tracing::warn!("{error}; the last {} stays in use", secret.kind.word());
        }
    }

    /// Reads the file again whatever its date says, because the server does
    /// not accept the value. True when there is another value now.
    pub fn reread(&mut self) -> Result<bool, ClientError> {
        self.secret().map_or(Ok(false), Secret::reread)
    }

    /// Takes the secret out of a text a server sent, should it echo it: as it
    /// is, and as the header `sent` spelled it (`Basic` is no encryption).
    pub fn scrub(&self, text: &mut String, sent: Option<&HeaderValue>) {
        let spelled = sent.and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
        if let Some((_, spelled)) = spelled
            && text.contains(spelled)
        {
            *text = text.replace(spelled, "***");
        }
        if let Self::Token(secret) | Self::Basic { password: secret, .. } = self {
            let value = secret.value.expose_secret();
            if text.contains(value) {
                *text = text.replace(value, "***");
            }
        }
    }
}

impl Secret {
    fn new(source: Option<&SecretSource>, kind: Kind) -> Result<Self, ClientError> {
        match source {
            None => Err(ClientError::NoSecret(kind)),
            Some(SecretSource::Environment(value)) => {
                let value = fit(value.expose_secret(), kind)
                    .ok_or_else(|| ClientError::UnfitSecret { kind, place: kind.variable().into() })?;
                Ok(Self { value, file: None, kind })
            }
            Some(SecretSource::File(path)) => {
                let stamp = stamp(path);
                let value = read(path, kind)?;
                Ok(Self { value, file: Some(SecretFile { path: path.clone(), stamp }), kind })
            }
        }
    }

    fn reread(&mut self) -> Result<bool, ClientError> {
        let Some(file) = &mut self.file else { return Ok(false) };
        // The date first: a change while reading is seen the next time.
        file.stamp = stamp(&file.path);
        let value = read(&file.path, self.kind)?;
        let changed = value.expose_secret() != self.value.expose_secret();
        self.value = value;
        Ok(changed)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn read(path: &Path, kind: Kind) -> Result<SecretString, ClientError> {
    let failed = |why: String| ClientError::SecretFile { kind, path: path.to_owned(), why };
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > LONGEST {
        return Err(failed(format!("it is longer than {LONGEST} bytes")));
    }
    fit(&text, kind).ok_or_else(|| ClientError::UnfitSecret { kind, place: path.display().to_string() })
}

/// The value without the white space around it, if a header can carry it.
fn fit(text: &str, kind: Kind) -> Option<SecretString> {
    let value = text.trim();
    let fits = match kind {
        Kind::Token => value.bytes().all(|byte| byte.is_ascii_graphic()),
        Kind::Password => !value.chars().any(char::is_control),
    };
    (fits && !value.is_empty()).then(|| SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_of(credentials: &Credentials) -> String {
        let request = credentials.sign(reqwest::Client::new().get("http://127.0.0.1/"), Some(Dialect::V3));
        let request = request.build().unwrap();
        let value = &request.headers()[AUTHORIZATION];
        assert!(value.is_sensitive());
        let shown = value.to_str().unwrap().to_owned();
        let secret = shown.strip_prefix("Bearer ").unwrap();
        assert!(!format!("{request:?}").contains(secret));
        shown
    }

    #[test]
    fn each_api_has_its_scheme_and_basic_is_basic() {
        let secret = |text: &str| Some(SecretSource::Environment(SecretString::from(text)));
        let token = Credentials::new(&Auth::Token(secret(" t0ken\n"))).unwrap();
        assert_eq!(token_of(&token), "Bearer t0ken");
        let header = |credentials: &Credentials, dialect| {
            let request = reqwest::Client::new().get("http://127.0.0.1/");
            let request = credentials.sign(request, dialect).build().unwrap();
            request.headers().get(AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(header(&token, None).as_deref(), Some("Bearer t0ken"));
        assert_eq!(header(&token, Some(Dialect::V2)).as_deref(), Some("Token t0ken"));
        assert_eq!(header(&token, Some(Dialect::V1)).as_deref(), Some("Token t0ken"));
        let basic =
            Credentials::new(&Auth::Basic { user: Some("ann".into()), password: secret("pw") }).unwrap();
        assert_eq!(header(&basic, Some(Dialect::V3)).as_deref(), Some("Basic YW5uOnB3"));
        let request = basic.sign(reqwest::Client::new().get("http://127.0.0.1/"), None).build().unwrap();
        let mut echo = "you sent Basic YW5uOnB3, which is pw".to_owned();
        basic.scrub(&mut echo, request.headers().get(AUTHORIZATION));
        assert_eq!(echo, "you sent Basic ***, which is ***");
        assert_eq!(header(&Credentials::None, Some(Dialect::V3)), None);
        assert!(!format!("{token:?} {basic:?}").contains("t0ken"));
        assert!(!format!("{basic:?}").contains("pw"));
    }

    #[test]
    fn what_is_missing_or_unfit_is_named_and_never_shown() {
        let error = |auth: &Auth| Credentials::new(auth).unwrap_err().to_string();
        let none = error(&Auth::Token(None));
        assert!(none.contains("INFLUX_TOKEN") && none.contains("influx.token_file"), "{none}");
        let none = error(&Auth::Basic { user: Some("ann".into()), password: None });
        assert!(none.contains("INFLUX_PASSWORD") && none.contains("influx.password_file"), "{none}");
        let none = error(&Auth::Basic { user: None, password: None });
        assert!(none.contains("INFLUX_USER") && none.contains("influx.user"), "{none}");
        let unfit = SecretSource::Environment(SecretString::from("s3c ret"));
        let unfit = error(&Auth::Token(Some(unfit)));
        assert!(unfit.contains("INFLUX_TOKEN") && !unfit.contains("s3c"), "{unfit}");
        let gone = error(&Auth::Token(Some(SecretSource::File("/nonexistent/token".into()))));
        assert!(gone.contains("/nonexistent/token") && gone.contains("influx.token_file"), "{gone}");
    }

    #[test]
    fn a_rotated_file_is_read_again_and_a_vanished_one_is_survived() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let mut credentials = Credentials::new(&Auth::Token(Some(SecretSource::File(path.clone())))).unwrap();
        assert_eq!(token_of(&credentials), "Bearer first");
        assert!(!credentials.reread().unwrap());
        std::fs::write(&path, "second-is-longer\n").unwrap();
        credentials.refresh();
        assert_eq!(token_of(&credentials), "Bearer second-is-longer");
        std::fs::remove_file(&path).unwrap();
        credentials.refresh();
        assert_eq!(token_of(&credentials), "Bearer second-is-longer");
        let error = credentials.reread().unwrap_err().to_string();
        assert!(error.contains("token") && !error.contains("second"), "{error}");
        std::fs::write(&path, "third\n").unwrap();
        assert!(credentials.reread().unwrap());
        assert_eq!(token_of(&credentials), "Bearer third");
        let mut body = "you sent third".to_owned();
        credentials.scrub(&mut body, None);
        assert_eq!(body, "you sent ***");
    }
}
