//! Through a proxy: named by the configuration or the environment, spoken to
//! in each of its ways, and never told what it need not know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod double;
#[path = "lab/skip.rs"]
mod skip;

use std::time::Duration;

use double::{Double, certificates, proxy::Proxy};
use kvmscope::{
    config::{self, Api, Auth, Influx, SecretSource},
    influx::{
        client::Client,
        policy::{Answer, Decision, FailedStep, decide, summary},
    },
};

const TOKEN: &str = "apiv3_s3cret_token";
const LINE: &[u8] = b"m,tag=a f=1i 1\n";

fn settings(url: &str) -> Influx {
    Influx {
        url: Some(url.to_owned()),
        db: "lp".into(),
        auth: Auth::Token(Some(SecretSource::Environment(TOKEN.into()))),
        timeout: Duration::from_secs(20),
        ..Influx::default()
    }
}

fn through(url: &str, proxy: &str) -> Influx {
    Influx { proxy: config::Proxy::Url(proxy.to_owned()), ..settings(url) }
}

async fn write(settings: &Influx) -> Answer {
    Client::new(settings).unwrap().write(LINE).await.0
}

fn status(answer: &Answer) -> u16 {
    match answer {
        Answer::Http { status, .. } => *status,
        Answer::Failed { .. } => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn a_proxy_of_the_configuration_is_used_for_every_request() {
    let double = Double::guarded(TOKEN);
    for scheme in ["http", "socks5", "socks5h"] {
        let proxy = Proxy::open();
        let url = format!("{scheme}://{}", proxy.address());
        assert_eq!(status(&write(&through(&double.url(), &url)).await), 204, "{scheme}");
        let wanted = proxy.wanted();
        assert!(!wanted.is_empty(), "{scheme}");
        assert!(wanted.iter().all(|place| *place == double.address().to_string()), "{scheme}: {wanted:?}");
        // Without encryption to the server there is none before it.
        assert!(proxy.has_seen("/ping") && proxy.has_seen("/api/v3/write_lp"), "{scheme}");
    }
    assert_eq!(double.lines("lp").len(), 3);
}

#[tokio::test]
async fn to_an_encrypted_server_the_proxy_sees_an_address_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    if !certificates::made_in(directory.path()) {
        skip::skipped("to_an_encrypted_server_the_proxy_sees_an_address", "openssl is not installed");
        return;
    }
    let (certificate, key) = (at("server.pem"), at("server.key"));
    let double = Double::encrypted(&double::Tls { certificate: &certificate, key: &key, client_ca: None });
    double.set_token(Some(TOKEN));
    for scheme in ["http", "socks5"] {
        let proxy = Proxy::open();
        let url = format!("{scheme}://{}", proxy.address());
        let settings = Influx { ca_file: Some(at("ca.pem")), ..through(&double.url(), &url) };
        assert_eq!(status(&write(&settings).await), 204, "{scheme}");
        assert_eq!(proxy.wanted(), [double.address().to_string()], "{scheme}");
        // None so short that it stands in what is encrypted by chance.
        for secret in [TOKEN, "Bearer", "authorization", "Authorization", "m,tag=a", "write_lp"] {
            assert!(!proxy.has_seen(secret), "{scheme}: the proxy sees {secret}");
        }
        // A certificate of the proxy's own choice would be needed to read it.
        let settings = Influx { ca_file: Some(at("other.pem")), ..settings };
        let answer = write(&settings).await;
        assert!(matches!(answer, Answer::Failed { step: FailedStep::Tls, .. }), "{answer:?}");
    }
    assert_eq!(double.lines("lp").len(), 2);
}

#[tokio::test]
async fn a_proxy_that_is_itself_encrypted_is_trusted_by_the_same_ca() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    if !certificates::made_in(directory.path()) {
        skip::skipped("a_proxy_that_is_itself_encrypted", "openssl is not installed");
        return;
    }
    let (certificate, key) = (at("server.pem"), at("server.key"));
    let tls = double::Tls { certificate: &certificate, key: &key, client_ca: None };
    for double in [Double::open(), Double::encrypted(&tls)] {
        let proxy = Proxy::encrypted(&tls);
        let url = format!("https://{}", proxy.address());
        let settings = Influx { ca_file: Some(at("ca.pem")), ..through(&double.url(), &url) };
        assert_eq!(status(&write(&settings).await), 204, "{}", double.url());
        assert!(proxy.wanted().contains(&double.address().to_string()), "{:?}", proxy.wanted());
        assert_eq!(proxy.has_seen(TOKEN), double.url().starts_with("http:"));
        let settings = Influx { ca_file: Some(at("other.pem")), ..settings };
        let answer = write(&settings).await;
        assert!(matches!(answer, Answer::Failed { step: FailedStep::Tls, .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_down_or_asks_for_credentials_is_named() {
    let double = Double::open();
    let gone = Proxy::open().address();
    for url in [double.url(), double.url().replace("http", "https")] {
        let proxy = format!("http://{gone}");
        let mut client = Client::new(&through(&url, &proxy)).unwrap();
        let answer = client.write(LINE).await.0;
        assert!(matches!(decide("v3", &answer, 1), Decision::Retry { .. }), "{answer:?}");
        assert!(summary(&answer).contains(&gone.to_string()), "{}", summary(&answer));
        let checks = client.check().await;
        assert!(!checks[0].ok && checks[0].detail.contains(&gone.to_string()), "{:?}", checks[0]);

        let demanding = Proxy::demanding();
        let answer = write(&through(&url, &format!("http://{}", demanding.address()))).await;
        assert_eq!(status(&answer), 407, "{url}");
        let Decision::Pause { mend, .. } = decide("v3", &answer, 1) else { panic!("{answer:?}") };
        assert!(mend.contains("influx.proxy") && mend.contains("HTTPS_PROXY"), "{mend}");
        assert_eq!(demanding.has_seen(TOKEN), url.starts_with("http:"), "{url}");
    }
    assert!(double.lines("lp").is_empty());
}

#[test]
fn a_proxy_with_credentials_is_refused_without_repeating_them() {
    for proxy in ["http://me:hunter2@proxy:1", "http://hunter2@proxy", "ftp://hunter2", "http://p/?x=hunter2"]
    {
        let error = Client::new(&through("http://db.example", proxy)).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(error.to_string().contains("influx.proxy"), "{error}");
    }
}

/// The environment cannot be changed within a test, so this one runs as a
/// process of its own, started by the tests below.
#[tokio::test]
#[ignore = "run by the tests of the environment"]
async fn in_an_environment() {
    let proxy = match std::env::var("TEST_PROXY").as_deref() {
        Ok("none") => config::Proxy::Direct,
        Ok("auto") => config::Proxy::Environment,
        Ok(url) => config::Proxy::Url(url.into()),
        Err(_) => return,
    };
    let url = std::env::var("TEST_URL").unwrap();
    let mut client = Client::new(&Influx { api: Api::V3, proxy, ..settings(&url) }).unwrap();
    let (answer, _) = client.write(LINE).await;
    println!("{client:?} {answer:?}");
    println!("answered {}", status(&answer));
}

/// What it prints with this proxy configured and these variables set.
fn run(url: &str, configured: &str, variables: &[(&str, String)]) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "in_an_environment", "--ignored", "--nocapture"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.env("TEST_URL", url).env("TEST_PROXY", configured).envs(variables.iter().cloned());
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_environments_proxy_counts_unless_the_configuration_says_otherwise() {
    let double = Double::open();
    let url = double.url();
    let (environments, configured) = (Proxy::open(), Proxy::open());
    let names = |proxy: &Proxy| format!("http://{}", proxy.address());
    let variables = [("HTTP_PROXY", names(&environments))];
    let used = || (environments.wanted().len(), configured.wanted().len());
    for (setting, variables, expected) in [
        ("auto", &variables[..], (1, 0)),
        ("auto", &[("ALL_PROXY", format!("socks5://{}", environments.address()))], (2, 0)),
        ("auto", &[("HTTP_PROXY", names(&environments)), ("NO_PROXY", "127.0.0.1".into())], (2, 0)),
        ("none", &variables, (2, 0)),
        (&names(&configured), &variables, (2, 1)),
        (&names(&configured), &[("NO_PROXY", "127.0.0.1".into())], (2, 2)),
    ] {
        let said = run(&url, setting, variables);
        assert!(said.contains("answered 204"), "{setting} {variables:?}: {said}");
        assert_eq!(used(), expected, "{setting} {variables:?}");
    }
    assert_eq!(double.lines("lp").len(), 6);
}

#[test]
fn credentials_of_a_proxy_in_the_environment_are_used_and_shown_nowhere() {
    let double = Double::open();
    let proxy = Proxy::open();
    let named = format!("http://me:hunter2@{}", proxy.address());
    let said = run(&double.url(), "auto", &[("HTTP_PROXY", named)]);
    assert!(said.contains("answered 204"), "{said}");
    assert!(proxy.has_seen("Basic bWU6aHVudGVyMg=="), "{}", String::from_utf8_lossy(&proxy.seen()));
    for secret in ["hunter2", "bWU6aHVudGVyMg", TOKEN] {
        assert!(!said.contains(secret), "{said}");
    }
}
