//! The configuration: one struct per room, each with its documented default.
//!
//! Owns what can be configured, its bounds, and where each effective value
//! came from (default < file < environment < command line). It is a leaf: it
//! reads the file and the environment, and nothing else of the program. Each
//! room is given only its own section.
//!
//! [`KEYS`] is the one table of keys; [`Config::load`] goes through file,
//! environment and command line with it.

mod colours;
mod draft;
mod environment;
mod error;
mod example;
mod file;
mod found;
mod key;
mod keys;
mod load;
mod nearest;
mod quantity;
mod shape;
mod show;
mod tags;
mod url;

pub use self::url::masked;
pub use colours::{Colours, Depth};
pub use draft::Draft;
pub use environment::Environment;
pub use error::{ConfigError, ConfigErrors, Fault, Place};
pub use example::example;
pub use key::Key;
pub use keys::{KEYS, sections};
pub use load::{Loaded, Overrides};
pub use shape::Shape;
pub use show::render;
pub use tags::is_own_name;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

use crate::model::AngleScale;

/// The whole effective configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[libvirt]`
    pub libvirt: Libvirt,
    /// `[collector]`
    pub collector: Collector,
    /// `[record]`
    pub record: Record,
    /// `[influx]`
    pub influx: Influx,
    /// `[store]`
    pub store: Store,
    /// `[angle]`
    pub angle: AngleScale,
    /// `[screen]`
    pub screen: Screen,
    /// `[agent]`
    pub agent: Agent,
    /// `[log]`
    pub log: Log,
}

/// `[libvirt]`: what is read and with how much patience.
#[derive(Clone, Debug)]
pub struct Libvirt {
    /// Connection URI, opened read-only. Environment `LIBVIRT_URI`.
    pub uri: String,
    /// Connecting and single questions. Environment `LIBVIRT_TIMEOUT`, seconds.
    pub timeout: Duration,
    /// Upper bound on the age of cached device XML. Environment `DEVICE_CACHE_TTL`.
    pub device_cache_ttl: Duration,
    /// Lists read at once, 1–5.
    pub max_parallel: usize,
    /// Calls that may hang in libvirtd at once, 1–15.
    pub max_stuck_calls: usize,
}

/// `[collector]`
#[derive(Clone, Debug)]
pub struct Collector {
    /// Time between cycles, 0.2–3600 s. Environment `POLL_INTERVAL`.
    pub poll_interval: Duration,
}

/// `[record]`
#[derive(Clone, Copy, Debug, Default)]
pub struct Record {
    /// What is written for a statistic that is never there.
    pub missing: MissingPolicy,
}

/// `record.missing`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingPolicy {
    /// Written as 0, for dashboards that expect every field.
    #[default]
    Zero,
    /// Left out.
    Omit,
}

/// `[influx]`: where lines go.
#[derive(Clone, Debug)]
pub struct Influx {
    /// Base URL without credentials; a path prefix is kept. `None`: local only.
    pub url: Option<String>,
    /// Database or bucket. Environment `INFLUX_DB`.
    pub db: String,
    /// How to authenticate, and with what.
    pub auth: Auth,
    /// Which write API.
    pub api: Api,
    /// v2 organisation; empty: left out.
    pub org: String,
    /// CA certificate (PEM) that replaces the system roots.
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM).
    pub client_cert: Option<PathBuf>,
    /// Client key (PEM).
    pub client_key: Option<PathBuf>,
    /// What stands on the way.
    pub proxy: Proxy,
    /// Whole request.
    pub timeout: Duration,
    /// Connecting.
    pub connect_timeout: Duration,
    /// Compress request bodies.
    pub gzip: bool,
    /// Static tags added to every line, in key order.
    pub tags: BTreeMap<String, String>,
    /// Most lines in one request.
    pub batch_max_lines: usize,
    /// Longest a line waits for its batch to fill.
    pub batch_max_sec: Duration,
    /// Most lines held in memory while the journal cannot take them.
    pub max_queue: usize,
}

/// `influx.auth` with its credentials, where they are there.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `Authorization: Bearer` (v3) or `Token` (v2, v1).
    Token(Option<SecretSource>),
    /// HTTP basic.
    Basic {
        /// `influx.user`
        user: Option<String>,
        /// The password.
        password: Option<SecretSource>,
    },
    /// None.
    None,
}

