//! kvmscope
pub mod clock;
pub mod config;
pub mod influx;
pub mod model;
