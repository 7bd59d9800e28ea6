//! The screen in this process: the app, what draws it, and a terminal that
//! only counts bytes.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kvmscope::{
    app::{App, Clipboard, Key, Message, Settings, SortKey},
    config,
    model::status::{CollectionState, CollectorStatus, EventFigures},
    terminal::Thrifty,
    ui::Screen,
};
use ratatui::{Terminal, TerminalOptions, Viewport, layout::Rect};

use crate::fleet::START;

/// What a synchronized update adds to each draw: `ESC[?2026h` and `ESC[?2026l`.
const SYNCHRONIZED: u64 = 16;

/// A terminal that only counts.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicU64>);

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The screen as the runtime keeps it, with a counting terminal.
pub struct Drawn {
    /// What the screen is about.
    pub app: App,
    screen: Screen,
    terminal: Terminal<Thrifty<Counted>>,
    sent: Counted,
}

impl Drawn {
    /// A screen that has drawn nothing yet.
    pub fn new(width: u16, height: u16) -> Self {
        let screen = config::Screen::default();
        let interval = Duration::from_secs(1);
        let settings = Settings {
            screen: screen.clone(),
            config: Vec::new(),
            interval,
            log_file: None,
            clipboard: Clipboard::default(),
            now: START,
        };
        let mut app = App::new(settings).unwrap();
        app.update(Message::Resize { width, height });
        app.update(Message::Collector(running(interval)));
        let sent = Counted::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let backend = Thrifty::new(sent.clone());
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
        Self { app, screen: Screen::new(&screen), terminal, sent }
    }

    /// Sorts by `key`, as pressing `o` until it is sorted so.
    pub fn sort_by(&mut self, key: SortKey) {
        for _ in 0..30 {
            if self.app.fleet().sort().0 == key {
                return;
            }
            self.app.update(Message::Key(Key::Char('o')));
        }
        panic!("nothing sorts by {}", key.title());
    }

    /// Draws, and returns the bytes that went to the terminal.
    pub fn draw(&mut self) -> u64 {
        let before = self.sent.0.load(Ordering::Relaxed);
        let Self { app, screen, terminal, .. } = self;
        terminal.draw(|frame| screen.draw(frame, app)).unwrap();
        self.sent.0.load(Ordering::Relaxed) - before + SYNCHRONIZED
    }
}

fn running(interval: Duration) -> CollectorStatus {
    CollectorStatus {
        events: EventFigures::default(),
        state: CollectionState::Running { since: START },
        initialized: true,
        started_at: Some(START),
        total_collections: 0,
        total_errors: 0,
        last_collection_at: None,
        last_error: None,
        vms_monitored: 0,
        interval,
        last_cycle_took: None,
        lists: 3,
        round: 1,
        skipped_ticks: 0,
        stuck_calls: Vec::new(),
        max_stuck_calls: 8,
        silent: Vec::new(),
        reconnects: 0,
        errors: kvmscope::model::LastErrors::default(),
        costs: kvmscope::model::status::ReadingCosts::default(),
    }
}
