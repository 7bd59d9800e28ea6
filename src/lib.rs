//! kvmscope
pub mod cli;
pub mod clock;
pub mod config;
pub mod influx;
pub mod model;
