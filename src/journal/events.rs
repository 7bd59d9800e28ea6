//! What happened to domains, kept apart from the cycles: thinning leaves it
//! alone, so that no event goes with a cycle that is one too many.
//!
//! Bounded like the rest: by `store.max_age`, and in number by
//! `store.max_bytes`, since a guest can make some events at will.

use std::sync::Arc;

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{Error, Journal};
use crate::model::{Happening, WallTime, timeline::Weight};

/// An event of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The domain.
    pub uuid: Uuid,
    /// Its name then.
    pub name: Arc<str>,
    /// What happened.
    pub happening: Happening,
}

impl Journal {
    /// Keeps events, in one transaction. One that is kept already and has
    /// changed since (it came again, a device got its name) is changed.
    ///
    /// # Errors
    /// Nothing was kept.
    pub fn keep_events(&mut self, events: &[Event]) -> Result<(), Error> {
        self.commit("keeping events", self.account(), self.totals, |tx| {
            let mut keep = tx.prepare_cached(
                "INSERT INTO event (uuid, since, at, weight, name, text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (uuid, since) DO UPDATE SET at = ?3, weight = ?4, text = ?6
                 WHERE (at, weight, text) IS NOT (?3, ?4, ?6)",
            )?;
            for Event { uuid, name, happening: Happening { since, at, text, weight } } in events {
                keep.execute(params![
                    uuid.as_bytes(),
                    since.0,
                    at.0,
                    code(*weight),
                    clipped(name),
                    clipped(text),
                ])?;
            }
            Ok(())
        })
    }

    /// The last `limit` events of a domain, oldest first.
    ///
    /// # Errors
    /// The file could not be read.
    pub fn events_of(&self, uuid: Uuid, limit: usize) -> Result<Vec<Event>, Error> {
        of(&self.db, uuid, WallTime(i64::MAX), limit).map_err(self.failed("reading events"))
    }

    /// Removes events of before `oldest_kept`, and the oldest beyond their
    /// number, some at a time. How many went.
    pub(super) fn remove_old_events(&self, oldest_kept: i64) -> Result<usize, Error> {
        let most = (self.limits.max_bytes / EVENT_IN).max(64);
        self.db
            .prepare_cached(
                "DELETE FROM event WHERE id IN
                 (SELECT id FROM (SELECT id, at FROM event ORDER BY id LIMIT 256)
                  WHERE at < ?1 OR id <= (SELECT max(id) FROM event) - ?2)",
            )
            .and_then(|mut delete| delete.execute([oldest_kept, super::append::whole(most)]))
            .map_err(self.failed("removing old events"))
    }
}

/// The last `limit` events of a domain that were first heard of at `until` or
/// before, oldest first.
pub(super) fn of(db: &Connection, uuid: Uuid, until: WallTime, limit: usize) -> rusqlite::Result<Vec<Event>> {
    let mut query = db.prepare_cached(
        "SELECT since, at, weight, name, text FROM event WHERE uuid = ?1 AND since <= ?2
         ORDER BY since DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut events = query
        .query_map(params![uuid.as_bytes(), until.0, limit], |row| {
            let text = |column| row.get::<_, String>(column).map(Arc::from);
            let happening = Happening {
                since: WallTime(row.get(0)?),
                at: WallTime(row.get(1)?),
                weight: weight(row.get(2)?),
                text: text(4)?,
            };
            Ok(Event { uuid, name: text(3)?, happening })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    events.reverse();
    Ok(events)
}

/// For each so many bytes of `max_bytes` one event is kept, the newest.
const EVENT_IN: u64 = 16 << 10;
/// Characters kept of a name and of a text.
const LONGEST: usize = 300;

fn clipped(text: &str) -> &str {
    text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end])
}

fn code(weight: Weight) -> u8 {
    match weight {
        Weight::Note => 0,
        Weight::Warning => 1,
        Weight::Trouble => 2,
    }
}

/// What is no weight weighs most: better one look too many.
fn weight(code: i64) -> Weight {
    match code {
        0 => Weight::Note,
        1 => Weight::Warning,
        _ => Weight::Trouble,
    }
}
