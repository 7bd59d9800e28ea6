//! A thousand VMs' figures, asked for two hundred times a second over socket
//! and loopback while the agent collects; beside nginx, which serves the same
//! bytes from a file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark fails by panicking, and its counts are small"
)]

#[path = "serve/agent.rs"]
mod agent;
#[path = "../tests/lab/mod.rs"]
mod lab;
#[path = "serve/load.rs"]
mod load;
#[path = "serve/nginx.rs"]
mod nginx;
mod side_by_side;

use std::{thread::sleep, time::Duration};

use agent::{Agent, Figures};
use load::{Load, load};
use nginx::Nginx;
use side_by_side::{Bar, Table, bytes, seconds, skipped, torture, wanted};

/// What the bar is about.
const VMS: u32 = 1000;
const PER_SECOND: u32 = 200;
const MOST_MS: f64 = 20.0;
const PATH: &str = "/api/telemetry/vm-telemetry";
/// Until rates are there, and memory has settled.
const WARM: Duration = Duration::from_secs(20);

/// What a caller says that it takes.
const FORMS: [(&str, &str); 3] =
    [("identity", ""), ("gzip", "Accept-Encoding: gzip\r\n"), ("zstd", "Accept-Encoding: zstd\r\n")];

fn main() {
    if !wanted() {
        return;
    }
    let span = Duration::from_secs(if torture() { 120 } else { 30 });
    let home = tempfile::tempdir().unwrap();
    let agent = Agent::start(home.path(), VMS);
    sleep(WARM);
    let idle = agent.figures();
    sleep(span);
    let alone = agent.figures();

    let busy = load_average();
    let title = format!(
        "serve: {VMS} VMs, {PER_SECOND} requests/s for {} s while collecting at 1 Hz (times from when each was due)",
        span.as_secs()
    );
    let mut table = Table::new(title);
    let nginx = Nginx::start(home.path(), |form| agent.body(PATH, form));
    if let Err(reason) = &nginx {
        skipped("serve against nginx", reason);
    }
    let mut beside = vec![("nobody asks".to_owned(), alone.since(&idle), alone)];
    for (door, place) in [("socket", agent.socket()), ("loopback", agent.loopback())] {
        for (form, headers) in FORMS {
            let before = agent.figures();
            let ours = load(&place, PATH, headers, PER_SECOND, span);
            let after = agent.figures();
            beside.push((format!("{door}, {form}"), after.since(&before), after));
            // The floor: the same bytes from a file, in the same minute.
            let theirs = match &nginx {
                Ok(nginx) if form != "zstd" => Some(load(&nginx.door(door), PATH, headers, PER_SECOND, span)),
                _ => None,
            };
            row(&mut table, &format!("{door}, {form}"), &ours, theirs.as_ref());
        }
    }
    table.note("Bars are milliseconds. nginx serves the body as a file, gzip packed beforehand.");
    table.note(format!(
        "Programs that ran or wanted to, on {} cores, in the last minute before and after: {busy}, {}. Where \
         that is more than the cores, both sides wait for others: then the ratio is what tells.",
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        load_average()
    ));
    table.note("A question that got no whole answer counts as failed, and its time nowhere.");
    table.print();

    let mut table = Table::new("serve: the collector meanwhile");
    for (what, grown, after) in &beside {
        table.figure(
            &format!("{what}: skipped ticks"),
            grown.skipped.to_string(),
            grown.skipped as f64,
            Bar::AtMost(0.0),
        );
        table.figure(
            &format!("{what}: cycles, the last one's length"),
            format!("{}, {}", grown.cycles, seconds(after.cycle)),
            0.0,
            Bar::None,
        );
        table.figure(
            &format!("{what}: CPU of the agent"),
            format!("{:.0} % of a core", grown.cpu / grown.span * 100.0),
            0.0,
            Bar::None,
        );
        table.figure(&format!("{what}: resident"), bytes(after.resident), after.resident, Bar::None);
    }
    table.print();
}

/// The load of the last minute.
fn load_average() -> String {
    let all = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split(' ').next().unwrap_or_default().to_owned()
}

fn row(table: &mut Table, what: &str, ours: &Load, theirs: Option<&Load>) {
    let shown = |load: &Load| {
        format!(
            "p50 {}, p99 {}, worst {}{}",
            seconds(load.within(0.5)),
            seconds(load.within(0.99)),
            seconds(load.within(1.0)),
            if load.failed > 0 { format!(", {} FAILED", load.failed) } else { String::new() }
        )
    };
    let what = format!("{what} ({})", bytes(ours.body as f64));
    let p99 = ours.within(0.99) * 1e3;
    match theirs {
        Some(theirs) => {
            let ratio = side_by_side::Spread::of(&[ours.within(0.99) / theirs.within(0.99)]);
            table.compare_for(&what, shown(ours), "nginx", &shown(theirs), ratio, p99, Bar::AtMost(MOST_MS));
        }
        None => table.figure(&what, shown(ours), p99, Bar::AtMost(MOST_MS)),
    }
}

impl Figures {
    /// What was added since `before`.
    fn since(&self, before: &Self) -> Self {
        Self {
            at: self.at,
            span: (self.at - before.at).as_secs_f64(),
            cycles: self.cycles - before.cycles,
            skipped: self.skipped - before.skipped,
            cycle: self.cycle,
            cpu: self.cpu - before.cpu,
            resident: self.resident - before.resident,
        }
    }
}
