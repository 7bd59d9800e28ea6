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
