//! Killing at seeded moments, and how quick the next start is.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use rustix::process::Signal;

use super::Host;
use crate::lab::{self, terminal::Terminal};

/// xorshift64: the same moments for the same seed.
pub struct Seeded(pub u64);

impl Seeded {
    /// The seed of this test's own, said so that it can be repeated.
    pub fn new(test: &str, own: u64) -> Self {
        let seed = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(own);
        println!("{test}: KVMSCOPE_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Up to `bound` milliseconds.
    pub fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound * 1000))
    }
}

/// Starts are timed: one of these tests at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the program took after each kill until a reading was shown, and
/// until one was recorded.
#[derive(Default)]
pub struct Starts(Vec<[Duration; 2]>);

impl Starts {
    /// The program, up and timed.
    pub fn of(&mut self, host: &Host) -> Terminal {
        let (terminal, took) = host.started();
        self.0.push(took);
        terminal
    }

    /// Prints and judges them.
    pub fn judge(self, test: &str) {
        // What is promised is promised of the program that is installed, and of a
        // machine that does little else.
        let promised = lab::torture() && !cfg!(debug_assertions);
        let most = Duration::from_secs(if promised { 1 } else { 10 });
        for (which, what) in ["shown", "recorded"].into_iter().enumerate() {
            let mut took: Vec<Duration> = self.0.iter().map(|start| start[which]).collect();
            took.sort();
            let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
            println!("{test}: {} starts until {what}: median {median:?}, worst {worst:?}", took.len());
            assert!(worst < most, "{what} after {worst:?}");
        }
    }
}

/// Lets a seeded moment pass, then kills.
pub fn kill(mut terminal: Terminal, moment: Duration) {
    let (_never, silence) = mpsc::channel::<()>();
    let _ = silence.recv_timeout(moment);
    terminal.signal(Signal::KILL);
    assert!(!terminal.wait_for_end().success());
}
