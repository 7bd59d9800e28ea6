//! What can go wrong with libvirt, in words: what failed, on what, and what to
//! do next. No text here holds a user, a password or a control character.

use uuid::Uuid;
use virt::{
    connect::Connect,
    error::{ErrorDomain, ErrorNumber},
};

use super::{
    ssh,
    uri::{self, Way},
};

/// Why a question could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The URI is none, or names a driver that libvirt does not have.
    #[error(
        "libvirt.uri {uri:?} cannot be used: {detail}. Set libvirt.uri, LIBVIRT_URI or --uri to one such as \
         qemu:///system or qemu+ssh://HOST/system"
    )]
    BadUri {
        /// The URI as it may be shown.
        uri: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Nothing answers there.
    #[error("libvirt at {uri} cannot be reached: {detail}. {next}")]
    Unreachable {
        /// The URI as it may be shown.
        uri: String,
        /// libvirt's words.
        detail: String,
        /// What to do.
        next: &'static str,
    },
    /// It answers, and refuses this user.
    #[error("libvirt at {uri} refuses this user: {detail}. {next}")]
    NoPermission {
        /// The URI as it may be shown.
        uri: String,
        /// libvirt's words.
        detail: String,
        /// What to do.
        next: &'static str,
    },
    /// The connection broke during a call. The next question opens a new one.
    #[error("the connection to libvirt at {uri} broke while {what}: {detail}. {next}")]
    Lost {
        /// The URI as it may be shown.
        uri: String,
        /// What was being done.
        what: &'static str,
        /// libvirt's words.
        detail: String,
        /// What to do.
        next: &'static str,
    },
    /// There is no such domain any more.
    #[error("libvirt at {uri} has no domain {uuid} any more; it was removed or has ended")]
    NoSuchDomain {
        /// The URI as it may be shown.
        uri: String,
        /// The domain.
        uuid: Uuid,
    },
    /// One call failed; the connection is good.
    #[error("libvirt at {uri} failed {what}: {detail}. If it stays so, the daemon's own log says more")]
    Call {
        /// The URI as it may be shown.
        uri: String,
        /// What was being done.
        what: &'static str,
        /// libvirt's words.
        detail: String,
    },
}

const START: &str = "Check that libvirtd or virtqemud runs on this machine and that its read-only socket is \
                     open to this user";
const NETWORK: &str = "Check that the daemon there listens (virtproxyd-tls.socket, or libvirtd-tls.socket) and \
                       that nothing between blocks it";
const CERTIFICATES: &str = "Check the certificates: cacert.pem here and there must be of the authority that signed both \
                            sides', clientcert.pem and clientkey.pem valid and readable by this user (in /etc/pki or \
                            pkipath= of the URI), and the server's must name this HOST; virt-pki-validate says more";
const BUILTIN: &str =
    "Check that the file exists, can be read by this user, and is XML of the test hypervisor";
const RULE: &str = "kvmscope only reads, over the read-only socket. If it is closed to this user, let a polkit \
                    rule grant org.libvirt.unix.monitor to this user (never more: a read-write connection \
                    amounts to root)";

const CREDENTIALS: &str = "kvmscope asks for no password: put the credentials into libvirt's auth.conf or the \
                           client certificate in its place, or use qemu+ssh://HOST/system";

