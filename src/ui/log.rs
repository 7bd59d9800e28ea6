//! The log, as tui-logger keeps it; where something is searched for, the
//! lines that have it.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Widget,
};
use tui_logger::{ExtLogRecord, LevelFilter, LogFormatter, TuiLoggerWidget, TuiWidgetEvent, TuiWidgetState};

mod found;

use super::{Look, text};
use crate::{
    app::{App, LogLevel, LogSource, Scroll},
    model::{WallTime, name::storable},
};
use found::Found;

/// `14:02:11 WARN  `
const HEAD: usize = 15;
/// Beyond this many pages at once the newest lines are meant.
const FAR: i64 = 1000;

/// The page's own memory.
pub struct Page {
    level: LogLevel,
    state: TuiWidgetState,
    seen: i64,
    /// Lines scrolled back from the newest of those found.
    back: usize,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("log::Page").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Default for Page {
    fn default() -> Self {
        let level = LogLevel::Info;
        Self { level, state: state_of(level), seen: 0, back: 0 }
    }
}

fn state_of(level: LogLevel) -> TuiWidgetState {
    TuiWidgetState::new().set_default_display_level(match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    })
}

impl Page {
    /// Draws the page into `area`.
    pub fn render(&mut self, app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
        let palette = &look.palette;
        if area.height < 2 {
            return;
        }
        let view = app.log();
        if view.level != self.level {
            self.level = view.level;
            self.state = state_of(self.level);
        }
        let pages = self.pages(app.scrolled(Scroll::Log));
        let body = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width.saturating_sub(2),
            height: area.height - 1,
        };
        let formatter = Formatter {
            time: palette.faint,
            text: palette.text,
            target: palette.dim,
            levels: [palette.crit, palette.warn, palette.ok, palette.dim, palette.faint],
            found: palette.accent.add_modifier(Modifier::UNDERLINED),
            search: view.search.to_lowercase(),
        };
        if view.source != LogSource::All || !view.search.is_empty() {
            let found = Found::look(view, usize::from(body.width), &formatter);
            self.back = found.render(pages, self.back, body, buf);
            let which = found.words(view);
            return title(app, look, Some(&which), Rect { height: 1, ..area }, buf);
        }
        self.back = 0;
        self.follow(pages);
        title(app, look, None, Rect { height: 1, ..area }, buf);
        TuiLoggerWidget::default()
            .style(palette.text)
            .formatter(Box::new(formatter))
            .state(&self.state)
            .render(body, buf);
    }

    /// The pages asked for since the last draw.
    fn pages(&mut self, asked: i64) -> i64 {
        let pages = asked - self.seen;
        self.seen = asked;
        pages
    }

    fn follow(&mut self, pages: i64) {
        match pages {
            FAR.. => self.state.transition(TuiWidgetEvent::EscapeKey),
            1..FAR => self.state.transition(TuiWidgetEvent::NextPageKey),
            0 => {}
            _ => self.state.transition(TuiWidgetEvent::PrevPageKey),
        }
    }
}

/// The title: how grave, which lines, and where the log is kept.
fn title(app: &App, look: &Look, which: Option<&str>, area: Rect, buf: &mut Buffer) {
    let palette = &look.palette;
    let level = match app.log().level {
        LogLevel::Error => "errors only",
        LogLevel::Warn => "warnings and errors",
        LogLevel::Info => "info and graver",
        LogLevel::Debug => "debug and graver",
        LogLevel::Trace => "everything",
    };
    let shown = which.map_or_else(|| level.to_owned(), |which| format!("{level}, {which}"));
    let x = text::put(buf, area.x + 1, area.y, area.width, "log ", palette.strong);
    let end = area.right().saturating_sub(text::width(&shown) + 2).max(x);
    let line = "─".repeat(usize::from(end.saturating_sub(x + 1)));
    text::put(buf, x, area.y, end.saturating_sub(x), &line, palette.faint);
    if let Some(path) = app.log_file() {
        let path = format!(" kept in {} ", storable(path));
        if x + 2 + text::width(&path) < end {
            text::put(buf, x + 2, area.y, area.width, &path, palette.dim);
        }
    }
    text::put(buf, end, area.y, area.right().saturating_sub(end + 1), &shown, palette.accent);
}

/// Time, level, text, and who says so: `14:02:11 WARN  text  (delivery)`.
#[derive(Clone)]
struct Formatter {
    time: Style,
    text: Style,
    target: Style,
    levels: [Style; 5],
    /// What was searched for, in lower case, and the ink of where it is.
    search: String,
    found: Style,
}

impl Formatter {
    /// `part` with what was searched for in an ink of its own.
    fn marked(&self, part: &str, ink: Style) -> Vec<Span<'static>> {
        // In lower case some letters are longer: then nothing is marked.
        let lower = part.to_lowercase();
        if self.search.is_empty() || lower.len() != part.len() {
            return vec![Span::styled(part.to_owned(), ink)];
        }
        let mut spans = Vec::new();
        let mut done = 0;
        for (at, found) in lower.match_indices(&self.search) {
            let (Some(before), Some(here)) = (part.get(done..at), part.get(at..at + found.len())) else {
                continue;
            };
            spans.push(Span::styled(before.to_owned(), ink));
            spans.push(Span::styled(here.to_owned(), self.found));
            done = at + found.len();
        }
        spans.push(Span::styled(part[done..].to_owned(), ink));
        spans
    }
}

/// What a line says, and who says it, as it is shown and searched.
fn body(event: &ExtLogRecord) -> String {
    let target = event.target().strip_prefix("kvmscope::").unwrap_or(event.target());
    format!("{}  ({})", storable(event.msg().trim()), storable(target))
}

impl LogFormatter for Formatter {
    fn min_width(&self) -> u16 {
        20
    }

    fn format(&self, width: usize, event: &ExtLogRecord) -> Vec<Line<'_>> {
        let nanos = event.timestamp.timestamp().as_nanosecond();
        let time = WallTime(i64::try_from(nanos).unwrap_or(0)).hms();
        let style = self.levels.get((event.level as usize).saturating_sub(1)).copied().unwrap_or(self.text);
        let room = u16::try_from(width.saturating_sub(HEAD).max(1)).unwrap_or(u16::MAX);
        let mut lines = Vec::new();
        for (n, part) in text::wrap(&body(event), room).into_iter().enumerate() {
            let ink = if n == 0 { self.text } else { self.target };
            let mut spans = if n == 0 {
                let level = format!("{:<5} ", event.level.as_str());
                vec![Span::styled(format!("{time} "), self.time), Span::styled(level, style)]
            } else {
                vec![Span::raw(" ".repeat(HEAD))]
            };
            spans.extend(self.marked(&part, ink));
            lines.push(Line::from(spans));
        }
        lines
    }
}
