//! The plain text of `kvmscope once`: a table of all VMs, and below it what is
//! missing and why. No colour and no control character, so that it goes into
//! a pipe or a mail as it is.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::model::{AngleMode, Degrees, DomainFrame, DomainState, Frame, Measured, Missing, frame::Health};

/// Which characters may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Characters {
    /// `–`, `°`, `▼`, `…`
    #[default]
    Unicode,
    /// ASCII alone; names are kept as they are.
    Ascii,
}

impl Characters {
    fn missing(self) -> &'static str {
        match self {
            Self::Unicode => "–",
            Self::Ascii => "-",
        }
    }

    fn cut(self) -> &'static str {
        match self {
            Self::Unicode => "…",
            Self::Ascii => "~",
        }
    }
}

/// Most columns of a name in the table; the list below has it in full.
const NAME_WIDTH: usize = 40;

/// Headings, and whether the column is aligned to the right.
const COLUMNS: [(&str, bool); 16] = [
    ("NAME", false),
    ("STATE", false),
    ("vCPU", true),
    ("CPU %", true),
    ("deg", true),
    ("MEM %", true),
    ("deg", true),
    ("DISK rd/s", true),
    ("deg", true),
    ("wr/s", true),
    ("deg", true),
    ("NET rx/s", true),
    ("deg", true),
    ("tx/s", true),
    ("deg", true),
    ("STEAL %", true),
];

