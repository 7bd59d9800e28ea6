//! What the ui reads of the app. Nothing here changes anything it shows.

use std::{sync::Arc, time::Duration};

use tui_input::Input;
use uuid::Uuid;

use super::{
    Action, App, Collection, Fleet, Inactive, LogView, Looking, Mode, Overlay, Page, Scroll, Series, Tally,
    View, VmPage, attention::Attention, look_back::Frozen, movers::Movers,
};
use crate::{
    config,
    model::{
        DomainFrame, Frame, WallTime,
        link::Link,
        status::{CollectorStatus, ConfigEntry, DeliveryStatus, StoreStatus},
    },
};

impl App {
    /// The page shown.
    #[must_use]
    pub fn page(&self) -> Page {
        self.page
    }

    /// What lies over it.
    #[must_use]
    pub fn overlay(&self) -> Overlay {
        self.overlay
    }

    /// Which keys hold now.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match (self.overlay, self.page) {
            (Overlay::QuitQuestion | Overlay::StopQuestion, _) => Mode::Question,
            (Overlay::ExportQuestion, _) => Mode::Export,
            (Overlay::Help, _) => Mode::Help,
            (Overlay::Columns, _) => Mode::Columns,
            (Overlay::None, Page::Fleet) if self.input.is_some() => Mode::Filter,
            (Overlay::None, Page::Log) if self.input.is_some() => Mode::Search,
            (Overlay::None, _) => self.page_mode(),
        }
    }

    /// The keys of the page, whatever lies over it.
    #[must_use]
    pub fn page_mode(&self) -> Mode {
        match (self.page, self.fleet.view()) {
            (Page::Fleet, View::Cards) => Mode::Cards,
            (page, _) => page.mode(),
        }
    }

    /// The frame to show: the newest, or the one frozen.
    #[must_use]
    pub fn frame(&self) -> Option<&Arc<Frame>> {
        let newest = || self.recent.newest().map(|kept| &kept.frame);
        self.frozen.as_ref().map(|frozen| &frozen.frame).or_else(newest)
    }

    /// The moment looked at while the screen is frozen.
    #[must_use]
    pub fn frozen_at(&self) -> Option<WallTime> {
        self.frozen.as_ref().map(|f| f.frame.at)
    }

    /// Where that moment is from.
    #[must_use]
    pub fn looking(&self) -> Option<Looking> {
        self.frozen.as_ref().map(Frozen::looking)
    }

    /// Since when whole frames are in memory, how many they are, and about
    /// how many bytes they take.
    #[must_use]
    pub fn in_memory(&self) -> Option<(WallTime, usize, usize)> {
        let (frames, bytes) = self.recent.held();
        Some((self.recent.begins()?, frames, bytes))
    }

    /// The table's rows, order and cursor.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The line of a filter or a search while it is written.
    #[must_use]
    pub fn filter_input(&self) -> Option<&Input> {
        self.input.as_ref()
    }

    /// What the shown frame's VMs come to together.
    #[must_use]
    pub fn tally(&self) -> Option<&Tally> {
        self.tally.as_ref()
    }

    /// A domain of the shown frame.
    #[must_use]
    pub fn domain(&self, uuid: Uuid) -> Option<&Arc<DomainFrame>> {
        let frame = self.frame()?;
        let is_it = |domain: &&Arc<DomainFrame>| domain.identity().uuid == uuid;
        // Nearly always the selected one: then there is nothing to look for.
        let row = self.fleet.selected_row().and_then(|row| self.fleet.rows().get(row));
        let selected = row.and_then(|&index| frame.domains.get(index));
        selected.filter(is_it).or_else(|| frame.domains.iter().find(is_it))
    }

    /// The open VM page.
    #[must_use]
    pub fn vm_page(&self) -> Option<&VmPage> {
        self.vm.as_ref()
    }

    /// The VM of the open page, if the shown frame still has it.
    #[must_use]
    pub fn vm_domain(&self) -> Option<&Arc<DomainFrame>> {
        self.domain(self.vm.as_ref()?.uuid)
    }

    /// The VM that `y` copies: the page's, else the selected one.
    pub(super) fn subject(&self) -> Option<&Arc<DomainFrame>> {
        match self.page {
            Page::Vm | Page::Xml => self.vm_domain(),
            _ => self.domain(self.fleet.selected()?),
        }
    }

    /// The angles up to the shown moment.
    #[must_use]
    pub fn series(&self) -> &Series {
        self.frozen.as_ref().and_then(Frozen::series).unwrap_or(&self.series)
    }

    /// The span that the sparklines of a VM's page show.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.span.within(self.history_kept())
    }

    /// How far the histories reach back at the interval of the shown frame.
    pub(super) fn history_kept(&self) -> Duration {
        let interval = self.frame().map_or_else(|| self.poll_interval(), |frame| frame.interval);
        interval.saturating_mul(u32::try_from(self.screen.history_cycles.max(1)).unwrap_or(u32::MAX))
    }

    /// The terminal's size as it was told last: columns and rows.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// What needs somebody.
    #[must_use]
    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// What changed most of late, while the table shows it or sorts by it.
    #[must_use]
    pub fn movers(&self) -> &Movers {
        &self.movers
    }

    /// What collection is doing.
    #[must_use]
    pub fn collection(&self) -> Collection<'_> {
        self.control.view()
    }

    /// The collector's figures, once they came.
    #[must_use]
    pub fn collector(&self) -> Option<&CollectorStatus> {
        self.control.status()
    }

    /// The poll interval, as asked for.
    #[must_use]
    pub fn poll_interval(&self) -> Duration {
        self.control.interval()
    }

    /// Delivery's figures.
    #[must_use]
    pub fn delivery(&self) -> &DeliveryStatus {
        &self.delivery
    }

    /// The local record's figures.
    #[must_use]
    pub fn store(&self) -> &StoreStatus {
        &self.store
    }

    /// The effective configuration.
    #[must_use]
    pub fn config(&self) -> &[ConfigEntry] {
        &self.config
    }

    /// `[screen]` as configured.
    #[must_use]
    pub fn screen(&self) -> &config::Screen {
        &self.screen
    }

    /// The theme in use.
    #[must_use]
    pub fn theme(&self) -> config::Theme {
        self.theme
    }

    /// The way to the agent, where this screen is attached to one.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        self.attached.link()
    }

    /// The time of the last tick or frame, by the clock of the machine that
    /// collects.
    #[must_use]
    pub fn now(&self) -> WallTime {
        self.now
    }

    /// Whether the terminal has the focus.
    #[must_use]
    pub fn focused(&self) -> bool {
        self.focused
    }

    /// A word to the operator.
    #[must_use]
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|n| n.text.as_str())
    }

    /// What of the log is shown.
    #[must_use]
    pub fn log(&self) -> &LogView {
        &self.log
    }

    /// Where the log is kept.
    #[must_use]
    pub fn log_file(&self) -> Option<&str> {
        self.log_file.as_deref()
    }

    /// Lines (of the log: pages) scrolled since the start, downwards
    /// positive. The ui follows the difference and keeps within its text.
    #[must_use]
    pub fn scrolled(&self, text: Scroll) -> i64 {
        self.scrolled[text as usize]
    }

    /// Whether the thing an action switches is on, for the footer's word.
    #[must_use]
    pub fn is_on(&self, action: Action) -> bool {
        match action {
            Action::ToggleCollection => self.control.is_off(),
            Action::Freeze | Action::StepBack | Action::StepOn | Action::MinuteBack | Action::MinuteOn => {
                self.frozen.is_some()
            }
            Action::Inactive => self.fleet.inactive() == Inactive::Hidden,
            Action::View => self.fleet.view() == View::Cards,
            _ => false,
        }
    }

    /// Whether anything was changed since the last call: whether to draw.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}
