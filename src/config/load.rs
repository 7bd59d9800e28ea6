//! Loading: default < file < environment < command line. Everything that is
//! wrong is reported at once, and each effective value keeps its origin.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use super::{
    Auth, Config, Depth, Influx, Log, Proxy, Store, Theme,
    draft::{Draft, Scheme},
    environment::Environment,
    error::{ConfigError, ConfigErrors, Fault, Place},
    file,
    found::Found,
    key::Key,
    keys::KEYS,
    shape::Refusal,
};
use crate::model::status::ConfigEntry;

/// What the command line overrides, as plain data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`
    pub file: Option<PathBuf>,
    /// Keys of the table with the text given for them.
    pub values: Vec<(&'static str, String)>,
}

impl fmt::Debug for Overrides {
    /// Names only: nothing is checked yet, so a value may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.values.iter().map(|(key, _)| *key).collect();
        f.debug_struct("Overrides").field("file", &self.file).field("values", &keys).finish()
    }
}

/// The effective configuration and what is to be told about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Each key's value, fit to show, and where it came from.
    pub entries: Vec<ConfigEntry>,
    /// What is allowed and yet most likely not meant, such as a missing
    /// token. One sentence each, free of secrets.
    pub warnings: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Loads the configuration.
    ///
    /// # Errors
    /// Everything that is wrong in file, environment and command line.
    pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Loaded, ConfigErrors> {
        Loader::new(environment).load(overrides)
    }
}

struct Loader<'a> {
    environment: &'a Environment,
    draft: Draft,
    origins: BTreeMap<&'static str, Place>,
    errors: Vec<ConfigError>,
}

impl<'a> Loader<'a> {
    fn new(environment: &'a Environment) -> Self {
        let store = Store { path: environment.state_directory(), ..Store::default() };
        let log = Log { file: environment.log_file(), ..Log::default() };
        let config = Config { store, log, ..Config::default() };
        let draft = Draft { config, ..Draft::default() };
        Self { environment, draft, origins: BTreeMap::new(), errors: Vec::new() }
    }

    fn load(mut self, overrides: &Overrides) -> Result<Loaded, ConfigErrors> {
        let contents = file::read(overrides.file.as_deref(), self.environment);
        self.errors.extend(contents.errors);
        if let Some(path) = &contents.path {
            for assignment in contents.assignments {
                let place = Place::File { path: path.clone(), line: assignment.line };
                self.assign(assignment.key, &assignment.found, place);
            }
            self.errors.sort_by_key(|error| match &error.place {
                Place::File { line, .. } => *line,
                _ => 0,
            });
        }
        self.variables();
        for (key, text) in &overrides.values {
            let flag = Key::named(key).and_then(|key| key.flag).unwrap_or("option");
            self.assign(key, &Found::Untyped(text.clone()), Place::CommandLine(flag));
        }
        self.no_color();
        self.plain_locale();
        let of = |name| self.environment.get(name);
        self.draft.config.screen.terminal = Depth::of_terminal(of("TERM"), of("COLORTERM"));
        if self.errors.is_empty() {
            self.together();
        }
        if !self.errors.is_empty() {
            return Err(ConfigErrors(self.errors));
        }
        let entries = self.entries();
        let warnings = self.warnings();
        Ok(Loaded { config: self.draft.finish(), entries, warnings, file: contents.path })
    }

    fn variables(&mut self) {
        for key in KEYS {
            let Some((name, value)) = key.env.and_then(|name| Some((name, self.environment.get(name)?)))
            else {
                continue;
            };
            let place = Place::Environment(name);
            match value.to_str() {
                Some(text) => self.assign(key.name, &Found::Untyped(text.to_owned()), place),
                None => self.errors.push(ConfigError {
                    place,
                    fault: Fault::Value {
                        key: key.name,
                        found: "bytes that are not UTF-8".into(),
                        allowed: key.shape.allowed(),
                    },
                }),
            }
        }
    }

    /// `NO_COLOR` is a default of the user's, so whoever names a theme
    /// anywhere means that theme.
    fn no_color(&mut self) {
        if self.environment.get("NO_COLOR").is_some() && !self.origins.contains_key("screen.theme") {
            self.draft.config.screen.theme = Theme::Mono;
            self.origins.insert("screen.theme", Place::Environment("NO_COLOR"));
        }
    }

