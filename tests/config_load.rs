//! What is in force, and where it came from: default < file < environment <
//! command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests may fail loudly"
)]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

use kvmscope::{
    config::{
        Api, Auth, Config, Depth, Environment, Loaded, MissingPolicy, Overrides, Proxy, SecretSource, Theme,
        render,
    },
    model::AngleMode,
};
use secrecy::ExposeSecret as _;

const SECRET: &str = "hunter2-hunter2";

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| (*name, OsStr::new(*value)));
    Environment::of(variables, Some(Path::new("/home/user")), Path::new("/nowhere"))
}

fn load(file: &str, variables: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    let values = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    Config::load(&Overrides { file: Some(path), values }, &environment(variables)).unwrap()
}

fn entry(loaded: &Loaded, key: &str) -> (String, String) {
    let entry = loaded.entries.iter().find(|entry| entry.key == key).unwrap();
    let origin =
        entry.origin.split_once("config.toml").map_or(entry.origin.clone(), |(_, l)| format!("file{l}"));
    (entry.value.clone(), origin)
}

fn owned(value: &str, origin: &str) -> (String, String) {
    (value.into(), origin.into())
}

#[test]
fn each_layer_overrides_the_one_before_and_says_so() {
    let file = "\n[collector]\npoll_interval = 2\n";
    let variables = [("POLL_INTERVAL", "3")];
    let flags = [("collector.poll_interval", "4 s")];
    for (loaded, seconds, origin) in [
        (load("", &[], &[]), 1, "default"),
        (load(file, &[], &[]), 2, "file:3"),
        (load(file, &variables, &[]), 3, "environment POLL_INTERVAL"),
        (load(file, &variables, &flags), 4, "command line --poll-interval"),
        (load(file, &[], &flags), 4, "command line --poll-interval"),
    ] {
        assert_eq!(loaded.config.collector.poll_interval, Duration::from_secs(seconds));
        assert_eq!(entry(&loaded, "collector.poll_interval"), owned(&format!("{seconds} s"), origin));
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let loaded = load("[influx]\nurl = \"http://localhost\"", &[("INFLUX_URL", ""), ("NO_COLOR", "")], &[]);
    assert_eq!(loaded.config.influx.url.as_deref(), Some("http://localhost"));
    assert_eq!(loaded.config.screen.theme, Theme::Dark);
}

/// Each key once, none with its default.
const EVERY_KEY: &str = r#"
[libvirt]
uri = "test:///default"
timeout = 11
device_cache_ttl = "12 m"
max_parallel = 3
max_stuck_calls = 4
[collector]
poll_interval = 1.5
[record]
missing = "omit"
[influx]
url = "https://db.example:8181/prefix/"
db = "lab"
token_file = "~/token"
auth = "token"
api = "v2"
org = "house"
ca_file = "/ca.pem"
client_cert = "/cert.pem"
client_key = "/key.pem"
proxy = "socks5h://proxy.example:1080/"
timeout = 13
connect_timeout = "500 ms"
gzip = false
tags = { host = "hv-07", rack = "r 1" }
batch_max_lines = 14
batch_max_sec = 15.5
max_queue = 16
[store]
path = "/srv/record"
max_bytes = "2 GiB"
max_age = "3 days"
min_free = 0
full_resolution = "1 h"
[angle]
mode = "raw"
cpu = 0.5
memory = "2 MiB"
disk = 1000
network = "3 MiB/s"
[screen]
theme = "safe"
ascii = true
mouse = true
warn_percent = 60
critical_percent = 80.5
history_cycles = 100
[log]
level = "trace"
"#;

/// No row of the table writes into a neighbour's field.
#[test]
fn each_key_of_the_file_sets_its_own_field() {
    let config = load(EVERY_KEY, &[], &[]).config;
    assert_eq!(config.libvirt.uri, "test:///default");
    assert_eq!(config.libvirt.timeout, Duration::from_secs(11));
    assert_eq!(config.libvirt.device_cache_ttl, Duration::from_mins(12));
    assert_eq!(config.libvirt.max_parallel, 3);
    assert_eq!(config.libvirt.max_stuck_calls, 4);
    assert_eq!(config.collector.poll_interval, Duration::from_millis(1500));
    assert_eq!(config.record.missing, MissingPolicy::Omit);
    let influx = &config.influx;
    assert_eq!(influx.url.as_deref(), Some("https://db.example:8181/prefix"));
    assert_eq!(influx.db, "lab");
    assert!(
        matches!(&influx.auth, Auth::Token(Some(SecretSource::File(p))) if p == Path::new("/home/user/token"))
    );
    assert_eq!(influx.api, Api::V2);
    assert_eq!(influx.org, "house");
    assert_eq!(influx.ca_file.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(influx.client_cert.as_deref(), Some(Path::new("/cert.pem")));
    assert_eq!(influx.client_key.as_deref(), Some(Path::new("/key.pem")));
    assert_eq!(influx.timeout, Duration::from_secs(13));
    assert_eq!(influx.proxy, Proxy::Url("socks5h://proxy.example:1080".into()));
    assert_eq!(influx.connect_timeout, Duration::from_millis(500));
    assert!(!influx.gzip);
    let tags: Vec<_> = influx.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("host", "hv-07"), ("rack", "r 1")]);
    assert_eq!(influx.batch_max_lines, 14);
    assert_eq!(influx.batch_max_sec, Duration::from_millis(15_500));
    assert_eq!(influx.max_queue, 16);
    assert_eq!(config.store.path.as_deref(), Some(Path::new("/srv/record")));
    assert_eq!(config.store.max_bytes, 2 << 30);
    assert_eq!(config.store.max_age, Duration::from_hours(72));
    assert_eq!(config.store.min_free, 0);
    assert_eq!(config.store.full_resolution, Duration::from_hours(1));
    assert_eq!(config.angle.mode, AngleMode::Raw);
    for (got, expected) in [
        (config.angle.cpu, 0.5),
        (config.angle.memory, 2_097_152.0),
        (config.angle.disk, 1000.0),
        (config.angle.network, 3_145_728.0),
        (config.screen.warn_percent, 60.0),
        (config.screen.critical_percent, 80.5),
    ] {
        assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
    }
    assert_eq!(config.screen.theme, Theme::Safe);
    assert!(config.screen.ascii && config.screen.mouse);
    assert_eq!(config.screen.history_cycles, 100);
    assert_eq!(config.log.level, tracing::Level::TRACE);
}

