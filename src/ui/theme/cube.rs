//! The upper 240 of xterm's 256 colours, which no terminal lets its user
//! change by habit: a cube of six steps each way, and a ramp of greys.

#[cfg(test)]
use ratatui::style::Color;

/// Red, green and blue of one of the 256 colours. The first 16 are a user's
/// own choice; they are given as xterm has them.
#[must_use]
pub fn rgb(index: u8) -> [u8; 3] {
    const XTERM: [[u8; 3]; 16] = [
        [0, 0, 0],
        [205, 0, 0],
        [0, 205, 0],
        [205, 205, 0],
        [0, 0, 238],
        [205, 0, 205],
        [0, 205, 205],
        [229, 229, 229],
        [127, 127, 127],
        [255, 0, 0],
        [0, 255, 0],
        [255, 255, 0],
        [92, 92, 255],
        [255, 0, 255],
        [0, 255, 255],
        [255, 255, 255],
    ];
    let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match index {
        0..16 => XTERM[usize::from(index)],
        16..232 => {
            let n = index - 16;
            [step(n / 36), step(n / 6 % 6), step(n % 6)]
        }
        232.. => [8 + 10 * (index - 232); 3],
    }
}

/// What a terminal shows for `colour` whose first 16 are `first`; `None`: what
/// it has where nothing is said.
#[cfg(test)]
pub fn shown(colour: Color, first: &dyn Fn(u8) -> [u8; 3]) -> Option<[u8; 3]> {
    let named = |n| Some(first(n));
    match colour {
        Color::Reset => None,
        Color::Indexed(index @ 0..16) => named(index),
        Color::Indexed(index) => Some(rgb(index)),
        Color::Rgb(r, g, b) => Some([r, g, b]),
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
    }
}
