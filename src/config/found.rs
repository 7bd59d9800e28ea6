//! A value as it was found, before anybody knows whether it is allowed.

use toml::de::DeValue;

use super::error::quoted;

/// A value from the file, or text from the environment or command line.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// From the environment or the command line: only text, of any meaning.
    Untyped(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer; `None`: beyond 64 bits.
    Integer(Option<i64>),
    /// A TOML float.
    Float(f64),
    /// A TOML boolean.
    Flag(bool),
    /// A TOML table with the line of each entry.
    Table(Vec<(String, usize, Found)>),
    /// Anything else, by the name of its type.
    Other(&'static str),
}

impl Found {
    /// From TOML; `line_of` turns a byte offset into a line.
    pub(super) fn of_toml(value: &DeValue<'_>, line_of: &dyn Fn(usize) -> usize) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(i) => Self::Integer(i64::from_str_radix(i.as_str(), i.radix()).ok()),
            DeValue::Float(f) => Self::Float(f.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Table(table) => {
                let mut entries: Vec<_> = table
                    .iter()
                    .map(|(key, value)| {
                        let line = line_of(key.span().start);
                        (key.get_ref().to_string(), line, Self::of_toml(value.get_ref(), line_of))
                    })
                    .collect();
                entries.sort_by_key(|(_, line, _)| *line);
                Self::Table(entries)
            }
            DeValue::Array(_) => Self::Other("an array"),
            DeValue::Datetime(_) => Self::Other("a date"),
        }
    }

    /// In words, for a message. `secret`: the kind of the value alone.
    pub(super) fn describe(&self, secret: bool) -> String {
        match self {
            Self::Untyped(text) | Self::Text(text) if secret => {
                format!("text of {} characters (not shown: it may be a secret)", text.chars().count())
            }
            Self::Integer(_) | Self::Float(_) if secret => "a number".into(),
            Self::Untyped(text) => quoted(text),
            Self::Text(text) => format!("the text {}", quoted(text)),
            Self::Integer(Some(i)) => format!("the number {i}"),
            Self::Integer(None) => "a number beyond 64 bits".into(),
            Self::Float(f) => format!("the number {f}"),
            Self::Flag(flag) => flag.to_string(),
            Self::Table(_) => "a table".into(),
            Self::Other(kind) => (*kind).into(),
        }
    }

    /// As text, where text is meant.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Untyped(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As a number, where a bare number is meant.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Untyped(text) => text.trim().parse().ok(),
            #[allow(clippy::cast_precision_loss, reason = "bounds are far below 2^53")]
            Self::Integer(i) => i.map(|i| i as f64),
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// As a whole number.
    pub(super) fn whole(&self) -> Option<u64> {
        match self {
            Self::Untyped(text) => text.trim().parse().ok(),
            Self::Integer(i) => i.and_then(|i| u64::try_from(i).ok()),
            _ => None,
        }
    }

    /// As true or false.
    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            Self::Untyped(text) => text.trim().parse().ok(),
            Self::Flag(flag) => Some(*flag),
            _ => None,
        }
    }
}
