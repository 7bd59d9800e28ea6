//! The host's block of the status page: every figure of it, or why there is
//! none.

use super::{fact, labelled, plain};
use crate::{
    app::App,
    model::{
        Frame, Measured, Missing,
        host::{Commitment, HostCpu, HostMemory, Pressure},
    },
    ui::{
        Look,
        document::{Document, Pieces},
        glyph,
        host::PRESSURE,
        theme::Severity,
        units,
    },
};

/// The whole of it; nothing before the first frame.
pub fn document(app: &App, look: &Look, width: u16) -> Document {
    let mut document = Document::default();
    let Some(frame) = app.frame() else { return document };
    let palette = &look.palette;
    document.title("host", width, palette.strong, palette.faint);
    facts(&mut document, frame, look);
    let mut add = |label: &str, value: Measured<Pieces>| match value {
        Ok(pieces) => document.line(labelled(label, look, pieces)),
        Err(missing) => {
            let label = format!("{label:<width$}– ", width = super::LABEL);
            document.paragraph(&label, &reason(missing), width, (palette.dim, palette.dim));
        }
    };
    let load = &frame.load;
    add("CPU", load.cpu.map(|cpu| shares(&cpu, look)));
    if let Ok(HostCpu { iowait: Err(missing), .. }) = load.cpu {
        add("iowait", Err(missing));
    }
    add("memory", load.memory.and_then(|memory| used(&memory, look)));
    let (given, old) = Commitment::shown(frame);
    add("vCPUs given", both(given.vcpus, given.vcpus_per_cpu).map(|given| vcpus(given, frame, look)));
    add(
        "memory given",
        both(given.memory, given.memory_percent).map(|(memory, percent)| {
            let size = units::bytes(memory.bytes());
            let given = vec![(format!("{size}, {percent:.0}% of the host's"), palette.text)];
            given.into_iter().chain(old.then(|| (", as last read".to_owned(), palette.old))).collect()
        }),
    );
    add("pressure", load.pressure.map(|pressure| waiting(pressure, look)));
    document
}

fn facts(document: &mut Document, frame: &Frame, look: &Look) {
    let host = &frame.host;
    if let Some(name) = &host.name {
        document.line(fact("name", plain(name), look));
    }
    let versions =
        [host.hypervisor.clone(), host.libvirt.as_ref().map(|version| format!("libvirt {version}"))];
    let versions: Vec<String> = versions.into_iter().flatten().map(|text| plain(&text)).collect();
    if !versions.is_empty() {
        document.line(fact("runs", versions.join(" · "), look));
    }
}

fn reason(missing: Missing) -> String {
    let mend = missing.why.mend().map(|mend| format!(" ({mend})")).unwrap_or_default();
    format!("{missing}{mend}")
}

fn both<A, B>(a: Measured<A>, b: Measured<B>) -> Measured<(A, B)> {
    Ok((a?, b?))
}

fn shares(cpu: &HostCpu, look: &Look) -> Pieces {
    let palette = &look.palette;
    let text = format!("{:.1}%: user {:.1}, system {:.1}", cpu.busy(), cpu.user, cpu.system);
    let iowait = cpu.iowait.map(|iowait| (format!(", iowait {iowait:.1}"), palette.text));
    [Some((text, palette.text)), iowait.ok()].into_iter().flatten().collect()
}

fn used(memory: &HostMemory, look: &Look) -> Measured<Pieces> {
    let percent = memory.used_percent()?;
    let text = format!(
        "{} of {} used ({percent:.0}%)",
        units::bytes(memory.used().bytes()),
        units::bytes(memory.total.bytes())
    );
    Ok(vec![(text, look.palette.text)])
}

fn vcpus((vcpus, per_cpu): (u64, f64), frame: &Frame, look: &Look) -> Pieces {
    let cpus = frame.host.cpus.unwrap_or(0);
    vec![(format!("{vcpus} on {cpus} CPUs, {per_cpu:.2} per CPU"), look.palette.text)]
}

fn waiting(pressure: Pressure, look: &Look) -> Pieces {
    let palette = &look.palette;
    let mut pieces = Pieces::new();
    for (label, percent) in [("cpu", pressure.cpu), ("memory", pressure.memory), ("io", pressure.io)] {
        let severity = Severity::of(percent, PRESSURE);
        let number = format!("{}{percent:.1}%", glyph::mark(severity));
        pieces.push((label.to_owned(), palette.dim));
        pieces.push((format!("{number}  "), palette.severity(severity, palette.text)));
    }
    pieces.push(("over 10 s".to_owned(), palette.dim));
    pieces
}
