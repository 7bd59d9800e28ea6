//! A VM's XML: read-only, coloured a little, long lines broken rather than cut.
//! Its lines are looked for once, and only those in view are coloured.

use std::{ops::Range, sync::Arc};

use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    app::{App, Scroll, XmlState},
    model::name::is_unfit,
    ui::{
        Look,
        document::{Document, Pieces, Scroller, more},
        text,
        theme::Palette,
        units,
    },
};

/// Columns by which the rest of a broken line is set in.
const SET_IN: usize = 4;

/// Bytes of a text that are shown.
const MAX_BYTES: usize = 256 << 10;
/// Lines that are shown: what scrolling can count, less what is said below.
const MAX_LINES: usize = 60_000;

/// The page's own memory.
#[derive(Debug, Default)]
pub struct Xml {
    scroller: Scroller,
    broken: Option<Broken>,
}

impl Xml {
    /// Draws the page into `area`.
    pub fn render(&mut self, app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
        let Some(xml) = app.xml() else { return };
        if area.height < 2 {
            return;
        }
        let palette = &look.palette;
        let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let mut strip = text::Strip::new(2);
        strip.left(0, vec![("‹ ".into(), palette.faint), (xml.name.to_string(), palette.strong)]);
        strip.left(1, vec![("XML".into(), palette.text)]);
        let said = match &xml.state {
            XmlState::Asked { .. } => String::new(),
            XmlState::Shown { at, .. } => format!("read at {}, known secrets masked", at.hms()),
            XmlState::Failed { .. } => "not read".to_owned(),
        };
        strip.left(2, vec![(said, palette.dim)]);
        strip.render(buf, inner.x, inner.y, inner.width);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..inner };
        let mut document = Document::default();
        if !matches!(xml.state, XmlState::Shown { .. }) {
            self.broken = None;
        }
        match &xml.state {
            XmlState::Asked { since } => {
                let waited = units::span(app.now().since(*since));
                document.blank();
                document.line(vec![(format!("libvirt was asked for it {waited} ago"), palette.dim)]);
            }
            XmlState::Shown { text, .. } => {
                let broken = match self.broken.take() {
                    Some(broken) if broken.is_of(text, body.width) => broken,
                    _ => Broken::new(Arc::clone(text), body.width),
                };
                let height = broken.height();
                let offset = self.scroller.follow(app.scrolled(Scroll::Xml), height, body.height);
                broken.view(offset, body.height, palette).draw(0, body, buf);
                more(offset, height, body, palette.accent, buf);
                self.broken = Some(broken);
                return;
            }
            XmlState::Failed { why } => {
                document.blank();
                // libvirt's words may hold anything.
                let why: String = why.chars().map(|c| if is_unfit(c) { ' ' } else { c }).collect();
                document.paragraph("– ", &why, body.width, (palette.warn, palette.text));
                document.blank();
                document.line(vec![
                    ("Esc".into(), palette.accent),
                    (" and ".into(), palette.dim),
                    ("x".into(), palette.accent),
                    (" ask once more".into(), palette.dim),
                ]);
            }
        }
        let offset = self.scroller.follow(app.scrolled(Scroll::Xml), document.height(), body.height);
        document.draw(offset, body, buf);
        more(offset, document.height(), body, palette.accent, buf);
    }
}

/// A text in lines of a width.
#[derive(Debug)]
struct Broken {
    text: Arc<str>,
    width: u16,
    lines: Vec<Line>,
    /// Bytes at the end of the text that are in no line.
    left_out: usize,
}

/// One line of it.
#[derive(Clone, Debug)]
struct Line {
    place: Range<usize>,
    set_in: usize,
    /// Which part of the markup it begins in.
    within: Within,
}

impl Broken {
    fn new(text: Arc<str>, width: u16) -> Self {
        let shown = &text[..text.floor_char_boundary(MAX_BYTES)];
        let mut lines = Vec::new();
        let mut within = Within::Text;
        let mut end = 0;
        for line in shown.split_inclusive('\n') {
            if lines.len() >= MAX_LINES {
                break;
            }
            let start = end;
            end = start + line.len();
            end = break_line(shown, start..end, width, &mut within, &mut lines);
        }
        let left_out = text.len() - end;
        Self { text, width, lines, left_out }
    }

    fn is_of(&self, text: &Arc<str>, width: u16) -> bool {
        Arc::ptr_eq(&self.text, text) && self.width == width
    }

    fn height(&self) -> u16 {
        let said = if self.left_out > 0 { 2 } else { 0 };
        u16::try_from(self.lines.len() + said).unwrap_or(u16::MAX)
    }

