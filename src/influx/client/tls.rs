//! Certificates: an own CA, a client certificate, the system's roots.

use std::path::Path;

use reqwest::{Certificate, ClientBuilder, Identity};

use super::{ClientError, failure};
use crate::config;

/// Adds the certificates the configuration names, each checked by itself so
/// that an error names the file at fault.
pub(super) fn equip(
    builder: ClientBuilder,
    settings: &config::Influx,
    encrypted: bool,
) -> Result<ClientBuilder, ClientError> {
    let builder = match &settings.ca_file {
        Some(path) => {
            let certificates = authorities(path)?;
            builder.tls_certs_only(certificates)
        }
        // Without encryption no roots are needed, and a machine without any
        // is served all the same.
        None if !encrypted => builder.tls_certs_only([]),
        None => builder,
    };
    Ok(match client_identity(settings)? {
        Some(identity) => builder.identity(identity),
        None => builder,
    })
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let failed = |why: String| ClientError::CaFile { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| failed(format!("it cannot be read: {error}")))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| failed(failure::innermost(&error)))?;
    if certificates.is_empty() {
        return Err(failed("it holds no certificate in PEM form".into()));
    }
    // What is wrong inside a certificate shows only when it is used.
    reqwest::Client::builder()
        .tls_certs_only(certificates.clone())
        .build()
        .map_err(|error| failed(failure::innermost(&error)))?;
    Ok(certificates)
}

fn client_identity(settings: &config::Influx) -> Result<Option<Identity>, ClientError> {
    let (certificate, key) = match (&settings.client_cert, &settings.client_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => return Err(ClientError::HalfIdentity),
    };
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| ClientError::Identity {
            path: path.to_owned(),
            why: format!("it cannot be read: {error}"),
        })
    };
    let mut pem = secrecy::zeroize::Zeroizing::new(read(certificate)?);
    pem.push(b'\n');
    pem.extend_from_slice(&secrecy::zeroize::Zeroizing::new(read(key)?));
    let failed = |error: reqwest::Error| ClientError::Identity {
        path: certificate.clone(),
        why: format!("with {} it makes no identity: {}", key.display(), failure::innermost(&error)),
    };
    let identity = Identity::from_pem(&pem).map_err(failed)?;
    reqwest::Client::builder().tls_certs_only([]).identity(identity.clone()).build().map_err(failed)?;
    Ok(Some(identity))
}
