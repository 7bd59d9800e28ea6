//! The writer's half of the status page: delivery and the local record.

use super::{INDENT, errors, fact, labelled, plain, stacked};
use crate::{
    app::App,
    model::{
        name::is_unfit,
        status::{DeliveryState, DeliveryStatus, StoreState},
    },
    ui::{
        Look,
        document::Document,
        header::{until, writer_pill},
        text, units,
    },
};

/// The whole of it.
pub fn document(app: &App, look: &Look, width: u16) -> Document {
    let mut document = Document::default();
    let palette = &look.palette;
    document.title("delivery", width, palette.strong, palette.faint);
    state(&mut document, app, look, width);
    if app.delivery().state != DeliveryState::Off {
        lines(&mut document, app.delivery(), look, width);
        refused(&mut document, app, look, width);
        traffic(&mut document, app, look, width);
    }
    document.blank();
    record(&mut document, app, look, width);
    document
}

fn state(document: &mut Document, app: &App, look: &Look, width: u16) {
    let palette = &look.palette;
    let delivery = app.delivery();
    document.line(labelled("state", look, writer_pill(app, look)));
    let inks = (palette.dim, palette.warn);
    match &delivery.state {
        DeliveryState::Off => {
            let text = if matches!(app.store().state, StoreState::ReadOnly { .. }) {
                "the process that records this host also delivers; nothing leaves from here"
            } else {
                "no influx.url is configured: nothing leaves this host"
            };
            document.paragraph(INDENT, text, width, (palette.dim, palette.dim));
        }
        DeliveryState::Probing | DeliveryState::Delivering => {}
        DeliveryState::Retrying { why, .. } => document.paragraph(INDENT, &plain(why), width, inks),
        DeliveryState::Paused { why, mend, next_at } => {
            document.paragraph(INDENT, &plain(why), width, inks);
            let mend = format!("{}; next try {}", plain(mend), until(*next_at, app.now()));
            document.paragraph(INDENT, &mend, width, (palette.dim, palette.text));
        }
    }
    if let Some(target) = &delivery.target {
        let api = delivery.api.unwrap_or("not known yet");
        document.line(fact("target", plain(target), look));
        document.line(fact("database", format!("{}, api {api}", plain(&delivery.database)), look));
    }
}

/// emitted = delivered + waiting + quarantined + dropped, as one bar.
fn lines(document: &mut Document, delivery: &DeliveryStatus, look: &Look, width: u16) {
    let palette = &look.palette;
    let dropped = delivery.dropped_total();
    let parts = [
        ("delivered", delivery.delivered, "█", palette.ok),
        ("waiting", delivery.waiting(), "▓", palette.warn),
        ("quarantined", delivery.quarantined, "▒", palette.outward),
        ("lost", dropped, "░", palette.crit),
    ];
    document.line(fact("emitted", format!("{} lines", units::count(delivery.emitted)), look));
    let bar: Vec<_> = parts.iter().map(|&(_, n, sign, ink)| (n, sign, ink)).collect();
    document.line(labelled("", look, stacked(&bar, width.saturating_sub(15))));
    for (name, count, sign, ink) in parts {
        let mut pieces = vec![
            (format!("{sign} "), ink),
            (format!("{:>13}", units::count(count)), if count > 0 { palette.text } else { palette.faint }),
        ];
        if name == "waiting" && count > 0 {
            let where_ = format!(
                "  {} on disk, {} in memory",
                units::count(delivery.waiting_on_disk),
                units::count(delivery.waiting_in_memory)
            );
            // A number is never cut: what does not fit goes below.
            let used = pieces.iter().map(|(piece, _)| text::width(piece)).sum::<u16>();
            if text::width(INDENT) + used + text::width(&where_) > width {
                document.line(labelled(name, look, std::mem::take(&mut pieces)));
                document.line(labelled("", look, vec![(where_, palette.dim)]));
                continue;
            }
            pieces.push((where_, palette.dim));
        }
        document.line(labelled(name, look, pieces));
    }
    for (reason, count) in &delivery.dropped {
        let text = format!("{}: {}", plain(reason), units::count(*count));
        document.line(labelled("", look, vec![(text, palette.crit)]));
    }
}

/// The line that was refused last and the server's words.
fn refused(document: &mut Document, app: &App, look: &Look, width: u16) {
    const ROWS: u16 = 3;
    let palette = &look.palette;
    let Some(refused) = &app.delivery().last_refused else { return };
    let ago = units::span(app.now().since(refused.at));
    document.line(fact("last refused", format!("at {}, {ago} ago", refused.at.hms()), look));
    // What was fit to keep is fit to draw, but nothing is taken on trust.
    let fit = |text: &str| text.chars().map(|c| if is_unfit(c) { '_' } else { c }).collect::<String>();
    let room = width.saturating_sub(text::width(INDENT));
    let words = fit(&refused.words);
    let words = text::fit(&words, room.saturating_mul(ROWS));
    document.paragraph(INDENT, &words, width, (palette.dim, palette.warn));
    for row in chopped(&fit(&refused.line), room, ROWS.into()) {
        document.line(labelled("", look, vec![(row, palette.dim)]));
    }
}

/// `text` in at most `most` rows of `room` columns, cut wherever a row is full:
/// a line of the record has words wider than any pane.
fn chopped(text: &str, room: u16, most: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && room > 1 && rows.len() + 1 < most {
        let mut used = 0;
        let full = |c: char| {
            used += text::width(c.encode_utf8(&mut [0; 4]));
            used > room
        };
        // A character wider than the row takes it alone.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest.find(full).unwrap_or(rest.len()).max(first);
        let (row, after) = rest.split_at(end);
        rows.push(row.to_owned());
        rest = after;
    }
    if !rest.is_empty() {
        rows.push(text::fit(rest, room).into_owned());
    }
    rows
}

