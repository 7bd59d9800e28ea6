//! `kvmscope export`: a stretch of the record, to a file or to another
//! program.
//!
//! Owns what the times mean, who is asked for the record (the agent that
//! writes it, or its file where nobody does), where it goes, and the words and
//! exit codes of what can go wrong. What is in it is `agent::export`'s.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use thiserror::Error;

use super::fetch::{self, FetchError};
use crate::{
    agent::{
        door,
        export::{Export, Format},
    },
    cli,
    clock::Clock,
    config::{Config, Socket},
    delivery::{
        self, Role,
        lookback::stretch::{Access, Stretch, StretchError, Wanted},
    },
    journal::LookError,
    model::WallTime,
    rundir,
};

/// Why there is no export, or not all of it.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A time is none.
    #[error("{option} {found:?} is no time: {ALLOWED}")]
    Time {
        /// `--since` or `--until`.
        option: &'static str,
        /// What was given.
        found: String,
    },
    /// It ends before it begins.
    #[error("--since {since} is not before --until {until}: nothing lies between them")]
    Backwards {
        /// From when.
        since: String,
        /// Until when.
        until: String,
    },
    /// Nothing is recorded in that time.
    #[error("nothing is recorded from {since} until {until}; {covers}")]
    Nothing {
        /// From when.
        since: String,
        /// Until when.
        until: String,
        /// What there is.
        covers: String,
    },
    /// Nothing is recorded of that VM in that time.
    #[error(
        "no VM with the name or uuid {vm:?} is recorded from {since} until {until}; {covers}; \
         `kvmscope once` lists the VMs of now"
    )]
    NoVm {
        /// What was given.
        vm: String,
        /// From when.
        since: String,
        /// Until when.
        until: String,
        /// What there is.
        covers: String,
    },
    /// Another process has the record to itself.
    #[error("{holder} has the record to itself; {mend}")]
    Held {
        /// Who.
        holder: String,
        /// What can be done.
        mend: String,
    },
    /// The agent was asked in vain.
    #[error("{holder} was asked for its record at {socket}: {source}")]
    Agent {
        /// Who.
        holder: String,
        /// Where.
        socket: PathBuf,
        /// Why it was in vain.
        source: FetchError,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Record(#[from] StretchError),
    /// What is damaged lacks.
    #[error("the export lacks {0} lines or cycles that are damaged in the record; the rest is there")]
    Lost(u64),
    /// The output cannot be written.
    #[error("cannot write {to}: {source}{}", if source.kind() == io::ErrorKind::AlreadyExists {
        "; name another file, or remove that one"
    } else {
        ""
    })]
    Output {
        /// The file, or standard output.
        to: String,
        /// The system's words.
        source: io::Error,
    },
}

impl ExportError {
    /// What the program exits with.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Time { .. } | Self::Backwards { .. } => 2,
            Self::Nothing { .. } => 4,
            Self::NoVm { .. } => 5,
            _ => 1,
        }
    }
}

const ALLOWED: &str = "one is RFC 3339 such as 2026-01-31T14:02:11Z, so long ago such as 1h, 90m or 2d, \
                       `today` (since 00:00 UTC) or `now`";

/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Writes what `asked` wants of the record that `config` names.
///
/// # Errors
/// See [`ExportError`]. A reader that has left, such as `head`, is none.
pub fn export(config: &Config, clock: &Clock, asked: &cli::Export) -> Result<(), ExportError> {
    let now = clock.now().0;
    let since = instant("--since", &asked.since, now)?;
    let until = asked.until.as_deref().map_or(Ok(now), |until| instant("--until", until, now))?;
    if since >= until {
        return Err(ExportError::Backwards { since: told(since), until: told(until) });
    }
    let format = Format::named(&asked.format).unwrap_or(Format::Lines);
    let question = Question { config, wanted: Wanted { since, until, vm: asked.vm.clone() }, format };
    let mut output = Output::open(asked.output.as_deref())?;
    let done = question.write(&mut output);
    output.end(done)
}

/// What is to be written.
struct Question<'a> {
    config: &'a Config,
    wanted: Wanted,
    format: Format,
}

