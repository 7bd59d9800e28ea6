//! Which write API a server speaks, where the configuration does not say.

use super::{Client, Reply, endpoint::Dialect};
use crate::influx::policy::Answer;

impl Client {
    /// Asks `/ping`. An answer that is no success is handed on as the answer
    /// of the write that had to ask, so that one policy decides about it.
    pub(super) async fn probe(&mut self) -> Result<Dialect, Answer> {
        let mut reply = self.get("/ping", &[]).await?;
        if reply.status == 401 && self.reread_credentials()? {
            reply = self.get("/ping", &[]).await?;
        }
        if (200..300).contains(&reply.status) { Ok(dialect(&reply)) } else { Err(reply.into_answer()) }
    }
}

/// The dialect of a server by its answer to `/ping`. Whoever answers without
/// a version (VictoriaMetrics does) is written to at `/write`, which all but
/// InfluxDB 2 take without further ado; a server that takes nothing there
/// says so itself.
fn dialect(reply: &Reply) -> Dialect {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Ping {
        version: String,
    }
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    let version = header("x-influxdb-version")
        .map(str::to_owned)
        .or_else(|| serde_json::from_str(&reply.body).ok().map(|ping: Ping| ping.version))
        .unwrap_or_default();
    match version.trim_start_matches('v').split('.').next() {
        Some("3") => Dialect::V3,
        Some("2") => Dialect::V2,
        // InfluxDB Cloud names no number.
        _ if header("x-influxdb-build").is_some_and(|build| build.eq_ignore_ascii_case("cloud")) => {
            Dialect::V2
        }
        _ => Dialect::V1,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn versions_of_all_servers_are_told_apart() {
        for (headers, body, expected) in [
            (&[("x-influxdb-version", "3.10.0-nightly")][..], "", Dialect::V3),
            (&[], r#"{"product_name":"InfluxDB 3 Core","version":"3.10.0"}"#, Dialect::V3),
            (&[("x-influxdb-version", "v2.7.11"), ("x-influxdb-build", "OSS")], "", Dialect::V2),
            (&[("x-influxdb-version", "Cloud"), ("x-influxdb-build", "Cloud")], "", Dialect::V2),
            (&[("x-influxdb-version", "1.6.7~rc0"), ("x-influxdb-build", "OSS")], "", Dialect::V1),
            (&[("x-server-hostname", "vm")], "", Dialect::V1),
            (&[], "<html>hello</html>", Dialect::V1),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let reply = Reply { status: 200, headers, body: body.into() };
            assert_eq!(dialect(&reply), expected, "{reply:?}");
        }
    }
}
