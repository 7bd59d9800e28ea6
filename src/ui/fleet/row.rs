//! One VM's row.

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    cell::{self, Cell, Spark},
    columns::{Columns, GAP, LEAD, Parts},
};
use crate::{
    app::{
        Series, SortKey,
        movers::{Change, Movers},
    },
    model::{AngleScale, Degrees, DomainFrame, Measured, Missing, WallTime, Why, history::Metric},
    ui::{
        Look, aged,
        gauge::Gauge,
        glyph::{self, Condition},
        sparkline, text, units,
    },
};

/// Everything a row is drawn from.
pub struct Row<'a> {
    /// The VM.
    pub domain: &'a DomainFrame,
    /// Angles of the past.
    pub series: &'a Series,
    /// What changed most of late.
    pub movers: &'a Movers,
    /// The references of the angles.
    pub scale: &'a AngleScale,
    /// Where the columns are.
    pub columns: &'a Columns,
    /// Palette and glyphs.
    pub look: &'a Look,
    /// Percent from which a value is a warning, and critical.
    pub thresholds: (f64, f64),
    /// Whether the cursor is here.
    pub selected: bool,
    /// When the frame was closed.
    pub now: WallTime,
    /// How long two turns of reading memory and disks take.
    pub two_turns: Duration,
}

