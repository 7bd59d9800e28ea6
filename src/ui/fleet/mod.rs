//! The fleet: one row or one card per VM.
//!
//! Only the rows in view are looked at, so that ten thousand VMs cost no more
//! than a screenful.

mod cards;
mod cell;
mod chooser;
mod columns;
mod concerns;
mod detail;
mod row;

use std::time::Duration;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use uuid::Uuid;

use super::{
    Look,
    glyph::{self, Condition},
    text,
    text::Strip,
    units,
};
use crate::{
    app::{self, App, Collection, Direction, Inactive, Overlay, SortKey, Tally, Target, View},
    model::{
        Frame,
        link::{Link, LinkState},
    },
};
use columns::{Columns, GAP, LEAD, Parts};

/// The table's own memory: where it is scrolled to.
#[derive(Debug, Default)]
pub struct Table {
    offset: usize,
    /// As `offset`, in lines of cards.
    line: usize,
}

impl Table {
    /// Draws the table into `area`.
    pub fn render(
        &mut self,
        app: &App,
        look: &Look,
        area: Rect,
        buf: &mut Buffer,
        targets: &mut Vec<(Rect, Target)>,
    ) {
        if area.is_empty() {
            return;
        }
        let Some(frame) = app.frame() else {
            return nothing_yet(app, look, area, buf);
        };
        let (sorted, _) = app.fleet().sort();
        let longest = app.tally().map_or(0, |tally| tally.longest_name);
        let columns = Columns::fit(area.width, longest, app.fleet().columns(), sorted);
        let choosing = app.overlay() == Overlay::Columns;
        let below = if choosing { chooser::height(app, area.height) } else { 0 };
        let list = Rect { y: area.bottom() - below, height: below, ..area };
        let area = Rect { height: area.height - below, ..area };
        chooser::render(app, look, &columns, list, buf);

        let detail = u16::from(area.height >= 8);
        // A line of its own where there is room for one, whether anything
        // needs somebody or not: the rows do not move when something does.
        let concerns = u16::from(area.height + below >= 16 && !choosing);
        // Room to breathe where there is room.
        let top = if area.height >= 28 { 2 } else { 1 };
        let cards = app.fleet().view() == View::Cards && !choosing;
        let headings = u16::from(!cards);
        let taken = top + headings + concerns + detail;
        let rows = Rect { y: area.y + top + headings, height: area.height.saturating_sub(taken), ..area };
        let in_view = if cards {
            cards::lines_in(rows) * app::cards::side_by_side(app.size(), app.fleet().rows().len())
        } else {
            usize::from(rows.height)
        };
        counts(app, look, in_view, Rect { height: 1, ..area }, buf);
        if area.height > 1 && !cards {
            self::headings(app, look, &columns, Rect { y: area.y + top, height: 1, ..area }, buf, targets);
        }
        if app.fleet().rows().is_empty() {
            centred(&nobody(app, frame), look.palette.dim, rows, buf);
        } else {
            self.vms(app, frame, look, (!cards).then_some(&columns), rows, buf, targets);
        }
        if detail > 0 {
            let line = Rect { y: area.bottom() - 1, height: 1, ..area };
            detail::render(app, look, line, concerns == 0, buf);
            if concerns > 0 {
                concerns::render(app, look, Rect { y: line.y - 1, ..line }, buf);
            }
        }
    }

    /// Rows of `columns`, or cards.
    #[allow(clippy::too_many_arguments, reason = "what to draw, how, and where")]
    fn vms(
        &mut self,
        app: &App,
        frame: &Frame,
        look: &Look,
        columns: Option<&Columns>,
        area: Rect,
        buf: &mut Buffer,
        targets: &mut Vec<(Rect, Target)>,
    ) {
        let rows = app.fleet().rows();
        let selected = app.fleet().selected_row().unwrap_or(0);
        let two_turns = turn(app, frame) * 2;
        let none = Columns::default();
        let mut draw = |row: usize, place: Rect| {
            let Some(domain) = rows.get(row).and_then(|&index| frame.domains.get(index)) else { return };
            let view = row::Row {
                domain,
                series: app.series(),
                movers: app.movers(),
                scale: &frame.scale,
                columns: columns.unwrap_or(&none),
                look,
                thresholds: (app.screen().warn_percent, app.screen().critical_percent),
                selected: row == selected,
                now: frame.at,
                two_turns,
            };
            match columns {
                Some(_) => view.render(place, buf),
                None => cards::render(&view, place, buf),
            }
            targets.push((place, Target::Row(domain.identity().uuid)));
        };
        if columns.is_some() {
            self.offset = scrolled(self.offset, selected, usize::from(area.height), rows.len());
            for (row, y) in (self.offset..).zip(area.top()..area.bottom()) {
                draw(row, Rect { y, height: 1, ..area });
            }
        } else {
            let across = app::cards::side_by_side(app.size(), rows.len());
            let lines = rows.len().div_ceil(across);
            self.line = scrolled(self.line, selected / across, cards::lines_in(area), lines);
            for (card, place) in cards::places(area, app.size(), rows.len(), self.line) {
                draw(card, place);
            }
        }
    }
}

