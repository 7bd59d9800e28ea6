//! Why delivery cannot start.

use std::path::PathBuf;

use super::SecretKind;

/// Why delivery cannot start. Each says what to mend; none holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No `influx.url`.
    #[error("influx.url is not set: set INFLUX_URL or influx.url to deliver; the record stays local")]
    NoUrl,
    /// `influx.url` is no address.
    #[error("influx.url is not an address to deliver to: {why}; write http://HOST:PORT or https://HOST:PORT")]
    BadUrl {
        /// What is wrong, without the address.
        why: String,
    },
    /// `influx.url` holds a user, a password or parameters.
    #[error(
        "influx.url holds a user, password or parameters, which would end up in logs: give the address alone, \
         and the credentials by INFLUX_TOKEN or influx.token_file (basic: INFLUX_USER and INFLUX_PASSWORD)"
    )]
    SecretInUrl,
    /// `influx.proxy` is no proxy.
    #[error(
        "influx.proxy is not a proxy: {why}; write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, without \
         a user (credentials: HTTPS_PROXY or HTTP_PROXY in the environment, and influx.proxy = \"auto\")"
    )]
    BadProxy {
        /// What is wrong, without the address.
        why: String,
    },
    /// `influx.db` is empty.
    #[error("influx.db is empty: set INFLUX_DB or influx.db to the database or bucket to write to")]
    NoDatabase,
    /// The token or the password is not given.
    #[error(
        "no {}: set {} or {} (or influx.auth to what the server expects)",
        .0.word(), .0.variable(), .0.key()
    )]
    NoSecret(SecretKind),
    /// `influx.auth = "basic"` without a user.
    #[error("no user: set INFLUX_USER or influx.user (or influx.auth to what the server expects)")]
    NoUser,
    /// The user cannot be sent.
    #[error("influx.user holds a colon or a control character, which basic authentication cannot carry")]
    UnfitUser,
    /// A secret's file cannot be read.
    #[error("{} {} cannot be read: {why}; make it readable, or set {}", kind.key(), path.display(), kind.variable())]
    SecretFile {
        /// Which secret.
        kind: SecretKind,
        /// Its file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// A secret is empty or holds characters that cannot be sent.
    #[error("the {} in {place} is empty or holds white space or control characters; set it anew", kind.word())]
    UnfitSecret {
        /// Which secret.
        kind: SecretKind,
        /// The variable or file it comes from.
        place: String,
    },
    /// `influx.ca_file` is of no use.
    #[error(
        "influx.ca_file {}: {why}; name a readable PEM file with the CA certificate that signed the server's",
        path.display()
    )]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Only one of `influx.client_cert` and `influx.client_key`.
    #[error("influx.client_cert and influx.client_key belong together: set both or neither")]
    HalfIdentity,
    /// The client certificate or key is of no use.
    #[error(
        "influx.client_cert {}: {why}; name a PEM certificate and its unencrypted PEM key (influx.client_key)",
        path.display()
    )]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS could not be set up.
    #[error(
        "TLS cannot be set up: {why}; install the system's CA certificates (ca-certificates) or set influx.ca_file"
    )]
    Tls {
        /// The library's words.
        why: String,
    },
}
