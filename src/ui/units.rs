//! Numbers as text. Fixed-width forms never change width, so that columns
//! stand still.

use std::time::Duration;

use crate::model::{Degrees, WallTime};

const UNITS: [&str; 7] = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];

/// Bytes in 1024s with at most two decimals: `1.46 MB`, `512 B`.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "two decimals are shown")]
pub fn bytes(count: u64) -> String {
    amount(count as f64)
}

/// As [`bytes`], of a rate or a mean.
#[must_use]
pub fn amount(count: f64) -> String {
    let (value, unit) = scaled(count, 1023.995);
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    format!("{text} {}", UNITS[unit])
}

/// Bytes per second: `12.4 MB/s`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    format!("{}/s", amount(per_second))
}

/// As [`rate`], for a value that moves: always two decimals, so that its
/// digits stand still. `12.40 MB/s`, `310 B/s`.
#[must_use]
pub fn moving_rate(per_second: f64) -> String {
    let (value, unit) = scaled(per_second, 1023.995);
    let decimals = if unit == 0 { 0 } else { 2 };
    let text = format!("{value:.decimals$}");
    let text = if text == "-0" { "0" } else { &text };
    format!("{text} {}/s", UNITS[unit])
}

/// Five columns for a rate in bytes per second: `12.4M`, ` 412K`, `    0`.
#[must_use]
pub fn rate5(per_second: f64) -> String {
    short(per_second, ["", "K", "M", "G", "T", "P", "E"], 1024.0)
}

/// Five columns for a plain number per second: `12.4k`, `  310`.
#[must_use]
pub fn count5(per_second: f64) -> String {
    short(per_second, ["", "k", "M", "G", "T", "P", "E"], 1000.0)
}

fn short(value: f64, units: [&str; 7], base: f64) -> String {
    let mut value = value.max(0.0);
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let width = 5 - units[unit].len();
    // A small rate is not nothing: below ten it keeps a decimal.
    let decimals = usize::from(value < 99.95 && value > 0.0 && (unit > 0 || value < 9.95));
    format!("{value:>width$.decimals$}{}", units[unit])
}

fn scaled(mut value: f64, limit: f64) -> (f64, usize) {
    let mut unit = 0;
    while value.abs() >= limit && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    (value, unit)
}

/// Four columns: ` 76%`, `100%`. Never clamped; a huge one grows.
#[must_use]
pub fn percent4(value: f64) -> String {
    format!("{value:>3.0}%")
}

/// Six columns with one decimal: ` 12.3%`.
#[must_use]
pub fn percent6(value: f64) -> String {
    format!("{value:>5.1}%")
}

/// Five columns: ` 2.1°`; the direction is told apart.
#[must_use]
pub fn degrees5(degrees: Degrees) -> String {
    format!("{:>4.1}°", degrees.0.abs())
}

/// `▲`, `▼` or a blank for a direction too small to show.
#[must_use]
pub fn arrow(degrees: Degrees) -> char {
    if degrees.0 >= 0.05 {
        '▲'
    } else if degrees.0 <= -0.05 {
        '▼'
    } else {
        ' '
    }
}

/// Milliseconds of a request: `12.4`, `0.04`. A fast disk is not one that
/// takes no time, so below one there are two decimals.
#[must_use]
pub fn latency(ms: f64) -> String {
    let decimals = if ms < 0.995 { 2 } else { 1 };
    format!("{ms:.decimals$}")
}

/// A count in groups of three: `1 204`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A count in at most `room` columns: where its digits do not fit, `2.4G` in
/// 1000s. A number is never cut: what is left would be another number.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "two or three digits are shown")]
pub fn tally(number: u64, room: u16) -> String {
    let whole = count(number);
    if whole.len() <= usize::from(room) { whole } else { count5(number as f64).trim().to_owned() }
}

/// A span for people: `0.4 s`, `42 s`, `3 min`, `2 h 5 min`, `3 d 4 h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 if span.subsec_millis() > 0 => format!("{:.1} s", span.as_secs_f64()),
        0..120 => format!("{seconds} s"),
        120..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// An instant in UTC: `14:02:11` of today, else `20 Nov 14:02:11`.
#[must_use]
pub fn moment(at: WallTime, now: WallTime) -> String {
    let day = |time: WallTime| time.seconds().div_euclid(86_400);
    if day(at) == day(now) {
        return at.hms();
    }
    let instant = jiff::Timestamp::from_second(at.seconds()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{} {}", instant.strftime("%-d %b"), at.hms())
}

/// A span that was chosen rather than measured: `40 s`, `5 min`, `1 h`.
#[must_use]
pub fn whole_span(span: Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => self::span(span),
    }
}

/// A short time for people: `0.8 ms`, `12 ms`, `1.2 s`.
#[must_use]
pub fn millis(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1e3;
    match ms {
        _ if ms < 9.95 => format!("{ms:.1} ms"),
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

/// An interval as configured: `1 s`, `0.2 s`, `2 min`.
#[must_use]
pub fn interval(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds >= 120.0 && span.as_secs().is_multiple_of(60) {
        format!("{} min", span.as_secs() / 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_at_most_two_decimals_and_never_read_1024() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KB"),
            (1536, "1.5 KB"),
            (1_530_921, "1.46 MB"),
            ((1 << 20) - 1, "1 MB"),
            (8 << 30, "8 GB"),
            (u64::MAX, "16 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn fixed_widths_are_fixed() {
        let mut value = 0.01;
        while value < 1e18 {
            assert_eq!(rate5(value).len(), 5, "{value}: {:?}", rate5(value));
            assert_eq!(count5(value).len(), 5, "{value}: {:?}", count5(value));
            value *= 1.37;
        }
        assert_eq!(rate5(0.0), "    0");
        assert_eq!([0.0, -0.3, 310.4, 1536.0].map(moving_rate), ["0 B/s", "0 B/s", "310 B/s", "1.50 KB/s"]);
        assert_eq!(rate5(512.0), "  512");
        assert_eq!(rate5(13_002_342.0), "12.4M");
        assert_eq!(rate5(1000.0), " 1.0K");
        assert_eq!(count5(4100.0), " 4.1k");
        assert_eq!(degrees5(Degrees(-2.14)), " 2.1°");
        assert_eq!([arrow(Degrees(3.0)), arrow(Degrees(-3.0)), arrow(Degrees(0.01))], ['▲', '▼', ' ']);
        assert_eq!(percent4(76.4), " 76%");
        assert_eq!([0.04, 0.996, 12.44].map(latency), ["0.04", "1.0", "12.4"]);
    }

    #[test]
    fn times_and_counts_read_well() {
        assert_eq!(count(1_204), "1 204");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(count(12), "12");
        assert_eq!(tally(12_345, 7), "12 345");
        assert_eq!(tally(2_393_114_206, 7), "2.4G");
        assert_eq!(span(Duration::from_secs(42)), "42 s");
        assert_eq!(span(Duration::from_mins(125)), "2 h 5 min");
        assert_eq!(
            [40, 60, 90, 900, 3600].map(|s| whole_span(Duration::from_secs(s))),
            ["40 s", "1 min", "90 s", "15 min", "1 h"]
        );
        assert_eq!(millis(Duration::from_micros(800)), "0.8 ms");
        assert_eq!(interval(Duration::from_secs(1)), "1 s");
        assert_eq!(interval(Duration::from_millis(200)), "0.2 s");
        let at = |seconds: i64| WallTime(seconds * 1_000_000_000);
        assert_eq!(moment(at(86_399), at(10)), "23:59:59");
        assert_eq!(moment(at(86_399), at(86_400)), "1 Jan 23:59:59");
    }
}
