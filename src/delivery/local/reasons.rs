//! The numbers under which reasons are kept. They are never given anew.

use super::column::Damaged;
use crate::model::Why;

/// A reason's number, and what some say beside it.
pub(super) fn code(why: Why) -> (u64, u64) {
    let code = match why {
        Why::NoBalloonDriver => 0,
        Why::NoStatsPeriod => 1,
        Why::NoGuestReport => 2,
        Why::HostdevNic => 3,
        Why::UserModeNic => 4,
        Why::UnnamedNic => 5,
        Why::EmptyDrive => 6,
        Why::NoNics => 7,
        Why::NoDisks => 8,
        Why::NotOffered => 9,
        Why::RemoteHost => 10,
        Why::NoPressure => 11,
        Why::Inactive => 12,
        Why::FirstReading => 13,
        Why::CounterRestarted => 14,
        Why::Gap => 15,
        Why::UncertainInstants => 16,
        Why::NoRequests => 17,
        Why::MonitorNotAnswering => 18,
        Why::Busy => 19,
        Why::Migrating => 20,
        Why::GuestReportStale => 21,
        Why::NotDue => 22,
        Why::NotAsked { stuck } => return (23, stuck.into()),
        Why::NoAnswerYet => 24,
        Why::NoConnection => 25,
        Why::CallFailed => 26,
        Why::NotRecorded => 27,
    };
    (code, 0)
}

/// The reason of that number.
pub(super) fn why(code: u64, beside: u64) -> Result<Why, Damaged> {
    let why = match code {
        23 => {
            let stuck = u16::try_from(beside).map_err(|_| Damaged)?;
            return Ok(Why::NotAsked { stuck });
        }
        _ => *PLAIN.iter().find(|why| self::code(**why).0 == code).ok_or(Damaged)?,
    };
    if beside == 0 { Ok(why) } else { Err(Damaged) }
}

/// All reasons that say nothing beside themselves.
pub(super) const PLAIN: [Why; 27] = [
    Why::NoBalloonDriver,
    Why::NoStatsPeriod,
    Why::NoGuestReport,
    Why::HostdevNic,
    Why::UserModeNic,
    Why::UnnamedNic,
    Why::EmptyDrive,
    Why::NoNics,
    Why::NoDisks,
    Why::NotOffered,
    Why::RemoteHost,
    Why::NoPressure,
    Why::Inactive,
    Why::FirstReading,
    Why::CounterRestarted,
    Why::Gap,
    Why::UncertainInstants,
    Why::NoRequests,
    Why::MonitorNotAnswering,
    Why::Busy,
    Why::Migrating,
    Why::GuestReportStale,
    Why::NotDue,
    Why::NoAnswerYet,
    Why::NoConnection,
    Why::CallFailed,
    Why::NotRecorded,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_comes_back() {
        for reason in PLAIN.into_iter().chain([0, 1, u16::MAX].map(|stuck| Why::NotAsked { stuck })) {
            let (number, beside) = code(reason);
            assert_eq!(why(number, beside), Ok(reason));
        }
        // As many as there are numbers: none is missing above.
        let mut known: Vec<u64> = PLAIN.iter().map(|why| code(*why).0).collect();
        known.sort_unstable();
        assert_eq!(known, (0..28).filter(|n| *n != 23).collect::<Vec<_>>());
        assert_eq!(why(28, 0), Err(Damaged));
    }
}
