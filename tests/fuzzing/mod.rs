//! Seeded damage to bytes, and the run over many inputs: a panic names its seed
//! and input, and an input that hangs ends the program with the same words.
//!
//! Owns chance, mutation and the watch. It knows nothing of what is fuzzed.

use std::{
    fmt::Display,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// splitmix64: the same choices for the same seed.
pub struct Chance(u64);

impl Chance {
    /// Chance of its own for input `number` of a run, so that any input can be
    /// made again without those before it.
    pub fn of(seed: u64, number: u64) -> Self {
        let mut chance = Self(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        chance.next();
        chance
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64).max(1)).unwrap()
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Changes `bytes` in one to four ways, with pieces of `other` and of
/// `interesting`, and leaves at most `longest` of them.
pub fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>, other: &[u8], interesting: &[&[u8]], longest: usize) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(8) {
            0 => bytes.truncate(at),
            1 => {
                // The rest becomes another's.
                bytes.truncate(at);
                bytes.extend_from_slice(&other[chance.below(other.len() + 1)..]);
            }
            2 => {
                let piece = *chance.pick(interesting);
                bytes.splice(at..at, piece.iter().copied());
            }
            3 => {
                let piece = *chance.pick(interesting);
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            4 => {
                let end = (at + 1 + chance.below(24)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                // Now and then as often as fits: deep or wide.
                let times = if chance.one_in(200) { 8192 } else { chance.below(8) };
                let times = times.min(longest / piece.len().max(1));
                bytes.splice(at..at, piece.repeat(times));
            }
            5 => {
                let end = (at + chance.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            6 if at < bytes.len() => bytes[at] = chance.byte(),
            _ if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            _ => {}
        }
    }
    bytes.truncate(longest);
}

/// Far more than a batch takes on a slow and busy machine.
const DEADLINE: Duration = Duration::from_mins(2);

/// One series of inputs under watch.
pub struct Run {
    what: &'static str,
    seed: u64,
    /// Inputs of one batch, which must be done within [`DEADLINE`].
    pub batch: u64,
}

impl Run {
    /// `KVMSCOPE_SEED` overrides `own`.
    pub fn new(what: &'static str, own: u64) -> Self {
        let seed = std::env::var("KVMSCOPE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(own);
        Self { what, seed, batch: 1000 }
    }

    /// Gives `input` each number with its own chance, shared out over the
    /// machine's processors; `state` makes what a processor keeps between them.
    pub fn over<S>(
        &self,
        inputs: u64,
        state: impl Fn(u64) -> S + Sync,
        input: impl Fn(&mut S, u64, &mut Chance) + Sync,
    ) {
        println!("{}: KVMSCOPE_SEED={}, {inputs} inputs", self.what, self.seed);
        let begun = Instant::now();
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        std::thread::scope(|scope| {
            let work: Vec<_> = (0..workers)
                .map(|worker| {
                    let (state, input) = (&state, &input);
                    scope.spawn(move || {
                        self.share(
                            state(worker),
                            (worker..inputs).step_by(usize::try_from(workers).unwrap()),
                            input,
                        );
                    })
                })
                .collect();
            for worker in work {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
        println!("{}: {:.1} s", self.what, begun.elapsed().as_secs_f64());
    }

    fn share<S>(
        &self,
        mut state: S,
        numbers: impl Iterator<Item = u64>,
        input: &impl Fn(&mut S, u64, &mut Chance),
    ) {
        let watch = Watch::new(DEADLINE, self.name(), |message| {
            // Past the test's own captured output, which an abort would swallow.
            let _ = writeln!(std::io::stderr(), "{message}");
            std::process::abort();
        });
        for (done, number) in (1..).zip(numbers) {
            watch.begins(number);
            let mut chance = Chance::of(self.seed, number);
            let tried = catch_unwind(AssertUnwindSafe(|| input(&mut state, number, &mut chance)));
            if let Err(panic) = tried {
                panic!("{}, input {number}: {}", self.name(), words(&*panic));
            }
            if done % self.batch == 0 {
                watch.batch_done();
            }
        }
    }

    fn name(&self) -> String {
        format!("{}: KVMSCOPE_SEED={}", self.what, self.seed)
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words")
}

/// Tells when a batch takes longer than its deadline.
struct Watch {
    current: Arc<AtomicU64>,
    batches: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn new(
        deadline: Duration,
        name: impl Display + Send + 'static,
        late: impl FnOnce(String) + Send + 'static,
    ) -> Self {
        let (batches, done) = mpsc::channel();
        let current = Arc::new(AtomicU64::new(0));
        let number = Arc::clone(&current);
        let thread = std::thread::spawn(move || {
            loop {
                match done.recv_timeout(deadline) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let number = number.load(Ordering::Relaxed);
                        return late(format!(
                            "{name}, input {number}: its batch is not done within {deadline:?}"
                        ));
                    }
                }
            }
        });
        Self { current, batches: Some(batches), thread: Some(thread) }
    }

    fn begins(&self, number: u64) {
        self.current.store(number, Ordering::Relaxed);
    }

    fn batch_done(&self) {
        // Nobody listens where it is too late already.
        let _ = self.batches.as_ref().unwrap().send(());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.batches = None;
        let _ = self.thread.take().unwrap().join();
    }
}

#[test]
fn a_panic_names_its_seed_and_input() {
    let run = Run { seed: 42, ..Run::new("a run that fails", 42) };
    let failed = catch_unwind(|| {
        run.over(100, |_| (), |(), number, _| assert_ne!(number, 77, "seventy-seven"));
    });
    let said = failed.unwrap_err();
    let said = words(&*said);
    assert!(said.starts_with("a run that fails: KVMSCOPE_SEED=42, input 77: "), "{said}");
    assert!(said.contains("seventy-seven"), "{said}");
}

#[test]
fn a_hang_is_told_with_its_input() {
    let (sender, late) = mpsc::channel();
    let watch = Watch::new(Duration::from_millis(5), "KVMSCOPE_SEED=42", move |message| {
        let _ = sender.send(message);
    });
    watch.begins(9);
    watch.batch_done();
    let message = late.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(message.starts_with("KVMSCOPE_SEED=42, input 9: "), "{message}");
}

#[test]
fn an_input_is_the_same_again_and_differs_from_the_next() {
    let made = |number| {
        let mut bytes = b"{\"error\":\"partial write\",\"data\":[]}".to_vec();
        mutate(&mut Chance::of(7, number), &mut bytes, b"other", &[b"\0", b"[["], 100);
        bytes
    };
    let all: std::collections::HashSet<_> = (0..200).map(made).collect();
    assert!(all.len() > 150, "{} of 200 differ", all.len());
    assert!((0..200).all(|number| made(number) == made(number)));
}
