//! Jobs of domains: seen, gone, and questions about them that hang.

use super::*;

fn backup() -> DomainJob {
    DomainJob {
        operation: "backup",
        elapsed: None,
        remaining: None,
        total: Some(9),
        done: Some(3),
        left: Some(6),
    }
}

fn questions(host: &Host) -> usize {
    host.open().iter().filter(|(_, _, question)| matches!(question, Question::Job { .. })).count()
}

#[test]
fn a_job_appears_and_vanishes() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(1_500);
    assert!(host.frame().domains.iter().all(|domain| domain.job.is_none()));
    host.job = Some(backup());
    host.pass(12_000);
    assert!(host.frame().domains.iter().all(|domain| domain.job == Some(backup())));
    host.job = None;
    host.pass(2_000);
    assert!(
        host.frame().domains.iter().all(|domain| domain.job.is_none()),
        "asked in every cycle while it ran"
    );
}

#[test]
fn everybody_is_asked_once_in_ten_seconds() {
    let mut host = Host::new(20, 8);
    host.start();
    host.pass(30_500);
    let asked = host.asked.lock().unwrap().jobs.clone();
    for number in 1..=20 {
        let times = asked.iter().filter(|&&n| n == number).count();
        assert!((3..=5).contains(&times), "vm-{number} was asked {times} times in 30 s");
    }
}

#[test]
fn a_question_that_hangs_is_alone_counts_as_stuck_and_holds_up_nobody() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(1_500);
    host.jobs_hang = true;
    host.pass(20_000);
    assert_eq!(questions(&host), 1, "at most one is out");
    assert_eq!(host.status().stuck_calls.len(), 1);
    assert!(host.status().stuck_calls[0].domain.is_some(), "the status page names whom it waits on");
    assert!(host.frame().domains.iter().all(|domain| domain.fresh && domain.health == Health::Answering));
    host.engine.command(Command::Reconnect);
    host.pass(20_000);
    assert_eq!(questions(&host), 1, "nor after a reconnection");
    host.jobs_hang = false;
    host.job = Some(backup());
    host.pass(12_000);
    assert!(host.status().stuck_calls.is_empty());
    assert!(host.frame().domains.iter().all(|domain| domain.job == Some(backup())));
}

#[test]
fn nobody_is_asked_while_he_hangs_or_while_the_bound_is_reached() {
    let mut host = Host::new(5, 1);
    host.start();
    host.pass(1_500);
    host.stopped = vec![2];
    host.pass(5_000);
    assert_eq!(host.status().stuck_calls.len(), 1);
    host.asked.lock().unwrap().jobs.clear();
    host.pass(20_000);
    assert_eq!(host.asked.lock().unwrap().jobs, [0_u128; 0], "the bound of one stuck call is reached");

    let mut host = Host::new(5, 8);
    host.start();
    host.pass(1_500);
    host.stopped = vec![2];
    host.pass(5_000);
    host.asked.lock().unwrap().jobs.clear();
    host.pass(20_000);
    let asked = host.asked.lock().unwrap().jobs.clone();
    assert!(asked.contains(&1) && !asked.contains(&2), "{asked:?}");
    host.resume();
    host.pass(15_000);
    assert!(host.asked.lock().unwrap().jobs.contains(&2), "whole again");
}

#[test]
fn a_driver_without_jobs_is_asked_once_until_reconnect() {
    let mut host = Host::new(5, 8);
    host.no_jobs = true;
    host.start();
    host.pass(25_000);
    assert_eq!(host.asked.lock().unwrap().jobs.len(), 1);
    host.engine.command(Command::Reconnect);
    host.pass(5_000);
    assert_eq!(host.asked.lock().unwrap().jobs.len(), 2);
}

/// The domain whose question hangs, once it comes back short.
fn short_behind_its_question(host: &mut Host) -> Option<Why> {
    host.jobs_hang = true;
    let question = |host: &Host| {
        host.open().into_iter().find_map(|(_, _, question)| match question {
            Question::Job { uuid, .. } => Some(uuid.as_u128()),
            _ => None,
        })
    };
    let number = (0..150).find_map(|_| {
        host.pass(100);
        question(host)
    });
    let number = number.expect("a question is out");
    // It holds the domain from then on.
    host.busy = vec![number];
    host.pass(5_000);
    why(host.health(number))
}

#[test]
fn a_question_about_a_known_job_hangs_on_the_monitor_and_any_other_behind_a_job() {
    let mut host = Host::new(3, 8);
    host.job = Some(backup());
    host.start();
    host.pass(3_500);
    assert_eq!(short_behind_its_question(&mut host), Some(Why::MonitorNotAnswering));

    let mut host = Host::new(3, 8);
    host.start();
    host.pass(3_500);
    assert_eq!(short_behind_its_question(&mut host), Some(Why::Busy));
}
