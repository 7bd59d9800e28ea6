//! `config.example.toml` as the key table has it, so that the file can be held
//! against the code.

use std::fmt::Write as _;

use super::keys::KEYS;

const HEAD: &str = "\
# kvmscope: every key, each with its default.
#
# Copy this file to $XDG_CONFIG_HOME/kvmscope/config.toml (~/.config/kvmscope/config.toml) or to
# /etc/kvmscope/config.toml, and take the # from a line to change it. Precedence: default < this
# file < environment < command line. Unknown keys are refused. `kvmscope config` shows what is in
# force and where each value came from.
#
# Spans of time are seconds or such as \"200 ms\", \"30 s\", \"5 m\", \"6 h\", \"7 days\"; sizes are bytes
# or such as \"512 MiB\", \"1 GiB\" (units of 1024 only).
#
# No secret ever stands in this file.
";

/// Longest line.
const WIDTH: usize = 100;

/// The whole file: each key commented out with its default, below a line on
/// what it does, what overrides it, and what it may be.
#[must_use]
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for key in KEYS {
        if key.section() != section {
            section = key.section();
            // Writing into a String cannot fail.
            let _ = write!(text, "\n[{section}]\n");
        }
        text.push('\n');
        comment(&mut text, key.doc);
        let allowed = key.in_file().then(|| format!("Allowed: {}.", key.shape.allowed()));
        let overrides = match (key.env, key.flag) {
            (None, None) => None,
            (Some(env), None) => Some(format!("Environment: {env}.")),
            (None, Some(flag)) => Some(format!("Command line: {flag}.")),
            (Some(env), Some(flag)) => Some(format!("Environment: {env}; command line: {flag}.")),
        };
        for line in [allowed, overrides].into_iter().flatten() {
            comment(&mut text, &line);
        }
        if key.in_file() {
            let name = key.name.split_once('.').map_or(key.name, |(_, name)| name);
            let _ = writeln!(text, "# {name} = {}", key.default);
        }
    }
    text
}

/// A comment, broken at blanks.
fn comment(text: &mut String, words: &str) {
    let mut column = 0;
    for word in words.split(' ') {
        if column == 0 || column + 1 + word.len() > WIDTH {
            text.push_str(if column == 0 { "##" } else { "\n##" });
            column = 2;
        }
        text.push(' ');
        text.push_str(word);
        column += 1 + word.len();
    }
    text.push('\n');
}
