//! The log, as tui-logger keeps it.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Widget,
};
use tui_logger::{ExtLogRecord, LevelFilter, LogFormatter, TuiLoggerWidget, TuiWidgetEvent, TuiWidgetState};

use super::{Look, text};
use crate::{
    app::{App, LogLevel, Scroll},
    model::{WallTime, name::storable},
};

/// `14:02:11 WARN  `
const HEAD: usize = 15;
/// Beyond this many pages at once the newest lines are meant.
const FAR: i64 = 1000;

/// The page's own memory.
pub struct Page {
    level: LogLevel,
    state: TuiWidgetState,
    seen: i64,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("log::Page").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Default for Page {
    fn default() -> Self {
        let level = LogLevel::Info;
        Self { level, state: state_of(level), seen: 0 }
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
        if app.log_level() != self.level {
            self.level = app.log_level();
            self.state = state_of(self.level);
        }
        self.follow(app.scrolled(Scroll::Log));
        let shown = match self.level {
            LogLevel::Error => "errors only",
            LogLevel::Warn => "warnings and errors",
            LogLevel::Info => "info and graver",
            LogLevel::Debug => "debug and graver",
            LogLevel::Trace => "everything",
        };
        let x = text::put(buf, area.x + 1, area.y, area.width, "log ", palette.strong);
        let end = area.right().saturating_sub(text::width(shown) + 2);
        let line = "─".repeat(usize::from(end.saturating_sub(x + 1)));
        text::put(buf, x, area.y, end.saturating_sub(x), &line, palette.faint);
        text::put(buf, end.max(x), area.y, area.width, shown, palette.accent);
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
        };
        TuiLoggerWidget::default()
            .style(palette.text)
            .formatter(Box::new(formatter))
            .state(&self.state)
            .render(body, buf);
    }

    fn follow(&mut self, asked: i64) {
        let pages = asked - self.seen;
        self.seen = asked;
        match pages {
            FAR.. => self.state.transition(TuiWidgetEvent::EscapeKey),
            1..FAR => self.state.transition(TuiWidgetEvent::NextPageKey),
            0 => {}
            _ => self.state.transition(TuiWidgetEvent::PrevPageKey),
        }
    }
}

/// Time, level, text, and who says so: `14:02:11 WARN  text  (delivery)`.
struct Formatter {
    time: Style,
    text: Style,
    target: Style,
    levels: [Style; 5],
}

impl LogFormatter for Formatter {
    fn min_width(&self) -> u16 {
        20
    }

    fn format(&self, width: usize, event: &ExtLogRecord) -> Vec<Line<'_>> {
        let nanos = event.timestamp.timestamp().as_nanosecond();
        let time = WallTime(i64::try_from(nanos).unwrap_or(0)).hms();
        let style = self.levels.get((event.level as usize).saturating_sub(1)).copied().unwrap_or(self.text);
        let target = event.target().strip_prefix("kvmscope::").unwrap_or(event.target()).to_owned();
        let room = u16::try_from(width.saturating_sub(HEAD).max(1)).unwrap_or(u16::MAX);
        let body = format!("{}  ({})", storable(event.msg().trim()), storable(&target));
        let mut lines = Vec::new();
        for (n, part) in text::wrap(&body, room).into_iter().enumerate() {
            let ink = if n == 0 { self.text } else { self.target };
            let mut spans = if n == 0 {
                let level = format!("{:<5} ", event.level.as_str());
                vec![Span::styled(format!("{time} "), self.time), Span::styled(level, style)]
            } else {
                vec![Span::raw(" ".repeat(HEAD))]
            };
            spans.push(Span::styled(part, ink));
            lines.push(Line::from(spans));
        }
        lines
    }
}
