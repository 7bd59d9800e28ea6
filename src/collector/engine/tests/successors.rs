//! Processes that come after one that was killed while its calls hung: the
//! calls go on holding libvirtd's workers and count for all of them.

use std::path::Path;

use super::*;

/// A host whose engine notes its calls below `directory`.
fn noting(directory: &Path, domains: u128) -> Host {
    let mut host = Host::new(domains, 8);
    host.engine.settings.notes = Some(directory.join("qemu-1"));
    host
}

/// The same host seen by the next process: `killed` has ended without a word.
#[allow(clippy::needless_pass_by_value, reason = "a killed process has ended")]
fn after(killed: Host, directory: &Path) -> Host {
    let mut next = noting(directory, killed.domains);
    next.now.store(killed.now.load(Ordering::SeqCst) + 2_000 * MILLISECOND, Ordering::SeqCst);
    next.left_behind = killed.left_behind.iter().chain(killed.hanging.values()).copied().collect();
    next.stopped.clone_from(&killed.stopped);
    next
}

/// Workers of libvirtd that calls hold, of whichever process.
fn workers(host: &Host) -> usize {
    host.hanging.len() + host.left_behind.len()
}

#[test]
fn however_often_it_is_killed_no_more_calls_hang_than_one_process_may_have() {
    let directory = tempfile::tempdir().unwrap();
    let mut host = noting(directory.path(), 40);
    host.start();
    host.pass(3_500);
    host.stopped = (1..=40).collect();
    host.pass(20_000);
    assert_eq!(workers(&host), 8);
    // The last one is killed before any of its calls is overdue.
    for milliseconds in [30_000, 4_000, 700, 15_000] {
        host = after(host, directory.path());
        host.start();
        for _ in 0..milliseconds / 100 {
            host.pass(100);
            assert!(workers(&host) <= 8, "{} workers", workers(&host));
        }
    }
    let frame = host.frame();
    let without = frame.domains.iter().filter(|d| !d.fresh || d.rates.cpu_cores.is_err());
    let without: Vec<_> =
        without.map(|d| (&d.identity().name, d.fresh, d.rates.cpu_cores, d.health)).collect();
    assert!(without.is_empty(), "CPU goes on: {without:?}");
    let hung = |why: Why| matches!(why, Why::MonitorNotAnswering | Why::NotAsked { stuck: 8 });
    assert!(frame.domains.iter().all(|d| why(d.health).is_some_and(hung)));
    let stuck = host.status().stuck_calls;
    assert_eq!(stuck.len(), 8);
    assert!(stuck.iter().all(|call| call.earlier && call.domain.is_some()), "{stuck:?}");

    host.left_behind.clear();
    host.resume();
    host.pass(3_500);
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
    assert!(host.status().stuck_calls.is_empty());
}

#[test]
fn a_hung_domain_is_named_by_the_next_process_with_the_time_the_first_one_saw() {
    let directory = tempfile::tempdir().unwrap();
    let mut host = noting(directory.path(), 12);
    host.start();
    host.pass(3_500);
    host.stopped = vec![5];
    host.pass(3_000);
    let Health::Impaired(first) = host.health(5) else { panic!("{:?}", host.health(5)) };
    let mut next = after(host, directory.path());
    next.start();
    next.pass(1_500);
    assert_eq!(next.health(5), Health::Impaired(first));
    assert_eq!(workers(&next), 1, "asking it again holds nothing more");
    assert_eq!(next.frame().domains.iter().filter(|d| d.health == Health::Answering).count(), 11);

    // A process that ends by itself leaves word as well.
    next.engine.end();
    let mut third = after(next, directory.path());
    third.start();
    third.pass(1_500);
    assert_eq!(third.health(5), Health::Impaired(first));
    third.left_behind.clear();
    third.resume();
    third.pass(1_500);
    assert_eq!(third.health(5), Health::Answering);
    third.engine.end();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing hangs, nothing is noted");
}

#[test]
fn a_kill_while_all_is_well_costs_the_next_process_nothing_but_single_questions() {
    let directory = tempfile::tempdir().unwrap();
    let mut host = noting(directory.path(), 30);
    host.start();
    host.pass(3_500);
    let mut next = after(host, directory.path());
    next.start();
    next.pass(500);
    let frame = next.frame();
    assert!(frame.domains.iter().all(|d| d.health == Health::Answering), "the first cycle is whole");
    assert!(next.status().stuck_calls.is_empty());
    next.pass(3_000);
    assert!(next.frame().domains.iter().all(|d| d.fresh && d.rates.cpu_percent.is_ok()));
}