#[test]
fn each_variable_sets_its_own_field() {
    let config = load(
        "",
        &[
            ("LIBVIRT_URI", "test:///x"),
            ("LIBVIRT_TIMEOUT", "7.5"),
            ("DEVICE_CACHE_TTL", "60"),
            ("POLL_INTERVAL", "0.2"),
            ("INFLUX_URL", "http://127.0.0.1:8086"),
            ("INFLUX_DB", "lab"),
            ("BATCH_MAX_LINES", "10"),
            ("BATCH_MAX_SEC", "2"),
            ("MAX_QUEUE", "30"),
        ],
        &[],
    )
    .config;
    assert_eq!(config.libvirt.uri, "test:///x");
    assert_eq!(config.libvirt.timeout, Duration::from_millis(7500));
    assert_eq!(config.libvirt.device_cache_ttl, Duration::from_mins(1));
    assert_eq!(config.collector.poll_interval, Duration::from_millis(200));
    assert_eq!(config.influx.url.as_deref(), Some("http://127.0.0.1:8086"));
    assert_eq!(config.influx.db, "lab");
    assert_eq!(config.influx.batch_max_lines, 10);
    assert_eq!(config.influx.batch_max_sec, Duration::from_secs(2));
    assert_eq!(config.influx.max_queue, 30);
}

/// Every word of every key that takes words comes out as it went in.
#[test]
fn each_word_comes_out_as_it_went_in() {
    for key in kvmscope::config::KEYS {
        for word in key.words() {
            let loaded = load(&format!("{} = \"{word}\"", key.name), &[], &[]);
            assert_eq!(entry(&loaded, key.name), owned(word, "file:1"));
        }
    }
}

#[test]
fn the_users_file_goes_before_the_systems_and_none_is_fine() {
    let directory = tempfile::tempdir().unwrap();
    let system = directory.path().join("etc.toml");
    let home = directory.path().join("home");
    let xdg = directory.path().join("xdg");
    let from = |variables: &[(&str, &OsStr)]| {
        let environment = Environment::of(variables.iter().copied(), Some(&home), &system);
        let loaded = Config::load(&Overrides::default(), &environment).unwrap();
        (loaded.config.influx.db, loaded.file)
    };
    let write = |path: &Path, db: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("[influx]\ndb = \"{db}\"\n")).unwrap();
        Some(PathBuf::from(path))
    };
    assert_eq!(from(&[]), ("vmstats".into(), None));
    let file = write(&system, "system");
    assert_eq!(from(&[]), ("system".into(), file));
    let file = write(&home.join(".config/kvmscope/config.toml"), "home");
    assert_eq!(from(&[]), ("home".into(), file.clone()));
    assert_eq!(from(&[("XDG_CONFIG_HOME", OsStr::new("relative"))]), ("home".into(), file));
    let file = write(&xdg.join("kvmscope/config.toml"), "xdg");
    assert_eq!(from(&[("XDG_CONFIG_HOME", xdg.as_os_str())]), ("xdg".into(), file));
}

