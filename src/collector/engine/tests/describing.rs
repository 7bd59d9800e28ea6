//! Questions for XML that hang: whom they cost what.

use super::*;

/// Domains whose XML is asked for, in the order of the questions.
fn being_described(host: &Host) -> Vec<u128> {
    let uuid = |question| match question {
        Question::Describe { uuid } => Some(uuid.as_u128()),
        _ => None,
    };
    host.open().into_iter().filter_map(|(_, _, question)| uuid(question)).collect()
}

fn without_xml(host: &Host) -> Vec<u128> {
    let mut without: Vec<u128> = host
        .engine
        .domains
        .values()
        .filter(|track| track.devices().is_none())
        .map(|track| track.identity.uuid.as_u128())
        .collect();
    without.sort_unstable();
    without
}

#[test]
fn an_xml_that_hangs_is_nobody_elses_and_costs_no_cycle() {
    for hung in 1..=3 {
        let mut host = Host::new(3, 8);
        host.undescribed = vec![hung];
        host.start();
        host.pass(4_500);
        assert_eq!(without_xml(&host), [hung], "the others need not wait for its deadline");
        let skip = host.seen.frames.lock().unwrap().len();
        host.pass(40_000);
        let frames = host.seen.frames.lock().unwrap()[skip..].to_vec();
        assert_eq!(frames.len(), 40);
        let longest = frames.iter().map(|frame| frame.took).max().unwrap();
        assert!(longest < Duration::from_millis(100), "a cycle waited {longest:?}");
        // Stuck by now; two more come.
        host.domains = 5;
        host.pass(3_000);
        assert_eq!(without_xml(&host), [hung]);
        assert_eq!(being_described(&host), [hung], "and it is asked for once");
        // The lister, three for lists, one for jobs, and two for XML.
        let asked = host.asked.lock().unwrap();
        let readers = usize::try_from(asked.started).unwrap() - asked.ended.len();
        assert!(readers <= 7, "{readers} readers");
    }
}

#[test]
fn xml_that_hangs_everywhere_is_asked_for_within_a_bound_and_gains_no_company_by_reconnecting() {
    let mut host = Host::new(12, 8);
    host.undescribed = (1..=12).collect();
    host.start();
    for _ in 0..200 {
        host.pass(1_000);
        let mut asked = being_described(&host);
        assert!((1..=4).contains(&asked.len()), "{asked:?}");
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), being_described(&host).len(), "nobody twice");
    }
    assert_eq!(being_described(&host).len(), 4);
    assert_eq!(host.status().stuck_calls.len(), 4);
    for _ in 0..10 {
        host.engine.command(Command::Reconnect);
        host.pass(500);
        assert_eq!(being_described(&host).len(), 4);
    }
    assert!(host.frame().domains.iter().all(|d| d.fresh && d.health == Health::Answering));
    // Their calls and those of hung VMs share one bound.
    host.stopped = (1..=12).collect();
    for _ in 0..100 {
        host.pass(250);
        assert!(host.calls_that_can_hang() + being_described(&host).len() <= 8);
    }
    host.undescribed.clear();
    host.resume();
    host.pass(3_000);
    assert!(being_described(&host).is_empty() && without_xml(&host).is_empty());
    assert!(host.frame().domains.iter().all(|d| d.health == Health::Answering));
}

#[test]
fn an_xml_that_comes_late_but_in_time_is_taken() {
    let mut host = Host::new(2, 8);
    host.undescribed = vec![1, 2];
    host.start();
    host.pass(10_000);
    assert_eq!(being_described(&host).len(), 2);
    host.undescribed.clear();
    host.pass(10);
    assert!(without_xml(&host).is_empty() && being_described(&host).is_empty());
    // One of the two readers is kept, and works.
    host.domains = 3;
    let started = host.asked.lock().unwrap().started;
    host.pass(1_500);
    assert!(without_xml(&host).is_empty());
    assert_eq!(host.asked.lock().unwrap().started, started);
}

#[test]
fn an_xml_of_the_incarnation_before_is_not_taken_for_this_one() {
    let mut host = Host::new(1, 8);
    host.undescribed = vec![1];
    host.start();
    host.pass(2_500);
    // It is started anew while the question is out, and the roster knows.
    host.restarted = vec![1];
    host.pass(2_000);
    let frame = host.frame();
    assert_eq!(frame.domains[0].identity().id, Some(1_001));
    assert_eq!(being_described(&host), [1]);
    let (reader, ticket, question) = host
        .open()
        .into_iter()
        .find(|(_, _, question)| matches!(question, Question::Describe { .. }))
        .expect("the question");
    host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
    let reply = host.reply(question);
    host.give(reader, ticket, Ok(reply));
    assert_eq!(without_xml(&host), [1], "its devices are not known yet");
    assert_eq!(being_described(&host), [1], "asked anew at once");
    host.undescribed.clear();
    host.pass(1_000);
    assert!(without_xml(&host).is_empty());
}
