//! The sequence that goes from one look to another, in one go.
//!
//! Written here and not by crossterm: that sends the first 16 colours in the
//! form of the 256, which a terminal of 16 does not know and takes for
//! blinking; and where `NO_COLOR` is set, nothing in place of a colour, which
//! resets everything else, whatever theme was chosen.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use ratatui::style::{Color, Modifier};

use super::shown::Look;

/// As the terminal has it.
pub const PLAIN: Look = (Color::Reset, Color::Reset, Modifier::empty());

/// Modifiers, with the parameter that sets each.
const MODIFIERS: [(Modifier, u8); 9] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];

/// Goes from one look to another.
pub fn set(out: &mut impl Write, from: Look, to: Look) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    if to == PLAIN {
        return out.write_all(b"\x1b[m");
    }
    let mut sequence = String::from("\x1b[");
    let mut from = from;
    // There is no sure way to end a modifier but to end everything.
    if !to.2.contains(from.2) {
        sequence.push(';');
        from = PLAIN;
    }
    for (modifier, parameter) in MODIFIERS {
        if (to.2 - from.2).contains(modifier) {
            // Writing into a string does not fail.
            let _ = write!(sequence, "{parameter};");
        }
    }
    if to.0 != from.0 {
        colour(&mut sequence, to.0, 30);
    }
    if to.1 != from.1 {
        colour(&mut sequence, to.1, 40);
    }
    // The last parameter ends with the letter and not with a semicolon.
    sequence.pop();
    sequence.push('m');
    out.write_all(sequence.as_bytes())
}

/// A colour's parameters, each with a semicolon; `base` is 30 for the ink and
/// 40 for the ground.
fn colour(sequence: &mut String, colour: Color, base: u8) {
    let parameter = match colour {
        Color::Reset => base + 9,
        Color::Black => base,
        Color::Red => base + 1,
        Color::Green => base + 2,
        Color::Yellow => base + 3,
        Color::Blue => base + 4,
        Color::Magenta => base + 5,
        Color::Cyan => base + 6,
        Color::Gray => base + 7,
        Color::DarkGray => base + 60,
        Color::LightRed => base + 61,
        Color::LightGreen => base + 62,
        Color::LightYellow => base + 63,
        Color::LightBlue => base + 64,
        Color::LightMagenta => base + 65,
        Color::LightCyan => base + 66,
        Color::White => base + 67,
        Color::Indexed(index) => {
            let _ = write!(sequence, "{};5;{index};", base + 8);
            return;
        }
        Color::Rgb(r, g, b) => {
            let _ = write!(sequence, "{};2;{r};{g};{b};", base + 8);
            return;
        }
    };
    let _ = write!(sequence, "{parameter};");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(from: Look, to: Look) -> String {
        let mut bytes = Vec::new();
        set(&mut bytes, from, to).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_changed_is_sent_and_nothing_else() {
        let warm = (Color::Indexed(203), Color::Reset, Modifier::BOLD);
        assert_eq!(sent(PLAIN, warm), "\x1b[1;38;5;203m");
        assert_eq!(sent(warm, warm), "");
        assert_eq!(sent(warm, PLAIN), "\x1b[m");
        assert_eq!(sent(warm, (Color::Indexed(203), Color::Indexed(235), Modifier::BOLD)), "\x1b[48;5;235m");
        assert_eq!(sent(warm, (Color::Reset, Color::Reset, Modifier::BOLD)), "\x1b[39m");
        // Bold ends only with everything else.
        assert_eq!(sent(warm, (Color::Indexed(80), Color::Reset, Modifier::DIM)), "\x1b[;2;38;5;80m");
    }

    #[test]
    fn the_first_sixteen_are_sent_as_every_terminal_knows_them() {
        let badge = (Color::Black, Color::Yellow, Modifier::empty());
        assert_eq!(sent(PLAIN, badge), "\x1b[30;43m");
        assert_eq!(sent(PLAIN, (Color::LightRed, Color::White, Modifier::empty())), "\x1b[91;107m");
        assert_eq!(sent(PLAIN, (Color::Rgb(1, 2, 3), Color::Reset, Modifier::empty())), "\x1b[38;2;1;2;3m");
    }
}
