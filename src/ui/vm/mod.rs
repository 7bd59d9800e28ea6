//! One VM's page.
//!
//! The page is drawn whole into a buffer of its own, and the part around the
//! selected line is shown: so every section is drawn without a thought of
//! scrolling.

mod angles;
mod bar;
mod devices;
mod events;
mod explain;
mod identity;
mod job;
mod marks;
mod memory;
mod panels;
mod vcpus;
mod xml;

pub use explain::reference;
pub use job::words as job_words;
pub use xml::Xml;

use std::ops::Range;

use ratatui::{buffer::Buffer, layout::Rect};
use uuid::Uuid;

use super::{
    Look,
    aged::{self, Shown},
    fleet::centred,
    glyph::Condition,
    text,
    text::Strip,
    units,
};
use crate::{
    app::{App, Fact, Pane, Target, VmPage},
    model::{DomainFrame, WallTime, history::Metric},
};

/// The page's own memory: where it is scrolled to, and for whom.
#[derive(Debug, Default)]
pub struct Page {
    offset: u16,
    whose: Option<Uuid>,
    /// First NIC and first disk in view, where a table is longer than that.
    first: [usize; 2],
}

/// What the sections are drawn from.
pub struct Subject<'a> {
    /// The app.
    pub app: &'a App,
    /// The VM.
    pub domain: &'a DomainFrame,
    /// The page: pane and cursor.
    pub page: &'a VmPage,
    /// Palette and glyphs.
    pub look: &'a Look,
}

impl Subject<'_> {
    /// The selected line of `pane`, if the keys act on it.
    fn selected(&self, pane: Pane) -> Option<usize> {
        (self.page.pane() == pane).then(|| self.page.cursor())
    }

    fn now(&self) -> WallTime {
        self.app.frame().map_or(self.domain.reading.at, |frame| frame.at)
    }

    /// Whose memory is shown.
    fn memory(&self) -> Shown<'_> {
        aged::memory(self.domain, self.now())
    }

    /// Whose disks are shown.
    fn disks(&self) -> Shown<'_> {
        aged::disks(self.domain, self.now())
    }

    /// Whose numbers of `metric` are shown.
    fn of(&self, metric: Metric) -> Shown<'_> {
        match metric {
            Metric::Memory => self.memory(),
            Metric::DiskRead | Metric::DiskWrite => self.disks(),
            Metric::Cpu | Metric::NetRx | Metric::NetTx => Shown::fresh(self.domain),
        }
    }
}

/// A section of the page: a pane, where its title is, and how many columns
/// of lines it has.
struct Section {
    pane: Pane,
    top: u16,
    /// Headings between the title and the first line.
    head: u16,
    per_line: usize,
    /// The first of its lines that is in view, and how many are.
    first: usize,
    count: usize,
}

impl Page {
    /// Draws the page into `area`.
    pub fn render(
        &mut self,
        app: &App,
        look: &Look,
        area: Rect,
        buf: &mut Buffer,
        targets: &mut Vec<(Rect, Target)>,
    ) {
        let Some(page) = app.vm_page() else { return };
        if area.is_empty() {
            return;
        }
        if self.whose != Some(page.uuid) {
            *self = Self { whose: Some(page.uuid), ..Self::default() };
        }
        let Some(domain) = app.vm_domain() else {
            let gone = match app.frozen_at() {
                None => format!("{} is no longer on this host. Esc goes back.", page.name),
                Some(at) => {
                    let then = units::moment(at, app.now());
                    format!("{} was not on this host at {then}. Esc goes back.", page.name)
                }
            };
            return centred(&gone, look.palette.dim, area, buf);
        };
        let subject = Subject { app, domain, page, look };
        head(&subject, Rect { height: 1, ..area }, buf);
        let explain = u16::from(area.height >= 6);
        // Room to breathe where there is room.
        let head = if area.height >= 28 { 2 } else { 1 };
        let view = Rect { y: area.y + head, height: area.height.saturating_sub(head + explain), ..area };
        let tables = [Pane::Nics, Pane::Disks].map(|pane| self.in_view(&subject, pane, view.height));
        let (whole, sections) = draw_whole(&subject, tables, area.width);
        self.follow(&subject, &sections, whole.area.height, view.height);
        copy(&whole, self.offset, view, buf);
        for section in &sections {
            section.targets(&subject, self.offset, view, targets);
        }
        if explain > 0 {
            let line = Rect { y: area.bottom() - 1, height: 1, ..area };
            let below = whole.area.height.saturating_sub(self.offset.saturating_add(view.height));
            explain::render(&subject, below, line, buf);
        }
    }

