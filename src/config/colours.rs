//! How many colours the screen uses: what was asked for, and what the
//! terminal is known to show.
//!
//! Judges by `TERM` and `COLORTERM` alone: asking the terminal itself would
//! cost a round trip, and an answer that comes late would be read as keys.

use std::ffi::OsStr;

/// How many colours a terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Any, given as red, green and blue.
    Truecolor,
    /// The 256 of xterm.
    #[default]
    Indexed,
    /// The first 16, whose look is the user's own choice.
    Sixteen,
    /// None: bold, dim, underlined and reversed are all there is.
    None,
}

/// `screen.colours`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// What the terminal is known to show.
    #[default]
    Auto,
    /// These, whatever the terminal says of itself.
    Of(Depth),
}

/// Terminals with 256 colours whose name does not say so.
const INDEXED: [&str; 9] =
    ["alacritty", "contour", "foot", "ghostty", "iterm", "kitty", "rio", "wezterm", "vte"];
/// Beginnings of names of terminals without colours.
const COLOURLESS: [&str; 6] = ["dumb", "vt1", "vt2", "vt3", "vt4", "unknown"];
/// These hand `COLORTERM` on from the terminal around them and have 16
/// colours all the same.
const SIXTEEN: [&str; 3] = ["linux", "screen", "ansi"];

impl Depth {
    /// What a terminal with these `TERM` and `COLORTERM` shows. Never
    /// [`Depth::Truecolor`]: our colours are among the 256, which look the
    /// same and take fewer bytes.
    #[must_use]
    pub fn of_terminal(term: Option<&OsStr>, colorterm: Option<&OsStr>) -> Self {
        let Some(term) = term.map(OsStr::to_string_lossy) else { return Self::None };
        let family = term.split_once('-').map_or(&*term, |(family, _)| family);
        if term.is_empty()
            || COLOURLESS.iter().any(|start| term.starts_with(start))
            || term.ends_with("-mono")
            || term.ends_with("-m")
        {
            return Self::None;
        }
        if term.contains("256color") || term.contains("direct") || term.contains("truecolor") {
            return Self::Indexed;
        }
        if SIXTEEN.contains(&family) {
            return Self::Sixteen;
        }
        let rich = colorterm.is_some_and(|value| value == "truecolor" || value == "24bit");
        if rich || INDEXED.iter().any(|name| term.contains(name)) { Self::Indexed } else { Self::Sixteen }
    }
}

impl Colours {
    /// The depth to draw with on a terminal of `terminal` depth.
    #[must_use]
    pub fn on(self, terminal: Depth) -> Depth {
        match self {
            Self::Auto => terminal,
            Self::Of(depth) => depth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(term: &str, colorterm: &str) -> Depth {
        let colorterm = (!colorterm.is_empty()).then(|| OsStr::new(colorterm));
        Depth::of_terminal(Some(OsStr::new(term)), colorterm)
    }

    #[test]
    fn terminals_are_known_by_their_names() {
        for term in [
            "xterm-256color",
            "tmux-256color",
            "screen-256color",
            "xterm-kitty",
            "alacritty",
            "xterm-ghostty",
            "foot",
        ] {
            assert_eq!(of(term, ""), Depth::Indexed, "{term}");
        }
        for term in ["xterm", "linux", "screen", "tmux", "rxvt", "xterm-16color", "no-such-terminal"] {
            assert_eq!(of(term, ""), Depth::Sixteen, "{term}");
        }
        for term in ["", "dumb", "vt100", "vt220", "xterm-mono", "unknown"] {
            assert_eq!(of(term, "truecolor"), Depth::None, "{term}");
        }
        assert_eq!(Depth::of_terminal(None, Some(OsStr::new("truecolor"))), Depth::None);
    }

    #[test]
    fn colorterm_raises_a_name_that_says_too_little_but_not_one_that_is_sure() {
        assert_eq!(of("xterm", "truecolor"), Depth::Indexed);
        assert_eq!(of("xterm", "24bit"), Depth::Indexed);
        assert_eq!(of("xterm", "yes"), Depth::Sixteen);
        // Inherited from the terminal around it.
        assert_eq!(of("linux", "truecolor"), Depth::Sixteen);
        assert_eq!(of("screen", "truecolor"), Depth::Sixteen);
    }

    #[test]
    fn what_was_asked_for_is_used_whatever_the_terminal_says() {
        assert_eq!(Colours::Auto.on(Depth::Sixteen), Depth::Sixteen);
        assert_eq!(Colours::Of(Depth::Truecolor).on(Depth::None), Depth::Truecolor);
        assert_eq!(Colours::Of(Depth::None).on(Depth::Indexed), Depth::None);
    }
}
