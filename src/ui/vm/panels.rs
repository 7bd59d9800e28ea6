//! The four panels at the top: CPU, memory, disk, network.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

use super::{
    Subject,
    bar::{Bar, Part},
    memory, rule,
};
use crate::{
    model::{Degrees, Measured},
    ui::{aged::Old, gauge::Gauge, glyph, text, theme::Severity, units},
};

/// The part of a bar that a vCPU was ready and kept waiting.
pub const STEAL: &str = "▒";

/// Title and four lines.
const PANEL: u16 = 5;
/// Title and five lines, where panels are narrow.
const NARROW_PANEL: u16 = 6;

/// How many panels stand side by side, and the height of one.
fn across(width: u16) -> (u16, u16) {
    match width {
        0..64 => (1, PANEL),
        64..126 => (2, PANEL),
        126..180 => (4, NARROW_PANEL),
        _ => (4, PANEL),
    }
}

/// Lines all panels take in `width` columns, with a blank after them.
pub fn height(width: u16) -> u16 {
    let (across, panel) = across(width);
    4u16.div_ceil(across) * panel + 1
}

/// Draws the panels.
pub fn render(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let (across, panel) = across(area.width);
    let gap = if panel == NARROW_PANEL { 2 } else { 3 };
    let width = (area.width.saturating_sub(gap * (across - 1))) / across;
    let place = |n: u16| Rect {
        x: area.x + n % across * (width + gap),
        y: area.y + n / across * panel,
        width,
        height: panel,
    };
    cpu(subject, place(0), buf);
    memory::panel(subject, place(1), buf);
    disk(subject, place(2), buf);
    net(subject, place(3), buf);
}

pub fn thresholds(subject: &Subject<'_>) -> (f64, f64) {
    (subject.app.screen().warn_percent, subject.app.screen().critical_percent)
}

