//! The HTTP client and certificates: an own CA, a client certificate, files
//! that are neither.
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

use double::{Double, certificates};
use kvmscope::{
    config::{Auth, Influx},
    influx::{
        client::Client,
        policy::{Answer, Decision, FailedStep, decide},
    },
};

const LINE: &[u8] = b"m,tag=a f=1i 1\n";

fn settings(url: &str) -> Influx {
    Influx { url: Some(url.to_owned()), db: "lp".into(), auth: Auth::None, ..Influx::default() }
}

async fn write(client: &mut Client) -> Answer {
    client.write(LINE).await.0
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
async fn an_own_ca_and_a_client_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    if !certificates::made_in(directory.path()) {
        skip::skipped("an_own_ca_and_a_client_certificate", "openssl is not installed");
        return;
    }
    let (certificate, key, ca) = (at("server.pem"), at("server.key"), at("ca.pem"));
    let double = Double::encrypted(&double::Tls { certificate: &certificate, key: &key, client_ca: None });
    let trusting = |file: &str| Influx { ca_file: Some(at(file)), ..settings(&double.url()) };
    let mut client = Client::new(&trusting("ca.pem")).unwrap();
    assert_eq!(status(&write(&mut client).await), 204);
    assert_eq!(double.lines("lp").len(), 1);
    for untrusted in [trusting("other.pem"), settings(&double.url())] {
        // Without any CA on the machine the second is refused at once.
        let Ok(mut client) = Client::new(&untrusted) else { continue };
        let answer = write(&mut client).await;
        assert_eq!(step(&answer), FailedStep::Tls, "{answer:?}");
        let Decision::Pause { mend, .. } = decide("v3", &answer, 1) else { panic!("{answer:?}") };
        assert!(mend.contains("influx.ca_file"), "{mend}");
    }
    // http spoken to https, and the other way round: words, no hang.
    let mut client = Client::new(&settings(&double.url().replace("https", "http"))).unwrap();
    assert!(matches!(step(&write(&mut client).await), FailedStep::Transfer | FailedStep::Tls));
    let plain = Double::open();
    let url = format!("https://{}", plain.address());
    let mut client = Client::new(&Influx { ca_file: Some(ca.clone()), ..settings(&url) }).unwrap();
    assert_eq!(step(&write(&mut client).await), FailedStep::Tls);

    let strict =
        Double::encrypted(&double::Tls { certificate: &certificate, key: &key, client_ca: Some(&ca) });
    let base = Influx { ca_file: Some(ca.clone()), ..settings(&strict.url()) };
    let mut anonymous = Client::new(&base).unwrap();
    assert!(matches!(write(&mut anonymous).await, Answer::Failed { .. }));
    let known =
        Influx { client_cert: Some(at("client.pem")), client_key: Some(at("client.key")), ..base.clone() };
    assert_eq!(status(&write(&mut Client::new(&known).unwrap()).await), 204);
    let half = Influx { client_cert: Some(at("client.pem")), ..base.clone() };
    let error = Client::new(&half).unwrap_err().to_string();
    assert!(error.contains("influx.client_cert") && error.contains("influx.client_key"), "{error}");
    let mixed =
        Influx { client_cert: Some(at("client.pem")), client_key: Some(at("other.key")), ..base.clone() };
    let error = Client::new(&mixed).unwrap_err().to_string();
    assert!(error.contains("client.pem") && error.contains("other.key"), "{error}");
}

#[test]
fn a_bad_ca_file_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let garbled = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    for path in [
        directory.path().join("absent.pem"),
        file("empty.pem", ""),
        file("text.pem", "this is no certificate\n"),
        file("garbled.pem", garbled),
        directory.path().to_owned(),
    ] {
        for url in ["https://localhost:1", "http://localhost:1"] {
            let error = Client::new(&Influx { ca_file: Some(path.clone()), ..settings(url) })
                .unwrap_err()
                .to_string();
            assert!(error.contains("influx.ca_file"), "{error}");
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains("name a readable PEM file"), "{error}");
        }
    }
}
