use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// How a server tells which line it does not like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// v3: all others are written, the refused ones are listed.
    Partial,
    /// v1: nothing is written, one line is named.
    NamesOne,
    /// v2: nothing is written, no line is named.
    NamesNone,
}

struct Server {
    poisoned: BTreeSet<usize>,
    manner: Manner,
    largest: usize,
    written: BTreeSet<usize>,
    /// As they came first.
    order: Vec<usize>,
    requests: usize,
}

impl Server {
    fn new(manner: Manner, poisoned: impl IntoIterator<Item = usize>) -> Self {
        let poisoned = poisoned.into_iter().collect();
        Self {
            poisoned,
            manner,
            largest: usize::MAX,
            written: BTreeSet::new(),
            order: Vec::new(),
            requests: 0,
        }
    }

    fn write(&mut self, lines: impl IntoIterator<Item = usize>) {
        for line in lines {
            if self.written.insert(line) {
                self.order.push(line);
            }
        }
    }

    fn answer(&mut self, piece: &Piece) -> Decision {
        self.requests += 1;
        let lines: Vec<usize> = piece.indices().collect();
        assert!(!lines.is_empty(), "an empty request");
        if lines.len() > self.largest {
            return Decision::Halve;
        }
        let bad: Vec<usize> =
            lines.iter().enumerate().filter(|(_, l)| self.poisoned.contains(l)).map(|(i, _)| i).collect();
        let words = |index: usize| RefusedLine { index, message: format!("bad {}", lines[index]) };
        match (bad.first(), self.manner) {
            (None, _) => {
                self.write(lines);
                Decision::Delivered
            }
            (_, Manner::Partial) => {
                let good: Vec<usize> = lines.iter().copied().filter(|l| !self.poisoned.contains(l)).collect();
                self.write(good);
                Decision::DeliveredExcept(bad.into_iter().map(words).collect())
            }
            (Some(first), Manner::NamesOne) => Decision::TakeOut(words(*first)),
            (_, Manner::NamesNone) => Decision::Bisect { why: "bad".into() },
        }
    }
}

/// Lines that go round so many series.
fn text(lines: usize, series: usize) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("m,s=a\\ {} v=1 {line}\n", line % series).into_bytes()).collect()
}

/// Sends a whole batch, each line of a series of its own; the refused lines, or why all failed alike.
fn run(lines: usize, server: &mut Server) -> Result<BTreeSet<usize>, String> {
    run_series(lines, lines, server)
}

/// The same with so many series in turn.
fn run_series(lines: usize, series: usize, server: &mut Server) -> Result<BTreeSet<usize>, String> {
    let text = text(lines, series);
    let mut attempt = Attempt::new(lines, &text);
    let mut refused = BTreeSet::new();
    let mut before = 0;
    while let Some(piece) = attempt.next() {
        let verdict = attempt.learn(server.answer(&piece));
        if let Some(settled) = attempt.settled() {
            assert!(settled.upto > before, "settled lines only grow");
            let new: BTreeSet<usize> = settled.refused.into_iter().map(|(line, _)| line).collect();
            for line in before..settled.upto {
                assert!(new.contains(&line) != server.written.contains(&line), "line {line}");
            }
            refused.extend(new);
            before = settled.upto;
        }
        if let Verdict::AllAlike { why } = verdict {
            return Err(why);
        }
        assert!(server.requests < 10 * lines + 100, "it comes to an end");
    }
    assert_eq!(before, lines, "every line is settled");
    Ok(refused)
}

#[test]
fn one_poisoned_line_in_two_thousand_is_found_wherever_it_is() {
    for manner in [Manner::Partial, Manner::NamesOne, Manner::NamesNone] {
        for at in [0, 1, 999, 1000, 1998, 1999] {
            let mut server = Server::new(manner, [at]);
            assert_eq!(run(2000, &mut server), Ok([at].into()), "{manner:?} {at}");
            assert_eq!(server.written.len(), 1999);
            assert!(server.requests <= 24, "{} requests", server.requests);
        }
    }
}

#[test]
fn a_run_of_poisoned_lines_longer_than_the_bound_is_still_only_that_run() {
    for manner in [Manner::NamesOne, Manner::NamesNone] {
        for begin in [0, 500, 1900] {
            let run_of = begin..begin + 100;
            let mut server = Server::new(manner, run_of.clone());
            assert_eq!(run(2000, &mut server), Ok(run_of.collect()), "{manner:?} {begin}");
        }
    }
}

#[test]
fn when_every_line_fails_alike_nothing_is_refused_and_it_is_known_soon() {
    for manner in [Manner::NamesOne, Manner::NamesNone] {
        let mut server = Server::new(manner, 0..2000);
        let text = text(2000, 2000);
        let mut attempt = Attempt::new(2000, &text);
        let why = loop {
            let piece = attempt.next().unwrap();
            let verdict = attempt.learn(server.answer(&piece));
            assert_eq!(attempt.settled(), None);
            if let Verdict::AllAlike { why } = verdict {
                break why;
            }
        };
        assert!(why.starts_with("bad"));
        assert!(server.requests <= 40, "{} requests", server.requests);
    }
}

