//! Line protocol and the servers that speak it.
//!
//! Owns the encoding of a frame into lines ([`mod@line`]), the HTTP client
//! ([`client`]) and the pure decision what an answer means ([`policy`]). It
//! keeps no queue, sleeps for no retry and knows no journal: that is
//! delivery's.

pub mod client;
pub mod line;
pub mod policy;