impl Error {
    /// Whether it concerns the connection rather than one call or domain:
    /// then every other question would have failed as well.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        !matches!(self, Self::NoSuchDomain { .. } | Self::Call { .. })
    }

    /// Whether trying again without a change by the operator is pointless.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::BadUri { .. })
    }

    /// The fault that is plain before libvirt is asked.
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let detail = uri::fault(uri)?.into();
        Some(Self::BadUri { uri: uri::masked(uri), detail })
    }

    /// The test hypervisor's file cannot be read. libvirt would find that out
    /// as well, but its XML library tells it on stderr, over the screen.
    pub(super) fn of_builtin_file(raw_uri: &str) -> Option<Self> {
        let path = uri::builtin_file(raw_uri)?;
        // A pipe is not even opened: that could wait forever.
        let fault = match std::fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => "it is no regular file".to_owned(),
            Ok(_) => std::fs::File::open(&path).err()?.to_string(),
            Err(error) => error.to_string(),
        };
        let detail = uri::scrubbed(&format!("{}: {fault}", path.display()), raw_uri);
        Some(Self::Unreachable { uri: uri::masked(raw_uri), detail, next: BUILTIN })
    }

    /// From libvirt's error to opening a connection.
    pub(super) fn of_opening(error: &virt::error::Error, raw_uri: &str) -> Self {
        let uri = uri::masked(raw_uri);
        let message = error.message();
        let detail = detail(message, raw_uri);
        let next = next(message, raw_uri);
        let refusal = match uri::way(raw_uri) {
            Way::Local => is_refusal(error).then_some(RULE),
            Way::Network => (is_refusal(error) && !is_of_certificates(message)).then_some(CREDENTIALS),
            Way::Builtin => is_refusal(error).then_some(next),
            // Who is not let in by ssh has not come as far as libvirt.
            Way::Ssh => ssh::is_refused_there(message).then_some(next),
        };
        if let Some(next) = refusal {
            return Self::NoPermission { uri, detail, next };
        }
        let judged_bad = error.code().is(ErrorNumber::NoConnect) || error.code().is(ErrorNumber::InvalidArg);
        if judged_bad || (error.code().is(ErrorNumber::InternalError) && message.contains("URI")) {
            return Self::BadUri { uri, detail };
        }
        Self::Unreachable { uri, detail, next }
    }

    /// The connection was found closed behind calls whose own errors say
    /// less.
    pub(super) fn of_closed(raw_uri: &str, what: &'static str) -> Self {
        let detail = "it was closed".to_owned();
        Self::Lost { uri: uri::masked(raw_uri), what, detail, next: next("", raw_uri) }
    }

    /// From libvirt's error to a call on `connection` that is about the host or
    /// all of it: refused, every other one would be.
    pub(super) fn of_call(
        error: &virt::error::Error,
        connection: &Connect,
        what: &'static str,
        raw_uri: &str,
    ) -> Self {
        let uri = uri::masked(raw_uri);
        let message = error.message();
        if is_of_transport(error) || !matches!(connection.is_alive(), Ok(true)) {
            return Self::Lost { uri, what, detail: detail(message, raw_uri), next: next(message, raw_uri) };
        }
        let detail = uri::scrubbed(message, raw_uri);
        if is_refusal(error) {
            return Self::NoPermission { uri, detail, next: RULE };
        }
        Self::Call { uri, what, detail }
    }

    /// From libvirt's error to a call on `connection` about some domains. An
    /// access rule, or a file that only the daemon cannot read, may keep one
    /// domain from us: that says nothing of the others.
    pub(super) fn of_domain_call(
        error: &virt::error::Error,
        connection: &Connect,
        what: &'static str,
        raw_uri: &str,
    ) -> Self {
        match Self::of_call(error, connection, what, raw_uri) {
            Self::NoPermission { uri, detail, .. } => Self::Call { uri, what, detail },
            other => other,
        }
    }
}

/// Why there is no connection, from libvirt's words, fit to show.
fn detail(message: &str, raw_uri: &str) -> String {
    match uri::way(raw_uri) {
        Way::Ssh => uri::scrubbed(&ssh::reason(message), raw_uri),
        _ => uri::scrubbed(message.trim_end_matches('.'), raw_uri),
    }
}

/// TLS found a certificate wrong, here or on the other side.
fn is_of_certificates(message: &str) -> bool {
    message.contains("ertificate")
}

/// What to do when nothing answers at this URI.
fn next(message: &str, raw_uri: &str) -> &'static str {
    match uri::way(raw_uri) {
        Way::Local => START,
        Way::Ssh => ssh::advice(message),
        Way::Network if is_of_certificates(message) => CERTIFICATES,
        Way::Network => NETWORK,
        Way::Builtin => BUILTIN,
    }
}

/// A proxy daemon's own connection can break behind ours: the error is then
/// the transport's, although our socket is still open. A message too large to
/// send is the transport's error as well, and breaks nothing.
fn is_of_transport(error: &virt::error::Error) -> bool {
    let words = error.message();
    let too_large = ["too many", "Too many", "too large", "encode", "limit"];
    error.domain().is(ErrorDomain::Rpc) && !too_large.iter().any(|word| words.contains(word))
}

/// libvirt's "there is no such domain".
pub(super) fn is_no_domain(error: &virt::error::Error) -> bool {
    error.code().is(ErrorNumber::NoDomain)
}

/// libvirt's "this driver cannot do that", for good.
pub(super) fn is_not_offered(error: &virt::error::Error) -> bool {
    error.code().is(ErrorNumber::NoSupport)
        || error.code().is(ErrorNumber::ConfigUnsupported)
        || error.code().is(ErrorNumber::OperationUnsupported)
        || error.code().is(ErrorNumber::ArgumentUnsupported)
        || (error.code().is(ErrorNumber::InvalidArg) && error.message().contains("unsupported flags"))
}

fn is_refusal(error: &virt::error::Error) -> bool {
    let refused = [
        ErrorNumber::AuthFailed,
        ErrorNumber::AuthUnavailable,
        ErrorNumber::AuthCancelled,
        ErrorNumber::AccessDenied,
        ErrorNumber::OperationDenied,
    ];
    refused.into_iter().any(|number| error.code().is(number))
        || error.message().contains("Permission denied")
        || error.message().contains("Operation not permitted")
}
