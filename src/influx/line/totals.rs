//! Sums over a domain's devices for `vm_totals`.
//!
//! A device that failed in this cycle stands with its last counters, so that
//! a total never falls and rises again.

use super::fields::Field;
use crate::model::missing::Kind;

/// One total: a running sum and what it is a sum of.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    value: u64,
    /// At least one device has contributed.
    counted: bool,
    /// At least one device could not be counted this time.
    failed: bool,
    /// At least one device can never be counted.
    never: bool,
}

impl Sum {
    /// Adds one device's counter.
    pub fn add(&mut self, counter: Field<u64>) {
        match counter {
            Ok(value) => {
                self.value = self.value.saturating_add(value);
                self.counted = true;
            }
            Err(Kind::NotThisTime) => self.failed = true,
            Err(Kind::NeverThere) => self.never = true,
        }
    }

    /// The total. Without any device it is a true zero; with devices of which
    /// none was ever counted it is missing, by the kind of their silence.
    pub fn total(self) -> Field<u64> {
        if self.counted {
            Ok(self.value)
        } else if self.failed {
            Err(Kind::NotThisTime)
        } else if self.never {
            Err(Kind::NeverThere)
        } else {
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(of: &[Field<u64>]) -> Field<u64> {
        let mut sum = Sum::default();
        for counter in of {
            sum.add(*counter);
        }
        sum.total()
    }

    #[test]
    fn a_total_is_over_those_that_answered() {
        assert_eq!(sum(&[]), Ok(0));
        assert_eq!(sum(&[Ok(2), Err(Kind::NeverThere), Ok(3), Err(Kind::NotThisTime)]), Ok(5));
        assert_eq!(sum(&[Err(Kind::NeverThere)]), Err(Kind::NeverThere));
        assert_eq!(sum(&[Err(Kind::NeverThere), Err(Kind::NotThisTime)]), Err(Kind::NotThisTime));
        assert_eq!(sum(&[Ok(u64::MAX), Ok(1)]), Ok(u64::MAX));
    }
}
