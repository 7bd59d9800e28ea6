//! Real parts for the integration tests: a libvirtd of its own with real QEMU
//! guests, databases as processes, the program in a pseudo-terminal.
//!
//! Owns starting, waiting for and ending them. It asserts nothing about
//! kvmscope and knows none of its types. A part that cannot run on this machine
//! is reported by [`skipped`] and never passes in silence.

#![allow(dead_code, reason = "each test file uses the parts it needs")]

pub mod database;
pub mod fields;
pub mod guests;
pub mod http;
pub mod port;
pub mod processes;
pub mod program;
pub mod servers;
pub mod skip;
pub mod sshd;
pub mod terminal;
pub mod test_host;

use std::time::{Duration, Instant};

pub use skip::skipped;

/// Whether this is the long form of the tests (`make torture`).
pub fn torture() -> bool {
    std::env::var_os("KVMSCOPE_TORTURE").is_some_and(|value| !value.is_empty())
}

/// Asks until there is an answer, and returns it. Panics with `what` when there
/// is none within `deadline`.
pub fn within<T>(deadline: Duration, what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within_or_say(deadline, || what.to_owned(), ask)
}

/// As [`within`], with words that are made only when the time is up, such as
/// what a log holds then.
pub fn within_or_say<T>(
    deadline: Duration,
    what: impl Fn() -> String,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "not within {deadline:?}: {}", what());
        std::thread::park_timeout(left.min(Duration::from_millis(20)));
    }
}

/// The repository.
pub fn repository() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The URI of the demo host that the repository ships.
pub fn demo_host() -> String {
    format!("test://{}/assets/demo-host.xml", repository().display())
}

/// The URI of a copy of the demo host in `home`: a host of the test's own, so
/// that no other test records it at the same time.
pub fn own_demo_host(home: &std::path::Path) -> String {
    let copy = home.join("demo-host.xml");
    std::fs::copy(repository().join("assets/demo-host.xml"), &copy).unwrap();
    format!("test://{}", copy.display())
}

/// Whether `program` can be started from the `PATH`.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