    /// The `height` lines from `offset` on.
    fn view(&self, offset: u16, height: u16, palette: &Palette) -> Document {
        let mut document = Document::default();
        for line in self.lines.iter().skip(usize::from(offset)).take(usize::from(height)) {
            let mut within = line.within;
            let mut pieces: Pieces = vec![(" ".repeat(line.set_in), palette.text)];
            pieces.extend(coloured(&self.text[line.place.clone()], &mut within, palette));
            document.line(pieces);
        }
        if self.left_out > 0 {
            let rest = units::bytes(u64::try_from(self.left_out).unwrap_or(u64::MAX));
            if usize::from(offset) <= self.lines.len() {
                document.blank();
            }
            document.line(vec![
                ("– ".into(), palette.warn),
                (format!("{rest} more not shown; virsh dumpxml has all"), palette.text),
            ]);
        }
        document
    }
}

/// Adds the lines of one line of `xml`, each broken to `width`. Gives where the
/// last of them ends, which is before the line's own end only if there were
/// too many.
fn break_line(
    xml: &str,
    place: Range<usize>,
    width: u16,
    within: &mut Within,
    lines: &mut Vec<Line>,
) -> usize {
    let line = xml[place.clone()].trim_end_matches(['\n', '\r']);
    let end = place.start + line.len();
    let indent = line.bytes().take_while(|byte| *byte == b' ').count();
    let rest_in = (indent + SET_IN).min(usize::from(width / 2));
    let (mut start, mut set_in) = (place.start, 0);
    loop {
        if lines.len() >= MAX_LINES {
            return start;
        }
        let room = usize::from(width).saturating_sub(set_in).max(1);
        let rest = &xml[start..end];
        let part = end_of(rest, room);
        lines.push(Line { place: start..start + part, set_in, within: *within });
        let next = end - rest[part..].trim_start().len();
        let passed = &xml[start..next];
        for (at, c) in passed.char_indices() {
            *within = step(*within, passed, at, c).1;
        }
        if start + part == end {
            return place.end;
        }
        (start, set_in) = (next, rest_in);
    }
}

/// Where a line of at most `room` columns ends: at a blank after its first
/// word, if there is one, else within the word.
fn end_of(line: &str, room: usize) -> usize {
    let mut used = 0;
    let mut blank = None;
    let mut word = false;
    for (at, grapheme) in line.grapheme_indices(true) {
        used += usize::from(text::width(grapheme));
        if used > room {
            // Not even one fits: it is cut by whoever draws it.
            return blank.unwrap_or(if at == 0 { grapheme.len() } else { at });
        }
        if grapheme != " " {
            word = true;
        } else if word {
            blank = Some(at);
        }
    }
    line.len()
}

/// Which part of the markup a line begins in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Within {
    Text,
    Name,
    Tag,
    Value(char),
    Comment,
}

/// Which part `c` at `at` of `line` belongs to, and which the next character.
fn step(within: Within, line: &str, at: usize, c: char) -> (Within, Within) {
    match (within, c) {
        (Within::Text, '<') if line[at..].starts_with("<!--") => (Within::Comment, Within::Comment),
        (Within::Text, '<') | (Within::Name, '/' | '?') => (Within::Tag, Within::Name),
        (Within::Comment, '>') if line[..at].ends_with("--") => (Within::Comment, Within::Text),
        (Within::Name | Within::Tag, '>') => (Within::Tag, Within::Text),
        (Within::Name, ' ') => (Within::Tag, Within::Tag),
        (Within::Tag, '\'' | '"') => (Within::Tag, Within::Value(c)),
        (Within::Value(quote), _) if c == quote => (Within::Tag, Within::Tag),
        (same, _) => (same, same),
    }
}

