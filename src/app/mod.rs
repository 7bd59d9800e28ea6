//! What the screen is about: pages, selection, sort, filter, histories, and
//! what every key does to them.
//!
//! [`App::update`] turns a [`Message`] into a changed state and the
//! [`Effect`]s the runtime carries out. It knows no terminal, no drawing, no
//! tasks and no clock: times come with messages.

mod act;
pub mod action;
mod attached;
pub mod attention;
pub mod cards;
mod choosing;
pub mod columns;
#[cfg(test)]
mod contract;
mod control;
pub mod detail;
mod export;
mod filling;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod fleet;
mod key;
mod keymap;
mod log_view;
mod look_back;
mod message;
pub mod movers;
mod order;
mod page;
mod recent;
mod remembered;
mod series;
mod slots;
mod sort;
mod span;
mod tally;
#[cfg(test)]
mod tests;
mod view;
mod xml;

use std::{sync::Arc, time::Duration};

use tui_input::{Input, InputRequest};
use uuid::Uuid;

pub use action::{ACTIONS, Action, Binding, Mode};
pub use control::Collection;
pub use detail::{Fact, Pane, VmPage};
pub use export::{ExportForm, Exported};
pub use fleet::{Counts, Fleet, Inactive, View};
pub use key::Key;
pub use keymap::{Clash, Keymap, bindings};
pub use log_view::{LogSource, LogView};
pub use look_back::Looking;
pub use message::{Effect, Message, Mouse, Target};
pub use order::{DeviceKey, Order};
pub use page::{LogLevel, Overlay, Page, Scroll};
pub use recent::OldFrames;
pub use remembered::{Remembered, Words};
pub use series::Series;
pub use sort::{Direction, SortKey};
pub use span::{CYCLES_PER_COLUMN, Graph, Span, Window};
pub use tally::Tally;

use crate::{
    config,
    model::{
        Frame, WallTime,
        status::{ConfigEntry, DeliveryStatus, StoreState, StoreStatus},
    },
};
use control::Control;
use look_back::Frozen;
use recent::Recent;
pub use xml::{DomainXml, XmlState};

/// What the screen starts with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[screen]`.
    pub screen: config::Screen,
    /// The effective configuration, fit to show.
    pub config: Vec<ConfigEntry>,
    /// The poll interval collection starts with.
    pub interval: Duration,
    /// Where the log is kept.
    pub log_file: Option<String>,
    /// The way of what is copied.
    pub clipboard: Clipboard,
    /// The time now.
    pub now: WallTime,
}

/// The way of what is copied. Nobody answers, so that nobody knows whether it
/// came there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clipboard {
    /// The terminal takes it.
    #[default]
    Terminal,
    /// tmux takes it first, and passes it on where it is set to.
    Tmux,
}

/// Longest filter in characters.
const LONGEST_FILTER: usize = 200;

/// A word to the operator, for a few seconds.
#[derive(Clone, Debug)]
struct Notice {
    text: String,
    until: WallTime,
    /// The VM whose name was copied: the next `y` copies its uuid.
    copied: Option<Uuid>,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    keymap: Keymap,
    config: Vec<ConfigEntry>,
    log_file: Option<String>,
    clipboard: Clipboard,
    screen: config::Screen,
    theme: config::Theme,
    mouse: bool,
    focused: bool,
    size: (u16, u16),
    now: WallTime,
    changed: bool,

    page: Page,
    /// Where Status and Log go back to.
    under: Page,
    overlay: Overlay,
    vm: Option<VmPage>,
    fleet: Fleet,
    /// The line of the fleet's filter, or of the log's search, while it is
    /// written.
    input: Option<Input>,
    /// The XML that is shown, asked for, or was refused.
    xml: Option<DomainXml>,
    scrolled: [i64; 4],
    log: LogView,
    notice: Option<Notice>,

