//! The arrows between the rooms of `src/lib.rs`, read from the source: which
//! room names which, which crates a room may name, and where `unsafe` may stand.
//!
//! The reader is small: it drops comments and literals, then looks for paths
//! that begin with `crate::`, with enough `super::` to reach the crate's root,
//! or, in main.rs, with the crate's own name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Which rooms a room may name beside itself. A room that is not listed here
/// may not exist: whoever adds one says where its arrows point.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("clock", &["model"]),
    ("config", &["model"]),
    ("rundir", &[]),
    ("terminal", &[]),
    ("cli", &["config"]),
    ("telemetry", &["model"]),
    ("libvirt", &["clock", "config", "model"]),
    ("check", &["clock", "config", "influx", "libvirt", "model"]),
    ("once", &["clock", "collector", "model"]),
    ("collector", &["clock", "config", "libvirt", "model", "rundir"]),
    ("influx", &["clock", "config", "model"]),
    ("journal", &["clock", "config", "model", "rundir"]),
    ("delivery", &["clock", "config", "influx", "journal", "model"]),
    ("wire", &["model"]),
    ("attach", &["clock", "config", "model", "rundir", "wire"]),
    ("app", &["config", "model"]),
    ("ui", &["app", "config", "model"]),
    ("agent", &["check", "clock", "collector", "config", "delivery", "model", "rundir", "telemetry", "wire"]),
    (
        "runtime",
        &[
            "agent",
            "app",
            "attach",
            "cli",
            "clock",
            "collector",
            "config",
            "delivery",
            "influx",
            "journal",
            "libvirt",
            "model",
            "rundir",
            "telemetry",
            "terminal",
            "ui",
            "wire",
        ],
    ),
    ("main", &["agent", "check", "cli", "clock", "config", "libvirt", "once", "runtime", "telemetry"]),
];

/// Crates that only some rooms may name.
const CRATES: &[(&str, &[&str])] = &[
    ("virt", &["libvirt"]),
    ("rusqlite", &["journal"]),
    ("reqwest", &["attach", "influx"]),
    ("ratatui", &["ui", "runtime", "terminal"]),
    ("axum", &["agent"]),
    ("http_body_util", &["attach"]),
    ("hyper", &["agent", "attach"]),
    ("tokio_rustls", &["agent", "attach"]),
    ("rustls_platform_verifier", &["attach"]),
    ("tokio", &["agent", "attach", "delivery", "influx", "runtime", "main"]),
];

/// What `model` may name of the outside: values that can be shown and stored.
const OF_MODEL: &[&str] = &["serde", "uuid"];

/// The only place for `unsafe`.
const UNSAFE: &str = "src/libvirt/ffi/";

// ---- reading -----------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Sign(char),
}

/// Words and signs of Rust source, without comments and literals.
fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < text.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= text.len() {
                        break;
                    }
                }
            }
            ('"', _) => i = end_of_string(&text, i),
            ('\'', next) => {
                // A character literal closes soon; a lifetime does not.
                if next == '\\' || at(i + 2) == '\'' {
                    i += if next == '\\' { 3 } else { 2 };
                    while i < text.len() && at(i) != '\'' {
                        i += 1;
                    }
                }
                i += 1;
            }
            (':', ':') => {
                found.push(Token::Path);
                i += 2;
            }
            (c, _) if is_word(c) => {
                let start = i;
                while is_word(at(i)) {
                    i += 1;
                }
                let word: String = text[start..i].iter().collect();
                let raw = matches!(word.as_str(), "r" | "br" | "cr");
                if raw && (at(i) == '"' || (at(i) == '#' && matches!(at(i + 1), '#' | '"'))) {
                    i = end_of_raw_string(&text, i);
                } else if !(matches!(word.as_str(), "b" | "c") && matches!(at(i), '"' | '\'')) {
                    found.push(Token::Word(word));
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    found.push(Token::Sign(c));
                }
                i += 1;
            }
        }
    }
    found
}

