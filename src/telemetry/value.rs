//! JSON with its keys in the order they were put in, and the builder that
//! keeps a reason for every null.

use serde::{Serialize, Serializer};

use crate::model::{Degrees, Identity, Kib, Measured, Missing, Nanos, Why};

/// A JSON value. Objects keep the order of their keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Flag(bool),
    /// A whole number.
    Whole(u64),
    /// A finite number; anything else is written as null.
    Real(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(&'static str, Json)>),
    /// An object whose keys are not known beforehand.
    Map(Vec<(String, Json)>),
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Whole(n) => serializer.serialize_u64(*n),
            Self::Real(x) if x.is_finite() => serializer.serialize_f64(*x),
            Self::Null | Self::Real(_) => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(k, v)| (k, v))),
            Self::Map(fields) => serializer.collect_map(fields.iter().map(|(k, v)| (k, v))),
        }
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Json {
    fn from(n: u64) -> Self {
        Self::Whole(n)
    }
}

impl From<u32> for Json {
    fn from(n: u32) -> Self {
        Self::Whole(n.into())
    }
}

impl From<f64> for Json {
    fn from(x: f64) -> Self {
        Self::Real(x)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Kib> for Json {
    /// In KiB.
    fn from(memory: Kib) -> Self {
        Self::Whole(memory.0)
    }
}

impl From<Nanos> for Json {
    /// In nanoseconds.
    fn from(time: Nanos) -> Self {
        Self::Whole(time.0)
    }
}

impl From<Degrees> for Json {
    fn from(angle: Degrees) -> Self {
        Self::Real(angle.0)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    /// For what may be absent without being missing, such as a MAC address.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// An object in the making, with the reason of every null in it.
#[derive(Default)]
pub(super) struct Fields {
    fields: Vec<(&'static str, Json)>,
    reasons: Vec<Reason>,
}

struct Reason {
    field: String,
    why: String,
    /// `None`: no reason of the collector's.
    missing: Option<Missing>,
}

impl Fields {
    /// Adds a field that is always there.
    pub(super) fn put(&mut self, name: &'static str, value: impl Into<Json>) {
        self.fields.push((name, value.into()));
    }

    /// Adds a measured field: its value, or null and its reason.
    pub(super) fn measure<T: Into<Json>>(&mut self, name: &'static str, value: Measured<T>) {
        match value.map(Into::into) {
            // No rate divides by zero; should one ever, it is no number here.
            Ok(Json::Real(x)) if !x.is_finite() => {
                self.fields.push((name, Json::Null));
                self.reasons.push(Reason {
                    field: name.into(),
                    why: "not a finite number".into(),
                    missing: None,
                });
            }
            Ok(value) => self.fields.push((name, value)),
            Err(missing) => {
                self.fields.push((name, Json::Null));
                self.reason(name, missing);
            }
        }
    }

    /// Adds a null, for the reason `why`.
    pub(super) fn lack(&mut self, name: &'static str, why: String) {
        self.fields.push((name, Json::Null));
        self.reasons.push(Reason { field: name.into(), why, missing: None });
    }

    /// Adds an object; the reasons within it go to this one, as `name.field`.
    pub(super) fn nest(&mut self, name: &'static str, inner: Self) {
        self.fields.push((name, Json::Object(inner.fields)));
        self.reasons
            .extend(inner.reasons.into_iter().map(|r| Reason { field: format!("{name}.{}", r.field), ..r }));
    }

    /// Adds a reason under a name that is no field of its own.
    pub(super) fn reason(&mut self, name: &str, missing: Missing) {
        self.reasons.push(Reason { field: name.into(), why: missing.to_string(), missing: Some(missing) });
    }

    /// The field `name`: its value, or why it is null.
    ///
    /// # Errors
    /// The reason of a null, in words.
    pub(super) fn take(self, name: &str) -> Result<Json, String> {
        let value = self.fields.into_iter().find(|(field, _)| *field == name).map(|(_, value)| value);
        match value {
            None | Some(Json::Null) => {
                let reason = self.reasons.into_iter().find(|reason| reason.field == name);
                Err(reason.map_or_else(|| "not told".to_owned(), |reason| reason.why))
            }
            Some(value) => Ok(value),
        }
    }

    /// The fields that are there.
    pub(super) fn told(self) -> Vec<(&'static str, Json)> {
        self.fields.into_iter().filter(|(_, value)| *value != Json::Null).collect()
    }

    /// The names of all fields, in their order.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|(name, _)| *name).collect()
    }

    /// The object of a domain, closed by `missing` (why each null is null) and
    /// `mend` (what to do about it, where anything can be done).
    pub(super) fn finish(self, domain: &Identity) -> Json {
        self.closed(|missing| missing.mend(domain))
    }

    /// As [`Self::finish`], for what belongs to no domain.
    pub(super) fn close(self) -> Json {
        self.closed(|missing| missing.why.mend().map(str::to_owned))
    }

    fn closed(mut self, mend: impl Fn(Missing) -> Option<String>) -> Json {
        let mends = self
            .reasons
            .iter()
            .filter_map(|reason| Some((reason.field.clone(), mend(reason.missing?)?.into())));
        let mends = Json::Map(mends.collect());
        let reasons = self.reasons.into_iter().map(|reason| (reason.field, reason.why.into()));
        self.fields.push(("missing", Json::Map(reasons.collect())));
        self.fields.push(("mend", mends));
        Json::Object(self.fields)
    }
}

/// A counter that this driver may simply not have.
pub(super) fn offered<T>(counter: Option<T>) -> Measured<T> {
    counter.ok_or(Missing::new(Why::NotOffered))
}
