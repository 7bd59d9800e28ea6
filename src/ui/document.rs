//! Lines of text longer than the screen: documents side by side that scroll
//! as one.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::text;

/// One line: pieces of text with their inks.
pub type Pieces = Vec<(String, Style)>;

/// A column of lines.
#[derive(Clone, Debug, Default)]
pub struct Document {
    lines: Vec<Pieces>,
}

impl Document {
    /// Adds a line.
    pub fn line(&mut self, pieces: Pieces) {
        self.lines.push(pieces);
    }

    /// Adds an empty line.
    pub fn blank(&mut self) {
        self.lines.push(Vec::new());
    }

    /// Adds a title with a thin line up to `width`.
    pub fn title(&mut self, title: &str, width: u16, strong: Style, faint: Style) {
        let rest = usize::from(width.saturating_sub(text::width(title) + 1));
        self.line(vec![(format!("{title} "), strong), ("─".repeat(rest), faint)]);
    }

    /// Adds `text`, broken at blanks to `width` after an indent.
    pub fn paragraph(&mut self, label: &str, body: &str, width: u16, inks: (Style, Style)) {
        let indent = text::width(label);
        let lines = text::wrap(body, width.saturating_sub(indent).max(12));
        for (n, line) in lines.into_iter().enumerate() {
            let head = if n == 0 { label.to_owned() } else { " ".repeat(usize::from(indent)) };
            self.line(vec![(head, inks.0), (line, inks.1)]);
        }
    }

    /// Appends another document.
    pub fn append(&mut self, mut other: Self) {
        self.lines.append(&mut other.lines);
    }

    /// Lines.
    #[must_use]
    pub fn height(&self) -> u16 {
        u16::try_from(self.lines.len()).unwrap_or(u16::MAX)
    }

    /// Draws the lines from `offset` on.
    pub fn draw(&self, offset: u16, area: Rect, buf: &mut Buffer) {
        let lines = self.lines.iter().skip(usize::from(offset));
        for (y, line) in (area.top()..area.bottom()).zip(lines) {
            let mut x = area.x;
            for (piece, style) in line {
                x = text::put(buf, x, y, area.right().saturating_sub(x), piece, *style);
            }
        }
    }
}

/// How far a document is scrolled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scroller {
    seen: i64,
    offset: u16,
}

impl Scroller {
    /// Follows the lines asked for since the last draw, and keeps within a
    /// text of `height` lines of which `view` are shown.
    pub fn follow(&mut self, asked: i64, height: u16, view: u16) -> u16 {
        let step = asked.saturating_sub(self.seen);
        self.seen = asked;
        let last = i64::from(height.saturating_sub(view));
        let offset = i64::from(self.offset).saturating_add(step).clamp(0, last);
        self.offset = u16::try_from(offset).unwrap_or(0);
        self.offset
    }
}

/// Says at the right end of a line how much lies below.
pub fn more(offset: u16, height: u16, area: Rect, style: Style, buf: &mut Buffer) {
    let below = height.saturating_sub(offset.saturating_add(area.height));
    if below > 0 && area.height > 0 {
        let text = format!(" {below} more ▼ ");
        text::put_right(buf, area.x, area.bottom() - 1, area.width, &text, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolling_follows_the_difference_and_stays_within_the_text() {
        let mut scroller = Scroller::default();
        assert_eq!(scroller.follow(3, 50, 10), 3);
        assert_eq!(scroller.follow(3, 50, 10), 3);
        assert_eq!(scroller.follow(1_000_000, 50, 10), 40);
        // Having scrolled too far costs nothing on the way back.
        assert_eq!(scroller.follow(999_999, 50, 10), 39);
        assert_eq!(scroller.follow(-1_000_000, 50, 10), 0);
        assert_eq!(scroller.follow(-999_990, 5, 10), 0);
    }
}
