//! One VM's row.

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    cell::{self, Cell},
    columns::{Columns, GAP, LEAD, Parts},
};
use crate::{
    app::Series,
    model::{AngleScale, DomainFrame, Measured, Missing, WallTime, Why},
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
        let mut x = area.x + LEAD;
        text::put(buf, x, area.y, self.columns.name, &self.domain.identity().name, ink);
        x += self.columns.name + GAP;
        if self.columns.vcpus > 0 {
            let vcpus = self.domain.reading.vcpu_count;
            self.number(vcpus.map(|n| n.to_string()), x, area.y, self.columns.vcpus, buf);
            x += self.columns.vcpus + GAP;
        }
        x = self.metrics(condition, x, area.y, buf);
        if self.columns.steal > 0 && self.domain.is_live() {
            let steal = self.domain.rates.steal_percent.map(units::percent6);
            self.number(steal, x, area.y, self.columns.steal, buf);
        }
    }

    /// The four metrics. Neighbours that are missing for one reason share
    /// their room, so that the reason can be read.
    fn metrics(&self, condition: Condition, x: u16, y: u16, buf: &mut Buffer) -> u16 {
        let columns = [self.columns.cpu, self.columns.memory, self.columns.disk, self.columns.net];
        let (domain, palette) = (self.domain, &self.look.palette);
        let cells = [
            cell::cpu(domain, palette, self.thresholds),
            cell::memory(aged::memory(domain, self.now), palette, self.thresholds),
            cell::disk(aged::disks(domain, self.now), palette),
            cell::net(domain, palette),
        ];
        let mut places = [(0u16, 0u16); 4];
        let mut at = x;
        for (place, parts) in places.iter_mut().zip(columns) {
            *place = (at, parts.width());
            at += if parts.width() > 0 { parts.width() + GAP } else { 0 };
        }
        let mut i = 0;
        while i < cells.len() {
            let (start, width) = places[i];
            match &cells[i] {
                Ok(cell) => {
                    let says = i == 0 && condition != Condition::Running && self.stands_still();
                    self.cell(cell, columns[i], start, y, buf);
                    if says {
                        self.word(condition, columns[i], start, y, buf);
                    }
                    i += 1;
                }
                Err(missing) => {
                    let mut end = start + width;
                    let mut next = i + 1;
                    while let Some(Err(other)) = cells.get(next)
                        && other.why == missing.why
                    {
                        if places[next].1 > 0 {
                            end = places[next].0 + places[next].1;
                        }
                        next += 1;
                    }
                    self.reason(*missing, condition, start, y, end.saturating_sub(start), buf);
                    i = next;
                }
            }
        }
        at
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

    fn reason(&self, missing: Missing, condition: Condition, x: u16, y: u16, room: u16, buf: &mut Buffer) {
        let palette = &self.look.palette;
        let (reason, style) = match missing.why {
            Why::Inactive if room >= 6 => (self.stands(condition, room), palette.faint),
            Why::MonitorNotAnswering | Why::NoConnection => (text::reason(missing, room), palette.warn),
            _ => (text::reason(missing, room), palette.dim),
        };
        text::put(buf, x, y, room, &reason, style);
    }

    fn number(&self, value: Measured<String>, x: u16, y: u16, room: u16, buf: &mut Buffer) {
        match value {
            Ok(value) => text::put_right(buf, x, y, room, &value, self.look.palette.dim),
            Err(_) => text::put_right(buf, x, y, room, "–", self.look.palette.faint),
        }
    }

    fn cell(&self, cell: &Cell, parts: Parts, x: u16, y: u16, buf: &mut Buffer) {
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
            let (metric, style) = cell.spark;
            let uuid = self.domain.identity().uuid;
            let angles = self.series.last(uuid, metric, usize::from(parts.spark));
            let area = Rect { x: at, y, width: parts.spark, height: 1 };
            let ceiling = sparkline::ceiling(metric, self.scale);
            sparkline::draw(angles, ceiling, style, self.look, area, buf);
        }
    }

    fn rate(&self, rate: Measured<f64>, style: Style, x: u16, y: u16, buf: &mut Buffer) {
        match rate {
            Ok(rate) if rate > 0.0 => text::put_right(buf, x, y, 5, &units::rate5(rate), style),
            Ok(rate) => text::put_right(buf, x, y, 5, &units::rate5(rate), self.look.palette.faint),
            Err(_) => text::put_right(buf, x, y, 5, "–", self.look.palette.faint),
        }
    }
}
