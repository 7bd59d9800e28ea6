//! The tables of NICs and disks.

use std::{ops::Range, sync::Arc};

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Subject, rule};
use crate::{
    app::{DeviceKey, Direction, Order, Pane},
    model::{
        Measured, Missing, Why,
        domain::{DiskDevice, NicDevice},
        name::storable,
        rates::{DiskRates, NetRates},
        reading::{DiskReading, NicReading},
    },
    ui::{
        Look,
        table::{self, Column, Line},
        text, units,
    },
};

const fn name(title: &'static str, width: u16, rank: u8) -> Column {
    Column { title, width, rank, names: true }
}

const fn number(title: &'static str, width: u16, rank: u8) -> Column {
    Column { title, width, rank, names: false }
}

/// Errors or drops.
const TROUBLE: u16 = 7;
/// `34 273 043 561`
const PACKETS: u16 = 14;

const NICS: [Column; 13] = [
    name("NIC", 10, 0),
    name("model", 8, 7),
    name("source", 10, 6),
    name("MAC", 17, 8),
    number("rx B/s", 6, 1),
    number("tx B/s", 6, 1),
    number("rx pkt/s", 8, 3),
    number("tx pkt/s", 8, 3),
    number("errors", TROUBLE, 4),
    number("drops", TROUBLE, 4),
    number("rx total", 9, 9),
    number("tx total", 9, 9),
    number("packets", PACKETS, 10),
];

const DISKS: [Column; 18] = [
    name("disk", 8, 0),
    name("kind", 6, 9),
    name("bus", 7, 8),
    number("read B/s", 8, 1),
    number("write B/s", 9, 1),
    number("reads/s", 7, 3),
    number("writes/s", 8, 3),
    number("ms/read", 7, 4),
    number("ms/write", 8, 4),
    number("flush/s", 7, 7),
    number("ms/flush", 8, 7),
    number("capacity", 9, 5),
    number("fill", 5, 6),
    number("allocated", 9, 9),
    number("on host", 9, 9),
    number("read total", 10, 11),
    number("written", 9, 11),
    number("errors", TROUBLE, 12),
];

/// What each column of [`NICS`] sorts by.
const NIC_KEYS: [(DeviceKey, &str); 9] = [
    (DeviceKey::Name, "NIC"),
    (DeviceKey::In, "rx B/s"),
    (DeviceKey::Out, "tx B/s"),
    (DeviceKey::InCount, "rx pkt/s"),
    (DeviceKey::OutCount, "tx pkt/s"),
    (DeviceKey::Errors, "errors"),
    (DeviceKey::Drops, "drops"),
    (DeviceKey::InTotal, "rx total"),
    (DeviceKey::OutTotal, "tx total"),
];

/// What each column of [`DISKS`] sorts by.
const DISK_KEYS: [(DeviceKey, &str); 12] = [
    (DeviceKey::Name, "disk"),
    (DeviceKey::In, "read B/s"),
    (DeviceKey::Out, "write B/s"),
    (DeviceKey::InCount, "reads/s"),
    (DeviceKey::OutCount, "writes/s"),
    (DeviceKey::MsPerRead, "ms/read"),
    (DeviceKey::MsPerWrite, "ms/write"),
    (DeviceKey::Capacity, "capacity"),
    (DeviceKey::Fill, "fill"),
    (DeviceKey::InTotal, "read total"),
    (DeviceKey::OutTotal, "written"),
    (DeviceKey::Errors, "errors"),
];

/// What is known of one NIC.
pub struct Nic<'a> {
    /// From the XML.
    pub device: Option<&'a NicDevice>,
    /// The counters.
    pub reading: Option<&'a NicReading>,
    /// The rates.
    pub rates: Option<&'a NetRates>,
}

/// What is known of one disk.
pub struct Disk<'a> {
    /// From the XML.
    pub device: Option<&'a DiskDevice>,
    /// Counters and sizes.
    pub reading: Option<&'a DiskReading>,
    /// The rates.
    pub rates: Option<&'a DiskRates>,
}

/// Collects what is known of the NIC `name`.
pub fn nic<'a>(subject: &'a Subject<'_>, name: &str) -> Nic<'a> {
    let domain = subject.domain;
    Nic {
        device: domain.devices.nics.iter().find(|d| &*d.name == name),
        reading: domain.reading.nics.iter().flatten().find(|r| &*r.name == name),
        rates: domain.rates.nics.iter().find(|(n, _)| &**n == name).map(|(_, r)| r),
    }
}

/// Collects what is known of the disk `name`.
pub fn disk<'a>(subject: &'a Subject<'_>, name: &str) -> Disk<'a> {
    let (domain, shown) = (subject.domain, subject.disks().domain);
    Disk {
        device: domain.devices.disks.iter().find(|d| &*d.name == name),
        reading: shown.reading.disks.iter().flatten().find(|r| &*r.name == name),
        rates: shown.rates.disks.iter().find(|(n, _)| &**n == name).map(|(_, r)| r),
    }
}

