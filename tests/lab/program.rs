//! kvmscope itself as a process, cut off from the machine it runs on: its own
//! home, no configuration, no credentials, no `KVMSCOPE_*` of the caller.

use std::{path::Path, process::Command};

/// Every variable that kvmscope reads, so that none comes from the caller.
const READ: [&str; 13] = [
    "LIBVIRT_URI",
    "LIBVIRT_TIMEOUT",
    "DEVICE_CACHE_TTL",
    "POLL_INTERVAL",
    "INFLUX_URL",
    "INFLUX_DB",
    "INFLUX_TOKEN",
    "INFLUX_USER",
    "INFLUX_PASSWORD",
    "BATCH_MAX_LINES",
    "BATCH_MAX_SEC",
    "MAX_QUEUE",
    "NO_COLOR",
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
    variables
}

/// kvmscope as a command with `home` in place of the user's.
pub fn kvmscope(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvmscope"));
    for (name, value) in environment(home) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}
