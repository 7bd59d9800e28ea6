//! The policy, row by row, and every recorded answer of a real InfluxDB 3.

use super::*;

fn http(status: u16, body: &str) -> Answer {
    Answer::Http { status, retry_after: None, body: body.into() }
}

/// A decision without its words, as a table can hold it.
#[derive(Debug, PartialEq)]
enum Kind {
    Delivered,
    Except(Vec<usize>),
    Retry,
    Pause,
    Halve,
    TakeOut(usize),
    Bisect,
}

fn kind(decision: &Decision) -> Kind {
    match decision {
        Decision::Delivered => Kind::Delivered,
        Decision::DeliveredExcept(lines) => Kind::Except(lines.iter().map(|line| line.index).collect()),
        Decision::Retry { .. } => Kind::Retry,
        Decision::Pause { .. } => Kind::Pause,
        Decision::Halve => Kind::Halve,
        Decision::TakeOut(line) => Kind::TakeOut(line.index),
        Decision::Bisect { .. } => Kind::Bisect,
    }
}

#[test]
fn every_row_of_the_policy() {
    const HTML: &str = "<html><head><title>502 Bad Gateway</title></head></html>";
    for (status, body, lines, expected) in [
        (200, "", 9, Kind::Delivered),
        (204, "", 9, Kind::Delivered),
        (200, "OK", 9, Kind::Delivered),
        (408, "", 9, Kind::Retry),
        (425, "", 9, Kind::Retry),
        (429, "slow down", 9, Kind::Retry),
        (500, "shutting down", 9, Kind::Retry),
        (502, HTML, 9, Kind::Retry),
        (503, "", 9, Kind::Retry),
        (504, "", 9, Kind::Retry),
        (599, "", 9, Kind::Retry),
        (501, "", 9, Kind::Pause),
        (401, "", 9, Kind::Pause),
        (403, "", 9, Kind::Pause),
        (404, "404 page not found\n", 9, Kind::Pause),
        (405, "", 9, Kind::Pause),
        (407, "", 9, Kind::Pause),
        (418, "", 9, Kind::Pause),
        (301, "redirects to https://elsewhere/write", 9, Kind::Pause),
        (308, "", 9, Kind::Pause),
        // What a portal swallows is not delivered.
        (200, "<!DOCTYPE html><title>Sign in</title>", 9, Kind::Pause),
        (413, "", 9, Kind::Halve),
        (413, "", 2, Kind::Halve),
        (413, HTML, 1, Kind::TakeOut(0)),
        (422, r#"{"error":"Adding a new database would exceed limit of 5 databases"}"#, 9, Kind::Pause),
        (422, r#"{"error":"Adding a new table would exceed limit of 2000 tables"}"#, 9, Kind::Pause),
        (422, r#"{"error":"something about a value"}"#, 9, Kind::Bisect),
        (422, r#"{"error":"e","data":[{"error_message":"m","line_number":9}]}"#, 9, Kind::Except(vec![8])),
        (422, r#"{"error":"e","data":{"error_message":"m","line_number":9}}"#, 9, Kind::TakeOut(8)),
        // The text of a partial write, but nothing is written: an object.
        (
            400,
            r#"{"error":"partial write of line protocol occurred","data":{"error_message":"m","line_number":3}}"#,
            9,
            Kind::TakeOut(2),
        ),
        (
            400,
            r#"{"error":"e","data":[{"error_message":"b","line_number":3},{"error_message":"a","line_number":1},
                {"error_message":"b","line_number":3}]}"#,
            9,
            Kind::Except(vec![0, 2]),
        ),
        // Lines that are not in the batch are not believed.
        (400, r#"{"error":"e","data":[{"error_message":"m","line_number":10}]}"#, 9, Kind::Bisect),
        (400, r#"{"error":"e","data":[{"error_message":"m","line_number":0}]}"#, 9, Kind::Bisect),
        (400, r#"{"error":"e","data":[{"error_message":"m"}]}"#, 9, Kind::Bisect),
        (400, r#"{"error":"e","data":[]}"#, 9, Kind::Bisect),
        (400, r#"{"error":"e","data":{"error_message":"m","line_number":10}}"#, 9, Kind::Bisect),
        (400, r#"{"error":"e","data":"words"}"#, 9, Kind::Bisect),
        // A body cut at its bound is no longer JSON.
        (400, r#"{"error":"e","data":[{"error_message":"m","line_nu"#, 9, Kind::Bisect),
        (400, "", 9, Kind::Bisect),
        (400, HTML, 9, Kind::Bisect),
        // InfluxDB 1.6.7 and VictoriaMetrics in their own words.
        (400, r#"{"error":"unable to parse 'bad': missing fields"}"#, 1, Kind::Bisect),
        (
            400,
            r#"{"error":"partial write: unable to parse 'bad': missing fields dropped=0"}"#,
            9,
            Kind::Bisect,
        ),
        (
            400,
            r#"{"error":"partial write: field type conflict: input field \"f\" on measurement \"m\" is type float, already exists as type integer dropped=1"}"#,
            9,
            Kind::Bisect,
        ),
        (404, r#"{"error":"database not found: \"vmstats\""}"#, 9, Kind::Pause),
        (
            400,
            r#"remoteAddr: "127.0.0.1:44740"; requestURI: /api/v3/write_lp; unsupported path requested: "/api/v3/write_lp""#,
            9,
            Kind::Pause,
        ),
    ] {
        for api in ["v3", "v2", "v1"] {
            let decision = decide(api, &http(status, body), lines);
            assert_eq!(kind(&decision), expected, "{status} {body}");
            if let Decision::Pause { why, mend } = decision {
                assert!(!why.is_empty() && !mend.is_empty(), "{status}");
            }
        }
    }
}

#[test]
fn no_answer_is_retried_unless_only_the_operator_can_help() {
    for (step, expected) in [
        (FailedStep::Connect, Kind::Retry),
        (FailedStep::Timeout, Kind::Retry),
        (FailedStep::Transfer, Kind::Retry),
        (FailedStep::Tls, Kind::Pause),
        (FailedStep::Credentials, Kind::Pause),
    ] {
        let decision = decide("v3", &Answer::Failed { step, text: "it broke".into() }, 9);
        assert_eq!(kind(&decision), expected, "{step:?}");
        let (Decision::Retry { why, .. } | Decision::Pause { why, .. }) = decision else { unreachable!() };
        assert_eq!(why, "it broke");
    }
}

#[test]
fn the_servers_wish_is_honoured_up_to_ten_minutes() {
    let after = |status, wish| {
        let answer =
            Answer::Http { status, retry_after: Some(Duration::from_secs(wish)), body: String::new() };
        match decide("v3", &answer, 9) {
            Decision::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(after(429, 7), Some(Duration::from_secs(7)));
    assert_eq!(after(503, 86_400), Some(Duration::from_mins(10)));
}

#[test]
fn each_pause_names_what_to_set() {
    let mend = |api, status, body| match decide(api, &http(status, body), 9) {
        Decision::Pause { mend, .. } => mend,
        other => panic!("{other:?}"),
    };
    for (api, status, body, names) in [
        ("v3", 401, "", &["INFLUX_TOKEN", "influx.token_file", "INFLUX_PASSWORD"][..]),
        ("v3", 403, "", &["INFLUX_TOKEN", "influx.token_file", "influx.db"]),
        ("v3", 404, "Not found", &["influx.url", "influx.api"]),
        ("v1", 405, "", &["influx.url", "influx.api"]),
        ("v1", 404, r#"{"error":"database not found: \"x\""}"#, &["create the database", "influx.db"]),
        ("v2", 404, r#"{"code":"not found","message":"bucket \"x\" not found"}"#, &["bucket", "influx.db"]),
        ("v3", 422, r#"{"error":"Adding a new database would exceed limit of 5 databases"}"#, &["influx.db"]),
        ("v3", 302, "", &["influx.url", "token"]),
        ("v3", 501, "", &["influx.api"]),
        ("v3", 407, "", &["HTTP_PROXY"]),
        ("v3", 400, "error decoding gzip stream: invalid gzip header", &["influx.gzip"]),
        (
            "v3",
            400,
            r#"{"error": "Authorization header was malformed, …"}"#,
            &["influx.auth", "INFLUX_TOKEN"],
        ),
    ] {
        let mend = mend(api, status, body);
        for name in names {
            assert!(mend.contains(name), "{status} {body}: {mend}");
        }
    }
}

#[test]
fn a_refused_line_carries_the_servers_words_cleaned() {
    let body = r#"{"error":"partial write of line protocol occurred","data":[
        {"error_message":"Found trailing content: `\r\u001b[31m`","line_number":2,"original_line":"x"}]}"#;
    let expected = RefusedLine { index: 1, message: "Found trailing content: ` _[31m`".into() };
    assert_eq!(decide("v3", &http(400, body), 2), Decision::DeliveredExcept(vec![expected]));
    assert_eq!(summary(&http(502, "<title>Bad\nGateway</title>")), "HTTP 502: Bad Gateway");
    assert_eq!(summary(&http(204, "")), "HTTP 204");
}

#[derive(serde::Deserialize)]
struct Transcript {
    name: String,
    request: Request,
    response: Response,
}

#[derive(serde::Deserialize)]
struct Request {
    path: String,
    body: String,
}

#[derive(serde::Deserialize)]
struct Response {
    status: u16,
    body: String,
}

/// What each recorded answer to a write must lead to; those of the name
/// `204` are all that answered it.
fn expected(name: &str) -> Kind {
    match name {
        "blank-and-comment-lines" | "partial-one-bad-of-three" => Kind::Except(vec![1]),
        "partial-all-bad" | "crlf" => Kind::Except(vec![0, 1]),
        "type-conflict"
        | "type-conflict-float"
        | "type-conflict-uint"
        | "tag-vs-field"
        | "i64-overflow"
        | "nan"
        | "inf"
        | "leading-dot"
        | "empty-tag-value"
        | "no-fields"
        | "tag-trailing-backslash"
        | "tag-trailing-double-backslash"
        | "tag-newline"
        | "tag-tab"
        | "duplicate-field-key"
        | "timestamp-not-a-number" => Kind::Except(vec![0]),
        "accept-partial-false" | "v1-bad-line" => Kind::TakeOut(1),
        "empty-body" | "v2-bad-line" | "v2-type-conflict" => Kind::Bisect,
        "db-name-bad"
        | "db-missing"
        | "precision-bad"
        | "gzip-corrupt"
        | "encoding-unknown"
        | "method-get"
        | "fill-db-4"
        | "v1-named-rp"
        | "auth-none"
        | "auth-wrong"
        | "auth-lowercase-scheme"
        | "auth-two-spaces" => Kind::Pause,
        "too-large" | "too-large-decompressed" => Kind::Halve,
        "ok"
        | "ok-two-lines"
        | "ok-trailing-newline"
        | "i64-max"
        | "u64-max"
        | "exp-overflow"
        | "tag-space-escaped"
        | "tag-comma-equals-escaped"
        | "tag-unicode"
        | "tag-inner-backslash"
        | "string-escapes"
        | "string-newline"
        | "measurement-space-escaped"
        | "timestamp-missing"
        | "precision-short-ns"
        | "gzip-ok"
        | "gzip-two-members"
        | "fill-db-0"
        | "fill-db-1"
        | "fill-db-2"
        | "fill-db-3"
        | "v2-ok"
        | "v1-ok"
        | "duplicate-tag-key"
        | "auth-bearer"
        | "auth-token"
        | "auth-v1-query-password" => Kind::Delivered,
        unknown => panic!("no expectation is written down for {unknown}"),
    }
}

#[test]
fn every_recorded_answer_to_a_write_leads_to_its_decision() {
    let transcripts: Vec<Transcript> =
        serde_json::from_str(include_str!("../../../tests/data/influxdb3-transcripts.json")).unwrap();
    let mut seen = 0;
    for Transcript { name, request, response } in transcripts {
        let path = request.path.split('?').next().unwrap();
        let api = match path {
            "/api/v3/write_lp" => "v3",
            "/api/v2/write" => "v2",
            "/write" => "v1",
            _ => continue,
        };
        // The recording tells the size of its two giant bodies alone.
        let lines = if name.starts_with("too-large") {
            1000
        } else {
            request.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
        };
        let decision = decide(api, &http(response.status, &response.body), lines);
        assert_eq!(kind(&decision), expected(&name), "{name}: {}", response.body);
        seen += 1;
    }
    assert_eq!(seen, 66);
}
