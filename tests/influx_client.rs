//! The HTTP client against the double of InfluxDB 3 and its misbehaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod double;
mod sample;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use double::{Double, Fault, Mode, Response};
use kvmscope::{
    config::{Api, Auth, Influx, MissingPolicy, SecretSource},
    influx::{
        client::Client,
        line::Encoder,
        policy::{Answer, Decision, FailedStep, decide, summary},
    },
};

const TOKEN: &str = "apiv3_s3cret_token";
const LINE: &[u8] = b"m,tag=a f=1i 1\n";

fn settings(url: &str) -> Influx {
    Influx {
        url: Some(url.to_owned()),
        db: "lp".into(),
        auth: Auth::None,
        timeout: Duration::from_secs(20),
        ..Influx::default()
    }
}

fn with_token(url: &str, token: &str) -> Influx {
    Influx { auth: Auth::Token(Some(SecretSource::Environment(token.into()))), ..settings(url) }
}

async fn write(client: &mut Client, lines: &[u8]) -> Answer {
    client.write(lines).await.0
}

fn status(answer: &Answer) -> u16 {
    match answer {
        Answer::Http { status, .. } => *status,
        Answer::Failed { .. } => panic!("{answer:?}"),
    }
}

fn step(answer: &Answer) -> FailedStep {
    match answer {
        Answer::Failed { step, .. } => *step,
        Answer::Http { .. } => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn a_whole_frame_arrives_compressed_and_line_by_line() {
    let double = Double::guarded(TOKEN);
    let mut client = Client::new(&with_token(&double.url(), TOKEN)).unwrap();
    assert_eq!(client.api(), None);
    let frame = sample::frame(vec![sample::domain(sample::reading(sample::identity(
        Some(3),
        "we\tird, =name\\",
        "550e8400-e29b-41d4-a716-446655440000",
    )))]);
    let mut lines = Vec::new();
    Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap().encode(&frame, &mut lines);
    let (answer, took) = client.write(&lines).await;
    assert_eq!(decide("v3", &answer, 5), Decision::Delivered);
    assert!(took > Duration::ZERO);
    assert_eq!(client.api(), Some("v3"));
    assert_eq!(client.target(), format!("{}/api/v3/write_lp", double.address()));
    let sent = String::from_utf8(lines).unwrap();
    assert_eq!(double.lines("lp"), sent.lines().collect::<Vec<_>>());
    let requests = double.requests();
    let written = requests.last().unwrap();
    assert_eq!(written.header("content-encoding"), Some("gzip"));
    assert_eq!(written.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(written.query["precision"], "nanosecond");
    assert!(!written.query.contains_key("no_sync"));
    // The server is asked what it is once, not before every write.
    write(&mut client, LINE).await;
    assert_eq!(double.requests().iter().filter(|request| request.path == "/ping").count(), 1);
    client.forget_api();
    assert_eq!(client.api(), None);
    write(&mut client, LINE).await;
    assert_eq!(double.requests().iter().filter(|request| request.path == "/ping").count(), 2);
}

#[tokio::test]
async fn every_api_and_way_to_authenticate_is_accepted() {
    for (api, path, scheme) in [
        (Api::V3, "/api/v3/write_lp", "Bearer "),
        (Api::V2, "/api/v2/write", "Token "),
        (Api::V1, "/write", "Token "),
    ] {
        let double = Double::guarded(TOKEN);
        for auth in [
            Auth::Token(Some(SecretSource::Environment(TOKEN.into()))),
            Auth::Basic { user: Some("any".into()), password: Some(SecretSource::Environment(TOKEN.into())) },
        ] {
            for gzip in [true, false] {
                let basic = matches!(auth, Auth::Basic { .. });
                let settings = Influx { api, gzip, auth: auth.clone(), ..settings(&double.url()) };
                let mut client = Client::new(&settings).unwrap();
                assert_eq!(status(&write(&mut client, LINE).await), 204);
                let requests = double.requests();
                let request = requests.last().unwrap();
                assert_eq!(request.path, path);
                assert_eq!(request.body, LINE);
                assert_eq!(request.header("content-encoding").is_some(), gzip);
                let expected = if basic { "Basic " } else { scheme };
                assert!(request.header("authorization").unwrap().starts_with(expected));
            }
        }
    }
}

#[tokio::test]
async fn a_path_prefix_and_an_organisation_are_sent_along() {
    let double = Double::open();
    let settings = Influx {
        api: Api::V2,
        org: "my org".into(),
        ..settings(&format!("{}/insert/0/influx/", double.url()))
    };
    let mut client = Client::new(&settings).unwrap();
    write(&mut client, LINE).await;
    let requests = double.requests();
    assert_eq!(requests[0].path, "/insert/0/influx/api/v2/write");
    let query: BTreeMap<_, _> =
        [("bucket", "lp"), ("org", "my org"), ("precision", "ns")].map(|(k, v)| (k.into(), v.into())).into();
    assert_eq!(requests[0].query, query);
}

#[tokio::test]
async fn refused_lines_are_named_and_the_others_written() {
    let double = Double::open();
    let mut client = Client::new(&settings(&double.url())).unwrap();
    let answer = write(&mut client, b"m f=1i 1\nm f=2.5 2\nm f=3i 3\n").await;
    let Decision::DeliveredExcept(lines) = decide("v3", &answer, 3) else { panic!("{answer:?}") };
    assert_eq!(lines.iter().map(|line| line.index).collect::<Vec<_>>(), [1]);
    assert!(lines[0].message.contains("column 'f'"), "{}", lines[0].message);
    assert_eq!(double.lines("lp"), ["m f=1i 1", "m f=3i 3"]);
}

#[tokio::test]
async fn a_rotated_token_file_is_taken_up_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "0ld-t0ken\n").unwrap();
    let double = Double::guarded("n3w-t0ken");
    let auth = Auth::Token(Some(SecretSource::File(path.clone())));
    let mut client = Client::new(&Influx { auth, ..settings(&double.url()) }).unwrap();
    // The very question which API it speaks is refused, and nothing is known.
    let answer = write(&mut client, LINE).await;
    assert_eq!((status(&answer), client.api()), (401, None));
    let Decision::Pause { mend, .. } = decide("v3", &answer, 1) else { panic!("{answer:?}") };
    assert!(mend.contains("influx.token_file"), "{mend}");
    std::fs::write(&path, "n3w-t0ken\n").unwrap();
    assert_eq!(status(&write(&mut client, LINE).await), 204);
    // The server changes first, then the file, to one of the same length and
    // with the old date: only the 401 can tell.
    double.set_token(Some("x3w-t0ken"));
    assert_eq!(status(&write(&mut client, LINE).await), 401);
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "x3w-t0ken\n").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(status(&write(&mut client, LINE).await), 204);
    // A 401 is not asked again while the file says the same.
    double.set_token(Some("y3w-t0ken"));
    let asked = double.requests().len();
    assert_eq!(status(&write(&mut client, LINE).await), 401);
    assert_eq!(double.requests().len(), asked + 1);
    // A file that is gone is used as it was, until the server refuses it.
    std::fs::remove_file(&path).unwrap();
    let answer = write(&mut client, LINE).await;
    assert_eq!(step(&answer), FailedStep::Credentials);
    assert!(summary(&answer).contains("influx.token_file"), "{}", summary(&answer));
    double.set_token(Some("x3w-t0ken"));
    assert_eq!(status(&write(&mut client, LINE).await), 204);
}

