//! The list in which the table's columns are chosen. It stands under the
//! table, which shows each choice at once.

use ratatui::{buffer::Buffer, layout::Rect};

use super::columns::Columns;
use crate::{
    app::App,
    ui::{Look, text},
};

/// Marker, box and title.
const ABOUT: u16 = 15;
/// Columns of what a column shows.
const WORDS: u16 = 38;

/// Lines it takes of `room` lines: the table keeps its headings and some rows.
pub fn height(app: &App, room: u16) -> u16 {
    let whole = u16::try_from(app.fleet().columns().all().len()).unwrap_or(u16::MAX).saturating_add(1);
    // Where there is no room for both, what is chosen from is seen.
    whole.min(room.saturating_sub(6).max(3)).min(room)
}

/// Draws the list. `columns`: what the table above has.
pub fn render(app: &App, look: &Look, columns: &Columns, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let palette = &look.palette;
    let rule = "─".repeat(usize::from(area.width.saturating_sub(2)));
    text::put(buf, area.x + 1, area.y, area.width.saturating_sub(2), &rule, palette.faint);
    let end = text::put(buf, area.x + 1, area.y, area.width.saturating_sub(2), "columns ", palette.strong);
    let room = area.right().saturating_sub(end + 1);
    text::put(buf, end, area.y, room, "what stands first stays longest ", palette.dim);
    let chosen = app.fleet().columns();
    let view = usize::from(area.height - 1);
    let offset = (chosen.cursor() + 1).saturating_sub(view);
    let lines = chosen.all().iter().enumerate().skip(offset);
    for (y, (line, (key, shown))) in (area.top() + 1..area.bottom()).zip(lines) {
        if line == chosen.cursor() {
            buf.set_style(Rect { y, height: 1, ..area }, palette.selected);
            text::put(buf, area.x, y, 1, "▶", palette.accent);
        }
        let (mark, ink) = if *shown { ("[x]", palette.accent) } else { ("[ ]", palette.dim) };
        text::put(buf, area.x + 2, y, 3, mark, ink);
        let ink = if *shown { palette.text } else { palette.dim };
        text::put(buf, area.x + 6, y, ABOUT - 6, key.title(), ink);
        let words = area.width.saturating_sub(ABOUT + 1).min(WORDS);
        text::put(buf, area.x + ABOUT, y, words, key.about(), palette.dim);
        let state = if columns.left_out.contains(key) {
            "no room in this width"
        } else if !shown && app.fleet().sort().0 == *key {
            "shown while it is sorted by"
        } else {
            continue;
        };
        let at = area.x + ABOUT + words + 1;
        text::put(buf, at, y, area.right().saturating_sub(at), state, palette.warn);
    }
}
