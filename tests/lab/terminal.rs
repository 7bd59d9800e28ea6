//! kvmscope in a pseudo-terminal, and the screen it draws.

use std::{
    io::{Read as _, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use super::program;

/// How long a test waits for the program to show or do something.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running kvmscope with a terminal around it. Dropping it kills the program.
pub struct Terminal {
    seen: Arc<Seen>,
    keyboard: Box<dyn Write + Send>,
    process: Box<dyn portable_pty::Child + Send + Sync>,
    // The terminal hangs up when this is dropped.
    master: Box<dyn MasterPty + Send>,
}

/// What came out of the program so far.
struct Seen {
    state: Mutex<Output>,
    changed: Condvar,
}

struct Output {
    screen: vt100::Parser,
    bytes: Vec<u8>,
    /// Whether an update of the screen has begun and not ended: a terminal
    /// shows nothing of it until it has.
    updating: bool,
    ended: bool,
}

/// What brackets an update of the screen.
const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
const END_UPDATE: &[u8] = b"\x1b[?2026l";

impl Output {
    fn take(&mut self, bytes: &[u8]) {
        // A bracket may come in two pieces.
        let from = self.bytes.len().saturating_sub(END_UPDATE.len());
        self.screen.process(bytes);
        self.bytes.extend_from_slice(bytes);
        let last = self.bytes[from..]
            .windows(END_UPDATE.len())
            .rev()
            .find(|bytes| *bytes == BEGIN_UPDATE || *bytes == END_UPDATE);
        self.updating = last.map_or(self.updating, |last| last == BEGIN_UPDATE);
        self.ended = bytes.is_empty();
    }
}

impl Terminal {
    /// Starts kvmscope with `arguments` in a terminal of `rows` by `columns`,
    /// with `home` as its home and `variables` added to its environment.
    pub fn start(
        home: &Path,
        (rows, columns): (u16, u16),
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let words: Vec<&str> = [program::PATH].iter().chain(arguments).copied().collect();
        Self::run(home, (rows, columns), &words, variables)
    }

    /// Runs the command `words` in a terminal, such as kvmscope under another
    /// user, or in a shell; otherwise as [`Terminal::start`].
    pub fn run(home: &Path, (rows, columns): (u16, u16), words: &[&str], variables: &[(&str, &str)]) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let process = pair.slave.spawn_command(command(home, words, variables)).unwrap();
        drop(pair.slave);
        let seen = Arc::new(Seen {
            state: Mutex::new(Output {
                screen: vt100::Parser::new(rows, columns, 0),
                bytes: Vec::new(),
                updating: false,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let mut reader = pair.master.try_clone_reader().unwrap();
        let writer = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let count = reader.read(&mut buffer).unwrap_or(0);
                let mut state = writer.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.take(&buffer[..count]);
                writer.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Self { seen, keyboard, process, master: pair.master }
    }

    /// Types `keys`.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.seen.state.lock().unwrap().screen.screen_mut().set_size(rows, columns);
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Wipes the screen behind the program's back, as another program that
    /// writes to the terminal does.
    pub fn spoil(&mut self) {
        self.seen.state.lock().unwrap().screen.process(b"\x1b[2J");
    }

    /// What is on the screen now, a line for each row.
    pub fn screen(&self) -> String {
        self.wait_state("a whole update", |output| Some(output.screen.screen().contents()))
    }

    /// Everything the program has ever written to the terminal.
    pub fn everything(&self) -> Vec<u8> {
        self.seen.state.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen fulfils `condition`, and returns its text. Panics
    /// with the screen when it does not within [`PATIENCE`].
    pub fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        self.wait_state(what, |output| {
            let text = output.screen.screen().contents();
            condition(&text).then_some(text)
        })
    }

    /// Waits until `text` is on the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait(&format!("{text:?} on the screen"), |screen| screen.contains(text))
    }

    /// Waits until `words` stand on the screen, whatever the lines they are
    /// wrapped over and the blanks between them; returns the screen that way.
    pub fn wait_for_words(&self, words: &str) -> String {
        flowed(&self.wait(&format!("the words {words:?}"), |screen| flowed(screen).contains(words)))
    }

    /// Waits until the program has ended and everything it wrote is read.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        self.wait_state("the program ends", |output| output.ended.then_some(()));
        self.process.wait().unwrap()
    }

    /// Waits until the program has ended, without an error and with the terminal
    /// as a shell expects it.
    #[track_caller]
    pub fn ends_well(&mut self) {
        let status = self.wait_for_end();
        assert!(status.success(), "{status:?}\n{}", self.screen());
        self.is_restored().unwrap();
    }

    /// Whether the terminal is as a shell expects it: main screen, cursor
    /// shown, no mouse reports, no bracketed paste, plain colours.
    pub fn is_restored(&self) -> Result<(), String> {
        let state = self.seen.state.lock().unwrap();
        let screen = state.screen.screen();
        let wrong = [
            (screen.alternate_screen(), "the alternate screen is still shown"),
            (screen.hide_cursor(), "the cursor is hidden"),
            (screen.bracketed_paste(), "bracketed paste is on"),
            (screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None, "mouse reports are on"),
            (screen.fgcolor() != vt100::Color::Default, "a colour is left set"),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err((*what).to_owned()),
            None => Ok(()),
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.process.process_id().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn wait_state<T>(&self, what: &str, ask: impl Fn(&Output) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut state = self.seen.state.lock().unwrap();
        loop {
            if (!state.updating || state.ended)
                && let Some(answer) = ask(&state)
            {
                return answer;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !state.ended,
                "not within {PATIENCE:?}: {what}; the screen:\n{}",
                state.screen.screen().contents()
            );
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// A text with every line break and run of blanks as one blank.
pub fn flowed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The command `words` with `home` as its home, for a pseudo-terminal.
pub fn command(home: &Path, words: &[&str], variables: &[(&str, &str)]) -> CommandBuilder {
    let mut command = CommandBuilder::from_argv(words.iter().map(Into::into).collect());
    command.cwd(home);
    for (name, value) in program::environment(home) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        }
    }
    command.env("TERM", "xterm-256color");
    command.env("LC_ALL", "C.UTF-8");
    for (name, value) in variables {
        command.env(name, value);
    }
    command
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
