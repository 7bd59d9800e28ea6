//! A gauge of several parts, each with an ink and a sign of its own, so that
//! they are told apart without colours too.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

use crate::ui::{Look, gauge::Gauge};

/// A part after the first one.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where it ends, 0…1.
    pub end: f64,
    /// Its sign.
    pub sign: &'static str,
    /// Its ink.
    pub ink: Style,
}

/// A bar: a solid first part, others after it, and a mark across.
#[derive(Clone, Debug)]
pub struct Bar<'a> {
    /// Where the first part ends, 0…1.
    pub first: f64,
    /// Its ink.
    pub fill: Style,
    /// What follows it, in order.
    pub parts: &'a [Part],
    /// A place to mark, 0…1, and the ink.
    pub mark: Option<(f64, Style)>,
    /// Track and signs.
    pub look: &'a Look,
}

/// The sign of the mark.
pub const MARK: &str = "│";

impl Widget for Bar<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        Gauge { fraction: self.first, fill: self.fill, look: self.look }.render(area, buf);
        let mut from = columns(self.first, area.width, f64::ceil);
        for part in self.parts {
            let mut to = columns(part.end, area.width, f64::round);
            // What is there is seen, if only as one column.
            if to <= from && part.end - self.first > 0.005 && from < area.width {
                to = from + 1;
            }
            for x in from..to {
                let cell = &mut buf[(area.x + x, area.y)];
                let ground = self.look.palette.track;
                cell.set_symbol(part.sign).set_style(part.ink.patch(ground));
            }
            from = from.max(to);
        }
        if let Some((at, ink)) = self.mark {
            let x = columns(at, area.width, f64::floor).min(area.width - 1);
            buf[(area.x + x, area.y)].set_symbol(MARK).set_style(ink);
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0…65535")]
fn columns(fraction: f64, width: u16, whole: fn(f64) -> f64) -> u16 {
    if !fraction.is_finite() {
        return 0;
    }
    whole(fraction.clamp(0.0, 1.0) * f64::from(width)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Theme, ui::glyph};

    fn drawn(first: f64, parts: &[(f64, &'static str)], mark: Option<f64>, ascii: bool) -> String {
        let look = Look::new(if ascii { Theme::Dark } else { Theme::Mono }, ascii);
        let parts: Vec<Part> =
            parts.iter().map(|&(end, sign)| Part { end, sign, ink: Style::new() }).collect();
        let mut buf = Buffer::empty(Rect::new(0, 0, 10, 1));
        let mark = mark.map(|at| (at, Style::new()));
        Bar { first, fill: Style::new(), parts: &parts, mark, look: &look }.render(buf.area, &mut buf);
        if ascii {
            glyph::to_ascii(&mut buf);
        }
        (0..10).map(|x| buf[(x, 0)].symbol().to_owned()).collect()
    }

    #[test]
    fn parts_follow_each_other_and_a_small_one_is_still_seen() {
        let of_memory = [(0.6, "▒"), (0.8, "░"), (1.0, "·")];
        assert_eq!(drawn(0.3, &of_memory, Some(0.7), false), "███▒▒▒░│··");
        assert_eq!(drawn(0.3, &of_memory, Some(0.7), true), "###===-|..");
        assert_eq!(drawn(0.5, &[(0.52, "▒")], None, false), "█████▒░░░░");
        assert_eq!(drawn(0.5, &[(0.5, "▒")], None, false), "█████░░░░░", "none is none");
        assert_eq!(drawn(1.0, &[(1.4, "▒")], Some(1.6), false), "█████████│");
        assert_eq!(drawn(f64::NAN, &[(f64::NAN, "▒")], Some(f64::NAN), false), "│░░░░░░░░░");
    }
}
