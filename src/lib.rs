//! kvmscope
pub mod app;
pub mod check;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod config;
pub mod delivery;
pub mod influx;
pub mod journal;
pub mod libvirt;
pub mod model;
pub mod once;
pub mod telemetry;
pub mod terminal;
pub mod ui;
