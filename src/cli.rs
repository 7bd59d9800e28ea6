//! The command line: what can be asked of kvmscope, as plain data.
//!
//! Owns flags, help, completions and the manual page. It does no I/O, reads no
//! environment and never exits: [`read`] hands a refused command line back as
//! a [`clap::Error`], which `main` prints. What a value means is decided by
//! [`crate::config`], so that a bad one is refused alike wherever it stands.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, Parser, Subcommand,
    builder::PossibleValuesParser,
    error::{ErrorKind, Result},
};
pub use clap_complete::Shell;

use crate::config::{Key, Overrides};

mod manual;

/// Whose collection the screen shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// Nothing was said: an agent's that records this host, where there is one.
    #[default]
    Found,
    /// `--attach`: that of this host's agent, and never one of its own.
    Usual,
    /// `--attach PLACE`: that of the agent there.
    At(String),
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The screen.
    Screen {
        /// `--stopped`: open it without collecting.
        stopped: bool,
    },
    /// Two readings, then print.
    Once {
        /// `--json`: print JSON rather than a table.
        json: bool,
    },
    /// Collect without a screen.
    Agent,
    /// A stretch of the record.
    Export(Export),
    /// Check each prerequisite.
    Check,
    /// Show the effective configuration.
    Config,
    /// Completions for a shell.
    Completions(Shell),
    /// The manual page.
    Man,
}

/// Which part of the record, in which form, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Export {
    /// From when on: RFC 3339, so long ago (1h, 90m, 2d), or today
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: String,
    /// Until when, without that instant; now, where it is not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// One VM alone, by its name or uuid
    #[arg(long, value_name = "VM")]
    pub vm: Option<String>,
    /// Line protocol as the database was sent it, a table, or JSON by the line
    #[arg(long, value_name = "FORMAT", value_parser = ["lp", "csv", "jsonl"], default_value = "lp")]
    pub format: String,
    /// A new file, readable by this user alone; standard output otherwise
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A command line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Whose collection the screen shows.
    pub attach: Attach,
    /// What it changes in the configuration.
    pub overrides: Overrides,
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// Help, version, or what is wrong; print it with [`clap::Error::exit`].
pub fn read<I, T>(arguments: I) -> Result<Request>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = Cli::try_parse_from(arguments)?;
    let command = match cli.command {
        None => Command::Screen { stopped: cli.stopped },
        Some(_) if cli.stopped => {
            return Err(Cli::command().error(
                ErrorKind::ArgumentConflict,
                "--stopped opens the screen without collecting; it goes with no command",
            ));
        }
        Some(_) if cli.attach.is_some() => {
            return Err(Cli::command().error(
                ErrorKind::ArgumentConflict,
                "--attach opens the screen of an agent; it goes with no command",
            ));
        }
        Some(Sub::Once { json }) => Command::Once { json },
        Some(Sub::Agent) => Command::Agent,
        Some(Sub::Export(export)) => Command::Export(export),
        Some(Sub::Check) => Command::Check,
        Some(Sub::Config) => Command::Config,
        Some(Sub::Completions { shell }) => Command::Completions(shell),
        Some(Sub::Man) => Command::Man,
    };
    let attach = match cli.attach {
        None => Attach::Found,
        Some(None) => Attach::Usual,
        Some(Some(place)) => Attach::At(place),
    };
    Ok(Request { command, attach, overrides: cli.settings.overrides() })
}

/// The completion script for a shell, to be sourced by it.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kvmscope", &mut script);
    script
}

/// The manual page, in roff.
///
/// # Errors
/// None in practice: it is written into memory.
pub fn man() -> std::io::Result<Vec<u8>> {
    manual::page(Cli::command())
}

#[derive(Debug, Parser)]
#[command(
    name = "kvmscope",
    version,
    about = "Watches KVM/QEMU virtual machines and records every sample",
    long_about = "Watches the virtual machines of a libvirt host on a terminal screen, and records \
                  every sample: in a local record on disk, and from there in InfluxDB or in what \
                  speaks its line protocol.\n\n\
                  It only reads: libvirt is opened read-only, and no group or root is needed for it. \
                  Without a command it opens the screen.",
    after_help = AFTER,
    after_long_help = AFTER_LONG,
)]
struct Cli {
    /// Open the screen without collecting; s starts it
    #[arg(long)]
    stopped: bool,
    #[allow(clippy::option_option, reason = "not said, said without a place, said with one")]
    #[arg(long, value_name = "PLACE", num_args = 0..=1, conflicts_with = "stopped", help = ATTACH_HELP, long_help = ATTACH_LONG)]
    attach: Option<Option<String>>,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Read all VMs twice, one interval apart, print them with their rates, and exit
    ///
    /// Exit status: 0 if every VM answered, 3 if libvirt answered and some VM did not, 1 otherwise.
    Once {
        /// Print JSON; a missing value is null, with its reason beside it
        #[arg(long)]
        json: bool,
    },
    /// Collect, record and deliver without a screen, until SIGTERM
    ///
    /// For systemd, in the foreground; logs to standard error. SIGHUP has the configuration read again.
    Agent,
    /// Write a stretch of the local record, for another program
    ///
    /// From the agent that records this host, or from the record where nobody does. A missing value
    /// is empty or null, with its reason beside it; line protocol is what the database was sent. Exit
    /// status: 0; 2 where a time is none; 4 where nothing is recorded then; 5 where nothing is of
    /// that VM; 1 otherwise.
    Export(Export),
    /// Check each prerequisite, and say how to mend what fails
    ///
    /// libvirt, permission, VMs, memory statistics, local record, InfluxDB, token, database: a line
    /// each. Nothing is written to InfluxDB. Exit status: 0 if all is well, 1 otherwise.
    Check,
    /// Show the effective configuration, and where each value came from
    ///
    /// Secrets are shown as ***.
    Config,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page (kvmscope man | man -l -)
    Man,
}