fn traffic(document: &mut Document, app: &App, look: &Look, width: u16) {
    let palette = &look.palette;
    let delivery = app.delivery();
    if let Some(oldest) = delivery.oldest_waiting.filter(|_| delivery.waiting() > 0) {
        let age = units::span(app.now().since(oldest));
        document.line(fact("oldest waits", format!("since {}, {age}", oldest.hms()), look));
    }
    let mut rate = format!("{:.0} lines/s", delivery.lines_per_second);
    if let Some(left) = delivery.time_left {
        rate = format!("{rate}, {} to drain", units::span(left));
    }
    document.line(fact("rate", rate, look));
    let batches = format!("{}, {} repeated", units::count(delivery.batches), units::count(delivery.retries));
    document.line(fact("batches", batches, look));
    match &delivery.last_answer {
        None => document.line(fact("last answer", "none yet".into(), look)),
        Some(answer) => {
            let status = answer.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
            let good = answer.status.is_some_and(|s| (200..300).contains(&s));
            let ink = if good { palette.text } else { palette.warn };
            let text = format!("{status} in {} at {}", units::millis(answer.took), answer.at.hms());
            document.line(labelled("last answer", look, vec![(text, ink)]));
            // What stands above already is not said twice.
            let above = matches!(
                &delivery.state,
                DeliveryState::Retrying { why, .. } | DeliveryState::Paused { why, .. } if *why == answer.text
            );
            let bare = answer.status.is_some_and(|status| answer.text == format!("HTTP {status}"));
            if !above && !bare {
                document.paragraph(INDENT, &plain(&answer.text), width, (palette.dim, palette.dim));
            }
        }
    }
    if let DeliveryState::Retrying { next_at, .. } = &delivery.state {
        let backoff = delivery.backoff.map(|b| format!(", backoff {}", units::span(b))).unwrap_or_default();
        document.line(fact("next try", format!("{}{backoff}", until(*next_at, app.now())), look));
    }
    errors::document(document, &delivery.errors, app, look, width);
    if delivery.saturated > 0 {
        let text = format!("{} values cut to the largest integer", units::count(delivery.saturated));
        document.line(labelled("saturated", look, vec![(text, palette.warn)]));
    }
}

fn record(document: &mut Document, app: &App, look: &Look, width: u16) {
    let palette = &look.palette;
    let store = app.store();
    document.title("local record", width, palette.strong, palette.faint);
    let (word, ink) = match &store.state {
        StoreState::Off => ("off: store.path is none".to_owned(), palette.dim),
        StoreState::Writable => ("writing".to_owned(), palette.ok),
        StoreState::Failing { since, .. } => (format!("failing since {}", since.hms()), palette.crit),
        StoreState::ReadOnly { holder } => (format!("{} records this host", plain(holder)), palette.warn),
    };
    document.line(labelled("state", look, vec![(word, ink)]));
    if let StoreState::Failing { why, .. } = &store.state {
        document.paragraph(INDENT, &plain(why), width, (palette.dim, palette.crit));
    }
    if store.state == StoreState::Off {
        return;
    }
    if let Some(path) = &store.path {
        document.line(fact("path", plain(path), look));
    }
    if matches!(store.state, StoreState::ReadOnly { .. }) {
        // What it holds is known to the one that writes it: no zeros here.
        return document.line(fact("size", "known to the process that records".into(), look));
    }
    #[allow(clippy::cast_precision_loss, reason = "a whole percent is shown")]
    let share = store.bytes as f64 / store.max_bytes.max(1) as f64 * 100.0;
    let size = format!("{} of {} ({share:.0}%)", units::bytes(store.bytes), units::bytes(store.max_bytes));
    document.line(fact("size", size, look));
    if let Some(since) = store.covers_since {
        document.line(fact("covers", format!("the last {}", units::span(app.now().since(since))), look));
    }
    let holds = format!("{} cycles, {} lines", units::count(store.cycles), units::count(store.lines));
    document.line(fact("holds", holds, look));
    if let Some(growth) = store.growth {
        let mut grows = format!("{} a day", units::bytes(growth.full));
        if growth.thinned < growth.full {
            grows = format!("{grows}, {} once thinned", units::bytes(growth.thinned));
        }
        document.line(fact("grows by", grows, look));
    }
    errors::document(document, &store.errors, app, look, width);
}

#[cfg(test)]
mod tests {
    use super::chopped;
    use crate::ui::text;

    #[test]
    fn a_long_line_is_cut_into_rows_and_loses_nothing_but_its_end() {
        let line = "vm_metrics,name=虚拟机-测试,uuid=550e8400-e29b-41d4 state=\"on\"";
        for room in [2, 3, 7, 20, 200] {
            let all = chopped(line, room, 1000);
            assert_eq!(all.concat(), line);
            assert!(all.iter().all(|row| text::width(row) <= room), "{all:?}");
            let three = chopped(line, room, 3);
            assert!(three.len() <= 3 && three.iter().all(|row| text::width(row) <= room), "{three:?}");
            assert_eq!(three.concat().ends_with('…'), all.len() > 3);
        }
        assert!(chopped("", 20, 3).is_empty());
        assert_eq!(chopped("abc", 0, 3), [""]);
    }
}
