//! A horizontal gauge of one line, in eighths of a column.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, widgets::Widget};

use super::{Look, glyph};

const EIGHTHS: [&str; 8] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A gauge. Only the drawing is clamped to 0…1, never a number beside it.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<'a> {
    /// How full, 0…1.
    pub fraction: f64,
    /// The filled part.
    pub fill: Style,
    /// Track and glyphs.
    pub look: &'a Look,
}

impl Widget for Gauge<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let eighths = filled_eighths(self.fraction, area.width);
        let style = self.fill.patch(self.look.palette.track);
        let coloured = self.look.palette.track_is_coloured;
        for column in 0..area.width {
            let rest = eighths.saturating_sub(u32::from(column) * 8);
            let cell = &mut buf[(area.x + column, area.y)];
            let symbol = match (self.look.ascii, rest) {
                (true, 4..) => glyph::ASCII_FULL,
                (true, _) => glyph::ASCII_TRACK,
                (false, 8..) => "█",
                (false, 0) if !coloured => "░",
                (false, part) => EIGHTHS[part as usize],
            };
            let ink = match (coloured, rest) {
                (true, _) => style,
                (false, 0) => self.look.palette.track,
                (false, _) => self.fill,
            };
            cell.set_symbol(symbol).set_style(ink);
        }
    }
}

/// A value above nothing shows at least one eighth: a gauge is empty only
/// where the value is.
fn filled_eighths(fraction: f64, width: u16) -> u32 {
    let whole = f64::from(width) * 8.0;
    let filled = (fraction.clamp(0.0, 1.0) * whole).round();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0…8·65535")]
    let filled = if filled.is_finite() { filled as u32 } else { 0 };
    if fraction > 0.005 { filled.max(1) } else { filled }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Theme;

    fn drawn(fraction: f64, width: u16, look: &Look) -> String {
        let mut buf = Buffer::empty(Rect::new(0, 0, width, 1));
        Gauge { fraction, fill: Style::new(), look }.render(buf.area, &mut buf);
        (0..width).map(|x| buf[(x, 0)].symbol().to_owned()).collect()
    }

    #[test]
    fn eighths_fill_from_the_left_and_never_overflow() {
        let look = Look::new(Theme::Dark, false);
        assert_eq!(drawn(0.0, 4, &look), "    ");
        assert_eq!(drawn(0.5, 4, &look), "██  ");
        assert_eq!(drawn(0.53125, 4, &look), "██▏ ");
        assert_eq!(drawn(0.01, 4, &look), "▏   ");
        assert_eq!(drawn(7.0, 4, &look), "████");
        assert_eq!(drawn(-1.0, 4, &look), "    ");
        assert_eq!(drawn(f64::NAN, 4, &look), "    ");
        assert_eq!(drawn(0.5, 4, &Look::new(Theme::Mono, false)), "██░░");
        assert_eq!(drawn(0.5, 4, &Look::new(Theme::Dark, true)), "##--");
    }
}
