//! What could not run on this machine. A test file that needs nothing else of
//! the lab takes this file alone: `#[path = "lab/skip.rs"] mod skip;`.

use std::io::Write as _;

/// Says that `test`, or a part of it, did not run on this machine, and why.
///
/// The line goes past the test runner's capture to standard error, and to the
/// file that `make test` lists at its end.
pub fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {}\n", reason.trim().replace('\n', "; "));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("KVMSCOPE_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
