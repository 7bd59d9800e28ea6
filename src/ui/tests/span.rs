//! Spans of the sparklines on a VM's page: what each column and each number
//! stands for, and where events are marked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    app::{
        Key,
        fixtures::{Host, at, running, settings},
    },
    model::{Frame, Happening, Missing, Why, timeline::Weight},
};

const VM: &str = "web-frontend-1";

fn press(app: &mut App, keys: &str) {
    for c in keys.chars() {
        app.update(Message::Key(if c == '\n' { Key::Enter } else { Key::Char(c) }));
    }
}

fn open(app: &mut App) {
    press(app, &format!("/{VM}\n\n"));
}

/// A frame of the host, with another CPU angle of the VM and this timeline.
fn frame(host: &mut Host, cpu: Option<f64>, timeline: &[Happening]) -> Arc<Frame> {
    use crate::model::Degrees;
    let mut frame = (*host.cycle()).clone();
    for domain in frame.domains.iter_mut().filter(|d| &*d.identity().name == VM) {
        let domain = Arc::make_mut(domain);
        domain.rates.angles.cpu = cpu.map(Degrees).ok_or(Missing::new(Why::Gap));
        domain.timeline = timeline.into();
    }
    Arc::new(frame)
}

/// The text of the line that begins with `label`, of the degrees.
fn line(text: &str, label: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.contains(" degrees ─"));
    lines.map(|line| line.trim_start_matches('▶').trim_start()).find(|l| l.starts_with(label)).unwrap().into()
}

/// The sparkline of CPU at 120 columns.
fn cpu_line(app: &App) -> Vec<char> {
    let text = picture(app, 120, 40);
    let whole = text.lines().find(|l| l.trim_start_matches('▶').trim_start().starts_with("cpu  ")).unwrap();
    whole.chars().skip(55).collect()
}

#[test]
fn a_peak_of_one_cycle_is_seen_in_every_span_and_counts_in_every_number() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    for cycle in 0..2000 {
        // Two minutes, then a peak, then 50 s: outside of the last minute no
        // more than it.
        let cpu = if cycle == 1970 { 44.0 } else { 4.0 };
        app.update(Message::Frame(frame(&mut host, Some(cpu), &[])));
    }
    open(&mut app);
    press(&mut app, "ZZZ");
    for (span, mean) in [("1 min", "4.7°"), ("5 min", "4.1°"), ("15 min", "4.0°"), ("1 h", "4.0°")] {
        let text = picture(&app, 120, 40);
        assert!(text.contains(&format!("last {span}")), "{span}: {text}");
        let cpu = line(&text, "cpu");
        assert!(cpu.contains('█'), "{span}: {cpu}");
        let numbers: Vec<&str> = cpu.split_whitespace().skip(5).take(3).collect();
        assert_eq!(numbers, ["4.0°", mean, "44.0°"], "{span}: {cpu}");
        press(&mut app, "z");
    }
    press(&mut app, "zzz");
    assert_eq!(app.span(), Duration::from_hours(1), "the history kept is the longest span");
}

#[test]
fn a_column_is_a_gap_only_where_all_its_cycles_are() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    // Of every ten cycles of the last five minutes one is measured; then a
    // minute without any.
    for cycle in 0..300 {
        let cpu = (cycle < 240 && cycle % 5 == 0).then_some(20.0);
        app.update(Message::Frame(frame(&mut host, cpu, &[])));
    }
    open(&mut app);
    let drawn = cpu_line(&app);
    let blank = drawn.iter().rev().take_while(|&&c| c == ' ').count();
    let bars = drawn.iter().rev().skip(blank).take_while(|&&c| c != ' ').count();
    assert!(drawn.len() < 60, "{}: blanks at the end are cut off", drawn.len());
    assert!(bars >= 47, "five cycles share a column, and each has one that was measured: {drawn:?}");
}

#[test]
fn what_was_drawn_only_moves_to_the_left() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    for cycle in 0u32..400 {
        let cpu = f64::from(cycle.wrapping_mul(2_654_435_761) % 89);
        app.update(Message::Frame(frame(&mut host, Some(cpu / 2.0), &[])));
    }
    open(&mut app);
    let mut moved = 0;
    let mut before = cpu_line(&app);
    for cycle in 400u32..440 {
        let cpu = f64::from(cycle.wrapping_mul(2_654_435_761) % 89);
        app.update(Message::Frame(frame(&mut host, Some(cpu / 2.0), &[])));
        let after = cpu_line(&app);
        // All but the newest column, and the oldest, which loses cycles.
        let (old, new) =
            (&before[before.len() - 58..before.len() - 1], &after[after.len() - 58..after.len() - 1]);
        if old[1..] == new[..old.len() - 1] && old != new {
            moved += 1;
        } else {
            assert_eq!(old[2..], new[2..], "cycle {cycle}");
        }
        before = after;
    }
    assert!((7..=9).contains(&moved), "once in five cycles, not {moved} times in 40");
}

