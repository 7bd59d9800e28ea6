//! A small table: columns by importance, rows of texts, and for a row
//! without numbers the reason in their place.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Look, text};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its width.
    pub width: u16,
    /// Columns with larger numbers are left out first.
    pub rank: u8,
    /// Who the row is about, rather than a number: stays when a reason
    /// stands in place of the numbers. Such columns come first.
    pub names: bool,
}

/// A row.
#[derive(Clone, Debug)]
pub struct Line {
    /// One text per column.
    pub cells: Vec<(String, Style)>,
    /// Why there are no numbers.
    pub reason: Option<String>,
}

/// The columns that fit into `width`, as indices in their order.
#[must_use]
pub fn choose(columns: &[Column], width: u16) -> Vec<usize> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|&i| columns[i].rank);
    let mut used = 0u16;
    let mut chosen: Vec<usize> = Vec::new();
    for i in by_rank {
        let need = columns[i].width + if chosen.is_empty() { 0 } else { 2 };
        if used + need <= width {
            used += need;
            chosen.push(i);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// Draws headings and rows; `selected` is highlighted, and beside the heading
/// they are `sorted` by stands an arrow. One line per row.
pub fn draw(
    columns: &[Column],
    lines: &[Line],
    selected: Option<usize>,
    sorted: Option<(&str, &str)>,
    look: &Look,
    area: Rect,
    buf: &mut Buffer,
) {
    let chosen = choose(columns, area.width.saturating_sub(2));
    let palette = &look.palette;
    let mut x = area.x + 2;
    let mut places = Vec::new();
    for &i in &chosen {
        places.push((i, x));
        let column = &columns[i];
        match sorted.filter(|(title, _)| *title == column.title) {
            Some((title, arrow)) => {
                place(buf, x, area.y, column, title, palette.accent);
                // In the gap beside it, so that the heading stays in place.
                let width = text::width(title);
                let beside =
                    if column.names { x + width } else { x + column.width.saturating_sub(width + 1) };
                let beside = if column.names || column.width > width { beside } else { x.saturating_sub(1) };
                text::put(buf, beside, area.y, 1, arrow, palette.accent);
            }
            None => {
                place(buf, x, area.y, column, column.title, palette.faint);
            }
        }
        x += column.width + 2;
    }
    let end = x.saturating_sub(2);
    for (row, (y, line)) in (area.y + 1..area.bottom()).zip(lines).enumerate() {
        if selected == Some(row) {
            buf.set_style(Rect { y, height: 1, ..area }, palette.selected);
            text::put(buf, area.x, y, 1, "▶", palette.accent);
        }
        let mut reason_at = None;
        for &(i, x) in &places {
            let column = &columns[i];
            if line.reason.is_some() && !column.names {
                reason_at = reason_at.or(Some(x));
                continue;
            }
            if let Some((cell, style)) = line.cells.get(i) {
                place(buf, x, y, column, cell, *style);
            }
        }
        if let (Some(x), Some(reason)) = (reason_at, &line.reason) {
            let room = end.max(area.right()).saturating_sub(x);
            text::put(buf, x, y, room, &format!("– {reason}"), palette.dim);
        }
    }
}

fn place(buf: &mut Buffer, x: u16, y: u16, column: &Column, text: &str, style: Style) {
    if column.names {
        text::put(buf, x, y, column.width, text, style);
    } else {
        text::put_right(buf, x, y, column.width, text, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_important_columns_go_first_and_the_order_stays() {
        let column = |width, rank| Column { title: "", width, rank, names: false };
        let columns = [column(5, 0), column(8, 2), column(4, 1)];
        assert_eq!(choose(&columns, 30), [0, 1, 2]);
        assert_eq!(choose(&columns, 12), [0, 2]);
        assert_eq!(choose(&columns, 5), [0]);
        assert!(choose(&columns, 3).is_empty());
    }
}
