//! Which write API a server speaks, where the configuration does not say.
//!
//! Three questions, each asked only where the one before leaves it open:
//! `/ping`, `/health`, and a first write, tried with one API after the other.
//! A write that finds nothing at its address tells nothing of its lines: it is
//! never an answer about them.

use super::{
    Body, Client, Reply,
    endpoint::{Dialect, is_unknown_path},
};
use crate::influx::policy::{Answer, FailedStep};

/// What asking has told.
pub(super) struct Asked {
    /// The answer to `/ping`.
    pub ping: Reply,
    /// The server has said what it is.
    pub named: bool,
    /// The APIs to try, the likeliest first.
    pub order: Vec<Dialect>,
}

/// What the answer to a first write says of the API it was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is there, and the answer is about what was written.
    Spoken,
    /// It may be there: only where no other one is.
    Doubtful,
    /// Nothing takes writes at this address.
    Absent,
    /// The answer is about something else, such as the credentials or the
    /// server's load, and the next API would be answered the same.
    Unrelated,
}

impl Client {
    /// Asks `/ping` and `/health`. A server that is not able to answer now is
    /// handed on as the answer of the write that had to ask, so that one
    /// policy decides about it.
    pub(super) async fn ask(&mut self) -> Result<Asked, Answer> {
        let mut ping = self.get("/ping", &[]).await?;
        if ping.status == 401 && self.reread_credentials()? {
            ping = self.get("/ping", &[]).await?;
        }
        if matches!(ping.status, 407 | 408 | 425 | 429 | 500 | 502..) {
            return Err(ping.into_answer());
        }
        let mut named = version(&ping);
        // Whoever refuses the credentials refuses them there as well.
        if named.is_none() && !matches!(ping.status, 401 | 403) {
            named = version(&self.get("/health", &[]).await?);
        }
        // Who answers without a version is most likely VictoriaMetrics, or
        // another one that takes `/write` without further ado.
        let nameless = (is_success(&ping) && !ping.is_markup()).then_some(Dialect::V1);
        let mut order = Vec::with_capacity(3);
        let all = [Dialect::V3, Dialect::V2, Dialect::V1];
        for dialect in [named, self.last, nameless].into_iter().flatten().chain(all) {
            if !order.contains(&dialect) {
                order.push(dialect);
            }
        }
        Ok(Asked { ping, named: named.is_some(), order })
    }

    /// Writes lines to the first API that takes writes. `absent` is one that
    /// was found not to.
    pub(super) async fn search(
        &mut self,
        body: Body<'_>,
        absent: Option<(Dialect, Reply)>,
    ) -> Result<Reply, Answer> {
        self.dialect = None;
        let asked = self.ask().await?;
        let (known, mut nothing) = absent.unzip();
        let mut doubtful = None;
        for dialect in asked.order {
            if known == Some(dialect) {
                continue;
            }
            let reply = self.post(dialect, body).await?;
            match standing(&reply) {
                Standing::Spoken => {
                    self.dialect = Some(dialect);
                    return Ok(reply);
                }
                Standing::Unrelated => return Ok(reply),
                Standing::Doubtful => {
                    doubtful.get_or_insert((dialect, reply));
                }
                Standing::Absent => {
                    nothing.get_or_insert(reply);
                }
            }
        }
        match doubtful {
            Some((dialect, reply)) => {
                self.dialect = Some(dialect);
                Ok(reply)
            }
            None => nothing.ok_or_else(|| Answer::Failed {
                step: FailedStep::Transfer,
                text: "the server offers no API to write to".into(),
            }),
        }
    }
}

/// Whether nothing takes writes where this answer to a write came from.
pub(super) fn is_absent(reply: &Reply) -> bool {
    standing(reply) == Standing::Absent
}

fn standing(reply: &Reply) -> Standing {
    let is_json = || serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&reply.body).is_ok();
    match reply.status {
        _ if is_unknown_path(reply) => Standing::Absent,
        // A portal answers everything; one of the others may still lead past it.
        200..=299 if reply.is_markup() => Standing::Absent,
        501 => Standing::Absent,
        200..=299 | 404 | 405 | 413 => Standing::Spoken,
        400 | 422 if is_json() => Standing::Spoken,
        300..=399 | 400 | 403 | 422 => Standing::Doubtful,
        _ => Standing::Unrelated,
    }
}