fn cpu(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let rates = &subject.domain.rates;
    let value = match rates.cpu_percent {
        Ok(percent) => percent_value(subject, percent, Severity::of(percent, thresholds(subject))),
        Err(_) => vec![("–".to_owned(), palette.faint)],
    };
    rule("CPU", &value, false, subject.look, Rect { height: 1, ..area }, buf);
    let mut lines = Lines::new(subject, area);
    match rates.cpu_percent {
        Ok(percent) => {
            let severity = Severity::of(percent, thresholds(subject));
            let busy = percent / 100.0;
            let steal = rates.steal_percent.map_or(0.0, |steal| steal / 100.0);
            let steal = Part { end: busy + steal, sign: STEAL, ink: palette.dim };
            lines.bar(busy, palette.fill(severity), &[steal], None, buf);
        }
        Err(missing) => lines.reason(&missing.to_string(), buf),
    }
    let process = ("process ", rates.cpu_cores.map(|cores| format!("{cores:.2} cores")));
    let steal = ("▒ steal ", rates.steal_percent.map(|steal| format!("{steal:.1}%")));
    let overhead = ("QEMU ", rates.overhead_cores.map(|cores| format!("{cores:.2}")));
    if lines.narrow() {
        lines.facts(&[process], 1, buf);
        lines.facts(&[steal, overhead], 2, buf);
    } else {
        lines.facts(&[process, steal, overhead], 3, buf);
    }
    // One column per vCPU, in groups of four; the list below has them all.
    // A single one is the gauge above.
    if rates.vcpus.len() < 2 {
        return;
    }
    let label = text::put(buf, area.x + 1, lines.y, area.width, "vCPUs ", palette.dim);
    let mut x = label;
    let mut y = lines.y;
    for (n, vcpu) in rates.vcpus.iter().enumerate() {
        if n > 0 && n % 4 == 0 {
            x += 1;
        }
        if x >= area.right() {
            (x, y) = (label, y + 1);
        }
        if y >= area.bottom() {
            break;
        }
        let (symbol, style) = match vcpu.percent {
            Ok(percent) => (
                eighth(percent, subject.look.ascii),
                palette.fill(Severity::of(percent, thresholds(subject))),
            ),
            Err(_) => ("–", palette.faint),
        };
        text::put(buf, x, y, 1, symbol, style);
        x += 1;
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0…7")]
fn eighth(percent: f64, ascii: bool) -> &'static str {
    const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    const ASCII: [&str; 8] = [".", ":", "-", "=", "+", "*", "*", "#"];
    let level = ((percent / 100.0).clamp(0.0, 1.0) * 7.99) as usize;
    if ascii { ASCII[level] } else { BARS[level] }
}

fn disk(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let shown = subject.disks();
    let rates = &shown.domain.rates;
    let total = sum(rates.disk.read_bytes_per_s, rates.disk.write_bytes_per_s);
    let value = with_age(subject, shown.old, "disk", total_value(subject, total), area.width);
    rule("disk", &value, false, subject.look, Rect { height: 1, ..area }, buf);
    let mut lines = Lines::of(subject, shown.old, area);
    if let (Err(missing), Err(_)) = (rates.disk.read_bytes_per_s, rates.disk.write_bytes_per_s) {
        return lines.reason(&missing.to_string(), buf);
    }
    lines.direction("read", rates.disk.read_bytes_per_s, rates.angles.disk_read, palette.inward, buf);
    lines.direction("write", rates.disk.write_bytes_per_s, rates.angles.disk_write, palette.outward, buf);
    let count = |rate: Measured<f64>| rate.map(|rate| units::count5(rate).trim().to_owned());
    let latency = |ms: Measured<f64>| ms.map(units::latency);
    let reads = ("reads/s ", count(rates.disk.reads_per_s));
    let writes = ("writes/s ", count(rates.disk.writes_per_s));
    let flushes = ("flushes/s ", count(rates.disk.flushes_per_s));
    let per_read = ("ms/read ", latency(rates.disk.ms_per_read));
    let per_write = ("ms/write ", latency(rates.disk.ms_per_write));
    let per_flush = ("ms/flush ", latency(rates.disk.ms_per_flush));
    if lines.narrow() {
        lines.facts(&[reads, writes, per_read, per_write, flushes, per_flush], 2, buf);
    } else {
        lines.facts(&[reads, writes, flushes, per_read, per_write, per_flush], 3, buf);
    }
}

fn net(subject: &Subject<'_>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let rates = &subject.domain.rates;
    let total = sum(rates.net.rx_bytes_per_s, rates.net.tx_bytes_per_s);
    rule("network", &total_value(subject, total), false, subject.look, Rect { height: 1, ..area }, buf);
    let mut lines = Lines::new(subject, area);
    if let (Err(missing), Err(_)) = (rates.net.rx_bytes_per_s, rates.net.tx_bytes_per_s) {
        return lines.reason(&missing.to_string(), buf);
    }
    lines.direction("rx", rates.net.rx_bytes_per_s, rates.angles.net_rx, palette.inward, buf);
    lines.direction("tx", rates.net.tx_bytes_per_s, rates.angles.net_tx, palette.outward, buf);
    let count = |rate: Measured<f64>| rate.map(|rate| units::count5(rate).trim().to_owned());
    lines.facts(
        &[("packets/s rx ", count(rates.net.rx_packets_per_s)), ("tx ", count(rates.net.tx_packets_per_s))],
        2,
        buf,
    );
    lines.facts(
        &[("errors/s ", count(rates.net.errors_per_s)), ("drops/s ", count(rates.net.drops_per_s))],
        2,
        buf,
    );
}

fn sum(a: Measured<f64>, b: Measured<f64>) -> Measured<f64> {
    Ok(a? + b?)
}

fn total_value(subject: &Subject<'_>, total: Measured<f64>) -> Vec<(String, Style)> {
    let palette = &subject.look.palette;
    match total {
        Ok(total) => vec![(units::moving_rate(total), palette.strong)],
        Err(_) => vec![("–".to_owned(), palette.faint)],
    }
}

/// A title's value; before that of old numbers, how old they are.
pub fn with_age(
    subject: &Subject<'_>,
    old: Option<Old>,
    title: &str,
    value: Vec<(String, Style)>,
    width: u16,
) -> Vec<(String, Style)> {
    let Some(old) = old else { return value };
    let ink = subject.look.palette.old;
    // What stands around them: the title's blanks, a piece of the line.
    let taken: u16 = text::width(title) + 8 + value.iter().map(|(text, _)| text::width(text)).sum::<u16>();
    let age = old.fit(width.saturating_sub(taken));
    let age = if age.is_empty() { age } else { format!("{age}  ") };
    [(age, ink)].into_iter().chain(value.into_iter().map(|(text, _)| (text, ink))).collect()
}

pub fn percent_value(subject: &Subject<'_>, percent: f64, severity: Severity) -> Vec<(String, Style)> {
    let palette = &subject.look.palette;
    let mark = glyph::mark(severity).trim();
    vec![(format!("{mark}{percent:.0}%"), palette.severity(severity, palette.strong))]
}

/// The lines of a panel, from under its title downwards.
pub struct Lines<'a> {
    subject: &'a Subject<'a>,
    /// Whether the numbers are an earlier cycle's.
    old: bool,
    area: Rect,
    y: u16,
}

