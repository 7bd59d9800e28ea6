//! Text on a line: cut to its width, aligned, and dropped by importance.

mod settled;

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::model::Missing;

/// Columns `text` takes.
#[must_use]
pub fn width(text: &str) -> u16 {
    u16::try_from(settled::settled(text).width()).unwrap_or(u16::MAX)
}

/// `text` in at most `room` columns, its end replaced by `…` where it is cut.
#[must_use]
pub fn fit(text: &str, room: u16) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let Some(room) = room.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let mut end = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        let next = used + width(grapheme);
        if next > room {
            break;
        }
        used = next;
        end = at + grapheme.len();
    }
    Cow::Owned(format!("{}…", &text[..end]))
}

/// Writes `text` at (`x`, `y`) into at most `room` columns and returns the
/// column after it. Outside the buffer nothing happens; control characters
/// are left out.
pub fn put(buf: &mut Buffer, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
    let area = buf.area;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    let room = room.min(area.right() - x);
    let text = settled::settled(text);
    let text = fit(&text, room);
    buf.set_stringn(x, y, text, usize::from(room), style).0
}

/// As [`put`], at the right end of `room` columns.
pub fn put_right(buf: &mut Buffer, x: u16, y: u16, room: u16, text: &str, style: Style) {
    let text = fit(text, room);
    let start = x.saturating_add(room.saturating_sub(width(&text)));
    put(buf, start, y, room, &text, style);
}

/// `– ` and the reason; without its since where only that fits.
#[must_use]
pub fn reason(missing: Missing, room: u16) -> String {
    let whole = format!("– {missing}");
    match room {
        0..6 => "–".to_owned(),
        _ if width(&whole) > room && missing.since.is_some() => {
            format!("– {}", Missing::new(missing.why))
        }
        _ => whole,
    }
}

/// A piece of a [`Strip`].
#[derive(Clone, Debug)]
struct Piece {
    /// Its place in the order in which pieces were added.
    number: usize,
    /// Pieces with larger numbers are dropped first.
    rank: u8,
    parts: Vec<(String, Style)>,
}

impl Piece {
    fn width(&self) -> u16 {
        self.parts.iter().map(|(text, _)| width(text)).sum()
    }
}

/// One line of pieces, some at its left and some at its right end. What does
/// not fit is dropped by rank, whole pieces at a time.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    left: Vec<Piece>,
    right: Vec<Piece>,
    gap: u16,
}

impl Strip {
    /// An empty line whose pieces stand `gap` columns apart.
    #[must_use]
    pub fn new(gap: u16) -> Self {
        Self { gap, ..Self::default() }
    }

    /// Adds a piece at the left; rank 0 is never dropped.
    pub fn left(&mut self, rank: u8, parts: Vec<(String, Style)>) {
        self.left.push(Piece { number: self.added(), rank, parts });
    }

    /// Adds a piece at the right.
    pub fn right(&mut self, rank: u8, parts: Vec<(String, Style)>) {
        self.right.push(Piece { number: self.added(), rank, parts });
    }

    /// Pieces there are; the number of the next one.
    #[must_use]
    pub fn added(&self) -> usize {
        self.left.len() + self.right.len()
    }

    fn total(&self) -> u16 {
        let pieces = || self.left.iter().chain(&self.right);
        let count = u16::try_from(pieces().count()).unwrap_or(u16::MAX);
        let gaps = count.saturating_sub(1).saturating_mul(self.gap);
        pieces().map(Piece::width).fold(gaps, u16::saturating_add)
    }

    /// Draws the line into `room` columns at (`x`, `y`).
    pub fn render(self, buf: &mut Buffer, x: u16, y: u16, room: u16) {
        self.place(buf, x, y, room);
    }

    /// As [`Strip::render`]; returns which pieces were drawn, by the order in
    /// which they were added, and where.
    pub fn place(mut self, buf: &mut Buffer, x: u16, y: u16, room: u16) -> Vec<(usize, Rect)> {
        while self.total() > room {
            let worst = self.left.iter().chain(&self.right).map(|p| p.rank).max().unwrap_or(0);
            if worst == 0 {
                break;
            }
            // Of equal ranks the one furthest to the right of its side goes.
            let side =
                if self.right.iter().any(|p| p.rank == worst) { &mut self.right } else { &mut self.left };
            if let Some(at) = side.iter().rposition(|p| p.rank == worst) {
                side.remove(at);
            }
        }
        let end = x.saturating_add(room);
        let mut places = Vec::new();
        let mut draw = |piece: &Piece, at: u16| {
            let to = draw(buf, piece, at, y, end);
            places.push((piece.number, Rect { x: at, y, width: to.saturating_sub(at), height: 1 }));
            to
        };
        let mut at = x;
        for piece in &self.left {
            at = draw(piece, at).saturating_add(self.gap);
        }
        let right: u16 = self.right.iter().map(|p| p.width().saturating_add(self.gap)).sum();
        let mut at = end.saturating_sub(right.saturating_sub(self.gap)).max(at);
        for piece in &self.right {
            at = draw(piece, at).saturating_add(self.gap);
        }
        places
    }
}

fn draw(buf: &mut Buffer, piece: &Piece, x: u16, y: u16, end: u16) -> u16 {
    let mut at = x;
    for (text, style) in &piece.parts {
        at = put(buf, at, y, end.saturating_sub(at), text, *style);
    }
    at
}

/// Breaks `text` at blanks into lines of at most `room` columns.
#[must_use]
pub fn wrap(text: &str, room: u16) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_says_so() {
        assert_eq!(fit("web-frontend", 20), "web-frontend");
        assert_eq!(fit("web-frontend", 6), "web-f…");
        assert_eq!(fit("虚拟机", 5), "虚拟…");
        assert_eq!(fit("虚拟机", 4), "虚…");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(fit("ab", 0), "");
    }

    #[test]
    fn a_strip_drops_what_matters_least() {
        let plain = |text: &str| vec![(text.to_owned(), Style::new())];
        let draw = |room: u16| {
            let mut strip = Strip::new(1);
            strip.left(0, plain("name"));
            strip.left(3, plain("detail"));
            strip.right(1, plain("state"));
            let mut buf = Buffer::empty(Rect::new(0, 0, room, 1));
            strip.render(&mut buf, 0, 0, room);
            (0..room).map(|x| buf[(x, 0)].symbol().to_owned()).collect::<String>()
        };
        assert_eq!(draw(18), "name detail  state");
        assert_eq!(draw(12), "name   state");
        assert_eq!(draw(5), "name ");
        assert_eq!(draw(3), "na…");
    }

    #[test]
    fn words_wrap() {
        assert_eq!(wrap("is libvirtd running on this host", 12), ["is libvirtd", "running on", "this host"]);
        assert!(wrap("  ", 5).is_empty());
    }
}
