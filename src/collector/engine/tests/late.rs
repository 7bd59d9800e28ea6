//! Pauses, hangs of libvirt itself, slow connections: what comes late and how
//! collection goes on after it.

use super::*;

/// Gives the open list calls their answers, as calls that began `milliseconds`
/// ago and have returned just now.
fn answer_lists_begun_ago(host: &mut Host, milliseconds: u64) {
    let lists: Vec<_> =
        host.open().into_iter().filter(|(_, _, q)| matches!(q, Question::List { .. })).collect();
    assert!(!lists.is_empty());
    for (reader, ticket, question) in lists {
        host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
        let ended = host.engine.clock.now();
        let begun = MonoTime(ended.1.0 - milliseconds * MILLISECOND);
        let reply = Ok(host.reply(question));
        host.engine.answer(Answer { reader, ticket, begun: (ended.0, begun), ended, reply });
    }
    host.engine.on_time();
}

/// Moves to the next cycle, up to where its lists are asked.
fn ask_next_lists(host: &mut Host) {
    let step = host.engine.wait().map_or(0, nanos);
    host.now.fetch_add(step, Ordering::SeqCst);
    host.engine.on_time();
    let roster = host.open().into_iter().find(|(_, _, q)| matches!(q, Question::Roster)).expect("a roster");
    host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != roster.1);
    let reply = host.reply(roster.2);
    host.give(roster.0, roster.1, Ok(reply));
}

#[test]
fn readings_from_before_the_program_was_suspended_are_not_taken() {
    let mut host = Host::new(6, 8);
    host.start();
    host.pass(3_500);
    ask_next_lists(&mut host);
    // Ctrl-Z for ten seconds: libvirtd has answered long ago, and each reader
    // sees the answer only now.
    host.now.fetch_add(10_000 * MILLISECOND, Ordering::SeqCst);
    answer_lists_begun_ago(&mut host, 10_000);
    host.pass(100);
    let read = host.engine.clock.now().1;
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| d.fresh), "asked anew at once");
    for domain in &frame.domains {
        assert!(read.since(domain.reading.mono) < Duration::from_millis(200), "{:?}", domain.reading.mono);
        assert_eq!(domain.rates.cpu_cores.unwrap_err().why, Why::Gap);
    }
    assert!(host.status().stuck_calls.is_empty());
}

#[test]
fn a_long_pause_does_not_lengthen_the_deadlines_beyond_use() {
    let mut host = Host::new(6, 8);
    host.start();
    host.pass(3_500);
    ask_next_lists(&mut host);
    host.now.fetch_add(3_600_000 * MILLISECOND, Ordering::SeqCst);
    answer_lists_begun_ago(&mut host, 3_600_000);
    host.pass(1_500);
    // A VM that hangs now must still be found within seconds.
    host.stopped = vec![4];
    host.pass(8_000);
    assert_eq!(why(host.health(4)), Some(Why::MonitorNotAnswering));
    assert_eq!(host.health(1), Health::Answering);
}

#[test]
fn a_hang_beyond_the_bound_teaches_no_patience() {
    // One call may hang: the hung VM is never proven to hang, only not asked.
    let mut host = Host::new(2, 1);
    host.start();
    host.pass(2_500);
    host.stopped = vec![1];
    host.pass(3_600_000);
    host.stopped.clear();
    host.hanging.clear();
    answer_lists_begun_ago(&mut host, 3_590_000);
    host.pass(2_500);
    assert_eq!(host.health(1), Health::Answering);
    host.stopped = vec![2];
    let before = host.frame().cycle;
    host.pass(12_000);
    assert!(
        host.frame().cycle > before + 3,
        "the screen stood still: {} cycles",
        host.frame().cycle - before
    );
}

#[test]
fn start_and_stop_while_libvirt_hangs_make_no_crowd_of_attempts_and_are_always_seen() {
    let mut host = Host::new(2, 8);
    // Nothing answers: each attempt hangs, and none has met its deadline yet.
    for _ in 0..20 {
        host.start();
        assert!(!matches!(host.state(), CollectionState::Stopped { .. }), "{:?}", host.state());
        host.engine.command(Command::Stop);
        assert!(matches!(host.state(), CollectionState::Stopped { .. }));
    }
    host.start();
    host.engine.command(Command::Reconnect);
    assert!(!matches!(host.state(), CollectionState::Running { .. }));
    let started = host.asked.lock().unwrap().started;
    assert_eq!(started, 3, "two attempts, each a thread and a connection, and one by Reconnect");
    // libvirt answers again: nobody waits for the backoff.
    host.pass(10);
    assert!(matches!(host.state(), CollectionState::Running { .. }), "{:?}", host.state());
    assert_eq!(host.frame().domains.len(), 2);
    let asked = host.asked.lock().unwrap();
    assert!((1..=2).all(|reader| asked.ended.contains(&reader)), "the readers in between are gone");
}

