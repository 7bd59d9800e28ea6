//! The line at the bottom: the selected line in words. Every `–` says here
//! why it is one, and what can be done about it.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Subject, angles, devices, identity};
use crate::{
    app::Pane,
    model::{
        AngleMode, AngleScale, DomainFrame, Measured, Missing, Why, frame::Health, history::Metric,
        name::storable, reading::DiskSize,
    },
    ui::{aged::Old, text, text::Strip, units},
};

/// Draws the line; `below` lines of the page are further down.
pub fn render(subject: &Subject<'_>, below: u16, area: Rect, buf: &mut Buffer) {
    let palette = &subject.look.palette;
    let mut strip = Strip::new(2);
    let (what, words, missing) = describe(subject);
    strip.left(0, vec![(text::fit(&what, 24).into_owned(), palette.text)]);
    for (rank, missing) in (1..).zip(missing) {
        strip.left(rank, vec![(missing, palette.warn)]);
    }
    for (rank, word) in (9..).zip(words) {
        strip.left(rank, vec![(word, palette.dim)]);
    }
    if below > 0 {
        strip.right(1, vec![(format!("{below} more ▼"), palette.accent)]);
    }
    strip.render(buf, area.x + 1, area.y, area.width.saturating_sub(2));
}

/// What is selected, words about it, and reasons for what is missing.
fn describe(subject: &Subject<'_>) -> (String, Vec<String>, Vec<String>) {
    let cursor = subject.page.cursor();
    match subject.page.pane() {
        Pane::Angles => angle(subject, Metric::ALL[cursor.min(Metric::ALL.len() - 1)]),
        Pane::Nics => nic(subject, cursor),
        Pane::Disks => disk(subject, cursor),
        Pane::Vcpus => vcpu(subject, cursor),
        Pane::Events => super::events::describe(subject, cursor),
        Pane::Identity => identity::describe(subject, cursor),
    }
}

fn reason(domain: &DomainFrame, what: &str, missing: Missing) -> String {
    let mend = missing.mend(domain.identity()).map(|mend| format!(" — {mend}")).unwrap_or_default();
    format!("{what}{missing}{mend}")
}

/// Adds the reasons of missing values, each once.
fn add<T>(domain: &DomainFrame, reasons: &mut Vec<String>, what: &str, value: &Measured<T>) {
    if let Err(missing) = value {
        let text = missing.to_string();
        if !reasons.iter().any(|known| known.contains(&text)) {
            reasons.push(reason(domain, what, *missing));
        }
    }
}

/// Why the numbers shown are old, and how old.
fn late(old: Option<Old>) -> Vec<String> {
    old.filter(|old| !old.waits_for_its_turn()).map(Old::words).into_iter().collect()
}

/// How old they are, where it is merely not their turn.
fn in_turn(old: Option<Old>) -> Vec<String> {
    old.filter(|old| old.waits_for_its_turn()).map(Old::words).into_iter().collect()
}

fn angle(subject: &Subject<'_>, metric: Metric) -> (String, Vec<String>, Vec<String>) {
    let shown = subject.of(metric);
    let (reading, rates) = (&shown.domain.reading, &shown.domain.rates);
    let mut reasons = late(shown.old);
    add(subject.domain, &mut reasons, "", &angles::angle(rates, metric));
    add(subject.domain, &mut reasons, "rate: ", &angles::plain(rates, metric));
    match metric {
        Metric::Cpu => {
            add(subject.domain, &mut reasons, "process: ", &rates.cpu_cores);
            add(subject.domain, &mut reasons, "QEMU: ", &rates.overhead_cores);
            add(subject.domain, &mut reasons, "steal: ", &rates.steal_percent);
            add(subject.domain, &mut reasons, "vCPUs: ", &subject.domain.reading.vcpus);
        }
        Metric::Memory => {
            add(subject.domain, &mut reasons, "guest report: ", &reading.guest_memory);
            add(subject.domain, &mut reasons, "size: ", &reading.memory);
            add(subject.domain, &mut reasons, "host RSS: ", &reading.rss);
            if let Ok(guest) = &reading.guest_memory {
                for (what, value) in [
                    ("cache: ", guest.disk_caches),
                    ("unused: ", guest.unused),
                    ("swap: ", guest.swap_in.and(guest.swap_out)),
                ] {
                    add(subject.domain, &mut reasons, what, &value.ok_or(Missing::new(Why::NotOffered)));
                }
            }
        }
        Metric::DiskRead => {
            add(subject.domain, &mut reasons, "reads: ", &rates.disk.reads_per_s);
            add(subject.domain, &mut reasons, "ms/read: ", &rates.disk.ms_per_read);
        }
        Metric::DiskWrite => {
            add(subject.domain, &mut reasons, "writes: ", &rates.disk.writes_per_s);
            add(subject.domain, &mut reasons, "ms/write: ", &rates.disk.ms_per_write);
            add(subject.domain, &mut reasons, "flushes: ", &rates.disk.flushes_per_s);
            add(subject.domain, &mut reasons, "ms/flush: ", &rates.disk.ms_per_flush);
        }
        Metric::NetRx | Metric::NetTx => {
            let packets = if metric == Metric::NetRx {
                &rates.net.rx_packets_per_s
            } else {
                &rates.net.tx_packets_per_s
            };
            add(subject.domain, &mut reasons, "packets: ", packets);
            add(subject.domain, &mut reasons, "errors: ", &rates.net.errors_per_s);
            add(subject.domain, &mut reasons, "drops: ", &rates.net.drops_per_s);
        }
    }
    if let Health::Impaired(missing) = subject.domain.health {
        add::<()>(subject.domain, &mut reasons, "", &Err(missing));
    }
    let mut words = in_turn(shown.old);
    words.extend(subject.app.frame().map(|frame| reference(&frame.scale, metric)));
    if metric == Metric::Cpu
        && let Ok(cores) = rates.overhead_cores
    {
        words.push(format!("QEMU: {cores:.2} cores beside the guest's own work"));
    }
    (angles::name(metric).to_owned(), words, reasons)
}