impl Question<'_> {
    fn write(&self, output: &mut Output) -> Result<(), ExportError> {
        let (store, uri) = (&self.config.store, &self.config.libvirt.uri);
        if store.path.is_none() {
            return Err(StretchError::Off.into());
        }
        // The lock is let go at once: nobody is kept from recording for this.
        let holder = match delivery::claim(store, uri, "kvmscope export") {
            Ok(Role::Looking { holder }) => Some(holder),
            Ok(Role::Recording(_) | Role::Barred { .. }) | Err(_) => None,
        };
        if let Some(holder) = holder {
            return self.ask(&holder, output);
        }
        self.read(output)
    }

    /// From the file.
    fn read(&self, output: &mut Output) -> Result<(), ExportError> {
        let mut export = Export::new(self.config, self.wanted.clone(), self.format, Access::AtRest)?;
        loop {
            let page = export.page().map_err(|error| match error {
                StretchError::Look(LookError::Closed { held: true, .. }) => ExportError::Held {
                    holder: "another process".to_owned(),
                    mend: "run this again, and it says which one".to_owned(),
                },
                error => error.into(),
            })?;
            let Some(page) = page else { break };
            if !output.take(&page)? {
                return Ok(());
            }
        }
        let covers = if output.bytes == 0 { covers(export.stretch()) } else { String::new() };
        self.judge(output, export.stretch().lost(), covers)
    }

    /// From the agent.
    fn ask(&self, holder: &str, output: &mut Output) -> Result<(), ExportError> {
        let record = self.config.store.path.as_deref();
        let socket = match &self.config.agent.socket {
            Socket::At(path) => Some(path.clone()),
            Socket::Auto => door::usual_place(record, &self.config.libvirt.uri).ok(),
            Socket::Off => None,
        };
        let Some(socket) = socket.filter(|socket| holder.contains("agent") && socket.exists()) else {
            let mend = if holder.contains("agent") {
                "it answers at no socket that this configuration names: set agent.socket as it has it"
            } else {
                "quit it, or look back there with [ and ] and export with e what is shown"
            };
            return Err(ExportError::Held { holder: holder.to_owned(), mend: mend.to_owned() });
        };
        let mut failed = None;
        let mut parameters = vec![("since", told(self.wanted.since)), ("until", told(self.wanted.until))];
        parameters.push(("format", self.format.word().to_owned()));
        parameters.extend(self.wanted.vm.clone().map(|vm| ("vm", vm)));
        let fetched = fetch::export(&socket, &parameters, |part| match output.take(part) {
            Ok(goes_on) => goes_on,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match fetched {
            Ok(Some(lost)) => {
                let covers = format!("`kvmscope` attached to {holder} shows what is");
                self.judge(output, lost, covers)
            }
            // The reader has left.
            Ok(None) => Ok(()),
            Err(source) => Err(ExportError::Agent { holder: holder.to_owned(), socket, source }),
        }
    }

    /// Whether it was what somebody wants.
    fn judge(&self, output: &Output, lost: u64, covers: String) -> Result<(), ExportError> {
        let (since, until) = (told(self.wanted.since), told(self.wanted.until));
        match &self.wanted.vm {
            _ if lost > 0 => Err(ExportError::Lost(lost)),
            _ if output.bytes > 0 => Ok(()),
            None => Err(ExportError::Nothing { since, until, covers }),
            Some(vm) => Err(ExportError::NoVm { vm: vm.clone(), since, until, covers }),
        }
    }
}

fn covers(stretch: &Stretch) -> String {
    match stretch.covers() {
        Ok(Some(covers)) => format!("the record holds {} to {}", told(covers.from), told(covers.to)),
        _ => "the record is empty".to_owned(),
    }
}

/// RFC 3339 in UTC.
fn told(at: WallTime) -> String {
    jiff::Timestamp::from_nanosecond(at.0.into()).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// The instant that `text` means.
fn instant(option: &'static str, text: &str, now: WallTime) -> Result<WallTime, ExportError> {
    const DAY: i64 = 86_400_000_000_000;
    let none = || ExportError::Time { option, found: text.to_owned() };
    let word = text.trim();
    match word {
        "now" => return Ok(now),
        "today" => return Ok(WallTime(now.0.div_euclid(DAY) * DAY)),
        _ => {}
    }
    if let Ok(at) = word.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).map(WallTime).map_err(|_| none());
    }
    ago(word.strip_prefix('-').unwrap_or(word))
        .and_then(|ago| now.0.checked_sub(ago).filter(|at| *at >= 0))
        .map(WallTime)
        .ok_or_else(none)
}

