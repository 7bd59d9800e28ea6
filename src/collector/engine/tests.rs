//! The engine driven by hand: time stands still until a test moves it, and
//! readers answer when a test says so. Hangs on real QEMU are in `tests/`.

use std::sync::{Arc, atomic::Ordering};

use host::{Host, MILLISECOND};

use super::*;
use crate::{
    libvirt::Error,
    model::{DomainJob, Frame, Kib, WallTime, domain::Balloon, frame::Health, reading::GuestMemory},
};

mod attempts;
mod blame;
mod costs;
mod describing;
mod host;
mod jobs;
mod late;
mod rounds;
mod successors;
mod watch;
mod xml;

fn lost() -> Error {
    let text = || String::from("cut");
    Error::Lost { uri: text(), what: "asking", detail: text(), next: "wait" }
}

fn why(health: Health) -> Option<Why> {
    match health {
        Health::Impaired(missing) => Some(missing.why),
        Health::Answering | Health::Inactive => None,
    }
}

#[test]
fn cycles_run_at_the_interval_and_read_every_domain() {
    let mut host = Host::new(7, 8);
    assert!(matches!(host.state(), CollectionState::Stopped { .. }));
    host.start();
    assert!(matches!(host.state(), CollectionState::Connecting { .. }));
    host.pass(10_500);
    assert!(matches!(host.state(), CollectionState::Running { .. }));
    assert_eq!(host.seen.frames.lock().unwrap().len(), 11);
    let frame = host.frame();
    assert_eq!(frame.domains.len(), 7);
    assert!(frame.domains.iter().all(|d| d.fresh && d.health == Health::Answering));
    assert!(frame.domains.iter().all(|d| (d.rates.cpu_percent.unwrap() - 50.0).abs() < 0.1));
    assert_eq!(host.status().lists, 1, "a millisecond is not worth three calls");
    assert_eq!(host.status().total_collections, 11);
    assert_eq!(host.status().skipped_ticks, 0);
}

#[test]
fn a_hung_domain_is_named_and_costs_one_call_and_nobody_elses_cycle() {
    let mut host = Host::new(9, 8);
    host.start();
    host.pass(3_500);
    host.stopped = vec![4];
    host.pass(2_000);
    assert_eq!(why(host.health(4)), Some(Why::MonitorNotAnswering));
    for _ in 0..5 {
        let before = host.frame().cycle;
        host.pass(1_000);
        assert_eq!(host.frame().cycle, before + 1, "the interval is kept");
        let frame = host.frame();
        assert!(frame.domains.iter().all(|d| d.fresh), "everybody is read, the hung one too");
        assert_eq!(frame.domains.iter().filter(|d| d.health == Health::Answering).count(), 8);
        assert_eq!(host.calls_that_can_hang(), 1);
    }
    let frame = host.frame();
    let hung = frame.find("vm-4").unwrap();
    assert!(hung.rates.cpu_percent.is_ok(), "CPU needs no monitor");
    assert_eq!(hung.reading.disks.as_ref().unwrap_err().why, Why::MonitorNotAnswering);
    let status = host.status();
    assert_eq!(status.stuck_calls.len(), 1);
    assert_eq!(status.stuck_calls[0].domain.as_deref(), Some("vm-4"));
    assert_eq!(status.silent.len(), 1);

    host.resume();
    host.pass(1_000);
    assert_eq!(host.health(4), Health::Answering);
    assert!(host.status().stuck_calls.is_empty());
    assert_eq!(host.status().skipped_ticks, 0);
}

#[test]
fn stuck_calls_never_exceed_their_bound_and_what_cannot_hang_is_still_asked() {
    let mut host = Host::new(12, 4);
    host.start();
    host.pass(2_500);
    host.stopped = (1..=12).collect();
    for _ in 0..40 {
        host.pass(250);
        assert!(host.calls_that_can_hang() <= 4, "{} calls may hang", host.calls_that_can_hang());
    }
    assert_eq!(host.status().stuck_calls.len(), 4);
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| d.fresh && d.rates.cpu_cores.is_ok()), "CPU goes on");
    let not_asked =
        frame.domains.iter().filter(|d| why(d.health) == Some(Why::NotAsked { stuck: 4 })).count();
    let hung = frame.domains.iter().filter(|d| why(d.health) == Some(Why::MonitorNotAnswering)).count();
    assert_eq!((not_asked, hung), (8, 4), "those that are held are known from libvirt's books");
    assert!(host.status().stuck_calls.iter().all(|call| call.domain.is_some()));

    // Stopping and starting while they hang makes no further ones.
    for _ in 0..3 {
        host.engine.command(Command::Stop);
        assert!(matches!(host.state(), CollectionState::Stopped { .. }));
        host.start();
        host.pass(2_000);
        assert!(matches!(host.state(), CollectionState::Running { .. }));
        assert!(host.calls_that_can_hang() <= 4);
    }
    host.resume();
    host.pass(2_500);
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
    assert!(host.status().stuck_calls.is_empty());
}

#[test]
fn a_slow_host_is_not_called_hung() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(3_500);
    // Answers come after 700 ms for a while, but everybody is whole.
    for _ in 0..12 {
        let waited = host.now.load(Ordering::SeqCst) + 700 * MILLISECOND;
        while host.now.load(Ordering::SeqCst) < waited {
            let next = host.now.load(Ordering::SeqCst) + 50 * MILLISECOND;
            host.now.store(next, Ordering::SeqCst);
            host.engine.on_time();
        }
        let open: Vec<_> = host.asked.lock().unwrap().open.drain(..).collect();
        for (reader, ticket, question) in open {
            let now = host.engine.clock.now();
            let begun = (WallTime(now.0.0 - 700_000_000), MonoTime(now.1.0 - 700 * MILLISECOND));
            let reply = Ok(host.reply(question));
            host.engine.answer(Answer { reader, ticket, begun, ended: now, reply });
            host.engine.on_time();
        }
        let frame = host.frame();
        assert!(frame.domains.iter().all(|d| why(d.health) != Some(Why::MonitorNotAnswering)));
    }
    host.pass(3_000);
    assert!(host.status().stuck_calls.is_empty());
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
}

