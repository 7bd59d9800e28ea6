//! Requests into answers: authentication, limits, the three write APIs.

use std::{
    collections::BTreeMap,
    io::Read,
    time::{SystemTime, UNIX_EPOCH},
};

use flate2::read::MultiGzDecoder;
use serde_json::json;

use super::{
    http::{Request, Response},
    lines::{Database, LineError},
    query,
};

const MOST_BYTES: usize = 10_485_760;
const MOST_DATABASES: usize = 5;
const JSON: &str = "application/json";
/// Recorded: the body of 401.
pub const UNAUTHENTICATED: &str = "{\"error\": \"the request was not authenticated\"}";

/// The server's state.
#[derive(Debug, Default)]
pub struct Engine {
    token: Option<String>,
    databases: BTreeMap<String, Database>,
    before_3_10: bool,
}

/// How a write API tells that lines were refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V3 { accept_partial: bool },
    V2,
    V1,
}

/// The plain body of a request, or what is wrong with its encoding.
pub fn plain_body(request: &Request) -> Result<Vec<u8>, Response> {
    let too_large = || Response::new(413, format!("max request size ({MOST_BYTES} bytes) exceeded"));
    let body = match request.header("content-encoding") {
        None | Some("identity") => request.body.clone(),
        Some("gzip") => {
            let mut plain = Vec::new();
            MultiGzDecoder::new(request.body.as_slice())
                .take(MOST_BYTES as u64 + 1)
                .read_to_end(&mut plain)
                .map_err(|error| Response::new(400, format!("error decoding gzip stream: {error}")))?;
            plain
        }
        Some(other) => return Err(Response::new(400, format!("unacceptable content-encoding: {other}"))),
    };
    if body.len() > MOST_BYTES { Err(too_large()) } else { Ok(body) }
}

impl Engine {
    pub fn new(token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..Self::default() }
    }

    pub fn set_token(&mut self, token: Option<&str>) {
        self.token = token.map(str::to_owned);
    }

    pub fn set_before_3_10(&mut self, yes: bool) {
        self.before_3_10 = yes;
    }

    pub fn put(&mut self, database: &str, line: &str) {
        let refused =
            self.databases.entry(database.to_owned()).or_default().write(line, false, &|time| time.unwrap());
        assert!(refused.is_empty(), "{refused:?}");
    }

    pub fn accepted(&self, database: &str) -> Vec<String> {
        self.databases.get(database).map(|db| db.accepted.clone()).unwrap_or_default()
    }

    pub fn answer(&mut self, request: &Request) -> Response {
        if let Err(refused) = self.authenticate(request) {
            return refused;
        }
        let result = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/ping") => Ok(ping()),
            ("GET", "/health") => {
                Ok(Response::new(200, "OK").with("content-type", "text/plain; charset=utf-8"))
            }
            ("POST", "/api/v3/write_lp") => self.write_v3(request),
            ("POST", "/api/v2/write") => self.write_v2(request),
            ("POST", "/write") => self.write_v1(request),
            ("GET" | "POST", "/api/v3/query_sql") => query::sql(&self.databases, request),
            ("GET" | "POST", "/api/v3/query_influxql") => query::influxql(&self.databases, request),
            _ => Ok(Response::new(404, "Not found")),
        };
        result.unwrap_or_else(|refused| refused)
    }

    fn authenticate(&self, request: &Request) -> Result<(), Response> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = match request.header("authorization") {
            Some(header) => {
                let malformed = || {
                    Response::new(
                        400,
                        "{\"error\": \"Authorization header was malformed, the request was not in the form of 'Authorization: <auth-scheme> <token>', supported auth-schemes are Bearer, Token and Basic\"}",
                    )
                };
                match header.split(' ').collect::<Vec<_>>()[..] {
                    ["Bearer" | "Token", token] => Some(token.to_owned()),
                    // The token is the password; any user will do.
                    ["Basic", pair] => base64(pair)
                        .and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned())),
                    _ => return Err(malformed()),
                }
            }
            None if request.path == "/write" => request.query.get("p").cloned(),
            None => None,
        };
        if given.as_ref() == Some(token) { Ok(()) } else { Err(Response::new(401, UNAUTHENTICATED)) }
    }

    fn write_v3(&mut self, request: &Request) -> Result<Response, Response> {
        let db =
            request.query.get("db").ok_or_else(|| Response::new(400, "serde error: missing field `db`"))?;
        let precision = request.query.get("precision").map_or("auto", String::as_str);
        if scale(precision).is_none() && precision != "auto" {
            return Err(Response::new(
                400,
                format!(
                    "serde error: unknown variant `{precision}`, expected one of `auto`, `s`, `second`, `millisecond`, `ms`, `microsecond`, `u`, `us`, `n`, `nanosecond`, `ns`"
                ),
            ));
        }
        let accept_partial = request.query.get("accept_partial").is_none_or(|text| text != "false");
        self.write(request, db, precision, Dialect::V3 { accept_partial })
    }

    fn write_v2(&mut self, request: &Request) -> Result<Response, Response> {
        let missing = || Response::new(400, "serde error: missing field `bucket`");
        let db = request.query.get("bucket").ok_or_else(missing)?;
        let precision = request.query.get("precision").map_or("ns", String::as_str);
        self.write(request, db, precision, Dialect::V2)
    }

    fn write_v1(&mut self, request: &Request) -> Result<Response, Response> {
        let missing = || Response::new(400, "serde error: missing field `db`");
        let db = request.query.get("db").ok_or_else(missing)?;
        // A retention policy other than the default is a database of its own.
        let db = match request.query.get("rp").map(String::as_str) {
            None | Some("" | "autogen") => db.clone(),
            Some(policy) => format!("{db}/{policy}"),
        };
        let precision = request.query.get("precision").map_or("ns", String::as_str);
        self.write(request, &db, precision, Dialect::V1)
    }

    fn write(
        &mut self,
        request: &Request,
        db: &str,
        precision: &str,
        dialect: Dialect,
    ) -> Result<Response, Response> {
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        if !db.chars().all(letters) {
            let error = "invalid character in database or rp name: must be ASCII, containing only letters, numbers, underscores, or hyphens";
            return Err(Response::new(400, json!({ "error": error }).to_string()));
        }
        let body = plain_body(request)?;
        if body.is_empty() {
            return Err(Response::new(400, "incoming write was empty"));
        }
        let body = String::from_utf8(body).map_err(|_| Response::new(400, "invalid utf-8"))?;
        if !self.databases.contains_key(db) && self.databases.len() >= MOST_DATABASES {
            let error = format!("Adding a new database would exceed limit of {MOST_DATABASES} databases");
            return Err(Response::new(422, json!({ "error": error }).to_string()));
        }
        let database = self.databases.entry(db.to_owned()).or_default();
        let time = |stamp: Option<i64>| {
            stamp.map_or_else(now, |stamp| stamp * scale(precision).unwrap_or_else(|| guess(stamp)))
        };
        let partly = dialect == Dialect::V3 { accept_partial: true };
        if partly && !self.before_3_10 {
            let refused = database.write(&body, false, &time);
            return if refused.is_empty() { Ok(Response::new(204, "")) } else { Err(partial(&refused)) };
        }
        let mut copy = database.clone();
        match copy.write(&body, true, &time).pop() {
            None => {
                *database = copy;
                Ok(Response::new(204, ""))
            }
            Some(refused) if dialect == Dialect::V2 => {
                let message =
                    format!("write buffer error: line protocol parse failed: {}", refused.error_message);
                Err(Response::new(400, format!("{{\"code\":\"invalid\",\"message\":{}}}", json!(message))))
            }
            Some(refused) if partly => Err(whole("partial write of line protocol occurred", &refused)),
            Some(refused) => Err(whole("line protocol parsing error", &refused)),
        }
    }
}