    /// A locale whose characters are not UTF-8 is a terminal's that shows
    /// nothing else right. Without any locale nothing is known, and nearly
    /// every terminal of today has UTF-8.
    fn plain_locale(&mut self) {
        let said = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| Some((name, self.environment.get(name).filter(|locale| !locale.is_empty())?)));
        let Some((name, locale)) = said else { return };
        let locale = locale.to_string_lossy().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        if !utf8 && !self.origins.contains_key("screen.ascii") {
            self.draft.config.screen.ascii = true;
            self.origins.insert("screen.ascii", Place::Environment(name));
        }
    }

    fn assign(&mut self, name: &str, found: &Found, place: Place) {
        let Some(key) = Key::named(name) else { return };
        match key.shape.read(key.name, found, self.environment, &mut self.draft) {
            Ok(()) => {
                self.origins.insert(key.name, place);
            }
            Err(Refusal::NotAllowed) => {
                let found = found.describe(key.hushed);
                let fault = Fault::Value { key: key.name, found, allowed: key.shape.allowed() };
                self.errors.push(ConfigError { place, fault });
            }
            Err(Refusal::Fault(fault)) => self.errors.push(ConfigError { place, fault }),
            Err(Refusal::Lines(faults)) => {
                for (line, fault) in faults {
                    let place = match &place {
                        Place::File { path, .. } => Place::File { path: path.clone(), line },
                        other => other.clone(),
                    };
                    self.errors.push(ConfigError { place, fault });
                }
            }
        }
    }

    /// What no key can know alone.
    fn together(&mut self) {
        let config = &self.draft.config;
        let mut refuse = |key: &'static str, words: &'static str| {
            let place = self.origins.get(key).cloned().unwrap_or(Place::Default);
            self.errors.push(ConfigError { place, fault: Fault::Together(words) });
        };
        match (&config.influx.client_cert, &config.influx.client_key) {
            (Some(_), None) => refuse(
                "influx.client_cert",
                "influx.client_cert is there and influx.client_key is not; give both or none",
            ),
            (None, Some(_)) => refuse(
                "influx.client_key",
                "influx.client_key is there and influx.client_cert is not; give both or none",
            ),
            _ => {}
        }
        match (&config.agent.tls_cert, &config.agent.tls_key) {
            (Some(_), None) => refuse(
                "agent.tls_cert",
                "agent.tls_cert is there and agent.tls_key is not; give both or none",
            ),
            (None, Some(_)) => {
                refuse(
                    "agent.tls_key",
                    "agent.tls_key is there and agent.tls_cert is not; give both or none",
                );
            }
            _ => {}
        }
        if config.agent.listen.is_some_and(|address| !address.ip().is_loopback())
            && config.agent.token_file.is_none()
        {
            refuse(
                "agent.listen",
                "agent.listen can be reached by other machines and there is no agent.token_file: whoever \
                 reaches it could read and stop collection; name a token's file, or listen on 127.0.0.1",
            );
        }
        if config.screen.warn_percent > config.screen.critical_percent {
            let later = if self.origins.contains_key("screen.warn_percent") {
                "screen.warn_percent"
            } else {
                "screen.critical_percent"
            };
            refuse(
                later,
                "screen.warn_percent is above screen.critical_percent; nothing would ever be a warning",
            );
        }
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        let entry = |key: &Key| ConfigEntry {
            key: key.name.into(),
            value: key.shape.show(&self.draft),
            origin: self.origins.get(key.name).unwrap_or(&Place::Default).to_string(),
        };
        KEYS.iter().map(entry).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |text: &str| warnings.push(text.to_owned());
        let influx = &self.draft.config.influx;
        let draft = &self.draft;
        let signed_in = match draft.clone().finish().influx.auth {
            Auth::Token(token) => token.is_some(),
            Auth::Basic { user, password } => user.is_some() && password.is_some(),
            Auth::None => true,
        };
        if influx.url.is_some() {
            match draft.scheme {
                Scheme::Token if !signed_in => warn(
                    "influx.auth is \"token\" and there is no token: set INFLUX_TOKEN or \
                     influx.token_file, or influx.auth = \"none\"; until then nothing is delivered, \
                     and the local record goes on",
                ),
                Scheme::Basic if !signed_in => warn(
                    "influx.auth is \"basic\" and user or password is missing: set INFLUX_USER and \
                     INFLUX_PASSWORD, or influx.user and influx.password_file; until then nothing is \
                     delivered, and the local record goes on",
                ),
                _ => {}
            }
            if signed_in && draft.scheme != Scheme::None && is_open_road(influx) {
                warn(
                    "influx.url is http:// and leads to another machine: credentials and names of VMs travel \
                     unencrypted; use https:// where you can",
                );
            }
        }
        if draft.token.is_some() && draft.scheme != Scheme::Token {
            warn("INFLUX_TOKEN is set and not used, as influx.auth is not \"token\"");
        }
        if draft.password.is_some() && draft.scheme != Scheme::Basic {
            warn("INFLUX_PASSWORD is set and not used, as influx.auth is not \"basic\"");
        }
        let agent = &draft.config.agent;
        if agent.listen.is_some_and(|address| !address.ip().is_loopback()) && agent.tls_cert.is_none() {
            warn(
                "agent.listen can be reached by other machines and there is no agent.tls_cert: the token and \
                 names of VMs travel unencrypted",
            );
        }
        if self.draft.config.store.path.is_none() {
            if !self.origins.contains_key("store.path") {
                warn(
                    "there is no home directory, so there is no local record: set store.path or XDG_STATE_HOME",
                );
            } else if influx.url.is_none() {
                warn("store.path is \"none\" and influx.url is \"none\": nothing is recorded, only shown");
            }
        }
        warnings
    }
}

/// Whether requests go to another machine, the server's or a proxy's, as plain
/// http. Where the proxy is the environment's, nobody here knows of it.
fn is_open_road(influx: &Influx) -> bool {
    let parsed = |url: &str| url::Url::parse(url).ok();
    let Some(url) = influx.url.as_deref().and_then(parsed) else { return false };
    let proxied = match &influx.proxy {
        Proxy::Url(proxy) => parsed(proxy).is_some_and(|proxy| !is_here(&proxy)),
        Proxy::Environment | Proxy::Direct => false,
    };
    url.scheme() == "http" && (proxied || !is_here(&url))
}

/// Whether the URL's host is this machine.
fn is_here(url: &url::Url) -> bool {
    let is_local = |name: &str| name == "localhost" || name.ends_with(".localhost");
    match url.host() {
        // Addresses of schemes the parser does not know are mere text to it.
        Some(url::Host::Domain(name)) => {
            is_local(name) || name.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
        }
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => true,
    }
}