#[test]
fn a_host_too_slow_for_every_deadline_is_not_buried_under_calls() {
    let mut host = Host::new(30, 4);
    host.start();
    let mut open_since: HashMap<u64, u64> = HashMap::new();
    let mut most = 0;
    for _ in 0..2_400 {
        let now = host.now.fetch_add(50 * MILLISECOND, Ordering::SeqCst) + 50 * MILLISECOND;
        host.engine.on_time();
        for (reader, ticket, question) in host.open() {
            let since = *open_since.entry(ticket).or_insert(now);
            // Lists take 8 s; all else is quick.
            let is_list = matches!(question, Question::List { .. });
            if !is_list || now - since >= 8_000 * MILLISECOND {
                host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
                let took = now - since;
                let begun = (WallTime(i64::try_from(since).unwrap()), MonoTime(since));
                let ended = (WallTime(i64::try_from(since + took).unwrap()), MonoTime(since + took));
                let reply = Ok(host.reply(question));
                host.engine.answer(Answer { reader, ticket, begun, ended, reply });
                host.engine.on_time();
            }
        }
        let lists = host.open().iter().filter(|(_, _, q)| matches!(q, Question::List { .. })).count();
        most = most.max(lists);
    }
    assert!(most <= 4 + 3, "{most} lists at once: max_stuck_calls and max_parallel are 4 and 3");
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| why(d.health) != Some(Why::MonitorNotAnswering)));
    // It has learned how slow the host is: everybody is read in full again.
    let statuses = host.seen.frames.lock().unwrap();
    let late = &statuses[statuses.len() - 3..];
    assert!(late.iter().any(|f| f.domains.iter().all(|d| d.health == Health::Answering && d.fresh)));
}

#[test]
fn a_domain_short_without_a_stuck_call_is_asked_once_more_and_then_busy() {
    let mut host = Host::new(4, 8);
    host.start();
    host.pass(2_500);
    let whole = host.asked.lock().unwrap().started;
    host.busy = vec![2];
    host.pass(3_000);
    assert_eq!(why(host.health(2)), Some(Why::Busy));
    assert_eq!(host.health(1), Health::Answering);
    assert!(host.frame().find("vm-2").unwrap().rates.cpu_percent.is_ok());
    assert!(host.status().stuck_calls.is_empty());
    host.busy.clear();
    host.pass(1_000);
    assert_eq!(host.health(2), Health::Answering);
    assert_eq!(host.asked.lock().unwrap().started, whole, "no reader was spent on it");
}

#[test]
fn stop_acts_at_once_while_everything_hangs_and_late_answers_change_nothing() {
    let mut host = Host::new(3, 8);
    host.start();
    host.pass(1_500);
    host.stopped = vec![1, 2, 3];
    host.pass(5_000);
    host.engine.command(Command::Stop);
    assert!(matches!(host.state(), CollectionState::Stopped { .. }));
    let frames = host.seen.frames.lock().unwrap().len();
    assert!(host.engine.wait().is_none() || host.calls_that_can_hang() > 0);
    host.resume();
    host.pass(5_000);
    assert_eq!(host.seen.frames.lock().unwrap().len(), frames, "a stopped collector publishes nothing");
    assert!(host.open().is_empty(), "and asks nothing");
}

#[test]
fn a_lost_connection_is_said_for_every_domain_and_tried_again_with_backoff() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(2_500);
    // Everything fails from now on.
    let lost = |host: &mut Host| {
        let open: Vec<_> = host.asked.lock().unwrap().open.drain(..).collect();
        for (reader, ticket, _) in open {
            host.give(reader, ticket, Err(lost()));
        }
    };
    let mut attempts = 0;
    let until = host.now.load(Ordering::SeqCst) + 20_000 * MILLISECOND;
    while host.now.load(Ordering::SeqCst) < until {
        let step = host.engine.wait().map_or(MILLISECOND, nanos).max(1);
        host.now.fetch_add(step, Ordering::SeqCst);
        host.engine.on_time();
        attempts += host.open().len();
        lost(&mut host);
    }
    assert!(matches!(host.state(), CollectionState::Failed { .. }));
    assert!((4..=8).contains(&attempts), "{attempts} attempts in 20 s");
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| why(d.health) == Some(Why::NoConnection) && !d.fresh));
    host.engine.command(Command::Reconnect);
    host.pass(1_500);
    assert!(matches!(host.state(), CollectionState::Running { .. }));
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
}

#[test]
fn a_changed_interval_holds_from_the_next_cycle_on() {
    let mut host = Host::new(1, 8);
    host.start();
    host.pass(1_500);
    host.engine.command(Command::SetInterval(Duration::from_millis(200)));
    let before = host.frame().cycle;
    host.pass(2_000);
    let cycles = host.frame().cycle - before;
    assert!((9..=11).contains(&cycles), "{cycles} cycles in 2 s at 200 ms");
}

#[test]
fn a_host_without_domains_has_empty_frames() {
    let mut host = Host::new(0, 8);
    host.start();
    host.pass(2_500);
    assert!(host.frame().domains.is_empty());
    assert_eq!(host.status().total_collections, 3);
}
