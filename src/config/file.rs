//! The configuration file: finding it, reading it, and turning it into
//! assignments with their lines. It knows which keys exist; what their values
//! mean is the loader's.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    environment::Environment,
    error::{ConfigError, Fault, Place, dotted},
    found::Found,
    keys::{KEYS, sections},
    nearest::nearest,
    url::is_secret_name,
};

/// Most bytes of a configuration file: far more than any that means it.
const MOST_BYTES: u64 = 1 << 20;

/// One `key = value` of the file, its key known.
pub(super) struct Assignment {
    pub(super) key: &'static str,
    pub(super) line: usize,
    pub(super) found: Found,
}

/// A file's assignments, and all that is wrong with it.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) path: Option<PathBuf>,
    pub(super) assignments: Vec<Assignment>,
    pub(super) errors: Vec<ConfigError>,
}

/// Reads the file that counts: the one asked for, else the user's, else the
/// system's. None is fine, unless one was asked for.
pub(super) fn read(asked: Option<&Path>, environment: &Environment) -> Contents {
    let candidates = match asked {
        Some(path) => vec![path.to_path_buf()],
        None => environment.config_files(),
    };
    for path in candidates {
        let fault = match text_of(&path) {
            Ok(text) => return parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && asked.is_none() => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Fault::NotFound,
            Err(error) => Fault::Unreadable { mend: mend(&error), reason: error.to_string() },
        };
        return Contents {
            path: Some(path.clone()),
            errors: vec![ConfigError { place: Place::WholeFile(path), fault }],
            ..Contents::default()
        };
    }
    Contents::default()
}

fn mend(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "give this user the right to read it, or name another file with --config"
        }
        io::ErrorKind::InvalidData => "write it anew as UTF-8 text, beginning with config.example.toml",
        io::ErrorKind::FileTooLarge => {
            "it is no configuration of kvmscope; name the right file with --config"
        }
        _ => "name a readable file with --config",
    }
}

/// The file as text, without a byte order mark.
fn text_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes)
        .map(|text| text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Walks the text. Every fault is reported; none stops the walk.
fn parse(path: &Path, text: &str) -> Contents {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
    let line_of = |offset: usize| starts.partition_point(|start| *start <= offset);
    let (table, syntax) = DeTable::parse_recoverable(text);

    let mut broken: Vec<(usize, String)> = syntax
        .iter()
        .map(|e| (e.span().map_or(1, |span| line_of(span.start)), e.message().replace('\n', ", ")))
        .collect();
    broken.sort();
    broken.dedup_by_key(|(line, _)| *line);

    let mut walk = Walk { path, line_of: &line_of, broken: &broken, contents: Contents::default() };
    for (name, value) in table.get_ref() {
        walk.section(name.get_ref(), line_of(name.span().start), value.get_ref());
    }
    let mut contents = walk.contents;
    contents.errors.extend(broken.iter().map(|(line, message)| ConfigError {
        place: Place::File { path: path.to_path_buf(), line: *line },
        fault: Fault::Syntax { message: message.clone() },
    }));
    contents.path = Some(path.to_path_buf());
    contents
}

struct Walk<'a> {
    path: &'a Path,
    line_of: &'a dyn Fn(usize) -> usize,
    /// Lines that are not TOML. The parser goes on behind them as well as it
    /// can, but what it takes for a key there may be none.
    broken: &'a [(usize, String)],
    contents: Contents,
}

impl Walk<'_> {
    fn section(&mut self, name: &str, line: usize, value: &DeValue<'_>) {
        let sections = sections();
        let Some(section) = sections.iter().find(|known| **known == name) else {
            let near = nearest(name, sections.iter().copied());
            let fault = if is_secret_name(name) {
                Self::secret(&[name])
            } else if value.is_table() {
                Fault::UnknownSection { key: dotted(&[name]), near, sections: sections.join(", ") }
            } else {
                Fault::UnknownKey { key: dotted(&[name]), near: near_key(name) }
            };
            return self.fault(line, fault);
        };
        let DeValue::Table(table) = value else {
            let found = Found::of_toml(value, self.line_of).describe(true);
            let allowed = format!("a section, [{section}], with keys below it");
            return self.fault(line, Fault::Value { key: section, found, allowed });
        };
        for (key, value) in table {
            self.key(section, key.get_ref(), (self.line_of)(key.span().start), value.get_ref());
        }
    }

    fn key(&mut self, section: &'static str, name: &str, line: usize, value: &DeValue<'_>) {
        let full = format!("{section}.{name}");
        match KEYS.iter().find(|key| key.name == full) {
            Some(key) if key.in_file() => {
                let found = Found::of_toml(value, self.line_of);
                if !self.is_broken(line) {
                    self.contents.assignments.push(Assignment { key: key.name, line, found });
                }
            }
            Some(key) => {
                let mend = match key.shape {
                    super::shape::Shape::Secret { instead, .. } => instead,
                    _ => "set it in the environment",
                };
                self.fault(line, Fault::SecretInFile { key: full, mend });
            }
            None if is_secret_name(name) => self.fault(line, Self::secret(&[section, name])),
            None => {
                let key = dotted(&[section, name]);
                self.fault(line, Fault::UnknownKey { key, near: near_key(&full) });
            }
        }
    }

    fn secret(path: &[&str]) -> Fault {
        Fault::SecretInFile {
            key: dotted(path),
            mend: "set INFLUX_TOKEN or INFLUX_PASSWORD, or use influx.token_file or influx.password_file",
        }
    }

    fn is_broken(&self, line: usize) -> bool {
        self.broken.iter().any(|(broken, _)| *broken == line)
    }

    /// Keeps a fault, unless it merely follows from a line that is not TOML.
    fn fault(&mut self, line: usize, fault: Fault) {
        let follows = self.broken.first().is_some_and(|(first, _)| line >= *first);
        let matters = matches!(fault, Fault::SecretInFile { .. });
        if matters || !(follows || self.is_broken(line)) {
            let place = Place::File { path: self.path.to_path_buf(), line };
            self.contents.errors.push(ConfigError { place, fault });
        }
    }
}

/// The most similar key of the file, by its full name or its last part.
fn near_key(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let known = || KEYS.iter().filter(|key| key.in_file());
    nearest(name, known().map(|key| key.name))
        .or_else(|| known().find(|key| last(key.name) == last(name)).map(|key| key.name))
}
