//! The terminal's modes, tried on a real pseudo-terminal: this test program
//! runs itself as the child that enters raw mode.

use std::{io::Read, sync::mpsc, time::Instant};

use portable_pty::{CommandBuilder, MasterPty, NativePtySystem, PtySize, PtySystem};

use super::*;

#[test]
fn base64_is_that_of_rfc_4648() {
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
    assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
}

/// What the child is to do; unset in the ordinary run of the tests.
const ROLE: &str = "KVMSCOPE_TEST_TERMINAL_ROLE";

/// Not a test of its own: the child's part of those below.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    install_panic_hook(|code| std::process::exit(code.into()));
    let mut terminal = Terminal::enter(true).unwrap();
    terminal.draw(|frame| frame.render_widget("first picture", frame.area())).unwrap();
    match role.as_str() {
        "leaves" => {}
        "panics" => {
            std::thread::spawn(|| panic!("a background task died")).join().ok();
            unreachable!("the hook ends the program");
        }
        "suspends" => {
            terminal.suspend().unwrap();
            terminal.draw(|frame| frame.render_widget("second picture", frame.area())).unwrap();
            // Until the other side hangs up or says so.
            let mut key = [0];
            std::io::stdin().read_exact(&mut key).ok();
        }
        other => panic!("no such role: {other}"),
    }
}

/// What comes out of a pseudo-terminal, piece by piece.
pub(crate) fn output_of(master: &dyn MasterPty) -> mpsc::Receiver<Vec<u8>> {
    let mut reader = master.try_clone_reader().unwrap();
    let (sender, output) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut bytes) {
            if sender.send(bytes[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    output
}

struct Child {
    process: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    output: mpsc::Receiver<Vec<u8>>,
    screen: vt100::Parser,
    seen: Vec<u8>,
}

impl Child {
    fn start(role: &str) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = NativePtySystem::default().openpty(size).unwrap();
        // Job control needs a shell above the child: without one, the kernel
        // ignores the stop.
        let mut command = CommandBuilder::new("sh");
        let run = "\"$0\" --exact terminal::tests::child --nocapture --test-threads=1";
        let then = if role == "suspends" { "; echo handed back; read line; fg" } else { "" };
        let exec = if then.is_empty() { "exec " } else { "" };
        command.args(["-mc", &format!("{exec}{run}{then}")]);
        command.arg(std::env::current_exe().unwrap());
        command.env(ROLE, role);
        command.env("TERM", "xterm-256color");
        let process = pair.slave.spawn_command(command).unwrap();
        let output = output_of(&*pair.master);
        Self { process, master: pair.master, output, screen: vt100::Parser::new(24, 80, 0), seen: Vec::new() }
    }

    /// Reads until `done`, for at most ten seconds.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.screen.screen().contents());
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(20)) {
                self.screen.process(&bytes);
                self.seen.extend(bytes);
            }
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.screen.screen().contents().contains(text)
    }

    fn saw(&self, sequence: &[u8]) -> bool {
        self.seen.windows(sequence.len()).any(|window| window == sequence)
    }

    /// Whether the kernel echoes what is typed, as it does for a shell.
    fn echoes(&self) -> bool {
        const ECHO: u32 = 0o10;
        self.master.get_termios().is_some_and(|termios| termios.local_flags.bits() & ECHO != 0)
    }

    fn assert_restored(&self) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "back on the first screen");
        assert!(!screen.hide_cursor(), "the cursor shows");
        assert!(!screen.bracketed_paste(), "pasting is plain again");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert!(self.saw(b"\x1b[?1004l"), "focus reports are off");
        assert!(self.saw(b"\x1b[8l") && self.saw(b"\x1b[8h"), "cells stayed in order, and may move again");
        assert!(self.echoes(), "raw mode is left");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn the_terminal_is_entered_and_restored() {
    let mut child = Child::start("leaves");
    child.until("the end", |c| c.shows("test result"));
    assert!(child.saw(b"picture") && child.saw(b"\x1b[?1049h") && child.saw(b"\x1b[?2004h"));
    child.assert_restored();
    assert!(child.process.wait().unwrap().success());
}

#[test]
fn a_panic_on_any_thread_restores_the_terminal_and_ends_the_program() {
    let mut child = Child::start("panics");
    child.until("the report", |c| c.shows("a background task died"));
    assert_eq!(child.process.wait().unwrap().exit_code(), u32::from(PANICKED));
    child.assert_restored();
}

#[test]
fn suspending_gives_the_terminal_back_and_continuing_takes_it_again() {
    let mut child = Child::start("suspends");
    child.until("the shell", |c| c.shows("handed back"));
    child.assert_restored();
    // Kept until the end: dropping it would type an end of file.
    let mut keyboard = child.master.take_writer().unwrap();
    keyboard.write_all(b"\n").unwrap();
    child.until("the second picture", |c| c.shows("second picture"));
    assert!(child.screen.screen().alternate_screen() && !child.echoes());
}
