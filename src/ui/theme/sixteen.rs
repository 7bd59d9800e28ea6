//! Palettes of the first 16 colours, whose look is the user's own choice.
//!
//! Text, labels and what is faint stay in the terminal's own ink, bold or
//! dim: that is readable on whatever ground there is, also where somebody has
//! made the eighth colour the background. Colour is kept for what has a
//! meaning. Nothing lies on a coloured ground but badges and banners.

use ratatui::style::{Color, Modifier, Style};

use super::Palette;
use crate::config::Theme;

/// Colours of a theme.
struct Inks {
    accent: Color,
    ok: Color,
    warn: Color,
    crit: Color,
    load: Color,
    warn_fill: Color,
    crit_fill: Color,
    inward: Color,
    outward: Color,
    /// Ink and ground of a badge that only tells.
    note: (Color, Color),
}

/// Bright where the plain one is hard to read on black: blue and red are in
/// xterm and on the Linux console. There is no bright ground on the console.
const DARK: Inks = Inks {
    accent: Color::Cyan,
    ok: Color::Green,
    warn: Color::LightYellow,
    crit: Color::LightRed,
    load: Color::LightBlue,
    warn_fill: Color::LightYellow,
    crit_fill: Color::LightRed,
    inward: Color::Cyan,
    outward: Color::LightMagenta,
    note: (Color::Black, Color::Cyan),
};

/// Yellow, green and cyan cannot be read on white in many terminals.
const LIGHT: Inks = Inks {
    accent: Color::Blue,
    ok: Color::Blue,
    warn: Color::Magenta,
    crit: Color::Red,
    load: Color::Blue,
    warn_fill: Color::Magenta,
    crit_fill: Color::Red,
    inward: Color::Blue,
    outward: Color::Magenta,
    note: (Color::White, Color::Blue),
};

/// As dark, and good is blue: red and green are never set against each other.
const SAFE: Inks = Inks {
    ok: Color::LightBlue,
    crit: Color::LightMagenta,
    crit_fill: Color::LightMagenta,
    outward: Color::LightYellow,
    ..DARK
};

/// The palette of a theme in 16 colours.
pub(super) fn palette(theme: Theme) -> Palette {
    let inks = match theme {
        Theme::Dark => DARK,
        Theme::Light => LIGHT,
        Theme::Safe => SAFE,
        Theme::Mono => return Palette::mono(),
    };
    let ink = |colour: Color| Style::new().fg(colour);
    let bold = Modifier::BOLD;
    // Not bold: on the console bold black is dark grey.
    let badge = |(on, ground): (Color, Color)| ink(on).bg(ground);
    let loud = (Color::Black, Color::Yellow);
    let broken = (Color::White, Color::Red);
    Palette {
        accent: ink(inks.accent),
        ok: ink(inks.ok),
        warn: ink(inks.warn),
        crit: ink(inks.crit).add_modifier(bold),
        load: ink(inks.load),
        warn_fill: ink(inks.warn_fill),
        crit_fill: ink(inks.crit_fill),
        inward: ink(inks.inward),
        outward: ink(inks.outward),
        demo: badge(loud),
        frozen: badge(inks.note),
        banner_note: badge(inks.note),
        banner_warn: badge(loud),
        banner_crit: badge(broken),
        ..Palette::mono()
    }
}