#[test]
fn few_cycles_take_several_columns_each() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    for cycle in 0..100 {
        let cpu = if cycle == 99 { 44.0 } else { 4.0 };
        app.update(Message::Frame(frame(&mut host, Some(cpu), &[])));
    }
    open(&mut app);
    press(&mut app, "Z");
    let text = picture(&app, 200, 50);
    assert!(line(&text, "cpu").ends_with("▁██"), "{text}");
    assert_eq!(line(&text, "cpu").chars().filter(|&c| c == '█').count(), 2, "{text}");
}

#[test]
fn events_are_marked_in_their_columns_and_the_newest_is_told_beside_them() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::new();
    let happening = |seconds: u64, text: &str, weight| Happening {
        at: at(seconds),
        since: at(seconds),
        text: text.into(),
        weight,
    };
    let timeline = [
        happening(10, "started", Weight::Note),
        happening(299, "I/O error on vdb: enospc", Weight::Trouble),
        happening(300, "resumed", Weight::Note),
        happening(380, "disk vdc attached", Weight::Note),
    ];
    for cycle in 0..400 {
        let cpu = (cycle == 299 || cycle == 379).then_some(44.0);
        app.update(Message::Frame(frame(&mut host, cpu, &timeline)));
    }
    open(&mut app);
    let text = picture(&app, 200, 60);
    let events = line(&text, "events");
    assert!(events.starts_with("events     14:06:20 · disk vdc attached"), "{events}");
    let whole = |label: &str| {
        text.lines().find(|l| l.trim_start_matches('▶').trim_start().starts_with(label)).unwrap()
    };
    let (cpu, marks) = (whole("cpu  "), whole("events  "));
    let places = |line: &str, sign: char| -> Vec<usize> {
        line.chars().enumerate().filter(|&(x, c)| x > 54 && c == sign).map(|(x, _)| x).collect()
    };
    let bars = places(cpu, '█');
    assert_eq!(bars.len(), 2, "{cpu}");
    assert_eq!(places(marks, '‼'), bars[..1], "the graver of two in one column: {marks}");
    assert_eq!(places(marks, '·'), bars[1..], "and what was before the span is not marked: {marks}");
    press(&mut app, "Z");
    assert!(line(&picture(&app, 200, 60), "events").contains("disk vdc attached"));
    for _ in 0..70 {
        app.update(Message::Frame(frame(&mut host, None, &timeline)));
    }
    assert!(line(&picture(&app, 80, 24), "events").contains("none in the last 1 min"));
}

#[test]
fn a_pause_of_collection_is_no_time_that_was_shown() {
    let (mut app, mut host) = running(100);
    open(&mut app);
    let mut late = (*host.cycle()).clone();
    late.mono = crate::model::MonoTime(2_000_000_000_000);
    late.at = at(2000);
    app.update(Message::Frame(Arc::new(late)));
    let text = picture(&app, 120, 40);
    let cpu = line(&text, "cpu");
    assert!(cpu.chars().filter(|c| ('▁'..='█').contains(c)).count() <= 1, "{cpu}");
}

#[test]
fn an_hour_of_six_sparklines_costs_little() {
    let mut app = App::new(settings()).unwrap();
    let mut host = Host::with(1);
    // Memory and disks once in 40 cycles.
    host.spread(40);
    for _ in 0..3600 {
        app.update(Message::Frame(host.cycle()));
    }
    press(&mut app, "\nzzz");
    assert_eq!(app.span(), Duration::from_hours(1));
    let uuid = app.vm_page().unwrap().uuid;
    let graphs = || {
        let window = app.series().window(app.span(), Duration::from_secs(1), 150);
        let all = crate::model::history::Metric::ALL;
        all.map(|metric| app.series().graph(uuid, metric, &window).columns.len())
    };
    graphs();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(graphs(), [150; 6]);
    }
    let took = begun.elapsed() / 20;
    eprintln!("six sparklines of an hour: {took:?}");
    // Unoptimized: far above what it takes, far below what a search per
    // cycle would.
    assert!(took < Duration::from_millis(100), "{took:?}");
}
