//! Spans of time and sizes as people write them, and back.

use std::time::Duration;

const SECOND: f64 = 1.0;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// `30`, `0.5`, `30 s`, `5 m`, `6 h`, `7 days`, `200 ms`; a bare number means
/// seconds. `None`: not a span of time.
pub(super) fn span_of_text(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" | "sec" | "second" | "seconds" => SECOND,
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "h" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => 7.0 * DAY,
        _ => return None,
    };
    span_of_seconds(number * factor)
}

/// A span from seconds; `None` for what is no span: negative, infinite, NaN.
pub(super) fn span_of_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// The span in its largest whole unit, readable by [`span_of_text`].
pub(super) fn show_span(span: Duration) -> String {
    let seconds = span.as_secs();
    if span.subsec_nanos() != 0 || seconds == 0 || !seconds.is_multiple_of(60) {
        return format!("{} s", span.as_secs_f64());
    }
    match seconds {
        86_400 => "1 day".into(),
        s if s % 86_400 == 0 => format!("{} days", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s => format!("{} m", s / 60),
    }
}

/// Size units. Only those of 1024: the screen shows bytes in 1024s too, and a
/// `GB` that means two things is refused rather than guessed.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// `1073741824`, `512 MiB`, `1.5 GiB`. `None`: not a size.
pub(super) fn bytes_of_text(text: &str) -> Option<u64> {
    if let Ok(bytes) = text.trim().parse() {
        return Some(bytes);
    }
    let (number, unit) = number_and_unit(text)?;
    let factor = SIZES.iter().find(|(name, _)| *name == unit)?.1;
    #[allow(clippy::cast_precision_loss, reason = "a power of two")]
    let bytes = number * factor as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are checked")]
    (bytes.fract() == 0.0 && (0.0..9.0e18).contains(&bytes)).then_some(bytes as u64)
}

/// The size in its largest whole unit, readable by [`bytes_of_text`].
pub(super) fn show_bytes(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{} {name}", bytes / factor),
        None => format!("{bytes} B"),
    }
}

fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("30", 30.0),
            ("0.2", 0.2),
            ("30 s", 30.0),
            ("30s", 30.0),
            ("200 ms", 0.2),
            ("5 m", 300.0),
            ("6 h", 21_600.0),
            ("7 days", 604_800.0),
            ("1 week", 604_800.0),
        ] {
            assert_eq!(span_of_text(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "s", "-1", "-1 s", "1 fortnight", "NaN", "inf", "1e400", "1 s 2", "1.2.3"] {
            assert_eq!(span_of_text(text), None, "{text}");
        }
        assert_eq!(span_of_text("99999999999999999999999999 days"), None);
    }

    #[test]
    fn sizes_are_read_in_1024s_only() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("1 GiB", 1 << 30),
            ("1.5 KiB", 1536),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes_of_text(text), Some(bytes), "{text}");
        }
        for text in ["", "1 GB", "1 gib", "-1", "0.3 B", "1e3", "99999999999 TiB"] {
            assert_eq!(bytes_of_text(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_itself() {
        for seconds in [0.0, 0.2, 1.0, 59.0, 60.0, 90.0, 3600.0, 21_600.0, 86_400.0, 604_800.0] {
            let span = Duration::from_secs_f64(seconds);
            assert_eq!(span_of_text(&show_span(span)), Some(span));
        }
        for bytes in [0, 1, 1000, 1024, 1 << 20, (1 << 30) + 1, 512 << 20, 3 << 40] {
            assert_eq!(bytes_of_text(&show_bytes(bytes)), Some(bytes));
        }
    }
}