    /// Of the shown frame.
    tally: Option<Tally>,
    /// The moment looked at while the screen is frozen.
    frozen: Option<Frozen>,
    recent: Recent,
    series: Series,
    /// What the sparklines of a VM's page show.
    span: Span,
    attention: attention::Attention,
    movers: movers::Movers,
    /// What the runtime was asked to remember last.
    remembered: Remembered,
    control: Control,
    attached: attached::Attached,
    lacking: filling::Lacking,
    delivery: DeliveryStatus,
    store: StoreStatus,
}

impl App {
    /// A screen without data.
    ///
    /// # Errors
    /// Two key bindings clash: a mistake in [`ACTIONS`].
    pub fn new(settings: Settings) -> Result<Self, Clash> {
        let Settings { screen, config, interval, log_file, clipboard, now } = settings;
        Ok(Self {
            keymap: Keymap::new()?,
            config,
            log_file,
            clipboard,
            theme: screen.theme,
            mouse: screen.mouse,
            focused: true,
            size: (80, 24),
            now,
            changed: true,
            page: Page::Fleet,
            under: Page::Fleet,
            overlay: Overlay::None,
            vm: None,
            fleet: Fleet::default(),
            input: None,
            xml: None,
            scrolled: [0; 4],
            log: LogView::new(),
            notice: None,
            tally: None,
            frozen: None,
            recent: Recent::new(usize::try_from(screen.history_bytes).unwrap_or(usize::MAX)),
            series: Series::new(screen.history_cycles),
            span: Span::default(),
            attention: attention::Attention::new((screen.warn_percent, screen.critical_percent)),
            movers: movers::Movers::default(),
            remembered: Remembered::default(),
            control: Control::new(interval),
            attached: attached::Attached::default(),
            lacking: filling::Lacking::default(),
            delivery: DeliveryStatus::default(),
            store: StoreStatus::default(),
            screen,
        })
    }

