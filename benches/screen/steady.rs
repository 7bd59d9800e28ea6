//! Forty VMs at one cycle a second: what starting takes, and what a minute of
//! it sends to the terminal and takes of the machine.

use std::time::Duration;

use kvmscope::app::Message;

use crate::{
    drawn::Drawn,
    fleet::Fleet,
    history,
    hosts::{Host, VMS},
    peers::{self, Peer},
    pty::Program,
    side_by_side::{Bar, Spread, Table, bytes, seconds},
};

const WARM: Duration = Duration::from_secs(15);
const WINDOW: Duration = Duration::from_secs(5);
const WINDOWS: usize = 12;
/// And of the bar about memory.
const MANY: u32 = 1000;
const STARTS: usize = 7;
/// A screen of 80×24 with something on it takes more than this.
const A_SCREEN: u64 = 1500;
const MIB: f64 = 1024.0 * 1024.0;

/// Start to the first frame and to the first numbers.
pub fn start(host: &Host) {
    let peers = peers::all();
    let [mut frame, mut numbers]: [Vec<f64>; 2] = Default::default();
    let mut theirs: Vec<Vec<f64>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..STARTS {
        let home = tempfile::tempdir().unwrap();
        let ours = host.start(home.path(), (80, 24));
        frame.push(ours.until_sent(A_SCREEN).as_secs_f64());
        numbers.push(ours.until_shown("an angle", |screen| screen.contains('°')).as_secs_f64());
        drop(ours);
        for (peer, times) in peers.iter().zip(&mut theirs) {
            let home = tempfile::tempdir().unwrap();
            let started = peer.start(home.path(), (80, 24));
            times.push(started.until_sent(A_SCREEN).as_secs_f64());
        }
    }
    let title = format!("screen: start to what is seen at 80×24, {} (median, 10–90 %)", host.title());
    let mut table = Table::new(title);
    let first = Spread::of(&frame);
    table.figure("first frame", first.shown(seconds), first.median * 1e3, Bar::AtMost(100.0));
    for (peer, times) in peers.iter().zip(&theirs) {
        let (them, ratio) = (Spread::of(times).shown(seconds), Spread::of_ratios(&frame, times));
        table.compare_pairs("first frame", first.shown(seconds), peer.name, &them, ratio, Bar::None);
    }
    let first = Spread::of(&numbers);
    table.figure("first rates", first.shown(seconds), first.median * 1e3, Bar::AtMost(1300.0));
    table.note("Bars are milliseconds: 100, and one interval of a second and 0.3 s.");
    table.note(format!("A frame counts once {A_SCREEN} bytes have come; the programs take turns."));
    table.print();
}

/// One of the programs of a minute, and what was noted of it.
struct Watched {
    name: &'static str,
    program: Program,
    /// Bytes per second, window by window.
    rates: Vec<f64>,
    /// Percent of a core.
    cpu: f64,
    /// Bytes at the end.
    resident: f64,
}

impl Watched {
    fn new(name: &'static str, program: Program) -> Self {
        Self { name, program, rates: Vec::new(), cpu: 0.0, resident: 0.0 }
    }
}

/// Runs kvmscope and its peers for a minute and notes what they send.
fn watch(host: &Host, peers: &[Peer], size: (u16, u16)) -> Vec<Watched> {
    let homes: Vec<_> = (0..=peers.len()).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut watched = vec![Watched::new("kvmscope", host.start(homes[0].path(), size))];
    for (peer, home) in peers.iter().zip(&homes[1..]) {
        watched.push(Watched::new(peer.name, peer.start(home.path(), size)));
    }
    std::thread::sleep(WARM);
    for watched in &mut watched {
        watched.cpu = watched.program.cpu();
    }
    let mut before: Vec<u64> = watched.iter().map(|watched| watched.program.sent()).collect();
    for _ in 0..WINDOWS {
        std::thread::sleep(WINDOW);
        for (watched, before) in watched.iter_mut().zip(&mut before) {
            let sent = watched.program.sent();
            watched.rates.push((sent - *before) as f64 / WINDOW.as_secs_f64());
            *before = sent;
        }
    }
    let span = WINDOW.as_secs_f64() * WINDOWS as f64;
    for watched in &mut watched {
        assert!(watched.program.is_running(), "{} has ended", watched.name);
        watched.cpu = (watched.program.cpu() - watched.cpu) / span * 100.0;
        watched.resident = watched.program.resident();
    }
    let screen = watched[0].program.screen();
    assert!(screen.contains(&host.all_there()), "{screen}");
    watched
}

