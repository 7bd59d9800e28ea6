//! From libvirt's job parameters to a job's progress.

use std::time::Duration;

use super::decode::Param;
use crate::model::{DomainJob, job::OPERATIONS};

/// The progress that these parameters tell. A migration counts all its data,
/// a backup its disks, a dump its memory.
pub(super) fn decode<'a>(params: impl Iterator<Item = (&'a [u8], Param<'a>)>) -> DomainJob {
    let mut job = DomainJob {
        operation: operation(0),
        elapsed: None,
        remaining: None,
        total: None,
        done: None,
        left: None,
    };
    let [mut data, mut disk, mut memory] = [Amounts::default(); 3];
    for (name, value) in params {
        let count = value.count();
        match name {
            b"operation" => job.operation = operation(value.code().unwrap_or(0)),
            b"time_elapsed" => job.elapsed = count.map(Duration::from_millis),
            b"time_remaining" => job.remaining = count.map(Duration::from_millis),
            b"data_total" => data.total = count,
            b"data_processed" => data.done = count,
            b"data_remaining" => data.left = count,
            b"disk_total" => disk.total = count,
            b"disk_processed" => disk.done = count,
            b"disk_remaining" => disk.left = count,
            b"memory_total" => memory.total = count,
            b"memory_processed" => memory.done = count,
            b"memory_remaining" => memory.left = count,
            _ => (),
        }
    }
    let told = [data, disk, memory].into_iter().find(|amounts| amounts.total.is_some_and(|total| total > 0));
    if let Some(amounts) = told {
        job.total = amounts.total;
        job.done = amounts.done;
        job.left = amounts.left.or_else(|| amounts.total?.checked_sub(amounts.done?));
    }
    job
}

#[derive(Clone, Copy, Default)]
struct Amounts {
    total: Option<u64>,
    done: Option<u64>,
    left: Option<u64>,
}

/// The word for libvirt's code (`virDomainJobOperation`).
fn operation(code: i64) -> &'static str {
    usize::try_from(code).ok().and_then(|code| OPERATIONS.get(code)).unwrap_or(&OPERATIONS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(params: &[(&str, Param<'static>)]) -> DomainJob {
        decode(params.iter().map(|(name, value)| (name.as_bytes(), *value)))
    }

    #[test]
    fn a_migration_tells_all_its_data_and_a_backup_its_disks() {
        let migration = told(&[
            ("operation", Param::Signed(5)),
            ("time_elapsed", Param::Unsigned(12_500)),
            ("time_remaining", Param::Unsigned(3_000)),
            ("data_total", Param::Unsigned(3000)),
            ("data_processed", Param::Unsigned(2500)),
            ("data_remaining", Param::Unsigned(750)),
            ("memory_total", Param::Unsigned(2000)),
            ("memory_remaining", Param::Unsigned(1)),
        ]);
        assert_eq!(migration.operation, "migration out");
        assert_eq!(migration.elapsed, Some(Duration::from_millis(12_500)));
        assert_eq!(migration.remaining, Some(Duration::from_secs(3)));
        // A page that the guest wrote meanwhile is sent again: done and left
        // together are more than all of it.
        assert_eq!((migration.total, migration.done, migration.left), (Some(3000), Some(2500), Some(750)));
        assert_eq!(migration.percent(), Some(75.0));

        let backup = told(&[
            ("operation", Param::Signed(9)),
            ("data_total", Param::Unsigned(0)),
            ("disk_total", Param::Unsigned(400)),
            ("disk_processed", Param::Unsigned(100)),
        ]);
        assert_eq!((backup.operation, backup.left, backup.percent()), ("backup", Some(300), Some(25.0)));
    }

    #[test]
    fn a_job_that_tells_nothing_has_no_share_done() {
        let silent = told(&[("operation", Param::Signed(99)), ("odd", Param::Other)]);
        assert_eq!((silent.operation, silent.percent(), silent.elapsed), ("job", None, None));
        let odd = told(&[("data_total", Param::Signed(-1)), ("data_processed", Param::Signed(-1))]);
        assert_eq!((odd.total, odd.done), (None, None));
    }
}