fn end_of_string(text: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < text.len() && text[i] != '"' {
        i += if text[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn end_of_raw_string(text: &[char], start: usize) -> usize {
    let hashes = text[start..].iter().take_while(|c| **c == '#').count();
    let mut i = start + hashes + 1;
    while i < text.len() {
        if text[i] == '"' && text[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// The first names that follow `crate::` and its like, in source of the module
/// at `depth` below the crate's root: `crate::{model::X, config}` gives two.
fn names_below_root(tokens: &[Token], depth: usize, in_main: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // Braces that opened an inline module, as the brace depth inside them.
    let mut inline: Vec<usize> = Vec::new();
    let mut braces = 0;
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            Token::Sign('{') => {
                braces += 1;
                if matches!(&tokens[..i], [.., Token::Word(keyword), Token::Word(_)] if keyword == "mod") {
                    inline.push(braces);
                }
            }
            Token::Sign('}') => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            Token::Word(word) if tokens.get(i + 1) == Some(&Token::Path) && !follows_path(tokens, i) => {
                let mut end = i + 1;
                let reaches_root = match word.as_str() {
                    "crate" => true,
                    "kvmscope" => in_main,
                    "super" | "self" => {
                        let mut supers = usize::from(word == "super");
                        while tokens.get(end + 1) == Some(&Token::Word("super".into()))
                            && tokens.get(end + 2) == Some(&Token::Path)
                        {
                            (supers, end) = (supers + 1, end + 2);
                        }
                        depth > 0 && supers == depth + inline.len()
                    }
                    _ => false,
                };
                if reaches_root {
                    names.extend(first_names(&tokens[end + 1..]));
                }
                i = end;
            }
            _ => {}
        }
        i += 1;
    }
    names
}

fn follows_path(tokens: &[Token], i: usize) -> bool {
    i > 0 && tokens[i - 1] == Token::Path
}

/// The name, or the first name of each branch of a group, at the start.
fn first_names(tokens: &[Token]) -> Vec<String> {
    match tokens.first() {
        Some(Token::Word(name)) => vec![name.clone()],
        Some(Token::Sign('{')) => {
            let mut names = Vec::new();
            let mut depth = 0;
            let mut fresh = false;
            for token in tokens {
                match token {
                    Token::Sign('{') => {
                        depth += 1;
                        fresh = depth == 1;
                    }
                    Token::Sign('}') => {
                        depth -= 1;
                        if depth == 0 {
                            break;
                        }
                    }
                    Token::Sign(',') => fresh = depth == 1,
                    Token::Word(name) if fresh => {
                        names.push(name.clone());
                        fresh = false;
                    }
                    _ => {}
                }
            }
            names
        }
        _ => Vec::new(),
    }
}

/// Crates of `known` that a path begins with, or that are used by name alone.
fn crates_named<'a>(tokens: &[Token], known: &[&'a str]) -> BTreeSet<&'a str> {
    let mut named = BTreeSet::new();
    for (i, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let Some(known) = known.iter().find(|name| *name == word) else { continue };
        let used = matches!(&tokens[..i], [.., Token::Word(keyword)] if keyword == "use");
        if !follows_path(tokens, i) && (used || tokens.get(i + 1) == Some(&Token::Path)) {
            named.insert(*known);
        }
    }
    named
}

// ---- judging -----------------------------------------------------------------

/// Everything wrong with one file, in words. `path` is relative to the
/// repository: `src/libvirt/reader.rs`.
fn violations(path: &str, source: &str, dependencies: &[&str]) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap();
    let room = inside.split('/').next().unwrap().trim_end_matches(".rs");
    let tokens = tokens(source);
    let mut wrong = Vec::new();
    if tokens.contains(&Token::Word("unsafe".into())) && !path.starts_with(UNSAFE) {
        wrong.push(format!("{path}: unsafe code belongs into {UNSAFE}"));
    }
    if room == "lib" {
        return wrong;
    }
    let Some((_, arrows)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        wrong.push(format!("{path}: the room {room} has no arrows in tests/rooms.rs"));
        return wrong;
    };
    let file = inside.trim_end_matches(".rs");
    let module = file.strip_suffix("/mod").unwrap_or(file);
    let depth = if room == "main" { 0 } else { module.split('/').count() };
    for name in names_below_root(&tokens, depth, room == "main") {
        if name != room && !arrows.contains(&name.as_str()) {
            wrong.push(format!("{path}: {room} must not name {name}"));
        }
    }
    for name in crates_named(&tokens, dependencies) {
        let of_model = room != "model" || OF_MODEL.contains(&name);
        let restricted = CRATES.iter().find(|(krate, _)| *krate == name);
        if !of_model || restricted.is_some_and(|(_, rooms)| !rooms.contains(&room)) {
            wrong.push(format!("{path}: {room} must not name the crate {name}"));
        }
    }
    wrong
}

