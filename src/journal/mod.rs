//! The local record on disk: `SQLite` in WAL mode with `synchronous=FULL`.
//!
//! Owns the file, its place and its schema (`open`, `place`, `schema`),
//! appending cycles (`append`, `packing`), reading them back (`read`) and the cursor of
//! each target (`cursor`), the account of every line (`account`), what is
//! deleted when (`retention`, `removal`, `asides`), events (`events`), how fast it
//! grows (`figures`), what is noticed of files
//! that were lost or changed (`mark`, `takeover`, `standing`), and the lock by
//! which one process per host records ([`lock`]). It knows lines as bytes and
//! reasons as words: no InfluxDB, no HTTP, no policy, no thread and no clock.
//! What a figure means after a failed write is said at each method; nothing
//! here is ever counted twice or forgotten.
//!
//! While it is open the file belongs to this process alone (`sharing`); what
//! looks back into it meanwhile has a connection of its own that writes nothing
//! ([`Look`]). Other programs can read it when delivery has ended.
//!
//! ## What a lost file or log means
//! A file's account, its id and the ids of the files it has taken over are in
//! the file, and as of the last write beside it (`mark`). What a file, its log
//! or a row has lost is told from them when it is opened, and counted once
//! (`takeover`). A log that is removed while it is written is saved before the
//! next append (`standing`).
//!
//! ## What power loss means
//! An append returns after the data is on the disk (`synchronous=FULL` syncs
//! the write-ahead log in each transaction). Delivery commits at most every
//! `influx.batch_max_sec`, so a power cut loses what was read in at most that
//! span, and a killed process the same. That a line was delivered is synced
//! with the next append, or when the record is closed: after a power cut the
//! last of them are sent again. Events are kept by a transaction of their own
//! right after that of their cycle.
//!
//! ## Which lines a target gets
//! A target (server and database) gets what is recorded from the moment it is
//! configured: lines recorded while no target was configured may be thinned
//! already, so they stay local and never wait. A change of target hands the
//! waiting lines to the new one. Lines that wait when `influx.url` is removed
//! go on waiting, within the bounds of retention.

mod account;
mod append;
mod asides;
mod cursor;
mod error;
mod events;
mod figures;
pub mod lock;
mod look;
mod mark;
mod open;
mod packing;
mod place;
mod read;
mod removal;
mod retention;
mod schema;
mod sharing;
mod standing;
mod takeover;

#[cfg(test)]
pub(crate) mod tests;

pub use self::{
    account::{Account, reason},
    append::{Entry, Local},
    asides::Deleted,
    cursor::{Batch, Position, Refused},
    error::{Error, Fault},
    events::Event,
    look::{Look, LookError, Outline},
    open::{Journal, Opened, file_name},
    packing::packer,
    place::SetAside,
    read::Stored,
    retention::{Limits, thinning_slot},
};
