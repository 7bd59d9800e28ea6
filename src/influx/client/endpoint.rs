//! Where requests go: the checked base URL, and each API's write address.

use url::Url;

use super::{ClientError, Reply};
use crate::config;

/// A write API, known for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V3,
    V2,
    V1,
}

impl Dialect {
    /// The API the configuration names; `None` is "ask the server".
    pub fn configured(api: config::Api) -> Option<Self> {
        match api {
            config::Api::Auto => None,
            config::Api::V3 => Some(Self::V3),
            config::Api::V2 => Some(Self::V2),
            config::Api::V1 => Some(Self::V1),
        }
    }

    /// As the status shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V2 => "v2",
            Self::V1 => "v1",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::V3 => "/api/v3/write_lp",
            Self::V2 => "/api/v2/write",
            Self::V1 => "/write",
        }
    }
}

/// The server's address with its path prefix, and what lines are written to.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    base: Url,
    db: String,
    org: String,
}

impl Endpoint {
    /// Checks the address. Errors never repeat it: it may hold a secret.
    pub fn new(settings: &config::Influx) -> Result<Self, ClientError> {
        let text = settings.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let base = Url::parse(text.ok_or(ClientError::NoUrl)?)
            .map_err(|error| ClientError::BadUrl { why: error.to_string() })?;
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(ClientError::SecretInUrl);
        }
        if !matches!(base.scheme(), "http" | "https") {
            return Err(ClientError::BadUrl { why: "the scheme is neither http nor https".into() });
        }
        if base.fragment().is_some() {
            return Err(ClientError::BadUrl { why: "it holds a `#`".into() });
        }
        if settings.db.trim().is_empty() {
            return Err(ClientError::NoDatabase);
        }
        Ok(Self { base, db: settings.db.clone(), org: settings.org.clone() })
    }

    /// Whether requests are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The database or bucket.
    pub fn db(&self) -> &str {
        &self.db
    }

    /// The organisation; empty when none is set.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The address of `path` behind the configured prefix.
    pub fn at(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Where lines are written. Timestamps are nanoseconds everywhere; a
    /// server that is not told would guess.
    pub fn write(&self, dialect: Dialect) -> Url {
        let db = self.db.as_str();
        match dialect {
            Dialect::V3 => self.at(dialect.path(), &[("db", db), ("precision", "nanosecond")]),
            Dialect::V2 if self.org.is_empty() => {
                self.at(dialect.path(), &[("bucket", db), ("precision", "ns")])
            }
            Dialect::V2 => {
                self.at(dialect.path(), &[("bucket", db), ("org", &self.org), ("precision", "ns")])
            }
            Dialect::V1 => self.at(dialect.path(), &[("db", db), ("precision", "ns")]),
        }
    }

    /// Host, port and path for the screen.
    pub fn shown(&self, dialect: Option<Dialect>) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let prefix = self.base.path().trim_end_matches('/');
        format!("{host}{port}{prefix}{}", dialect.map_or("", Dialect::path))
    }
}

/// Whether the server knows nothing by this address; `VictoriaMetrics` says it
/// with 400.
pub(super) fn is_unknown_path(reply: &Reply) -> bool {
    // A server that knows the address says in JSON what of it is missing; a
    // page may repeat the address, and with it such words.
    let is_json = reply.body.trim_start().starts_with('{');
    let about_data = is_json && ["database", "bucket"].iter().any(|word| reply.body.contains(word));
    matches!(reply.status, 404 | 405) && !about_data
        || reply.status == 400 && reply.body.contains("unsupported path requested")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, ClientError> {
        Endpoint::new(&config::Influx { url: Some(url.into()), ..config::Influx::default() })
    }

    #[test]
    fn prefixes_are_kept_and_parameters_are_each_apis_own() {
        let plain = endpoint("http://db.example:8181").unwrap();
        let at = |e: &Endpoint, d| e.write(d).to_string();
        assert_eq!(
            at(&plain, Dialect::V3),
            "http://db.example:8181/api/v3/write_lp?db=vmstats&precision=nanosecond"
        );
        assert_eq!(at(&plain, Dialect::V1), "http://db.example:8181/write?db=vmstats&precision=ns");
        let cluster = endpoint("https://vm.example/insert/0/influx/").unwrap();
        assert_eq!(
            at(&cluster, Dialect::V1),
            "https://vm.example/insert/0/influx/write?db=vmstats&precision=ns"
        );
        assert_eq!(
            at(&cluster, Dialect::V2),
            "https://vm.example/insert/0/influx/api/v2/write?bucket=vmstats&precision=ns"
        );
        assert_eq!(cluster.shown(None), "vm.example/insert/0/influx");
        assert_eq!(cluster.shown(Some(Dialect::V1)), "vm.example/insert/0/influx/write");
        let named = Endpoint::new(&config::Influx {
            url: Some("http://[::1]:1".into()),
            db: "a b&c".into(),
            org: "my org".into(),
            ..config::Influx::default()
        })
        .unwrap();
        assert_eq!(
            at(&named, Dialect::V2),
            "http://[::1]:1/api/v2/write?bucket=a+b%26c&org=my+org&precision=ns"
        );
        assert_eq!(named.shown(Some(Dialect::V2)), "[::1]:1/api/v2/write");
    }

    #[test]
    fn bad_addresses_are_refused_without_being_repeated() {
        for (url, part) in [
            ("db.example:8181", "http"),
            ("ftp://db.example", "neither http nor https"),
            ("not a url", "relative URL without a base"),
            ("http://db.example/#s3cret", "#"),
            ("http://user:s3cret@db.example", "INFLUX_TOKEN"),
            ("http://s3cret@db.example", "INFLUX_TOKEN"),
            ("http://db.example/write?p=s3cret", "INFLUX_TOKEN"),
        ] {
            let error = endpoint(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(error.contains("influx.url"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(matches!(endpoint("  "), Err(ClientError::NoUrl)));
    }
}
