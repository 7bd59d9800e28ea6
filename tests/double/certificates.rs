//! Certificates for encrypted doubles, made by `openssl`.

use std::path::Path;

/// Makes in `directory` a CA (`ca.pem`), a server certificate for localhost
/// (`server.pem`) and a client's (`client.pem`), each with its `.key`;
/// `other.pem` is a CA that signed neither. False when openssl is not installed.
pub fn made_in(directory: &Path) -> bool {
    std::fs::write(directory.join("san"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    ["ca", "other"].iter().all(|name| {
        openssl(directory, &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}"))
    }) && ["server", "client"].iter().all(|name| {
        openssl(directory, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"))
            && openssl(
                directory,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile san"
                ),
            )
    })
}

/// Runs `openssl` in `directory`; false when it is not installed.
fn openssl(directory: &Path, arguments: &str) -> bool {
    let arguments: Vec<_> = arguments.split(' ').collect();
    match std::process::Command::new("openssl").args(&arguments).current_dir(directory).output() {
        Ok(output) => {
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(_) => false,
    }
}
