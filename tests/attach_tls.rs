//! Attaching by https to an agent whose certificate somebody made himself, the
//! way most people do, and the ways that have to be refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod agent_process;
mod lab;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use agent_process::Agent;
use lab::terminal::Terminal;

const SIZE: (u16, u16) = (30, 150);

/// Runs `openssl` in `directory`.
fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// As everybody makes one: an authority's, without a host's name; `more` is
/// added to the command.
fn plain(directory: &Path, name: &str, more: &str) -> PathBuf {
    let key = "-newkey rsa:2048 -nodes";
    openssl(
        directory,
        &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -days 9 -subj /CN=localhost{more}"),
    );
    directory.join(format!("{name}.pem"))
}

/// One of the year 2020, an authority's, for itself.
fn expired(directory: &Path) -> PathBuf {
    let config = "[ca]\ndefault_ca=d\n[d]\ndir=.\nnew_certs_dir=.\ndatabase=index\nserial=serial\n\
                  default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n\
                  [e]\nbasicConstraints=critical,CA:TRUE\nsubjectAltName=IP:127.0.0.1\n";
    std::fs::write(directory.join("ca.cnf"), config).unwrap();
    std::fs::write(directory.join("index"), "").unwrap();
    std::fs::write(directory.join("serial"), "01\n").unwrap();
    openssl(directory, "req -new -newkey rsa:2048 -nodes -keyout old.key -out old.csr -subj /CN=localhost");
    openssl(
        directory,
        "ca -config ca.cnf -batch -notext -selfsign -keyfile old.key -in old.csr -out old.pem -startdate \
         20200101000000Z -enddate 20210101000000Z",
    );
    directory.join("old.pem")
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An agent that shows `certificate`.
fn agent(home: &Path, certificate: &Path) -> (Agent, String) {
    let address = free();
    let host = lab::own_demo_host(home);
    let config = home.join("agent.toml");
    std::fs::write(
        &config,
        format!(
            "[agent]\nsocket = \"none\"\nlisten = \"{address}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\n",
            certificate.display(),
            certificate.with_extension("key").display()
        ),
    )
    .unwrap();
    let agent = Agent::start(home, &["--config", config.to_str().unwrap(), "--uri", &host]);
    (agent, format!("https://{address}"))
}

/// A screen that is told to trust `named`.
fn screen(home: &Path, url: &str, named: &Path) -> Terminal {
    let config = home.join("screen.toml");
    std::fs::write(&config, format!("[agent]\nca_file = \"{}\"\n", named.display())).unwrap();
    Terminal::start(home, SIZE, &["--attach", url, "--config", config.to_str().unwrap()], &[])
}

#[test]
fn the_certificate_that_most_people_make_works_where_it_is_named() {
    if !lab::installed("openssl") {
        return lab::skip::skipped("self-made certificates", "openssl is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let right = " -addext subjectAltName=DNS:localhost,IP:127.0.0.1";
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(directory.path(), &format!("req -x509 {ec} -keyout ec.key -out ec.pem -days 9 -subj /CN=hv-07"));
    for certificate in [
        plain(directory.path(), "plain", ""),
        plain(directory.path(), "named", right),
        directory.path().join("ec.pem"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (_agent, url) = agent(home.path(), &certificate);
        let terminal = screen(home.path(), &url, &certificate);
        terminal.wait_for("agent collecting");
    }
}

#[test]
fn a_certificate_of_somebody_elses_or_for_another_host_or_of_long_ago_is_refused_with_what_to_do() {
    if !lab::installed("openssl") {
        return lab::skip::skipped("certificates that are refused", "openssl is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let make = "make one by: openssl req -x509";
    let mine = plain(directory.path(), "mine", "");
    let elsewhere = plain(directory.path(), "elsewhere", " -addext subjectAltName=DNS:hv-08,IP:192.0.2.8");
    let old = expired(directory.path());
    // The same name, and another key: whoever shows it is somebody else.
    let others = plain(directory.path(), "others", "");
    for (shown, named, words) in [
        (&others, &mine, &["no trusted connection: its certificate is self-made", "agent.ca_file"][..]),
        (&elsewhere, &elsewhere, &["not valid for name", "hv-08", make]),
        (&old, &old, &["expired", make]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (_agent, url) = agent(home.path(), shown);
        let mut terminal = screen(home.path(), &url, named);
        terminal.wait_for_words("NO AGENT at");
        terminal.press("c");
        for words in words {
            terminal.wait_for_words(words);
        }
        assert!(!terminal.screen().contains("agent collecting"));
        terminal.press("q");
        terminal.ends_well();
        let log = std::fs::read_to_string(home.path().join("state/kvmscope/kvmscope.log")).unwrap();
        for words in words {
            assert!(log.contains(words), "{words}: {log}");
        }
    }
}
