//! kvmscope
pub mod config;
pub mod influx;
pub mod model;
