//! The parameters of a question, each read once and refused with what is
//! allowed.

use std::{borrow::Cow, time::Duration};

use super::fault::Fault;
use crate::model::WallTime;

/// The parameters, as they were given.
#[derive(Debug)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads `text`, of which only the parameters `known` may be part, each
    /// once.
    ///
    /// # Errors
    /// Another one is, or one twice.
    pub fn read(text: Option<&'a str>, known: &[&str]) -> Result<Self, Fault> {
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                return Err(Fault::bad("a parameter", &name, known.join(", ")));
            }
            if pairs.iter().any(|(before, _)| *before == name) {
                return Err(Fault::malformed("a parameter is given twice"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of `name`; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value).filter(|v| !v.is_empty())
    }

    /// An instant.
    pub fn time(&self, name: &'static str) -> Result<Option<WallTime>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // `+02:00` that was not percent-encoded arrives with a blank.
        let mended = text.replace(' ', "+");
        let at = mended.parse::<jiff::Timestamp>().ok();
        let nanos = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
        let allowed = "RFC 3339, such as 2026-01-31T14:02:11Z";
        nanos.map(|nanos| Some(WallTime(nanos))).ok_or_else(|| Fault::bad(name, text, allowed))
    }

    /// A span of time.
    pub fn span(&self, name: &'static str) -> Result<Option<Duration>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = match unit {
            "" | "s" => Some(1.0),
            "m" => Some(60.0),
            "h" => Some(3600.0),
            "d" => Some(86_400.0),
            _ => None,
        };
        let seconds = number.parse::<f64>().ok().zip(unit).map(|(number, unit)| number * unit);
        let span = seconds.filter(|s| (LEAST..=MOST).contains(s)).map(Duration::from_secs_f64);
        let allowed = "seconds, or such as 10s, 5m, 1h; from 0.2 s to 30d";
        span.map(Some).ok_or_else(|| Fault::bad(name, text, allowed))
    }

    /// Yes or no.
    pub fn flag(&self, name: &'static str) -> Result<bool, Fault> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(Fault::bad(name, other, "true or false")),
        }
    }
}

const LEAST: f64 = 0.2;
const MOST: f64 = 30.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans_are_read_and_others_refused() {
        let all = ["a", "b"];
        let query = Query::read(Some("a=2026-01-31T14:02:11Z&b=5m"), &all).unwrap();
        assert_eq!(query.time("a").unwrap(), Some(WallTime(1_769_868_131_000_000_000)));
        assert_eq!(query.span("b").unwrap(), Some(Duration::from_mins(5)));
        assert!(query.span("a").is_err() && query.time("b").is_err() && query.flag("b").is_err());
        let query = Query::read(Some("a=2026-01-31T16:02:11%2B02:00&b=0.5"), &all).unwrap();
        assert_eq!(query.time("a").unwrap(), Some(WallTime(1_769_868_131_000_000_000)));
        assert_eq!(query.span("b").unwrap(), Some(Duration::from_millis(500)));
        let query = Query::read(Some("a=2026-01-31T16:02:11+02:00&b="), &all).unwrap();
        assert_eq!(query.time("a").unwrap(), Some(WallTime(1_769_868_131_000_000_000)));
        assert_eq!(query.span("b").unwrap(), None);
        for wrong in ["0", "-1", "nan", "1e9", "1w", "31d", "."] {
            assert!(Query::read(Some(&format!("a={wrong}")), &all).unwrap().span("a").is_err(), "{wrong}");
        }
        assert!(Query::read(Some("c=1"), &all).is_err() && Query::read(Some("a=1&a=2"), &all).is_err());
    }
}
