//! VMs as cards: name and state, and a line for each metric.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{columns::Parts, row::Row};
use crate::{
    app::{SortKey, cards},
    ui::{glyph::Condition, text},
};

/// `CPU  `
const LABEL: u16 = 5;
/// `        ‼100%`, ` 412K/12.4M`: either, and a blank before it.
const NUMBERS: u16 = 12;
/// `▼51.1°` and a blank.
const DEGREES: u16 = 7;
/// The least gauge, and the least sparkline with its blank.
const GAUGE: u16 = 5;
const SPARK: u16 = 6;

/// The places of `count` cards in `area`, of a terminal of `size`, from the
/// `offset`th line of cards on.
pub fn places(
    area: Rect,
    size: (u16, u16),
    count: usize,
    offset: usize,
) -> impl Iterator<Item = (usize, Rect)> {
    let across = cards::side_by_side(size, count);
    let width = cards::width(size, count);
    (0..lines_in(area)).flat_map(move |line| {
        (0..across).map(move |place| {
            let step = |n: usize, by: u16| u16::try_from(n).unwrap_or(u16::MAX).saturating_mul(by);
            let x = area.x + step(place, width + cards::GAP);
            let y = area.y + step(line, cards::HEIGHT);
            let height = (cards::HEIGHT - 1).min(area.bottom() - y);
            // A terminal that has just become smaller than it was told.
            ((offset + line) * across + place, Rect { x, y, width, height }.intersection(area))
        })
    })
}

/// Lines of cards that stand in `area` whole; the last needs no empty line.
pub fn lines_in(area: Rect) -> usize {
    usize::from((area.height + 1) / cards::HEIGHT).max(1)
}

/// How the parts of a metric divide the width of a card.
fn parts(key: SortKey, width: u16) -> Parts {
    let room = width.saturating_sub(1 + LABEL);
    let degrees = if room >= NUMBERS + DEGREES + GAUGE { DEGREES } else { 0 };
    let left = room.saturating_sub(NUMBERS + degrees);
    let spark = if left >= GAUGE + SPARK { (left - GAUGE) * 2 / 3 } else { 0 };
    let spark = if spark > 0 { spark.max(SPARK) } else { 0 };
    let gauge = left.saturating_sub(spark);
    // Both kinds of numbers end in the same column.
    let (percent, rates) = match key {
        SortKey::Cpu | SortKey::Memory => (NUMBERS, 0),
        _ => (0, NUMBERS - 1),
    };
    Parts { gauge, percent, rates, degrees: degrees.saturating_sub(1), spark: spark.saturating_sub(1) }
}

/// Draws the card of `row`'s VM.
pub fn render(row: &Row<'_>, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let palette = &row.look.palette;
    let condition = Condition::of(row.domain);
    if row.selected {
        buf.set_style(area, palette.selected);
        text::put(buf, area.x, area.y, 1, "▶", palette.accent);
    }
    heading(row, condition, area, buf);
    let lines = [SortKey::Cpu, SortKey::Memory, SortKey::Disk, SortKey::Net];
    let mut told = None;
    for (y, key) in (area.y + 1..area.bottom()).zip(lines) {
        let x = area.x + 1 + LABEL;
        let room = area.right().saturating_sub(x);
        match row.metric(key) {
            Some(Ok(cell)) => row.cell(&cell, parts(key, area.width), x, y, buf),
            // One reason is told once.
            Some(Err(missing)) if told == Some(missing.why) && !row.domain.is_live() => break,
            Some(Err(missing)) if told == Some(missing.why) => {
                text::put(buf, x, y, room, "–", palette.dim);
            }
            Some(Err(missing)) => {
                told = Some(missing.why);
                row.reason(missing, condition, x, y, room, buf);
                if !row.domain.is_live() {
                    continue;
                }
            }
            None => {}
        }
        text::put(buf, area.x + 1, y, LABEL, key.title(), palette.dim);
    }
}

/// Sign and name, and at the right the state where it is not the usual one.
fn heading(row: &Row<'_>, condition: Condition, area: Rect, buf: &mut Buffer) {
    let palette = &row.look.palette;
    text::put(buf, area.x + 1, area.y, 1, condition.sign(), condition.style(palette));
    let mut right = Vec::new();
    let steal = row.domain.rates.steal_percent.ok().filter(|_| area.width >= 48);
    if let Some(steal) = steal.filter(|steal| *steal >= 0.05) {
        right.push((format!("steal {steal:.1}%"), palette.dim));
    }
    if condition != Condition::Running && row.domain.is_live() {
        right.push((condition.word().to_owned(), condition.style(palette)));
    }
    if let Ok(vcpus) = row.domain.reading.vcpu_count {
        right.push((format!("{vcpus} vCPU"), palette.dim));
    }
    let mut end = area.right();
    for (words, ink) in right.iter().rev() {
        let width = text::width(words);
        let start = end.saturating_sub(width);
        // The name comes first.
        if start < area.x + 3 + 12 {
            break;
        }
        text::put(buf, start, area.y, width, words, *ink);
        end = start.saturating_sub(2);
    }
    let ink = if row.domain.is_live() { palette.strong } else { palette.dim };
    let room = end.saturating_sub(area.x + 3);
    text::put(buf, area.x + 3, area.y, room, &row.domain.identity().name, ink);
}