/// Which rate reads 45°.
pub fn reference(scale: &AngleScale, metric: Metric) -> String {
    if scale.mode == AngleMode::Raw {
        let unit = match metric {
            Metric::Cpu => "1 ns of CPU per second",
            Metric::Memory => "1 KB/s",
            _ => "1 B/s",
        };
        return format!("raw mode: 45° is {unit}");
    }
    match metric {
        Metric::Cpu => format!("45° is {:.0}% of all vCPUs busy", scale.cpu * 100.0),
        Metric::Memory => format!("45° is growth by {}, ▼ shrinking", units::rate(scale.memory)),
        Metric::DiskRead | Metric::DiskWrite => format!("45° is {}", units::rate(scale.disk)),
        Metric::NetRx | Metric::NetTx => format!("45° is {}", units::rate(scale.network)),
    }
}

fn nic(subject: &Subject<'_>, cursor: usize) -> (String, Vec<String>, Vec<String>) {
    let names = subject.page.nics(subject.domain);
    let Some(name) = names.get(cursor) else { return ("no NICs".into(), Vec::new(), Vec::new()) };
    let nic = devices::nic(subject, name);
    let mut reasons = Vec::new();
    if let Some(missing) = devices::nic_missing(subject, &nic) {
        reasons.push(reason(subject.domain, "", missing));
    } else if let Some(rates) = nic.rates {
        add(subject.domain, &mut reasons, "", &rates.rx_bytes_per_s);
        add(subject.domain, &mut reasons, "tx: ", &rates.tx_bytes_per_s);
        add(subject.domain, &mut reasons, "packets: ", &rates.rx_packets_per_s);
        add(subject.domain, &mut reasons, "tx packets: ", &rates.tx_packets_per_s);
        add(subject.domain, &mut reasons, "errors: ", &rates.errors_per_s);
        add(subject.domain, &mut reasons, "drops: ", &rates.drops_per_s);
    }
    let mut words = Vec::new();
    if let Some(device) = nic.device {
        let facts = [("model", &device.model), ("source", &device.source), ("MAC", &device.mac)];
        words.extend(facts.into_iter().map(|(what, fact)| match fact {
            Some(fact) => storable(fact).into_owned(),
            None => format!("{what}: not in the XML"),
        }));
    } else {
        words.push("model, source, MAC: its XML was not read yet".to_owned());
    }
    if let Some(rates) = nic.rates {
        let rate = |label: &str, rate: Measured<f64>| Some(format!("{label} {}", units::rate(rate.ok()?)));
        words.extend(rate("rx", rates.rx_bytes_per_s));
        words.extend(rate("tx", rates.tx_bytes_per_s));
    }
    if let Some(counters) = nic.reading.and_then(|reading| reading.counters.ok()) {
        let told = [
            part("rx total", counters.rx_bytes, units::bytes),
            part("tx total", counters.tx_bytes, units::bytes),
            part("errors", devices::added(counters.rx_errors, counters.tx_errors), units::count),
            part("drops", devices::added(counters.rx_drops, counters.tx_drops), units::count),
            part("packets", devices::added(counters.rx_packets, counters.tx_packets), units::count),
        ];
        words.extend(told);
    }
    (storable(name).into_owned(), words, reasons)
}

