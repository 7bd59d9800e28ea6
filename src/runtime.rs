//! Wires the rooms together: the only place that spawns, joins channels and
//! handles signals.
//!
//! One task owns the [`App`]; `select!` prefers shutdown, then input, then
//! data. The screen is drawn only when something changed, at most thirty
//! times a second, and once a second while another window has the focus.
//! Collection and delivery run in threads of their own and reach the screen
//! through `watch` channels: the latest wins, so a slow terminal never slows
//! them. What comes from an agent is queued within bounds. A key never waits for
//! a draw that was not for it.

mod agent;
mod engine;
mod export;
mod exporting;
mod finding;
mod idle;
mod input;
mod log_file;
mod logging;
mod memory;
mod pace;
mod parting;
mod recording;
mod reread;
mod signals;
mod source;
mod stderr_log;
mod supervisor;

use std::{io, sync::Arc, time::Duration};

use crossterm::event::EventStream;
use futures::StreamExt as _;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    agent::door::DoorError,
    app::{self, App, Clipboard, Effect, ExportForm, Exported, Message, OldFrames},
    attach::PlaceError,
    cli::Attach,
    clock::Clock,
    collector::Command,
    config::Loaded,
    delivery,
    model::status::{CollectorStatus, DeliveryStatus, StoreStatus},
    terminal::{self, Terminal},
    ui::Screen,
};
pub use agent::agent;
use engine::Engine;
pub use engine::collector_settings;
pub use export::{ExportError, export};
use finding::Who;
use idle::Idle;
use memory::Memory;
use pace::Pace;
use signals::Signals;
use source::{Frames, Source};

