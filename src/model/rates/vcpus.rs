//! The vCPUs of one domain together.

use super::{FIRST, NOT_OFFERED, VcpuRates};
use crate::model::{Measured, Missing};

/// All vCPUs of one domain together.
#[derive(Clone, Copy)]
pub(super) struct VcpuSum {
    /// Cores busy with the guest's own work, and the vCPUs that were at it.
    pub busy: Measured<(f64, f64)>,
    /// Mean run-queue wait per vCPU, percent of wall time.
    pub steal_percent: Measured<f64>,
}

impl VcpuSum {
    pub fn missing(why: Missing) -> Self {
        Self { busy: Err(why), steal_percent: Err(why) }
    }

    pub fn of(rates: &[VcpuRates]) -> Self {
        Self {
            busy: Self::sum(rates, |r| r.percent).map(|(percent, count)| (percent / 100.0, count)),
            steal_percent: Self::sum(rates, |r| r.steal_percent).map(|(percent, count)| percent / count),
        }
    }

    /// The sum of one rate and the vCPUs it is of. Complete or not at all: a
    /// sum over some of the vCPUs would be a number that is too small. Only a
    /// vCPU plugged in this interval is left out of both until the next.
    fn sum(rates: &[VcpuRates], pick: fn(&VcpuRates) -> Measured<f64>) -> Measured<(f64, f64)> {
        let (mut sum, mut count) = (0.0, 0.0);
        let mut why = NOT_OFFERED;
        for rate in rates {
            match pick(rate) {
                Ok(rate) => {
                    sum += rate;
                    count += 1.0;
                }
                Err(FIRST) => why = FIRST,
                Err(missing) => return Err(missing),
            }
        }
        if count > 0.0 { Ok((sum, count)) } else { Err(why) }
    }
}
