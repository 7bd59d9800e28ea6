//! A job's progress in words.

use crate::{model::DomainJob, ui::units};

/// `job: backup 42% · 1.2 GB of 3 GB · 12 s`; what a job does not tell is
/// left out.
pub fn words(job: &DomainJob) -> String {
    let percent = job.percent().map(|percent| format!(" {percent:.0}%")).unwrap_or_default();
    let mut words = format!("job: {}{percent}", job.operation);
    if let (Some(done), Some(total)) = (job.done, job.total) {
        words = format!("{words} · {} of {}", units::bytes(done), units::bytes(total));
    }
    if let Some(elapsed) = job.elapsed {
        words = format!("{words} · {}", units::span(elapsed));
    }
    if let Some(remaining) = job.remaining.filter(|left| !left.is_zero()) {
        words = format!("{words}, {} left", units::span(remaining));
    }
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_job_says_how_far_it_is_as_far_as_it_knows() {
        let mut job = DomainJob {
            operation: "backup",
            elapsed: Some(Duration::from_secs(12)),
            remaining: None,
            total: Some(3 << 30),
            done: Some(1_288_490_189),
            left: Some((3 << 30) - 1_288_490_189),
        };
        assert_eq!(words(&job), "job: backup 40% · 1.2 GB of 3 GB · 12 s");
        job.remaining = Some(Duration::from_secs(18));
        assert_eq!(words(&job), "job: backup 40% · 1.2 GB of 3 GB · 12 s, 18 s left");
        let dumb = DomainJob { elapsed: None, remaining: None, total: None, done: None, left: None, ..job };
        assert_eq!(words(&dumb), "job: backup");
    }
}
