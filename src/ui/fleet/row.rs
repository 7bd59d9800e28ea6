//! One VM's row.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::columns::{Columns, GAP, LEAD, Parts};
use crate::{
    app::{Series, fleet::memory_is_reported},
    model::{AngleScale, Degrees, DomainFrame, Measured, Missing, Why, history::Metric},
    ui::{
        Look,
        gauge::Gauge,
        glyph::{self, Condition},
        sparkline, text,
        theme::Severity,
        units,
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
}

/// One metric of a VM, as a cell shows it.
struct Cell {
    /// How full the gauge is, and its ink.
    fill: (f64, Style),
    percent: Option<(f64, Severity)>,
    /// Whether the percent is another value standing in for it.
    stand_in: bool,
    rates: Option<[Measured<f64>; 2]>,
    degrees: Measured<Degrees>,
    signed: bool,
    spark: (Metric, Style),
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
        let cells = [self.cpu(), self.memory(), self.disk(), self.net()];
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
                let style = palette.severity(severity, palette.text);
                text::put_right(buf, at, y, parts.percent, &number, style);
            }
            at += parts.percent;
        }
        if let Some([inward, outward]) = cell.rates.filter(|_| parts.rates > 0) {
            at += 1;
            self.rate(inward, palette.inward, at, y, buf);
            text::put(buf, at + 5, y, 1, "/", palette.faint);
            self.rate(outward, palette.outward, at + 6, y, buf);
            at += parts.rates;
        }
        if parts.degrees > 0 {
            at += u16::from(at > x);
            match cell.degrees {
                Ok(degrees) => {
                    let number = units::degrees5(degrees);
                    let style = if degrees.0.abs() < 0.05 { palette.faint } else { palette.text };
                    text::put_right(buf, at, y, parts.degrees, &number, style);
                    if cell.signed {
                        let arrow = units::arrow(degrees).to_string();
                        text::put(buf, at, y, 1, &arrow, palette.dim);
                    }
                }
                Err(_) => text::put_right(buf, at, y, parts.degrees, "–", palette.faint),
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

    fn cpu(&self) -> Measured<Cell> {
        let rates = &self.domain.rates;
        let percent = rates.cpu_percent?;
        let severity = Severity::of(percent, self.thresholds);
        Ok(Cell {
            fill: (percent / 100.0, self.look.palette.fill(severity)),
            percent: Some((percent, severity)),
            stand_in: false,
            rates: None,
            degrees: rates.angles.cpu,
            signed: false,
            spark: (Metric::Cpu, self.look.palette.load),
        })
    }

    /// Without the guest's report the balloon's size stands in: it says how
    /// much the guest has, not how full it is, and is no cause for alarm.
    fn memory(&self) -> Measured<Cell> {
        let rates = &self.domain.rates;
        let palette = &self.look.palette;
        let percent = rates.memory_percent?;
        let reported = memory_is_reported(self.domain);
        let severity = if reported { Severity::of(percent, self.thresholds) } else { Severity::Calm };
        Ok(Cell {
            fill: (percent / 100.0, if reported { palette.fill(severity) } else { palette.faint }),
            percent: Some((percent, severity)),
            stand_in: !reported,
            rates: None,
            degrees: rates.angles.memory,
            signed: true,
            spark: (Metric::Memory, palette.load),
        })
    }

    fn disk(&self) -> Measured<Cell> {
        let rates = &self.domain.rates;
        self.two_way(
            [rates.angles.disk_read, rates.angles.disk_write],
            [rates.disk.read_bytes_per_s, rates.disk.write_bytes_per_s],
            [Metric::DiskRead, Metric::DiskWrite],
        )
    }

    fn net(&self) -> Measured<Cell> {
        let rates = &self.domain.rates;
        self.two_way(
            [rates.angles.net_rx, rates.angles.net_tx],
            [rates.net.rx_bytes_per_s, rates.net.tx_bytes_per_s],
            [Metric::NetRx, Metric::NetTx],
        )
    }

    /// Disk or network: gauge, degrees and sparkline are of the direction
    /// that moves more.
    fn two_way(
        &self,
        angles: [Measured<Degrees>; 2],
        rates: [Measured<f64>; 2],
        metrics: [Metric; 2],
    ) -> Measured<Cell> {
        let palette = &self.look.palette;
        let outward = match angles {
            [Ok(inward), Ok(outward)] => outward.0 > inward.0,
            [Err(_), Ok(_)] => true,
            [Ok(_), Err(_)] => false,
            [Err(why), Err(_)] => return Err(why),
        };
        let at = usize::from(outward);
        let degrees = angles[at]?;
        let ink = if outward { palette.outward } else { palette.inward };
        Ok(Cell {
            fill: (degrees.0 / 90.0, ink),
            percent: None,
            stand_in: false,
            rates: Some(rates),
            degrees: Ok(degrees),
            signed: false,
            spark: (metrics[at], ink),
        })
    }
}
