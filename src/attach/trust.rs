//! Which certificate an agent may show.
//!
//! Those that lead to the system's roots or to the certificates that the
//! operator named; and a named one itself, as people make it: with plain
//! `openssl req -x509` it is marked as an authority's, and names no host. To
//! name a certificate is to say whose it is; whoever shows it has its key.
//! A host's name in it has to be the one that was asked for, though, and it
//! must not have expired.

use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// How a certificate for an agent is made.
const MAKE: &str = "make one by: openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=HOST -addext \
                    subjectAltName=DNS:HOST,IP:ADDRESS -keyout agent.key -out agent.crt";

/// Trusts the system's roots, the certificates of other machines' `agents`, and
/// this machine's `own`.
pub(super) fn with(
    agents: Vec<CertificateDer<'static>>,
    own: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, String> {
    // Of several without a host's name nobody could tell which is whose.
    let nameless = match &agents[..] {
        [one] => Some(one.clone()),
        _ => None,
    };
    let named = [agents, own].concat();
    let builder = ClientConfig::builder();
    let provider = Arc::clone(builder.crypto_provider());
    let usual = Verifier::new_with_extra_roots(named.iter().cloned(), provider).map_err(|error| {
        format!("a certificate of agent.ca_file or agent.tls_cert cannot be used: {error}")
    })?;
    let verifier = Arc::new(Trust { named, nameless, usual });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Why a certificate was refused, in `words` of the library where these are
/// fit, and what to do about it.
pub(super) fn refusal(words: &str, refused: Option<&Error>) -> String {
    match refused {
        Some(Error::InvalidCertificate(why)) if is_an_authoritys(why) => {
            "its certificate is self-made, and is not the one that agent.ca_file names: copy the agent's \
             there"
                .into()
        }
        refused => format!("{words}; {}", mend(refused)),
    }
}

fn mend(refused: Option<&Error>) -> String {
    match refused {
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("ask by a name that the agent's certificate holds, or {MAKE}"),
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => {
            format!("the agent needs a new certificate; {MAKE}")
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => "see whether the clocks of both machines are right".into(),
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) | None => {
            "name the agent's certificate, or that of who signed it, in agent.ca_file".into()
        }
        Some(_) => {
            format!("name the agent's certificate, or that of who signed it, in agent.ca_file, or {MAKE}")
        }
    }
}

#[derive(Debug)]
struct Trust {
    named: Vec<CertificateDer<'static>>,
    /// The one of them that need not hold the host's name.
    nameless: Option<CertificateDer<'static>>,
    usual: Verifier,
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let why = match self.usual.verify_server_cert(shown, intermediates, host, ocsp, now) {
            Err(Error::InvalidCertificate(why)) if self.named.contains(shown) => why,
            verdict => return verdict,
        };
        let verdict = if is_an_authoritys(&why) {
            // Its time was looked at before that; its names were not.
            verify_server_name(&ParsedCertificate::try_from(shown)?, host)
        } else {
            Err(Error::InvalidCertificate(why))
        };
        match verdict {
            Err(Error::InvalidCertificate(why))
                if !names_nobody(&why) || self.nameless.as_ref() != Some(shown) =>
            {
                Err(Error::InvalidCertificate(why))
            }
            Ok(()) | Err(Error::InvalidCertificate(_)) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Whether all that is wrong is that it is marked as an authority's.
fn is_an_authoritys(why: &CertificateError) -> bool {
    matches!(why, CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity")
}

/// Whether a certificate holds no host's name at all.
fn names_nobody(why: &CertificateError) -> bool {
    matches!(why, CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty())
}
