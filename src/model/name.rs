//! The one rule by which a name from libvirt becomes fit to store and to show.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// Rewrites `raw` so that it is harmless as a line-protocol tag and on a
/// terminal: control characters (newline, tab, ESC, C1, line separators) and
/// the invisible marks that reorder text become `_`; so does every backslash
/// that ends the name or stands before a backslash, comma, equals sign or
/// space, because no spelling of it is read alike by all servers; an empty
/// name becomes `_`. Everything else is kept.
#[must_use]
pub fn storable(raw: &str) -> Cow<'_, str> {
    if raw.is_empty() {
        return Cow::Borrowed("_");
    }
    if raw.char_indices().all(|(at, c)| is_fit(c, &raw[at..])) {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(raw.char_indices().map(|(at, c)| if is_fit(c, &raw[at..]) { c } else { '_' }).collect())
}

/// Whether `c`, the first character of `rest`, may stay.
fn is_fit(c: char, rest: &str) -> bool {
    match c {
        '\\' => rest[1..].chars().next().is_some_and(|next| !matches!(next, '\\' | ',' | '=' | ' ')),
        _ => !is_unfit(c),
    }
}

/// Whether a character must reach neither a terminal nor the record: it
/// controls, or reorders text invisibly.
#[must_use]
pub fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061C}' | '\u{200E}' | '\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// `raw` with what [`is_unfit`] replaced by `_`.
#[must_use]
pub fn fit(raw: &str) -> Cow<'_, str> {
    if raw.contains(is_unfit) { Cow::Owned(raw.replace(is_unfit, "_")) } else { Cow::Borrowed(raw) }
}

/// Reads a name that another process has sent: nobody says that it keeps the
/// rule of [`storable`].
pub(super) fn read_storable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> From<&'a str>,
{
    Cow::<str>::deserialize(from).map(|raw| T::from(&*storable(&raw)))
}

/// As [`read_storable`], for words that are merely shown.
pub(super) fn read_fit<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> From<&'a str>,
{
    Cow::<str>::deserialize(from).map(|raw| T::from(&*fit(&raw)))
}

/// As [`read_fit`], where there may be none.
pub(super) fn read_fit_option<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> From<&'a str>,
{
    Option::<Cow<str>>::deserialize(from).map(|raw| raw.map(|raw| T::from(&*fit(&raw))))
}

#[cfg(test)]
mod tests {
    use super::storable;

    #[test]
    fn harmless_names_are_kept_and_hostile_ones_rewritten() {
        for kept in ["web-1", "a b,c=d\"'", "C:\\w", "Ünïcode-虚拟机", "x[31m"] {
            assert_eq!(storable(kept), kept);
        }
        assert_eq!(storable(""), "_");
        assert_eq!(storable("a\nb\tc\u{1b}[31m"), "a_b_c_[31m");
        assert_eq!(storable("end\\"), "end_");
        assert_eq!(storable("end\\\\"), "end__");
        assert_eq!(storable("\\"), "_");
        assert_eq!(storable("a\\ b\\,c\\=d\\\\e"), "a_ b_,c_=d_\\e");
        assert_eq!(storable("abc\u{202e}fed"), "abc_fed");
    }
}
