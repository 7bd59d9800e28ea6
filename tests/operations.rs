//! A seeded run of everything an operator does to guests, with the real
//! collector looking on: no number may be negative, absurd or another device's,
//! and while a guest stands still every counter is the one virsh shows.
//!
//! `KVMSCOPE_SEED` repeats a run; `KVMSCOPE_TORTURE` makes it 200 operations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a failed test panics and shows what was done, and a test is documented by its name"
)]

mod busy_guest;
mod lab;
mod operator;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    collector::{self, Command},
    config,
    influx::line::Encoder,
    model::{AngleScale, DomainFrame, DomainState, Frame, WallTime, frame::Health},
};
use lab::{
    fields,
    guests::{BATCH, DB, GATEWAY, Lab, WEB},
};
use operator::{Dice, Operator, Outcome};
use uuid::Uuid;
use watch::{Frames, Watch};

const INTERVAL: Duration = Duration::from_millis(250);
/// How long the collector may take to show what is so.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a guest may take to boot, beside what else the machine does.
const BOOTING: Duration = Duration::from_mins(4);

/// What only a guest that has booted plays along with.
const WITH_A_SYSTEM: [&str; 10] = [
    "attach disk",
    "replug disk",
    "detach disk",
    "attach nic",
    "replug nic",
    "detach nic",
    "plug vcpu",
    "unplug vcpu",
    "no report",
    "report",
];

struct Run<'a> {
    lab: &'a Lab,
    clock: Clock,
    frames: mpsc::Receiver<Arc<Frame>>,
    watch: Watch,
    /// How often each operation was done, and was refused.
    tally: BTreeMap<String, [u32; 2]>,
    begun: Instant,
}

impl Run<'_> {
    /// Does something to a guest and looks what becomes of it.
    fn operate(&mut self, operator: &mut Operator<'_>, guest: u32, what: &str, dice: &mut Dice) {
        let outcome = operator.act(guest, what, dice);
        let (title, uuid) = operator.who(guest);
        let how = match &outcome {
            Outcome::Done => "done",
            Outcome::Refused(refusal) => refusal,
            Outcome::Replaced(device) => {
                self.watch.replaced(uuid, device);
                device
            }
        };
        println!("{:6.1} s  {title}: {what}: {how}", self.begun.elapsed().as_secs_f64());
        let refused = usize::from(matches!(outcome, Outcome::Refused(_)));
        self.tally.entry(what.to_owned()).or_default()[refused] += 1;
        self.tell(&title, uuid);
        self.look(dice.below(4));
    }

    /// Judges the frames that came meanwhile, and the next `more`.
    fn look(&mut self, more: u32) {
        while let Ok(frame) = self.frames.try_recv() {
            self.watch.frame(&frame);
        }
        for _ in 0..more {
            self.next();
        }
    }

    fn next(&mut self) -> Arc<Frame> {
        let frame = self.frames.recv_timeout(PATIENCE).expect("a frame");
        self.watch.frame(&frame);
        frame
    }

    /// Tells the watch what devices a guest has.
    fn tell(&mut self, guest: &str, uuid: Uuid) {
        if let Some(devices) = operator::devices(self.lab, guest) {
            self.watch.told(uuid, devices, self.clock.now().1);
        }
    }

    /// Stops a running guest and compares everything with virsh.
    fn compare(&mut self, guest: &str, uuid: Uuid) {
        let state = self.lab.try_virsh(&["domstate", guest]).unwrap_or_default();
        let stopped = match state.trim() {
            "running" => self.lab.try_virsh(&["suspend", guest]).is_ok(),
            "paused" => false,
            _ => return,
        };
        let devices = operator::devices(self.lab, guest).expect("a live guest has devices");
        let since = self.clock.now().1;
        let end = Instant::now() + PATIENCE;
        loop {
            let before = self.lab.domstats(guest);
            let asked = self.clock.now().1;
            let frame = self.read_since(uuid, asked);
            let after = self.lab.domstats(guest);
            let domain = frame.domains.iter().find(|d| d.identity().uuid == uuid).unwrap();
            let same = watch::device_names(&domain.reading) == devices;
            let whole = domain.health == Health::Answering && domain.state() == DomainState::Paused;
            if same && whole {
                agree(domain, &frame, &before, &after);
                break;
            }
            assert!(
                Instant::now() < end,
                "{guest} is not read as it is since {since:?}: {:?}, {devices:?}, {:?}",
                domain.health,
                domain.reading
            );
        }
        if stopped {
            self.lab.virsh(&["resume", guest]);
        }
    }

    /// The first frame with a reading of the domain after `instant`.
    fn read_since(&mut self, uuid: Uuid, instant: kvmscope::model::MonoTime) -> Arc<Frame> {
        let end = Instant::now() + PATIENCE;
        loop {
            let frame = self.next();
            let domain = frame.domains.iter().find(|d| d.identity().uuid == uuid);
            // The instant is estimated: the whole cycle must have begun later.
            if domain.is_some_and(|d| d.fresh && d.reading.mono > instant.plus(frame.took)) {
                return frame;
            }
            assert!(Instant::now() < end, "no reading of {uuid}: {:?}", domain.map(|d| d.health));
        }
    }
}

