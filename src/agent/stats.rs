//! The answer of `stats`: one VM in full, and what its figures were in the
//! last five minutes by the local record.

use std::time::Duration;

use super::{Api, fault::Fault, find};
use crate::{
    delivery::lookback::series::Span,
    model::WallTime,
    telemetry::{
        Json,
        summary::{Summary, stats},
    },
};

/// How far the figures go back.
const LATE: Duration = Duration::from_mins(5);
/// Most lines that are read for them: a fraction of a second's work.
const MOST_LINES: u64 = 300_000;

/// Answers about the VM `asked`: a libvirt id, a uuid or a name.
pub(super) async fn answer(api: &Api, asked: &str) -> Result<Json, Fault> {
    let frame = api.frame();
    let domain = frame.as_ref().and_then(|frame| find(frame, asked)).ok_or_else(|| Fault::no_vm(asked))?;
    let until = frame.as_ref().map_or(WallTime(0), |frame| frame.at);
    let interval = frame.as_ref().map_or(Duration::from_secs(1), |frame| frame.interval);
    let uuid = domain.identity().uuid;
    let looked = api
        .look(move |series, deadline| {
            let since = WallTime(until.0.saturating_sub(nanos(LATE)));
            let lines = series.lines_of_a_cycle()?.max(1);
            let cycles = (MOST_LINES / lines).max(10);
            let least = nanos(LATE) / i64::try_from(cycles).unwrap_or(i64::MAX);
            let step = if least > nanos(interval) { least } else { 1 };
            let mut late = Summary::none("not recorded");
            let span = Span { uuid, since, until, step, lead: false, most: u64::MAX, deadline };
            series.walk(&span, |point| {
                if let Some(domain) = point.domain {
                    late.add(domain);
                }
            })?;
            Ok(late)
        })
        .await;
    // What the VM does now is worth telling without what it did.
    let late = looked.unwrap_or_else(|_| Summary::none("the local record cannot be read"));
    Ok(stats(domain, &late))
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
