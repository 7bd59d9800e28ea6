//! The tables of the record and their version.
//!
//! `cycle` holds one small row per cycle (several where a cycle exceeds a
//! batch), `body` its compressed content: figures and retention read the small
//! rows alone. `event` is of its own: thinning leaves it alone. `seq` grows
//! without gaps in time, so it is the order of sending.

use rusqlite::Connection;

/// `user_version` of the schema below. A file with a higher one is set aside.
pub(super) const VERSION: i64 = 2;

/// What makes of a file of version 1 one of version 2, and so on: a step for
/// each version before [`VERSION`]. Whoever raises that adds the step here, and
/// to the tests a file that the version before has made.
pub(super) const STEPS: &[&str] = &[EVENTS];

/// `application_id`: says that the file is a record of kvmscope ("kvms").
pub(super) const APPLICATION: i64 = 0x6b76_6d73;

const TABLES: &str = "
CREATE TABLE cycle (
    seq    INTEGER PRIMARY KEY,
    part   INTEGER NOT NULL, -- 0 for a cycle's first row, then 1, 2 …
    at     INTEGER NOT NULL, -- wall time at which the cycle closed, the same in all its parts
    first  INTEGER NOT NULL, -- wall time of the first line
    last   INTEGER NOT NULL, -- wall time of the last line
    lines  INTEGER NOT NULL,
    bytes  INTEGER NOT NULL, -- of the lines, uncompressed
    crc    INTEGER NOT NULL, -- CRC-32 of the lines, uncompressed
    stored INTEGER NOT NULL, -- bytes of the body row
    wanted INTEGER NOT NULL  -- 1: to be delivered; 0: local only
);
CREATE TABLE body (
    seq           INTEGER PRIMARY KEY,
    lines         BLOB NOT NULL, -- zstd
    local_version INTEGER,       -- version of the form of the local part
    local_bytes   INTEGER,       -- of the local part, uncompressed
    local         BLOB           -- zstd
);
CREATE TABLE target (
    name TEXT PRIMARY KEY,
    row  INTEGER NOT NULL, -- the row the cursor is in
    line INTEGER NOT NULL, -- lines of it that are settled
    used INTEGER NOT NULL  -- wall time of the last use
) WITHOUT ROWID;
CREATE TABLE quarantine (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL, -- wall time of the refusal
    target  TEXT NOT NULL,
    message TEXT NOT NULL,    -- the server's words
    line    BLOB NOT NULL
);
CREATE TABLE account (
    name  TEXT PRIMARY KEY, -- emitted, delivered, quarantined, local, 'dropped: reason'
    lines INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE mark (
    name  TEXT PRIMARY KEY, -- how far thinning has come
    value INTEGER NOT NULL
) WITHOUT ROWID;
";

/// What happened to domains: version 2.
const EVENTS: &str = "
CREATE TABLE event (
    id     INTEGER PRIMARY KEY,
    uuid   BLOB NOT NULL,    -- the domain, 16 bytes
    since  INTEGER NOT NULL, -- wall time at which it was first heard of
    at     INTEGER NOT NULL, -- wall time at which it was last heard of
    weight INTEGER NOT NULL, -- 0 note, 1 warning, 2 trouble
    name   TEXT NOT NULL,    -- the domain's, then
    text   TEXT NOT NULL,
    UNIQUE (uuid, since)
);
";

/// Sets what must be set anew for every connection.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    // Has an effect on a new file only, and must come before the tables.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    // One MiB of log is folded into the file, and a longer log is cut.
    db.pragma_update(None, "wal_autocheckpoint", 256)?;
    db.pragma_update(None, "journal_size_limit", 1 << 20)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The version the file says it has; 0 for a new one.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the file's tables those of this version: new ones in an empty file,
/// step by step in an older one. In one transaction: a file is never between
/// two versions.
pub(super) fn bring_up(db: &mut Connection) -> rusqlite::Result<()> {
    match version(db)? {
        0 => create(db),
        old => migrate(db, old, STEPS),
    }
}

/// Takes the steps that come after version `old`.
pub(super) fn migrate(db: &mut Connection, old: i64, steps: &[&str]) -> rusqlite::Result<()> {
    let Some(due) = usize::try_from(old - 1).ok().and_then(|done| steps.get(done..)) else { return Ok(()) };
    if due.is_empty() {
        return Ok(());
    }
    let tx = db.transaction()?;
    due.iter().try_for_each(|step| tx.execute_batch(step))?;
    tx.pragma_update(None, "user_version", 1 + super::append::whole(steps.len() as u64))?;
    tx.commit()
}

/// Makes the tables in an empty file, in one transaction.
fn create(db: &mut Connection) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.execute_batch(EVENTS)?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}
