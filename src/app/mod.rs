//! What the screen is about: pages, selection, sort, filter, histories, and
//! what every key does to them.
//!
//! [`App::update`] turns a [`Message`] into a changed state and the
//! [`Effect`]s the runtime carries out. It knows no terminal, no drawing, no
//! tasks and no clock: times come with messages.

pub mod action;
mod control;
pub mod detail;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod fleet;
mod key;
mod keymap;
mod message;
mod page;
mod series;
#[cfg(test)]
mod tests;
mod view;

use std::{sync::Arc, time::Duration};

use tui_input::{Input, InputRequest};
use uuid::Uuid;

pub use action::{ACTIONS, Action, Binding, Mode};
pub use control::Collection;
pub use detail::{Pane, VmPage};
pub use fleet::{Counts, Direction, Fleet, Inactive, SortKey};
pub use key::Key;
pub use keymap::{Clash, Keymap, bindings};
pub use message::{Effect, Message, Mouse, Target};
pub use page::{LogLevel, Overlay, Page, Scroll};
pub use series::Series;

use crate::{
    config,
    model::{
        Frame, WallTime,
        status::{ConfigEntry, DeliveryState, DeliveryStatus, StoreState, StoreStatus},
    },
};
use control::Control;

/// What the screen starts with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[screen]`.
    pub screen: config::Screen,
    /// The effective configuration, fit to show.
    pub config: Vec<ConfigEntry>,
    /// The poll interval collection starts with.
    pub interval: Duration,
    /// The time now.
    pub now: WallTime,
}

/// Lines of scrolling that surely reach either end.
const FAR: i64 = 1_000_000;
/// Longest filter in characters.
const LONGEST_FILTER: usize = 200;
/// How long a notice stands.
const NOTICE_NANOS: i64 = 4_000_000_000;

/// The frame looked at while the screen is frozen.
#[derive(Clone, Debug)]
struct Frozen {
    frame: Arc<Frame>,
}

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
    /// The filter's line while it is written.
    input: Option<Input>,
    scrolled: [i64; 3],
    log_level: LogLevel,
    notice: Option<Notice>,

    latest: Option<Arc<Frame>>,
    frozen: Option<Frozen>,
    series: Series,
    control: Control,
    delivery: DeliveryStatus,
    store: StoreStatus,
}

impl App {
    /// A screen without data.
    ///
    /// # Errors
    /// Two key bindings clash: a mistake in [`ACTIONS`].
    pub fn new(settings: Settings) -> Result<Self, Clash> {
        let Settings { screen, config, interval, now } = settings;
        Ok(Self {
            keymap: Keymap::new()?,
            config,
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
            scrolled: [0; 3],
            log_level: LogLevel::Info,
            notice: None,
            latest: None,
            frozen: None,
            series: Series::new(screen.history_cycles),
            control: Control::new(interval),
            delivery: DeliveryStatus::default(),
            store: StoreStatus::default(),
            screen,
        })
    }

    /// Takes in what happened; returns what the runtime has to do.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let before = self.now.seconds();
        let ticked = matches!(message, Message::Tick(_));
        let effects = match message {
            Message::Frame(frame) => self.take_frame(frame),
            Message::Collector(status) => {
                self.control.confirm(status);
                Vec::new()
            }
            Message::Delivery(delivery, store) => {
                self.delivery = delivery;
                self.store = store;
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
            Message::Tick(now) => {
                self.now = now;
                if self.notice.as_ref().is_some_and(|n| now >= n.until) {
                    self.notice = None;
                    self.changed = true;
                }
                Vec::new()
            }
        };
        self.changed |= !ticked || self.now.seconds() != before;
        effects
    }

    fn take_frame(&mut self, frame: Arc<Frame>) -> Vec<Effect> {
        self.series.push(&frame);
        self.now = self.now.max(frame.at);
        self.latest = Some(frame);
        if self.frozen.is_none() {
            self.rearrange();
        }
        Vec::new()
    }

    /// Finds rows and cursors anew for the shown frame.
    fn rearrange(&mut self) {
        let frame = self.frame().cloned();
        self.fleet.arrange(frame.as_deref());
        if let (Some(page), Some(frame)) = (&mut self.vm, frame.as_deref())
            && let Some(domain) = frame.domains.iter().find(|d| d.identity().uuid == page.uuid)
        {
            page.clamp(domain);
        }
    }

