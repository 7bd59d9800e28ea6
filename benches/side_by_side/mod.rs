//! Comparisons: peers run in turn in one process and one minute, and what is
//! shown is the median of their ratios, round by round.
//!
//! A slow machine or a busy neighbour slows both sides of a round, so a ratio
//! says more than a time. Times stand beside it for orientation. Nothing here
//! ever fails on a figure.

#![allow(dead_code, reason = "each bench uses its part")]

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Whether this is `cargo bench`, and not a test run that builds the benches.
pub fn wanted() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Whether the part `name` is to run: all do where none is named.
pub fn chosen(name: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|argument| argument == name)
}

/// Whether the long form is asked for (`make torture`).
pub fn torture() -> bool {
    std::env::var_os("KVMSCOPE_TORTURE").is_some_and(|value| !value.is_empty())
}

/// Runs `work` and returns its result and the seconds it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed().as_secs_f64())
}

/// Seconds of CPU that `work` takes on this thread. For work that never waits
/// this is its time, whatever else the machine does meanwhile.
pub fn worked(work: impl FnOnce()) -> f64 {
    let begun = cpu(ClockId::ThreadCPUTime);
    work();
    cpu(ClockId::ThreadCPUTime) - begun
}

/// Seconds of CPU that all threads of this process have taken so far.
pub fn process_cpu() -> f64 {
    cpu(ClockId::ProcessCPUTime)
}

#[allow(clippy::cast_precision_loss, reason = "seconds and nanoseconds of a benchmark")]
fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The middle one; 0 where there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The middle of many figures, and where the lowest and the highest tenth begin.
#[derive(Clone, Copy)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// A tenth is below it.
    pub low: f64,
    /// A tenth is above it.
    pub high: f64,
}

impl Spread {
    /// The spread of `values`; all 0 where there is none.
    pub fn of(values: &[f64]) -> Self {
        Self { median: share(values, 0.5), low: share(values, 0.1), high: share(values, 0.9) }
    }

    /// The spread of the ratios, pair by pair.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Self {
        Self::of(&ours.iter().zip(theirs).map(|(a, b)| a / b).collect::<Vec<_>>())
    }

    /// `median (low–high)`, each as `unit` writes it.
    pub fn shown(&self, unit: impl Fn(f64) -> String) -> String {
        format!("{} ({}–{})", unit(self.median), unit(self.low), unit(self.high))
    }
}

/// The value that so large a share of `values` lies below; 0 where there is none.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a list of a benchmark's length"
)]
pub fn share(values: &[f64], below: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * below).round() as usize).copied().unwrap_or(0.0)
}

/// One side of a comparison: does the work once and tells its cost.
pub type Side<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// What alternating runs have shown, by side.
pub struct Rounds {
    costs: Vec<Vec<f64>>,
}

impl Rounds {
    /// Runs the sides in turn, A B C A B C …, so many rounds, and a round
    /// before that which does not count. Every other round runs backwards:
    /// no side always follows the same one.
    pub fn run(rounds: usize, sides: &mut [Side<'_>]) -> Self {
        let mut costs = vec![Vec::with_capacity(rounds); sides.len()];
        for round in 0..=rounds {
            for place in 0..sides.len() {
                let side = if round % 2 == 0 { place } else { sides.len() - 1 - place };
                let cost = sides[side]();
                if round > 0 {
                    costs[side].push(cost);
                }
            }
        }
        Self { costs }
    }

    /// The median cost of a side.
    pub fn cost(&self, side: usize) -> f64 {
        median(self.costs[side].clone())
    }

    /// The median over the rounds of `side`'s cost ÷ `other`'s.
    pub fn ratio(&self, side: usize, other: usize) -> f64 {
        median(self.costs[side].iter().zip(&self.costs[other]).map(|(a, b)| a / b).collect())
    }
}

/// What a figure is held against.
#[derive(Clone, Copy)]
pub enum Bar {
    /// Shown for orientation.
    None,
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// A table of figures with their bars, printed when all are in.
pub struct Table {
    title: String,
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
}

impl Table {
    /// An empty table.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// A comparison: our figure, the peer and its figure, and the ratio that
    /// the bar is about.
    pub fn compare(&mut self, what: &str, ours: String, peer: &str, theirs: &str, ratio: f64, bar: Bar) {
        self.row(what, ours, format!("{peer}: {theirs}"), format!("{ratio:.3}"), ratio, bar);
    }

    /// A comparison of pairs: the median of their ratios and its spread, with a
    /// bar on that median.
    pub fn compare_pairs(
        &mut self,
        what: &str,
        ours: String,
        peer: &str,
        theirs: &str,
        ratio: Spread,
        bar: Bar,
    ) {
        let value = ratio.median;
        self.compare_for(what, ours, peer, theirs, ratio, value, bar);
    }

    /// As [`Table::compare_pairs`], with the bar on `value` in place of the ratio.
    #[allow(clippy::too_many_arguments, reason = "a row of the table")]
    pub fn compare_for(
        &mut self,
        what: &str,
        ours: String,
        peer: &str,
        theirs: &str,
        ratio: Spread,
        value: f64,
        bar: Bar,
    ) {
        let ratio = ratio.shown(|ratio| format!("{ratio:.3}"));
        self.row(what, ours, format!("{peer}: {theirs}"), ratio, value, bar);
    }

    /// A figure without a peer. `value` is what `shown` says and the bar is about.
    pub fn figure(&mut self, what: &str, shown: String, value: f64, bar: Bar) {
        self.row(what, shown, String::new(), String::new(), value, bar);
    }

    /// A line below the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn row(&mut self, what: &str, ours: String, peer: String, ratio: String, value: f64, bar: Bar) {
        let (bar, met) = match bar {
            Bar::None => (String::new(), ""),
            Bar::AtMost(most) => (format!("≤ {most}"), if value <= most { "met" } else { "MISSED" }),
            Bar::AtLeast(least) => (format!("≥ {least}"), if value >= least { "met" } else { "MISSED" }),
        };
        self.rows.push([what.to_owned(), ours, peer, ratio, bar, met.to_owned()]);
    }

    /// Prints it.
    #[allow(clippy::print_stdout, reason = "the result of a benchmark")]
    pub fn print(&self) {
        let head = ["what", "kvmscope", "against", "ratio", "bar", ""].map(str::to_owned);
        let all: Vec<&[String; 6]> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        println!("\n{}\n", self.title);
        for row in &all {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        for note in &self.notes {
            println!("  {note}");
        }
        println!();
    }
}

/// Says that a part cannot run here, and why.
#[allow(clippy::print_stdout, reason = "the result of a benchmark")]
pub fn skipped(part: &str, reason: &str) {
    println!("  SKIPPED: {part}: {}", reason.trim().replace('\n', "; "));
}

/// Seconds, in the unit that suits them.
pub fn seconds(value: f64) -> String {
    match value {
        v if v < 1e-3 => format!("{:.1} µs", v * 1e6),
        v if v < 1.0 => format!("{:.2} ms", v * 1e3),
        v => format!("{v:.2} s"),
    }
}

/// A count, with thousands or millions where it is large.
pub fn count(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// Bytes in KiB or MiB.
pub fn bytes(value: f64) -> String {
    match value {
        v if v >= 1024.0 * 1024.0 => format!("{:.1} MiB", v / 1024.0 / 1024.0),
        v if v >= 1024.0 => format!("{:.1} KiB", v / 1024.0),
        v => format!("{v:.0} B"),
    }
}