/// Where a secret comes from. Printing it never prints the secret.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Given in the environment.
    Environment(SecretString),
    /// In a file, read again when it changes or on 401.
    File(PathBuf),
}

/// `influx.api`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// Ask the server.
    #[default]
    Auto,
    /// `/api/v3/write_lp`
    V3,
    /// `/api/v2/write`
    V2,
    /// `/write`
    V1,
}

/// `influx.proxy`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one for everything, whatever the environment says. Without credentials.
    Url(String),
}

/// `[store]`: the local record.
#[derive(Clone, Debug)]
pub struct Store {
    /// Directory; `None` turns the local record off.
    pub path: Option<PathBuf>,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// Oldest age kept.
    pub max_age: Duration,
    /// Free bytes of the file system that are never used.
    pub min_free: u64,
    /// Older, delivered cycles are thinned to one in ten seconds.
    pub full_resolution: Duration,
}

/// `[screen]`
#[derive(Clone, Debug)]
pub struct Screen {
    /// Colour theme.
    pub theme: Theme,
    /// How many colours to use.
    pub colours: Colours,
    /// How many the terminal is known to show; not a setting.
    pub terminal: Depth,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// React to the mouse from the start.
    pub mouse: bool,
    /// Percent of CPU and memory from which a value is a warning.
    pub warn_percent: f64,
    /// Percent from which it is critical.
    pub critical_percent: f64,
    /// Cycles of angle history kept per domain.
    pub history_cycles: usize,
    /// Bytes of memory for whole cycles to look back at.
    pub history_bytes: u64,
}

impl Screen {
    /// How many colours to draw with.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.colours.on(self.terminal)
    }
}

/// `screen.theme`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light backgrounds.
    Light,
    /// Safe for colour-blind eyes.
    Safe,
    /// No colour; `NO_COLOR` selects it.
    Mono,
}

/// `[agent]`: where `kvmscope agent` is asked, and by whom.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// The unix socket it answers on.
    pub socket: Socket,
    /// The TCP address it answers on as well; `None`: none.
    pub listen: Option<SocketAddr>,
    /// File that holds the token which requests over TCP carry; `None`: they
    /// carry none, which only an address of this machine alone allows.
    pub token_file: Option<PathBuf>,
    /// The token that an attached screen carries. Environment
    /// `KVMSCOPE_AGENT_TOKEN`.
    pub token: Option<SecretString>,
    /// Certificates (PEM) that an attached screen trusts beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate chain (PEM) for TCP.
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    pub tls_key: Option<PathBuf>,
}

/// `agent.socket`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Socket {
    /// In the user's runtime directory, named by the libvirt URI.
    #[default]
    Auto,
    /// None: TCP alone.
    Off,
    /// This one.
    At(PathBuf),
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: tracing::Level,
    /// File the log is kept in; `None`: only the log page has it.
    pub file: Option<PathBuf>,
    /// Bytes at which the file is set aside for a new one.
    pub max_bytes: u64,
}

impl Default for Libvirt {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            uri: "qemu:///system".into(),
            timeout: Duration::from_secs(30),
            device_cache_ttl: Duration::from_mins(5),
            max_parallel: (cores + 1).min(5),
            max_stuck_calls: 8,
        }
    }
}

impl Default for Collector {
    fn default() -> Self {
        Self { poll_interval: Duration::from_secs(1) }
    }
}

impl Default for Influx {
    fn default() -> Self {
        Self {
            url: None,
            db: "vmstats".into(),
            auth: Auth::Token(None),
            api: Api::Auto,
            org: String::new(),
            ca_file: None,
            client_cert: None,
            client_key: None,
            proxy: Proxy::Environment,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            gzip: true,
            tags: BTreeMap::new(),
            batch_max_lines: 2000,
            batch_max_sec: Duration::from_secs(1),
            max_queue: 20_000,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: None,
            max_bytes: 1 << 30,
            max_age: Duration::from_hours(168),
            min_free: 512 << 20,
            full_resolution: Duration::from_hours(6),
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            theme: Theme::Dark,
            colours: Colours::Auto,
            terminal: Depth::Indexed,
            ascii: false,
            mouse: false,
            warn_percent: 70.0,
            critical_percent: 90.0,
            history_cycles: 3600,
            history_bytes: 16 << 20,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: tracing::Level::INFO, file: None, max_bytes: 4 << 20 }
    }
}