    fn press(&mut self, key: Key) -> Vec<Effect> {
        if let Some(action) = self.keymap.action(self.mode(), key) {
            return self.act(action);
        }
        if self.mode() == Mode::Filter {
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
            Key::Up => return self.fleet.move_by(-1),
            Key::Down => return self.fleet.move_by(1),
            _ => return,
        };
        let Some(input) = &mut self.input else { return };
        let insert = matches!(request, InputRequest::InsertChar(_));
        if insert && input.value().chars().count() >= LONGEST_FILTER {
            return;
        }
        input.handle(request);
        let value = input.value().to_owned();
        self.fleet.set_filter(&value);
        self.rearrange();
    }

    /// Pasted text is only ever text: it goes into the filter's line, and
    /// nowhere if that is not open.
    fn paste(&mut self, text: &str) -> Vec<Effect> {
        if self.input.is_some() {
            for c in text.chars().filter(|c| !c.is_control()).take(LONGEST_FILTER) {
                self.edit(Key::Char(c));
            }
        }
        Vec::new()
    }

    fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Quit => return self.quit(),
            Action::Yes => return vec![Effect::Quit],
            Action::No => self.overlay = Overlay::None,
            Action::ToggleCollection => {
                let start = self.control.toggle();
                return vec![if start { Effect::StartCollection } else { Effect::StopCollection }];
            }
            Action::Reconnect => {
                self.say("connecting to libvirt anew".into());
                return vec![Effect::Reconnect];
            }
            Action::IntervalLonger => return self.interval(Control::longer),
            Action::IntervalShorter => return self.interval(Control::shorter),
            Action::Mouse => {
                self.mouse = !self.mouse;
                self.say(format!("mouse {}", if self.mouse { "on" } else { "off" }));
                return vec![Effect::Mouse(self.mouse)];
            }
            Action::Copy => return self.copy(),
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Theme => self.next_theme(),
            Action::Freeze => self.freeze(),
            Action::Help => {
                self.scroll(Scroll::Help, -FAR);
                self.overlay = if self.overlay == Overlay::Help { Overlay::None } else { Overlay::Help };
            }
            Action::Status => self.toggle_page(Page::Status),
            Action::Log => self.toggle_page(Page::Log),
            Action::Back => self.back(),
            Action::Open => self.open(),
            Action::NextPane => self.turn_pane(true),
            Action::PreviousPane => self.turn_pane(false),
            Action::Up => self.move_by(-1),
            Action::Down => self.move_by(1),
            Action::PageUp => self.move_by(-self.page_step()),
            Action::PageDown => self.move_by(self.page_step()),
            Action::Top => self.move_far(-1),
            Action::Bottom => self.move_far(1),
            Action::Filter => {
                self.input = Some(Input::new(self.fleet.filter().to_owned()));
            }
            Action::FilterKeep => self.input = None,
            Action::FilterDrop => {
                self.input = None;
                self.fleet.set_filter("");
                self.rearrange();
            }
            Action::SortNext => {
                self.fleet.sort_next();
                self.rearrange();
            }
            Action::SortReverse => {
                self.fleet.reverse();
                self.rearrange();
            }
            Action::Inactive => {
                self.fleet.toggle_inactive();
                self.rearrange();
            }
            Action::LogMore => self.log_level = self.log_level.step(1),
            Action::LogLess => self.log_level = self.log_level.step(-1),
        }
        Vec::new()
    }

    /// Asks first only when quitting would lose lines: they wait in memory,
    /// nothing is delivering them and no record takes them. What waits on
    /// disk survives, and what waits for its batch is written on leaving.
    fn quit(&mut self) -> Vec<Effect> {
        let lost = self.delivery.waiting_in_memory > 0
            && self.store.state != StoreState::Writable
            && !matches!(self.delivery.state, DeliveryState::Delivering | DeliveryState::Off);
        if lost {
            self.overlay = Overlay::QuitQuestion;
            return Vec::new();
        }
        vec![Effect::Quit]
    }

    fn interval(&mut self, step: fn(&mut Control) -> Option<Duration>) -> Vec<Effect> {
        let Some(interval) = step(&mut self.control) else { return Vec::new() };
        self.say(format!("poll interval {} s", interval.as_secs_f64()));
        vec![Effect::SetInterval(interval)]
    }

    fn copy(&mut self) -> Vec<Effect> {
        let Some(domain) = self.subject() else { return Vec::new() };
        let (uuid, name) = (domain.identity().uuid, Arc::clone(&domain.identity().name));
        let again = self.notice.as_ref().is_some_and(|n| n.copied == Some(uuid));
        if again {
            self.say(format!("copied uuid {uuid}"));
            return vec![Effect::Copy(uuid.to_string())];
        }
        self.say(format!("copied name {name}; y again copies the uuid"));
        if let Some(notice) = &mut self.notice {
            notice.copied = Some(uuid);
        }
        vec![Effect::Copy(name.to_string())]
    }

    fn next_theme(&mut self) {
        use config::Theme::{Dark, Light, Mono, Safe};
        self.theme = match self.theme {
            Dark => Light,
            Light => Safe,
            Safe => Mono,
            Mono => Dark,
        };
        self.say(format!("theme {}", format!("{:?}", self.theme).to_lowercase()));
    }

    fn freeze(&mut self) {
        if self.frozen.take().is_some() {
            self.series.thaw();
            self.rearrange();
        } else if let Some(frame) = self.latest.clone() {
            self.series.freeze();
            self.frozen = Some(Frozen { frame });
        }
    }

    fn toggle_page(&mut self, page: Page) {
        self.overlay = Overlay::None;
        if self.page == page {
            self.page = self.under;
            return;
        }
        if matches!(self.page, Page::Fleet | Page::Vm) {
            self.under = self.page;
        }
        self.page = page;
        let text = if page == Page::Status { Scroll::Status } else { Scroll::Log };
        self.scroll(text, -FAR * if page == Page::Log { -1 } else { 1 });
    }

    fn back(&mut self) {
        if self.overlay != Overlay::None {
            self.overlay = Overlay::None;
            return;
        }
        match self.page {
            Page::Fleet => {
                self.fleet.set_filter("");
                self.rearrange();
            }
            Page::Vm => {
                self.page = Page::Fleet;
                self.vm = None;
            }
            Page::Status | Page::Log => self.page = self.under,
        }
    }

    fn open(&mut self) {
        let Some(uuid) = self.fleet.selected() else { return };
        let Some(domain) = self.domain(uuid) else { return };
        self.vm = Some(VmPage::new(uuid, Arc::clone(&domain.identity().name)));
        self.page = Page::Vm;
    }

    fn turn_pane(&mut self, forward: bool) {
        let Some(domain) = self.vm_domain().cloned() else { return };
        if let Some(page) = &mut self.vm {
            page.turn(&domain, forward);
        }
    }

    fn page_step(&self) -> isize {
        isize::try_from(self.size.1.saturating_sub(8).max(1)).unwrap_or(1)
    }

    fn move_far(&mut self, sign: isize) {
        self.move_by(sign * isize::try_from(FAR).unwrap_or(isize::MAX));
    }

    /// Moves whatever is in front: the help, a cursor, a text.
    fn move_by(&mut self, step: isize) {
        let lines = i64::try_from(step).unwrap_or(0);
        if self.overlay == Overlay::Help {
            return self.scroll(Scroll::Help, lines);
        }
        match self.page {
            Page::Fleet => self.fleet.move_by(step),
            Page::Vm => {
                if let Some(domain) = self.vm_domain().cloned()
                    && let Some(page) = &mut self.vm
                {
                    page.move_by(&domain, step);
                }
            }
            Page::Status => self.scroll(Scroll::Status, lines),
            Page::Log => self.scroll(Scroll::Log, lines.signum() * if lines.abs() >= FAR { FAR } else { 1 }),
        }
    }

    fn scroll(&mut self, text: Scroll, lines: i64) {
        let counter = &mut self.scrolled[text as usize];
        *counter = counter.saturating_add(lines);
    }

    fn mouse_event(&mut self, mouse: Mouse) -> Vec<Effect> {
        match mouse {
            Mouse::Press { .. } => {}
            Mouse::Scroll(lines) => self.move_by(isize::from(lines)),
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
                    page.point(pane, line);
                    page.clamp(&domain);
                }
            }
        }
        Vec::new()
    }

    fn say(&mut self, text: String) {
        let until = WallTime(self.now.0.saturating_add(NOTICE_NANOS));
        self.notice = Some(Notice { text, until, copied: None });
    }
}
