//! Memory and disks spread over cycles, where one cycle has no time for all.

use super::*;

/// Domains of the last frame whose disks were read in it.
fn read_in_full(frame: &Frame) -> Vec<&str> {
    frame.domains.iter().filter(|d| d.reading.disks.is_ok()).map(|d| &*d.identity().name).collect()
}

#[test]
fn what_does_not_fit_takes_turns_and_nobody_waits_longer_than_a_round() {
    let mut host = Host::new(90, 8);
    host.cost = 50; // 30 in a list: 1.5 s in full, 0.3 s without
    host.start();
    host.pass(5_500);
    let round = host.status().round;
    assert!((2..=5).contains(&round), "{round}");
    let skip = host.seen.frames.lock().unwrap().len();
    host.pass(u64::from(round) * 3_000);
    let frames: Vec<_> = host.seen.frames.lock().unwrap()[skip..].to_vec();
    assert_eq!(host.status().skipped_ticks, 0);
    for turn in frames.windows(usize::try_from(round).unwrap()) {
        let mut read: Vec<&str> = turn.iter().flat_map(|frame| read_in_full(frame)).collect();
        read.sort_unstable();
        assert_eq!(read.len(), 90, "each once in a round");
        read.dedup();
        assert_eq!(read.len(), 90);
    }
    for frame in &frames {
        assert!(read_in_full(frame).len() <= 90_usize.div_ceil(usize::try_from(round).unwrap()) + 3);
        for domain in &frame.domains {
            assert_eq!(domain.health, Health::Answering);
            assert!(domain.fresh && domain.rates.cpu_percent.is_ok(), "CPU in every cycle");
            if let Err(missing) = &domain.reading.disks {
                // Not this time, and since when is known.
                assert_eq!(missing.why, Why::NotDue);
                let last = domain.last.as_ref().expect("the last numbers");
                assert_eq!(missing.since, Some(last.reading.at));
                assert!(last.last.is_none(), "no chain of frames");
                let age = frame.mono.since(last.reading.mono);
                assert!(age <= Duration::from_secs(u64::from(round)), "{age:?}");
                assert_eq!(domain.rates.disk.read_bytes_per_s.unwrap_err().why, Why::NotDue);
            } else {
                let rate = domain.rates.disk.read_bytes_per_s.expect("a rate over the whole round");
                assert!((rate - 5e8).abs() < 5e6, "{rate}");
                assert!(domain.last.is_none());
            }
        }
    }
}

#[test]
fn a_change_of_pace_costs_no_rate() {
    let mut host = Host::new(90, 8);
    host.cost = 50;
    host.start();
    host.pass(8_500);
    assert!(host.status().round > 1);
    let skip = host.seen.frames.lock().unwrap().len();
    host.engine.command(Command::SetInterval(Duration::from_secs(5)));
    host.pass(25_000);
    assert_eq!(host.status().round, 1);
    let frames: Vec<_> = host.seen.frames.lock().unwrap()[skip..].to_vec();
    for domain in frames.iter().flat_map(|frame| &frame.domains) {
        let why = domain.rates.disk.read_bytes_per_s.err().map(|missing| missing.why);
        assert!(matches!(why, None | Some(Why::NotDue)), "{why:?}");
    }
}

#[test]
fn whoevers_turn_it_is_everybody_has_its_rates_in_every_cycle() {
    let mut host = Host::new(90, 8);
    host.cost = 50;
    host.error = 400;
    host.start();
    host.pass(8_500);
    let round = usize::try_from(host.status().round).unwrap();
    assert!(round > 1);
    let skip = host.seen.frames.lock().unwrap().len();
    host.pass(12_000);
    let frames = host.seen.frames.lock().unwrap()[skip..].to_vec();
    for domain in frames.iter().flat_map(|frame| &frame.domains) {
        let cores = domain.rates.cpu_cores.unwrap();
        assert!((cores - 0.5).abs() < 0.01, "{cores} at a round of {round}");
    }
}

#[test]
fn a_domain_that_hangs_is_named_although_it_is_not_its_turn() {
    let mut host = Host::new(90, 8);
    host.cost = 50;
    host.start();
    host.pass(8_500);
    host.stopped = vec![17];
    host.pass(12_000);
    assert_eq!(why(host.health(17)), Some(Why::MonitorNotAnswering));
    assert_eq!(host.frame().domains.iter().filter(|d| d.health == Health::Answering).count(), 89);
    host.resume();
    host.pass(2_500);
    assert_eq!(host.health(17), Health::Answering);
}
