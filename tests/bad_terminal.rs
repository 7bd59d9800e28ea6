//! Bad terminals: closed, tiny, resized in a storm, without colour, none at
//! all. No panic, nothing left behind, and words where it cannot work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    io::Read as _,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use kvmscope::{
    journal::{Account, Journal, Limits, file_name},
    model::WallTime,
};
use lab::{
    program,
    terminal::{PATIENCE, Terminal, command, flowed},
};
use portable_pty::{PtySize, native_pty_system};

const SIZE: (u16, u16) = (40, 140);
/// What "at once" may take on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(5);

fn on_demo_host(home: &Path, size: (u16, u16), variables: &[(&str, &str)]) -> Terminal {
    let uri = lab::own_demo_host(home);
    Terminal::start(home, size, &["--uri", &uri], variables)
}

#[track_caller]
fn quits_at_once(terminal: &mut Terminal) {
    let pressed = Instant::now();
    terminal.press("q");
    terminal.ends_well();
    assert!(pressed.elapsed() < AT_ONCE, "q took {:?}", pressed.elapsed());
}

/// Lines in the record of `uri` below `home`.
fn recorded(home: &Path, uri: &str) -> u64 {
    let limits = Limits::from(&kvmscope::config::Store::default());
    let directory = home.join("state/kvmscope");
    let opened =
        Journal::open(&directory, &file_name(uri), limits, &mut Account::default(), WallTime(0)).unwrap();
    assert!(opened.set_aside.is_none(), "the record was found damaged");
    opened.journal.lines()
}

#[test]
fn a_terminal_closed_under_it_ends_it_with_everything_recorded() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let size = PtySize { rows: 40, cols: 140, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let words = [program::PATH, "--uri", &uri, "--poll-interval", "0.2"];
    // Nothing of this run is written before the end but by the end itself.
    let settings = [("BATCH_MAX_SEC", "3600")];
    let mut process = pair.slave.spawn_command(command(home.path(), &words, &settings)).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !seen.windows(14).any(|window| window == b"web-frontend-1") {
        let count = reader.read(&mut buffer).unwrap();
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    // As when an ssh connection breaks: SIGHUP, and every write fails.
    drop(reader);
    drop(pair.master);
    let mut status = None;
    lab::within(PATIENCE, "it ends", || {
        status = process.try_wait().unwrap();
        status.is_some().then_some(())
    });
    let status = status.unwrap();
    assert!(status.signal().is_none() && status.exit_code() < 2, "no panic, no signal: {status:?}");
    assert!(recorded(home.path(), &uri) > 0, "nothing was flushed");
}

#[test]
fn tiny_from_the_start_and_large_later() {
    for (size, shown) in [((5, 20), "a larger window"), ((1, 1), ""), ((1, 200), ""), ((200, 1), "")] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = on_demo_host(home.path(), size, &[]);
        // Keys typed earlier would be echoed by the kernel, and not all fit.
        entered(&terminal);
        terminal.wait("a first screen", |screen| screen.contains(shown));
        terminal.press("jc?l/x\x1b");
        terminal.resize(40, 140);
        terminal.press("\x1b\x1b\x0c");
        terminal.wait_for("collecting");
        quits_at_once(&mut terminal);
    }
}

#[test]
fn a_tiny_terminal_obeys_q_and_is_left_in_order() {
    for size in [(5, 20), (1, 1)] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = on_demo_host(home.path(), size, &[]);
        entered(&terminal);
        quits_at_once(&mut terminal);
    }
}

/// Waits until the program has the terminal: raw, on the alternate screen.
fn entered(terminal: &Terminal) {
    lab::within(PATIENCE, "the alternate screen", || {
        terminal.everything().windows(8).any(|w| w == b"\x1b[?1049h").then_some(())
    });
}

