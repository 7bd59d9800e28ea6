use super::*;

fn overrides(arguments: &[&str]) -> Overrides {
    read(std::iter::once("kvmscope").chain(arguments.iter().copied())).unwrap().overrides
}

fn command(arguments: &[&str]) -> Command {
    read(std::iter::once("kvmscope").chain(arguments.iter().copied())).unwrap().command
}

#[test]
fn each_command_is_understood() {
    Cli::command().debug_assert();
    assert_eq!(command(&[]), Command::Screen { stopped: false });
    assert_eq!(command(&["--stopped"]), Command::Screen { stopped: true });
    assert_eq!(command(&["once"]), Command::Once { json: false });
    assert_eq!(command(&["once", "--json"]), Command::Once { json: true });
    assert_eq!(command(&["agent"]), Command::Agent);
    assert_eq!(command(&["check"]), Command::Check);
    assert_eq!(command(&["config"]), Command::Config);
    assert_eq!(command(&["completions", "zsh"]), Command::Completions(Shell::Zsh));
    assert_eq!(command(&["man"]), Command::Man);
}

#[test]
fn whose_collection_is_shown_is_said_with_or_without_a_place() {
    let asked = |arguments: &[&str]| {
        read(std::iter::once("kvmscope").chain(arguments.iter().copied())).map(|request| request.attach)
    };
    assert_eq!(asked(&[]).unwrap(), Attach::Found);
    assert_eq!(asked(&["--attach"]).unwrap(), Attach::Usual);
    assert_eq!(asked(&["--attach", "--ascii"]).unwrap(), Attach::Usual);
    for arguments in [&["--attach", "/run/a.sock"][..], &["--attach=/run/a.sock"]] {
        assert_eq!(asked(arguments).unwrap(), Attach::At("/run/a.sock".into()));
    }
    assert!(asked(&["--attach", "--stopped"]).is_err());
    assert!(asked(&["--attach=/run/a.sock", "once"]).is_err());
}

#[test]
fn settings_mean_the_same_before_and_after_a_command() {
    let settings = [
        "--uri",
        "test:///default",
        "--config",
        "/tmp/c.toml",
        "--influx-url",
        "http://localhost:8181",
        "--influx-db",
        "lab",
        "--poll-interval",
        "2",
        "--theme",
        "light",
        "--ascii",
        "--log-level",
        "debug",
    ];
    let before = overrides(&[&settings[..], &["once"]].concat());
    let after = overrides(&[&["once"], &settings[..]].concat());
    assert_eq!(before, after);
    assert_eq!(before.file.as_deref(), Some(std::path::Path::new("/tmp/c.toml")));
    assert_eq!(
        before.values,
        [
            ("libvirt.uri", "test:///default"),
            ("influx.url", "http://localhost:8181"),
            ("influx.db", "lab"),
            ("collector.poll_interval", "2"),
            ("screen.theme", "light"),
            ("screen.ascii", "true"),
            ("log.level", "debug"),
        ]
        .map(|(key, text)| (key, text.to_owned()))
    );
}

#[test]
fn what_is_not_given_overrides_nothing() {
    assert_eq!(overrides(&["check"]), Overrides::default());
}

/// A flag and its row in the key table cannot drift apart.
#[test]
fn every_flag_of_the_key_table_exists_and_sets_its_key() {
    for key in crate::config::KEYS {
        let Some(flag) = key.flag else { continue };
        let given = match key.words() {
            [] if matches!(key.shape, crate::config::Shape::Flag { .. }) => vec![flag],
            [] => vec![flag, "1"],
            words => vec![flag, words[0]],
        };
        assert_eq!(overrides(&given).values.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [key.name]);
    }
}

#[test]
fn a_token_given_as_an_unknown_flag_is_refused_without_being_shown() {
    for given in
        [&["--influx-token", "hunter2"][..], &["--influx-token=hunter2"], &["--token=hunter2", "once"]]
    {
        let refused = read(std::iter::once("kvmscope").chain(given.iter().copied())).unwrap_err();
        let text = refused.render().to_string();
        assert_eq!(refused.exit_code(), 2);
        assert!(text.contains("unexpected argument") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn stopped_goes_with_the_screen_alone() {
    let refused = read(["kvmscope", "--stopped", "once"]).unwrap_err();
    assert!(refused.to_string().contains("goes with no command"), "{refused}");
}

#[test]
fn the_help_tells_a_stranger_about_examples_environment_and_data() {
    let help = Cli::command().render_long_help().to_string();
    for said in ["Examples:", "read-only", "~/.local/state/kvmscope", "INFLUX_TOKEN", "config.toml"] {
        assert!(help.contains(said), "{said} is not in\n{help}");
    }
    for variable in crate::config::KEYS.iter().filter_map(|key| key.env) {
        assert!(help.contains(variable), "{variable} is not in the help");
    }
    let short = Cli::command().render_help().to_string();
    assert!(short.contains("kvmscope once --json"), "{short}");
    assert!(help.lines().chain(short.lines()).all(|line| !line.contains('`')), "{help}{short}");
}

#[test]
fn completions_and_manual_know_every_command_key_and_variable() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
        let script = String::from_utf8(completions(shell)).unwrap();
        for word in ["once", "check", "completions", "poll-interval"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = String::from_utf8(man().unwrap()).unwrap().replace("\\-", "-");
    for section in ["SYNOPSIS", "OPTIONS", "COMMANDS", "ENVIRONMENT", "FILES", "EXIT STATUS"] {
        assert!(
            page.contains(&format!(".SH \"{section}\"")) || page.contains(&format!(".SH {section}")),
            "{section}"
        );
    }
    for key in crate::config::KEYS {
        assert!(page.contains(key.name) || !key.in_file(), "{}", key.name);
        assert!(key.env.is_none_or(|variable| page.contains(variable)), "{:?}", key.env);
    }
}
