//! Which call hangs on whom, where several do, one after the other.

use super::*;

fn since(host: &Host, number: u128) -> (Option<Why>, Option<i64>) {
    match host.health(number) {
        Health::Impaired(missing) => (Some(missing.why), missing.since.map(|since| since.0)),
        Health::Answering | Health::Inactive => (None, None),
    }
}

#[test]
fn who_hangs_beside_an_older_hang_does_so_since_its_own_call() {
    let mut host = Host::new(9, 8);
    host.start();
    host.pass(3_500);
    host.stopped = vec![7];
    host.pass(60_000);
    let (why, first) = since(&host, 7);
    assert_eq!(why, Some(Why::MonitorNotAnswering));
    let stopped_at = host.engine.clock.now().0.0;
    host.stopped = vec![7, 4];
    host.pass(5_000);
    let (why, second) = since(&host, 4);
    assert_eq!(why, Some(Why::MonitorNotAnswering));
    assert!(second.unwrap() >= stopped_at, "{second:?}, stopped at {stopped_at}");
    assert_eq!(since(&host, 7).1, first);
    let stuck = host.status().stuck_calls;
    let named: Vec<_> =
        stuck.iter().map(|call| (call.domain.as_deref().unwrap(), call.since.map(|since| since.0))).collect();
    assert_eq!(named, [("vm-7", first), ("vm-4", second)]);
}

#[test]
fn who_is_busy_beside_a_hang_is_busy() {
    let mut host = Host::new(9, 8);
    host.start();
    host.pass(3_500);
    host.stopped = vec![7];
    host.pass(60_000);
    host.busy = vec![3];
    host.pass(2_000);
    assert_eq!(since(&host, 3).0, Some(Why::Busy));
    assert_eq!(host.status().stuck_calls[0].domain.as_deref(), Some("vm-7"));
    host.busy.clear();
    host.pass(1_000);
    assert_eq!(since(&host, 3), (None, None));
}