/// Why a NIC has no counters at all.
pub fn nic_missing(subject: &Subject<'_>, nic: &Nic<'_>) -> Option<Missing> {
    let group = subject.domain.reading.nics.as_ref().err().copied();
    let uncounted = nic.device.and_then(|d| d.uncounted).map(Missing::new);
    match nic.reading {
        Some(reading) => reading.counters.err(),
        None => uncounted.or(group).or(Some(Missing::new(Why::NoAnswerYet))),
    }
}

/// Why a disk has no counters at all.
pub fn disk_missing(subject: &Subject<'_>, disk: &Disk<'_>) -> Option<Missing> {
    if let Some(reading) = disk.reading {
        return reading.counters.err();
    }
    if disk.device.is_some_and(|d| d.source.is_none()) {
        return Some(Missing::new(Why::EmptyDrive));
    }
    let group = subject.domain.reading.disks.as_ref().err().copied();
    Some(group.unwrap_or(Missing::new(Why::NoAnswerYet)))
}

struct Cells<'a> {
    look: &'a Look,
    /// Whether the numbers are an earlier cycle's.
    old: bool,
    drawn: Vec<(String, Style)>,
}

impl Cells<'_> {
    fn word(&mut self, word: Option<&str>) {
        let style = self.look.palette.dim;
        self.drawn.push((storable(word.unwrap_or("–")).into_owned(), style));
    }

    fn value(&mut self, value: Option<String>, style: Style) {
        self.drawn.push(match value {
            Some(value) => (value, if self.old { self.look.palette.old } else { style }),
            None => ("–".to_owned(), self.look.palette.faint),
        });
    }

    fn rate(&mut self, rate: Option<Measured<f64>>, show: fn(f64) -> String, style: Style) {
        self.value(rate.and_then(Result::ok).map(show), style);
    }

    /// A count that should be zero.
    fn trouble(&mut self, count: Option<u64>) {
        let palette = &self.look.palette;
        let style = if count.is_some_and(|c| c > 0) { palette.warn } else { palette.dim };
        self.value(count.map(|count| units::tally(count, TROUBLE)), style);
    }
}

/// Both directions of a counter together, as far as they are counted.
pub fn added(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b),
        (one, None) | (None, one) => one,
    }
}

/// Draws title, headings and a line per NIC of those in view.
pub fn nics(subject: &Subject<'_>, view: Range<usize>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let names = subject.page.nics(subject.domain);
    let lines: Vec<Line> = in_view(&names, &view)
        .iter()
        .map(|name| {
            let nic = nic(subject, name);
            let counters = nic.reading.and_then(|r| r.counters.ok());
            let mut cells = Cells { look: subject.look, old: false, drawn: Vec::new() };
            cells.drawn.push((storable(name).into_owned(), palette.text));
            cells.word(nic.device.and_then(|d| d.model.as_deref()));
            cells.word(nic.device.and_then(|d| d.source.as_deref()));
            cells.word(nic.device.and_then(|d| d.mac.as_deref()));
            cells.rate(nic.rates.map(|r| r.rx_bytes_per_s), units::rate5, palette.inward);
            cells.rate(nic.rates.map(|r| r.tx_bytes_per_s), units::rate5, palette.outward);
            cells.rate(nic.rates.map(|r| r.rx_packets_per_s), units::count5, palette.text);
            cells.rate(nic.rates.map(|r| r.tx_packets_per_s), units::count5, palette.text);
            cells.trouble(counters.and_then(|c| added(c.rx_errors, c.tx_errors)));
            cells.trouble(counters.and_then(|c| added(c.rx_drops, c.tx_drops)));
            cells.value(counters.and_then(|c| c.rx_bytes).map(units::bytes), palette.dim);
            cells.value(counters.and_then(|c| c.tx_bytes).map(units::bytes), palette.dim);
            let packets = counters.and_then(|c| added(c.rx_packets, c.tx_packets));
            cells.value(packets.map(|count| units::tally(count, PACKETS)), palette.dim);
            let reason = nic_missing(subject, &nic).map(|missing| missing.to_string());
            Line { cells: cells.drawn, reason }
        })
        .collect();
    let order = subject.page.orders().0;
    let what =
        Listed { pane: Pane::Nics, title: "NICs", none: "no NICs", columns: &NICS, keys: &NIC_KEYS, order };
    list(subject, &what, &lines, (view, names.len()), "", area, buf);
}