    /// The lines of a table to show: all, or where it is long so many around
    /// its cursor as leave room for what comes after it.
    fn in_view(&mut self, subject: &Subject<'_>, pane: Pane, view: u16) -> Range<usize> {
        let lines = pane.lines(subject.domain);
        let most = usize::from(view / 2).max(6);
        let first = &mut self.first[usize::from(pane == Pane::Disks)];
        let cursor = subject.page.cursor_of(pane).min(lines.saturating_sub(1));
        *first = (*first).min(cursor).max((cursor + 1).saturating_sub(most)).min(lines.saturating_sub(most));
        *first..lines.min(*first + most)
    }

    /// Scrolls so that the selected line is in view; with its section's title
    /// when it is the first one, and the page's top when it is the first pane.
    fn follow(&mut self, subject: &Subject<'_>, sections: &[Section], height: u16, view: u16) {
        let last = height.saturating_sub(view);
        let Some(section) = sections.iter().find(|s| s.pane == subject.page.pane()) else {
            self.offset = self.offset.min(last);
            return;
        };
        let cursor = subject.page.cursor();
        let bottom = section.line_of(cursor);
        let top = match (cursor < section.first + section.per_line, section.pane) {
            (true, Pane::Angles) => 0,
            (true, _) => section.top,
            (false, _) => bottom,
        };
        let lowest = (bottom + 1).saturating_sub(view);
        self.offset = self.offset.min(top).max(lowest).min(last);
    }
}

impl Section {
    fn line_of(&self, cursor: usize) -> u16 {
        let line = cursor.saturating_sub(self.first) / self.per_line.max(1);
        let line = u16::try_from(line).unwrap_or(u16::MAX);
        self.top.saturating_add(1 + self.head).saturating_add(line)
    }

    fn targets(&self, subject: &Subject<'_>, offset: u16, view: Rect, targets: &mut Vec<(Rect, Target)>) {
        let lines = self.pane.lines(subject.domain).min(self.first + self.count);
        let column = view.width / u16::try_from(self.per_line.max(1)).unwrap_or(1);
        for line in self.first..lines {
            let Some(y) = self.line_of(line).checked_sub(offset).filter(|&y| y < view.height) else {
                continue;
            };
            let nth = u16::try_from((line - self.first) % self.per_line.max(1)).unwrap_or(0);
            let x = view.x.saturating_add(nth.saturating_mul(column));
            let area = Rect { x, y: view.y + y, width: column, height: 1 };
            targets.push((area, Target::Line(self.pane, line)));
        }
    }
}

/// The whole page, however high, and where its sections are; of NICs and of
/// disks only those of `tables`.
fn draw_whole(subject: &Subject<'_>, [nics, disks]: [Range<usize>; 2], width: u16) -> (Buffer, Vec<Section>) {
    let domain = subject.domain;
    let live = domain.is_live();
    let lines = |pane: Pane| u16::try_from(pane.lines(domain)).unwrap_or(u16::MAX);
    let panels = if live { panels::height(width) } else { 0 };
    let per_line = vcpus::per_line(width);
    let vcpu_lines = u16::try_from(domain.rates.vcpus.len().div_ceil(per_line)).unwrap_or(u16::MAX);
    let mut y = panels;
    let mut sections = Vec::new();
    let mut section = |pane: Pane, head: u16, lines: u16, per_line: usize| {
        let (first, count) = match pane {
            Pane::Nics => (nics.start, nics.len()),
            Pane::Disks => (disks.start, disks.len()),
            _ => (0, pane.lines(domain)),
        };
        sections.push(Section { pane, top: y, head, per_line, first, count });
        // Title, heading, lines, a blank.
        y = y.saturating_add(2 + head).saturating_add(lines);
    };
    section(Pane::Angles, 1, angles::LINES, 1);
    let rows = |view: &Range<usize>| u16::try_from(view.len()).unwrap_or(u16::MAX).max(1);
    section(Pane::Nics, 1, rows(&nics), 1);
    section(Pane::Disks, 1, rows(&disks), 1);
    if vcpu_lines > 0 {
        section(Pane::Vcpus, 0, vcpu_lines, per_line);
    }
    if lines(Pane::Events) > 0 {
        section(Pane::Events, 0, lines(Pane::Events), 1);
    }
    let facts = identity::per_line(width);
    section(Pane::Identity, 0, u16::try_from(Fact::ALL.len().div_ceil(facts)).unwrap_or(1), facts);
    let height = y.saturating_sub(1).max(1);
    let mut whole = Buffer::empty(Rect::new(0, 0, width, height));
    whole.set_style(whole.area, subject.look.palette.text);
    if live {
        panels::render(subject, Rect { height: panels, ..whole.area }, &mut whole);
    }
    for section in &sections {
        let area = Rect { y: section.top, height: height.saturating_sub(section.top), ..whole.area };
        match section.pane {
            Pane::Angles => angles::render(subject, area, &mut whole),
            Pane::Nics => devices::nics(subject, nics.clone(), area, &mut whole),
            Pane::Disks => devices::disks(subject, disks.clone(), area, &mut whole),
            Pane::Vcpus => vcpus::render(subject, area, &mut whole),
            Pane::Events => events::render(subject, area, &mut whole),
            Pane::Identity => identity::render(subject, area, &mut whole),
        }
    }
    (whole, sections)
}

