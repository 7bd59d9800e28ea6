//! `config.example.toml` and the code say the same.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests may fail loudly")]

use std::{ffi::OsStr, path::Path};

use kvmscope::config::{Auth, Config, Environment, KEYS, Loaded, Overrides, example};

const FILE: &str = include_str!("../config.example.toml");

fn load(text: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    // What the terminal shows is asked of it and is no setting.
    let terminal = ("TERM", OsStr::new("xterm-256color"));
    let environment = Environment::of([terminal], Some(Path::new("/home/user")), Path::new("/nowhere"));
    Config::load(&Overrides { file: Some(path), ..Overrides::default() }, &environment).unwrap()
}

/// The file with every key taken out of its comment. Words of explanation
/// stand behind `##`.
fn uncommented() -> String {
    FILE.lines()
        .skip_while(|line| !line.starts_with('['))
        .map(|line| match line.strip_prefix("# ") {
            Some(assignment) => format!("{assignment}\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn the_file_is_what_the_key_table_makes() {
    if FILE != example() {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config.example.toml");
        std::fs::write(&made, example()).unwrap();
        panic!("config.example.toml is not what the key table makes; copy {} over it", made.display());
    }
}

#[test]
fn as_it_stands_it_changes_nothing() {
    let loaded = load(FILE);
    assert!(loaded.entries.iter().all(|entry| entry.origin == "default"), "{:?}", loaded.entries);
}

#[test]
fn every_key_of_the_file_is_known_and_every_row_of_the_table_is_in_the_file() {
    let loaded = load(&uncommented());
    for key in KEYS {
        let entry = loaded.entries.iter().find(|entry| entry.key == key.name).unwrap();
        if key.in_file() {
            assert!(entry.origin.starts_with("file "), "{} is not in the file: {entry:?}", key.name);
        } else {
            assert!(FILE.contains(key.doc), "{} is not told about", key.name);
            assert_eq!(entry.origin, "default");
        }
        for name in [key.env, key.flag].into_iter().flatten() {
            assert!(FILE.contains(name), "{name} is not in the file");
        }
    }
}

/// The texts of the table and the `Default` of the sections are two places;
/// this is what keeps them one.
#[test]
fn the_defaults_in_the_file_are_the_defaults_of_the_code() {
    let mut from_file = load(&uncommented()).config;
    assert_eq!(from_file.store.path.as_deref(), Some(Path::new("/home/user/.local/state/kvmscope")));
    from_file.store.path = None;
    let log = Path::new("/home/user/.local/state/kvmscope/kvmscope.log");
    assert_eq!(from_file.log.file.as_deref(), Some(log));
    from_file.log.file = None;
    assert!(matches!(from_file.influx.auth, Auth::Token(None)));
    assert_eq!(format!("{from_file:?}"), format!("{:?}", Config::default()));
}
