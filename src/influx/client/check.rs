//! What `kvmscope check` says of the database: questions only, no write.

use serde::Deserialize;

use super::{
    Client, Reply,
    endpoint::{Dialect, is_unknown_path},
    probe::Asked,
};
use crate::influx::policy::{Answer, Decision, decide, summary};

/// One line of `kvmscope check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do; empty when `ok`.
    pub mend: String,
}

const REACHABLE: &str = "InfluxDB reachable";
const CREDENTIALS: &str = "InfluxDB credentials";
const DATABASE: &str = "InfluxDB database";

impl Client {
    /// Looks at the server without writing: reachable, credentials accepted,
    /// database there. What a server does not tell is said to be unknown, and
    /// is no failure.
    pub async fn check(&mut self) -> Vec<Check> {
        self.credentials.refresh();
        match self.reach().await {
            Ok((dialect, reachable)) => {
                self.dialect = Some(dialect);
                let mut checks = vec![reachable];
                checks.extend(self.ask_database(dialect).await);
                checks
            }
            Err(failed) => vec![failed],
        }
    }

    /// Any answer means reachable; one that tells no API means no more.
    async fn reach(&mut self) -> Result<(Dialect, Check), Check> {
        let found = match self.configured {
            None => self.ask().await.and_then(told),
            Some(dialect) => self.get("/ping", &[]).await.and_then(|reply| match reply.status {
                500.. => Err(reply.into_answer()),
                _ => Ok((dialect, "as configured")),
            }),
        };
        let place = self.way();
        match found {
            Ok((dialect, how)) => {
                let detail = format!("{place} answers; API {} {how}", dialect.name());
                Ok((dialect, passed(REACHABLE, detail)))
            }
            // Credentials are asked for already at the first question.
            Err(answer @ Answer::Http { status: 400 | 401 | 403, .. }) => {
                Err(refused(CREDENTIALS, "v3", &answer))
            }
            Err(answer) => Err(refused(REACHABLE, "v3", &answer)),
        }
    }

    /// One question that needs credentials and names the database.
    async fn ask_database(&mut self, dialect: Dialect) -> Vec<Check> {
        let db = self.endpoint.db().to_owned();
        let reply = match dialect {
            Dialect::V3 => {
                let query = [("db", db.as_str()), ("format", "json"), ("q", "select 1")];
                self.get("/api/v3/query_sql", &query).await
            }
            Dialect::V1 => self.get("/query", &[("db", &db), ("q", "SHOW DATABASES")]).await,
            Dialect::V2 => {
                let mut query = vec![("name", db.as_str())];
                if !self.endpoint.org().is_empty() {
                    query.push(("org", self.endpoint.org()));
                }
                self.get("/api/v2/buckets", &query).await
            }
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(answer) => return vec![refused(DATABASE, dialect.name(), &answer)],
        };
        let credentials = match reply.status {
            401 => {
                let answer = reply.into_answer();
                return vec![refused(CREDENTIALS, dialect.name(), &answer)];
            }
            _ if is_unknown_path(&reply) && self.credentials.any() => {
                passed(CREDENTIALS, "sent; the server does not say whether it accepts them".into())
            }
            _ if is_unknown_path(&reply) => passed(CREDENTIALS, self.credentials_detail()),
            400 | 500.. => return vec![refused(DATABASE, dialect.name(), &reply.into_answer())],
            403 => passed(CREDENTIALS, "known to the server, but not allowed to ask questions".into()),
            _ => passed(CREDENTIALS, self.credentials_detail()),
        };
        vec![credentials, database(dialect, &db, reply)]
    }

    fn credentials_detail(&self) -> String {
        match (self.credentials.any(), self.endpoint.is_encrypted()) {
            (false, _) => "none sent, none asked for".into(),
            (true, true) => "accepted".into(),
            (true, false) => "accepted; they travel unencrypted (http)".into(),
        }
    }
}

/// The API that asking has told, and how surely. Answers that are about the
/// credentials are errors.
fn told(asked: Asked) -> Result<(Dialect, &'static str), Answer> {
    let likeliest = asked.order.first().copied().unwrap_or(Dialect::V3);
    match asked.ping.status {
        _ if asked.named => Ok((likeliest, "as the server says")),
        200..=299 => Ok((likeliest, "as servers of this kind take it; the first write will tell")),
        400 if !is_unknown_path(&asked.ping) => Err(asked.ping.into_answer()),
        401 | 403 => Err(asked.ping.into_answer()),
        _ => Ok((likeliest, "is tried first: the server does not say what it is, the first write will tell")),
    }
}

/// What the answer to the question says about the database.
fn database(dialect: Dialect, db: &str, reply: Reply) -> Check {
    match (dialect, reply.status) {
        (Dialect::V3, 200..=299) => passed(DATABASE, format!("{db} is there")),
        (Dialect::V3, 404) if reply.body.contains("database not found") => {
            passed(DATABASE, format!("{db} is not there yet; the first write creates it"))
        }
        (Dialect::V1, 200..=299) => match databases(&reply) {
            Some(names) if names.iter().any(|name| name == db) => passed(DATABASE, format!("{db} is there")),
            Some(_) => failed(
                DATABASE,
                format!("{db} is not there"),
                format!(
                    "create it on the server: CREATE DATABASE \"{db}\", or set influx.db to one that is there"
                ),
            ),
            None => passed(DATABASE, "this server keeps no list of databases; it takes any".into()),
        },
        (Dialect::V2, 200..=299) if has_bucket(&reply.body) => {
            passed(DATABASE, format!("bucket {db} is there"))
        }
        (Dialect::V2, 200..=299) => no_bucket(db),
        (Dialect::V2, 404) if reply.body.contains("bucket") => no_bucket(db),
        // Servers that only take writes, and credentials that only may write.
        (_, status) if matches!(status, 403..=405) || is_unknown_path(&reply) => {
            passed(DATABASE, format!("the server does not say whether {db} is there; the first write will"))
        }
        _ => refused(DATABASE, dialect.name(), &reply.into_answer()),
    }
}

fn no_bucket(db: &str) -> Check {
    failed(
        DATABASE,
        format!("bucket {db} is not there"),
        "create the bucket on the server, or set influx.db and influx.org to one that is there".into(),
    )
}

/// The names `SHOW DATABASES` lists; `None` from a server that only imitates
/// InfluxDB and has no databases.
fn databases(reply: &Reply) -> Option<Vec<String>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Answered {
        results: Vec<Statement>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Statement {
        series: Vec<Series>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Series {
        values: Vec<Vec<String>>,
    }
    reply.headers.get("x-influxdb-build")?;
    let answered: Answered = serde_json::from_str(&reply.body).ok()?;
    let series = answered.results.into_iter().flat_map(|result| result.series);
    Some(series.flat_map(|series| series.values).flatten().collect())
}

fn has_bucket(body: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(body)
        .is_ok_and(|answer| answer["buckets"].as_array().is_some_and(|buckets| !buckets.is_empty()))
}

fn passed(name: &'static str, detail: String) -> Check {
    Check { name, ok: true, detail, mend: String::new() }
}

fn failed(name: &'static str, detail: String, mend: String) -> Check {
    Check { name, ok: false, detail, mend }
}

/// A failure in the policy's own words, so that `check` and the running
/// program say the same.
fn refused(name: &'static str, api: &str, answer: &Answer) -> Check {
    let mend = match decide(api, answer, 1) {
        Decision::Pause { mend, .. } => mend,
        _ => "check that the server runs and that influx.url names its host and port".into(),
    };
    failed(name, summary(answer), mend)
}