fn copy(whole: &Buffer, offset: u16, view: Rect, buf: &mut Buffer) {
    for y in 0..view.height.min(whole.area.height.saturating_sub(offset)) {
        for x in 0..view.width.min(whole.area.width) {
            buf[(view.x + x, view.y + y)] = whole[(x, offset + y)].clone();
        }
    }
}

/// Who this is: always in view.
fn head(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let (domain, identity) = (subject.domain, subject.domain.identity());
    let condition = Condition::of(domain);
    let word = match condition {
        Condition::Hung => format!("{} {}, hung", condition.sign(), domain.state().word()),
        _ => format!("{} {}", condition.sign(), condition.word()),
    };
    // How a running VM came to run matters least; what stopped it, most.
    let why = domain.state().reason(domain.reading.state_reason);
    let runs = matches!(condition, Condition::Running | Condition::Impaired | Condition::Hung);
    let word = match why.filter(|_| !runs) {
        Some(why) => format!("{word}: {why}"),
        None => word,
    };
    let mut strip = Strip::new(2);
    strip.left(0, vec![("‹ ".into(), palette.faint), (identity.name.to_string(), palette.strong)]);
    strip.left(0, vec![(word, condition.style(palette))]);
    if let Some(job) = &domain.job {
        strip.left(1, vec![(job::words(job), palette.accent)]);
    }
    if let Ok(count) = domain.reading.vcpu_count {
        strip.left(2, vec![(format!("{count} vCPU"), palette.dim)]);
    }
    if let Ok(memory) = domain.reading.memory.or_else(|missing| {
        // The most it may have is no measurement that could grow old.
        domain.last_memory().map_or(Err(missing), |last| last.reading.memory)
    }) {
        strip.left(2, vec![(units::bytes(memory.maximum.bytes()), palette.dim)]);
    }
    if let Some(id) = identity.id {
        strip.left(4, vec![(format!("id {id}"), palette.dim)]);
    }
    if let Some(last) = domain.timeline.last() {
        strip.left(5, events::brief(last, subject.look));
    }
    strip.left(3, vec![(identity.uuid.to_string(), palette.dim)]);
    if let Some(why) = why.filter(|_| runs) {
        strip.left(5, vec![(why.to_owned(), palette.dim)]);
    }
    for (rank, fact) in [(6, &domain.devices.os), (7, &domain.devices.machine)] {
        if let Some(fact) = fact {
            let fact = crate::model::name::storable(fact);
            strip.left(rank, vec![(text::fit(&fact, 32).into_owned(), palette.faint)]);
        }
    }
    strip.render(buf, area.x + 1, area.y, area.width.saturating_sub(2));
}

/// A title with a thin line to the right end, and a value at it.
pub(super) fn rule(
    title: &str,
    value: &[(String, ratatui::style::Style)],
    focused: bool,
    look: &Look,
    area: Rect,
    buf: &mut Buffer,
) {
    let palette = &look.palette;
    let line = "─".repeat(usize::from(area.width));
    text::put(buf, area.x, area.y, area.width, &line, palette.faint);
    let style = if focused { palette.accent } else { palette.strong };
    let x = text::put(buf, area.x, area.y, area.width, &format!(" {title} "), style);
    let width: u16 = value.iter().map(|(text, _)| text::width(text)).sum();
    if width == 0 || x + width + 2 > area.right() {
        return;
    }
    let mut x = area.right() - width - 2;
    x = text::put(buf, x, area.y, 1, " ", palette.text);
    for (part, style) in value {
        x = text::put(buf, x, area.y, area.width, part, *style);
    }
    text::put(buf, x, area.y, 1, " ", palette.text);
}
