//! The screen: what a frame costs to take in and to draw for 10, 1,000 and
//! 10,000 VMs. What the whole program costs is in `screen`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

mod drawn;
mod fleet;
mod side_by_side;

use std::{
    sync::{Arc, mpsc},
    thread,
};

use kvmscope::{
    app::{Key, Message, SortKey},
    model::Frame,
};

use drawn::Drawn;
use fleet::Fleet;
use side_by_side::{Bar, Spread, Table, seconds, wanted, worked};

/// Fleets, each with the milliseconds that a frame of it may take.
const FLEETS: [(u32, Bar); 3] = [(10, Bar::None), (1000, Bar::AtMost(2.0)), (10_000, Bar::AtMost(5.0))];
const ROUNDS: usize = 80;
/// The first frames fill tables that stay filled.
const WARM: usize = 8;

/// One fleet on a screen of its own, and what each of its frames has cost in
/// seconds of CPU.
struct Shown {
    /// Made by a thread of their own, as the collector's are: memory goes back
    /// to where it came from.
    frames: mpsc::Receiver<Arc<Frame>>,
    drawn: Drawn,
    before: Option<Arc<Frame>>,
    update: Vec<f64>,
    free: Vec<f64>,
    draw: Vec<f64>,
    /// Taking it in and drawing it.
    whole: Vec<f64>,
    key: Vec<f64>,
}

impl Shown {
    fn new(vms: u32, sort: SortKey) -> Self {
        let mut drawn = Drawn::new(200, 60);
        drawn.sort_by(sort);
        let (sender, frames) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mut fleet = Fleet::new(vms);
            while sender.send(fleet.cycle()).is_ok() {}
        });
        let [update, free, draw, whole, key] = Default::default();
        Self { frames, drawn, before: None, update, free, draw, whole, key }
    }

    fn round(&mut self, counts: bool) {
        let frame = self.frames.recv().expect("a frame");
        let taken = Arc::clone(&frame);
        let mut effects = Vec::new();
        let update = worked(|| effects = self.drawn.app.update(Message::Frame(taken)));
        // What the app has no more use for, a thread of its own frees.
        let free = worked(|| {
            drop(effects);
            drop(self.before.replace(frame));
        });
        let draw = worked(|| _ = self.drawn.draw());
        let key = worked(|| {
            self.drawn.app.update(Message::Key(Key::Down));
            self.drawn.draw();
        });
        if counts {
            self.update.push(update);
            self.free.push(free);
            self.draw.push(draw);
            self.whole.push(update + draw);
            self.key.push(key);
        }
    }
}

fn main() {
    if !wanted() {
        return;
    }
    let mut table = Table::new("render: one frame at 200×60, CPU of the screen's task (median, 10–90 %)");
    for sort in [SortKey::Name, SortKey::Cpu] {
        let mut shown = FLEETS.map(|(vms, _)| Shown::new(vms, sort));
        for round in 0..WARM + ROUNDS {
            for fleet in &mut shown {
                fleet.round(round >= WARM);
            }
        }
        let fewest = Spread::of(&shown[0].whole);
        for ((vms, bar), fleet) in FLEETS.into_iter().zip(&shown) {
            let whole = Spread::of(&fleet.whole);
            let what = format!("{vms} VMs by {}", sort.title());
            let peer = (vms != FLEETS[0].0).then(|| format!("{} VMs", FLEETS[0].0));
            match peer {
                Some(peer) => table.compare_for(
                    &what,
                    whole.shown(seconds),
                    &peer,
                    &fewest.shown(seconds),
                    Spread::of_ratios(&fleet.whole, &shown[0].whole),
                    whole.median * 1e3,
                    bar,
                ),
                None => table.figure(&what, whole.shown(seconds), whole.median * 1e3, bar),
            }
            table.note(format!(
                "{what}: take in {}, draw {}; a key and its draw {}; and once it is past, freeing it {}",
                seconds(Spread::of(&fleet.update).median),
                seconds(Spread::of(&fleet.draw).median),
                Spread::of(&fleet.key).shown(seconds),
                seconds(Spread::of(&fleet.free).median),
            ));
        }
    }
    table.note("Bars are milliseconds of the median frame; the fleets take turns frame by frame.");
    table.print();
}
