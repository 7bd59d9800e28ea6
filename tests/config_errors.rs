//! A bad configuration is refused with what is wrong, where, and what to do,
//! and never shows what may be a secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests may fail loudly"
)]

#[path = "lab/skip.rs"]
mod skip;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use kvmscope::config::{Config, ConfigErrors, Environment, KEYS, Loaded, Overrides};
use proptest::prelude::*;

/// What no message may ever hold.
const SECRET: &str = "hunter2-hunter2";

/// A directory with a configuration file.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn with(file: &[u8]) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::write(place.file(), file).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    fn load(
        &self,
        variables: &[(&str, &OsStr)],
        flags: &[(&'static str, &str)],
    ) -> Result<Loaded, ConfigErrors> {
        let environment =
            Environment::of(variables.iter().copied(), Some(Path::new("/home/user")), Path::new("/nowhere"));
        let values = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        Config::load(&Overrides { file: Some(self.file()), values }, &environment)
    }
}

/// The message a file is refused with. It names the file and leaks nothing.
#[track_caller]
fn refused(file: &str) -> String {
    let place = Place::with(file.as_bytes());
    let message = place.load(&[], &[]).unwrap_err().to_string();
    assert!(!message.contains(SECRET), "the secret is in: {message}");
    let path = place.file().display().to_string();
    assert!(message.contains(&path), "the file is not in: {message}");
    message.replace(&path, "FILE")
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_its_nearest_neighbour() {
    says(
        &refused("[influx]\n\ndb = \"x\"\nbatch_max_line = 3\n"),
        &["FILE:4", "influx.batch_max_line is not a key", "did you mean influx.batch_max_lines?"],
    );
    says(&refused("[libvirt]\npoll_interval = 2\n"), &["FILE:2", "did you mean collector.poll_interval?"]);
    says(&refused("poll_interval = 2\n"), &["FILE:1", "did you mean collector.poll_interval?"]);
    says(&refused("[influx]\nx.y = 1\n"), &["FILE:2", "influx.x is not a key"]);
    says(&refused("[grafana]\nlisten = 1\n"), &["FILE:1", "grafana is not a section", "libvirt, collector"]);
    says(&refused("[libvrt]\n"), &["FILE:1", "did you mean libvirt?"]);
    says(&refused("influx = 3\n"), &["FILE:1", "influx: found a number", "a section, [influx]"]);
    says(&refused("[[influx]]\n"), &["FILE:1", "found an array"]);
}

#[test]
fn a_key_with_control_characters_is_shown_escaped() {
    let message = refused("[influx]\n\"a\\u001b[31m\\n\" = 1\n");
    says(&message, &["FILE:2", "influx.\"a\\u{1b}[31m\\n\" is not a key"]);
    assert!(!message.contains('\u{1b}'));
}

#[test]
fn a_wrong_type_says_what_was_found_and_what_is_allowed() {
    for (file, found, allowed) in [
        ("[libvirt]\ntimeout = true", "libvirt.timeout: found true", "from 0.1 s to 10 m"),
        ("[libvirt]\ntimeout = \"soon\"", "found the text \"soon\"", "\"30 s\""),
        (
            "[libvirt]\nmax_parallel = \"2\"",
            "found the text \"2\"",
            "a whole number from 1 to 5, or \"auto\"",
        ),
        ("[libvirt]\nmax_parallel = 2.0", "found the number 2", "a whole number"),
        ("[influx]\ngzip = \"yes\"", "found the text \"yes\"", "true or false"),
        ("[influx]\ngzip = 1", "found the number 1", "true or false"),
        ("[influx]\ndb = 1", "found the number 1", "text of 1 to 255"),
        ("[influx]\ndb = [1]", "found an array", "text of 1 to 255"),
        ("[influx]\ndb = 2020-01-01", "found a date", "text of 1 to 255"),
        ("[influx]\ntags = \"x\"", "found text of 1 characters", "a table of"),
        ("[record]\nmissing = \"nul\"", "found the text \"nul\"", "\"zero\", \"omit\""),
        ("[store]\npath = 3", "found the number 3", "a path that begins with / or ~/, \"auto\", or \"none\""),
        ("[store]\npath = \"relative/path\"", "\"relative/path\"", "a path that begins with / or ~/"),
        ("[store]\nmax_bytes = \"1 GB\"", "\"1 GB\"", "units of 1024 only"),
        ("[screen]\ntheme = \"Dark\"", "\"Dark\"", "\"dark\", \"light\", \"safe\", \"mono\""),
    ] {
        says(&refused(file), &["FILE:2", found, "allowed: ", allowed]);
    }
}

#[test]
fn a_value_out_of_range_says_the_range() {
    for (file, found, allowed) in [
        ("[collector]\npoll_interval = 0.19", "0.19", "from 0.2 s to 1 h"),
        ("[collector]\npoll_interval = -1", "-1", "from 0.2 s to 1 h"),
        ("[collector]\npoll_interval = inf", "inf", "from 0.2 s to 1 h"),
        ("[collector]\npoll_interval = nan", "NaN", "from 0.2 s to 1 h"),
        ("[collector]\npoll_interval = \"2 h\"", "\"2 h\"", "from 0.2 s to 1 h"),
        ("[libvirt]\nmax_stuck_calls = 16", "16", "from 1 to 15"),
        ("[libvirt]\nmax_stuck_calls = 0", "0", "from 1 to 15"),
        ("[libvirt]\nmax_stuck_calls = -1", "-1", "from 1 to 15"),
        ("[libvirt]\nmax_stuck_calls = 99999999999999999999", "beyond 64 bits", "from 1 to 15"),
        ("[libvirt]\nmax_parallel = 6", "6", "from 1 to 5"),
        ("[store]\nmax_bytes = 1", "1", "from 1 MiB to 16 TiB"),
        ("[angle]\ncpu = 0", "0", "from 0.001 to 1000"),
        ("[angle]\ndisk = 0", "0", "from 1 B to 1 TiB"),
        ("[angle]\ndisk = \"0 B\"", "\"0 B\"", "from 1 B to 1 TiB"),
        ("[screen]\nwarn_percent = 101", "101", "from 0 to 100"),
        ("[influx]\ndb = \"\"", "the text \"\"", "1 to 255"),
        ("[influx]\ndb = \"a\\u001bb\"", "\\u{1b}", "no control characters"),
    ] {
        says(&refused(file), &["FILE:2", "found ", found, "allowed: ", allowed]);
    }
}

#[test]
fn a_secret_in_the_file_is_refused_with_the_reason_and_not_shown() {
    for (file, line, mend) in [
        (format!("[influx]\ntoken = \"{SECRET}\"\n"), "FILE:2", "set INFLUX_TOKEN"),
        (format!("[influx]\npassword = \"{SECRET}\"\n"), "FILE:2", "set INFLUX_PASSWORD"),
        (format!("influx.token = '{SECRET}'"), "FILE:1", "set INFLUX_TOKEN"),
        (format!("influx = {{ db = \"x\", token = '''{SECRET}''' }}"), "FILE:1", "set INFLUX_TOKEN"),
        (format!("[influx]\napi_token = \"{SECRET}\"\n"), "FILE:2", "set INFLUX_TOKEN"),
        (format!("[influx]\nPassword = \"{SECRET}\"\n"), "FILE:2", "INFLUX_PASSWORD"),
        (format!("token = \"{SECRET}\"\n"), "FILE:1", "set INFLUX_TOKEN"),
        (format!("[influx.tags]\nauth_token = \"{SECRET}\"\n"), "FILE:2", "written into the database"),
    ] {
        says(&refused(&file), &[line, "secret", mend]);
    }
}

/// People put secrets into every field that looks as if it were meant.
#[test]
fn a_secret_in_the_wrong_key_is_not_shown() {
    for file in [
        format!("[influx]\nauth = \"{SECRET}\""),
        format!("[influx]\ntoken_file = \"{SECRET}\""),
        format!("[influx]\npassword_file = \"{SECRET}\""),
        format!("[influx]\nclient_key = \"{SECRET}\""),
        format!("[influx]\nuser = [\"{SECRET}\"]"),
        format!("[influx]\ntags = \"{SECRET}\""),
        format!("influx = \"{SECRET}\""),
        format!("[influx]\ntoken = {SECRET}"),
        format!("[influx]\ntoken = \"{SECRET}"),
        format!("[influx]\n{SECRET}"),
        format!("[influx]\nauth = \"token\" {SECRET}"),
        format!("[influx]\nurl = \"http://u:{SECRET}@host"),
    ] {
        refused(&file);
    }
}

#[test]
fn a_url_with_credentials_is_refused_wherever_it_stands_and_not_shown() {
    for url in [
        format!("http://admin:{SECRET}@localhost:8086"),
        format!("http://{SECRET}@localhost:8086"),
        format!("http://localhost:8086/?token={SECRET}"),
        format!("http://localhost:8086/write?u=admin&p={SECRET}"),
        format!("http://localhost:8086/?password={SECRET}"),
        format!("http://localhost:8086/apiv3_{SECRET}"),
    ] {
        says(
            &refused(&format!("[influx]\nurl = \"{url}\"")),
            &["FILE:2", "influx.url", "not shown", "INFLUX_TOKEN"],
        );
        let place = Place::with(b"");
        let from_environment = place.load(&[("INFLUX_URL", OsStr::new(&url))], &[]).unwrap_err().to_string();
        says(&from_environment, &["environment INFLUX_URL", "influx.url", "not shown"]);
        let from_flag = place.load(&[], &[("influx.url", &url)]).unwrap_err().to_string();
        says(&from_flag, &["command line --influx-url", "influx.url", "not shown"]);
        assert!(!(from_environment + &from_flag).contains(SECRET));
    }
    says(&refused("[influx]\nurl = \"localhost:8086\""), &["FILE:2", "allowed: http:// or https://"]);
}

#[test]
fn a_proxy_with_credentials_is_refused_and_not_shown() {
    for url in [format!("http://admin:{SECRET}@proxy:3128"), format!("socks5://{SECRET}@proxy")] {
        says(
            &refused(&format!("[influx]\nproxy = \"{url}\"")),
            &["FILE:2", "influx.proxy", "not shown", "HTTPS_PROXY"],
        );
    }
    for text in ["proxy.example:3128", "ftp://proxy", "http://proxy/path", "off"] {
        says(
            &refused(&format!("[influx]\nproxy = \"{text}\"")),
            &["FILE:2", "influx.proxy", "\"auto\", \"none\""],
        );
    }
}

#[test]
fn a_tag_may_not_take_a_name_of_kvmscope_or_break_a_line() {
    for (tag, why) in [
        ("VMID = \"x\"", "that kvmscope itself writes"),
        ("name = \"x\"", "that kvmscope itself writes"),
        ("uuid = \"x\"", "that kvmscope itself writes"),
        ("devtype = \"x\"", "that kvmscope itself writes"),
        ("Device = \"x\"", "that kvmscope itself writes"),
        ("cputime_ns = \"x\"", "that kvmscope itself writes"),
        ("memdisk_cache = \"x\"", "that kvmscope itself writes"),
        ("time = \"x\"", "that kvmscope itself writes"),
        ("_field = \"x\"", "begins with _"),
        ("\"\" = \"x\"", "an empty name"),
        ("\"a\\nb\" = \"x\"", "control character"),
        ("\"a\\\\\" = \"x\"", "\\ at its end"),
        ("host = \"\"", "an empty value"),
        ("host = \"a\\nb\"", "a value with a control character"),
        ("host = \"a\\\\\"", "\\ at its end"),
        ("host = 1", "a value that is not text"),
    ] {
        let message = refused(&format!("[influx.tags]\nrack = \"r1\"\n{tag}\n"));
        says(&message, &["FILE:3", "influx.tags: ", why, "allowed: "]);
    }
    let many: Vec<String> = (0..21).map(|n| format!("tag{n} = \"x\"")).collect();
    says(&refused(&format!("[influx.tags]\n{}", many.join("\n"))), &["FILE:22", "one tag too many"]);
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_the_lines() {
    let place = Place::with(
        b"[store]\nmax_bytes = 0\n[influx]\ngzip = 3\nbatch = 1\n[collector]\npoll_interval = 0\n",
    );
    let bad = OsString::from_vec(vec![b'a', 0xff]);
    let errors = place
        .load(
            &[("MAX_QUEUE", OsStr::new("many")), ("INFLUX_DB", &bad), ("LIBVIRT_TIMEOUT", OsStr::new("0"))],
            &[("collector.poll_interval", "never")],
        )
        .unwrap_err();
    let message = errors.to_string().replace(&place.file().display().to_string(), "FILE");
    let lines: Vec<&str> = message.lines().collect();
    let starts = [
        "the configuration is refused for 8 reasons:",
        "  file FILE:2: store.max_bytes: found the number 0; allowed: ",
        "  file FILE:4: influx.gzip: found the number 3; allowed: true or false",
        "  file FILE:5: influx.batch is not a key",
        "  file FILE:7: collector.poll_interval: found the number 0; allowed: ",
        "  environment LIBVIRT_TIMEOUT: libvirt.timeout: found \"0\"; allowed: ",
        "  environment INFLUX_DB: influx.db: found bytes that are not UTF-8; allowed: ",
        "  environment MAX_QUEUE: influx.max_queue: found \"many\"; allowed: a whole number",
        "  command line --poll-interval: collector.poll_interval: found \"never\"; allowed: ",
    ];
    assert_eq!(lines.len(), starts.len(), "{message}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\nis not\n{start}");
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line_beside_the_other_faults() {
    says(&refused("[influx]\ndb = \"x\n"), &["FILE:2", "this is not TOML"]);
    says(&refused("[influx]\nurl = localhost\n"), &["FILE:2", "this is not TOML"]);
    says(&refused("[influx\n"), &["FILE:1", "this is not TOML"]);
    says(&refused("[influx]\ndb = \"a\"\ndb = \"b\"\n"), &["FILE:3", "this is not TOML", "duplicate key"]);
    let both = refused("[collector]\npoll_interval = 0\n[influx]\ndb = x\ngzip = 3\n");
    says(
        &both,
        &[
            "for 3 reasons",
            "FILE:2: collector.poll_interval",
            "FILE:4: this is not TOML",
            "FILE:5: influx.gzip",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason_and_the_mend() {
    let directory = tempfile::tempdir().unwrap();
    let load = |path: &Path| {
        let environment = Environment::of([], None, Path::new("/nowhere"));
        let overrides = Overrides { file: Some(path.to_path_buf()), ..Overrides::default() };
        Config::load(&overrides, &environment).unwrap_err().to_string()
    };
    let absent = directory.path().join("absent.toml");
    says(&load(&absent), &[&absent.display().to_string(), "no such file", "--config"]);
    says(&load(directory.path()), &[&directory.path().display().to_string(), "cannot be read", "--config"]);

    let file = directory.path().join("c.toml");
    std::fs::write(&file, [0xff, 0xfe, b'[']).unwrap();
    says(&load(&file), &["c.toml", "not UTF-8", "config.example.toml"]);
    std::fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
    says(&load(&file), &["c.toml", "larger than 1 MiB"]);
}

/// A file that is found without being asked for is not skipped when it cannot
/// be read: what it says would silently not hold.
#[test]
fn the_systems_file_is_refused_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let environment = Environment::of([], None, directory.path());
    let message = Config::load(&Overrides::default(), &environment).unwrap_err().to_string();
    says(&message, &[&directory.path().display().to_string(), "cannot be read"]);
}

#[test]
fn a_file_this_user_may_not_read_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::with(b"[influx]\n");
    std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::File::open(place.file()).is_ok() {
        skip::skipped("a_file_this_user_may_not_read_says_so", "root may read any file");
        return;
    }
    let message = place.load(&[], &[]).unwrap_err().to_string();
    says(&message, &["config.toml", "cannot be read", "ermission denied", "the right to read it"]);
}

#[test]
fn a_secret_of_the_environment_that_cannot_be_one_is_refused_unseen() {
    let place = Place::with(b"");
    for variable in ["INFLUX_TOKEN", "INFLUX_PASSWORD"] {
        let value = format!("{SECRET}\nX-Header: 1");
        let message = place.load(&[(variable, OsStr::new(&value))], &[]).unwrap_err().to_string();
        says(&message, &[variable, "not shown", "without control characters"]);
        assert!(!message.contains(SECRET), "{message}");
    }
}

#[test]
fn half_a_client_certificate_and_crossed_thresholds_are_refused() {
    says(
        &refused("[influx]\nclient_cert = \"/c.pem\""),
        &["FILE:2", "influx.client_key is not", "both or none"],
    );
    says(
        &refused("[influx]\nclient_key = \"/k.pem\""),
        &["FILE:2", "influx.client_cert is not", "both or none"],
    );
    says(&refused("[screen]\ncritical_percent = 50"), &["FILE:2", "screen.warn_percent is above"]);
}

fn toml_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|x| format!("{x:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|b| b.to_string()),
        "[ -~]{0,40}".prop_map(|text| format!("{text:?}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just(format!("\"{SECRET}\"")),
        Just("0xffffffffffffffff".to_owned()),
        "[0-9]{1,30} (ms|s|m|h|days|weeks|B|KiB|TiB)".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            proptest::collection::vec(("[a-z]{1,8}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(k, v)| format!("{k} = {v}")).collect();
                format!("{{ {} }}", fields.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the file holds, there is an answer.
    #[test]
    fn no_text_makes_the_loader_panic(file in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Place::with(file.as_bytes()).load(&[], &[]);
        let _ = Place::with(&bytes).load(&[], &[]);
    }

    /// Each known key with any value at all: taken within its bounds, or
    /// refused with its line. A key that may hold a secret never shows it.
    #[test]
    fn any_value_under_any_key_is_taken_or_refused_with_its_line(
        index in 0..KEYS.len(),
        value in toml_value(),
    ) {
        let key = KEYS[index];
        let place = Place::with(format!("{} = {value}\n", key.name).as_bytes());
        match place.load(&[], &[]) {
            Ok(loaded) => {
                let entry = loaded.entries.iter().find(|entry| entry.key == key.name).unwrap();
                prop_assert!(entry.origin.ends_with("config.toml:1"), "{:?}", entry);
                prop_assert!(entry.value.parse().is_ok_and(f64::is_finite) || entry.value.parse::<f64>().is_err());
            }
            Err(errors) => {
                let message = errors.to_string();
                prop_assert!(message.contains("config.toml:1"), "{}", message);
                prop_assert!(!key.hushed || !message.contains(SECRET), "{}", message);
            }
        }
    }

    /// The same through the environment.
    #[test]
    fn any_variable_is_taken_or_refused_by_name(index in 0..KEYS.len(), bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
        let key = KEYS[index];
        if let Some(name) = key.env {
            let value = OsString::from_vec(bytes);
            if let Err(errors) = Place::with(b"").load(&[(name, &value)], &[]) {
                prop_assert!(errors.to_string().contains(&format!("environment {name}: ")), "{}", errors);
            }
        }
    }
}
