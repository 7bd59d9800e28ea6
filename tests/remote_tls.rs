//! A host behind `qemu+tls://`: the lab's daemon listening on loopback inside
//! the lab's network, with certificates made for the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;
mod same_host;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use lab::{
    guests::Lab,
    program,
    terminal::{Terminal, flowed},
};
use same_host::same_host;
use serde_json::Value;

const PORT: u16 = 16514;
const SIZE: (u16, u16) = (40, 170);

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// An authority in `directory`, as `cacert.pem` and `cakey.pem`.
fn authority(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    openssl(
        directory,
        &format!(
            "req -x509 {KEY} -days 2 -keyout cakey.pem -out cacert.pem -subj /CN=authority \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
        ),
    );
}

/// `{name}key.pem` and `{name}cert.pem` in `directory`, signed by its authority.
fn certificate(directory: &Path, name: &str) {
    let extensions = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n\
                      keyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n";
    std::fs::write(directory.join("extensions"), extensions).unwrap();
    openssl(directory, &format!("req {KEY} -keyout {name}key.pem -out {name}.csr -subj /CN={name}"));
    openssl(
        directory,
        &format!(
            "x509 -req -in {name}.csr -CA cacert.pem -CAkey cakey.pem -CAcreateserial -days 2 \
             -extfile extensions -out {name}cert.pem"
        ),
    );
}

/// kvmscope inside the lab's network, where the daemon listens.
fn words(lab: &Lab) -> Vec<String> {
    vec!["nsenter".into(), format!("--net=/run/netns/{}", lab.network()), program::PATH.into()]
}

fn run(lab: &Lab, home: &Path, arguments: &[&str]) -> Output {
    let words = words(lab);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(arguments);
    for (name, value) in program::environment(home) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().unwrap()
}

fn uri(port: u16, certificates: &Path) -> String {
    format!("qemu+tls://ann@127.0.0.1:{port}/system?pkipath={}", certificates.display())
}

#[test]
fn certificates_open_a_remote_host_and_wrong_ones_are_told() {
    let test = "certificates_open_a_remote_host_and_wrong_ones_are_told";
    if !lab::installed("openssl") {
        return lab::skipped(test, "openssl is not installed (make test installs it)");
    }
    let lab = match Lab::idle(2) {
        Ok(lab) => lab,
        Err(reason) => return lab::skipped(test, &reason),
    };
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good");
    authority(&good);
    certificate(&good, "server");
    certificate(&good, "client");
    let place = good.display();
    // libvirt listens on no address of a machine that has only 127.0.0.1.
    let network = lab.network();
    let added = Command::new("ip")
        .args(["-n", network, "addr", "add", "169.254.77.1/32", "dev", "lo"])
        .status()
        .unwrap();
    assert!(added.success());
    lab.reconfigure_daemon(
        &format!(
            "listen_tls = 1\nlisten_tcp = 0\nlisten_addr = \"127.0.0.1\"\ntls_port = \"{PORT}\"\n\
             auth_tls = \"none\"\nkey_file = \"{place}/serverkey.pem\"\n\
             cert_file = \"{place}/servercert.pem\"\nca_file = \"{place}/cacert.pem\"\n"
        ),
        &["--listen"],
    );

    let home = tempfile::tempdir().unwrap();
    let output = run(&lab, home.path(), &["once", "--json", "--uri", &uri(PORT, &good)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["count"], 2);
    let local = run(&lab, home.path(), &["once", "--json", "--uri", &lab.uri()]);
    same_host(&answer["host"], &serde_json::from_slice::<Value>(&local.stdout).unwrap()["host"]);
    assert!(answer["vms"][0]["cpu_usage_percent"].is_number(), "{answer}");

    // Ours: the server is not who our authority knows.
    let wrong = directory.path().join("wrong");
    authority(&wrong);
    certificate(&wrong, "client");
    // A certificate that our own authority never signed.
    let stranger = directory.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    std::fs::copy(good.join("cacert.pem"), stranger.join("cacert.pem")).unwrap();
    for file in ["clientcert.pem", "clientkey.pem"] {
        std::fs::copy(wrong.join(file), stranger.join(file)).unwrap();
    }
    let none = directory.path().join("none");
    for (port, certificates, words) in [
        (PORT, &wrong, ["verify peer's certificate", "Check the certificates: cacert.pem"]),
        (PORT, &stranger, ["hasn't got a known issuer", "clientcert.pem and clientkey.pem valid"]),
        (PORT, &none, ["Cannot read CA certificate", "pkipath="]),
        (PORT + 1, &good, ["Connection refused", "libvirtd-tls.socket"]),
    ] {
        let uri = uri(port, certificates);
        let output = run(&lab, home.path(), &["check", "--uri", &uri]);
        let said = flowed(&String::from_utf8(output.stdout).unwrap());
        assert_eq!(output.status.code(), Some(1), "{said}");
        for words in words {
            assert!(said.contains(words), "{words:?} is not in: {said}");
        }
        assert!(!said.contains("ann@") && !said.contains("..") && !said.contains("PRIVATE"), "{said}");
        // libvirt's own log would write over the screen.
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let command = self::words(&lab);
        let command: Vec<&str> = command.iter().map(String::as_str).chain(["--uri", &uri]).collect();
        let mut terminal = Terminal::run(home.path(), SIZE, &command, &[]);
        let screen =
            flowed(&terminal.wait("the banner", |screen| screen.contains("LIBVIRT NOT REACHED since")));
        assert!(screen.contains(words[0]), "{screen}");
        assert!(!String::from_utf8_lossy(&terminal.everything()).contains("libvirt version:"));
        terminal.press("q");
        assert!(terminal.wait_for_end().success());
        terminal.is_restored().unwrap();
    }
}