/// How often relative times on the screen ("42 s ago") are renewed.
const TICK: Duration = Duration::from_secs(1);
/// How long leaving waits for lines that are on their way to the database.
/// What is not sent by then waits in the record.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// Why the screen or the agent could not run.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// No terminal to draw on.
    #[error(
        "cannot use this terminal: {0}; run kvmscope in a terminal, or use `kvmscope once` for plain output"
    )]
    Terminal(#[source] io::Error),
    /// The terminal went away.
    #[error("the terminal is gone: {0}")]
    TerminalLost(#[source] io::Error),
    /// The operating system refused a thread or a signal handler.
    #[error("cannot start: {0}; the limit on processes or open files may be reached")]
    System(#[from] io::Error),
    /// Delivery could not be started.
    #[error(transparent)]
    Delivery(#[from] delivery::StartError),
    /// An agent is not the one that records.
    #[error(
        "{holder} already records this host, and two would write every sample twice; end that one, then \
         start the agent"
    )]
    Recorded {
        /// Program and process.
        holder: String,
    },
    /// An agent cannot know whether another process records.
    #[error("{why}")]
    NoLock {
        /// What, where and what to do.
        why: String,
    },
    /// An agent cannot be asked.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// There is no such place for an agent.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Two keys of the key table clash.
    #[error(transparent)]
    Keys(#[from] app::Clash),
}

/// Opens the screen and collects, or shows what an agent collects, until the operator quits or a signal ends
/// the program. Returns what the operator should know of lines that were not
/// delivered, to be said where the screen was.
///
/// # Errors
/// When there is no terminal, or the system gives no threads. The terminal is
/// restored in every case.
pub fn screen(loaded: Loaded, stopped: bool, attach: &Attach) -> Result<Vec<String>, RuntimeError> {
    let named = finding::named(&loaded.config, attach)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::system();
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    // The terminal first: without one nothing is started and nothing recorded,
    // not even in the log.
    let terminal = Terminal::enter(loaded.config.screen.mouse).map_err(RuntimeError::Terminal)?;
    let logging = logging::start(&loaded.config.log);
    terminal::install_panic_hook(crate::libvirt::leave);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let (words, said) = mpsc::unbounded_channel();
    let notices = words.clone();
    // Nobody listens any more only while leaving.
    let tell = move |text| _ = notices.send(Message::Say(text));
    let (memory, remembered) = Memory::start(loaded.config.store.path.as_deref(), tell)?;
    let idle = Idle::of(&loaded.entries, stopped, matches!(attach, Attach::At(_)));
    let mut app = App::new(app::Settings {
        screen: loaded.config.screen.clone(),
        config: loaded.entries,
        interval: loaded.config.collector.poll_interval,
        log_file: logging.file.clone(),
        clipboard: match std::env::var_os("TMUX") {
            Some(socket) if !socket.is_empty() => Clipboard::Tmux,
            _ => Clipboard::Terminal,
        },
        now: clock.now().0,
    })?;
    if let Some(remembered) = remembered {
        app.recall(remembered);
    }
    let config = &loaded.config;
    let who = named.map_or_else(|| finding::who(config), Who::Agent);
    let (source, news, engine) = match who {
        Who::Agent(place) => {
            if let Some(words) = idle.words() {
                tracing::warn!("{words}");
            }
            app.means_nothing(idle.options);
            let (source, news) = Source::attached(place, config, clock.clone(), words.clone(), said)?;
            (source, news, None)
        }
        Who::Here(role) => {
            let (successor, turn) = mpsc::unbounded_channel();
            let engine = Engine::start(config, &clock, role, move |handle| {
                // Nobody listens any more only while leaving.
                drop(successor.send(handle));
            })?;
            if !stopped {
                engine.collector.command(Command::Start);
            }
            let (source, news) = Source::here(config, &engine, words.clone(), said, turn)?;
            (source, news, Some(engine))
        }
    };
    let session = Session {
        app,
        screen: Screen::new(&loaded.config.screen),
        terminal,
        source,
        memory,
        clock,
        freer: freer()?,
        words,
    };
    let ended = runtime.block_on(session.run(signals, news));
    let parting = engine.map(|engine| engine.end(FLUSH_WITHIN)).unwrap_or_default();
    // What was logged until here reaches its file.
    drop(logging);
    ended.map(|()| parting)
}

/// The thread that drops old frames.
fn freer() -> io::Result<std::sync::mpsc::Sender<OldFrames>> {
    let (give, taken) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("free".into()).spawn(move || taken.iter().for_each(drop))?;
    Ok(give)
}

/// Where data for the screen comes from.
struct News {
    frames: Frames,
    collector: watch::Receiver<Option<CollectorStatus>>,
    delivery: watch::Receiver<(DeliveryStatus, StoreStatus)>,
    /// What was done off the screen's task.
    said: mpsc::UnboundedReceiver<Message>,
    /// Delivery that takes the place of the one before.
    turn: mpsc::UnboundedReceiver<Arc<delivery::Handle>>,
}

impl News {
    /// Delivery has begun anew: what it tells is listened to, and said.
    fn take_turn(&mut self, handle: &delivery::Handle) -> Message {
        self.delivery = handle.status();
        self.delivery.mark_changed();
        Message::Say(match recording::holder(handle) {
            Some(holder) => format!("{holder} records this host now"),
            None => "the process that recorded this host has ended; this one records now".into(),
        })
    }
}

/// Everything one screen consists of.
struct Session {
    app: App,
    screen: Screen,
    terminal: Terminal,
    source: Source,
    memory: Memory,
    clock: Clock,
    /// Drops old frames.
    freer: std::sync::mpsc::Sender<OldFrames>,
    /// Where what is done off the screen's task says so.
    words: mpsc::UnboundedSender<Message>,
}

/// Whether the session goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    End,
}

/// Waits for an instant; without one there is nothing to wait for.
async fn until(instant: Option<Instant>) -> Option<()> {
    sleep_until(instant?).await;
    Some(())
}

impl Session {
    /// Runs until the operator or a signal ends it. Dropping `self` at the
    /// end restores the terminal.
    async fn run(mut self, mut signals: Signals, mut news: News) -> Result<(), RuntimeError> {
        let mut events = EventStream::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (width, height) = self.terminal.size().map_err(RuntimeError::TerminalLost)?;
        self.app.update(Message::Resize { width, height });
        self.draw()?;
        let mut pace = Pace::new(Instant::now());
        loop {
            pace.news(self.app.take_changed());
            let due = pace.due(self.app.focused());
            let message = tokio::select! {
                biased;
                () = signals.ended() => return Ok(()),
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        pace.ask();
                        input::message(event)
                    }
                    Some(Err(error)) => return Err(RuntimeError::TerminalLost(error)),
                    // The terminal was closed under us.
                    None => return Ok(()),
                },
                Some(()) = until(due) => {
                    self.draw()?;
                    pace.drawn(Instant::now());
                    None
                }
                Ok(()) = news.collector.changed() => {
                    news.collector.borrow_and_update().clone().map(Message::Collector)
                }
                Ok(()) = news.delivery.changed() => {
                    let (delivery, store) = news.delivery.borrow_and_update().clone();
                    Some(Message::Delivery(delivery, store))
                }
                Some(handle) = news.turn.recv() => Some(news.take_turn(&handle)),
                Some(message) = news.said.recv() => Some(message),
                _ = tick.tick() => Some(Message::Tick(self.clock.now().0)),
                // Last: an agent may send them faster than they can be taken.
                message = news.frames.next() => message,
            };
            if let Some(message) = message
                && self.take(message)? == Next::End
            {
                return Ok(());
            }
        }
    }

    fn take(&mut self, message: Message) -> Result<Next, RuntimeError> {
        let message = self.screen.resolve(message);
        for effect in self.app.update(message) {
            let Some(effect) = self.source.carry_out(effect) else { continue };
            match effect {
                Effect::Export(form, what) => self.export(form, what),
                // Without the thread they are dropped here.
                Effect::LetGo(old) => drop(self.freer.send(old)),
                Effect::Copy(text) => self.terminal.copy(&text).map_err(RuntimeError::TerminalLost)?,
                Effect::Mouse(on) => self.terminal.set_mouse(on).map_err(RuntimeError::TerminalLost)?,
                Effect::Suspend => self.terminal.suspend().map_err(RuntimeError::TerminalLost)?,
                Effect::Redraw => self.terminal.redraw().map_err(RuntimeError::TerminalLost)?,
                Effect::Remember(remembered) => self.memory.keep(remembered),
                Effect::Quit => return Ok(Next::End),
                // The source has carried these out.
                Effect::StartCollection
                | Effect::StopCollection
                | Effect::Reconnect
                | Effect::SetInterval(_)
                | Effect::LookBack(_)
                | Effect::History(_)
                | Effect::Xml(_) => {}
            }
        }
        Ok(Next::GoOn)
    }

    /// In a thread of its own, which nobody waits for at the end: a disk that
    /// hangs keeps neither the screen nor the leaving.
    fn export(&self, form: ExportForm, what: Exported) {
        let words = self.words.clone();
        let write = move || {
            let directory = std::env::current_dir().unwrap_or_else(|_| ".".into());
            // The screen may be gone by then, and with it whoever would read this.
            drop(words.send(Message::Say(exporting::write(form, &what, &directory))));
        };
        if let Err(error) = std::thread::Builder::new().name("export".into()).spawn(write) {
            drop(self.words.send(Message::Say(format!("cannot export: no thread: {error}"))));
        }
    }

    fn draw(&mut self) -> Result<(), RuntimeError> {
        logging::take_new();
        let Self { app, screen, terminal, .. } = self;
        terminal.draw(|frame| screen.draw(frame, app)).map_err(RuntimeError::TerminalLost)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
