//! A sparkline of angles: one column per cycle, growing from the right.
//!
//! A gap is a blank; a measured zero is the lowest mark, so that the two are
//! never mistaken for each other. Negative angles hang from the top.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::Look;
use crate::model::{AngleScale, history::Metric};

const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 8] = [".", ":", "-", "=", "+", "*", "*", "#"];

/// Draws `angles` with their inks, oldest first, into the right end of `area`.
/// `ceiling` is the angle that reaches the top.
pub fn draw(
    angles: impl Iterator<Item = Option<(f64, Style)>>,
    ceiling: f64,
    look: &Look,
    area: Rect,
    buf: &mut Buffer,
) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let angles: Vec<_> = angles.collect();
    let shown = &angles[angles.len().saturating_sub(usize::from(area.width))..];
    let blank = usize::from(area.width) - shown.len();
    for (column, angle) in (area.left()..area.right()).skip(blank).zip(shown) {
        let Some((angle, style)) = angle else { continue };
        let (symbol, style) = mark(*angle, ceiling, *style, look);
        buf[(column, area.y)].set_symbol(symbol).set_style(style);
    }
}

/// The angle that fills a sparkline: for CPU that of all vCPUs busy, since
/// no guest gets further; for all others 90°.
pub fn ceiling(metric: Metric, scale: &AngleScale) -> f64 {
    match metric {
        Metric::Cpu => scale.cpu_angle(1.0, 1.0).0.max(1.0),
        _ => 90.0,
    }
}

fn mark(angle: f64, ceiling: f64, style: Style, look: &Look) -> (&'static str, Style) {
    let share = (angle.abs() / ceiling).clamp(0.0, 1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0…7")]
    let level = ((share * 8.0) as usize).min(7);
    let falls = angle <= -0.05;
    // A quieter ink, so that it stands apart from the line above.
    let style = if falls { look.palette.dim } else { style };
    match (look.ascii, falls) {
        (true, true) => ("v", style),
        (true, false) => (ASCII_BARS[level], style),
        // The complement, reversed: a bar that hangs from the top.
        (false, true) if level < 7 => (BARS[6 - level], style.add_modifier(Modifier::REVERSED)),
        (false, _) => (BARS[level], style),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Theme;

    fn drawn(angles: &[Option<f64>], width: u16, ascii: bool) -> (String, Buffer) {
        let mut buf = Buffer::empty(Rect::new(0, 0, width, 1));
        let look = Look::new(Theme::Dark, ascii);
        let inked = angles.iter().map(|angle| angle.map(|angle| (angle, Style::new())));
        draw(inked, 90.0, &look, buf.area, &mut buf);
        ((0..width).map(|x| buf[(x, 0)].symbol().to_owned()).collect(), buf)
    }

    #[test]
    fn it_grows_from_the_right_and_a_gap_is_not_a_zero() {
        let angles = [Some(0.0), None, Some(45.0), Some(89.9)];
        assert_eq!(drawn(&angles, 6, false).0, "  ▁ ▅█");
        assert_eq!(drawn(&angles, 3, false).0, " ▅█");
        assert_eq!(drawn(&angles, 6, true).0, "  . +#");
        assert_eq!(drawn(&[], 3, false).0, "   ");
    }

    #[test]
    fn negative_angles_hang_from_the_top() {
        let (text, buf) = drawn(&[Some(10.0), Some(-10.0)], 2, false);
        assert_eq!(text, "▁▇");
        assert!(buf[(1, 0)].modifier.contains(Modifier::REVERSED));
        assert!(!buf[(0, 0)].modifier.contains(Modifier::REVERSED));
        assert_eq!(drawn(&[Some(-10.0)], 1, true).0, "v");
    }
}
