//! kvmscope itself as a process, cut off from the machine it runs on: its own
//! home, no configuration, no credentials, no proxy, no `KVMSCOPE_*` of the
//! caller.

use std::{path::Path, process::Command};

use super::{installed, skipped};

/// Where the program is.
pub const PATH: &str = env!("CARGO_BIN_EXE_kvmscope");

/// Every variable that kvmscope reads, so that none comes from the caller: a
/// developer's proxy must not get to see what the tests send.
const READ: [&str; 23] = [
    "LIBVIRT_URI",
    "LIBVIRT_TIMEOUT",
    "DEVICE_CACHE_TTL",
    "POLL_INTERVAL",
    "INFLUX_URL",
    "INFLUX_DB",
    "INFLUX_TOKEN",
    "INFLUX_USER",
    "INFLUX_PASSWORD",
    "KVMSCOPE_AGENT_TOKEN",
    "BATCH_MAX_LINES",
    "BATCH_MAX_SEC",
    "MAX_QUEUE",
    "NO_COLOR",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];

/// The environment of one run: name and value; `None` removes.
pub fn environment(home: &Path) -> Vec<(String, Option<String>)> {
    let mut variables: Vec<_> = READ.iter().map(|name| ((*name).to_owned(), None)).collect();
    for (name, directory) in [
        ("HOME", ""),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_RUNTIME_DIR", "run"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CACHE_HOME", "cache"),
    ] {
        let path = home.join(directory);
        std::fs::create_dir_all(&path).unwrap();
        variables.push((name.to_owned(), Some(path.display().to_string())));
    }
    // Looking up a debug build's symbols for each refusal takes seconds. A
    // panic still has its backtrace.
    variables.push(("RUST_LIB_BACKTRACE".to_owned(), Some("0".to_owned())));
    variables
}

/// kvmscope as a command with `home` in place of the user's.
pub fn kvmscope(home: &Path) -> Command {
    let mut command = Command::new(PATH);
    for (name, value) in environment(home) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// An account without any rights, and a home and a kvmscope that it can reach.
pub struct Nobody {
    directory: tempfile::TempDir,
}

impl Nobody {
    const ID: u32 = 65534;

    /// Sets it up; or `None` after saying that `test` is skipped.
    pub fn new(test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path();
        if !installed("setpriv") {
            skipped(test, "setpriv (package util-linux) is not installed");
            return None;
        }
        // Creates what has to be given away.
        drop(environment(home));
        for place in std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path()).chain([home.into()])
        {
            if std::os::unix::fs::chown(place, Some(Self::ID), Some(Self::ID)).is_err() {
                skipped(test, "needs root, to become another user");
                return None;
            }
        }
        // The build directory may be closed to others.
        let program = home.join("kvmscope");
        if std::fs::hard_link(PATH, &program).is_err() {
            std::fs::copy(PATH, &program).unwrap();
        }
        Some(Self { directory })
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    /// What starts kvmscope as this user.
    pub fn words(&self) -> Vec<String> {
        let id = Self::ID;
        let program = self.home().join("kvmscope").display().to_string();
        ["setpriv".into(), format!("--reuid={id}"), format!("--regid={id}"), "--clear-groups".into(), program]
            .into()
    }

    /// kvmscope as a command of this user.
    pub fn kvmscope(&self) -> Command {
        let words = self.words();
        let mut command = kvmscope(self.home());
        let mut as_nobody = Command::new(&words[0]);
        as_nobody.args(&words[1..]).current_dir(self.home());
        for (name, value) in command.env("LC_ALL", "C.UTF-8").get_envs() {
            match value {
                Some(value) => as_nobody.env(name, value),
                None => as_nobody.env_remove(name),
            };
        }
        as_nobody
    }
}
