//! A VM's XML: read-only, coloured a little, long lines broken rather than cut.

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

/// The page's own memory.
#[derive(Debug, Default)]
pub struct Xml {
    scroller: Scroller,
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
            XmlState::Shown { at, .. } => format!("read at {}, without secrets", at.hms()),
            XmlState::Failed { .. } => "not read".to_owned(),
        };
        strip.left(2, vec![(said, palette.dim)]);
        strip.render(buf, inner.x, inner.y, inner.width);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..inner };
        let mut document = Document::default();
        match &xml.state {
            XmlState::Asked { since } => {
                let waited = units::span(app.now().since(*since));
                document.blank();
                document.line(vec![(format!("libvirt was asked for it {waited} ago"), palette.dim)]);
            }
            XmlState::Shown { text, .. } => lines(text, body.width, palette, &mut document),
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

/// The lines of `xml`, each broken to `width`.
fn lines(xml: &str, width: u16, palette: &Palette, document: &mut Document) {
    let mut within = Within::Text;
    for line in xml.lines() {
        let mut rest = line;
        let indent = line.chars().take_while(|c| *c == ' ').count();
        let set_in = (indent + SET_IN).min(usize::from(width / 2));
        let mut lead = String::new();
        loop {
            let room = usize::from(width).saturating_sub(lead.len()).max(1);
            let (part, after) = rest.split_at(end_of(rest, room));
            let mut pieces: Pieces = vec![(std::mem::take(&mut lead), palette.text)];
            pieces.extend(coloured(part, &mut within, palette));
            document.line(pieces);
            if after.is_empty() {
                break;
            }
            rest = after.trim_start();
            lead = " ".repeat(set_in);
        }
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
        let (this, next) = match (*within, c) {
            (Within::Text, '<') if line[at..].starts_with("<!--") => (Within::Comment, Within::Comment),
            (Within::Text, '<') | (Within::Name, '/' | '?') => (Within::Tag, Within::Name),
            (Within::Comment, '>') if line[..at].ends_with("--") => (Within::Comment, Within::Text),
            (Within::Name | Within::Tag, '>') => (Within::Tag, Within::Text),
            (Within::Name, ' ') => (Within::Tag, Within::Tag),
            (Within::Tag, '\'' | '"') => (Within::Tag, Within::Value(c)),
            (Within::Value(quote), _) if c == quote => (Within::Tag, Within::Tag),
            (same, _) => (same, same),
        };
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
        let mut document = Document::default();
        lines(xml, width, &palette, &mut document);
        let area = Rect::new(0, 0, width, document.height());
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
}
