//! What reading costs is known of every domain, and errors are counted.

use super::*;
use crate::model::status::ReadingCosts;

fn slowest(costs: &ReadingCosts) -> Vec<(&str, u128)> {
    costs.slowest.iter().map(|cost| (cost.name.as_str(), cost.took.as_millis())).collect()
}

#[test]
fn every_domain_is_timed_in_turn_and_the_slowest_are_named() {
    let mut host = Host::new(30, 8);
    host.cost = 2;
    host.slow = vec![7, 21];
    host.start();
    host.pass(500);
    let costs = host.status().costs;
    assert_eq!(costs.measured, host.status().lists, "one of each list in a cycle");
    host.pass(30_000);
    let costs = host.status().costs;
    assert_eq!(costs.measured, 30);
    assert_eq!(slowest(&costs)[..3], [("vm-7", 502), ("vm-21", 502), ("vm-1", 2)]);
    assert_eq!(costs.slowest.len(), 5, "no more are named");
    assert_eq!(costs.mean.map(|mean| mean.as_millis()), Some((2 * 30 + 1000) / 30));
    // Who is fast again is timed again, three times in so long, and each time
    // half of what was is forgotten.
    host.slow = vec![21];
    host.pass(30_000);
    assert_eq!(slowest(&host.status().costs)[..3], [("vm-21", 502), ("vm-7", 64), ("vm-1", 2)]);
}

#[test]
fn a_domain_that_hangs_is_not_timed_and_a_new_incarnation_is_timed_anew() {
    let mut host = Host::new(3, 8);
    host.cost = 2;
    host.start();
    host.pass(5_500);
    assert_eq!(host.status().costs.measured, 3);
    let before = host.status().costs;
    let of = |costs: &ReadingCosts, name: &str| {
        costs.slowest.iter().find(|cost| cost.name == name).map(|cost| cost.at)
    };
    host.stopped = vec![2];
    host.pass(5_000);
    let after = host.status().costs;
    assert_eq!(of(&after, "vm-2"), of(&before, "vm-2"), "what comes without the monitor's part is no cost");
    assert!(of(&after, "vm-3") > of(&before, "vm-3"));
    host.resume();
    host.restarted = vec![2].into_iter().collect();
    host.pass(1_000);
    host.pass(5_000);
    assert!(of(&host.status().costs, "vm-2") > of(&after, "vm-2"));
}

#[test]
fn an_error_that_comes_again_is_counted_and_does_not_push_out_another() {
    let mut host = Host::new(1, 8);
    host.fails = Some(lost);
    host.start();
    host.pass(20_000);
    let status = host.status();
    let errors: Vec<_> = status.errors.iter().collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].count >= 3 && errors[0].count == status.total_errors, "{errors:?}");
    assert!(errors[0].first < errors[0].last);
    assert_eq!(Some(&errors[0].text), status.last_error.as_ref().map(|(_, text)| text));
}

#[test]
fn a_shorter_interval_holds_at_once_and_the_rate_over_the_change_is_the_mean() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(2_500);
    host.engine.command(Command::SetInterval(Duration::from_hours(1)));
    host.pass(1_800_000);
    let cycles = host.status().total_collections;
    host.engine.command(Command::SetInterval(Duration::from_secs(1)));
    host.pass(100);
    assert_eq!(host.status().total_collections, cycles + 1, "at once, not in half an hour");
    let rates = |host: &Host| {
        let frame = host.frame();
        let rates = &frame.find("vm-1").unwrap().rates;
        (rates.cpu_percent, rates.disk.read_bytes_per_s)
    };
    let (cpu, read) = rates(&host);
    assert!((cpu.unwrap() - 50.0).abs() < 0.1, "over half an hour: {cpu:?}");
    assert!((read.unwrap() - 5e8).abs() < 5e6, "{read:?}");
    host.pass(3_000);
    assert_eq!(host.status().total_collections, cycles + 4);
    assert!(rates(&host).0.is_ok());
    // A gap within one interval is one still.
    host.engine.command(Command::Stop);
    host.pass(4_000);
    host.start();
    host.pass(100);
    assert_eq!(rates(&host).0.unwrap_err().why, Why::Gap);
}