/// A note of a dead process: calls since `since` over these domains.
fn leave_note(directory: &Path, calls: &[(i64, std::ops::RangeInclusive<u128>)]) {
    let line = |(since, domains): &(i64, std::ops::RangeInclusive<u128>)| {
        let domains = domains.clone().map(|number| format!(" {}", Uuid::from_u128(number)));
        format!("{since}{}\n", domains.collect::<String>())
    };
    let text: String = calls.iter().map(line).collect();
    std::fs::write(directory.join("qemu-1.99999999-0.stuck"), text).unwrap();
}

#[test]
fn who_is_held_for_a_moment_by_somebody_else_is_not_taken_for_the_hung_one() {
    let directory = tempfile::tempdir().unwrap();
    leave_note(directory.path(), &[(0, 1..=9)]);
    let mut host = noting(directory.path(), 9);
    host.busy = vec![3];
    host.stopped = vec![6];
    host.left_behind = vec![6];
    host.start();
    host.pass(600);
    assert_ne!(why(host.health(3)), Some(Why::MonitorNotAnswering));
    host.busy.clear();
    host.pass(3_000);
    assert_eq!(host.health(3), Health::Answering);
    assert_eq!(why(host.health(6)), Some(Why::MonitorNotAnswering));
    let stuck = host.status().stuck_calls;
    assert_eq!(stuck.len(), 1, "{stuck:?}");
    assert_eq!(stuck[0].domain.as_deref(), Some("vm-6"));
}

#[test]
fn nobody_is_asked_in_full_who_is_only_suspected_while_the_bound_is_reached() {
    let directory = tempfile::tempdir().unwrap();
    let known = (36..=40).map(|number| (5, number..=number));
    let suspected = [(0, 1..=13), (0, 14..=26), (0, 27..=35)];
    leave_note(directory.path(), &known.chain(suspected).collect::<Vec<_>>());
    let mut host = noting(directory.path(), 40);
    // All have stopped between the kill and the start: who is asked hangs.
    host.stopped = (1..=40).collect();
    host.left_behind = vec![36, 37, 38, 39, 40, 5, 20, 30];
    host.start();
    for _ in 0..300 {
        host.pass(100);
        assert!(workers(&host) <= 8, "{} workers", workers(&host));
    }
    let stuck = host.status().stuck_calls;
    let named: std::collections::BTreeSet<&str> =
        stuck.iter().map(|call| call.domain.as_deref().unwrap()).collect();
    assert_eq!(stuck.len(), 8);
    assert!(["vm-5", "vm-20", "vm-30", "vm-36"].iter().all(|name| named.contains(name)), "{named:?}");
}

#[test]
fn who_can_never_be_told_held_or_free_blinds_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    leave_note(directory.path(), &[(0, 1..=9)]);
    let mut host = noting(directory.path(), 9);
    host.busy = vec![3];
    host.start();
    host.pass(1_500);
    for number in (1..=9).filter(|number| *number != 3) {
        assert_eq!(host.health(number), Health::Answering, "{number}");
    }
    let frame = host.frame();
    let unsure = frame.find("vm-3").unwrap();
    assert!(unsure.fresh && unsure.rates.cpu_cores.is_ok(), "what needs no monitor goes on: {unsure:?}");
    host.pass(15_000);
    assert_eq!(why(host.health(3)), Some(Why::Busy), "asked in full in the end");
    assert!(host.status().stuck_calls.is_empty());
}

#[test]
fn questions_about_who_is_held_that_never_return_do_not_pile_up() {
    let directory = tempfile::tempdir().unwrap();
    leave_note(directory.path(), &[(0, 1..=5), (0, 6..=9)]);
    let mut host = noting(directory.path(), 9);
    host.probes_hang = true;
    host.start();
    host.pass(300_000);
    let out = host.open().iter().filter(|(_, _, q)| matches!(q, Question::Control { .. })).count();
    assert!(out <= 3, "{out} are out");
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| d.fresh && d.rates.cpu_cores.is_ok()), "CPU goes on");
    host.probes_hang = false;
    host.pass(30_000);
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
}

#[test]
fn at_the_bound_each_call_gets_its_name_whoever_it_hangs_on() {
    let mut host = Host::new(200, 8);
    host.start();
    host.pass(3_500);
    host.stopped = (150..180).collect();
    host.pass(60_000);
    let stuck = host.status().stuck_calls;
    assert_eq!(stuck.len(), 8);
    assert!(stuck.iter().all(|call| call.domain.is_some()), "{stuck:?}");
}
