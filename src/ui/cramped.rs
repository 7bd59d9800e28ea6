//! What is shown where no page fits: a polite line, and whether collecting
//! and recording go on, which nobody may overlook.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Look,
    header::{collector_pill, writer_pill},
    text,
};
use crate::app::App;

/// Draws it; pages need at least `smallest` columns and rows.
pub fn render(app: &App, look: &Look, smallest: (u16, u16), area: Rect, buf: &mut Buffer) {
    let palette = &look.palette;
    let (width, height) = smallest;
    let please = format!("a larger window, please: {width}×{height} or more");
    let mut lines: Vec<_> =
        text::wrap(&please, area.width).into_iter().map(|line| vec![(line, palette.text)]).collect();
    lines.push(collector_pill(app, look));
    lines.push(writer_pill(app, look));
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        let mut x = area.x;
        for (piece, style) in line {
            x = text::put(buf, x, y, area.right().saturating_sub(x), &piece, style);
        }
    }
}
