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

use std::{collections::BTreeMap, io::Write};

use double::Double;
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
