//! Collector and writer: the whole accounting, and the configuration in
//! effect.

mod collector;
mod delivery;
mod errors;
mod host;
mod looking_back;
mod slowest;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    Look, attached,
    document::{Document, Pieces, Scroller, more},
    text,
};
use crate::app::{App, Scroll};

/// Columns of the labels.
const LABEL: usize = 14;
/// What stands in place of a label.
pub(super) const INDENT: &str = "              ";
/// Narrower than this, the halves stand one below the other.
const SIDE_BY_SIDE: u16 = 104;

/// The page's own memory.
#[derive(Debug, Default)]
pub struct Page {
    scroller: Scroller,
}

impl Page {
    /// Draws the page into `area`.
    pub fn render(&mut self, app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
        let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let wide = inner.width >= SIDE_BY_SIDE;
        let half = if wide { (inner.width - 4) / 2 } else { inner.width };
        let mut left = attached::document(app, look, half).unwrap_or_default();
        left.append(collector::document(app, look, half));
        left.blank();
        left.append(host::document(app, look, half));
        let mut right = delivery::document(app, look, half);
        right.blank();
        right.append(looking_back::document(app, look, half));
        let below = configuration(app, look, inner.width);
        let asked = app.scrolled(Scroll::Status);
        if !wide {
            left.blank();
            left.append(right);
            left.blank();
            left.append(below);
            let offset = self.scroller.follow(asked, left.height(), inner.height);
            left.draw(offset, inner, buf);
            return more(offset, left.height(), inner, look.palette.accent, buf);
        }
        let top = left.height().max(right.height()) + 1;
        let height = top + below.height();
        let offset = self.scroller.follow(asked, height, inner.height);
        left.draw(offset, Rect { width: half, ..inner }, buf);
        right.draw(offset, Rect { x: inner.x + half + 4, width: half, ..inner }, buf);
        // The halves end above the configuration, whatever is scrolled away.
        let above = top.saturating_sub(offset).min(inner.height);
        let rest = Rect { y: inner.y + above, height: inner.height - above, ..inner };
        below.draw(offset.saturating_sub(top), rest, buf);
        more(offset, height, inner, look.palette.accent, buf);
    }
}

/// What is in force, and where each value came from.
fn configuration(app: &App, look: &Look, width: u16) -> Document {
    let palette = &look.palette;
    let mut document = Document::default();
    document.title("configuration in effect", width, palette.strong, palette.faint);
    let longest = |pick: fn(&crate::model::status::ConfigEntry) -> &str| {
        app.config().iter().map(|entry| text::width(pick(entry))).max().unwrap_or(0)
    };
    let key = longest(|e| &e.key).min(width / 3);
    // A value may take what key and origin leave.
    let rest = width.saturating_sub(key + longest(|e| &e.origin) + 4);
    let value = longest(|e| &e.value).min(rest.max(width / 3));
    let pad = |text: &str, room: u16| {
        let text = text::fit(text, room).into_owned();
        let blanks = usize::from(room.saturating_sub(text::width(&text))) + 2;
        format!("{text}{}", " ".repeat(blanks))
    };
    for entry in app.config() {
        let own = entry.origin != "default";
        document.line(vec![
            (pad(&entry.key, key), palette.dim),
            (pad(&entry.value, value), if own { palette.strong } else { palette.text }),
            (entry.origin.clone(), if own { palette.accent } else { palette.faint }),
        ]);
    }
    document
}

/// A label and what belongs to it.
pub(super) fn labelled(label: &str, look: &Look, mut pieces: Pieces) -> Pieces {
    pieces.insert(0, (format!("{label:<LABEL$}"), look.palette.dim));
    pieces
}

/// A label and a plain value.
pub(super) fn fact(label: &str, value: String, look: &Look) -> Pieces {
    labelled(label, look, vec![(value, look.palette.text)])
}

/// Text from outside, fit to draw.
pub(super) fn plain(text: &str) -> String {
    crate::model::name::storable(text).into_owned()
}

/// A bar of `width` columns in shares of `parts`; what is not nothing gets at
/// least one column.
fn stacked(parts: &[(u64, &str, Style)], width: u16) -> Pieces {
    let total: u128 = parts.iter().map(|&(n, ..)| u128::from(n)).sum();
    if total == 0 {
        return Vec::new();
    }
    let width = u128::from(width);
    let mut columns: Vec<u128> = parts
        .iter()
        .map(|&(n, ..)| if n == 0 { 0 } else { (u128::from(n) * width / total).max(1) })
        .collect();
    // Rounding is settled with the largest part.
    let used: u128 = columns.iter().sum();
    if let Some(largest) = columns.iter_mut().max_by_key(|c| **c) {
        *largest = (*largest + width).saturating_sub(used);
    }
    parts
        .iter()
        .zip(columns)
        .filter(|(_, columns)| *columns > 0)
        .map(|(&(_, sign, style), columns)| (sign.repeat(usize::try_from(columns).unwrap_or(0)), style))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stacked_bar_is_as_wide_as_asked_and_hides_nothing() {
        let style = Style::new();
        for parts in [[1_000_000, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 5], [3, 900, 20, 1]] {
            let parts: Vec<_> =
                parts.into_iter().zip(["█", "▓", "▒", "░"]).map(|(n, s)| (n, s, style)).collect();
            let bar = stacked(&parts, 30);
            let text: String = bar.iter().map(|(t, _)| t.as_str()).collect();
            assert_eq!(text::width(&text), 30, "{text}");
            for (n, sign, _) in parts {
                assert_eq!(text.contains(sign), n > 0, "{text} {sign} {n}");
            }
        }
        assert!(stacked(&[(0, "█", style)], 30).is_empty());
    }
}