fn disk(subject: &Subject<'_>, cursor: usize) -> (String, Vec<String>, Vec<String>) {
    let names = subject.page.disks(subject.domain);
    let Some(name) = names.get(cursor) else { return ("no disks".into(), Vec::new(), Vec::new()) };
    let disk = devices::disk(subject, name);
    let old = subject.disks().old;
    let mut reasons = late(old);
    if let Some(missing) = devices::disk_missing(subject, &disk) {
        reasons.push(reason(subject.domain, "", missing));
    } else if let Some(rates) = disk.rates {
        add(subject.domain, &mut reasons, "", &rates.read_bytes_per_s);
        add(subject.domain, &mut reasons, "writes: ", &rates.write_bytes_per_s);
        add(subject.domain, &mut reasons, "reads/s: ", &rates.reads_per_s);
        add(subject.domain, &mut reasons, "writes/s: ", &rates.writes_per_s);
        add(subject.domain, &mut reasons, "ms/read: ", &rates.ms_per_read);
        add(subject.domain, &mut reasons, "ms/write: ", &rates.ms_per_write);
        add(subject.domain, &mut reasons, "flushes: ", &rates.flushes_per_s);
        add(subject.domain, &mut reasons, "ms/flush: ", &rates.ms_per_flush);
    }
    let mut words = in_turn(old);
    if let Some(reading) = disk.reading.filter(|reading| reading.counters.is_ok()) {
        words.push(sizes(&reading.size));
    }
    let counters = disk.reading.and_then(|r| r.counters.ok());
    if let Some(counters) = counters {
        words.push(part("read", counters.rd_bytes, units::bytes));
        words.push(part("written", counters.wr_bytes, units::bytes));
        words.push(match counters.errors {
            Some(errors) => format!("errors {}", units::count(errors)),
            None => "errors: not offered by this hypervisor".to_owned(),
        });
    }
    match disk.device {
        Some(device) if device.bus.is_none() => words.push("bus: not in the XML".to_owned()),
        Some(_) => {}
        None => words.push("kind, bus: its XML was not read yet".to_owned()),
    }
    if let Some(source) = disk.device.and_then(|d| d.source.as_deref()) {
        words.insert(
            words.len().min(usize::from(old.is_some_and(Old::waits_for_its_turn))),
            storable(source).into_owned(),
        );
    }
    (storable(name).into_owned(), words, reasons)
}

fn part(what: &str, count: Option<u64>, show: fn(u64) -> String) -> String {
    format!("{what} {}", count.map_or_else(|| "not offered".to_owned(), show))
}

/// Sizes of a disk: as the guest sees it, as it was ever written to, as it
/// stands on the host.
fn sizes(size: &DiskSize) -> String {
    let part = |what: &str, bytes: Option<u64>| part(what, bytes, units::bytes);
    if *size == DiskSize::default() {
        return "sizes: not offered by this hypervisor".to_owned();
    }
    format!(
        "{}, {}, {}",
        part("capacity", size.capacity),
        part("allocated", size.allocation),
        part("on host", size.physical)
    )
}

fn vcpu(subject: &Subject<'_>, cursor: usize) -> (String, Vec<String>, Vec<String>) {
    let Some(vcpu) = subject.domain.rates.vcpus.get(cursor) else {
        let mut reasons = Vec::new();
        add(subject.domain, &mut reasons, "", &subject.domain.reading.vcpus);
        return ("no vCPUs".into(), Vec::new(), reasons);
    };
    let mut reasons = Vec::new();
    add(subject.domain, &mut reasons, "", &vcpu.percent);
    add(subject.domain, &mut reasons, "steal: ", &vcpu.steal_percent);
    let mut words = Vec::new();
    if let Ok(percent) = vcpu.percent {
        words.push(format!("{percent:.1}% busy"));
    }
    let counters = subject.domain.reading.vcpus.iter().flatten().find(|c| c.index == vcpu.index);
    match counters.and_then(|c| c.halted) {
        Some(true) => words.push("halted".to_owned()),
        Some(false) => words.push("not halted".to_owned()),
        None => words.push("halted or not: not offered".to_owned()),
    }
    (format!("vCPU {}", vcpu.index), words, reasons)
}