/// Draws title, headings and a line per disk of those in view.
pub fn disks(subject: &Subject<'_>, view: Range<usize>, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let names = subject.page.disks(subject.domain);
    let old = subject.disks().old;
    let lines: Vec<Line> = in_view(&names, &view)
        .iter()
        .map(|name| {
            let disk = disk(subject, name);
            let counters = disk.reading.and_then(|r| r.counters.ok());
            let size = disk.reading.map(|r| r.size).unwrap_or_default();
            let mut cells = Cells { look: subject.look, old: old.is_some(), drawn: Vec::new() };
            cells.drawn.push((storable(name).into_owned(), palette.text));
            cells.word(disk.device.map(|d| &*d.kind));
            cells.word(disk.device.and_then(|d| d.bus.as_deref()));
            cells.rate(disk.rates.map(|r| r.read_bytes_per_s), units::rate5, palette.inward);
            cells.rate(disk.rates.map(|r| r.write_bytes_per_s), units::rate5, palette.outward);
            cells.rate(disk.rates.map(|r| r.reads_per_s), units::count5, palette.text);
            cells.rate(disk.rates.map(|r| r.writes_per_s), units::count5, palette.text);
            cells.rate(disk.rates.map(|r| r.ms_per_read), units::latency, palette.text);
            cells.rate(disk.rates.map(|r| r.ms_per_write), units::latency, palette.text);
            cells.rate(disk.rates.map(|r| r.flushes_per_s), units::count5, palette.text);
            cells.rate(disk.rates.map(|r| r.ms_per_flush), units::latency, palette.text);
            cells.value(size.capacity.map(units::bytes), palette.dim);
            cells.value(fill(size.allocation, size.capacity), palette.dim);
            cells.value(size.allocation.map(units::bytes), palette.dim);
            cells.value(size.physical.map(units::bytes), palette.dim);
            cells.value(counters.and_then(|c| c.rd_bytes).map(units::bytes), palette.dim);
            cells.value(counters.and_then(|c| c.wr_bytes).map(units::bytes), palette.dim);
            cells.trouble(counters.and_then(|c| c.errors));
            let reason = disk_missing(subject, &disk).map(|missing| missing.to_string());
            Line { cells: cells.drawn, reason }
        })
        .collect();
    let age = old.map(|old| old.fit(area.width.saturating_sub(16))).unwrap_or_default();
    let order = subject.page.orders().1;
    let what = Listed {
        pane: Pane::Disks,
        title: "disks",
        none: "no disks",
        columns: &DISKS,
        keys: &DISK_KEYS,
        order,
    };
    list(subject, &what, &lines, (view, names.len()), &age, area, buf);
}

/// How much of a disk was ever written.
#[allow(clippy::cast_precision_loss, reason = "a whole percent is shown")]
fn fill(allocation: Option<u64>, capacity: Option<u64>) -> Option<String> {
    let (allocation, capacity) = (allocation?, capacity.filter(|&c| c > 0)?);
    Some(format!("{:.0}%", allocation as f64 / capacity as f64 * 100.0))
}

fn in_view<'a>(names: &'a [Arc<str>], view: &Range<usize>) -> &'a [Arc<str>] {
    let end = view.end.min(names.len());
    &names[view.start.min(end)..end]
}

/// One of the two tables.
struct Listed<'a> {
    pane: Pane,
    title: &'a str,
    /// What is said where there is none.
    none: &'a str,
    columns: &'a [Column],
    keys: &'a [(DeviceKey, &'static str)],
    order: Order,
}

/// Draws a table, of which `lines` are those in view.
fn list(
    subject: &Subject<'_>,
    what: &Listed<'_>,
    lines: &[Line],
    (view, all): (Range<usize>, usize),
    age: &str,
    area: Rect,
    buf: &mut Buffer,
) {
    let palette = &subject.look.palette;
    let selected = subject.selected(what.pane);
    let (key, direction) = what.order.shown();
    let arrow = if direction == Direction::Ascending { "▲" } else { "▼" };
    let sorted = what.keys.iter().find(|(of, _)| *of == key).map(|(_, title)| (*title, arrow));
    let mut facts = Vec::new();
    if !age.is_empty() {
        facts.push((format!("{age}  "), palette.old));
    }
    // Named here as well: its column may have no room.
    match sorted {
        Some((title, arrow)) => facts.push((format!("by {title} {arrow}  "), palette.accent)),
        None if direction == Direction::Descending => facts.push(("reversed  ".into(), palette.accent)),
        None => {}
    }
    let count = if view.len() < all {
        format!("{}–{} of {all}", view.start + 1, view.end.min(all))
    } else {
        all.to_string()
    };
    facts.push((count, palette.dim));
    rule(what.title, &facts, selected.is_some(), subject.look, Rect { height: 1, ..area }, buf);
    let height = u16::try_from(lines.len() + 1).unwrap_or(u16::MAX).min(area.height.saturating_sub(1));
    let area = Rect { y: area.y + 1, height, ..area };
    if lines.is_empty() {
        text::put(buf, area.x + 2, area.y, area.width, &format!("– {}", what.none), palette.dim);
        return;
    }
    let row = selected.and_then(|line| line.checked_sub(view.start));
    table::draw(what.columns, lines, row, sorted, subject.look, area, buf);
}
