//! The manual page: clap's sections, and those that the key table knows.

use std::io::Result;

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use crate::config::KEYS;

/// The whole page in roff.
pub(super) fn page(command: Command) -> Result<Vec<u8>> {
    // The help's closing text says in short what the sections below say in full.
    let command = command.after_help(None::<&str>).after_long_help(None::<&str>);
    let subcommands: Vec<Command> = command.get_subcommands().cloned().collect();
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;

    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for sub in &subcommands {
        let mut words = vec![bold(sub.get_name())];
        for argument in sub.get_arguments().filter(|a| !a.is_global_set()) {
            match argument.get_long() {
                Some(long) => words.push(roman(format!(" [--{long}]"))),
                None => words.extend([roman(" "), italic(argument.get_id().as_str().to_uppercase())]),
            }
        }
        roff.control("TP", []).text(words);
        let about = sub.get_long_about().or_else(|| sub.get_about());
        roff.text([roman(about.map(ToString::to_string).unwrap_or_default().replace("\n\n", ". "))]);
    }
    roff.control("SH", ["ENVIRONMENT"]);
    for (key, variable) in KEYS.iter().filter_map(|key| Some((key, key.env?))) {
        roff.control("TP", []).text([bold(variable)]);
        if key.in_file() {
            roff.text([roman(format!("{} Key of the file: ", key.doc)), bold(key.name), roman(".")]);
        } else {
            roff.text([roman(key.doc)]);
        }
    }
    roff.control("TP", []).text([bold("NO_COLOR")]);
    roff.text([roman("No colour on the screen, unless a theme is named.")]);
    roff.control("SH", ["FILES"]);
    for (path, what) in FILES {
        roff.control("TP", []).text([italic(path)]);
        roff.text([roman(what)]);
    }
    roff.control("SH", ["CONFIGURATION"]);
    roff.text([roman(
        "Built-in defaults are overridden by the file, the file by the environment, the environment by \
         the command line. A secret never stands in the file. Keys:",
    )]);
    for key in KEYS.iter().filter(|key| key.in_file()) {
        roff.control("TP", []).text([bold(key.name), roman(format!(" = {}", key.default))]);
        roff.text([roman(format!("{} Allowed: {}.", key.doc, key.shape.allowed()))]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, what) in EXITS {
        roff.control("TP", []).text([bold(code)]);
        roff.text([roman(what)]);
    }
    roff.to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

const FILES: [(&str, &str); 3] = [
    ("$XDG_CONFIG_HOME/kvmscope/config.toml", "The user's configuration."),
    ("/etc/kvmscope/config.toml", "The system's, read where the user has none."),
    (
        "$XDG_STATE_HOME/kvmscope",
        "The local record of every sample; ~/.local/state/kvmscope where the variable is not set.",
    ),
];

const EXITS: [(&str, &str); 4] = [
    ("0", "All is well; of once: every VM answered."),
    ("1", "It failed, and said why; of check: a prerequisite is missing."),
    ("2", "The command line is wrong."),
    ("3", "Of once: libvirt answered, and some VM did not."),
];