/// Flags that mean the same before and after a command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings (each overrides environment and file)")]
struct Settings {
    #[arg(long, global = true, value_name = "URI", help = URI_HELP)]
    uri: Option<String>,
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Base URL of the database, without user, password or token; "none": local record only
    #[arg(long, global = true, value_name = "URL")]
    influx_url: Option<String>,
    /// Database or bucket
    #[arg(long, global = true, value_name = "NAME")]
    influx_db: Option<String>,
    /// Time between readings: seconds, or such as 500ms, "5 m"
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    poll_interval: Option<String>,
    /// Colours
    #[arg(long, global = true, value_name = "THEME", value_parser = words_of("screen.theme"))]
    theme: Option<String>,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    ascii: bool,
    /// How much the log says
    #[arg(long, global = true, value_name = "LEVEL", value_parser = words_of("log.level"))]
    log_level: Option<String>,
}

const ATTACH_HELP: &str =
    "Show what an agent collects: this host's, or the one at a socket or URL; nothing is collected here";

const ATTACH_LONG: &str = "\
Show what an agent collects: this host's, or the one at a socket or URL; nothing is collected here

PLACE is a socket's path, https://HOST:PORT, or http://127.0.0.1:PORT. A token comes from \
KVMSCOPE_AGENT_TOKEN or agent.token_file. Without --attach an agent that records this host is found \
by itself.";

const URI_HELP: &str = "libvirt connection to read, such as qemu:///system or test:///default";

fn words_of(key: &str) -> PossibleValuesParser {
    PossibleValuesParser::new(Key::named(key).map_or(&[][..], Key::words))
}

impl Settings {
    fn overrides(self) -> Overrides {
        let values = [
            ("libvirt.uri", self.uri),
            ("influx.url", self.influx_url),
            ("influx.db", self.influx_db),
            ("collector.poll_interval", self.poll_interval),
            ("screen.theme", self.theme),
            ("screen.ascii", self.ascii.then(|| "true".to_owned())),
            ("log.level", self.log_level),
        ];
        Overrides {
            file: self.config,
            values: values.into_iter().filter_map(|(key, text)| Some((key, text?))).collect(),
        }
    }
}

const AFTER: &str = "\
Examples:
  kvmscope                                   the screen of this host
  kvmscope --uri test:///default             libvirt's built-in test host: no hypervisor needed
  INFLUX_TOKEN=… kvmscope --influx-url http://localhost:8181
  kvmscope once --json                       all VMs once, for scripts
  kvmscope check                             what is missing on this machine
  kvmscope export --since 1h --format csv    the last hour, for a table program
  kvmscope agent                             collect without a screen; kvmscope then shows it
  kvmscope --attach https://hv-07:8642       the agent of another host

--help tells about files, environment variables and where the data goes.";

const AFTER_LONG: &str = "\
Examples:
  kvmscope                                   the screen of this host
  kvmscope --uri test:///default             libvirt's built-in test host: no hypervisor needed
  INFLUX_TOKEN=… kvmscope --influx-url http://localhost:8181
  kvmscope once --json                       all VMs once, for scripts
  kvmscope check                             what is missing on this machine
  kvmscope export --since 1h --format csv    the last hour, for a table program
  kvmscope agent                             collect without a screen; kvmscope then shows it
  kvmscope --attach https://hv-07:8642       the agent of another host

Where the data goes:
  Every sample is kept in the local record, $XDG_STATE_HOME/kvmscope, else
  ~/.local/state/kvmscope: at most 1 GiB and 7 days, unless configured
  otherwise. With --influx-url it is also sent to that database; while the
  database cannot be reached, samples wait in the local record. Nothing goes
  anywhere else.

Configuration:
  default < file < environment < command line. The file is --config, else
  $XDG_CONFIG_HOME/kvmscope/config.toml, else /etc/kvmscope/config.toml;
  config.example.toml lists every key. Secrets never stand in the file.

Environment:
  LIBVIRT_URI, LIBVIRT_TIMEOUT, DEVICE_CACHE_TTL     libvirt
  POLL_INTERVAL                                      time between readings
  INFLUX_URL, INFLUX_DB                              where samples are sent
  INFLUX_TOKEN, or INFLUX_USER and INFLUX_PASSWORD   credentials
  BATCH_MAX_LINES, BATCH_MAX_SEC, MAX_QUEUE          batches and memory
  KVMSCOPE_AGENT_TOKEN                               for an agent over TCP
  NO_COLOR                                           no colour on the screen
  TERM, COLORTERM                                    how many colours, if not screen.colours";

#[cfg(test)]
mod tests;