fn partial(refused: &[LineError]) -> Response {
    let data = serde_json::to_string(refused).unwrap();
    Response::new(400, format!("{{\"error\":\"partial write of line protocol occurred\",\"data\":{data}}}"))
}

fn whole(words: &str, refused: &LineError) -> Response {
    let data = serde_json::to_string(refused).unwrap();
    Response::new(400, format!("{{\"error\":\"{words}\",\"data\":{data}}}"))
}

fn ping() -> Response {
    let body = "{\"product_name\":\"InfluxDB 3 Core\",\"version\":\"3.10.0-nightly\",\"revision\":\"d7834110b3\",\"process_id\":\"8326a1f9-a4e1-4781-8c71-da81668ad66c\"}";
    Response::new(200, body)
        .with("content-type", JSON)
        .with("x-influxdb-build", "Core")
        .with("x-influxdb-version", "3.10.0-nightly")
}

/// Nanoseconds per unit of a precision.
fn scale(precision: &str) -> Option<i64> {
    match precision {
        "s" | "second" => Some(1_000_000_000),
        "ms" | "millisecond" => Some(1_000_000),
        "u" | "us" | "microsecond" => Some(1_000),
        "n" | "ns" | "nanosecond" => Some(1),
        _ => None,
    }
}

/// What the server takes a bare number for, by its size.
fn guess(stamp: i64) -> i64 {
    match stamp.unsigned_abs() {
        0..5_000_000_000 => 1_000_000_000,
        5_000_000_000..5_000_000_000_000 => 1_000_000,
        5_000_000_000_000..5_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

fn base64(text: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut bytes = Vec::new();
    for (count, byte) in text.trim_end_matches('=').bytes().enumerate() {
        let value = ALPHABET.iter().position(|known| *known == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        if count % 4 > 0 {
            let shift = 6 - 2 * (u32::try_from(count).ok()? % 4);
            bytes.push((bits >> shift & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}