/// A line in pieces: names of elements, values, and what is around them.
fn coloured(line: &str, within: &mut Within, palette: &Palette) -> Pieces {
    let ink = |within: Within| -> Style {
        match within {
            Within::Text | Within::Value(_) => palette.text,
            Within::Name => palette.accent,
            Within::Tag => palette.dim,
            Within::Comment => palette.faint,
        }
    };
    let mut pieces: Pieces = Vec::new();
    for (at, c) in line.char_indices() {
        let (this, next) = step(*within, line, at, c);
        let style = ink(this);
        match pieces.last_mut() {
            Some((text, last)) if *last == style => text.push(c),
            _ => pieces.push((c.to_string(), style)),
        }
        *within = next;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Theme;

    fn drawn(xml: &str, width: u16) -> Vec<String> {
        let palette = Palette::of(Theme::Dark);
        let broken = Broken::new(xml.into(), width);
        let area = Rect::new(0, 0, width, broken.height());
        let document = broken.view(0, area.height, &palette);
        let mut buf = Buffer::empty(area);
        document.draw(0, area, &mut buf);
        let line = |y| (0..width).map(|x| buf[(x, y)].symbol().to_owned()).collect::<String>();
        (0..area.height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn long_lines_are_broken_and_nothing_of_them_is_lost() {
        let xml = "<disk>\n  <source file='/var/lib/images/a-long-name.qcow2' index='1'/>\n</disk>";
        assert_eq!(
            drawn(xml, 24),
            [
                "<disk>",
                "  <source",
                "      file='/var/lib/ima",
                "      ges/a-long-name.qc",
                "      ow2' index='1'/>",
                "</disk>"
            ]
        );
        let wide = drawn("<a>虚拟机虚拟机</a>", 5).concat().replace(' ', "");
        assert_eq!(wide, "<a>虚拟机虚拟机</a>");
        assert!(!drawn(xml, 1).is_empty() && !drawn(xml, 0).is_empty());
    }

    #[test]
    fn names_values_and_comments_have_inks_of_their_own_over_lines() {
        let palette = Palette::of(Theme::Dark);
        let mut within = Within::Text;
        let mut inks = |line: &str| -> Vec<(String, Style)> { coloured(line, &mut within, &palette) };
        let piece = |text: &str, ink: Style| (text.to_owned(), ink);
        assert_eq!(
            inks("<a b='c>'/>x"),
            [
                piece("<", palette.dim),
                piece("a", palette.accent),
                piece(" b='", palette.dim),
                piece("c>", palette.text),
                piece("'/>", palette.dim),
                piece("x", palette.text),
            ]
        );
        assert_eq!(inks("<!-- <a> "), [piece("<!-- <a> ", palette.faint)]);
        assert_eq!(inks("--></a>")[0], piece("-->", palette.faint));
    }

    #[test]
    fn a_part_of_a_broken_line_keeps_the_ink_of_what_it_is_in() {
        let palette = Palette::of(Theme::Dark);
        let broken = Broken::new("<source file='/a' index='1'/>\n<b/>".into(), 12);
        let inks: Vec<Within> = broken.lines.iter().map(|line| line.within).collect();
        assert_eq!(inks[..2], [Within::Text, Within::Tag]);
        assert_eq!(inks.last(), Some(&Within::Text));
        // The lines in view are coloured alike, whatever is above them.
        let area = Rect::new(0, 0, 12, 1);
        for offset in 0..broken.height() {
            let mut alone = Buffer::empty(area);
            broken.view(offset, 1, &palette).draw(0, area, &mut alone);
            let mut among = Buffer::empty(area);
            broken.view(0, broken.height(), &palette).draw(offset, area, &mut among);
            assert_eq!(alone, among, "line {offset}");
        }
    }

    #[test]
    fn of_a_very_large_text_the_beginning_is_shown_and_the_rest_is_told() {
        let palette = Palette::of(Theme::Dark);
        for text in ["x".repeat(MAX_BYTES * 4), "\n".repeat(MAX_BYTES), "é <a b='c'/>".repeat(MAX_BYTES)] {
            let broken = Broken::new(text.as_str().into(), 40);
            assert!(broken.lines.len() <= MAX_LINES && usize::from(broken.height()) > 1_000);
            let shown: usize = broken.lines.last().map_or(0, |line| line.place.end);
            assert!(broken.left_out > 0 && shown + broken.left_out <= text.len());
            let area = Rect::new(0, 0, 60, 5);
            let mut buf = Buffer::empty(area);
            broken.view(broken.height() - 5, 5, &palette).draw(0, area, &mut buf);
            let last: String = (0..60).map(|x| buf[(x, 4)].symbol().to_owned()).collect();
            assert!(last.contains("more not shown; virsh dumpxml"), "{last}");
        }
        let whole = Broken::new("<a/>\n".into(), 40);
        assert_eq!((whole.left_out, whole.height()), (0, 1));
    }

    #[test]
    fn a_text_is_broken_once_until_its_width_or_itself_changes() {
        let text: Arc<str> = "<a/>".into();
        let broken = Broken::new(Arc::clone(&text), 40);
        assert!(broken.is_of(&text, 40) && !broken.is_of(&text, 41) && !broken.is_of(&"<a/>".into(), 40));
    }
}
