//! `kvmscope export`: a stretch of the record, to a file or to another
//! program.
//!
//! Owns who is asked for the record (the agent that writes it, or its file
//! where nobody does), and the words and exit codes of what can go wrong. What
//! is in it is `agent::export`'s.

mod output;
mod times;

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use output::Output;
use times::{ALLOWED, instant, told};

use crate::{
    agent::export::{Export, Format},
    attach::{
        Place,
        fetch::{self, FetchError},
    },
    cli,
    clock::Clock,
    config::Config,
    delivery::{
        self, Role,
        lookback::stretch::{Access, Stretch, StretchError, Wanted},
    },
    journal::LookError,
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
        match (self.read(output), self.socket()) {
            // Another user's, such as the service's.
            (Err(ExportError::Record(StretchError::Look(none @ LookError::None { .. }))), Some(socket))
                if output.bytes == 0 =>
            {
                match self.ask_at(socket, "the agent", output) {
                    // A socket that was left behind.
                    Err(ExportError::Agent { source: FetchError::Unreachable(why), .. })
                        if matches!(
                            why.kind(),
                            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                        ) =>
                    {
                        Err(StretchError::Look(none).into())
                    }
                    asked => asked,
                }
            }
            (read, _) => read,
        }
    }

    /// Where an agent answers, if one may.
    fn socket(&self) -> Option<PathBuf> {
        let place =
            Place::usual(&self.config.agent, self.config.store.path.as_deref(), &self.config.libvirt.uri)?;
        place.socket().filter(|socket| socket.exists()).map(Path::to_owned)
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

    /// From the process that has the lock.
    fn ask(&self, holder: &str, output: &mut Output) -> Result<(), ExportError> {
        let Some(socket) = self.socket().filter(|_| holder.contains("agent")) else {
            let mend = if holder.contains("agent") {
                "it answers at no socket that this configuration names: set agent.socket as it has it"
            } else {
                "quit it, or look back there with [ and ] and export with e what is shown"
            };
            return Err(ExportError::Held { holder: holder.to_owned(), mend: mend.to_owned() });
        };
        self.ask_at(socket, holder, output)
    }

    /// From the agent at `socket`.
    fn ask_at(&self, socket: PathBuf, holder: &str, output: &mut Output) -> Result<(), ExportError> {
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