/// Every number of a frame's lines is between virsh's before and after.
fn agree(domain: &DomainFrame, frame: &Frame, before: &fields::Stats, after: &fields::Stats) {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(config::MissingPolicy::Omit, &BTreeMap::new()).unwrap();
    encoder.encode(frame, &mut bytes);
    let mut values = watch::values(std::str::from_utf8(&bytes).unwrap());
    let identity = domain.identity();
    let values = values.remove(&identity.uuid).expect("lines of a live guest");
    let mut compared = 0;
    for (series, value) in &values {
        // Without the guest's report libvirt's words and the field's differ.
        if series.0 == "vm_features" || series.2 == "memory_used_kb" {
            continue;
        }
        let Some(range) = fields::between(before, after, series) else {
            panic!("{}: {series:?} is {value}, and virsh has none", identity.name)
        };
        assert!(range.contains(value), "{}: {series:?} is {value}, virsh has {range:?}", identity.name);
        compared += 1;
    }
    for vcpu in domain.reading.vcpus.iter().flatten() {
        let name = format!("vcpu.{}.time", vcpu.index);
        let of = |stats: &fields::Stats| stats[&name].parse::<u64>().unwrap();
        assert!((of(before)..=of(after)).contains(&vcpu.time.unwrap().0), "{}: {name}", identity.name);
        compared += 1;
    }
    // 8 fields of a NIC, 4 of a disk, as many totals, CPU and memory.
    assert!(compared >= 30, "{}: only {compared} numbers to compare", identity.name);
}

#[test]
fn whatever_is_done_to_guests_no_number_is_wrong() {
    let name = "whatever_is_done_to_guests_no_number_is_wrong";
    let seed = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_241_121);
    let operations: u32 = if lab::torture() { 200 } else { 24 };
    println!("{operations} operations, KVMSCOPE_SEED={seed}");
    let lab = match Lab::start_waiting_for(&[]) {
        Ok(lab) => lab,
        Err(reason) => return lab::skipped(name, &reason),
    };
    let wall_step = Arc::new(AtomicI64::new(0));
    let clock = {
        let (system, step) = (Clock::system(), Arc::clone(&wall_step));
        Clock::from_fn(move || {
            let (WallTime(wall), mono) = system.now();
            (WallTime(wall + step.load(Ordering::Relaxed)), mono)
        })
    };
    let (sender, frames) = mpsc::channel();
    let libvirt = config::Libvirt { uri: lab.uri(), ..config::Libvirt::default() };
    let settings =
        collector::Settings { libvirt, interval: INTERVAL, scale: AngleScale::default(), notes: None };
    let collector = collector::start(settings, clock.clone(), Frames(sender)).unwrap();
    collector.command(Command::Start);
    let mut run =
        Run { lab: &lab, clock, frames, watch: Watch::new(), tally: BTreeMap::new(), begun: Instant::now() };
    run.look(2);
    // Two cores are not enough for four guests that boot at once.
    for guest in [GATEWAY, WEB, BATCH] {
        lab.virsh(&["destroy", guest]);
        run.look(1);
    }
    let mut dice = Dice(seed);
    let mut operator = Operator::new(&lab, wall_step);
    run.look(1);
    for number in 0..operations {
        if number == operations / 2 {
            lab.kill_daemon();
            run.look(0);
            lab.start_daemon();
        }
        let guest = operator.pick(&mut dice);
        let what = operator.choose(guest, &mut dice);
        run.operate(&mut operator, guest, what, &mut dice);
        if number % 6 == 5 {
            let guest = dice.below(operator.guests());
            let (title, uuid) = operator.who(guest);
            operator.steady();
            run.compare(&title, uuid);
        }
    }
    operator.steady();
    for guest in 0..operator.guests() {
        operator.start(guest);
        let (title, _) = operator.who(guest);
        if title.starts_with(DB) {
            // It may be running already.
            drop(lab.try_virsh(&["resume", &title]));
            lab::within(BOOTING, "the database server works", || {
                run.look(1);
                lab.console(DB).contains("load runs").then_some(())
            });
            for what in WITH_A_SYSTEM {
                run.operate(&mut operator, guest, what, &mut dice);
            }
        }
        let (title, uuid) = operator.who(guest);
        run.compare(&title, uuid);
    }
    collector.command(Command::Shutdown);
    let Run { watch, tally, .. } = &run;
    println!("done and refused: {tally:?}");
    println!("{} frames, {} readings, {} rates", watch.frames, watch.readings, watch.rates);
    let done = tally.values().filter(|[done, _]| *done > 0).count();
    assert!(done >= 10, "only {done} kinds of operations worked: {tally:?}");
    assert!(watch.rates > 20 * u64::from(operations), "only {} rates", watch.rates);
}