/// The names of `[dependencies]`, as code writes them.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let (true, Some((name, _))) = (section == "[dependencies]", line.split_once('=')) {
            names.push(name.trim().replace('-', "_"));
        }
    }
    names
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_arrows_hold() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = dependencies(&std::fs::read_to_string(repository.join("Cargo.toml")).unwrap());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (krate, _) in CRATES {
        assert!(names.contains(krate), "{krate} is no dependency any more");
    }
    let mut files = Vec::new();
    rust_files(&repository.join("src"), &mut files);
    assert!(!files.is_empty());
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let relative = path.strip_prefix(repository).unwrap().to_str().unwrap();
            violations(relative, &std::fs::read_to_string(path).unwrap(), &names)
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

// ---- the checker itself --------------------------------------------------------

const KNOWN: &[&str] = &["ratatui", "reqwest", "rusqlite", "serde", "thiserror", "tokio", "uuid", "virt"];

fn one_wrong(path: &str, source: &str, expected: &str) {
    let wrong = violations(path, source, KNOWN);
    assert_eq!(wrong, [format!("{path}: {expected}")], "{source}");
}

fn nothing_wrong(path: &str, source: &str) {
    assert_eq!(violations(path, source, KNOWN), Vec::<String>::new(), "{source}");
}

#[test]
fn a_wrong_arrow_is_found_however_it_is_written() {
    let path = "src/ui/fleet/mod.rs";
    let expected = "ui must not name journal";
    one_wrong(path, "use crate::journal::Journal;", expected);
    one_wrong(path, "use crate::{model::{Frame, rates::Angle}, journal};", expected);
    one_wrong(path, "use crate::{\n    app::{self, App},\n    journal::*,\n};", expected);
    one_wrong(path, "pub(crate) fn f(j: &crate::journal::Journal) {}", expected);
    one_wrong(path, "use super::super::journal::Journal;", expected);
    one_wrong(path, "mod tests { use super::super::super::journal::Journal; }", expected);
    one_wrong(path, "fn f() { let x = '{'; let s = \"// }\"; crate::journal::open(x, s) }", expected);
    one_wrong("src/main.rs", "use kvmscope::journal::Journal;", "main must not name journal");
    one_wrong("src/model/frame.rs", "use super::super::config;", "model must not name config");
}

#[test]
fn what_is_allowed_passes() {
    let path = "src/ui/fleet/mod.rs";
    nothing_wrong(path, "use crate::{app::App, config, model::Frame, ui::theme::Theme};");
    nothing_wrong(path, "use super::theme::Theme; mod tests { use super::super::theme::Theme; }");
    nothing_wrong(path, "/// See [`crate::journal`].\n/* use crate::journal; /* nested */ */ fn f() {}");
    nothing_wrong(path, "const S: &str = \"crate::journal\"; const R: &str = r#\"a \" crate::libvirt\"#;");
    nothing_wrong(path, "fn f<'a>(x: &'a str) -> char { x.journal(); '\\'' }");
    nothing_wrong("src/main.rs", "use kvmscope::{cli, runtime};");
    nothing_wrong("src/lib.rs", "pub mod journal;");
}

#[test]
fn a_crate_in_the_wrong_room_is_found() {
    one_wrong("src/app/update.rs", "use ratatui::Frame;", "app must not name the crate ratatui");
    one_wrong(
        "src/app/update.rs",
        "async fn f() { tokio::task::yield_now().await }",
        "app must not name the crate tokio",
    );
    one_wrong("src/libvirt/reader.rs", "use tokio::sync::mpsc;", "libvirt must not name the crate tokio");
    one_wrong(
        "src/model/status.rs",
        "#[derive(thiserror::Error)] struct E;",
        "model must not name the crate thiserror",
    );
    one_wrong("src/delivery/sender.rs", "use rusqlite;", "delivery must not name the crate rusqlite");
    nothing_wrong("src/model/status.rs", "use serde::Serialize; use uuid::Uuid; use std::fmt;");
    nothing_wrong("src/libvirt/uri.rs", "use crate::libvirt::tokio::X; fn f(tokio: u8) -> u8 { tokio }");
}

#[test]
fn unsafe_outside_its_place_is_found() {
    let source = "fn f() { unsafe { g() } }";
    one_wrong("src/libvirt/reader.rs", source, "unsafe code belongs into src/libvirt/ffi/");
    nothing_wrong("src/libvirt/ffi/bulk.rs", source);
    nothing_wrong("src/libvirt/reader.rs", "#![deny(unsafe_code)] // no unsafe here");
}

#[test]
fn a_room_without_arrows_is_found() {
    one_wrong("src/helpers.rs", "", "the room helpers has no arrows in tests/rooms.rs");
}