/// Where a list of `count` lines is scrolled to, so that the selected one is
/// in view and nothing moves without need.
fn scrolled(offset: usize, selected: usize, in_view: usize, count: usize) -> usize {
    offset.min(selected).max((selected + 1).saturating_sub(in_view)).min(count.saturating_sub(in_view))
}

/// Why there is no row.
fn nobody(app: &App, frame: &Frame) -> String {
    match (frame.domains.is_empty(), app.fleet().filter()) {
        (true, _) => "No virtual machines on this host.".to_owned(),
        (false, "") => "No virtual machine is running; a shows those that are off.".to_owned(),
        (false, filter) => {
            let words = if filter.contains("state:") {
                " States are running, paused, hung, crashed, off and the like."
            } else {
                ""
            };
            format!("No virtual machine matches “{filter}”.{words} Esc drops the filter.")
        }
    }
}

/// How long it takes until memory and disks of every VM are read once.
fn turn(app: &App, frame: &Frame) -> Duration {
    frame.interval.max(frame.took) * app.collector().map_or(1, |status| status.round.max(1))
}

fn nothing_yet(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let reached = app.link().map(|link| &link.state);
    let message = match app.collection() {
        _ if matches!(reached, Some(LinkState::Connecting)) => "Attaching to the agent…",
        _ if matches!(reached, Some(LinkState::Gone { .. })) => {
            "Nothing to show: no agent is reached. Nothing is collected here."
        }
        Collection::Stopped { .. } | Collection::Stopping => {
            "Nothing was collected yet. s starts collection."
        }
        Collection::Failed { .. } => "No reading yet: libvirt was not reached.",
        Collection::Running { .. } => "Waiting for the first reading…",
        _ => "Connecting to libvirt…",
    };
    centred(message, look.palette.dim, area, buf);
}

/// A line of text in the middle of `area`.
pub fn centred(message: &str, style: Style, area: Rect, buf: &mut Buffer) {
    let lines = text::wrap(message, area.width.saturating_sub(2));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let top = area.y + area.height.saturating_sub(height) / 2;
    for (y, line) in (top..area.bottom()).zip(&lines) {
        let room = area.width.saturating_sub(text::width(line)) / 2;
        text::put(buf, area.x + room, y, area.width.saturating_sub(room), line, style);
    }
}

