//! Colours by meaning. Panels ask for a meaning; only this file knows colours.
//!
//! The themes are chosen from the 256 colours of xterm, which look alike
//! everywhere; in truecolor the same ones are sent by their red, green and
//! blue. With 16 colours, whose look is the user's own choice, and with none
//! there are palettes of their own. The screen's background is left to the
//! terminal.

mod cube;
mod sixteen;
#[cfg(test)]
mod tests;

use ratatui::style::{Color, Modifier, Style};

use crate::config;
pub use cube::rgb;
#[cfg(test)]
pub(super) use cube::shown;

/// How much a value asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to see.
    Calm,
    /// Over the first threshold.
    Warn,
    /// Over the second.
    Critical,
}

impl Severity {
    /// The severity of `percent` against the two thresholds.
    #[must_use]
    pub fn of(percent: f64, (warn, critical): (f64, f64)) -> Self {
        if percent >= critical {
            Self::Critical
        } else if percent >= warn {
            Self::Warn
        } else {
            Self::Calm
        }
    }
}

/// A style for every meaning.
#[derive(Clone, Debug)]
pub struct Palette {
    /// Ordinary text.
    pub text: Style,
    /// Names and values that matter.
    pub strong: Style,
    /// Labels and units.
    pub dim: Style,
    /// Numbers of an earlier cycle.
    pub old: Style,
    /// Rules, tracks and things that are off.
    pub faint: Style,
    /// The program's own colour: keys, sort arrow, pane in focus.
    pub accent: Style,
    /// Laid under the selected row.
    pub selected: Style,
    /// The unfilled part of a gauge.
    pub track: Style,
    /// Whether the track is visible by its background.
    pub track_is_coloured: bool,
    /// Good.
    pub ok: Style,
    /// Over the first threshold, or not as it should be.
    pub warn: Style,
    /// Over the second threshold, or broken.
    pub crit: Style,
    /// CPU and memory while calm.
    pub load: Style,
    /// Gauges over the first threshold: a quieter ink, since there is much of it.
    pub warn_fill: Style,
    /// Gauges over the second.
    pub crit_fill: Style,
    /// Read from disk, received from the network.
    pub inward: Style,
    /// Written to disk, sent to the network.
    pub outward: Style,
    /// The DEMO badge.
    pub demo: Style,
    /// The badge of a frozen screen.
    pub frozen: Style,
    /// A banner that only tells.
    pub banner_note: Style,
    /// A banner about something stopped on purpose.
    pub banner_warn: Style,
    /// A banner about something broken.
    pub banner_crit: Style,
}

impl Palette {
    /// The palette of a theme in 256 colours.
    #[must_use]
    pub fn of(theme: config::Theme) -> Self {
        Self::at(theme, config::Depth::Indexed)
    }

    /// The palette of a theme in so many colours.
    #[must_use]
    pub fn at(theme: config::Theme, depth: config::Depth) -> Self {
        let inks = match theme {
            config::Theme::Mono => return Self::mono(),
            config::Theme::Dark => DARK,
            config::Theme::Light => LIGHT,
            config::Theme::Safe => SAFE,
        };
        match depth {
            config::Depth::Truecolor => Self::coloured(&inks, |index| {
                let [r, g, b] = rgb(index);
                Color::Rgb(r, g, b)
            }),
            config::Depth::Indexed => Self::coloured(&inks, Color::Indexed),
            config::Depth::Sixteen => sixteen::palette(theme),
            config::Depth::None => Self::mono(),
        }
    }

