//! What an operator calls an instant: RFC 3339, how long ago, `today`, `now`.

use super::ExportError;
use crate::model::WallTime;

/// What a time may be, in words.
pub(super) const ALLOWED: &str = "one is RFC 3339 such as 2026-01-31T14:02:11Z, so long ago such as 1h, \
                                  90m or 2d, `today` (since 00:00 UTC) or `now`";

/// RFC 3339 in UTC.
pub(super) fn told(at: WallTime) -> String {
    jiff::Timestamp::from_nanosecond(at.0.into()).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// The instant that `text` means.
pub(super) fn instant(option: &'static str, text: &str, now: WallTime) -> Result<WallTime, ExportError> {
    const DAY: i64 = 86_400_000_000_000;
    let none = || ExportError::Time { option, found: text.to_owned() };
    let word = text.trim();
    match word {
        "now" => return Ok(now),
        "today" => return Ok(WallTime(now.0.div_euclid(DAY) * DAY)),
        _ => {}
    }
    if let Ok(at) = word.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).map(WallTime).map_err(|_| none());
    }
    ago(word.strip_prefix('-').unwrap_or(word))
        .and_then(|ago| now.0.checked_sub(ago).filter(|at| *at >= 0))
        .map(WallTime)
        .ok_or_else(none)
}

/// `1h`, `90m`, `1h30m`: nanoseconds.
fn ago(text: &str) -> Option<i64> {
    let mut sum = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(number.checked_mul(unit)?.checked_mul(1_000_000_000)?)?;
        rest = &rest[digits + 1..];
    }
    (sum > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_spans_and_words() {
        let now = WallTime(1_769_868_131_000_000_000);
        let is = |text: &str| instant("--since", text, now).map(told).ok();
        for (text, expected) in [
            ("2026-01-31T14:02:11Z", "2026-01-31T14:02:11Z"),
            ("2026-01-31T16:02:11.5+02:00", "2026-01-31T14:02:11.5Z"),
            ("now", "2026-01-31T14:02:11Z"),
            ("today", "2026-01-31T00:00:00Z"),
            ("1h", "2026-01-31T13:02:11Z"),
            ("-1h", "2026-01-31T13:02:11Z"),
            ("1h30m", "2026-01-31T12:32:11Z"),
            ("2d", "2026-01-29T14:02:11Z"),
            ("1w", "2026-01-24T14:02:11Z"),
            (" 90s ", "2026-01-31T14:00:41Z"),
        ] {
            assert_eq!(is(text).as_deref(), Some(expected), "{text}");
        }
        let long = "9".repeat(40) + "s";
        for wrong in
            ["", "-", "yesterday", "1", "h", "1y", "--1h", "1h-", "0s", "2026-01-31", "99999d", &long]
        {
            assert_eq!(is(wrong), None, "{wrong}");
        }
        let refused = instant("--until", "soon", now).unwrap_err();
        assert_eq!(refused.code(), 2);
        assert!(refused.to_string().contains("--until \"soon\"") && refused.to_string().contains("RFC 3339"));
    }
}
