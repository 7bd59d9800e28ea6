//! Every page at three sizes in colour: text with the meaning of each run of
//! ink, as `[warn]!76%[/]`, so that a wrong colour is seen in a review and
//! fails a test. Meanings and not colours: a theme may change its inks.

use ratatui::style::Style;

use super::{small::pages, *};

/// Every style that has a meaning, by its name in the palette. Of two that
/// look alike in the dark theme the first is named.
fn meanings(palette: &Palette) -> Vec<(&'static str, Style)> {
    vec![
        ("text", palette.text),
        ("strong", palette.strong),
        ("dim", palette.dim),
        ("old", palette.old),
        ("faint", palette.faint),
        ("accent", palette.accent),
        ("ok", palette.ok),
        ("warn", palette.warn),
        ("crit", palette.crit),
        ("load", palette.load),
        ("warnfill", palette.warn_fill),
        ("critfill", palette.crit_fill),
        ("inward", palette.inward),
        ("outward", palette.outward),
        ("note", palette.banner_note),
        ("WARN", palette.banner_warn),
        ("CRIT", palette.banner_crit),
    ]
}

/// The name of how a cell looks: a meaning, `+` bold where the meaning is
/// not, `_` on a track, `>` in the selected row.
fn meaning(palette: &Palette, cell: &ratatui::buffer::Cell) -> String {
    let style = cell.style();
    let own = |wanted: Style| (style.fg == wanted.fg.or(style.fg), style.add_modifier == wanted.add_modifier);
    let badge = meanings(palette)
        .into_iter()
        .find(|(_, wanted)| wanted.bg.is_some() && wanted.bg == style.bg && own(*wanted) == (true, true));
    if let Some((name, _)) = badge {
        return name.to_owned();
    }
    let inks = || meanings(palette).into_iter().filter(|(_, wanted)| wanted.bg.is_none());
    let exact = inks().find(|(_, wanted)| own(*wanted) == (true, true));
    let mut name = match exact.or_else(|| inks().find(|(_, wanted)| own(*wanted).0)) {
        Some((name, _)) if exact.is_some() => name.to_owned(),
        Some((name, _)) => format!("{name}+{:?}", style.add_modifier),
        None => format!("{:?}", style.fg),
    };
    match style.bg {
        None | Some(ratatui::style::Color::Reset) => {}
        ground if ground == palette.selected.bg => name.insert(0, '>'),
        ground if ground == palette.track.bg => name.push('_'),
        ground => name = format!("{name} on {ground:?}"),
    }
    name
}

/// A buffer with its inks; blanks without a ground belong to any run.
fn inked(buf: &Buffer, palette: &Palette) -> String {
    let mut text = String::new();
    for row in buf.content.chunks(usize::from(buf.area.width.max(1))) {
        let mut line = String::new();
        let mut run = "text".to_owned();
        let mut hidden = 0;
        for cell in row {
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            let plain = cell.bg == ratatui::style::Color::Reset;
            if !(plain && cell.symbol() == " ") {
                let own = meaning(palette, cell);
                if own != run {
                    line.push('[');
                    line.push_str(if own == "text" { "/" } else { &own });
                    line.push(']');
                    run = own;
                }
            }
            line.push_str(cell.symbol());
            hidden = text::width(cell.symbol()).saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn every_page_in_colour() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        for (name, mut app) in pages() {
            // What was logged depends on the tests that ran before; of the
            // others the fleet shows all but the last line.
            if ["log", "filtered", "filtering", "export", "quit", "vm-disks"].contains(&name) {
                continue;
            }
            app.update(Message::Resize { width, height });
            let mut screen = Screen::new(app.screen());
            let buf = drawn(&mut screen, &app, width, height);
            let text = inked(&buf, &Palette::of(app.theme()));
            assert!(
                !text.contains(" on Some") && !text.contains("[Some"),
                "an ink without a meaning: {text}"
            );
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), text);
        }
    }
}

#[test]
fn a_wrong_ink_is_seen() {
    let palette = Palette::of(config::Theme::Dark);
    let mut buf = Buffer::empty(Rect::new(0, 0, 24, 1));
    text::put(&mut buf, 0, 0, 24, "CPU ", palette.text);
    text::put(&mut buf, 4, 0, 20, "!76%", palette.warn);
    text::put(&mut buf, 9, 0, 15, "██", palette.load.patch(palette.track));
    text::put(&mut buf, 12, 0, 9, "DEMO", palette.demo);
    assert_eq!(inked(&buf, &palette), "CPU [warn]!76% [load_]██ [WARN]DEMO\n");
    buf[(4, 0)].set_style(palette.crit);
    assert_eq!(inked(&buf, &palette), "CPU [crit]![warn]76% [load_]██ [WARN]DEMO\n");
}