fn is_success(reply: &Reply) -> bool {
    (200..300).contains(&reply.status)
}

/// The API of a server that says what it is, in the headers of `/ping` or the
/// body of `/ping` or `/health`.
fn version(reply: &Reply) -> Option<Dialect> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Said {
        version: String,
    }
    if !is_success(reply) {
        return None;
    }
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    let version = header("x-influxdb-version")
        .map(str::to_owned)
        .or_else(|| serde_json::from_str(&reply.body).ok().map(|said: Said| said.version))
        .unwrap_or_default();
    match version.trim_start_matches('v').split('.').next() {
        Some("3") => Some(Dialect::V3),
        Some("2") => Some(Dialect::V2),
        Some("1") => Some(Dialect::V1),
        // InfluxDB Cloud names no number.
        _ => header("x-influxdb-build")
            .is_some_and(|build| build.eq_ignore_ascii_case("cloud"))
            .then_some(Dialect::V2),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn versions_of_all_servers_are_told_apart() {
        for (headers, body, expected) in [
            (&[("x-influxdb-version", "3.10.0-nightly")][..], "", Some(Dialect::V3)),
            (&[], r#"{"product_name":"InfluxDB 3 Core","version":"3.10.0"}"#, Some(Dialect::V3)),
            (&[("x-influxdb-version", "v2.7.11"), ("x-influxdb-build", "OSS")], "", Some(Dialect::V2)),
            (&[("x-influxdb-version", "Cloud"), ("x-influxdb-build", "Cloud")], "", Some(Dialect::V2)),
            (&[("x-influxdb-version", "1.6.7~rc0"), ("x-influxdb-build", "OSS")], "", Some(Dialect::V1)),
            // The body of /health of InfluxDB 2.
            (&[], r#"{"name":"influxdb","status":"pass","version":"v2.7.1"}"#, Some(Dialect::V2)),
            (&[("x-server-hostname", "vm")], "", None),
            (&[], "OK", None),
            (&[], "<html>hello</html>", None),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let reply = Reply { status: 200, headers, body: body.into() };
            assert_eq!(version(&reply), expected, "{reply:?}");
        }
    }

    #[test]
    fn only_what_is_about_the_address_leads_to_the_next_api() {
        let of =
            |status, body: &str| standing(&Reply { status, headers: HeaderMap::new(), body: body.into() });
        for (status, body, expected) in [
            (204, "", Standing::Spoken),
            (200, "<!doctype html><title>Sign in</title>", Standing::Absent),
            (404, "404 page not found\n", Standing::Absent),
            (404, "Not found", Standing::Absent),
            (404, r#"{"code":"not found","message":"path not found"}"#, Standing::Absent),
            (404, r#"{"error":"database not found: \"vmstats\""}"#, Standing::Spoken),
            (404, r#"{"code":"not found","message":"bucket \"vmstats\" not found"}"#, Standing::Spoken),
            (405, "", Standing::Absent),
            (501, "", Standing::Absent),
            (400, "unsupported path requested: \"/api/v3/write_lp\"", Standing::Absent),
            (400, r#"{"error":"partial write of line protocol occurred","data":[]}"#, Standing::Spoken),
            (422, r#"{"error":"Adding a new database would exceed limit of 5 databases"}"#, Standing::Spoken),
            (400, "<html><title>400 Bad Request</title></html>", Standing::Doubtful),
            (403, "", Standing::Doubtful),
            (302, "redirects to https://elsewhere/", Standing::Doubtful),
            (413, "", Standing::Spoken),
            (401, "", Standing::Unrelated),
            (429, "", Standing::Unrelated),
            (503, "", Standing::Unrelated),
        ] {
            assert_eq!(of(status, body), expected, "{status} {body}");
        }
    }
}