    fn coloured(inks: &Inks, colour: impl Fn(u8) -> Color) -> Self {
        let ink = |index: u8| Style::new().fg(colour(index));
        let badge = |on: u8, ground: u8| ink(on).bg(colour(ground)).add_modifier(Modifier::BOLD);
        Self {
            text: ink(inks.text),
            strong: ink(inks.strong).add_modifier(Modifier::BOLD),
            dim: ink(inks.dim),
            old: ink(inks.old),
            faint: ink(inks.faint),
            accent: ink(inks.accent),
            selected: Style::new().bg(colour(inks.selected)),
            track: Style::new().bg(colour(inks.track)),
            track_is_coloured: true,
            ok: ink(inks.ok),
            warn: ink(inks.warn),
            crit: ink(inks.crit).add_modifier(Modifier::BOLD),
            load: ink(inks.load),
            warn_fill: ink(inks.warn_fill),
            crit_fill: ink(inks.crit_fill),
            inward: ink(inks.inward),
            outward: ink(inks.outward),
            demo: badge(inks.on_badge, inks.warn),
            frozen: badge(inks.on_badge, inks.accent),
            banner_note: badge(inks.on_badge, inks.accent),
            banner_warn: badge(inks.on_badge, inks.warn),
            banner_crit: badge(inks.on_crit_badge, inks.crit_badge),
        }
    }

    fn mono() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let reversed = plain.add_modifier(Modifier::REVERSED);
        Self {
            text: plain,
            strong: bold,
            dim: plain,
            old: plain.add_modifier(Modifier::DIM),
            faint: plain.add_modifier(Modifier::DIM),
            accent: bold,
            selected: bold,
            track: plain.add_modifier(Modifier::DIM),
            track_is_coloured: false,
            ok: plain,
            warn: bold,
            crit: bold.add_modifier(Modifier::UNDERLINED),
            load: plain,
            warn_fill: plain,
            crit_fill: plain,
            inward: plain,
            outward: plain,
            demo: reversed,
            frozen: reversed,
            banner_note: reversed,
            banner_warn: reversed,
            banner_crit: reversed.add_modifier(Modifier::BOLD),
        }
    }

    /// The ink of a CPU or memory gauge.
    #[must_use]
    pub fn fill(&self, severity: Severity) -> Style {
        match severity {
            Severity::Calm => self.load,
            Severity::Warn => self.warn_fill,
            Severity::Critical => self.crit_fill,
        }
    }

    /// The ink of a severity; calm values take `calm`.
    #[must_use]
    pub fn severity(&self, severity: Severity, calm: Style) -> Style {
        match severity {
            Severity::Calm => calm,
            Severity::Warn => self.warn,
            Severity::Critical => self.crit,
        }
    }
}

/// Colour numbers of a coloured theme.
struct Inks {
    text: u8,
    strong: u8,
    dim: u8,
    old: u8,
    faint: u8,
    accent: u8,
    selected: u8,
    track: u8,
    ok: u8,
    warn: u8,
    crit: u8,
    load: u8,
    warn_fill: u8,
    crit_fill: u8,
    inward: u8,
    outward: u8,
    on_badge: u8,
    crit_badge: u8,
    on_crit_badge: u8,
}

/// For dark backgrounds.
const DARK: Inks = Inks {
    text: 252,
    strong: 255,
    dim: 248,
    old: 245,
    faint: 243,
    accent: 80,
    selected: 237,
    track: 235,
    ok: 114,
    warn: 221,
    crit: 203,
    load: 67,
    warn_fill: 179,
    crit_fill: 167,
    inward: 73,
    outward: 139,
    on_badge: 232,
    crit_badge: 160,
    on_crit_badge: 231,
};

/// For light backgrounds.
const LIGHT: Inks = Inks {
    text: 236,
    strong: 232,
    dim: 240,
    old: 242,
    faint: 244,
    accent: 23,
    selected: 254,
    track: 252,
    ok: 28,
    warn: 130,
    crit: 160,
    load: 60,
    warn_fill: 130,
    crit_fill: 160,
    inward: 25,
    outward: 97,
    on_badge: 231,
    crit_badge: 160,
    on_crit_badge: 231,
};

/// Blue, orange and yellow stay apart for every common kind of colour
/// blindness; red and green are never set against each other.
const SAFE: Inks = Inks {
    text: 252,
    strong: 255,
    dim: 248,
    old: 245,
    faint: 243,
    accent: 117,
    selected: 237,
    track: 236,
    ok: 75,
    warn: 220,
    crit: 208,
    load: 68,
    warn_fill: 178,
    crit_fill: 208,
    inward: 117,
    outward: 180,
    on_badge: 232,
    crit_badge: 208,
    on_crit_badge: 232,
};