impl Row<'_> {
    /// Draws the row.
    pub fn render(&self, area: Rect, buf: &mut Buffer) {
        let palette = &self.look.palette;
        if self.selected {
            buf.set_style(area, palette.selected);
            text::put(buf, area.x, area.y, 1, "▶", palette.accent);
        }
        let condition = Condition::of(self.domain);
        text::put(buf, area.x + 1, area.y, 1, condition.sign(), condition.style(palette));
        let ink = match (self.domain.is_live(), self.selected) {
            (false, _) => palette.dim,
            (true, true) => palette.strong,
            (true, false) => palette.text,
        };
        let x = area.x + LEAD;
        text::put(buf, x, area.y, self.columns.name, &self.domain.identity().name, ink);
        self.cells(condition, x + self.columns.name + GAP, area.y, buf);
    }

    /// The columns beside the name. Neighbours that are missing for one reason
    /// share their room, so that the reason can be read.
    fn cells(&self, condition: Condition, x: u16, y: u16, buf: &mut Buffer) {
        let mut cells = Vec::with_capacity(self.columns.shown.len());
        let mut at = x;
        for column in &self.columns.shown {
            cells.push((at, *column, self.metric(column.key)));
            at += column.width() + GAP;
        }
        let mut i = 0;
        while let Some((start, column, cell)) = cells.get(i) {
            i += 1;
            match cell {
                None => self.number(column.key, *start, y, column.number, buf),
                Some(Ok(cell)) => {
                    self.cell(cell, column.parts, *start, y, buf);
                    if column.key == SortKey::Cpu && condition != Condition::Running && self.stands_still() {
                        self.word(condition, column.parts, *start, y, buf);
                    }
                }
                Some(Err(missing)) => {
                    let mut end = start + column.width();
                    while let Some((next, column, Some(Err(other)))) = cells.get(i)
                        && other.why == missing.why
                    {
                        end = next + column.width();
                        i += 1;
                    }
                    self.reason(*missing, condition, *start, y, end - start, buf);
                }
            }
        }
    }

    /// What the cell of a metric shows; `None` of a plain number.
    pub fn metric(&self, key: SortKey) -> Option<Measured<Cell>> {
        let (domain, palette) = (self.domain, &self.look.palette);
        Some(match key {
            SortKey::Cpu => cell::cpu(domain, palette, self.thresholds),
            SortKey::Memory => cell::memory(aged::memory(domain, self.now), palette, self.thresholds),
            SortKey::Disk => cell::disk(aged::disks(domain, self.now), palette),
            SortKey::Net => cell::net(domain, palette),
            _ => return None,
        })
    }

    /// Whether the VM does nothing because of its state: then the state's
    /// word says more than an empty gauge.
    fn stands_still(&self) -> bool {
        let paused = matches!(Condition::of(self.domain), Condition::Paused | Condition::Suspended);
        paused && self.domain.rates.cpu_percent.is_ok_and(|percent| percent < 0.5)
    }

    fn word(&self, condition: Condition, parts: Parts, x: u16, y: u16, buf: &mut Buffer) {
        let room = parts.gauge + parts.percent;
        let style = condition.style(&self.look.palette);
        let blank = " ".repeat(usize::from(room));
        let ground = if self.selected { self.look.palette.selected } else { Style::reset() };
        buf.set_stringn(x, y, blank, usize::from(room), ground);
        text::put(buf, x, y, room, &self.stands(condition, room), style);
    }

    /// The state and why, or what of it fits: of a VM that its user paused,
    /// the state; of any other, what paused it. The sign says the rest.
    fn stands(&self, condition: Condition, room: u16) -> String {
        let word = condition.word();
        let Some(why) = self.domain.state().reason(self.domain.reading.state_reason) else {
            return word.to_owned();
        };
        let both = format!("{word}: {why}");
        if text::width(&both) <= room {
            both
        } else if condition == Condition::Paused && why != "by the user" && text::width(why) <= room {
            why.to_owned()
        } else {
            word.to_owned()
        }
    }

    /// Draws why a metric is missing.
    pub fn reason(
        &self,
        missing: Missing,
        condition: Condition,
        x: u16,
        y: u16,
        room: u16,
        buf: &mut Buffer,
    ) {
        let palette = &self.look.palette;
        let (reason, style) = match missing.why {
            Why::Inactive if room >= 6 => (self.stands(condition, room), palette.faint),
            Why::MonitorNotAnswering | Why::NoConnection => (text::reason(missing, room), palette.warn),
            _ => (text::reason(missing, room), palette.dim),
        };
        let dated = self.last_read().filter(|_| missing.since.is_none());
        let dated = dated.map(|read| format!("{reason}, {read}")).filter(|text| text::width(text) <= room);
        text::put(buf, x, y, room, &dated.unwrap_or(reason), style);
    }

    /// `read 4 s ago`, of a VM of which nothing was read in this cycle.
    fn last_read(&self) -> Option<String> {
        let last = self.domain.last.as_ref().filter(|_| !self.domain.fresh && self.domain.is_live())?;
        let age = Duration::from_secs(self.now.since(last.reading.at).as_secs());
        Some(format!("read {} ago", units::span(age)))
    }

    /// A plain number. Of a VM that is off only the vCPUs are asked after: the
    /// reason for all else stands in its row.
    fn number(&self, key: SortKey, x: u16, y: u16, room: u16, buf: &mut Buffer) {
        let (domain, palette) = (self.domain, &self.look.palette);
        if !domain.is_live() && key != SortKey::Vcpus {
            return;
        }
        let memory = aged::memory(domain, self.now);
        let ink = if key == SortKey::Rss && memory.old.is_some() { palette.old } else { palette.dim };
        let text = match key {
            SortKey::Vcpus => domain.reading.vcpu_count.ok().map(|count| count.to_string()),
            SortKey::Steal => domain.rates.steal_percent.ok().map(units::percent6),
            SortKey::Cores => domain.rates.cpu_cores.ok().map(|cores| format!("{cores:.2}")),
            #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
            SortKey::Rss => memory.domain.reading.rss.ok().map(|rss| units::rate5(rss.bytes() as f64)),
            SortKey::Change => self.movers.change(domain.identity().uuid).map(change),
            _ => return,
        };
        match text {
            Some(text) => text::put_right(buf, x, y, room, &text, ink),
            None => text::put_right(buf, x, y, room, "–", palette.faint),
        }
    }

    /// Draws a metric.
    pub fn cell(&self, cell: &Cell, parts: Parts, x: u16, y: u16, buf: &mut Buffer) {
        let palette = &self.look.palette;
        let mut at = x;
        let gauge = Gauge { fraction: cell.fill.0, fill: cell.fill.1, look: self.look };
        ratatui::widgets::Widget::render(gauge, Rect { x: at, y, width: parts.gauge, height: 1 }, buf);
        at += parts.gauge;
        if parts.percent > 0 {
            if let Some((percent, severity)) = cell.percent {
                let mark = if cell.stand_in { glyph::STAND_IN } else { glyph::mark(severity) };
                let number = format!("{mark}{}", units::percent4(percent));
                // An alarm keeps its ink, which must not come and go with turns.
                let style = palette.severity(severity, cell.old.map_or(palette.text, |_| palette.old));
                text::put_right(buf, at, y, parts.percent, &number, style);
            }
            at += parts.percent;
        }
        if let Some([inward, outward]) = cell.rates.filter(|_| parts.rates > 0) {
            at += 1;
            let inks = cell.old.map_or([palette.inward, palette.outward], |_| [palette.old; 2]);
            self.rate(inward, inks[0], at, y, buf);
            text::put(buf, at + 5, y, 1, "/", palette.faint);
            self.rate(outward, inks[1], at + 6, y, buf);
            at += parts.rates;
        }
        // Numbers that are late say how old they are: an angle of long ago is
        // of no use to anybody.
        let late = cell.old.filter(|old| old.is_late(self.two_turns));
        if parts.degrees > 0 {
            at += u16::from(at > x);
            match (late, cell.degrees) {
                (Some(old), _) => {
                    let spark = if parts.spark > 0 { parts.spark + 1 } else { 0 };
                    let whole = parts.degrees + if cell.signed { spark } else { 0 };
                    let age = old.brief(whole);
                    let room = whole.min(text::width(&age).max(parts.degrees));
                    text::put_right(buf, at, y, room, &age, palette.dim);
                    if room > parts.degrees {
                        return;
                    }
                }
                (None, Ok(degrees)) => {
                    let number = units::degrees5(degrees);
                    let style = match cell.old {
                        _ if degrees.0.abs() < 0.05 => palette.faint,
                        Some(_) => palette.old,
                        None => palette.text,
                    };
                    text::put_right(buf, at, y, parts.degrees, &number, style);
                    if cell.signed {
                        let arrow = units::arrow(degrees).to_string();
                        text::put(buf, at, y, 1, &arrow, cell.old.map_or(palette.dim, |_| palette.old));
                    }
                }
                (None, Err(_)) => text::put_right(buf, at, y, parts.degrees, "–", palette.faint),
            }
            at += parts.degrees;
        }
        if parts.spark > 0 {
            at += 1;
            let area = Rect { x: at, y, width: parts.spark, height: 1 };
            let inked = |(metric, style)| {
                self.columns(metric, parts.spark).into_iter().map(move |angle| angle.map(|a| (a, style)))
            };
            match cell.spark {
                Spark::Of(metric, style) => {
                    let ceiling = sparkline::ceiling(metric, self.scale);
                    sparkline::draw(inked((metric, style)), ceiling, self.look, area, buf);
                }
                Spark::Larger([inward, outward]) => {
                    let ceiling = sparkline::ceiling(inward.0, self.scale);
                    let pairs = inked(inward).zip(inked(outward));
                    sparkline::draw(pairs.map(|(a, b)| larger(a, b)), ceiling, self.look, area, buf);
                }
            }
        }
    }

    /// The angles of a sparkline of so many columns.
    fn columns(&self, metric: Metric, columns: u16) -> Vec<Option<f64>> {
        let window = self.series.strip(columns);
        self.series.graph(self.domain.identity().uuid, metric, &window).columns
    }

    fn rate(&self, rate: Measured<f64>, style: Style, x: u16, y: u16, buf: &mut Buffer) {
        match rate {
            Ok(rate) if rate > 0.0 => text::put_right(buf, x, y, 5, &units::rate5(rate), style),
            Ok(rate) => text::put_right(buf, x, y, 5, &units::rate5(rate), self.look.palette.faint),
            Err(_) => text::put_right(buf, x, y, 5, "–", self.look.palette.faint),
        }
    }
}

/// The larger of two angles with their inks, or the one that is known.
fn larger(one: Option<(f64, Style)>, other: Option<(f64, Style)>) -> Option<(f64, Style)> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.0 > one.0 { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// `▲23.1° write`: what changed most, and by how much.
pub fn change(change: Change) -> String {
    let word = match change.metric {
        Metric::Cpu => "cpu",
        Metric::Memory => "mem",
        Metric::DiskRead => "read",
        Metric::DiskWrite => "write",
        Metric::NetRx => "rx",
        Metric::NetTx => "tx",
    };
    let degrees = Degrees(change.degrees);
    format!("{}{} {word:<5}", units::arrow(degrees), units::degrees5(degrees))
}
