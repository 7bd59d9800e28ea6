//! The collector's half of the status page.

use std::time::Duration;

use super::{INDENT, errors, fact, labelled, plain, slowest};
use crate::{
    app::{App, Collection},
    model::status::{CollectorStatus, WatchState},
    ui::{
        Look,
        document::{Document, Pieces},
        header::{collector_pill, until},
        text, units,
    },
};

/// The whole of it.
pub fn document(app: &App, look: &Look, width: u16) -> Document {
    let palette = &look.palette;
    let mut document = Document::default();
    document.title("collector", width, palette.strong, palette.faint);
    document.line(labelled("state", look, collector_pill(app, look)));
    if let Some((since, why)) = since(app) {
        document.line(fact("since", since, look));
        if let Some(why) = why {
            document.paragraph(INDENT, &plain(&why), width, (palette.dim, palette.crit));
        }
    }
    let Some(status) = app.collector() else {
        document.line(fact("", "no figures yet".into(), look));
        return document;
    };
    document.line(fact("interval", units::interval(app.poll_interval()), look));
    document.line(labelled("last cycle", look, last_cycle(status, look, width)));
    if let Some(at) = status.last_collection_at {
        let ago = units::span(app.now().since(at));
        document.line(fact("closed at", format!("{}, {ago} ago", at.hms()), look));
    }
    document.line(fact(
        "cycles",
        format!(
            "{} closed, {} tick{} skipped",
            units::count(status.total_collections),
            units::count(status.skipped_ticks),
            if status.skipped_ticks == 1 { "" } else { "s" }
        ),
        look,
    ));
    document.line(fact(
        "live VMs",
        format!(
            "{} in {} list{}",
            status.vms_monitored,
            status.lists,
            if status.lists == 1 { "" } else { "s" }
        ),
        look,
    ));
    if status.round > 1 {
        let turn = status.interval.max(status.last_cycle_took.unwrap_or_default()) * status.round;
        // In whole tenths, as an interval of the configuration has them.
        let turn = Duration::from_millis(u64::try_from(turn.as_millis() / 100).unwrap_or(u64::MAX) * 100);
        document.line(fact(
            "memory, disks",
            format!("in turns, of each VM every {} cycles ({})", status.round, units::span(turn)),
            look,
        ));
    }
    stuck(&mut document, app, status, look, width);
    silent(&mut document, status, look, width);
    let count = units::count(status.total_errors);
    let ink = if status.total_errors > 0 { palette.warn } else { palette.text };
    document.line(labelled("errors", look, vec![(count, ink)]));
    errors::list(&mut document, &status.errors, app, look, width);
    slowest::list(&mut document, status, app, look, width);
    events(&mut document, app, status, look, width);
    document.line(fact("reconnects", units::count(status.reconnects), look));
    document
}

/// Events heard of, and whether more are.
fn events(document: &mut Document, app: &App, status: &CollectorStatus, look: &Look, width: u16) {
    let palette = &look.palette;
    let events = &status.events;
    let deaf = match &events.watch {
        WatchState::Connected { .. } => None,
        WatchState::Off => Some(("not heard; ".to_owned(), palette.dim)),
        WatchState::NotOffered => Some(("not told by this hypervisor; ".to_owned(), palette.dim)),
        WatchState::Connecting { since } => {
            Some((format!("connecting since {}; ", since.hms()), palette.dim))
        }
        WatchState::Failed { retry_at, .. } => {
            Some((format!("not heard, next try {}; ", until(*retry_at, app.now())), palette.warn))
        }
    };
    let last = events.last_at.map(|at| format!(", last {}", at.hms())).unwrap_or_default();
    let seen = (format!("{} seen{last}", units::count(events.seen)), palette.text);
    let pieces = deaf.into_iter().chain([seen]).collect();
    document.line(labelled("events", look, pieces));
    if let WatchState::Failed { why, .. } = &events.watch {
        document.paragraph(INDENT, &plain(why), width, (palette.dim, palette.warn));
    }
}

fn since(app: &App) -> Option<(String, Option<String>)> {
    let ago = |at| format!("{}, {}", crate::model::WallTime::hms(at), units::span(app.now().since(at)));
    match app.collection() {
        Collection::Stopped { since } | Collection::Connecting { since } | Collection::Running { since } => {
            Some((ago(since), None))
        }
        Collection::Failed { why, since, retry_at } => {
            let next = until(retry_at, app.now());
            Some((format!("{}; next try {next}, r tries now", ago(since)), Some(why.to_owned())))
        }
        Collection::Unknown | Collection::Starting | Collection::Stopping => None,
    }
}

/// The last cycle's length as a bar of the interval.
fn last_cycle(status: &CollectorStatus, look: &Look, width: u16) -> Pieces {
    let palette = &look.palette;
    let Some(took) = status.last_cycle_took else { return vec![("–".to_owned(), palette.faint)] };
    let share = took.as_secs_f64() / status.interval.max(Duration::from_millis(1)).as_secs_f64();
    let cells = usize::from(width.saturating_sub(44).clamp(6, 24));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most 24 columns"
    )]
    let filled = (share.clamp(0.0, 1.0) * cells as f64).ceil() as usize;
    let ink = if share > 1.0 { palette.crit } else { palette.load };
    let text =
        format!("  {} of {} ({:.0}%)", units::millis(took), units::interval(status.interval), share * 100.0);
    vec![
        ("█".repeat(filled), ink),
        ("░".repeat(cells.saturating_sub(filled)), palette.faint),
        (text, palette.text),
    ]
}

/// Calls that hang, of how many may.
fn stuck(document: &mut Document, app: &App, status: &CollectorStatus, look: &Look, width: u16) {
    let palette = &look.palette;
    let count = status.stuck_calls.len();
    let ink = if count == 0 { palette.text } else { palette.warn };
    let text = format!("{count} of at most {}", status.max_stuck_calls);
    document.line(labelled("stuck calls", look, vec![(text, ink)]));
    for call in &status.stuck_calls {
        let domain = match (&call.domain, call.among) {
            (Some(name), _) => plain(name),
            (None, 0) => "libvirt itself".to_owned(),
            (None, among) => format!("one of {among} VMs"),
        };
        let mut age = match call.since {
            Some(since) => format!(" since {}, {}", since.hms(), units::span(app.now().since(since))),
            None => " since before the start".to_owned(),
        };
        if call.earlier {
            age.push_str(", left by an earlier kvmscope");
        }
        // A long name gives way to what is said of it.
        let room = width.saturating_sub(text::width(INDENT) + text::width(&age));
        let domain = text::fit(&domain, room.max(8)).into_owned();
        document.line(labelled("", look, vec![(domain, palette.text), (age, palette.dim)]));
    }
}

/// VMs that did not answer in full: the first few, so that what stands below
/// is not pushed out of reach.
fn silent(document: &mut Document, status: &CollectorStatus, look: &Look, width: u16) {
    const MOST: usize = 10;
    let palette = &look.palette;
    let count = status.silent.len();
    let ink = if count == 0 { palette.text } else { palette.warn };
    document.line(labelled("silent VMs", look, vec![(count.to_string(), ink)]));
    for vm in status.silent.iter().take(MOST) {
        let text = format!("{}: {}", plain(&vm.name), plain(&vm.why));
        document.paragraph(INDENT, &text, width, (palette.dim, palette.text));
    }
    if count > MOST {
        let text = format!("and {} more", units::count((count - MOST) as u64));
        document.line(labelled("", look, vec![(text, palette.dim)]));
    }
}