    /// Takes in what happened; returns what the runtime has to do.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let before = self.now.seconds();
        let ticked = matches!(message, Message::Tick(_));
        let mut effects = match message {
            Message::Frame(frame) => self.take_frame(&frame),
            Message::Collector(status) => {
                self.control.confirm(status);
                Vec::new()
            }
            Message::Delivery(delivery, store) => {
                self.delivery = delivery;
                self.store = store;
                Vec::new()
            }
            Message::Link(link) => {
                self.take_link(link);
                Vec::new()
            }
            Message::History(answer) => {
                self.take_history(answer);
                Vec::new()
            }
            Message::Xml(uuid, answer) => {
                self.take_xml(uuid, answer);
                Vec::new()
            }
            Message::Key(key) => self.press(key),
            Message::Paste(text) => self.paste(&text),
            Message::Mouse(mouse) => self.mouse_event(mouse),
            Message::Resize { width, height } => {
                self.size = (width, height);
                // Small and back again may come as one event with the old
                // size: what the terminal forgot meanwhile is drawn anew.
                vec![Effect::Redraw]
            }
            Message::Focus(focused) => {
                self.focused = focused;
                Vec::new()
            }
            Message::Say(text) => {
                self.say(text);
                Vec::new()
            }
            Message::Past(answer) => self.take_past(answer),
            Message::Tick(now) => {
                self.now = WallTime(now.0.saturating_add(self.attached.ahead()));
                let now = self.now;
                self.lacking.tick(&self.series);
                if self.notice.as_ref().is_some_and(|n| now >= n.until) {
                    self.notice = None;
                    self.changed = true;
                }
                Vec::new()
            }
        };
        effects.extend(self.remember());
        effects.extend(self.ask_for_history());
        self.changed |= !ticked || self.now.seconds() != before;
        effects
    }

    fn take_frame(&mut self, frame: &Arc<Frame>) -> Vec<Effect> {
        self.series.push(frame);
        let recorded = match self.store.state {
            StoreState::Writable => self.store.covers_since,
            _ => None,
        };
        let old = self.recent.push(frame, self.series.slots_of(frame), recorded);
        self.attention.follow(frame);
        self.movers.follow(frame, &self.series);
        self.go_on_from_history();
        self.now = self.now.max(frame.at);
        if self.frozen.is_none() {
            self.look_at(Some(frame));
            self.fleet.follow(frame, &self.movers, self.series.slots().saturating_sub(1));
            self.keep_up(Some(frame));
        }
        if old.is_empty() { Vec::new() } else { vec![Effect::LetGo(OldFrames(old))] }
    }

    /// Finds rows and cursors anew for the shown frame.
    fn rearrange(&mut self) {
        let frame = self.frame().cloned();
        self.look_at(frame.as_deref());
        self.fleet.arrange(frame.as_deref(), &self.movers);
        self.keep_up(frame.as_ref());
    }

    /// Sums and cursors of the shown frame.
    fn keep_up(&mut self, frame: Option<&Arc<Frame>>) {
        Tally::keep(&mut self.tally, frame);
        if let (Some(page), Some(frame)) = (&mut self.vm, frame)
            && let Some(domain) = frame.domains.iter().find(|d| d.identity().uuid == page.uuid)
        {
            page.clamp(domain);
        }
    }

    fn press(&mut self, key: Key) -> Vec<Effect> {
        if let Some(action) = self.keymap.action(self.mode(), key) {
            return self.act(action);
        }
        if matches!(self.mode(), Mode::Filter | Mode::Search) {
            self.edit(key);
        }
        Vec::new()
    }

    fn edit(&mut self, key: Key) {
        let request = match key {
            Key::Char(c) if !c.is_control() => InputRequest::InsertChar(c),
            Key::Backspace | Key::Ctrl('h') => InputRequest::DeletePrevChar,
            Key::Delete => InputRequest::DeleteNextChar,
            Key::Left => InputRequest::GoToPrevChar,
            Key::Right => InputRequest::GoToNextChar,
            Key::Home | Key::Ctrl('a') => InputRequest::GoToStart,
            Key::End | Key::Ctrl('e') => InputRequest::GoToEnd,
            Key::Ctrl('w') => InputRequest::DeletePrevWord,
            Key::Ctrl('u') => InputRequest::DeleteLine,
            Key::Ctrl('k') => InputRequest::DeleteTillEnd,
            Key::Up => return self.move_by(-1),
            Key::Down => return self.move_by(1),
            _ => return,
        };
        let Some(input) = &mut self.input else { return };
        let insert = matches!(request, InputRequest::InsertChar(_));
        if insert && input.value().chars().count() >= LONGEST_FILTER {
            return;
        }
        input.handle(request);
        let value = input.value().to_owned();
        self.set_needle(&value);
    }

    /// What is searched for on the shown page.
    fn set_needle(&mut self, text: &str) {
        if self.page == Page::Log {
            text.trim().clone_into(&mut self.log.search);
        } else {
            self.fleet.set_filter(text);
            self.rearrange();
        }
    }

    /// Pasted text is only ever text: it goes into the line that is
    /// written, and nowhere if none is open.
    fn paste(&mut self, text: &str) -> Vec<Effect> {
        if self.input.is_some() {
            for c in text.chars().filter(|c| !c.is_control()).take(LONGEST_FILTER) {
                self.edit(Key::Char(c));
            }
        }
        Vec::new()
    }

    fn mouse_event(&mut self, mouse: Mouse) -> Vec<Effect> {
        match mouse {
            Mouse::Press { .. } => {}
            Mouse::Scroll(lines) => self.move_by(isize::from(lines)),
            Mouse::Click(Target::Key(action)) => {
                // What was clicked was drawn before: it may be gone by now.
                if bindings(self.mode()).any(|binding| binding.action == action) {
                    return self.act(action);
                }
            }
            Mouse::Click(_) if self.overlay != Overlay::None => {}
            Mouse::Click(Target::Row(uuid)) => self.fleet.select(uuid),
            Mouse::Click(Target::Column(key)) => {
                self.fleet.sort_by(key);
                self.rearrange();
            }
            Mouse::Click(Target::Line(pane, line)) => {
                if let Some(domain) = self.vm_domain().cloned()
                    && let Some(page) = &mut self.vm
                {
                    page.point(&domain, pane, line);
                }
            }
        }
        Vec::new()
    }
}
