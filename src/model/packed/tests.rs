use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{
    DomainDevices, DomainJob, DomainRates, DomainReading, DomainState, Happening, HostLoad, Identity, Kib,
    Measured, Missing, MonoTime, Nanos, Why,
    frame::{Health, HostFacts},
    rates::{AngleScale, Baseline, Periods},
    reading::{CpuCounters, DiskReading, DiskSize, MemorySize, NicReading, VcpuCounters},
    timeline::Weight,
};

/// What a random number says of a value: mostly that it grows as counters do,
/// at times that it is missing, falls, or is the largest there is.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.roll().is_multiple_of(many)
    }

    fn counter(&mut self, before: Option<u64>) -> Option<u64> {
        match self.roll() % 40 {
            0 => None,
            1 => Some(u64::MAX),
            2 => Some(0),
            3..10 => before,
            _ => Some(before.unwrap_or(7).wrapping_add(self.roll() % 40_000_000)),
        }
    }

    fn why(&mut self) -> Missing {
        let whys = [
            Why::NotDue,
            Why::MonitorNotAnswering,
            Why::NotAsked { stuck: 3 },
            Why::NotOffered,
            Why::NoStatsPeriod,
        ];
        let why = whys[usize::try_from(self.roll() % 5).unwrap()];
        Missing { why, since: self.one_in(2).then(|| WallTime(self.roll().cast_signed())) }
    }

    fn missing<T>(&mut self, there: T) -> Measured<T> {
        if self.one_in(12) { Err(self.why()) } else { Ok(there) }
    }
}

macro_rules! counters {
    ($dice:ident, $of:expr, $wrap:expr, $unwrap:expr; $($field:ident)*) => {
        $($of.$field = $dice.counter($of.$field.map($unwrap)).map($wrap);)*
    };
}

struct Guest {
    reading: DomainReading,
    baseline: Baseline,
    frame: Option<Arc<DomainFrame>>,
}

impl Guest {
    fn new(number: u128) -> Self {
        let name = format!("vm-{number}").into();
        let identity = Arc::new(Identity { uuid: Uuid::from_u128(number), id: Some(3), name });
        let first = Missing::new(Why::FirstReading);
        let running = DomainState::Running;
        let reading = DomainReading::unanswered(identity, running, WallTime(1), MonoTime(1), first);
        Self { reading, baseline: Baseline::default(), frame: None }
    }

    fn step(&mut self, dice: &mut Dice, number: u64) -> Arc<DomainFrame> {
        if let Some(frame) = self.frame.clone().filter(|_| dice.one_in(9)) {
            return frame;
        }
        let now = &mut self.reading;
        now.at = WallTime((number * 1_000_000_000 + dice.roll() % 400_000).cast_signed());
        now.mono = MonoTime(number * 1_000_000_000 + dice.roll() % 400_000);
        if dice.one_in(20) {
            now.state = DomainState::from_code((dice.roll() % 8).cast_signed());
            now.state_reason = (dice.roll() % 4).cast_signed();
        }
        if dice.one_in(40) {
            let id = dice.one_in(2).then_some(4);
            now.identity = Arc::new(Identity { id, ..(*now.identity).clone() });
        }
        let mut cpu = now.cpu.unwrap_or(CpuCounters { time: Nanos(0), user: None, system: None });
        cpu.time = Nanos(dice.counter(Some(cpu.time.0)).unwrap_or(0));
        counters!(dice, cpu, Nanos, |n: Nanos| n.0; user system);
        now.cpu = dice.missing(cpu);
        let mut vcpus = now.vcpus.clone().unwrap_or_default();
        vcpus.resize(
            usize::try_from(1 + dice.roll() % 3).unwrap(),
            VcpuCounters { index: 5, time: None, wait: None, delay: None, halted: None },
        );
        for (index, vcpu) in (0..).zip(&mut vcpus) {
            vcpu.index = index;
            counters!(dice, vcpu, Nanos, |n: Nanos| n.0; time wait delay);
            vcpu.halted = [None, Some(false), Some(true)][usize::try_from(dice.roll() % 3).unwrap()];
        }
        now.vcpu_count = dice.missing(u32::try_from(vcpus.len()).unwrap());
        now.vcpus = dice.missing(vcpus);
        let current = Kib(dice.roll() % 9);
        now.memory = dice.missing(MemorySize { current, maximum: Kib(4 << 20) });
        let rss = Kib(dice.roll());
        now.rss = dice.missing(rss);
        let mut guest = now.guest_memory.unwrap_or_default();
        counters!(dice, guest, Kib, |n: Kib| n.0; available usable unused swap_in swap_out disk_caches);
        counters!(dice, guest, |n| n, |n| n; major_faults minor_faults last_update);
        now.guest_memory = dice.missing(guest);
        devices(dice, now);
        let last = self.frame.clone().filter(|_| dice.one_in(3));
        let last = last.map(|last| match &last.last {
            Some(older) if dice.one_in(2) => Arc::clone(older),
            _ => last,
        });
        let mut rates =
            self.baseline.advance(now, &Periods::every(Duration::from_secs(1)), &AngleScale::default());
        if dice.one_in(15) {
            // What follows from nothing that is known here.
            rates = DomainRates::missing(dice.why());
            rates.cpu_percent =
                Ok([0.1, -0.0, f64::NAN, f64::MIN_POSITIVE][usize::try_from(dice.roll() % 4).unwrap()]);
            rates.memory_held = true;
        }
        let before = self.frame.as_ref();
        let happening = || Happening {
            at: WallTime(4),
            since: WallTime(number.cast_signed()),
            text: "disk vdc attached".into(),
            weight: Weight::Note,
        };
        let job = DomainJob {
            operation: "backup",
            elapsed: Some(Duration::from_secs(number)),
            remaining: None,
            total: Some(9),
            done: Some(number),
            left: None,
        };
        let frame = Arc::new(DomainFrame {
            reading: now.clone(),
            rates,
            devices: before.map_or_else(|| Arc::new(DomainDevices::default()), |b| Arc::clone(&b.devices)),
            health: if dice.one_in(8) { Health::Impaired(dice.why()) } else { Health::Answering },
            fresh: !dice.one_in(6),
            timeline: match before {
                Some(before) if !dice.one_in(9) => Arc::clone(&before.timeline),
                _ => [happening()].into(),
            },
            job: dice.one_in(9).then_some(job),
            last,
        });
        self.frame = Some(Arc::clone(&frame));
        frame
    }
}