/// The second line: how many VMs in which state, what is filtered, the order.
fn counts(app: &App, look: &Look, in_view: usize, area: Rect, buf: &mut Buffer) {
    let (Some(frame), Some(tally)) = (app.frame(), app.tally()) else { return };
    let palette = &look.palette;
    let counts = tally.counts;
    let mut strip = Strip::new(2);
    // While nothing new comes, the table says how old it is.
    let live = app.link().is_none_or(Link::is_live)
        && matches!(app.collection(), Collection::Running { .. } | Collection::Unknown);
    if !live {
        strip.left(0, vec![(format!("as of {}", frame.at.hms()), palette.warn)]);
    }
    for (count, condition, rank) in [
        (counts.running, Condition::Running, 1),
        (counts.paused, Condition::Paused, 3),
        (counts.hung, Condition::Hung, 1),
        (counts.crashed, Condition::Crashed, 2),
        (counts.off, Condition::Off, 4),
    ] {
        if count == 0 && condition != Condition::Running {
            continue;
        }
        let hidden = condition == Condition::Off && app.fleet().inactive() == Inactive::Hidden;
        let word = format!(" {count} {}{}", condition.word(), if hidden { " (hidden)" } else { "" });
        let style = if condition == Condition::Hung { palette.crit } else { palette.text };
        strip.left(rank, vec![(condition.sign().into(), condition.style(palette)), (word, style)]);
    }
    // What is drawn in the ink of old numbers is no fault, but the pace.
    if let Some(status) = app.collector().filter(|status| status.round > 1) {
        strip.left(6, vec![(format!("memory, disks every {} cycles", status.round), palette.old)]);
    }
    if let Some(given) = given(tally, frame) {
        strip.left(6, vec![(given, palette.dim)]);
    }
    let shown = app.fleet().rows().len();
    if !app.fleet().filter().is_empty() {
        strip.right(
            1,
            vec![
                ("filter ".into(), palette.dim),
                (text::fit(app.fleet().filter(), 24).into_owned(), palette.accent),
                (format!("  {shown} of {}", frame.domains.len()), palette.text),
            ],
        );
    }
    let (key, direction) = app.fleet().sort();
    let arrow = if direction == Direction::Descending { "▼" } else { "▲" };
    let mut sort = vec![("sort ".into(), palette.dim), (format!("{} {arrow}", key.title()), palette.accent)];
    if key == SortKey::Change {
        let over = app.movers().span().map_or_else(
            || " not yet known: it takes a minute".to_owned(),
            |span| format!(" over {}", units::span(Duration::from_secs(span.as_secs()))),
        );
        sort.push((over, palette.dim));
    }
    strip.right(5, sort);
    if let Some(row) = app.fleet().selected_row().filter(|_| shown > in_view) {
        strip.right(5, vec![(format!("{} / {shown}", row + 1), palette.dim)]);
    }
    strip.render(buf, area.x + 1, area.y, area.width.saturating_sub(2));
}

/// The maximum memory of all live VMs beside the host's.
fn given(tally: &Tally, frame: &Frame) -> Option<String> {
    let memory = tally.given.memory.ok()?;
    // The test hypervisor makes up the size of its memory.
    let total = frame.host.memory_kib.filter(|_| !frame.host.demo)?;
    let total = units::bytes(total.saturating_mul(1024));
    let mark = if tally.given_is_old { glyph::STAND_IN } else { "" };
    Some(format!("{mark}{} of {total} memory given", units::bytes(memory.bytes())))
}

fn headings(
    app: &App,
    look: &Look,
    columns: &Columns,
    area: Rect,
    buf: &mut Buffer,
    targets: &mut Vec<(Rect, Target)>,
) {
    let (sorted, direction) = app.fleet().sort();
    let mut heading = |key: SortKey, x: u16, width: u16, right: bool, buf: &mut Buffer| {
        let (style, arrow) = match (key == sorted, direction) {
            (false, _) => (look.palette.dim, ""),
            (true, Direction::Descending) => (look.palette.accent, "▼"),
            (true, Direction::Ascending) => (look.palette.accent, "▲"),
        };
        let title = format!("{}{arrow}", key.title());
        if right {
            text::put_right(buf, x, area.y, width, &title, style);
        } else {
            text::put(buf, x, area.y, width, &title, style);
        }
        targets.push((Rect { x, y: area.y, width, height: 1 }, Target::Column(key)));
    };
    let mut x = area.x + LEAD;
    heading(SortKey::Name, x, columns.name, false, buf);
    x += columns.name + GAP;
    for column in &columns.shown {
        let width = column.width();
        heading(column.key, x, width, column.parts.gauge == 0, buf);
        units_of(column.key, column.parts, look, Rect { x, width, ..area }, buf);
        x += width + GAP;
    }
}

/// The units above the parts of a metric: what the numbers below are.
fn units_of(key: SortKey, parts: Parts, look: &Look, area: Rect, buf: &mut Buffer) {
    let mut x = area.x + parts.gauge + parts.percent;
    if parts.gauge == 0 {
        return;
    }
    if parts.rates > 0 {
        x += 1;
        let words = if key == SortKey::Disk { ["read", "write"] } else { ["rx", "tx"] };
        text::put_right(buf, x, area.y, 5, words[0], look.palette.inward);
        text::put_right(buf, x + 6, area.y, 5, words[1], look.palette.outward);
        x += parts.rates;
    }
    if parts.degrees > 0 {
        x += 1;
        text::put_right(buf, x, area.y, parts.degrees, "deg", look.palette.faint);
    }
}

/// A uuid's first block, enough to tell VMs apart.
fn short(uuid: Uuid) -> String {
    uuid.to_string().chars().take(8).collect()
}
