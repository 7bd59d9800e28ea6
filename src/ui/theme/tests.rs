//! Every ink can be read on the ground it is drawn on.

use super::*;
use crate::config::{Depth, Theme};

/// Relative luminance as WCAG 2 defines it.
fn luminance(rgb: [u8; 3]) -> f64 {
    let [r, g, b] = rgb.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Contrast as WCAG 2 defines it: 1 to 21.
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The first 16 as the Linux console has them.
const CONSOLE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [170, 0, 0],
    [0, 170, 0],
    [170, 85, 0],
    [0, 0, 170],
    [170, 0, 170],
    [0, 170, 170],
    [170, 170, 170],
    [85, 85, 85],
    [255, 85, 85],
    [85, 255, 85],
    [255, 255, 85],
    [85, 85, 255],
    [255, 85, 255],
    [85, 255, 255],
    [255, 255, 255],
];

/// Every style of a palette by its name, with the contrast it needs.
fn styles(palette: &Palette) -> Vec<(&'static str, Style, f64)> {
    const TEXT: f64 = 4.5;
    const FAINT: f64 = 3.0;
    vec![
        ("text", palette.text, TEXT),
        ("strong", palette.strong, TEXT),
        ("dim", palette.dim, TEXT),
        ("old", palette.old, TEXT),
        ("faint", palette.faint, FAINT),
        ("accent", palette.accent, TEXT),
        ("ok", palette.ok, TEXT),
        ("warn", palette.warn, TEXT),
        ("crit", palette.crit, TEXT),
        // Rates are numbers as well as sparklines; fills are shapes alone.
        ("inward", palette.inward, TEXT),
        ("outward", palette.outward, TEXT),
        ("load", palette.load, FAINT),
        ("warn_fill", palette.warn_fill, FAINT),
        ("crit_fill", palette.crit_fill, FAINT),
        ("demo", palette.demo, TEXT),
        ("frozen", palette.frozen, TEXT),
        ("banner_note", palette.banner_note, TEXT),
        ("banner_warn", palette.banner_warn, TEXT),
        ("banner_crit", palette.banner_crit, TEXT),
    ]
}

/// The grounds people have: the first is what a terminal comes with.
fn grounds(theme: Theme) -> &'static [[u8; 3]] {
    match theme {
        Theme::Light => &[[255, 255, 255], [250, 250, 250]],
        _ => &[[0, 0, 0], [18, 20, 24]],
    }
}

fn too_faint(palette: &Palette, theme: Theme, first: &dyn Fn(u8) -> [u8; 3], least: f64) -> Vec<String> {
    let mut faint = Vec::new();
    for &ground in grounds(theme) {
        for (name, style, needed) in styles(palette) {
            let Some(ink) = style.fg.and_then(|ink| shown(ink, first)) else { continue };
            let own = style.bg.and_then(|ground| shown(ground, first));
            let needed = needed.min(least);
            let on = contrast(ink, own.unwrap_or(ground));
            if on < needed {
                faint.push(format!("{theme:?} {name}: {on:.2} < {needed} on {:?}", own.unwrap_or(ground)));
            }
            // What stands in a row is read when the row is selected, too.
            let selected = palette.selected.bg.and_then(|ground| shown(ground, first));
            if let (None, Some(selected)) = (own, selected) {
                let on = contrast(ink, selected);
                let needed = if name == "faint" { 2.0 } else { 3.0 };
                if on < needed {
                    faint.push(format!("{theme:?} {name}: {on:.2} < {needed} in the selected row"));
                }
            }
        }
    }
    faint
}

const THEMES: [Theme; 3] = [Theme::Dark, Theme::Light, Theme::Safe];

#[test]
fn every_ink_of_every_theme_can_be_read() {
    for depth in [Depth::Indexed, Depth::Truecolor] {
        for theme in THEMES {
            let faint = too_faint(&Palette::at(theme, depth), theme, &rgb, 21.0);
            assert_eq!(faint, Vec::<String>::new(), "{depth:?}");
        }
    }
}

#[test]
fn a_gauge_is_told_from_its_track_and_the_track_from_the_screen() {
    for theme in THEMES {
        let palette = Palette::of(theme);
        let of = |colour: Option<Color>| colour.and_then(|colour| shown(colour, &rgb)).unwrap();
        let track = of(palette.track.bg);
        for fill in [palette.load, palette.warn_fill, palette.crit_fill, palette.inward, palette.outward] {
            assert!(contrast(of(fill.fg), track) > 2.0, "{theme:?}: {fill:?}");
        }
        for &ground in grounds(theme) {
            assert!(contrast(track, ground) > 1.1, "{theme:?}");
            assert!(contrast(of(palette.selected.bg), ground) > 1.1, "{theme:?}");
        }
        assert_ne!(track, of(palette.selected.bg), "{theme:?}: seen in the selected row");
    }
}

#[test]
fn sixteen_colours_can_be_read_in_xterm_and_on_the_console() {
    for theme in THEMES {
        let palette = Palette::at(theme, Depth::Sixteen);
        // Plain colours differ between terminals: none falls below 3.
        assert_eq!(too_faint(&palette, theme, &rgb, 3.0), Vec::<String>::new(), "xterm");
        let console = |n: u8| CONSOLE[usize::from(n)];
        assert_eq!(too_faint(&palette, theme, &console, 3.0), Vec::<String>::new(), "console");
        // Nothing that is not a badge lies on a ground of its own.
        for style in [palette.selected, palette.track, palette.text, palette.dim, palette.faint] {
            assert_eq!(style.bg, None, "{theme:?}");
            assert_eq!(style.fg, None, "{theme:?}: the terminal's own ink");
        }
        let colours = styles(&palette).into_iter().flat_map(|(_, style, _)| [style.fg, style.bg]).flatten();
        for colour in colours {
            assert!(!matches!(colour, Color::Indexed(_) | Color::Rgb(..)), "{theme:?}: {colour:?}");
        }
    }
}

#[test]
fn truecolor_is_the_same_picture() {
    for theme in THEMES {
        let (indexed, exact) = (Palette::at(theme, Depth::Indexed), Palette::at(theme, Depth::Truecolor));
        for ((name, one, _), (_, other, _)) in styles(&indexed).into_iter().zip(styles(&exact)) {
            let of = |style: Style| [style.fg, style.bg].map(|c| c.and_then(|c| shown(c, &rgb)));
            assert_eq!(of(one), of(other), "{theme:?} {name}");
            assert!(matches!(other.fg, Some(Color::Rgb(..))), "{theme:?} {name}: {other:?}");
        }
    }
}

#[test]
fn without_colours_every_theme_is_mono() {
    for theme in THEMES {
        for (name, style, _) in styles(&Palette::at(theme, Depth::None)) {
            assert_eq!((style.fg, style.bg), (None, None), "{theme:?} {name}");
        }
    }
}

#[test]
fn severities_and_directions_differ_by_their_ink() {
    for depth in [Depth::Indexed, Depth::Sixteen] {
        for theme in THEMES {
            let palette = Palette::at(theme, depth);
            let severities = [palette.ok.fg, palette.warn.fg, palette.crit.fg];
            let fills = [palette.load.fg, palette.warn_fill.fg, palette.crit_fill.fg];
            for inks in [severities, fills] {
                assert!(
                    inks[0] != inks[1] && inks[1] != inks[2] && inks[0] != inks[2],
                    "{theme:?}: {inks:?}"
                );
            }
            assert_ne!(palette.inward.fg, palette.outward.fg, "{theme:?}");
        }
    }
}
