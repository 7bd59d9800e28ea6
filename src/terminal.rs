//! The terminal: into raw mode and out of it again, whatever happens.
//!
//! Owns the modes of the terminal, the panic hook that restores them and the
//! clipboard sequence. It decides nothing and knows nothing of the app.

use std::{
    io::{self, BufWriter, IsTerminal as _, Stdout, Write, stdout},
    mem::ManuallyDrop,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crossterm::{
    event::{
        DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
        EnableFocusChange,
    },
    execute,
    terminal::{
        EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    },
};
use ratatui::Frame;
use rustix::process::{Signal, getpid, kill_process};

mod diverted;
mod thrifty;

pub use thrifty::Thrifty;

/// Whether the terminal is in our modes. Process-wide, because the panic hook
/// must know it on any thread.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// Exit code after a panic, as Rust itself uses.
const PANICKED: u8 = 101;

/// Longer than a stop signal takes to reach every thread.
const STOPPING: Duration = Duration::from_millis(30);

/// Tells a terminal that writes Hebrew and Arabic from the right (BDSM of
/// ECMA-48) to leave every cell where it was put: a name would take the
/// numbers of its row along. Others know neither sequence.
const KEEP_ORDER: &str = "\x1b[8l";
/// As terminals come.
const MAY_REORDER: &str = "\x1b[8h";

/// The terminal in raw mode on its alternate screen; dropping it restores it.
pub struct Terminal {
    /// Never dropped: when the terminal was closed under us, ratatui's drop
    /// complains on standard error, which is closed too, and that panics.
    /// [`restore`] shows the cursor again.
    inner: ManuallyDrop<ratatui::Terminal<Thrifty<BufWriter<Stdout>>>>,
    mouse: bool,
}

impl Terminal {
    /// Enters raw mode and the alternate screen.
    ///
    /// # Errors
    /// Standard output is not a terminal, or cannot be written.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        enter(mouse)?;
        // From here on the modes are ours: an error must restore them.
        let backend = Thrifty::new(BufWriter::with_capacity(1 << 16, stdout()));
        match ratatui::Terminal::new(backend) {
            Ok(inner) => Ok(Self { inner: ManuallyDrop::new(inner), mouse }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Draws one frame; only cells that changed are sent, and nothing where
    /// none did.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.inner.draw(draw).map(drop)
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        self.inner.size().map(|size| (size.width, size.height))
    }

    /// Mouse reports on or off.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        let mut out = stdout();
        if on { enable_mouse(&mut out) } else { execute!(out, DisableMouseCapture) }
    }

    /// Clears the screen; the next draw sends every cell.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn redraw(&mut self) -> io::Result<()> {
        // Not `clear`: that asks the terminal where its cursor is and waits
        // for the answer, which the event reader would take away from it.
        let size = self.inner.size()?;
        self.inner.resize(size.into())
    }

    /// Puts `text` on the clipboard of the terminal the user sits at (OSC 52).
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = stdout();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }

    /// Gives the terminal back, stops this process until it is continued, and
    /// takes the terminal again.
    ///
    /// # Errors
    /// The signal could not be sent, or the terminal is gone.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        let stopped = kill_process(getpid(), Signal::TSTP);
        // The kernel may hand the signal to another thread first: without a
        // pause this one could enter the terminal again before it stops.
        std::thread::sleep(STOPPING);
        enter(self.mouse)?;
        self.redraw()?;
        stopped.map_err(io::Error::from)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

fn enter(mouse: bool) -> io::Result<()> {
    // Raw mode alone would succeed: it looks for the keyboard's terminal.
    if !stdout().is_terminal() {
        return Err(io::Error::other("standard output is not a terminal"));
    }
    enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    let mut out = stdout();
    let modes = execute!(
        out,
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange,
        crossterm::style::Print(KEEP_ORDER)
    );
    let modes = if mouse { modes.and_then(|()| enable_mouse(&mut out)) } else { modes };
    if modes.is_err() {
        restore();
    } else {
        // The screen is worth having without it.
        let _ = diverted::begin();
    }
    modes
}

/// Buttons and wheel in SGR form, and no motion: a moving mouse would send a
/// stream of reports over ssh that nobody reads.
fn enable_mouse(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\x1b[?1000h\x1b[?1006h")?;
    out.flush()
}

/// Restores the terminal if it is in our modes. May be called from anywhere
/// and any number of times.
pub fn restore() {
    if !ENTERED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = stdout();
    // Each on its own: one that fails must not keep the others from being sent.
    let _ = execute!(out, EndSynchronizedUpdate);
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, DisableFocusChange, DisableBracketedPaste);
    let _ = execute!(out, crossterm::style::Print(MAY_REORDER));
    let _ = execute!(out, LeaveAlternateScreen, crossterm::cursor::Show);
    let _ = disable_raw_mode();
    diverted::end();
}

/// From now on a panic on any thread restores the terminal, reports through
/// the hook that was there before, and ends the program by `end` with its exit
/// code: a dead background task never leaves a living screen.
pub fn install_panic_hook(end: fn(u8) -> !) {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        previous(info);
        end(PANICKED);
    }));
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                let index = (group >> (18 - 6 * place)) as usize & 63;
                text.push(char::from(ALPHABET[index]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;
