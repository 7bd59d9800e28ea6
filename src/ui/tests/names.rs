//! Names of every script and of no good will: whatever a VM is called, a
//! terminal shows every number of its row in its column.

use ratatui::{
    backend::{Backend as _, CrosstermBackend},
    buffer::Buffer,
};

use super::*;
use crate::app::{
    Key,
    fixtures::{Host, settings},
};

const NAMES: [&str; 18] = [
    "plain",
    "虚拟机-测试-生产-北京-数据库",
    "ｆｕｌｌｗｉｄｔｈ",
    "e\u{301}a\u{308}o\u{302} combining",
    "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}algo",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦👩\u{200d}👩\u{200d}👧\u{200d}👦👩\u{200d}👩\u{200d}👧\u{200d}👦",
    "🇩🇪🇫🇷🇺🇸 flags",
    "👍🏽👍🏿 skin",
    "⚠\u{fe0f}❤\u{fe0f} variant",
    "🖥🚀🔥 emoji",
    "שרת-ייצור-7",
    "خادم-الإنتاج-7",
    "abc\u{202e}fed\u{2066}x\u{2069}",
    "\u{200f}\u{200e}marks",
    "\u{200b}\u{feff}invisible\u{2060}",
    "\u{301}begins with a mark",
    "customer-0417-production-postgresql-replica-eu-central-1b-0003",
    "a\tb\nc\u{1b}[31m\u{7}\u{9b}2J",
];

/// A terminal that is sent the changes from picture to picture.
struct Sent {
    terminal: vt100::Parser,
    shown: Buffer,
}

impl Sent {
    fn new(width: u16, height: u16) -> Self {
        let shown = Buffer::empty(Rect::new(0, 0, width, height));
        Self { terminal: vt100::Parser::new(height, width, 0), shown }
    }

    fn send(&mut self, buf: &Buffer) {
        let mut bytes = Vec::new();
        CrosstermBackend::new(&mut bytes).draw(self.shown.diff(buf).into_iter()).unwrap();
        self.terminal.process(&bytes);
        self.shown = buf.clone();
    }

    /// Where the terminal does not show what the buffer holds.
    fn differences(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for y in 0..self.shown.area.height {
            let mut x = 0;
            while x < self.shown.area.width {
                let wanted = self.shown[(x, y)].symbol();
                let cell = self.terminal.screen().cell(y, x).unwrap();
                let there = if cell.has_contents() { cell.contents() } else { " " };
                if there != wanted {
                    wrong.push(format!("row {y}, column {x}: {there:?} and not {wanted:?}"));
                }
                x += text::width(wanted).max(1);
            }
        }
        wrong
    }
}

#[test]
fn every_number_stands_in_its_column_whatever_the_name() {
    for (width, height) in [(40, 12), (80, 24), (200, 60)] {
        let mut app = App::new(settings()).unwrap();
        let mut host = Host::named(&NAMES);
        let mut screen = Screen::new(app.screen());
        let mut sent = Sent::new(width, height);
        app.update(Message::Resize { width, height });
        app.update(Message::Frame(host.cycle()));
        // Rows change places, scroll and are drawn as cards: names come to
        // stand where others stood.
        for key in ["", "o", "jjjj", "G", "O", "v", "jj", "v", "/7\n", "\x1b", "\n", "\x1b"] {
            for key in key.chars() {
                app.update(Message::Key(match key {
                    '\n' => Key::Enter,
                    '\x1b' => Key::Esc,
                    key => Key::Char(key),
                }));
            }
            app.update(Message::Frame(host.cycle()));
            sent.send(&drawn(&mut screen, &app, width, height));
            assert_eq!(sent.differences(), Vec::<String>::new(), "after {key:?} at {width}x{height}");
        }
    }
}

#[test]
fn rows_are_aligned_to_each_other() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::named(&NAMES);
    for _ in 0..3 {
        app.update(Message::Frame(host.cycle()));
    }
    let mut screen = Screen::new(app.screen());
    let buf = drawn(&mut screen, &app, 120, 40);
    let mut sent = Sent::new(120, 40);
    sent.send(&buf);
    // The last sign of MEM's percentage stands below itself in every row.
    let columns: Vec<Vec<u16>> = (0..40)
        .map(|y| {
            let percent = |x: &u16| sent.terminal.screen().cell(y, *x).unwrap().contents() == "%";
            (0..120).filter(percent).collect::<Vec<u16>>()
        })
        .filter(|columns| columns.len() == 2)
        .collect();
    assert_eq!(columns.len(), NAMES.len(), "{}", text_of(&buf));
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{columns:?}");
}

#[test]
fn nothing_invisible_reaches_the_terminal() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::named(&NAMES);
    app.update(Message::Frame(host.cycle()));
    let mut screen = Screen::new(app.screen());
    for y in 0..NAMES.len() {
        for page in [Key::Home, Key::Enter, Key::Esc] {
            app.update(Message::Key(page));
            if page == Key::Home {
                app.update(Message::Key(Key::Down));
                (0..y).for_each(|_| drop(app.update(Message::Key(Key::Down))));
            }
            for cell in &drawn(&mut screen, &app, 120, 40).content {
                let hidden = |c: char| {
                    crate::model::name::is_unfit(c)
                        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
                };
                assert!(!cell.symbol().contains(hidden), "{:?}", cell.symbol());
            }
        }
    }
}