#[tokio::test]
async fn the_token_shows_nowhere() {
    let double = Double::open();
    let mut client = Client::new(&with_token(&double.url(), TOKEN)).unwrap();
    assert_eq!(status(&write(&mut client, LINE).await), 204);
    let mut shown = vec![format!("{client:?}"), client.target()];
    // A server that echoes what it was sent, and every way not to answer.
    for fault in [
        Fault::Answer(Response::new(400, format!("bad header: Bearer {TOKEN}"))),
        Fault::Answer(Response::new(302, "").with("location", format!("http://u:{TOKEN}@h/?p={TOKEN}"))),
        Fault::Reset,
    ] {
        double.next(fault);
        let answer = write(&mut client, LINE).await;
        shown.extend([format!("{answer:?}"), summary(&answer), format!("{:?}", decide("v3", &answer, 1))]);
    }
    shown.extend(client.check().await.into_iter().map(|check| format!("{check:?}")));
    let url = double.url();
    drop(double);
    shown.push(format!("{:?}", write(&mut client, LINE).await));
    shown.extend(client.check().await.into_iter().map(|check| format!("{check:?}")));
    for url in [url.replace("://", &format!("://user:{TOKEN}@")), format!("{url}/?token={TOKEN}")] {
        let error = Client::new(&settings(&url)).unwrap_err();
        shown.extend([error.to_string(), format!("{error:?}")]);
    }
    for text in shown {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Double::open();
    let double = Double::open();
    for status_code in [301, 302, 303, 307, 308] {
        let mut client = Client::new(&Influx { api: Api::V3, ..with_token(&double.url(), TOKEN) }).unwrap();
        let place = format!("{}/api/v3/write_lp?db=lp", elsewhere.url());
        double.next(Fault::Answer(Response::new(status_code, "").with("location", place)));
        let answer = write(&mut client, LINE).await;
        assert_eq!(status(&answer), status_code);
        let Decision::Pause { why, mend } = decide("v3", &answer, 1) else { panic!("{answer:?}") };
        assert!(why.contains(&elsewhere.url()), "{why}");
        assert!(mend.contains("influx.url"), "{mend}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_hangs_costs_its_time_limit_and_no_more() {
    let double = Double::open();
    let limit = Duration::from_millis(300);
    let mut client =
        Client::new(&Influx { timeout: limit, api: Api::V3, ..settings(&double.url()) }).unwrap();
    double.next(Fault::Hang);
    let begun = Instant::now();
    let (answer, took) = client.write(LINE).await;
    assert_eq!(step(&answer), FailedStep::Timeout);
    assert!(summary(&answer).contains("0.3 s"), "{}", summary(&answer));
    assert!(took >= limit && took <= begun.elapsed());
    assert!(matches!(decide("v3", &answer, 1), Decision::Retry { .. }));
    assert_eq!(status(&write(&mut client, LINE).await), 204);
}

#[tokio::test]
async fn broken_connections_are_told_apart_from_answers() {
    let double = Double::open();
    let mut client = Client::new(&Influx { api: Api::V3, ..settings(&double.url()) }).unwrap();
    double.next(Fault::Reset);
    assert_eq!(step(&write(&mut client, b"m f=1i 1\n").await), FailedStep::Transfer);
    assert!(double.lines("lp").is_empty());
    double.next(Fault::WriteThenReset);
    assert_eq!(step(&write(&mut client, b"m f=2i 2\n").await), FailedStep::Transfer);
    assert_eq!(double.lines("lp"), ["m f=2i 2"]);
}

#[tokio::test]
async fn a_server_that_is_not_up_yet_is_asked_again() {
    let address = {
        let double = Double::open();
        double.address()
    };
    let mut client = Client::new(&settings(&format!("http://{address}"))).unwrap();
    let answer = write(&mut client, LINE).await;
    assert_eq!((step(&answer), client.api()), (FailedStep::Connect, None));
    assert!(summary(&answer).contains(&address.to_string()), "{}", summary(&answer));
    assert!(matches!(decide("v3", &answer, 1), Decision::Retry { .. }));
    let double = Double::open_at(address);
    assert_eq!(status(&write(&mut client, LINE).await), 204);
    assert_eq!((client.api(), double.lines("lp").len()), (Some("v3"), 1));
}

/// Path of each request so far.
fn paths(double: &Double) -> Vec<String> {
    double.requests().into_iter().map(|request| request.path).collect()
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_is_is_found_by_the_first_write() {
    for (mode, prefix, api, asked) in [
        (Mode::NoPing, "", "v3", &["/ping", "/health", "/api/v3/write_lp"][..]),
        (Mode::WriteOnly, "", "v1", &["/ping", "/health", "/api/v3/write_lp", "/api/v2/write", "/write"]),
        (Mode::LikeVictoriaMetrics, "", "v1", &["/ping", "/health", "/write"]),
        (
            Mode::LikeCluster("/insert/0/influx"),
            "/insert/0/influx",
            "v2",
            &["/ping", "/health", "/api/v3/write_lp", "/api/v2/write"],
        ),
    ] {
        let double = Double::open();
        double.set_mode(mode.clone());
        let mut client = Client::new(&settings(&format!("{}{prefix}/", double.url()))).unwrap();
        assert_eq!(status(&write(&mut client, LINE).await), 204, "{mode:?}");
        assert_eq!(client.api(), Some(api), "{mode:?}");
        let asked: Vec<String> = asked.iter().map(|path| format!("{prefix}{path}")).collect();
        assert_eq!(paths(&double), asked, "{mode:?}");
        // Once found, nothing is asked any more, and nothing was written twice.
        assert_eq!(status(&write(&mut client, b"m,tag=a f=2i 2\n").await), 204);
        assert_eq!(paths(&double).len(), asked.len() + 1);
        assert_eq!(double.lines("lp"), ["m,tag=a f=1i 1", "m,tag=a f=2i 2"]);
        // Asked again, it begins with what it was.
        client.forget_api();
        assert_eq!(status(&write(&mut client, LINE).await), 204);
        let requests = paths(&double);
        assert_eq!(client.api(), Some(api));
        assert_eq!(requests.len(), asked.len() + 1 + 3, "{requests:?}");
    }
}

#[tokio::test]
async fn another_server_in_the_place_of_the_known_one_is_found_by_the_same_write() {
    let double = Double::open();
    let mut client = Client::new(&settings(&double.url())).unwrap();
    for (mode, api) in [
        (Mode::Current, "v3"),
        (Mode::LikeVictoriaMetrics, "v1"),
        (Mode::Current, "v1"),
        (Mode::LikeCluster(""), "v1"),
        (Mode::WriteOnly, "v1"),
    ] {
        double.set_mode(mode.clone());
        assert_eq!(status(&write(&mut client, LINE).await), 204, "{mode:?}");
        assert_eq!(client.api(), Some(api), "{mode:?}");
    }
    assert_eq!(double.lines("lp").len(), 5, "each write is there once");
    // Whoever asks again learns of the better API.
    double.set_mode(Mode::Current);
    client.forget_api();
    assert_eq!((status(&write(&mut client, LINE).await), client.api()), (204, Some("v3")));
}

#[tokio::test]
async fn a_first_write_that_is_refused_by_every_api_says_nothing_of_its_lines() {
    let double = Double::open();
    let mut client = Client::new(&settings(&format!("{}/nowhere", double.url()))).unwrap();
    let answer = write(&mut client, LINE).await;
    assert_eq!((status(&answer), client.api()), (404, None));
    assert!(matches!(decide("v1", &answer, 1), Decision::Pause { .. }));
    assert_eq!(double.requests().len(), 5, "each is tried once");
    // A line that is refused is refused by an API that is there.
    double.set_mode(Mode::NoPing);
    let mut client = Client::new(&settings(&double.url())).unwrap();
    let answer = write(&mut client, b"m,tag=a f=1i 1\nnot a line\n").await;
    assert_eq!((status(&answer), client.api()), (400, Some("v3")));
    assert!(matches!(decide("v3", &answer, 2), Decision::DeliveredExcept(lines) if lines.len() == 1));
    // A wrong token is not tried on one API after the other.
    double.set_token(Some(TOKEN));
    let mut client = Client::new(&with_token(&double.url(), "wrong")).unwrap();
    let before = double.requests().len();
    assert_eq!((status(&write(&mut client, LINE).await), client.api()), (401, None));
    assert_eq!(paths(&double)[before..], ["/ping", "/health", "/api/v3/write_lp"]);
    // A configured API is never departed from.
    let mut client = Client::new(&Influx { api: Api::V2, ..with_token(&double.url(), TOKEN) }).unwrap();
    double.set_mode(Mode::WriteOnly);
    let before = double.requests().len();
    assert_eq!(status(&write(&mut client, LINE).await), 404);
    assert_eq!(paths(&double)[before..], ["/api/v2/write"]);
}

#[tokio::test]
async fn check_says_where_the_first_write_will_find_the_api() {
    let double = Double::open();
    for mode in [Mode::NoPing, Mode::WriteOnly, Mode::LikeVictoriaMetrics] {
        double.set_mode(mode.clone());
        let checks = Client::new(&settings(&double.url())).unwrap().check().await;
        assert!(checks.iter().all(|check| check.ok), "{mode:?}: {checks:?}");
        assert!(checks[0].detail.contains("the first write will tell"), "{mode:?}: {:?}", checks[0]);
    }
    assert!(double.requests().iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn what_proxies_answer_is_kept_short_and_clean() {
    let double = Double::open();
    let mut client = Client::new(&Influx { api: Api::V3, ..settings(&double.url()) }).unwrap();
    let page = format!(
        "<html><head><title>502 Bad Gateway</title></head><body>{}</body></html>",
        "<p>nginx</p>".repeat(50_000)
    );
    double.next(Fault::Answer(Response::new(502, page).with("retry-after", "120")));
    let answer = write(&mut client, LINE).await;
    let Answer::Http { body, retry_after, .. } = &answer else { panic!("{answer:?}") };
    assert_eq!(body.len(), 64 * 1024);
    assert_eq!(*retry_after, Some(Duration::from_mins(2)));
    assert_eq!(summary(&answer), "HTTP 502: 502 Bad Gateway");
    assert_eq!(
        decide("v3", &answer, 1),
        Decision::Retry { after: *retry_after, why: "HTTP 502: 502 Bad Gateway".into() }
    );
}

#[tokio::test]
async fn check_asks_and_never_writes() {
    let double = Double::guarded(TOKEN);
    let states = |checks: &[kvmscope::influx::client::Check]| {
        checks.iter().map(|check| (check.name, check.ok)).collect::<Vec<_>>()
    };
    let mut client = Client::new(&with_token(&double.url(), TOKEN)).unwrap();
    let checks = client.check().await;
    assert_eq!(
        states(&checks),
        [("InfluxDB reachable", true), ("InfluxDB credentials", true), ("InfluxDB database", true)]
    );
    assert!(checks[2].detail.contains("first write creates it"), "{:?}", checks[2]);
    assert!(double.requests().iter().all(|request| request.method == "GET"));
    write(&mut client, LINE).await;
    assert!(client.check().await[2].detail.contains("lp is there"));

    let mut wrong = Client::new(&with_token(&double.url(), "wrong")).unwrap();
    let checks = wrong.check().await;
    assert_eq!(states(&checks), [("InfluxDB credentials", false)]);
    assert!(checks[0].mend.contains("INFLUX_TOKEN"), "{:?}", checks[0]);

    let url = double.url();
    drop(double);
    let mut gone = Client::new(&with_token(&url, TOKEN)).unwrap();
    let checks = gone.check().await;
    assert_eq!(states(&checks), [("InfluxDB reachable", false)]);
    assert!(checks[0].mend.contains("influx.url"), "{:?}", checks[0]);
}
