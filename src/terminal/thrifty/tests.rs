//! What a terminal shows after the bytes is what the buffer holds, and they
//! are fewer than ratatui's own.

use proptest::prelude::*;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

use super::*;

const SIZE: Rect = Rect::new(0, 0, 30, 6);

/// Text of any kind in one of a few looks, somewhere on the screen.
fn patch() -> impl Strategy<Value = (u16, u16, String, Style)> {
    let text = prop_oneof![
        "[ -~]{1,12}",
        "[▁▂▃▄▅▆▇█▏▍│─]{1,12}",
        "[a虚é●▶ x拟°–]{1,8}",
        Just("e\u{301}x".to_owned())
    ];
    let style = (0_u8..7, 0_u8..3, 0_u8..4).prop_map(|(ink, ground, modifier)| {
        let style = match ink {
            0 => Style::new(),
            1 => Style::new().fg(Color::Rgb(1, 2, 3)),
            2 => Style::new().fg(Color::Cyan),
            3 => Style::new().fg(Color::LightYellow),
            ink => Style::new().fg(Color::Indexed(60 + ink)),
        };
        let style = if ground == 0 { style } else { style.bg(Color::Indexed(230 + ground)) };
        style.add_modifier(
            [Modifier::empty(), Modifier::BOLD, Modifier::REVERSED, Modifier::BOLD | Modifier::UNDERLINED]
                [usize::from(modifier)],
        )
    });
    (0..SIZE.width, 0..SIZE.height, text, style)
}

/// What a terminal shows that was sent the changes from each buffer to the next.
fn shown(
    buffers: &[Buffer],
    mut send_to: impl FnMut(&mut Vec<u8>, &[(u16, u16, &Cell)]),
) -> (vt100::Parser, usize) {
    let mut terminal = vt100::Parser::new(SIZE.height, SIZE.width, 0);
    let mut before = Buffer::empty(SIZE);
    let mut sent = 0;
    for buffer in buffers {
        let mut bytes = Vec::new();
        send_to(&mut bytes, &before.diff(buffer));
        terminal.process(&bytes);
        sent += bytes.len();
        before = buffer.clone();
    }
    (terminal, sent)
}

fn thriftily() -> impl FnMut(&mut Vec<u8>, &[(u16, u16, &Cell)]) {
    let mut known = Shown::default();
    move |bytes, cells| send(bytes, cells, &mut known).unwrap()
}

/// What can be seen of a cell: of a blank not its ink.
fn seen(cell: &vt100::Cell) -> impl PartialEq + std::fmt::Debug {
    let marks = (cell.inverse(), cell.underline());
    let blank = cell.contents().trim().is_empty() && marks == (false, false);
    let ink = (!blank).then(|| (cell.contents().to_owned(), cell.fgcolor(), cell.bold()));
    (ink, cell.bgcolor(), marks, cell.is_wide(), cell.is_wide_continuation())
}

fn by_ratatui(bytes: &mut Vec<u8>, cells: &[(u16, u16, &Cell)]) {
    CrosstermBackend::new(bytes).draw(cells.iter().copied()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_terminal_shows_what_ratatui_would_have_shown(
        patches in prop::collection::vec(prop::collection::vec(patch(), 0..8), 1..6)
    ) {
        let mut buffer = Buffer::empty(SIZE);
        let buffers: Vec<Buffer> = patches
            .iter()
            .map(|patches| {
                for (x, y, text, style) in patches {
                    buffer.set_string(*x, *y, text, *style);
                }
                buffer.clone()
            })
            .collect();
        let (ours, _) = shown(&buffers, thriftily());
        let (theirs, _) = shown(&buffers, by_ratatui);
        prop_assert_eq!(ours.screen().contents(), theirs.screen().contents());
        for row in 0..SIZE.height {
            for column in 0..SIZE.width {
                let [ours, theirs] = [&ours, &theirs].map(|terminal| terminal.screen().cell(row, column));
                prop_assert_eq!(ours.map(seen), theirs.map(seen), "row {}, column {}", row, column);
            }
        }
        // Nothing is left set for what is written next.
        prop_assert_eq!(ours.screen().fgcolor(), vt100::Color::Default);
        prop_assert_eq!(ours.screen().bgcolor(), vt100::Color::Default);
        prop_assert!(!ours.screen().bold() && !ours.screen().underline() && !ours.screen().inverse());
    }
}

#[test]
fn numbers_that_change_here_and_there_cost_a_third() {
    let mut buffer = Buffer::empty(SIZE);
    let mut buffers = Vec::new();
    for digit in 0..4 {
        for y in 0..SIZE.height {
            for (x, ink) in [(2, 252), (6, 73), (11, 139), (19, 252), (25, 67)] {
                buffer.set_string(x, y, format!("{digit}"), Style::new().fg(Color::Indexed(ink)));
            }
        }
        buffers.push(buffer.clone());
    }
    let (_, ours) = shown(&buffers, thriftily());
    let (_, theirs) = shown(&buffers, by_ratatui);
    assert!(ours * 3 <= theirs, "{ours} bytes, and {theirs} by ratatui");
}

/// A writer whose bytes can be read while it is in use.
#[derive(Clone, Default)]
struct Line(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn where_nothing_changed_nothing_is_written() {
    let line = Line::default();
    let options = ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(SIZE) };
    let mut terminal = ratatui::Terminal::with_options(Thrifty::new(line.clone()), options).unwrap();
    let mut written = Vec::new();
    for picture in ["as it was", "as it was", "as it is", "as it is"] {
        terminal.draw(|frame| frame.render_widget(picture, frame.area())).unwrap();
        written.push(std::mem::take(&mut *line.0.borrow_mut()).len());
    }
    assert!(written[0] > 0 && written[2] > 0, "{written:?}");
    assert_eq!((written[1], written[3]), (0, 0));
}

#[test]
fn an_update_is_shown_at_once_and_the_cursor_hidden_once() {
    let line = Line::default();
    let mut terminal = Thrifty::new(line.clone());
    let cell = Cell::new("x");
    for turn in 0..3 {
        if turn == 2 {
            terminal.clear().unwrap();
        }
        terminal.draw([(1, 2, &cell)].into_iter()).unwrap();
        terminal.hide_cursor().unwrap();
        Backend::flush(&mut terminal).unwrap();
    }
    let text = String::from_utf8(line.0.take()).unwrap();
    let updates: Vec<&str> = text.split_inclusive("\x1b[?2026l").collect();
    assert_eq!(updates.len(), 3, "{text:?}");
    assert!(updates.iter().all(|update| update.matches("\x1b[?2026h").count() == 1), "{text:?}");
    assert_eq!(text.matches("\x1b[?25l").count(), 2, "again after clearing: {text:?}");
}
