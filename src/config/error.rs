//! What can be wrong with a configuration: each fault says where, which key,
//! what was found and what is allowed. None of them ever holds a value that
//! may be a secret.

use std::{fmt, path::PathBuf};

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Built in.
    Default,
    /// A line of the file, counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// The file as a whole.
    WholeFile(PathBuf),
    /// A variable of the environment.
    Environment(&'static str),
    /// A flag of the command line.
    CommandLine(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "file {}:{line}", path.display()),
            Self::WholeFile(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine(flag) => write!(f, "command line {flag}"),
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file named by `--config` is not there.
    #[error("there is no such file; mend the path after --config, or leave --config out")]
    NotFound,
    /// The file is there and cannot be read.
    #[error("cannot be read: {reason}; {mend}")]
    Unreadable {
        /// The system's words.
        reason: String,
        /// What to do.
        mend: &'static str,
    },
    /// Not TOML.
    #[error("this is not TOML: {message}")]
    Syntax {
        /// The parser's words, without the line's text.
        message: String,
    },
    /// No such section.
    #[error("{key} is not a section{}; sections are {sections}", nearest(*.near))]
    UnknownSection {
        /// As found, fit to print.
        key: String,
        /// The most similar section.
        near: Option<&'static str>,
        /// All sections.
        sections: String,
    },
    /// No such key.
    #[error("{key} is not a key{}; config.example.toml lists them all", nearest(*.near))]
    UnknownKey {
        /// As found, fit to print.
        key: String,
        /// The most similar key.
        near: Option<&'static str>,
    },
    /// Wrong type or out of range.
    #[error("{key}: found {found}; allowed: {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was found, or its kind where it may be a secret.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// A secret where everybody can read it.
    #[error(
        "{key}: a secret never stands in the file, which is copied, backed up and shown; \
         remove it here, renew it, and {mend}"
    )]
    SecretInFile {
        /// As found, fit to print.
        key: String,
        /// The variable or key to use.
        mend: &'static str,
    },
    /// A URL that carries credentials.
    #[error(
        "{key}: the URL carries {what} (not shown), and URLs end in logs and process lists; \
         take it out and {mend}"
    )]
    SecretInUrl {
        /// The key.
        key: &'static str,
        /// What it carries, in words.
        what: &'static str,
        /// Where credentials go instead.
        mend: &'static str,
    },
    /// A tag that cannot be used.
    #[error("influx.tags: {tag} {why}; allowed: {allowed}")]
    Tag {
        /// The tag's name, fit to print.
        tag: String,
        /// What is wrong with it.
        why: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two keys that do not go together.
    #[error("{0}")]
    Together(&'static str),
}

fn nearest(near: Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"))
}

/// One fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
}

/// Everything that is wrong, in the order of file, environment, command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "the configuration is refused: {one}"),
            many => {
                write!(f, "the configuration is refused for {} reasons:", many.len())?;
                many.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

/// Makes text from outside fit to print: no control characters, quoted, cut.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// A dotted key from outside, fit to print: bare where TOML lets it be bare.
pub(super) fn dotted(path: &[&str]) -> String {
    let part = |part: &&str| {
        if !part.is_empty()
            && part.len() <= 60
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            (*part).to_owned()
        } else {
            quoted(part)
        }
    };
    path.iter().map(part).collect::<Vec<_>>().join(".")
}
