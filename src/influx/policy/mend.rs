//! What the operator can do about an answer that retrying does not mend.
//! Each names the setting; none names a value.

pub(super) const CREDENTIALS: &str = "the server does not accept the credentials: set a valid token in INFLUX_TOKEN or \
     influx.token_file (with influx.auth = \"basic\": INFLUX_PASSWORD or influx.password_file)";
pub(super) const PERMISSION: &str = "the credentials may not write to this database: give the token write permission, \
     or set another one in INFLUX_TOKEN or influx.token_file, or another database in influx.db";
pub(super) const NO_SUCH_DATABASE: &str =
    "create the database on the server (InfluxDB 1: CREATE DATABASE), or set influx.db to one that is there";
pub(super) const NO_SUCH_BUCKET: &str =
    "create the bucket on the server, or set influx.db (and influx.org) to one that is there";
pub(super) const PATH: &str = "nothing takes writes at this address: check host, port and path of influx.url, and influx.api \
     (\"v3\", \"v2\" or \"v1\")";
pub(super) const REDIRECTED: &str =
    "redirects are not followed, so that the token goes nowhere else: set influx.url to the final address";
pub(super) const NO_DATABASE: &str =
    "a web page answered, not a database: check host, port and path of influx.url, and proxies on the way";
pub(super) const PROXY: &str = "the proxy asks for credentials: give them in HTTPS_PROXY or HTTP_PROXY with influx.proxy = \"auto\", or go past \
     it (NO_PROXY, or influx.proxy = \"none\")";
pub(super) const NOT_IMPLEMENTED: &str =
    "the server does not offer this write API: set influx.api to one it offers (\"v3\", \"v2\" or \"v1\")";
pub(super) const TLS: &str = "no trusted connection: check that influx.url has the right scheme, host and port, and that \
     influx.ca_file (and influx.client_cert, influx.client_key) belong to this server";
pub(super) const UNEXPECTED: &str =
    "the server refuses the whole request: check influx.url, influx.api and what stands between";
const DATABASE_LIMIT: &str =
    "the server takes no more databases: remove one there, or set influx.db to one that is there";
const SCHEMA_LIMIT: &str =
    "the server takes no more tables or columns: set influx.db to a database of its own for kvmscope";
const DATABASE_NAME: &str = "set influx.db to a name of ASCII letters, digits, underscores and hyphens";
const MALFORMED_AUTH: &str = "the server does not know this way to authenticate: check influx.auth, and that the token in \
     INFLUX_TOKEN or influx.token_file is complete and without spaces";
const ENCODING: &str =
    "the server, or a proxy before it, cannot read compressed requests: set influx.gzip = false";
const PARAMETER: &str = "the server does not know the request's parameters: set influx.api to what it speaks (\"v3\", \"v2\" or \"v1\")";

/// The mend for a 400 or 422 that is about the request and not about one of
/// its lines; `None` when it may be about a line. Looking for the bad line of
/// such a request would only repeat the refusal, once per line.
pub(super) fn of_request(words: &str) -> Option<&'static str> {
    let says = |part: &str| words.contains(part);
    if says("would exceed") && says("limit") {
        Some(if says("new database") { DATABASE_LIMIT } else { SCHEMA_LIMIT })
    } else if says("database or rp name") || says("missing field `db`") {
        Some(DATABASE_NAME)
    } else if says("Authorization header was malformed") {
        Some(MALFORMED_AUTH)
    } else if says("content-encoding") || says("decoding gzip") {
        Some(ENCODING)
    } else if says("serde error") {
        Some(PARAMETER)
    } else if says("unsupported path requested") {
        // VictoriaMetrics' way to say 404.
        Some(PATH)
    } else {
        None
    }
}