/// The whole text, each line ended by a newline.
#[must_use]
pub fn table(frame: &Frame, characters: Characters) -> String {
    let mut rows: Vec<Vec<String>> = vec![COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect()];
    rows.extend(frame.domains.iter().map(|domain| row(domain, characters)));
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0))
        .collect();
    let mut text = heading(frame);
    for row in &rows {
        let cells = row.iter().zip(&widths).zip(COLUMNS).map(|((cell, width), (_, right))| {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            if right { space + cell } else { cell.clone() + &space }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    missing(frame, &mut text);
    text
}

/// What the figures are of, and what a degree is worth.
fn heading(frame: &Frame) -> String {
    let unknown = || "unknown".to_owned();
    let host = frame.host.name.clone().unwrap_or_else(unknown);
    let hypervisor = frame.host.hypervisor.clone().unwrap_or_else(unknown);
    let demo = if frame.host.demo { ", DEMO: libvirt's built-in test host" } else { "" };
    let at = jiff::Timestamp::from_nanosecond(frame.at.0.into())
        .map_or_else(|_| unknown(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let scale = &frame.scale;
    let degrees = match scale.mode {
        AngleMode::Raw => "degrees are raw: 45 is 1 ns, 1 KiB or 1 B per second".to_owned(),
        AngleMode::Scaled => format!(
            "45 degrees are {}% of the vCPUs, memory {}/s, disk {}/s, network {}/s",
            scale.cpu * 100.0,
            bytes(scale.memory),
            bytes(scale.disk),
            bytes(scale.network),
        ),
    };
    format!(
        "{} ({}{demo}), {at}, over {} s\n{degrees}\n\n",
        printable(&host),
        printable(&hypervisor),
        frame.interval.as_secs_f64(),
    )
}

fn row(domain: &DomainFrame, characters: Characters) -> Vec<String> {
    let (reading, rates) = (&domain.reading, &domain.rates);
    let none = || characters.missing().to_owned();
    let percent = |value: Measured<f64>| value.map_or_else(|_| none(), |p| format!("{p:.1}"));
    let traffic = |value: Measured<f64>| value.map_or_else(|_| none(), bytes);
    let degrees =
        |value: Measured<Degrees>| value.map_or_else(|_| none(), |degrees| angle(degrees, characters));
    vec![
        cut(&reading.identity.name, characters),
        state(domain).to_owned(),
        reading.vcpu_count.map_or_else(|_| none(), |count| count.to_string()),
        percent(rates.cpu_percent),
        degrees(rates.angles.cpu),
        percent(rates.memory_percent),
        degrees(rates.angles.memory),
        traffic(rates.disk.read_bytes_per_s),
        degrees(rates.angles.disk_read),
        traffic(rates.disk.write_bytes_per_s),
        degrees(rates.angles.disk_write),
        traffic(rates.net.rx_bytes_per_s),
        degrees(rates.angles.net_rx),
        traffic(rates.net.tx_bytes_per_s),
        degrees(rates.angles.net_tx),
        percent(rates.steal_percent),
    ]
}

/// A VM that hangs is running for libvirt; what matters is that it hangs.
fn state(domain: &DomainFrame) -> &'static str {
    match domain.health {
        Health::Impaired(Missing { why: crate::model::Why::MonitorNotAnswering, .. }) => "hung",
        _ if domain.state() == DomainState::Shutoff => "off",
        _ => domain.state().word(),
    }
}

/// `12.5°`; only a shrinking value has a sign. One that rounds to zero has none.
fn angle(Degrees(degrees): Degrees, characters: Characters) -> String {
    let falling = degrees <= -0.05;
    match characters {
        Characters::Unicode => format!("{}{:.1}°", if falling { "▼" } else { "" }, degrees.abs()),
        Characters::Ascii => format!("{}{:.1}", if falling { "-" } else { "" }, degrees.abs()),
    }
}

/// Bytes in 1024s with at most two decimals, such as `1.46 MB`.
fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes, 0);
    // What would be shown as 1024.00 is 1 of the next unit.
    while value.abs() >= 1023.995 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let number = format!("{value:.2}");
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{} {}", if number == "-0" { "0" } else { number }, UNITS[unit])
}

/// A name of at most [`NAME_WIDTH`] columns.
fn cut(name: &str, characters: Characters) -> String {
    if name.width() <= NAME_WIDTH {
        return name.to_owned();
    }
    let mut kept = String::new();
    let mut width = 1;
    for c in name.chars() {
        width += c.width().unwrap_or(0);
        if width > NAME_WIDTH {
            break;
        }
        kept.push(c);
    }
    kept + characters.cut()
}

/// Text of the host's, which no rule has made fit to show yet.
fn printable(text: &str) -> String {
    crate::model::name::storable(text).into_owned()
}

/// What is missing and why, VM by VM; a VM that is off needs no words.
fn missing(frame: &Frame, text: &mut String) {
    use std::fmt::Write as _;
    let mut begun = false;
    for domain in frame.domains.iter().filter(|domain| domain.health != Health::Inactive) {
        let mut reasons: Vec<(Missing, Vec<String>)> = Vec::new();
        for (what, missing) in absent(domain) {
            match reasons.iter_mut().find(|(known, _)| *known == missing) {
                Some((_, all)) => all.push(what),
                None => reasons.push((missing, vec![what])),
            }
        }
        let old = domain.is_live() && !domain.fresh;
        if reasons.is_empty() && !old {
            continue;
        }
        // Writing into a String cannot fail.
        if !begun {
            let _ = writeln!(text, "\nMissing, and why:");
            begun = true;
        }
        let _ = writeln!(text, "  {}", domain.identity().name);
        if old {
            let _ = writeln!(text, "    not read in this cycle: figures are of {}", domain.reading.at.hms());
        }
        for (missing, what) in reasons {
            let _ = writeln!(text, "    {}: {missing}", what.join(", "));
            if let Some(mend) = missing.mend(domain.identity()) {
                let _ = writeln!(text, "      mend: {mend}");
            }
        }
    }
}

/// Each figure of the table that has no number, and each device and report
/// behind them.
fn absent(domain: &DomainFrame) -> Vec<(String, Missing)> {
    let (reading, rates) = (&domain.reading, &domain.rates);
    let mut absent: Vec<(String, Missing)> = Vec::new();
    let mut note = |what: &str, missing: Option<Missing>| {
        if let Some(missing) = missing {
            absent.push((what.to_owned(), missing));
        }
    };
    note("vCPUs", reading.vcpu_count.err());
    note("CPU", rates.cpu_percent.err());
    note("memory", rates.memory_percent.err());
    note("memory growth", rates.memory_kib_per_s.err());
    note("guest memory report", reading.guest_memory.err());
    note("disk read", rates.disk.read_bytes_per_s.err());
    note("disk write", rates.disk.write_bytes_per_s.err());
    note("net rx", rates.net.rx_bytes_per_s.err());
    note("net tx", rates.net.tx_bytes_per_s.err());
    note("steal", rates.steal_percent.err());
    for nic in reading.nics.iter().flatten() {
        note(&format!("NIC {}", nic.name), nic.counters.err());
    }
    for disk in reading.disks.iter().flatten() {
        note(&format!("disk {}", disk.name), disk.counters.err());
    }
    absent
}

#[cfg(test)]
mod tests;
