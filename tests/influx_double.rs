//! The double of InfluxDB 3 against the recordings of the real one: every
//! transcript, in the order it was recorded, answered to the letter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod double;

use std::{
    collections::BTreeMap,
    io::Write,
    time::{Duration, Instant},
};

use double::{Double, Mode, RetryAfter};
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;

#[derive(Deserialize)]
struct Transcript {
    name: String,
    request: Recorded,
    response: Answered,
}

#[derive(Deserialize)]
struct Recorded {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Answered {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

const TOKEN: &str = "apiv3_double_token";

fn transcripts() -> Vec<Transcript> {
    serde_json::from_str(include_str!("data/influxdb3-transcripts.json")).unwrap()
}

/// Recorded with a token on a server that asks for one.
fn is_guarded(transcript: &Transcript) -> bool {
    transcript.name.starts_with("auth-") || transcript.request.headers.contains_key("Authorization")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

/// The body as it was sent; bodies that are no text are described in words.
fn body(transcript: &Transcript) -> Vec<u8> {
    let large = || {
        let mut lines = b"m,tag=large f=1i 1\n".repeat(1_000_000);
        lines.truncate(18_680_889);
        lines
    };
    match transcript.name.as_str() {
        "gzip-ok" => gzip(transcript.request.body.strip_prefix("(gzip of) ").unwrap().as_bytes()),
        "gzip-two-members" => [gzip(b"m,tag=gz f=1i 21\n"), gzip(b"m,tag=gz f=1i 22\n")].concat(),
        "gzip-corrupt" => b"this is not what gzip writes".to_vec(),
        "too-large" => large(),
        "too-large-decompressed" => gzip(&large()),
        _ => {
            assert!(!transcript.request.body.starts_with('('), "{} needs a body", transcript.name);
            transcript.request.body.clone().into_bytes()
        }
    }
}

async fn replay(double: &Double, transcript: &Transcript) {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let path = transcript.request.path.replace("<TOKEN>", TOKEN);
    let method = transcript.request.method.parse().unwrap();
    let mut request = http.request(method, format!("{}{path}", double.url())).body(body(transcript));
    for (name, value) in &transcript.request.headers {
        request = request.header(name, value.replace("<TOKEN>", TOKEN));
    }
    let response = request.send().await.unwrap();
    // The headers that were found worth recording, and no content type where
    // the server sends none.
    let mut headers: BTreeMap<_, _> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.remove("content-length");
    let status = response.status().as_u16();
    let given = Answered { status, headers, body: response.text().await.unwrap() };
    assert_eq!(given, transcript.response, "{}", transcript.name);
}

#[tokio::test]
async fn answers_every_transcript_without_authentication() {
    let double = Double::open();
    let transcripts: Vec<_> = transcripts().into_iter().filter(|t| !is_guarded(t)).collect();
    assert_eq!(transcripts.len(), 70);
    for transcript in &transcripts {
        replay(&double, transcript).await;
    }
}

#[tokio::test]
async fn answers_every_transcript_with_authentication() {
    let double = Double::guarded(TOKEN);
    let transcripts: Vec<_> = transcripts().into_iter().filter(is_guarded).collect();
    assert_eq!(transcripts.len(), 11);
    for transcript in &transcripts {
        replay(&double, transcript).await;
    }
    // What the note at the duplicate tag says.
    let query = "/api/v3/query_sql?db=dup&q=select%20*%20from%20m";
    let answer = reqwest::Client::new().get(format!("{}{query}", double.url())).bearer_auth(TOKEN).send();
    assert_eq!(answer.await.unwrap().status(), 500);
}

/// One write of `body` to v3; status, headers and body of the answer.
async fn write(
    double: &Double,
    body: &'static [u8],
) -> reqwest::Result<(u16, BTreeMap<String, String>, String)> {
    let url = format!("{}/api/v3/write_lp?db=lp&precision=nanosecond", double.url());
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let response = http.post(url).body(body).send().await?;
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Ok((response.status().as_u16(), headers, response.text().await?))
}

/// The recorded answer of this name.
fn recorded(name: &str) -> (u16, String) {
    let transcript = transcripts().into_iter().find(|transcript| transcript.name == name).unwrap();
    (transcript.response.status, transcript.response.body)
}

#[tokio::test]
async fn modes_that_were_recorded_answer_to_the_letter() {
    const BAD: &[u8] = b"m,tag=a f=1i 1\nnot a line\nm,tag=b f=2i 2\n";
    const LINE: &[u8] = b"m,tag=a f=1i 1\n";
    let double = Double::open();
    let answer = async |mode: Mode, body| {
        double.set_mode(mode);
        let (status, _, body) = write(&double, body).await.unwrap();
        (status, body)
    };
    assert_eq!(answer(Mode::Unauthorized, LINE).await, recorded("auth-none"));
    let large: &'static [u8] = b"m,tag=large f=1i 1\n".repeat(600_000).leak();
    assert_eq!(answer(Mode::TooLarge(10_485_760), large).await, recorded("too-large"));
    assert_eq!(answer(Mode::TooLarge(14), LINE).await.0, 413);
    assert_eq!(answer(Mode::TooLarge(15), LINE).await.0, 204);
    double.set_mode(Mode::NoPing);
    for path in ["/ping", "/health"] {
        let response = reqwest::get(format!("{}{path}", double.url())).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!((status, response.text().await.unwrap()), recorded("unknown-path"));
    }
    // Before 3.10: the words of the newer server's partial write around the
    // newer server's own account of one line, and nothing is written.
    let before = double.lines("lp").len();
    let (status, old) = answer(Mode::Before310, BAD).await;
    assert_eq!(double.lines("lp").len(), before);
    let (new_status, new) = answer(Mode::Current, BAD).await;
    assert_eq!((status, double.lines("lp").len()), (new_status, before + 2));
    assert_eq!(new, recorded("partial-one-bad-of-three").1);
    assert_eq!(old, new.replace("[{", "{").replace("}]", "}"));
}

#[tokio::test]
async fn each_other_mode_misbehaves_as_it_says_and_ends_when_it_is_told() {
    const LINE: &[u8] = b"m,tag=a f=1i 1\n";
    let double = Double::open();
    double.set_mode(Mode::Unavailable(Some(RetryAfter::Seconds(7))));
    let (status, headers, _) = write(&double, LINE).await.unwrap();
    assert_eq!((status, headers["retry-after"].as_str()), (503, "7"));
    double.set_mode(Mode::TooManyRequests(Some(RetryAfter::Date(Duration::from_secs(90)))));
    let (status, headers, _) = write(&double, LINE).await.unwrap();
    let date = |name: &str| httpdate::parse_http_date(&headers[name]).unwrap();
    assert_eq!(status, 429);
    assert_eq!(date("retry-after").duration_since(date("date")).unwrap(), Duration::from_secs(90));
    double.set_mode(Mode::Failing);
    let (status, headers, body) = write(&double, LINE).await.unwrap();
    assert_eq!((status, body.as_str(), headers.get("content-type")), (500, "shutting down", None));
    for status in [200, 502] {
        double.set_mode(Mode::Page(status));
        let (given, headers, body) = write(&double, LINE).await.unwrap();
        assert!(given == status && body.starts_with("<html") && headers["content-type"] == "text/html");
    }
    double.set_mode(Mode::Disconnect);
    assert!(write(&double, LINE).await.is_err());
    assert_eq!((double.lines("lp").len(), double.met()), (0, 1));
    double.set_mode(Mode::WriteThenReset);
    assert!(write(&double, LINE).await.is_err());
    assert_eq!(double.lines("lp").len(), 1);
    double.set_mode(Mode::Drip(Duration::from_millis(5)));
    let begun = Instant::now();
    assert_eq!(write(&double, LINE).await.unwrap().0, 204);
    assert!(begun.elapsed() > Duration::from_millis(5 * 18), "{:?}", begun.elapsed());
    double.set_mode(Mode::Current);
    assert_eq!(write(&double, LINE).await.unwrap().0, 204);
    assert_eq!((double.lines("lp").len(), double.met()), (3, 0));
}
