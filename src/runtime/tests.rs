//! The whole screen when something behind it dies: this test program runs
//! itself, in a pseudo-terminal, as the child that opens the screen.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use portable_pty::{CommandBuilder, NativePtySystem, PtySize, PtySystem as _};

use super::*;
use crate::config::{Config, Environment, Overrides};

/// The child's home; unset in the ordinary run of the tests.
const HOME: &str = "KVMSCOPE_TEST_RUNTIME_HOME";

/// Its background task dies when this file appears.
fn trigger(home: &Path) -> PathBuf {
    home.join("die")
}

/// Not a test of its own: the child's part of the one below.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let file = trigger(&home);
    std::thread::spawn(move || {
        while !file.exists() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("a background task died");
    });
    let variables = [("TERM", std::ffi::OsStr::new("xterm-256color"))];
    let environment = Environment::of(variables, Some(&home), Path::new("/nowhere"));
    let overrides = Overrides { file: None, values: vec![("libvirt.uri", "test:///default".into())] };
    let loaded = Config::load(&overrides, &environment).unwrap();
    screen(loaded, false, &Attach::default()).unwrap();
}

#[test]
fn a_panic_behind_the_screen_restores_the_terminal_and_ends_with_the_report() {
    let home = tempfile::tempdir().unwrap();
    let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pair = NativePtySystem::default().openpty(size).unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", "runtime::tests::child", "--nocapture", "--test-threads=1"]);
    command.env(HOME, home.path());
    command.env("TERM", "xterm-256color");
    command.env_remove("NO_COLOR");
    let mut process = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let output = crate::terminal::tests::output_of(&*pair.master);
    let mut terminal = vt100::Parser::new(24, 100, 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut until = |what: &str, done: fn(&vt100::Screen) -> bool| {
        while !done(terminal.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match output.recv_timeout(left) {
                Ok(bytes) => terminal.process(&bytes),
                Err(end) => panic!("{end}, before {what}: {}", terminal.screen().contents()),
            }
        }
    };
    until("the screen", |s| s.alternate_screen() && s.contents().contains("1 running"));
    std::fs::write(trigger(home.path()), "").unwrap();
    until("the report on the shell's screen", |s| {
        !s.alternate_screen() && s.contents().contains("a background task died")
    });
    assert_eq!(process.wait().unwrap().exit_code(), 101);
    let screen = terminal.screen();
    assert!(!screen.hide_cursor() && !screen.bracketed_paste(), "{}", screen.contents());
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    let report = screen.contents();
    let at = report.find("a background task died").unwrap();
    assert!(report[..at].contains("panicked at"), "{report}");
}
