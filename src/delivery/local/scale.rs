//! Numbers as whole ones, as fine as the screen shows them.
//!
//! Each scale is a pair of functions, number to code and back, such that a
//! number that came from a code becomes that code again.

/// Hundredths, such as percent and cores: the number itself is within 0.005.
pub(super) mod hundredths {
    pub(in super::super) fn code(value: f64) -> Option<u64> {
        super::whole(value * 100.0)
    }

    #[allow(clippy::cast_precision_loss, reason = "percentages are far below 2^53 hundredths")]
    pub(in super::super) fn value(code: u64) -> f64 {
        code as f64 / 100.0
    }
}

/// Milliseconds in microseconds, of which three digits are kept.
pub(super) mod latency {
    pub(in super::super) fn code(ms: f64) -> Option<u64> {
        super::whole(ms * 1e3).map(super::three_digits)
    }

    #[allow(clippy::cast_precision_loss, reason = "three digits are told")]
    pub(in super::super) fn value(code: u64) -> f64 {
        super::from_three_digits(code) as f64 / 1e3
    }
}

/// Tenths of a number per second, of which three digits are kept.
pub(super) mod per_second {
    pub(in super::super) fn code(value: f64) -> Option<u64> {
        super::whole(value * 10.0).map(super::three_digits)
    }

    #[allow(clippy::cast_precision_loss, reason = "three digits are told")]
    pub(in super::super) fn value(code: u64) -> f64 {
        super::from_three_digits(code) as f64 / 10.0
    }
}

/// Bytes to within a hundred-thousandth part: what two decimals in 1024s show.
pub(super) mod size {
    /// Bits that are kept.
    const KEPT: u32 = 17;

    pub(in super::super) fn code(bytes: u64) -> u64 {
        let mut shift = (u64::BITS - bytes.leading_zeros()).saturating_sub(KEPT);
        let mut rounded = if shift == 0 { bytes } else { ((bytes >> (shift - 1)) + 1) >> 1 };
        if rounded >> KEPT != 0 {
            rounded >>= 1;
            shift += 1;
        }
        // From the first shift on the highest bit is always set, so it is left out.
        if shift == 0 { rounded } else { (u64::from(shift) << (KEPT - 1)) + rounded }
    }

    pub(in super::super) fn value(code: u64) -> u64 {
        let shift = (code >> (KEPT - 1)).saturating_sub(1);
        let kept = code - (shift << (KEPT - 1));
        let bytes = u128::from(kept) << shift.min(64);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// A whole number, or nothing where it is none that anything was measured as.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and it saturates")]
fn whole(value: f64) -> Option<u64> {
    let value = value.round();
    (value.is_finite() && value >= 0.0).then(|| (value as u64).min(MOST))
}

/// More is not told apart: eleven days in microseconds. Far enough below 2^53
/// that a code's number, as a fraction, gives the code again.
const MOST: u64 = 1_000_000_000_000;

/// Codes of one power of ten.
const PER_POWER: u64 = 900;

/// 0…999 as they are, then 900 codes for each power of ten.
fn three_digits(value: u64) -> u64 {
    let mut unit: u64 = 1;
    let mut power = 0;
    while value / unit >= 1000 {
        unit *= 10;
        power += 1;
    }
    // Rounding up to 1000 is the first code of the next power.
    let digits = if unit == 1 { value } else { (value + unit / 2) / unit };
    power * PER_POWER + digits
}

fn from_three_digits(code: u64) -> u64 {
    let power = (code.saturating_sub(100) / PER_POWER).min(20);
    let digits = code - power * PER_POWER;
    let unit = 10_u64.saturating_pow(u32::try_from(power).unwrap_or(20));
    digits.saturating_mul(unit).min(MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(n, shift)| n >> shift)
    }

    proptest! {
        #[test]
        fn what_came_from_a_code_becomes_it_again(
            number in any_number(),
            real in prop_oneof![0.0_f64..1e3, 0.0_f64..1e9, 0.0_f64..1e20],
        ) {
            for (code, value) in [
                (hundredths::code as fn(f64) -> Option<u64>, hundredths::value as fn(u64) -> f64),
                (latency::code, latency::value),
                (per_second::code, per_second::value),
            ] {
                let once = code(real).unwrap();
                prop_assert_eq!(code(value(once)), Some(once));
            }
            let once = size::code(number);
            prop_assert_eq!(size::code(size::value(once)), once);
        }

        #[test]
        fn as_near_as_is_said(number in any_number(), real in 0.0_f64..1e6) {
            let back = size::value(size::code(number));
            prop_assert!(back.abs_diff(number) <= number / 100_000 + u64::from(back == u64::MAX), "{number} {back}");
            let percent = hundredths::value(hundredths::code(real).unwrap());
            prop_assert!((percent - real).abs() <= 0.005_000_1);
            let ms = latency::value(latency::code(real).unwrap());
            prop_assert!((ms - real).abs() <= (real / 190.0).max(0.000_501), "{real} {ms}");
        }

        #[test]
        fn any_code_has_a_value(code in any::<u64>()) {
            let _ = (size::value(code), latency::value(code), hundredths::value(code));
        }
    }

    #[test]
    fn small_numbers_are_themselves() {
        for number in 0..1000 {
            assert_eq!((three_digits(number), from_three_digits(number)), (number, number));
            assert_eq!(size::value(size::code(number)), number);
        }
        assert_eq!(from_three_digits(three_digits(1000)), 1000);
        assert_eq!(from_three_digits(three_digits(9999)), 10_000);
        assert_eq!(from_three_digits(three_digits(123_456)), 123_000);
        assert_eq!(size::value(size::code(40 << 30)), 40 << 30);
        for none in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(hundredths::code(none), None);
        }
    }
}
