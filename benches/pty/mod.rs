//! A program in a pseudo-terminal: its bytes counted, what they draw, when the
//! answer to a key came, and what its process takes.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    io::{Read as _, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::lab;

/// How long a program may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running program. Dropping it ends it.
pub struct Program {
    begun: Instant,
    process: Box<dyn portable_pty::Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    seen: Arc<Seen>,
    // The terminal hangs up when this is dropped.
    _master: Box<dyn MasterPty + Send>,
}

struct Seen {
    output: Mutex<Output>,
    changed: Condvar,
}

struct Output {
    sent: u64,
    /// What is waited for, and what came since it is.
    awaited: Option<(&'static str, Vec<u8>)>,
    /// When it came.
    came: Option<Instant>,
    screen: vt100::Parser,
    ended: bool,
}

impl Program {
    /// Starts `words` in a terminal of `width` by `height` with `home` as its
    /// home and `variables` added to its environment.
    pub fn start(
        home: &Path,
        (width, height): (u16, u16),
        words: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::from_argv(words.iter().map(Into::into).collect());
        command.cwd(home);
        for (name, value) in lab::program::environment(home) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            }
        }
        let terminal = [
            ("TERM", "xterm-256color"),
            ("COLORTERM", "truecolor"),
            ("LC_ALL", "C.UTF-8"),
            ("LANG", "C.UTF-8"),
        ];
        for (name, value) in terminal.iter().chain(variables) {
            command.env(name, value);
        }
        let seen = Arc::new(Seen {
            output: Mutex::new(Output {
                sent: 0,
                awaited: None,
                came: None,
                screen: vt100::Parser::new(height, width, 0),
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keyboard = pair.master.take_writer().unwrap();
        let taken = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = reader.read(&mut buffer).unwrap_or(0);
                let now = Instant::now();
                taken.lock().take(&buffer[..count], now);
                taken.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        let begun = Instant::now();
        let process = pair.slave.spawn_command(command).unwrap();
        Self { begun, process, keyboard, seen, _master: pair.master }
    }

    /// Bytes that it has sent so far.
    pub fn sent(&self) -> u64 {
        self.seen.lock().sent
    }

    /// What its screen shows.
    pub fn screen(&self) -> String {
        self.seen.lock().screen.screen().contents()
    }

    /// The time from its start until it had sent so many bytes.
    pub fn until_sent(&self, bytes: u64) -> Duration {
        self.until("bytes", |output| output.sent >= bytes)
    }

    /// The time from its start until its screen fulfilled `shows`.
    pub fn until_shown(&self, what: &str, shows: impl Fn(&str) -> bool) -> Duration {
        self.until(what, |output| shows(&output.screen.screen().contents()))
    }

    fn until(&self, what: &str, is: impl Fn(&Output) -> bool) -> Duration {
        let end = Instant::now() + PATIENCE;
        let mut output = self.seen.lock();
        while !is(&output) {
            let left = end.saturating_duration_since(Instant::now());
            let screen = || output.screen.screen().contents();
            assert!(!left.is_zero() && !output.ended, "not within {PATIENCE:?}: {what}\n{}", screen());
            output = self.seen.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.begun.elapsed()
    }

    /// Types `key` and gives the time until `sign` came.
    pub fn answer(&mut self, key: &str, sign: &'static str) -> Duration {
        {
            let mut output = self.seen.lock();
            output.awaited = Some((sign, Vec::new()));
            output.came = None;
        }
        let pressed = Instant::now();
        self.press(key);
        let mut output = self.seen.lock();
        loop {
            if let Some(came) = output.came {
                return came.saturating_duration_since(pressed);
            }
            let left = (pressed + PATIENCE).saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !output.ended, "no answer to {key:?}");
            output = self.seen.changed.wait_timeout(output, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Types `keys`.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Seconds of CPU that all its threads have taken so far.
    pub fn cpu(&self) -> f64 {
        // In USER_HZ, which is 100 on every Linux a program can see.
        const HZ: f64 = 100.0;
        let stat = self.proc("stat");
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let ticks = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
        ticks.sum::<f64>() / HZ
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> f64 {
        resident(&self.proc("status"))
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.process_id().unwrap())).unwrap()
    }
}

/// Resident memory in bytes, out of `/proc/…/status`.
pub fn resident(status: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap() * 1024.0
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn take(&mut self, bytes: &[u8], now: Instant) {
        self.sent += bytes.len() as u64;
        if let Some((sign, since)) = &mut self.awaited {
            since.extend_from_slice(bytes);
            if since.windows(sign.len()).any(|part| part == sign.as_bytes()) {
                self.came = Some(now);
                self.awaited = None;
            }
        }
        self.screen.process(bytes);
        self.ended = bytes.is_empty();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
