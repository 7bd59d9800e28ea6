//! **The one table of keys.** Loader, `config.example.toml`, `kvmscope
//! config`, the flags of the command line and the manual page follow it.

use std::time::Duration;

use super::{
    Api, MissingPolicy, Theme,
    draft::Scheme,
    environment::Environment,
    key::{Key, key},
    shape::Shape::{
        BaseUrl, Bytes, BytesPerSecond, Count, Flag, Number, Path, Secret, Span, Tags, Text, Word,
    },
};
use crate::model::AngleMode;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// Names of all sections, in the order of the table.
#[must_use]
pub fn sections() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = KEYS.iter().map(Key::section).collect();
    names.dedup();
    names
}

/// Every key there is.
pub static KEYS: &[Key] = &[
    key(
        "libvirt.uri",
        "\"qemu:///system\"",
        "libvirt connection, opened read-only. test:///default is libvirt's built-in test host.",
        Text {
            least: 1,
            most: 1024,
            set: |d, v| d.config.libvirt.uri = v,
            get: |d| super::url::masked(&d.config.libvirt.uri),
        },
    )
    .env("LIBVIRT_URI")
    .flag("--uri")
    .hushed(),
    key(
        "libvirt.timeout",
        "\"30 s\"",
        "Patience with connecting and with single questions. Readings have far shorter deadlines.",
        Span {
            least: ms(100),
            most: ms(600 * SECOND),
            set: |d, v| d.config.libvirt.timeout = v,
            get: |d| d.config.libvirt.timeout,
        },
    )
    .env("LIBVIRT_TIMEOUT"),
    key(
        "libvirt.device_cache_ttl",
        "\"5 m\"",
        "How long a VM's device list is used at most. Changes refresh it at once.",
        Span {
            least: ms(SECOND),
            most: ms(DAY),
            set: |d, v| d.config.libvirt.device_cache_ttl = v,
            get: |d| d.config.libvirt.device_cache_ttl,
        },
    )
    .env("DEVICE_CACHE_TTL"),
    key(
        "libvirt.max_parallel",
        "\"auto\"",
        "Lists of VMs read at once. \"auto\": one more than the host has cores, at most 5.",
        Count {
            least: 1,
            most: 5,
            auto: Some(|| super::Libvirt::default().max_parallel),
            set: |d, v| d.config.libvirt.max_parallel = v,
            get: |d| d.config.libvirt.max_parallel,
        },
    ),
    key(
        "libvirt.max_stuck_calls",
        "8",
        "Calls that may hang in libvirtd at once. libvirtd has 20 workers for everybody.",
        Count {
            least: 1,
            most: 15,
            auto: None,
            set: |d, v| d.config.libvirt.max_stuck_calls = v,
            get: |d| d.config.libvirt.max_stuck_calls,
        },
    ),
    key(
        "collector.poll_interval",
        "\"1 s\"",
        "Time from one reading of all VMs to the next.",
        Span {
            least: ms(200),
            most: ms(HOUR),
            set: |d, v| d.config.collector.poll_interval = v,
            get: |d| d.config.collector.poll_interval,
        },
    )
    .env("POLL_INTERVAL")
    .flag("--poll-interval"),
    key(
        "record.missing",
        "\"zero\"",
        "A statistic that a VM can never give: written as 0 (\"zero\") or left out (\"omit\").",
        Word {
            words: &["zero", "omit"],
            set: |d, v| {
                d.config.record.missing =
                    if v == "omit" { MissingPolicy::Omit } else { MissingPolicy::Zero };
            },
            get: |d| match d.config.record.missing {
                MissingPolicy::Zero => "zero",
                MissingPolicy::Omit => "omit",
            },
        },
    ),
    key(
        "influx.url",
        "\"none\"",
        "Base URL of the database. \"none\": record on this machine only. Never with a user, password or token.",
        BaseUrl { set: |d, v| d.config.influx.url = v, get: |d| d.config.influx.url.as_deref() },
    )
    .env("INFLUX_URL")
    .flag("--influx-url")
    .hushed(),
    key(
        "influx.db",
        "\"vmstats\"",
        "Database (InfluxDB 3 and 1) or bucket (2).",
        Text {
            least: 1,
            most: 255,
            set: |d, v| d.config.influx.db = v,
            get: |d| d.config.influx.db.clone(),
        },
    )
    .env("INFLUX_DB")
    .flag("--influx-db"),
    key(
        "influx.token",
        "",
        "The token itself. Never in this file: set INFLUX_TOKEN, or name a file in token_file.",
        Secret {
            instead: "set INFLUX_TOKEN, or put it into a file that only you can read and name that in influx.token_file",
            set: |d, v| d.token = Some(v),
            is_set: |d| d.token.is_some(),
        },
    )
    .env("INFLUX_TOKEN")
    .hushed(),
    key(
        "influx.token_file",
        "\"none\"",
        "File that holds the token alone. INFLUX_TOKEN goes before it.",
        Path { auto: None, set: |d, v| d.token_file = v, get: |d| d.token_file.as_deref() },
    )
    .hushed(),
    key(
        "influx.user",
        "\"\"",
        "User for auth = \"basic\".",
        Text { least: 0, most: 255, set: |d, v| d.user = v, get: |d| d.user.clone() },
    )
    .env("INFLUX_USER")
    .hushed(),
    key(
        "influx.password",
        "",
        "The password itself. Never in this file: set INFLUX_PASSWORD, or name a file in password_file.",
        Secret {
            instead: "set INFLUX_PASSWORD, or put it into a file that only you can read and name that in influx.password_file",
            set: |d, v| d.password = Some(v),
            is_set: |d| d.password.is_some(),
        },
    )
    .env("INFLUX_PASSWORD")
    .hushed(),
    key(
        "influx.password_file",
        "\"none\"",
        "File that holds the password alone. INFLUX_PASSWORD goes before it.",
        Path { auto: None, set: |d, v| d.password_file = v, get: |d| d.password_file.as_deref() },
    )
    .hushed(),
    key(
        "influx.auth",
        "\"token\"",
        "How to sign in.",
        Word {
            words: &["token", "basic", "none"],
            set: |d, v| {
                d.scheme = match v {
                    "basic" => Scheme::Basic,
                    "none" => Scheme::None,
                    _ => Scheme::Token,
                };
            },
            get: |d| match d.scheme {
                Scheme::Token => "token",
                Scheme::Basic => "basic",
                Scheme::None => "none",
            },
        },
    )
    .hushed(),
    key(
        "influx.api",
        "\"auto\"",
        "Which write API: v3 (/api/v3/write_lp), v2 (/api/v2/write), v1 (/write). \"auto\" asks the server.",
        Word {
            words: &["auto", "v3", "v2", "v1"],
            set: |d, v| {
                d.config.influx.api = match v {
                    "v3" => Api::V3,
                    "v2" => Api::V2,
                    "v1" => Api::V1,
                    _ => Api::Auto,
                };
            },
            get: |d| match d.config.influx.api {
                Api::Auto => "auto",
                Api::V3 => "v3",
                Api::V2 => "v2",
                Api::V1 => "v1",
            },
        },
    ),
    key(
        "influx.org",
        "\"\"",
        "Organisation, for the v2 API only.",
        Text {
            least: 0,
            most: 255,
            set: |d, v| d.config.influx.org = v,
            get: |d| d.config.influx.org.clone(),
        },
    ),
    key(
        "influx.ca_file",
        "\"none\"",
        "CA certificate (PEM) to trust in place of the system's.",
        Path {
            auto: None,
            set: |d, v| d.config.influx.ca_file = v,
            get: |d| d.config.influx.ca_file.as_deref(),
        },
    ),
    key(
        "influx.client_cert",
        "\"none\"",
        "Client certificate (PEM), together with client_key.",
        Path {
            auto: None,
            set: |d, v| d.config.influx.client_cert = v,
            get: |d| d.config.influx.client_cert.as_deref(),
        },
    ),
    key(
        "influx.client_key",
        "\"none\"",
        "Key of the client certificate (PEM).",
        Path {
            auto: None,
            set: |d, v| d.config.influx.client_key = v,
            get: |d| d.config.influx.client_key.as_deref(),
        },
    )
    .hushed(),
    key(
        "influx.timeout",
        "\"30 s\"",
        "Longest a whole request may take.",
        Span {
            least: ms(100),
            most: ms(600 * SECOND),
            set: |d, v| d.config.influx.timeout = v,
            get: |d| d.config.influx.timeout,
        },
    ),
    key(
        "influx.connect_timeout",
        "\"5 s\"",
        "Longest that connecting may take.",
        Span {
            least: ms(100),
            most: ms(600 * SECOND),
            set: |d, v| d.config.influx.connect_timeout = v,
            get: |d| d.config.influx.connect_timeout,
        },
    ),
    key(
        "influx.gzip",
        "true",
        "Compress what is sent.",
        Flag { set: |d, v| d.config.influx.gzip = v, get: |d| d.config.influx.gzip },
    ),
    key(
        "influx.tags",
        "{}",
        "Further tags on every line, such as { host = \"hv-07\" } for several hosts in one database.",
        Tags { set: |d, v| d.config.influx.tags = v, get: |d| &d.config.influx.tags },
    )
    .hushed(),
    key(
        "influx.batch_max_lines",
        "2000",
        "Most lines in one request; never over 8 MiB before compression.",
        Count {
            least: 1,
            most: 100_000,
            auto: None,
            set: |d, v| d.config.influx.batch_max_lines = v,
            get: |d| d.config.influx.batch_max_lines,
        },
    )
    .env("BATCH_MAX_LINES"),
    key(
        "influx.batch_max_sec",
        "\"1 s\"",
        "Longest a line waits for its batch to fill.",
        Span {
            least: ms(10),
            most: ms(HOUR),
            set: |d, v| d.config.influx.batch_max_sec = v,
            get: |d| d.config.influx.batch_max_sec,
        },
    )
    .env("BATCH_MAX_SEC"),
    key(
        "influx.max_queue",
        "20000",
        "Lines held in memory while the local record cannot take them, or is off. Beyond: oldest dropped, counted.",
        Count {
            least: 1,
            most: 10_000_000,
            auto: None,
            set: |d, v| d.config.influx.max_queue = v,
            get: |d| d.config.influx.max_queue,
        },
    )
    .env("MAX_QUEUE"),
    key(
        "store.path",
        "\"auto\"",
        "Directory of the local record. \"auto\": $XDG_STATE_HOME/kvmscope, else ~/.local/state/kvmscope. \"none\": no local record.",
        Path {
            auto: Some(Environment::state_directory),
            set: |d, v| d.config.store.path = v,
            get: |d| d.config.store.path.as_deref(),
        },
    ),
    key(
        "store.max_bytes",
        "\"1 GiB\"",
        "Most the local record takes on disk.",
        Bytes {
            least: MIB,
            most: 16 * TIB,
            set: |d, v| d.config.store.max_bytes = v,
            get: |d| d.config.store.max_bytes,
        },
    ),
    key(
        "store.max_age",
        "\"7 days\"",
        "Oldest cycle the local record keeps.",
        Span {
            least: ms(60 * SECOND),
            most: ms(3650 * DAY),
            set: |d, v| d.config.store.max_age = v,
            get: |d| d.config.store.max_age,
        },
    ),
    key(
        "store.min_free",
        "\"512 MiB\"",
        "Space of the file system that the local record never uses.",
        Bytes {
            least: 0,
            most: 16 * TIB,
            set: |d, v| d.config.store.min_free = v,
            get: |d| d.config.store.min_free,
        },
    ),
    key(
        "store.full_resolution",
        "\"6 h\"",
        "How long every cycle is kept. Older ones, once delivered, are thinned to one in ten seconds.",
        Span {
            least: ms(60 * SECOND),
            most: ms(3650 * DAY),
            set: |d, v| d.config.store.full_resolution = v,
            get: |d| d.config.store.full_resolution,
        },
    ),
    key(
        "angle.mode",
        "\"scaled\"",
        "Angles against the references below (\"scaled\"), or against 1 (\"raw\": ns, KiB or bytes per second).",
        Word {
            words: &["scaled", "raw"],
            set: |d, v| {
                d.config.angle.mode = if v == "raw" { AngleMode::Raw } else { AngleMode::Scaled };
            },
            get: |d| match d.config.angle.mode {
                AngleMode::Scaled => "scaled",
                AngleMode::Raw => "raw",
            },
        },
    ),
    key(
        "angle.cpu",
        "1.0",
        "Part of a VM's vCPUs busy that reads 45 degrees; 1.0 is all of them.",
        Number {
            least: 0.001,
            most: 1000.0,
            set: |d, v| d.config.angle.cpu = v,
            get: |d| d.config.angle.cpu,
        },
    ),
    key(
        "angle.memory",
        "\"1 MiB\"",
        "Growth of memory in use, per second, that reads 45 degrees.",
        BytesPerSecond { set: |d, v| d.config.angle.memory = v, get: |d| d.config.angle.memory },
    ),
    key(
        "angle.disk",
        "\"10 MiB\"",
        "Disk traffic, per second and direction, that reads 45 degrees.",
        BytesPerSecond { set: |d, v| d.config.angle.disk = v, get: |d| d.config.angle.disk },
    ),
    key(
        "angle.network",
        "\"10 MiB\"",
        "Network traffic, per second and direction, that reads 45 degrees.",
        BytesPerSecond { set: |d, v| d.config.angle.network = v, get: |d| d.config.angle.network },
    ),
    key(
        "screen.theme",
        "\"dark\"",
        "Colours: for dark or light backgrounds, safe for colour-blind eyes, or none. NO_COLOR means mono.",
        Word {
            words: &["dark", "light", "safe", "mono"],
            set: |d, v| {
                d.config.screen.theme = match v {
                    "light" => Theme::Light,
                    "safe" => Theme::Safe,
                    "mono" => Theme::Mono,
                    _ => Theme::Dark,
                };
            },
            get: |d| match d.config.screen.theme {
                Theme::Dark => "dark",
                Theme::Light => "light",
                Theme::Safe => "safe",
                Theme::Mono => "mono",
            },
        },
    )
    .flag("--theme"),
    key(
        "screen.ascii",
        "false",
        "Draw with ASCII characters only.",
        Flag { set: |d, v| d.config.screen.ascii = v, get: |d| d.config.screen.ascii },
    )
    .flag("--ascii"),
    key(
        "screen.mouse",
        "false",
        "React to the mouse from the start; m switches it.",
        Flag { set: |d, v| d.config.screen.mouse = v, get: |d| d.config.screen.mouse },
    ),
    key(
        "screen.warn_percent",
        "70.0",
        "CPU or memory percentage from which a value is shown as a warning.",
        Number {
            least: 0.0,
            most: 100.0,
            set: |d, v| d.config.screen.warn_percent = v,
            get: |d| d.config.screen.warn_percent,
        },
    ),
    key(
        "screen.critical_percent",
        "90.0",
        "Percentage from which it is shown as critical.",
        Number {
            least: 0.0,
            most: 100.0,
            set: |d, v| d.config.screen.critical_percent = v,
            get: |d| d.config.screen.critical_percent,
        },
    ),
    key(
        "screen.history_cycles",
        "3600",
        "Cycles of degrees kept per VM for the sparklines.",
        Count {
            least: 10,
            most: 100_000,
            auto: None,
            set: |d, v| d.config.screen.history_cycles = v,
            get: |d| d.config.screen.history_cycles,
        },
    ),
    key(
        "log.level",
        "\"info\"",
        "How much the log says.",
        Word {
            words: &["error", "warn", "info", "debug", "trace"],
            set: |d, v| d.config.log.level = v.parse().unwrap_or(tracing::Level::INFO),
            get: |d| match d.config.log.level {
                tracing::Level::ERROR => "error",
                tracing::Level::WARN => "warn",
                tracing::Level::INFO => "info",
                tracing::Level::DEBUG => "debug",
                tracing::Level::TRACE => "trace",
            },
        },
    )
    .flag("--log-level"),
];
