//! **The one table of keys.** Loader, `config.example.toml`, `kvmscope
//! config`, the flags of the command line and the manual page follow it.

use std::time::Duration;

use super::{
    Api, Colours, Depth, MissingPolicy, Theme,
    draft::Scheme,
    environment::Environment,
    key::{Key, key},
    shape::Shape::{
        Address, BaseUrl, Bytes, BytesPerSecond, Count, Flag, Number, Path, ProxyUrl, Secret, Socket, Span,
        Tags, Text, Word,
    },
};
use crate::model::AngleMode;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Names of all sections, in the order of the table.
#[must_use]
pub fn sections() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = KEYS.iter().map(Key::section).collect();
    names.dedup();
    names
}

/// A value within bounds: the way in and the way out are the same field.
macro_rules! within {
    ($shape:ident, $($field:ident).+, $least:expr, $most:expr) => {
        $shape { least: $least, most: $most, set: |d, v| d.$($field).+ = v, get: |d| d.$($field).+ }
    };
}

macro_rules! count {
    ($($field:ident).+, $least:expr, $most:expr, $auto:expr) => {
        Count { least: $least, most: $most, auto: $auto, set: |d, v| d.$($field).+ = v, get: |d| d.$($field).+ }
    };
}

macro_rules! plain {
    ($shape:ident, $($field:ident).+) => {
        $shape { set: |d, v| d.$($field).+ = v, get: |d| d.$($field).+ }
    };
}

macro_rules! text {
    ($($field:ident).+, $least:expr, $most:expr) => {
        Text { least: $least, most: $most, set: |d, v| d.$($field).+ = v, get: |d| d.$($field).+.clone() }
    };
}

