//! Static tags (`influx.tags`): checked once, escaped once.

use std::collections::BTreeMap;

use super::escape;
use crate::{config::is_own_name, model::name::storable};

/// A static tag that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The key is a column of a measurement.
    #[error("influx.tags: `{0}` is a name that kvmscope or the database uses itself; choose another key")]
    Reserved(String),
    /// The key cannot be spelled in line protocol.
    #[error(
        "influx.tags: the key {0:?} is empty, holds a control character or ends with a backslash; choose another key"
    )]
    Unfit(String),
}

/// Spells `,key=value` for each tag, in key order. Values are made storable.
pub(super) fn spell(tags: &BTreeMap<String, String>) -> Result<Vec<u8>, TagError> {
    let mut out = Vec::new();
    for (key, value) in tags {
        // Beside our own, servers keep names that begin with _ for themselves.
        if is_own_name(key) || key.starts_with('_') {
            return Err(TagError::Reserved(key.clone()));
        }
        if storable(key) != key.as_str() {
            return Err(TagError::Unfit(key.clone()));
        }
        out.push(b',');
        escape::tag_text(&mut out, key);
        out.push(b'=');
        escape::tag_value(&mut out, value);
    }
    Ok(out)
}