/// Bytes to the terminal over a minute at two sizes.
pub fn minute(host: &Host) {
    let peers = peers::all();
    let unit = |rate: f64| format!("{}/s", bytes(rate));
    let title =
        format!("screen: bytes to the terminal at 1 Hz, {VMS} VMs (median of {WINDOWS} × 5 s, 10–90 %)");
    let mut table = Table::new(title);
    for (size, bar) in [((80, 24), Bar::None), ((200, 50), Bar::AtMost(0.35))] {
        let watched = watch(host, &peers, size);
        let name = format!("{}×{}", size.0, size.1);
        let sides = [("all numbers change", all_change(size)), ("whole program", watched[0].rates.clone())];
        for (place, (side, ours)) in sides.iter().enumerate() {
            // The test hypervisor's counters move so evenly that little changes.
            let bar = if place == 0 || host.is_busy() { bar } else { Bar::None };
            let what = format!("{name}: {side}");
            let shown = Spread::of(ours).shown(unit);
            if watched.len() == 1 {
                table.figure(&what, shown.clone(), Spread::of(ours).median, Bar::None);
            }
            for theirs in &watched[1..] {
                let bar = if theirs.name == "btop" { bar } else { Bar::None };
                let ratio = Spread::of_ratios(ours, &theirs.rates);
                let them = Spread::of(&theirs.rates).shown(unit);
                table.compare_pairs(&what, shown.clone(), theirs.name, &them, ratio, bar);
            }
        }
    }
    table.note(format!(
        "All numbers change: {VMS} VMs whose CPU, memory, disks and network all change every second, drawn \
         by the real screen once a second into a terminal that counts."
    ));
    table.note(format!(
        "Whole program: every byte that comes out of its pseudo-terminal, looking at {}.",
        host.title()
    ));
    table.note("The others show the machine as it is in the same minute: an idle machine sends less.");
    table.print();
}

/// Bytes per second of a fleet whose every number changes, in as many windows.
fn all_change((width, height): (u16, u16)) -> Vec<f64> {
    let mut fleet = Fleet::new(VMS);
    let mut drawn = Drawn::new(width, height);
    let mut second = || {
        drawn.app.update(Message::Frame(fleet.cycle()));
        drawn.draw()
    };
    // Until every sparkline is full.
    for _ in 0..60 {
        second();
    }
    let window = WINDOW.as_secs();
    (0..WINDOWS).map(|_| (0..window).map(|_| second()).sum::<u64>() as f64 / window as f64).collect()
}

/// CPU and memory over a minute.
pub fn takes(host: &Host) {
    let title = format!("screen: CPU and memory at 1 Hz and 200×50, {}", host.title());
    let mut table = Table::new(title);
    let watched = watch(host, &peers::all(), (200, 50));
    let Watched { cpu, resident, .. } = watched[0];
    let percent = |cpu: f64| format!("{cpu:.2} % of a core");
    table.figure("CPU", percent(cpu), cpu, Bar::AtMost(1.5));
    for peer in &watched[1..] {
        table.compare("CPU", percent(cpu), peer.name, &percent(peer.cpu), cpu / peer.cpu, Bar::None);
    }
    table.figure("resident after a minute", bytes(resident), resident, Bar::None);
    for peer in &watched[1..] {
        let (them, ratio) = (bytes(peer.resident), resident / peer.resident);
        table.compare("resident after a minute", bytes(resident), peer.name, &them, ratio, Bar::None);
    }
    let (few, many) = (history::of(VMS), history::of(MANY));
    let grown = few.hour - few.minute;
    let hour = resident + grown;
    table.figure("resident with an hour of history", bytes(hour), hour / MIB, Bar::AtMost(45.0));
    table.note(format!(
        "An hour: what the minute showed, and the {} that the same screen's state grows in a process of its \
         own from {} cycles to {}. The bar is MiB.",
        bytes(grown),
        history::MINUTE,
        history::HOUR
    ));
    let all = hour + many.hour - few.hour;
    let what = format!("resident with {MANY} VMs and an hour");
    table.figure(&what, bytes(all), all / MIB, Bar::AtMost(200.0));
    table.note(format!(
        "{MANY} VMs: the same, and the {} by which that process is larger with {MANY} VMs than with {VMS}, \
         the counters of a collector's last reading included.",
        bytes(many.hour - few.hour)
    ));
    table.print();
}