#[test]
fn a_single_line_without_siblings_is_not_blamed() {
    let mut server = Server::new(Manner::NamesNone, [0]);
    assert!(run(1, &mut server).is_err());
    let mut server = Server::new(Manner::NamesOne, [0]);
    assert!(run(1, &mut server).is_err());
    // A server that says the rest was written has said all that is needed.
    let mut server = Server::new(Manner::Partial, [0]);
    assert_eq!(run(1, &mut server), Ok([0].into()));
}

#[test]
fn a_server_that_turns_bad_midway_makes_no_line_refused() {
    let text = text(64, 64);
    let mut attempt = Attempt::new(64, &text);
    let mut server = Server::new(Manner::NamesNone, [0]);
    while attempt.good.is_none() {
        let piece = attempt.next().unwrap();
        attempt.learn(server.answer(&piece));
    }
    let first = attempt.settled().unwrap();
    server.poisoned = (0..64).collect();
    loop {
        let piece = attempt.next().unwrap();
        if matches!(attempt.learn(server.answer(&piece)), Verdict::AllAlike { .. }) {
            break;
        }
    }
    let refused: usize = attempt.settled().map_or(0, |settled| settled.refused.len());
    assert_eq!((first.refused.len(), refused), (1, 0), "only the line found before");
}

#[test]
fn too_large_is_halved_until_it_fits_and_keeps_the_order() {
    let mut server = Server::new(Manner::Partial, []);
    server.largest = 10;
    let text = text(100, 100);
    let mut attempt = Attempt::new(100, &text);
    let mut order = Vec::new();
    while let Some(piece) = attempt.next() {
        let decision = server.answer(&piece);
        if decision == Decision::Delivered {
            order.extend(piece.indices());
        }
        attempt.learn(decision);
    }
    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

/// Whether the lines of each series came first in their order.
fn in_order(order: &[usize], series: usize) -> bool {
    let mut last = vec![None; series];
    order.iter().all(|line| last[line % series].replace(*line) < Some(*line))
}

#[test]
fn a_long_run_of_poisoned_lines_at_the_front_keeps_every_series_in_order() {
    for manner in [Manner::NamesOne, Manner::NamesNone] {
        // Forty series, of which the first two cycles and a half are refused.
        let mut server = Server::new(manner, 0..100);
        assert_eq!(run_series(400, 40, &mut server), Ok((0..100).collect()), "{manner:?}");
        assert!(in_order(&server.order, 40), "{manner:?}: {:?}", server.order);
    }
}

#[test]
fn a_series_that_is_refused_for_long_is_tried_at_its_end_so_that_nothing_waits_for_ever() {
    let mut server = Server::new(Manner::NamesNone, 0..200);
    assert_eq!(run_series(250, 1, &mut server), Ok((0..200).collect()));
    // The one line that comes before its time.
    assert_eq!(server.order[0], 249);
    assert!(in_order(&server.order[1..], 1), "{:?}", server.order);
}

#[test]
fn a_series_ends_where_its_tags_do() {
    for (line, expected) in [
        (&b"m,a=b v=1 1\n"[..], &b"m,a=b"[..]),
        (b"m,a=b\\ c v=\"x y\" 1\n", b"m,a=b\\ c"),
        (b"m\\ n v=1", b"m\\ n"),
        (b"m,a=b\\\\ v=1", b"m,a=b\\\\"),
        (b"odd", b"odd"),
    ] {
        assert_eq!(series(line), expected, "{}", String::from_utf8_lossy(line));
    }
}

proptest! {
    #[test]
    fn whatever_is_poisoned_each_series_arrives_in_order(
        lines in 1_usize..300,
        // So that no series is longer than the bound.
        series in 13_usize..80,
        begin in 0_usize..300,
        span in 0_usize..200,
        poisoned in prop::collection::btree_set(0_usize..300, 0..30),
        manner in prop::sample::select(vec![Manner::Partial, Manner::NamesOne, Manner::NamesNone]),
        largest in prop::sample::select(vec![1_usize, 7, 100, usize::MAX]),
    ) {
        let poisoned: BTreeSet<usize> =
            poisoned.into_iter().chain(begin..begin + span).filter(|line| *line < lines).collect();
        let mut server = Server::new(manner, poisoned.iter().copied());
        server.largest = largest;
        let refused = run_series(lines, series, &mut server);
        prop_assert!(in_order(&server.order, series), "{:?}", server.order);
        if let Ok(refused) = refused {
            prop_assert_eq!(refused, poisoned);
        }
    }

    #[test]
    fn exactly_the_poisoned_lines_are_refused(
        lines in 1_usize..300,
        poisoned in prop::collection::btree_set(0_usize..300, 0..30),
        manner in prop::sample::select(vec![Manner::Partial, Manner::NamesOne, Manner::NamesNone]),
        largest in prop::sample::select(vec![1_usize, 7, 100, usize::MAX]),
    ) {
        let poisoned: BTreeSet<usize> = poisoned.into_iter().filter(|line| *line < lines).collect();
        let mut server = Server::new(manner, poisoned.iter().copied());
        server.largest = largest;
        match run(lines, &mut server) {
            Ok(refused) => prop_assert_eq!(refused, poisoned),
            // Only where a sample of all could not find a good line.
            Err(_) => prop_assert!(poisoned.len() * 2 > lines, "{} of {}", poisoned.len(), lines),
        }
    }
}
