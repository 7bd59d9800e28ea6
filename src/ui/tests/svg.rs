//! A buffer as a picture: what a terminal would show, as SVG.
//!
//! Blocks and lines are drawn as shapes and every run of text is held to the
//! width of its cells, so that it looks the same with whatever monospaced font
//! its reader has. No scripts, no fonts from elsewhere.

use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use crate::ui::{text, theme::shown};

/// A cell in pixels, and the room around the screen.
const CELL: (u32, u32) = (8, 17);
const MARGIN: u32 = 12;
/// From the top of a cell to the line that letters stand on.
const BASELINE: u32 = 13;
/// What a dark terminal has where nothing is said.
const INK: [u8; 3] = [0xd0, 0xd0, 0xd0];
const GROUND: [u8; 3] = [0x12, 0x14, 0x18];

/// The first 16 colours as xterm has them, in a form that is kind to the eye.
const NAMED: [[u8; 3]; 16] = [
    [0x1c, 0x1c, 0x1c],
    [0xcc, 0x55, 0x55],
    [0x6a, 0xa8, 0x5f],
    [0xc5, 0x9d, 0x4a],
    [0x5a, 0x8a, 0xc6],
    [0xa8, 0x74, 0xb8],
    [0x56, 0xa5, 0xa5],
    [0xc8, 0xc8, 0xc8],
    [0x70, 0x70, 0x70],
    [0xe8, 0x7b, 0x7b],
    [0x8f, 0xca, 0x84],
    [0xe3, 0xc1, 0x76],
    [0x85, 0xb0, 0xe4],
    [0xc9, 0x9a, 0xd6],
    [0x82, 0xc9, 0xc9],
    [0xf4, 0xf4, 0xf4],
];

/// Left, top, width and height of a rectangle in pixels.
type Place = (u32, u32, u32, u32);

/// How a cell looks.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    ink: [u8; 3],
    ground: [u8; 3],
    bold: bool,
    underlined: bool,
    italic: bool,
}