/// `1h`, `90m`, `1h30m`: nanoseconds.
fn ago(text: &str) -> Option<i64> {
    let mut sum = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?.checked_mul(1_000_000_000)?)?;
        rest = &rest[digits + 1..];
    }
    (sum > 0).then_some(sum)
}

/// Where it goes.
struct Output {
    to: Box<dyn Write>,
    /// The file, and which one it is.
    file: Option<(PathBuf, File)>,
    name: String,
    bytes: u64,
    /// When a terminal was told last how far it is; `None`: there is none to tell.
    told: Option<Instant>,
    tells: bool,
}

impl Output {
    /// Standard output, or a file of this user's alone that is not there yet.
    fn open(path: Option<&Path>) -> Result<Self, ExportError> {
        // Lines would come in between on a terminal that shows both.
        let beside = path.is_some() || !io::stdout().is_terminal();
        let told = (beside && io::stderr().is_terminal()).then(Instant::now);
        let Some(path) = path else {
            let name = "to standard output".to_owned();
            return Ok(Self { to: Box::new(io::stdout()), file: None, name, bytes: 0, told, tells: false });
        };
        let name = path.display().to_string();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let opened = rundir::regular(&mut options, path).and_then(|file| Ok((file.try_clone()?, file)));
        let (to, file) = opened.map_err(|source| ExportError::Output { to: name.clone(), source })?;
        let file = Some((path.to_owned(), file));
        Ok(Self { to: Box::new(to), file, name, bytes: 0, told, tells: false })
    }

    /// Writes a part; false: nobody reads on.
    fn take(&mut self, part: &[u8]) -> Result<bool, ExportError> {
        match self.to.write_all(part).and_then(|()| self.to.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            Err(source) => return Err(ExportError::Output { to: self.name.clone(), source }),
        }
        self.bytes += part.len() as u64;
        if self.told.is_some_and(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            self.tells = true;
            // Whole megabytes do.
            let _ = write!(io::stderr(), "\rkvmscope: {} MB exported", self.bytes / 1_000_000);
        }
        Ok(true)
    }

    /// Ends it as the writing did. A file that holds nothing, or not all, is
    /// removed: nobody takes it for the whole.
    fn end(self, done: Result<(), ExportError>) -> Result<(), ExportError> {
        if self.tells {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        let Some((path, file)) = &self.file else { return done };
        let done = done.and_then(|()| {
            file.sync_all().map_err(|source| ExportError::Output { to: self.name.clone(), source })
        });
        let whole = matches!(done, Ok(()) | Err(ExportError::Lost(_)));
        if !whole && is_same(path, file) {
            let _ = fs::remove_file(path);
        }
        done
    }
}

fn is_same(path: &Path, file: &File) -> bool {
    let ours = file.metadata().map(|meta| (meta.dev(), meta.ino()));
    let there = fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
    ours.ok().zip(there.ok()).is_some_and(|(ours, there)| ours == there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_spans_and_words() {
        let now = WallTime(1_769_868_131_000_000_000);
        let is = |text: &str| instant("--since", text, now).map(told).ok();
        for (text, expected) in [
            ("2026-01-31T14:02:11Z", "2026-01-31T14:02:11Z"),
            ("2026-01-31T16:02:11.5+02:00", "2026-01-31T14:02:11.5Z"),
            ("now", "2026-01-31T14:02:11Z"),
            ("today", "2026-01-31T00:00:00Z"),
            ("1h", "2026-01-31T13:02:11Z"),
            ("-1h", "2026-01-31T13:02:11Z"),
            ("1h30m", "2026-01-31T12:32:11Z"),
            ("2d", "2026-01-29T14:02:11Z"),
            ("1w", "2026-01-24T14:02:11Z"),
            (" 90s ", "2026-01-31T14:00:41Z"),
        ] {
            assert_eq!(is(text).as_deref(), Some(expected), "{text}");
        }
        let long = "9".repeat(40) + "s";
        for wrong in
            ["", "-", "yesterday", "1", "h", "1y", "--1h", "1h-", "0s", "2026-01-31", "99999d", &long]
        {
            assert_eq!(is(wrong), None, "{wrong}");
        }
        let refused = instant("--until", "soon", now).unwrap_err();
        assert_eq!(refused.code(), 2);
        assert!(refused.to_string().contains("--until \"soon\"") && refused.to_string().contains("RFC 3339"));
    }
}