#[test]
fn a_storm_of_resizes_is_survived() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path(), SIZE, &[]);
    terminal.wait_for("web-frontend-1");
    // A fixed sequence: sizes from 2 to 200 in no order. What is written for the
    // size before may wrap in a single row or column, which the test's own
    // terminal does not survive.
    let mut state: u32 = 7;
    let mut next = |most: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u16::try_from((state >> 8) % (most - 1) + 2).unwrap()
    };
    for turn in 0..400 {
        terminal.resize(next(80), next(200));
        if turn % 20 == 0 {
            // Each page is resized, not the fleet alone.
            terminal.press(["c", "c", "l", "l", "?", "?", "\r", "\x1b"][turn / 20 % 8]);
        }
    }
    terminal.resize(SIZE.0, SIZE.1);
    // On a slow machine a key may be read together with the escape before it,
    // and then any page may be open.
    lab::within(lab::terminal::PATIENCE, "the fleet", || {
        let screen = terminal.screen();
        if screen.contains("web-frontend-1") && screen.contains("collecting") {
            return Some(());
        }
        terminal.press("\x1b");
        None
    });
    quits_at_once(&mut terminal);
}

#[test]
fn pasted_text_is_text_and_never_keys() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = on_demo_host(home.path(), SIZE, &[]);
    terminal.wait_for("web-frontend-1");
    // Each of these keys would end, stop or open something.
    terminal.press("\x1b[200~qsq\nc?\x03\r\x1b[201~");
    // A megabyte in one go, too.
    terminal.press(&format!("\x1b[200~{}\x1b[201~", "q".repeat(1 << 20)));
    terminal.press("/");
    terminal.press("\x1b[200~web-\n\tfront\x1b[201~");
    let screen = terminal
        .wait("the pasted filter", |screen| screen.contains("web-front") && !screen.contains("db-primary"));
    assert!(!screen.contains("COLLECTION STOPP"), "{screen}");
    terminal.press("\x1b");
    terminal.wait_for("db-primary");
    quits_at_once(&mut terminal);
}

/// The colours that `bytes` ask for: parameters of SGR sequences.
fn colours(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let parameters = text.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        (rest[end..].starts_with('m')).then(|| &rest[..end])
    });
    let mut colours = Vec::new();
    for list in parameters {
        for number in list.split(';').filter_map(|number| number.parse::<u32>().ok()) {
            // 39 and 49 are "as the terminal has it"; 38 and 48 begin a colour.
            if matches!(number, 30..=38 | 40..=48 | 90..=97 | 100..=107) {
                colours.push(list.to_owned());
                break;
            }
        }
    }
    colours
}

#[test]
fn no_color_means_no_colour() {
    for (variables, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")][..], false)] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = on_demo_host(home.path(), SIZE, variables);
        terminal.wait_for("web-frontend-1");
        for pane in ["c", "c", "l", "l", "?", "?", "\r", "s"] {
            terminal.press(pane);
        }
        terminal.wait_for("COLLECTION STOPPED");
        quits_at_once(&mut terminal);
        let colours = colours(&terminal.everything());
        assert_eq!(!colours.is_empty(), coloured, "{variables:?}: {colours:?}");
    }
}

/// The colours sent while each page is shown, with these variables and
/// arguments.
fn colours_of_a_run(variables: &[(&str, &str)], arguments: &[&str], keys: &str) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let arguments: Vec<&str> = ["--uri", &uri].iter().chain(arguments).copied().collect();
    let mut terminal = Terminal::start(home.path(), SIZE, &arguments, variables);
    terminal.wait_for("web-frontend-1");
    terminal.press(keys);
    terminal.press("ccll??\r\x1b[Ds");
    terminal.wait_for("COLLECTION STOPPED");
    quits_at_once(&mut terminal);
    colours(&terminal.everything())
}

#[test]
fn a_terminal_gets_the_colours_it_has() {
    let long = |colours: &[String]| colours.iter().any(|c| c.contains("38;5") || c.contains("48;5"));
    let none: [String; 0] = [];
    let full = colours_of_a_run(&[], &[], "");
    assert!(long(&full), "256 in xterm-256color: {full:?}");
    // The console knows only the short form.
    for variables in [&[("TERM", "linux")][..], &[("TERM", "xterm")]] {
        let few = colours_of_a_run(variables, &[], "ttt");
        assert!(!few.is_empty() && !long(&few), "{variables:?}: {few:?}");
        assert!(!few.iter().any(|c| c.contains("38;") || c.contains("48;")), "{variables:?}: {few:?}");
    }
    assert_eq!(colours_of_a_run(&[("TERM", "dumb")], &["--theme", "light"], "tt"), none);
    // Whoever names a theme means it, and t asks for the next one.
    let named = colours_of_a_run(&[("NO_COLOR", "1")], &["--theme", "dark"], "");
    assert!(long(&named), "{named:?}");
    let asked = colours_of_a_run(&[("NO_COLOR", "1")], &[], "t");
    assert!(long(&asked), "{asked:?}");
}

