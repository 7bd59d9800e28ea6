//! Signs: a glyph for every state, and the plain characters that stand in
//! for all of them in ASCII mode.

use ratatui::{buffer::Buffer, style::Style};

use super::theme::{Palette, Severity};
use crate::{
    app::fleet::is_hung,
    model::{DomainFrame, DomainState, frame::Health},
};

/// Filled part of a gauge in ASCII mode.
pub const ASCII_FULL: &str = "#";
/// Unfilled part of a gauge in ASCII mode.
pub const ASCII_TRACK: &str = "-";

/// What a VM's glyph says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Running and answering.
    Running,
    /// Running, and some of it is missing.
    Impaired,
    /// Its monitor does not answer.
    Hung,
    /// Paused.
    Paused,
    /// Suspended by its own power management.
    Suspended,
    /// Being shut down.
    ShuttingDown,
    /// Off.
    Off,
    /// Crashed.
    Crashed,
    /// In no state libvirt knows.
    Unknown,
}

impl Condition {
    /// All of them, as the legend lists them.
    pub const ALL: [Self; 9] = [
        Self::Running,
        Self::Impaired,
        Self::Hung,
        Self::Paused,
        Self::Suspended,
        Self::ShuttingDown,
        Self::Off,
        Self::Crashed,
        Self::Unknown,
    ];

    /// The condition of a VM in a frame.
    #[must_use]
    pub fn of(domain: &DomainFrame) -> Self {
        if is_hung(domain) {
            return Self::Hung;
        }
        match domain.state() {
            DomainState::Running | DomainState::Blocked => match domain.health {
                Health::Impaired(_) => Self::Impaired,
                _ => Self::Running,
            },
            DomainState::Paused => Self::Paused,
            DomainState::PmSuspended => Self::Suspended,
            DomainState::Shutdown => Self::ShuttingDown,
            DomainState::Shutoff => Self::Off,
            DomainState::Crashed => Self::Crashed,
            DomainState::NoState => Self::Unknown,
        }
    }

    /// Its sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Running => "●",
            Self::Impaired => "◐",
            Self::Hung => "◌",
            Self::Paused => "‖",
            Self::Suspended => "z",
            Self::ShuttingDown => "↓",
            Self::Off => "○",
            Self::Crashed => "✖",
            Self::Unknown => "?",
        }
    }

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Impaired => "in part",
            Self::Hung => "hung",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::ShuttingDown => "stopping",
            Self::Off => "off",
            Self::Crashed => "crashed",
            Self::Unknown => "unknown",
        }
    }

    /// Its ink.
    #[must_use]
    pub fn style(self, palette: &Palette) -> Style {
        match self {
            Self::Running => palette.ok,
            Self::Impaired | Self::Paused | Self::Suspended | Self::ShuttingDown => palette.warn,
            Self::Hung | Self::Crashed => palette.crit,
            Self::Off | Self::Unknown => palette.faint,
        }
    }
}

/// The sign before a number that another one stands in for.
pub const STAND_IN: &str = "~";

/// The sign before a number over a threshold.
#[must_use]
pub fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Calm => " ",
        Severity::Warn => "!",
        Severity::Critical => "‼",
    }
}

/// Replaces every character that is not ASCII, after everything was drawn:
/// so no panel has to think of it, and names cannot bring any in either.
pub fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if !cell.symbol().is_ascii() {
            let plain = plain(cell.symbol());
            cell.set_symbol(plain);
        }
    }
}

fn plain(symbol: &str) -> &'static str {
    match symbol {
        "●" => "*",
        "◌" => "!",
        "‖" | "│" | "┃" | "▏" | "▕" => "|",
        "↓" | "▼" => "v",
        "↑" | "▲" => "^",
        "○" => "o",
        "✖" | "‼" => "X",
        "■" | "█" | "▉" | "▓" => "#",
        "◐" | "▪" => "+",
        "▒" => "=",
        "–" | "—" | "─" | "━" | "░" => "-",
        "·" | "•" => ".",
        "°" => "d",
        "…" => "~",
        "▶" | "›" | "→" | "≥" => ">",
        "‹" | "←" => "<",
        "×" => "x",
        "µ" => "u",
        "“" | "”" => "\"",
        _ => "?",
    }
}