impl<'a> Lines<'a> {
    fn new(subject: &'a Subject<'a>, area: Rect) -> Self {
        Self::of(subject, None, area)
    }

    pub fn of(subject: &'a Subject<'a>, old: Option<Old>, area: Rect) -> Self {
        Self { subject, old: old.is_some(), area, y: area.y + 1 }
    }

    /// The ink of a number, or that of old ones.
    pub fn ink(&self, ink: Style) -> Style {
        if self.old { self.subject.look.palette.old } else { ink }
    }

    /// A bar of parts over the whole width.
    pub fn bar(
        &mut self,
        first: f64,
        fill: Style,
        parts: &[Part],
        mark: Option<(f64, Style)>,
        buf: &mut Buffer,
    ) {
        let width = self.area.width.saturating_sub(2);
        let area = Rect { x: self.area.x + 1, y: self.y, width, height: 1 };
        Bar { first, fill, parts, mark, look: self.subject.look }.render(area, buf);
        self.y += 1;
    }

    /// Columns of the panel.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Whether the panel is narrow, and has a line more in return.
    pub fn narrow(&self) -> bool {
        self.area.height == NARROW_PANEL
    }

    /// A reason, broken at blanks while there are lines left.
    pub fn reason(&mut self, reason: &str, buf: &mut Buffer) {
        let style = self.subject.look.palette.dim;
        let room = self.area.width.saturating_sub(1);
        for line in text::wrap(&format!("– {reason}"), room) {
            if self.y < self.area.bottom() {
                text::put(buf, self.area.x + 1, self.y, room, &line, style);
                self.y += 1;
            }
        }
    }

    /// Labelled values, so many on a line; what does not fit is left out.
    pub fn facts(&mut self, facts: &[(&str, Measured<String>)], per_line: usize, buf: &mut Buffer) {
        for line in facts.chunks(per_line) {
            self.line(line, buf);
        }
    }

    fn line(&mut self, facts: &[(&str, Measured<String>)], buf: &mut Buffer) {
        let palette = &self.subject.look.palette;
        let mut strip = text::Strip::new(2);
        for (rank, (label, value)) in (1..).zip(facts) {
            let value = match value {
                Ok(value) => (value.clone(), self.ink(palette.text)),
                Err(_) => ("–".to_owned(), palette.faint),
            };
            strip.left(rank, vec![((*label).to_owned(), palette.dim), value]);
        }
        strip.render(buf, self.area.x + 1, self.y, self.area.width.saturating_sub(1));
        self.y += 1;
    }

    /// One direction of traffic: name, gauge of its angle, rate, degrees.
    fn direction(
        &mut self,
        name: &str,
        rate: Measured<f64>,
        angle: Measured<Degrees>,
        ink: Style,
        buf: &mut Buffer,
    ) {
        let palette = &self.subject.look.palette;
        let (x, y) = (self.area.x + 1, self.y);
        text::put(buf, x, y, 6, name, ink);
        let numbers = 11 + 8;
        let width = self.area.width.saturating_sub(6 + numbers + 2);
        let fraction = angle.map_or(0.0, |degrees| degrees.0 / 90.0);
        let area = Rect { x: x + 6, y, width, height: 1 };
        Gauge { fraction, fill: self.ink(ink), look: self.subject.look }.render(area, buf);
        let after = x + 6 + width;
        match rate {
            Ok(rate) => text::put_right(buf, after, y, 12, &units::moving_rate(rate), self.ink(palette.text)),
            Err(_) => text::put_right(buf, after, y, 12, "–", palette.faint),
        }
        match angle {
            Ok(degrees) => {
                text::put_right(buf, after + 12, y, 7, &units::degrees5(degrees), self.ink(palette.dim));
            }
            Err(_) => text::put_right(buf, after + 12, y, 7, "–", palette.faint),
        }
        self.y += 1;
    }
}