/// The picture of a whole buffer; `title` is what it says to those who cannot
/// see it.
pub fn of(buf: &Buffer, title: &str) -> String {
    let (columns, rows) = (u32::from(buf.area.width), u32::from(buf.area.height));
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" \
         fill=\"{}\"/>\n<g transform=\"translate({MARGIN} {MARGIN})\" font-family=\"'DejaVu Sans Mono', Menlo, \
         Consolas, 'Liberation Mono', monospace\" font-size=\"13\" shape-rendering=\"crispEdges\">\n",
        escaped(title),
        hex(GROUND),
    );
    for (y, row) in (0..).zip(buf.content.chunks(usize::from(buf.area.width.max(1)))) {
        let looks: Vec<Look> = row.iter().map(look).collect();
        grounds(&mut svg, &looks, y);
        signs(&mut svg, row, &looks, y);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Backgrounds, each run of one colour as a rectangle.
fn grounds(svg: &mut String, looks: &[Look], y: u32) {
    let mut x = 0;
    for run in looks.chunk_by(|a, b| a.ground == b.ground) {
        let columns = u32::try_from(run.len()).unwrap();
        if run[0].ground != GROUND {
            let (left, width) = (x * CELL.0, columns * CELL.0);
            rectangle(svg, (left, y * CELL.1, width, CELL.1), run[0].ground);
        }
        x += columns;
    }
}

/// What stands in the cells: shapes, and runs of text between them.
fn signs(svg: &mut String, row: &[Cell], looks: &[Look], y: u32) {
    let (mut run, mut bar) = (Run::default(), Bar(None));
    let mut x: u32 = 0;
    while let Some(cell) = row.get(x as usize) {
        let symbol = cell.symbol();
        let columns = u32::from(text::width(symbol)).max(1);
        let look = looks[x as usize];
        let blank = symbol.trim().is_empty() && !look.underlined;
        if blank || run.look != Some(look) || columns > 1 || shape(symbol).is_some() {
            // A lone blank between words stays within their run.
            let joins = blank && run.look == Some(look) && !run.text.ends_with(' ');
            if !joins {
                run.write(svg, y);
            }
        }
        match shape(symbol) {
            Some(shapes) => {
                for (left, top, width, height) in shapes {
                    let place = (x * CELL.0 + left, y * CELL.1 + top, width, height);
                    bar.extend(svg, place, look.ink);
                }
            }
            None if blank && run.text.is_empty() => {}
            None => {
                run.push(x, columns, symbol, look);
                if columns > 1 {
                    run.write(svg, y);
                }
            }
        }
        x += columns;
    }
    run.write(svg, y);
    bar.write(svg);
}

/// A rectangle that grows to the right while more
/// of its height and ink follows.
struct Bar(Option<(Place, [u8; 3])>);

impl Bar {
    fn extend(&mut self, svg: &mut String, place: Place, fill: [u8; 3]) {
        match &mut self.0 {
            Some(((left, top, width, height), ink))
                if *ink == fill && (place.0, place.1, place.3) == (*left + *width, *top, *height) =>
            {
                *width += place.2;
            }
            _ => {
                self.write(svg);
                self.0 = Some((place, fill));
            }
        }
    }

    fn write(&mut self, svg: &mut String) {
        if let Some((place, fill)) = self.0.take() {
            rectangle(svg, place, fill);
        }
    }
}

/// Text of one look in neighbouring cells.
#[derive(Default)]
struct Run {
    x: u32,
    columns: u32,
    text: String,
    look: Option<Look>,
}

impl Run {
    fn push(&mut self, x: u32, columns: u32, symbol: &str, look: Look) {
        if self.text.is_empty() {
            self.x = x;
            self.look = Some(look);
        }
        self.columns += columns;
        self.text.push_str(symbol);
    }

    fn write(&mut self, svg: &mut String, y: u32) {
        let run = std::mem::take(self);
        let text = run.text.trim_end();
        let Some(look) = run.look.filter(|_| !text.is_empty()) else { return };
        let columns = run.columns - u32::try_from(run.text.len() - text.len()).unwrap();
        write!(
            svg,
            "<text x=\"{}\" y=\"{}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"",
            run.x * CELL.0,
            y * CELL.1 + BASELINE,
            columns * CELL.0,
            hex(look.ink),
        )
        .unwrap();
        for (is, attribute) in [
            (look.bold, " font-weight=\"bold\""),
            (look.underlined, " text-decoration=\"underline\""),
            (look.italic, " font-style=\"italic\""),
        ] {
            if is {
                svg.push_str(attribute);
            }
        }
        writeln!(svg, ">{}</text>", escaped(text)).unwrap();
    }
}

/// The rectangles of a sign that is a shape.
fn shape(symbol: &str) -> Option<Vec<Place>> {
    let (width, height) = CELL;
    let (middle, centre) = (height / 2, width / 2);
    let mut chars = symbol.chars();
    let sign = chars.next().filter(|_| chars.next().is_none())?;
    let code = u32::from(sign);
    let shapes = match sign {
        // From one eighth at the bottom to all.
        '▁'..='█' => {
            let filled = (height * (code - u32::from('▁') + 1) + 4) / 8;
            vec![(0, height - filled, width, filled)]
        }
        // From seven eighths at the left to one.
        '▉'..='▏' => vec![(0, 0, (u32::from('▏') - code) + 1, height)],
        '▕' => vec![(width - 1, 0, 1, height)],
        '▔' => vec![(0, 0, width, 2)],
        '▀' => vec![(0, 0, width, height / 2)],
        '▐' => vec![(centre, 0, width - centre, height)],
        '─' => vec![(0, middle, width, 1)],
        '━' => vec![(0, middle, width, 2)],
        '│' => vec![(centre, 0, 1, height)],
        '┌' | '╭' => vec![(centre, middle, width - centre, 1), (centre, middle, 1, height - middle)],
        '┐' | '╮' => vec![(0, middle, centre, 1), (centre, middle, 1, height - middle)],
        '└' | '╰' => vec![(centre, middle, width - centre, 1), (centre, 0, 1, middle)],
        '┘' | '╯' => vec![(0, middle, centre + 1, 1), (centre, 0, 1, middle)],
        '├' => vec![(centre, 0, 1, height), (centre, middle, width - centre, 1)],
        '┤' => vec![(centre, 0, 1, height), (0, middle, centre, 1)],
        '┬' => vec![(0, middle, width, 1), (centre, middle, 1, height - middle)],
        '┴' => vec![(0, middle, width, 1), (centre, 0, 1, middle)],
        '┼' => vec![(0, middle, width, 1), (centre, 0, 1, height)],
        '\u{2800}'..='\u{28ff}' => braille(code - 0x2800),
        '░' | '▒' | '▓' => return Some(shade(code - u32::from('░') + 1)),
        _ => return None,
    };
    Some(shapes)
}

/// The dots of a braille sign, two columns of four.
fn braille(dots: u32) -> Vec<Place> {
    const PLACES: [(u32, u32); 8] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)];
    let set = PLACES.iter().zip(0..).filter(|(_, bit)| dots >> bit & 1 == 1);
    set.map(|(&(column, row), _)| (1 + column * 4, 2 + row * 4, 2, 2)).collect()
}

/// A share of a cell's points, in quarters.
fn shade(quarters: u32) -> Vec<Place> {
    let points = (0..CELL.1 / 2).flat_map(|row| (0..CELL.0 / 2).map(move |column| (column, row)));
    let kept = points.filter(|(column, row)| (column + 2 * (row % 2)) % 4 < quarters);
    kept.map(|(column, row)| (column * 2, row * 2, 1 + quarters / 2, 1)).collect()
}

fn rectangle(svg: &mut String, (x, y, width, height): Place, fill: [u8; 3]) {
    let fill = hex(fill);
    writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>")
        .unwrap();
}

fn look(cell: &Cell) -> Look {
    let (mut ink, mut ground) = (rgb(cell.fg, INK), rgb(cell.bg, GROUND));
    let has = |modifier| cell.modifier.contains(modifier);
    if has(Modifier::REVERSED) {
        std::mem::swap(&mut ink, &mut ground);
    }
    if has(Modifier::DIM) {
        for (ink, ground) in ink.iter_mut().zip(ground) {
            *ink = u8::midpoint(*ink, ground);
        }
    }
    let [bold, underlined, italic] = [Modifier::BOLD, Modifier::UNDERLINED, Modifier::ITALIC].map(has);
    Look { ink, ground, bold, underlined, italic }
}

/// A colour of the terminal, or what stands where none is said.
fn rgb(colour: Color, unset: [u8; 3]) -> [u8; 3] {
    shown(colour, &|first| NAMED[usize::from(first)]).unwrap_or(unset)
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text as XML has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            sign => escaped.push(sign),
        }
    }
    escaped
}
