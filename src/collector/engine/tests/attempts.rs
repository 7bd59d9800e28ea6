//! Attempts to reach a libvirt that does not answer: how many hang at once,
//! and how collection goes on when they never return.

use super::*;

/// Lets `seconds` pass in which nothing is answered.
fn pass_in_silence(host: &mut Host, seconds: u64) {
    for _ in 0..seconds {
        host.now.fetch_add(1_000 * MILLISECOND, Ordering::SeqCst);
        host.engine.on_time();
    }
}

/// Switches the host off and on: what was asked is never answered, not even
/// by an error.
fn power_cycle(host: &mut Host) {
    host.asked.lock().unwrap().open.clear();
}

fn is_running(host: &Host) -> bool {
    matches!(host.state(), CollectionState::Running { .. })
}

#[test]
fn a_libvirt_that_never_answers_is_tried_ever_more_rarely() {
    let mut host = Host::new(2, 8);
    host.start();
    for (seconds, most) in [(80, 2), (520, 5), (86_400, 7), (86_400, 7)] {
        pass_in_silence(&mut host, seconds);
        assert!(host.open().len() <= most, "{} attempts hang", host.open().len());
    }
    let CollectionState::Failed { why, .. } = host.state() else { panic!("{:?}", host.state()) };
    assert!(why.contains("has not answered"), "{why}");
    // It answers again: at once.
    host.pass(1_000);
    assert!(is_running(&host));
    assert_eq!(host.asked.lock().unwrap().open.len(), 0);
}

#[test]
fn attempts_that_never_return_do_not_end_reconnecting() {
    let mut host = Host::new(2, 8);
    host.start();
    pass_in_silence(&mut host, 90);
    assert_eq!(host.open().len(), 2);
    power_cycle(&mut host);
    host.pass(60_000);
    assert!(is_running(&host), "{:?}", host.state());
    assert!(host.frame().domains.iter().all(|domain| domain.fresh));
}

#[test]
fn the_operator_is_always_allowed_one_more_attempt_up_to_the_last() {
    let mut host = Host::new(2, 8);
    host.start();
    pass_in_silence(&mut host, 86_400);
    assert_eq!(host.open().len(), 7);
    power_cycle(&mut host);
    host.pass(3_600_000);
    assert!(!is_running(&host), "by itself it has given up making threads");
    host.engine.command(Command::Reconnect);
    host.pass(100);
    assert!(is_running(&host), "{:?}", host.state());

    let mut host = Host::new(2, 8);
    host.start();
    for _ in 0..20 {
        host.engine.command(Command::Reconnect);
    }
    assert_eq!(host.open().len(), 8, "each is a thread and a connection");
}