macro_rules! path {
    ($($field:ident).+, $auto:expr) => {
        Path { auto: $auto, set: |d, v| d.$($field).+ = v, get: |d| d.$($field).+.as_deref() }
    };
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
        within!(Span, config.libvirt.timeout, ms(100), ms(600 * SECOND)),
    )
    .env("LIBVIRT_TIMEOUT"),
    key(
        "libvirt.device_cache_ttl",
        "\"5 m\"",
        "How long a VM's device list is used at most. Changes refresh it at once.",
        within!(Span, config.libvirt.device_cache_ttl, ms(SECOND), ms(DAY)),
    )
    .env("DEVICE_CACHE_TTL"),
    key(
        "libvirt.max_parallel",
        "\"auto\"",
        "Lists of VMs read at once. \"auto\": one more than this machine has cores, at most 5.",
        count!(config.libvirt.max_parallel, 1, 5, Some(|| super::Libvirt::default().max_parallel)),
    ),
    key(
        "libvirt.max_stuck_calls",
        "8",
        "Calls that may hang in libvirtd at once, those left by earlier runs included. It has 20 workers for everybody.",
        count!(config.libvirt.max_stuck_calls, 1, 15, None),
    ),
    key(
        "collector.poll_interval",
        "\"1 s\"",
        "Time from one reading of all VMs to the next.",
        within!(Span, config.collector.poll_interval, ms(200), ms(HOUR)),
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
        text!(config.influx.db, 1, 255),
    )
    .env("INFLUX_DB")
    .flag("--influx-db"),
    key(
        "influx.token",
        "",
        "The token itself. Never in the file: set INFLUX_TOKEN, or name a file in token_file.",
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
        path!(token_file, None),
    )
    .hushed(),
    key(
        "influx.user",
        "\"\"",
        "User for auth = \"basic\".",
        text!(user, 0, 255),
    )
    .env("INFLUX_USER")
    .hushed(),
    key(
        "influx.password",
        "",
        "The password itself. Never in the file: set INFLUX_PASSWORD, or name a file in password_file.",
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
        path!(password_file, None),
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
        text!(config.influx.org, 0, 255),
    ),
    key(
        "influx.ca_file",
        "\"none\"",
        "CA certificate (PEM) to trust in place of the system's.",
        path!(config.influx.ca_file, None),
    ),
    key(
        "influx.client_cert",
        "\"none\"",
        "Client certificate (PEM), together with client_key.",
        path!(config.influx.client_cert, None),
    ),
    key(
        "influx.client_key",
        "\"none\"",
        "Key of the client certificate (PEM).",
        path!(config.influx.client_key, None),
    )
    .hushed(),
    key(
        "influx.proxy",
        "\"auto\"",
        "Proxy on the way to the database. \"auto\": HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the environment; \"none\": none, whatever they say.",
        ProxyUrl { set: |d, v| d.config.influx.proxy = v, get: |d| &d.config.influx.proxy },
    )
    .hushed(),
    key(
        "influx.timeout",
        "\"30 s\"",
        "Longest a whole request may take.",
        within!(Span, config.influx.timeout, ms(100), ms(600 * SECOND)),
    ),
    key(
        "influx.connect_timeout",
        "\"5 s\"",
        "Longest that connecting may take.",
        within!(Span, config.influx.connect_timeout, ms(100), ms(600 * SECOND)),
    ),
    key(
        "influx.gzip",
        "true",
        "Compress what is sent.",
        plain!(Flag, config.influx.gzip),
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
        count!(config.influx.batch_max_lines, 1, 100_000, None),
    )
    .env("BATCH_MAX_LINES"),
    key(
        "influx.batch_max_sec",
        "\"1 s\"",
        "Longest a line waits for its batch to fill.",
        within!(Span, config.influx.batch_max_sec, ms(10), ms(HOUR)),
    )
    .env("BATCH_MAX_SEC"),
    key(
        "influx.max_queue",
        "20000",
        "Lines held in memory while the local record cannot take them, or is off. Beyond: oldest dropped, counted.",
        count!(config.influx.max_queue, 1, 10_000_000, None),
    )
    .env("MAX_QUEUE"),
    key(
        "store.path",
        "\"auto\"",
        "Directory of the local record. \"auto\": $XDG_STATE_HOME/kvmscope, else ~/.local/state/kvmscope. \"none\": no local record.",
        path!(config.store.path, Some(Environment::state_directory)),
    ),
    key(
        "store.max_bytes",
        "\"1 GiB\"",
        "Most the local record takes on disk. The newest one set aside as damaged is kept beside it for store.max_age.",
        within!(Bytes, config.store.max_bytes, MIB, 16 * TIB),
    ),
    key(
        "store.max_age",
        "\"7 days\"",
        "Oldest cycle the local record keeps.",
        within!(Span, config.store.max_age, ms(60 * SECOND), ms(3650 * DAY)),
    ),
    key(
        "store.min_free",
        "\"512 MiB\"",
        "Space of the file system that the local record never uses.",
        within!(Bytes, config.store.min_free, 0, 16 * TIB),
    ),
    key(
        "store.full_resolution",
        "\"6 h\"",
        "How long every cycle is kept. Older ones, once delivered, are thinned to one in ten seconds.",
        within!(Span, config.store.full_resolution, ms(60 * SECOND), ms(3650 * DAY)),
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
        within!(Number, config.angle.cpu, 0.001, 1000.0),
    ),
    key(
        "angle.memory",
        "\"1 MiB\"",
        "Growth of memory in use, per second, that reads 45 degrees.",
        plain!(BytesPerSecond, config.angle.memory),
    ),
    key(
        "angle.disk",
        "\"10 MiB\"",
        "Disk traffic, per second and direction, that reads 45 degrees.",
        plain!(BytesPerSecond, config.angle.disk),
    ),
    key(
        "angle.network",
        "\"10 MiB\"",
        "Network traffic, per second and direction, that reads 45 degrees.",
        plain!(BytesPerSecond, config.angle.network),
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
        "screen.colours",
        "\"auto\"",
        "How many colours. \"auto\" is what the terminal shows by its TERM and COLORTERM: 256, 16 or none. \
         \"truecolor\" sends the same colours in more bytes, for terminals that give the 256 a look of their own.",
        Word {
            words: &["auto", "truecolor", "256", "16", "none"],
            set: |d, v| {
                d.config.screen.colours = match v {
                    "truecolor" => Colours::Of(Depth::Truecolor),
                    "256" => Colours::Of(Depth::Indexed),
                    "16" => Colours::Of(Depth::Sixteen),
                    "none" => Colours::Of(Depth::None),
                    _ => Colours::Auto,
                };
            },
            get: |d| match d.config.screen.colours {
                Colours::Auto => "auto",
                Colours::Of(Depth::Truecolor) => "truecolor",
                Colours::Of(Depth::Indexed) => "256",
                Colours::Of(Depth::Sixteen) => "16",
                Colours::Of(Depth::None) => "none",
            },
        },
    ),
    key(
        "screen.ascii",
        "false",
        "Draw with ASCII characters only. A locale (LC_ALL, LC_CTYPE, LANG) that is not UTF-8 means true.",
        plain!(Flag, config.screen.ascii),
    )
    .flag("--ascii"),
    key(
        "screen.mouse",
        "false",
        "React to the mouse from the start; m switches it.",
        plain!(Flag, config.screen.mouse),
    ),
    key(
        "screen.warn_percent",
        "70.0",
        "CPU or memory percentage from which a value is shown as a warning.",
        within!(Number, config.screen.warn_percent, 0.0, 100.0),
    ),
    key(
        "screen.critical_percent",
        "90.0",
        "Percentage from which it is shown as critical.",
        within!(Number, config.screen.critical_percent, 0.0, 100.0),
    ),
    key(
        "screen.history_cycles",
        "3600",
        "Cycles of degrees kept per VM for the sparklines.",
        count!(config.screen.history_cycles, 10, 100_000, None),
    ),
    key(
        "screen.history_bytes",
        "\"16 MiB\"",
        "Memory for whole cycles to look back at, 10 minutes with each 16 MiB; older ones come from the local record.",
        within!(Bytes, config.screen.history_bytes, MIB, 16 * GIB),
    ),
    key(
        "agent.socket",
        "\"auto\"",
        "Unix socket on which `kvmscope agent` answers; its group may use it. \"auto\": in /run/kvmscope, or $XDG_RUNTIME_DIR/kvmscope, named by the libvirt URI.",
        Socket { set: |d, v| d.config.agent.socket = v, get: |d| &d.config.agent.socket },
    ),
    key(
        "agent.listen",
        "\"none\"",
        "TCP address on which it answers as well. One that other machines can reach needs token_file.",
        Address { set: |d, v| d.config.agent.listen = v, get: |d| d.config.agent.listen },
    ),
    key(
        "agent.token_file",
        "\"none\"",
        "File that holds the token which requests over TCP must carry (Authorization: Bearer ...).",
        path!(config.agent.token_file, None),
    )
    .hushed(),
    key(
        "agent.token",
        "",
        "An attached screen's token. Never in the file: set KVMSCOPE_AGENT_TOKEN, or name a token_file.",
        Secret {
            instead: "set KVMSCOPE_AGENT_TOKEN, or put it into a file that only you can read and name that in agent.token_file",
            set: |d, v| d.config.agent.token = Some(v),
            is_set: |d| d.config.agent.token.is_some(),
        },
    )
    .env("KVMSCOPE_AGENT_TOKEN")
    .hushed(),
    key(
        "agent.ca_file",
        "\"none\"",
        "Certificates (PEM) that a screen attached by https trusts, beside the system's and tls_cert.",
        path!(config.agent.ca_file, None),
    ),
    key(
        "agent.tls_cert",
        "\"none\"",
        "Certificate chain (PEM) for TCP, together with tls_key.",
        path!(config.agent.tls_cert, None),
    ),
    key(
        "agent.tls_key",
        "\"none\"",
        "Key of that certificate (PEM).",
        path!(config.agent.tls_key, None),
    )
    .hushed(),
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
    key(
        "log.file",
        "\"auto\"",
        "File the log is kept in beside the log page. \"auto\": kvmscope.log in the state directory. \"none\": no file.",
        path!(config.log.file, Some(Environment::log_file)),
    ),
    key(
        "log.max_bytes",
        "\"4 MiB\"",
        "Size at which the log file becomes kvmscope.log.1, in place of the one before, and a new one begins.",
        within!(Bytes, config.log.max_bytes, 64 * KIB, GIB),
    ),
];
