//! `[agent]`: what it takes, what it refuses, what it warns of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

use std::path::Path;

use kvmscope::config::{Config, ConfigErrors, Environment, Loaded, Overrides, Socket};

fn load(agent: &str) -> Result<Loaded, ConfigErrors> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, format!("[agent]\n{agent}\n")).unwrap();
    let environment = Environment::of([], Some(Path::new("/home/user")), Path::new("/nowhere"));
    Config::load(&Overrides { file: Some(path), ..Overrides::default() }, &environment)
}

#[track_caller]
fn refused(agent: &str, words: &[&str]) {
    let message = load(agent).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{agent}: {word} is not in {message}");
    }
}

#[test]
fn nobody_listens_on_the_network_unless_it_is_said() {
    let agent = load("").unwrap().config.agent;
    assert_eq!((agent.socket, agent.listen), (Socket::Auto, None));
}

#[test]
fn socket_and_address_are_read() {
    let agent = load("socket = \"~/k.sock\"\nlisten = \"[::1]:8642\"").unwrap().config.agent;
    assert_eq!(agent.socket, Socket::At("/home/user/k.sock".into()));
    assert_eq!(agent.listen, Some("[::1]:8642".parse().unwrap()));
    let agent = load("socket = \"none\"\nlisten = \"none\"").unwrap().config.agent;
    assert_eq!((agent.socket, agent.listen), (Socket::Off, None));
}

#[test]
fn what_is_no_socket_and_no_address_is_refused_with_what_is_allowed() {
    refused("socket = \"run/k.sock\"", &["agent.socket", "begins with /", "\"auto\""]);
    for listen in ["8642", "\"8642\"", "\"localhost:8642\"", "\"127.0.0.1\"", "\"127.0.0.1:99999\""] {
        refused(&format!("listen = {listen}"), &["agent.listen", "127.0.0.1:8642"]);
    }
}

#[test]
fn an_address_that_others_reach_needs_a_token_and_should_be_encrypted() {
    for open in ["0.0.0.0:8642", "192.0.2.7:8642", "[::]:8642"] {
        let listen = format!("listen = \"{open}\"");
        refused(&listen, &["agent.listen", "agent.token_file"]);
        let token = format!("{listen}\ntoken_file = \"/etc/kvmscope/token\"");
        let warnings = load(&token).unwrap().warnings;
        assert!(warnings.len() == 1 && warnings[0].contains("agent.tls_cert"), "{warnings:?}");
        let tls = format!("{token}\ntls_cert = \"/c.pem\"\ntls_key = \"/k.pem\"");
        assert_eq!(load(&tls).unwrap().warnings, [] as [&str; 0]);
    }
    assert_eq!(load("listen = \"127.0.0.1:8642\"").unwrap().warnings, [] as [&str; 0]);
}

#[test]
fn half_a_certificate_is_refused() {
    refused("tls_cert = \"/c.pem\"", &["agent.tls_key is not"]);
    refused("tls_key = \"/k.pem\"", &["agent.tls_cert is not"]);
}