#[test]
fn truecolor_is_sent_where_it_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("colours.toml");
    std::fs::write(&file, "screen.colours = \"truecolor\"\n").unwrap();
    let sent = colours_of_a_run(&[("TERM", "xterm")], &["--config", file.to_str().unwrap()], "");
    assert!(sent.iter().any(|c| c.contains("38;2;")), "{sent:?}");
    assert!(!sent.iter().any(|c| c.contains("38;5;")), "{sent:?}");
}

#[test]
fn a_dumb_terminal_is_survived_and_left_in_order() {
    let home = tempfile::tempdir().unwrap();
    for term in ["dumb", "", "no-such-terminal"] {
        let mut terminal = on_demo_host(home.path(), SIZE, &[("TERM", term)]);
        terminal.wait_for("web-frontend-1");
        quits_at_once(&mut terminal);
    }
}

#[test]
fn ascii_is_only_ascii() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let mut terminal = Terminal::start(home.path(), SIZE, &["--ascii", "--uri", &uri], &[("LC_ALL", "C")]);
    terminal.wait_for("web-frontend-1");
    for pane in ["c", "c", "l", "l", "?", "?", "\r", "s"] {
        terminal.press(pane);
    }
    terminal.wait_for("COLLECTION STOPPED");
    quits_at_once(&mut terminal);
    let text = String::from_utf8(terminal.everything()).unwrap();
    let others: String = text.chars().filter(|c| !c.is_ascii()).collect();
    assert_eq!(others, "");
}

#[test]
fn without_a_terminal_it_says_so_and_records_nothing() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    let words = "kvmscope: cannot use this terminal";
    // Output into a file, keyboard still there: as `kvmscope > file`.
    let script = r#""$0" "$@" > screen.txt; echo "code $?""#;
    let arguments = ["sh", "-c", script, program::PATH, "--uri", &uri];
    let mut terminal = Terminal::run(home.path(), SIZE, &arguments, &[]);
    terminal.wait_for_end();
    let screen = flowed(&terminal.screen());
    assert!(screen.contains(words) && screen.contains("code 1"), "{screen}");
    assert!(screen.contains("use `kvmscope once` for plain output"), "{screen}");
    assert_eq!(screen.matches("standard output is not a terminal").count(), 1, "{screen}");
    assert_eq!(std::fs::read(home.path().join("screen.txt")).unwrap(), b"");
    // No terminal at all.
    let output = program::kvmscope(home.path()).args(["--uri", &uri]).stdin(Stdio::null()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(words), "{told}");
    assert!(!home.path().join("state/kvmscope").exists(), "something was recorded");
}

#[test]
fn suspended_it_gives_the_terminal_back_and_goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let uri = lab::own_demo_host(home.path());
    // Job control needs a shell above the program.
    let script = r#""$0" "$@"; echo handed back; read line; fg >/dev/null"#;
    let arguments = ["sh", "-mc", script, program::PATH, "--uri", &uri, "--poll-interval", "0.2"];
    let mut terminal = Terminal::run(home.path(), SIZE, &arguments, &[]);
    terminal.wait_for("web-frontend-1");
    terminal.press("/db\r");
    terminal.wait("the filter", |screen| !screen.contains("web-frontend-1") && screen.contains("db-primary"));
    terminal.press("\x1a");
    terminal.wait_for("handed back");
    terminal.is_restored().unwrap();
    // A whole new picture, of the page and the filter as they were.
    terminal.press("\n");
    terminal.wait("the same page", |screen| {
        screen.contains("db-primary") && screen.contains("filter db") && !screen.contains("handed back")
    });
    let clock = |screen: &str| screen.lines().next().unwrap_or_default().to_owned();
    let before = clock(&terminal.screen());
    terminal.wait("collecting goes on", |screen| screen.contains("collecting") && clock(screen) != before);
    quits_at_once(&mut terminal);
}