#[test]
fn the_local_record_goes_to_the_state_directory_unless_told_otherwise() {
    let path = |file, variables: &[(&str, &str)]| load(file, variables, &[]).config.store.path;
    assert_eq!(path("", &[]), Some("/home/user/.local/state/kvmscope".into()));
    assert_eq!(path("", &[("XDG_STATE_HOME", "/state")]), Some("/state/kvmscope".into()));
    assert_eq!(path("", &[("XDG_STATE_HOME", "relative")]), Some("/home/user/.local/state/kvmscope".into()));
    assert_eq!(
        path("store.path = \"auto\"", &[("XDG_STATE_HOME", "/state")]),
        Some("/state/kvmscope".into())
    );
    assert_eq!(path("store.path = \"none\"", &[]), None);
    assert_eq!(path("store.path = \"~/record\"", &[]), Some("/home/user/record".into()));

    let homeless = Environment::of([], None, Path::new("/nowhere"));
    let loaded = Config::load(&Overrides::default(), &homeless).unwrap();
    assert_eq!(loaded.config.store.path, None);
    assert!(loaded.warnings[0].contains("set store.path or XDG_STATE_HOME"), "{:?}", loaded.warnings);
}

#[test]
fn a_locale_that_is_not_utf_8_means_ascii_unless_somebody_says_otherwise() {
    let ascii = |text: &str, variables: &[(&str, &str)]| {
        let loaded = load(text, variables, &[]);
        (loaded.config.screen.ascii, entry(&loaded, "screen.ascii").1)
    };
    assert!(!ascii("", &[]).0, "nothing is known");
    for utf8 in ["C.UTF-8", "de_DE.utf8", "en_US.UTF-8"] {
        assert!(!ascii("", &[("LANG", utf8)]).0, "{utf8}");
    }
    assert_eq!(ascii("", &[("LANG", "C")]), (true, "environment LANG".to_owned()));
    assert_eq!(
        ascii("", &[("LANG", "C.UTF-8"), ("LC_ALL", "POSIX")]),
        (true, "environment LC_ALL".to_owned())
    );
    assert!(!ascii("", &[("LC_CTYPE", "C.UTF-8"), ("LANG", "C")]).0);
    assert!(!ascii("[screen]\nascii = false", &[("LANG", "C")]).0, "the file says otherwise");
}

#[test]
fn no_color_means_mono_unless_a_theme_is_named() {
    let no_color = [("NO_COLOR", "1")];
    let mono = load("", &no_color, &[]);
    assert_eq!(mono.config.screen.theme, Theme::Mono);
    assert_eq!(entry(&mono, "screen.theme"), owned("mono", "environment NO_COLOR"));
    assert_eq!(load("screen.theme = \"light\"", &no_color, &[]).config.screen.theme, Theme::Light);
    assert_eq!(load("", &no_color, &[("screen.theme", "dark")]).config.screen.theme, Theme::Dark);
}

#[test]
fn a_token_is_held_and_never_printed() {
    let loaded =
        load("[influx]\nurl = \"http://localhost\"\ntoken_file = \"/t\"", &[("INFLUX_TOKEN", SECRET)], &[]);
    let Auth::Token(Some(SecretSource::Environment(token))) = &loaded.config.influx.auth else {
        panic!("the environment goes before the file: {:?}", loaded.config.influx.auth);
    };
    assert_eq!(token.expose_secret(), SECRET);
    assert_eq!(entry(&loaded, "influx.token"), owned("***", "environment INFLUX_TOKEN"));
    assert_eq!(loaded.warnings, [] as [&str; 0]);
    let environment = environment(&[("INFLUX_TOKEN", SECRET), ("INFLUX_PASSWORD", SECRET)]);
    for printed in
        [format!("{loaded:?}"), format!("{loaded:#?}"), render(&loaded), format!("{environment:?}")]
    {
        assert!(!printed.contains(SECRET), "{printed}");
    }
}

