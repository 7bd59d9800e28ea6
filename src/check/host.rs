//! libvirt, the right to read it, its VMs and their balloons.

use std::{
    sync::mpsc::{self, Receiver},
    time::Instant,
};

use super::Check;
use crate::{
    clock::Clock,
    config,
    libvirt::{Answer, Error, Question, Reader, Reply, Roster, Settings, hang_advice, masked},
    model::domain::Balloon,
};

const REACHABLE: &str = "libvirt";
const DOMAINS: &str = "VMs";
const BALLOONS: &str = "balloon periods";

/// Asks libvirt once, with the patience of `libvirt.timeout`.
pub(super) fn checks(settings: &config::Libvirt, clock: &Clock) -> Vec<Check> {
    let (answers, inbox) = mpsc::channel();
    let deliver = move |answer: Answer| drop(answers.send(answer));
    let reader = match Reader::start(1, Settings::from(settings), clock.clone(), deliver) {
        Ok(reader) => reader,
        Err(error) => {
            return vec![Check::failed(
                REACHABLE,
                format!("cannot start a thread: {error}"),
                "raise the limit on processes",
            )];
        }
    };
    let deadline = Instant::now() + settings.timeout;
    if !reader.ask(1, Question::Roster) {
        return vec![Check::failed(REACHABLE, "the reader has ended by itself", "try again")];
    }
    let roster = match wait(&inbox, deadline) {
        Some(Ok(Reply::Roster(roster))) => roster,
        Some(Ok(_)) => return vec![Check::failed(REACHABLE, "an answer that does not fit the question", "")],
        Some(Err(error)) => return vec![Check::failed(REACHABLE, error.to_string(), "")],
        None => {
            let seconds = settings.timeout.as_secs_f64();
            let uri = masked(&settings.uri);
            return vec![Check::failed(
                REACHABLE,
                format!("{uri} has not answered for {seconds:.0} s"),
                hang_advice(&settings.uri),
            )];
        }
    };
    let uri = masked(&settings.uri);
    let version = [&roster.host.hypervisor, &roster.host.libvirt.as_ref().map(|v| format!("libvirt {v}"))]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let mut checks = vec![Check::ok(REACHABLE, format!("{uri} answers, opened read-only: {version}"))];
    let live = roster.domains.iter().filter(|d| d.identity.id.is_some()).count();
    let total = roster.domains.len();
    checks.push(if total == 0 {
        Check::ok(DOMAINS, "none is defined: there is nothing to show yet")
    } else {
        Check::ok(DOMAINS, format!("{live} live of {total}"))
    });
    checks.push(balloons(&reader, &inbox, &roster, deadline));
    checks
}

/// Which live VMs can give no guest memory report, and why.
fn balloons(reader: &Reader, inbox: &Receiver<Answer>, roster: &Roster, deadline: Instant) -> Check {
    let live: Vec<_> = roster.domains.iter().filter(|d| d.identity.id.is_some()).collect();
    let (mut without_period, mut without_balloon, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for (ticket, domain) in (2..).zip(&live) {
        if !reader.ask(ticket, Question::Describe { uuid: domain.identity.uuid }) {
            break;
        }
        let name = domain.identity.name.to_string();
        match wait(inbox, deadline) {
            Some(Ok(Reply::Description { devices, .. })) => match devices.balloon {
                Balloon::NoPeriod => without_period.push(name),
                Balloon::Absent => without_balloon.push(name),
                Balloon::Period(_) => {}
            },
            // It was stopped between the two questions.
            Some(_) => {}
            None => unread.push(name),
        }
    }
    let mut found = Vec::new();
    let mut mends = Vec::new();
    if !without_period.is_empty() {
        found.push(format!("no statistics period: {}", without_period.join(", ")));
        mends.push("virsh dommemstat DOMAIN --period 2 --live (and --config to keep it)");
    }
    if !without_balloon.is_empty() {
        found.push(format!("no balloon: {}", without_balloon.join(", ")));
        mends.push("add <memballoon model='virtio'/> to the domain");
    }
    if !unread.is_empty() {
        found.push(format!("XML not given in time: {}", unread.join(", ")));
        mends.push("see whether libvirt hangs");
    }
    if found.is_empty() {
        let all = if live.is_empty() {
            "no live VM to look at".into()
        } else {
            format!("set for all {} live VMs", live.len())
        };
        return Check::ok(BALLOONS, all);
    }
    Check::failed(
        BALLOONS,
        format!("{}: their memory in use is the balloon's size", found.join("; ")),
        mends.join("; "),
    )
}

fn wait(inbox: &Receiver<Answer>, deadline: Instant) -> Option<Result<Reply, Error>> {
    let left = deadline.saturating_duration_since(Instant::now());
    inbox.recv_timeout(left).ok().map(|answer| answer.reply)
}