fn devices(dice: &mut Dice, now: &mut DomainReading) {
    let mut nics = now.nics.clone().unwrap_or_default();
    nics.resize(
        usize::try_from(dice.roll() % 3).unwrap(),
        NicReading { name: format!("vnet{}", dice.roll() % 4).into(), counters: Err(dice.why()) },
    );
    for nic in &mut nics {
        let mut of = nic.counters.unwrap_or_default();
        counters!(dice, of, |n| n, |n| n; rx_bytes rx_packets rx_errors rx_drops tx_bytes tx_packets);
        nic.counters = dice.missing(of);
    }
    now.nics = dice.missing(nics);
    let mut disks = now.disks.clone().unwrap_or_default();
    disks.resize(
        usize::try_from(dice.roll() % 3).unwrap(),
        DiskReading { name: "vda".into(), counters: Err(dice.why()), size: DiskSize::default() },
    );
    for disk in &mut disks {
        let mut of = disk.counters.unwrap_or_default();
        counters!(dice, of, |n| n, |n| n; rd_reqs rd_bytes wr_reqs wr_bytes fl_reqs errors);
        counters!(dice, of, Nanos, |n: Nanos| n.0; rd_times wr_times fl_times);
        disk.counters = dice.missing(of);
        counters!(dice, disk.size, |n| n, |n| n; capacity allocation physical);
    }
    now.disks = dice.missing(disks);
}

/// Frames of a fleet whose VMs come, go, change places and miss nothing that
/// can happen to a value.
fn frames(seed: u64, count: u64) -> Vec<Frame> {
    let mut dice = Dice(seed | 1);
    let mut guests: Vec<Guest> = (0..4).map(Guest::new).collect();
    (1..=count)
        .map(|number| {
            if dice.one_in(7) {
                guests.push(Guest::new(u128::from(dice.roll())));
            }
            if dice.one_in(9) && guests.len() > 1 {
                guests.remove(0);
            }
            if dice.one_in(9) {
                guests.reverse();
            }
            Frame {
                cycle: number + dice.roll() % 2,
                at: WallTime((number * 1_000_000_000).cast_signed()),
                mono: MonoTime(number * 1_000_000_000),
                took: Duration::from_nanos(dice.roll()),
                interval: Duration::from_secs(1),
                host: Arc::new(HostFacts::default()),
                load: HostLoad::missing(dice.why()),
                scale: AngleScale::default(),
                domains: guests.iter_mut().map(|guest| guest.step(&mut dice, number)).collect(),
            }
        })
        .collect()
}

/// Everything of a frame to the last bit: a float is written so that it reads
/// back as it was.
fn all_of(frame: &Frame) -> String {
    format!("{frame:?}")
}

proptest! {
    // Each looks back from every one of its frames.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_frame_comes_back_as_it_was(seed: u64, count in 1_u64..30) {
        let frames = frames(seed, count);
        let mut packer = Packer::default();
        for (nth, frame) in frames.iter().enumerate() {
            packer.push(frame);
            // While others still come.
            let back = packer.packed().unpack(nth).unwrap();
            prop_assert_eq!(all_of(&back), all_of(frame));
        }
        let packed = packer.finish();
        prop_assert_eq!(packed.len(), frames.len());
        for (nth, frame) in frames.iter().enumerate() {
            prop_assert_eq!(all_of(&packed.unpack(nth).unwrap()), all_of(frame));
            prop_assert_eq!(packed.heads()[nth].at, frame.at);
        }
        prop_assert!(packed.unpack(frames.len()).is_none());
    }
}