#[test]
fn connections_that_are_slow_to_open_are_waited_for_and_kept() {
    let mut host = Host::new(9, 8);
    host.start();
    host.pass(10_500);
    let before = host.asked.lock().unwrap().started;
    host.engine.command(Command::Reconnect);
    // Over ssh: three seconds until a fresh reader asks, at once afterwards.
    let mut connected: Vec<ReaderId> = Vec::new();
    let mut open_since: HashMap<u64, u64> = HashMap::new();
    for _ in 0..600 {
        let now = host.now.fetch_add(50 * MILLISECOND, Ordering::SeqCst) + 50 * MILLISECOND;
        host.engine.on_time();
        for (reader, ticket, question) in host.open() {
            let since = *open_since.entry(ticket).or_insert(now);
            if connected.contains(&reader) || now - since >= 3_000 * MILLISECOND {
                connected.push(reader);
                host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
                let reply = Ok(host.reply(question));
                host.give(reader, ticket, reply);
            }
        }
    }
    let frame = host.frame();
    assert!(frame.domains.iter().all(|d| d.fresh && d.health == Health::Answering), "{:?}", host.status());
    let started = host.asked.lock().unwrap().started - before;
    assert!(started <= 8, "{started} connections in 30 s");
}

#[test]
fn a_report_that_goes_stale_has_its_xml_read_again() {
    let mut host = Host::new(1, 8);
    host.balloon = Balloon::Period(1);
    let report = |host: &Host| GuestMemory {
        available: Some(Kib(100)),
        usable: Some(Kib(40)),
        last_update: Some(host.now.load(Ordering::SeqCst) / 1_000_000_000),
        ..GuestMemory::default()
    };
    host.report = Some(report(&host));
    host.start();
    host.pass(1_500);
    let last = report(&host);
    host.report = Some(last);
    host.pass(1_000);
    assert!(host.frame().domains[0].reading.guest_memory.is_ok());
    // virsh dommemstat --period 0: no further report comes.
    host.balloon = Balloon::NoPeriod;
    host.pass(9_000);
    let frame = host.frame();
    assert_eq!(frame.domains[0].reading.guest_memory.unwrap_err().why, Why::NoStatsPeriod);
    assert_eq!(frame.domains[0].reading.memory_used().unwrap().0, Kib(1), "the balloon's size");
}

/// A guest of period 2 s that reports every second, by a hypervisor's clock
/// that is `ahead` of ours by so many seconds.
fn report_by_a_clock(host: &mut Host, ahead: i64, seconds: u64) {
    for _ in 0..seconds {
        let now = i64::try_from(host.now.load(Ordering::SeqCst) / 1_000_000_000).unwrap();
        host.report = Some(GuestMemory {
            available: Some(Kib(100)),
            usable: Some(Kib(40)),
            last_update: Some(u64::try_from(1_000_000 + now + ahead).unwrap()),
            ..GuestMemory::default()
        });
        host.pass(1_000);
    }
}

#[test]
fn a_remote_hosts_clock_makes_no_report_stale_and_none_fresh() {
    for ahead in [-30, 30] {
        let mut host = Host::new(1, 8);
        host.engine.settings.libvirt.uri = "qemu+ssh://far/system".into();
        host.engine.clock = {
            let time = Arc::clone(&host.now);
            Clock::from_fn(move || {
                let nanos = time.load(Ordering::SeqCst);
                let wall = i64::try_from(nanos).unwrap() + 1_000_000_000_000_000;
                (WallTime(wall), MonoTime(nanos))
            })
        };
        host.balloon = Balloon::Period(2);
        host.start();
        report_by_a_clock(&mut host, ahead, 10);
        let reading = |host: &Host| host.frame().domains[0].reading.clone();
        assert!(reading(&host).guest_memory.is_ok(), "{:?}", reading(&host).guest_memory);
        // The guest falls silent.
        let last = host.now.load(Ordering::SeqCst);
        host.pass(5_000);
        assert!(reading(&host).guest_memory.is_ok());
        host.pass(5_000);
        let stale = reading(&host).guest_memory.expect_err("it has not changed for ten seconds");
        assert_eq!(stale.why, Why::GuestReportStale);
        let since = stale.since.expect("since when").0 - 1_000_000_000_000_000;
        let off = since.abs_diff(i64::try_from(last).unwrap());
        assert!(off <= 1_100 * MILLISECOND, "told by our clock: {off} ns off");
    }
}

