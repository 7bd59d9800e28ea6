//! The proxy on the way, where the configuration or the environment names one.

use reqwest::ClientBuilder;
use url::Url;

use super::{ClientError, failure};
use crate::config;

/// How the server is reached.
#[derive(Debug)]
pub(super) enum Via {
    /// As the environment says.
    Environment,
    /// Directly.
    Nothing,
    /// Through this one, always.
    Proxy { url: Url, proxy: Box<reqwest::Proxy> },
}

impl Via {
    /// Checks the setting. Errors never repeat it: it may hold a secret.
    pub fn new(setting: &config::Proxy) -> Result<Self, ClientError> {
        let text = match setting {
            config::Proxy::Environment => return Ok(Self::Environment),
            config::Proxy::Direct => return Ok(Self::Nothing),
            config::Proxy::Url(text) => text,
        };
        let bad = |why: String| ClientError::BadProxy { why };
        let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(bad("it holds a user, password or parameters".into()));
        }
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(bad("the scheme is not one of http, https, socks5, socks5h".into()));
        }
        let proxy = reqwest::Proxy::all(url.clone())
            .map_err(|error| bad(failure::innermost(&error.without_url())))?;
        Ok(Self::Proxy { url, proxy: Box::new(proxy) })
    }

    /// Adds the proxy; one in the configuration goes before the environment's.
    pub fn equip(&self, builder: ClientBuilder) -> ClientBuilder {
        match self {
            Self::Environment => builder,
            Self::Nothing => builder.no_proxy(),
            Self::Proxy { proxy, .. } => builder.proxy(reqwest::Proxy::clone(proxy)),
        }
    }

    /// Whether the way to the proxy itself is encrypted.
    pub fn is_encrypted(&self) -> bool {
        match self {
            // The library reads them by itself, and tells nobody.
            Self::Environment => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
                .iter()
                .filter_map(std::env::var_os)
                .any(|proxy| proxy.as_encoded_bytes().starts_with(b"https:")),
            Self::Nothing => false,
            Self::Proxy { url, .. } => url.scheme() == "https",
        }
    }

    /// `place` with the way to it, for messages.
    pub fn shown(&self, place: &str) -> String {
        let Self::Proxy { url, .. } = self else { return place.to_owned() };
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{place} (through the proxy {host}{port})")
    }
}
