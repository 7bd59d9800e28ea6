//! Settings that were given to a screen and mean nothing to it, because an
//! agent collects.

use crate::model::status::ConfigEntry;

/// What was given where somebody meant it for this very run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Idle {
    /// Options of the command line.
    pub options: Vec<String>,
    /// Variables of the environment, which may be for others.
    pub variables: Vec<String>,
}

impl Idle {
    /// Those of `entries` that mean nothing on a screen of an agent, which was
    /// `named` by its place or found by the libvirt it reads; and `--stopped`.
    pub fn of(entries: &[ConfigEntry], stopped: bool, named: bool) -> Self {
        let mut idle = Self::default();
        if stopped {
            idle.options.push("--stopped".into());
        }
        for entry in entries.iter().filter(|entry| !is_the_screens(&entry.key, named)) {
            if let Some(option) = entry.origin.strip_prefix("command line ") {
                idle.options.push(option.into());
            } else if let Some(variable) = entry.origin.strip_prefix("environment ") {
                idle.variables.push(variable.into());
            }
        }
        idle
    }

    /// A sentence for the log; `None`: all that was given has a meaning.
    pub fn words(&self) -> Option<String> {
        let all = [&self.options[..], &self.variables[..]].concat();
        let (verb, whose) = if all.len() == 1 { ("means", "it is") } else { ("mean", "they are") };
        let all = all.join(", ");
        (!all.is_empty())
            .then(|| format!("on the screen of an agent {all} {verb} nothing: {whose} the agent's"))
    }
}

/// Whether a setting is the screen's own, or says where its agent is.
fn is_the_screens(key: &str, named: bool) -> bool {
    let section = key.split('.').next().unwrap_or_default();
    match key {
        "libvirt.uri" => !named,
        // Beside the record is kept how the screen was left.
        "store.path" => true,
        _ => matches!(section, "screen" | "log" | "agent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli,
        config::{Config, Environment},
    };

    fn entries(arguments: &[&str]) -> Vec<ConfigEntry> {
        let request = cli::read([&["kvmscope"], arguments].concat()).unwrap();
        let overrides = request.overrides;
        Config::load(&overrides, &Environment::of([], None, std::path::Path::new("/none"))).unwrap().entries
    }

    #[test]
    fn every_option_of_the_command_line_is_the_screens_or_is_named() {
        let given = entries(&[
            "--uri=test:///default",
            "--influx-url=http://127.0.0.1:1",
            "--influx-db=a",
            "--poll-interval=5",
            "--theme=light",
            "--ascii",
            "--log-level=debug",
        ]);
        assert_eq!(
            Idle::of(&given, true, true).options,
            ["--stopped", "--uri", "--poll-interval", "--influx-url", "--influx-db"]
        );
        // By its libvirt the agent was found.
        assert_eq!(
            Idle::of(&given, false, false).options,
            ["--poll-interval", "--influx-url", "--influx-db"]
        );
        assert_eq!(Idle::of(&entries(&["--ascii"]), false, true), Idle::default());
    }

    #[test]
    fn variables_are_for_the_log_and_files_for_nobody() {
        let entry = |key: &str, origin: &str| ConfigEntry {
            key: key.into(),
            value: "x".into(),
            origin: origin.into(),
        };
        let idle = Idle::of(
            &[
                entry("influx.url", "environment INFLUX_URL"),
                entry("influx.db", "file /etc/kvmscope/config.toml:3"),
                entry("screen.colours", "environment COLORTERM"),
                entry("collector.poll_interval", "command line --poll-interval"),
            ],
            false,
            true,
        );
        assert_eq!(idle.options, ["--poll-interval"]);
        let words = idle.words().unwrap();
        assert!(words.contains("--poll-interval, INFLUX_URL mean nothing: they are the agent's"), "{words}");
        assert_eq!(Idle::default().words(), None);
    }
}