#[test]
fn a_domain_held_by_its_migration_says_so() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(2_500);
    host.busy = vec![2];
    host.migrating = vec![2];
    host.pass(2_000);
    assert_eq!(why(host.health(2)), Some(Why::Migrating));
    host.migrating.clear();
    host.pass(2_000);
    assert_eq!(why(host.health(2)), Some(Why::Busy));
}

#[test]
fn a_tick_that_comes_late_does_not_bring_the_next_one_close() {
    let mut host = Host::new(2, 8);
    host.start();
    host.pass(3_000);
    // Suspended until shortly before a tick.
    host.now.fetch_add(5_950 * MILLISECOND, Ordering::SeqCst);
    host.engine.on_time();
    host.pass(10_000);
    let frames = host.seen.frames.lock().unwrap();
    let closest = frames.windows(2).map(|pair| pair[1].mono.since(pair[0].mono)).min().unwrap();
    assert!(closest >= Duration::from_millis(500), "{closest:?} between two cycles");
    assert_eq!(
        u64::try_from(frames.len()).unwrap() + host.engine.figures.skipped_ticks,
        19,
        "none uncounted"
    );
}

#[test]
fn a_slow_call_with_a_quick_one_on_its_heels_gives_no_rate() {
    let mut host = Host::new(6, 8);
    host.start();
    host.engine.command(Command::SetInterval(Duration::from_millis(200)));
    host.pass(3_000);
    assert!(host.frame().domains.iter().all(|d| d.rates.cpu_cores.is_ok()));
    ask_next_lists(&mut host);
    host.now.fetch_add(190 * MILLISECOND, Ordering::SeqCst);
    answer_lists_begun_ago(&mut host, 190);
    let slow = host.frame().cycle;
    host.pass(30);
    let frame = host.frame();
    assert_eq!(frame.cycle, slow + 1);
    for domain in &frame.domains {
        assert_eq!(domain.rates.cpu_cores.unwrap_err().why, Why::UncertainInstants);
        assert_eq!(domain.rates.disk.read_bytes_per_s.unwrap_err().why, Why::UncertainInstants);
    }
    host.pass(200);
    assert!(host.frame().domains.iter().all(|d| (d.rates.cpu_cores.unwrap() - 0.5).abs() < 0.1));
}

#[test]
fn an_answer_between_two_cycles_is_the_next_ones_reading() {
    let mut host = Host::new(9, 8);
    host.cost = 10;
    host.start();
    host.pass(3_500);
    // One list is not answered for most of a cycle: it is repeated, and the next
    // tick does not wait for that.
    let roster = |host: &mut Host| {
        while !host.open().iter().any(|(_, _, question)| matches!(question, Question::Roster)) {
            host.now.fetch_add(10 * MILLISECOND, Ordering::SeqCst);
            host.engine.on_time();
        }
        host.open().into_iter().find(|(_, _, question)| matches!(question, Question::Roster)).unwrap()
    };
    let answer = |host: &mut Host, (reader, ticket, question): (ReaderId, u64, Question)| {
        host.asked.lock().unwrap().open.retain(|(_, open, _)| *open != ticket);
        let reply = host.reply(question);
        host.give(reader, ticket, Ok(reply));
    };
    let first = roster(&mut host);
    answer(&mut host, first);
    let lists = host.open().into_iter().filter(|(_, _, question)| matches!(question, Question::List { .. }));
    let lists: Vec<_> = lists.collect();
    assert_eq!(lists.len(), 3);
    for list in lists.into_iter().skip(1) {
        answer(&mut host, list);
    }
    let before = host.seen.frames.lock().unwrap().len();
    let second = roster(&mut host);
    let late = host.open().into_iter().rfind(|(_, _, question)| matches!(question, Question::List { .. }));
    let late = late.expect("a repeat is out");
    answer(&mut host, late);
    let read_at = host.engine.domains.values().filter_map(|track| track.updated.as_ref());
    let read_at: Vec<_> = read_at.map(|frame| frame.reading.mono).collect();
    assert_eq!(read_at.len(), 3, "the repeat was in time");
    host.now.fetch_add(5 * MILLISECOND, Ordering::SeqCst);
    answer(&mut host, second);
    host.answer_all();
    let frames = host.seen.frames.lock().unwrap()[before..].to_vec();
    let fresh = frames.iter().flat_map(|frame| &frame.domains).filter(|domain| domain.fresh);
    let seen: Vec<_> = fresh.map(|domain| domain.reading.mono).collect();
    assert!(read_at.iter().all(|at| seen.contains(at)), "{read_at:?} in {seen:?}");
}
