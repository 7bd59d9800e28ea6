//! What each action does to the app, whichever key or button asked for it.
//!
//! Owns nothing of its own: it changes the app's state, and asks the runtime
//! for the rest by effects.

use std::{sync::Arc, time::Duration};

use tui_input::Input;

use super::{
    Action, App, Clipboard, Control, Effect, ExportForm, Notice, Overlay, Page, Scroll, VmPage,
    look_back::Step,
};
use crate::{
    config,
    model::{
        WallTime,
        status::{DeliveryState, StoreState},
    },
};

/// Lines of scrolling that surely reach either end.
pub(super) const FAR: i64 = 1_000_000;
/// How long a notice stands.
const NOTICE_NANOS: i64 = 4_000_000_000;

impl App {
    pub(super) fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Quit => return self.quit(),
            Action::Yes if self.overlay == Overlay::StopQuestion => return self.stop_for_all(),
            Action::Yes => return vec![Effect::Quit],
            Action::No => self.overlay = Overlay::None,
            Action::ToggleCollection => {
                if self.asks_before_toggling() {
                    return Vec::new();
                }
                let start = self.control.toggle();
                return vec![if start { Effect::StartCollection } else { Effect::StopCollection }];
            }
            Action::Reconnect => {
                self.say(self.attached.reconnecting().into());
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
            Action::Export => return self.ask_export(),
            Action::ExportCsv => return self.export(ExportForm::Csv),
            Action::ExportJson => return self.export(ExportForm::Json),
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Theme => self.next_theme(),
            Action::Freeze => self.freeze(),
            Action::StepBack => return self.step(Step::Back),
            Action::StepOn => return self.step(Step::On),
            Action::MinuteBack => return self.step(Step::MinuteBack),
            Action::MinuteOn => return self.step(Step::MinuteOn),
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
                let needle = if self.page == Page::Log { &self.log.search } else { self.fleet.filter() };
                self.input = Some(Input::new(needle.to_owned()));
            }
            Action::FilterKeep => self.input = None,
            Action::FilterDrop => {
                self.input = None;
                self.set_needle("");
            }
            Action::SortNext | Action::SortReverse if self.page == Page::Vm => {
                self.sort_devices(action == Action::SortReverse);
            }
            Action::SortNext => {
                self.fleet.sort_next();
                self.rearrange();
            }
            Action::SortReverse => {
                self.fleet.reverse();
                self.rearrange();
            }
            Action::Xml => return self.toggle_xml(),
            Action::SpanLonger => self.span = self.span.longer(self.history_kept()),
            Action::SpanShorter => self.span = self.span.shorter(self.history_kept()),
            Action::Inactive => {
                self.fleet.toggle_inactive();
                self.rearrange();
            }
            Action::LogMore => self.log.level = self.log.level.step(1),
            Action::LogLess => self.log.level = self.log.level.step(-1),
            Action::LogSource => self.log.turn_source(true),
            Action::LogSourceBack => self.log.turn_source(false),
            Action::View
            | Action::CardLeft
            | Action::CardRight
            | Action::Columns
            | Action::ColumnToggle
            | Action::ColumnEarlier
            | Action::ColumnLater
            | Action::ColumnReset => self.choose(action),
        }
        Vec::new()
    }

    /// Never asks on an attached screen: the agent goes on. Otherwise it
    /// asks first only when quitting would lose lines: they wait in memory,
    /// nothing is delivering them and no record takes them. What waits on
    /// disk survives, and what waits for its batch is written on leaving.
    fn quit(&mut self) -> Vec<Effect> {
        let lost = self.attached.link().is_none()
            && self.delivery.waiting_in_memory > 0
            && self.store.state != StoreState::Writable
            && !matches!(self.delivery.state, DeliveryState::Delivering | DeliveryState::Off);
        if lost {
            self.overlay = Overlay::QuitQuestion;
            return Vec::new();
        }
        vec![Effect::Quit]
    }

    fn interval(&mut self, step: fn(&mut Control) -> Option<Duration>) -> Vec<Effect> {
        if let Some(why) = self.attached.out_of_reach() {
            self.say(why);
            return Vec::new();
        }
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
        let through = match self.clipboard {
            Clipboard::Terminal => "",
            Clipboard::Tmux => ", if tmux has set-clipboard on",
        };
        self.say(format!("copied name {name}{through}; y again copies the uuid"));
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
        let theme = format!("{:?}", self.theme).to_lowercase();
        self.say(match self.screen.depth() {
            config::Depth::None => format!("theme {theme}, drawn without colours"),
            _ => format!("theme {theme}"),
        });
    }

    fn toggle_page(&mut self, page: Page) {
        self.overlay = Overlay::None;
        if self.page == page {
            self.page = self.under;
            return;
        }
        if matches!(self.page, Page::Fleet | Page::Vm | Page::Xml) {
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
            // As in the table: first what was searched for goes.
            Page::Log if !self.log.search.is_empty() => self.log.search.clear(),
            Page::Xml => self.page = Page::Vm,
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

    fn sort_devices(&mut self, reverse: bool) {
        let Some(domain) = self.vm_domain().cloned() else { return };
        if let Some(page) = &mut self.vm {
            page.sort(&domain, reverse);
        }
    }

    fn page_step(&self) -> isize {
        isize::try_from(self.size.1.saturating_sub(8).max(1)).unwrap_or(1)
    }

    fn move_far(&mut self, sign: isize) {
        self.move_by(sign * isize::try_from(FAR).unwrap_or(isize::MAX));
    }

    /// Moves whatever is in front: the help, a cursor, a text.
    pub(super) fn move_by(&mut self, step: isize) {
        let lines = i64::try_from(step).unwrap_or(0);
        if self.overlay == Overlay::Help {
            return self.scroll(Scroll::Help, lines);
        }
        if self.overlay == Overlay::Columns {
            return self.fleet.columns.move_by(step);
        }
        match self.page {
            Page::Fleet => self.move_in_fleet(step),
            Page::Vm => {
                if let Some(domain) = self.vm_domain().cloned()
                    && let Some(page) = &mut self.vm
                {
                    page.move_by(&domain, step);
                }
            }
            Page::Xml => self.scroll(Scroll::Xml, lines),
            Page::Status => self.scroll(Scroll::Status, lines),
            Page::Log => self.scroll(Scroll::Log, lines.signum() * if lines.abs() >= FAR { FAR } else { 1 }),
        }
    }

    pub(super) fn scroll(&mut self, text: Scroll, lines: i64) {
        let counter = &mut self.scrolled[text as usize];
        *counter = counter.saturating_add(lines);
    }

    pub(super) fn say(&mut self, text: String) {
        let until = WallTime(self.now.0.saturating_add(NOTICE_NANOS));
        self.notice = Some(Notice { text, until, copied: None });
    }
}