#[test]
fn basic_takes_user_and_password_from_environment_or_files() {
    let file =
        "[influx]\nurl = \"http://localhost\"\nauth = \"basic\"\nuser = \"writer\"\npassword_file = \"/p\"";
    let loaded = load(file, &[], &[]);
    assert!(matches!(
        &loaded.config.influx.auth,
        Auth::Basic { user: Some(user), password: Some(SecretSource::File(path)) }
            if user == "writer" && path == Path::new("/p")
    ));
    let loaded = load(file, &[("INFLUX_USER", "other"), ("INFLUX_PASSWORD", SECRET)], &[]);
    assert!(matches!(
        &loaded.config.influx.auth,
        Auth::Basic { user: Some(user), password: Some(SecretSource::Environment(password)) }
            if user == "other" && password.expose_secret() == SECRET
    ));
    assert!(!render(&loaded).contains(SECRET));
}

#[test]
fn what_is_most_likely_not_meant_is_said_and_names_the_variable() {
    let warned = |file: &str, variables: &[(&str, &str)], words: &[&str]| {
        let warnings = load(file, variables, &[]).warnings;
        assert_eq!(warnings.len(), usize::from(!words.is_empty()), "{file}: {warnings:?}");
        for word in words {
            assert!(warnings[0].contains(word), "{word} is not in {warnings:?}");
        }
    };
    let url = "influx.url = \"http://localhost:8086\"";
    warned("", &[], &[]);
    warned(url, &[], &["INFLUX_TOKEN", "local record goes on"]);
    warned(url, &[("INFLUX_TOKEN", "t")], &[]);
    warned(&format!("{url}\ninflux.auth = \"none\""), &[], &[]);
    warned(&format!("{url}\ninflux.auth = \"basic\""), &[], &["INFLUX_USER", "INFLUX_PASSWORD"]);
    warned(
        &format!("{url}\ninflux.auth = \"none\""),
        &[("INFLUX_TOKEN", "t")],
        &["INFLUX_TOKEN is set and not used"],
    );
    warned("influx.url = \"http://db.example\"", &[("INFLUX_TOKEN", "t")], &["unencrypted"]);
    warned("influx.url = \"https://db.example\"", &[("INFLUX_TOKEN", "t")], &[]);
    warned("influx.url = \"http://[::1]:8086\"", &[("INFLUX_TOKEN", "t")], &[]);
    let near = "influx.url = \"http://localhost:8086\"\ninflux.proxy =";
    let token = [("INFLUX_TOKEN", "t")];
    warned(&format!("{near} \"http://proxy.example:3128\""), &token, &["unencrypted"]);
    warned(&format!("{near} \"socks5://127.0.0.1:1080\""), &token, &[]);
    warned(&format!("{near} \"none\""), &token, &[]);
    warned("store.path = \"none\"", &[], &["nothing is recorded"]);
}

#[test]
fn the_effective_configuration_is_a_table_with_origins_and_without_users() {
    let loaded = load(
        "[influx.tags]\nhost = \"hv-07\"\n",
        &[("LIBVIRT_URI", "qemu+tcp://root:hunter2-hunter2@hv-07/system")],
        &[],
    );
    let text = render(&loaded);
    assert!(!text.contains(SECRET) && !text.contains("root"), "{text}");
    let row = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    let column = |key: &str, word: &str| row(key).find(word).unwrap();
    assert!(row("libvirt.uri").contains("qemu+tcp://***@hv-07/system"));
    assert!(row("influx.tags").contains("host = hv-07") && row("influx.tags").ends_with("config.toml:1"));
    assert!(row("influx.token ").contains("not set"));
    assert_eq!(column("KEY", "ORIGIN"), column("libvirt.uri", "environment LIBVIRT_URI"));
    assert_eq!(column("KEY", "ORIGIN"), column("store.max_age", "default"));
    assert_eq!(column("KEY", "VALUE"), column("store.max_age", "7 days"));
    for key in kvmscope::config::KEYS {
        assert!(row(key.name).contains("  "), "{} is not shown", key.name);
    }
}

#[test]
fn the_terminal_says_how_many_colours_there_are_unless_the_file_does() {
    let depth = |text: &str, environment: &[(&str, &str)]| load(text, environment, &[]).config.screen.depth();
    assert_eq!(depth("", &[("TERM", "xterm-256color")]), Depth::Indexed);
    assert_eq!(depth("", &[("TERM", "linux"), ("COLORTERM", "truecolor")]), Depth::Sixteen);
    assert_eq!(depth("", &[("TERM", "dumb")]), Depth::None);
    assert_eq!(depth("", &[]), Depth::None);
    assert_eq!(depth("screen.colours = \"truecolor\"", &[("TERM", "xterm")]), Depth::Truecolor);
    assert_eq!(depth("screen.colours = \"16\"", &[("TERM", "xterm-256color")]), Depth::Sixteen);
    assert_eq!(depth("screen.colours = \"none\"", &[("TERM", "xterm-256color")]), Depth::None);
}
