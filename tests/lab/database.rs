//! How the databases are started, each with a directory and a loopback port of
//! its own. A test that takes nothing else of the lab takes this file alone:
//! `#[path = "lab/database.rs"] mod database;`.

use std::{net::SocketAddr, path::Path, process::Command};

/// InfluxDB 1.6, which wants users and passwords or nobody's.
pub fn influxd(address: SocketAddr, directory: &Path, passwords: bool) -> Command {
    let path = directory.display();
    let configuration = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:0\"\n\
         [meta]\ndir = \"{path}/meta\"\nlogging-enabled = false\n\
         [data]\ndir = \"{path}/data\"\nwal-dir = \"{path}/wal\"\nquery-log-enabled = false\n\
         [monitor]\nstore-enabled = false\n\
         [http]\nbind-address = \"{address}\"\nlog-enabled = false\nauth-enabled = {passwords}\n"
    );
    let file = directory.join("influxdb.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("influxd");
    command.args(["run", "-config"]).arg(file).env("HOME", directory);
    command
}

/// VictoriaMetrics, which keeps what is sent however old it is.
pub fn victoria_metrics(address: SocketAddr, directory: &Path) -> Command {
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-httpListenAddr={address}"))
        .arg(format!("-storageDataPath={}", directory.join("data").display()))
        .args(["-retentionPeriod=100y", "-memory.allowedBytes=256MiB", "-loggerLevel=ERROR"]);
    command
}
