//! kvmscope: a terminal monitor for KVM/QEMU virtual machines that records
//! every sample.
//!
//! This page is the map. Arrows point one way; a test reads the imports and
//! holds them to it.
//!
//! ```text
//! main → runtime → agent → telemetry, check, wire, and what the engine publishes
//!                → ui → app ──────────────→ model
//!                → attach → wire ─────────→ model
//!                → collector → libvirt ───→ model
//!                → delivery → journal
//!                           → influx ─────→ model
//! main → once, check, telemetry            (the commands without a screen)
//! config, clock, rundir, terminal: leaves; each room gets only its own section of Config
//! ```
//!
//! # Where to find
//! | what | where |
//! |---|---|
//! | a rate or an angle is computed | [`model::rates`] (`Baseline::advance`, `AngleScale`) |
//! | a missing value gets its reason | `collector/assemble.rs`; the reasons: [`model::missing`] |
//! | a cycle begins, goes on and ends | `collector/cycle.rs` |
//! | a list is divided, asked, repeated when overdue | `collector/lists.rs`, `collector/asking.rs` |
//! | a call is overdue, a VM is named hung | `collector/calls.rs`, `collector/taking.rs` |
//! | memory and disks are spread over cycles | `collector/pace.rs`; whose old numbers stand in: [`model::DomainFrame`]; drawn: `ui/aged.rs` |
//! | a call outlives its process | `collector/inherited.rs`, noted in `collector/notes.rs` |
//! | an event of libvirt becomes words on a timeline | `libvirt/event.rs`, `collector/timeline.rs` |
//! | libvirt is called | [`libvirt`]; `unsafe`: `libvirt/ffi/` alone |
//! | a line is encoded | [`influx::line`]; a name becomes fit to store: [`model::name`] |
//! | an answer of the database becomes a decision | [`influx::policy`] |
//! | a sample is kept on disk, a cursor moves | [`journal`] |
//! | what lines cannot say is kept, and read back | [`delivery::local`], [`delivery::recorded`] |
//! | a moment of the past is shown again | [`delivery::lookback`]; what crosses to the screen: [`model::past`] |
//! | the record's file is shared within the process | `journal/sharing.rs`, [`journal::Look`] |
//! | a batch is sent, retried, quarantined | [`delivery`] |
//! | a disk that does not answer is noticed | `delivery/stall.rs` |
//! | a domain's XML is made fit to show | `libvirt/xml.rs`; asked for: `collector/xml.rs` |
//! | a column of a sparkline stands for several cycles | `app/span.rs` |
//! | a key is bound | [`app::ACTIONS`] |
//! | a key is carried out | [`app::App::update`], `app/act.rs` |
//! | what needs somebody, and since when | `app/attention.rs` |
//! | the fleet's order; what changed most of late | `app/sort.rs`, `app/movers.rs` |
//! | how the screen was left is kept | `app/remembered.rs`, `runtime/memory.rs` |
//! | a colour gets its meaning; how many there are | [`ui::theme`]; [`config::Depth`] |
//! | when the screen is drawn; what of it is sent | `runtime/pace.rs`; `terminal/thrifty.rs` |
//! | a name is made plain for the screen | `ui/text/settled.rs` |
//! | the promised keys | `app/contract.rs` (a test) |
//! | a panel is drawn | [`ui`], a file per panel |
//! | a setting is known, bounded, documented | `config/keys.rs` |
//! | a screen shows an agent's collection | [`attach`]; what crosses: [`wire`]; the agent's half: `agent/attach.rs` |
//! | a screen collects, or finds an agent | `runtime/finding.rs`, `runtime/source.rs` |
//! | an agent out of reach; its record in the sparklines | `app/attached.rs`, `ui/attached.rs` |
//! | what the sparklines lack is asked of the agent's record | `app/filling.rs`, `app/series/joining.rs` |
//! | which certificate an agent may show; how far its clock is off | `attach/trust.rs`, `attach/skew.rs` |
//! | what was given to a screen and means nothing to it | `runtime/idle.rs` |
//! | frames wait for an attached screen | `runtime/source/arrivals.rs` |
//! | a path of the API is answered | `agent/routes.rs`; its shape: [`telemetry`] |
//! | the figures of a frame are written for all who ask | `agent/page.rs`, `agent/form.rs` |
//! | a stretch of the record is exported | [`delivery::lookback::stretch`], `agent/export.rs`; the command: `runtime/export.rs` |
//! | who may ask the agent, and how much | `agent/guard.rs`, `agent/serve.rs` |
//! | the page at `/` | `agent/web.rs`; its parts: `agent/web/` |
//! | a field over time is read from the record | [`delivery::lookback::series`] |
//! | the page's sparklines begin with the record | `agent/sparklines.rs`, `agent/web/past.js` |
//! | threads, channels, signals | [`runtime`]; those of the agent: `runtime/agent.rs` |
//! | collection and delivery are wired together, for screen and agent | `runtime/engine.rs` |
//! | who records this host, and who does so after it | `runtime/recording.rs` |
//! | a place is safe for a lock, a note, a socket | [`rundir`] |
//!
//! # A sample's way
//! `libvirt::Reader` (a thread and a connection each) answers the collector
//! with raw counters → `collector` makes a [`model::DomainReading`] in which
//! every absent value has its reason, and [`model::rates`] compares it with
//! the one before → one [`model::Frame`] a cycle, shared and never changed →
//! to the screen through a `watch` channel (from an agent through a bounded
//! queue, since a line that stood still brings many), and to the record: `influx::line`
//! encodes it once, `journal` keeps it, `delivery` sends it from its cursor.
//!
//! # A key's way
//! crossterm event → `runtime/input.rs` → [`app::App::update`] by the
//! [`app::ACTIONS`] table → an [`app::Effect`] back to [`runtime`] → drawn by
//! [`ui::Screen`] from `&App`.
//!
//! # A request's way
//! A door of [`agent`] → bounds, token, origin → the answer, made from the last
//! frame once for all who ask, from the figures, or from the record.

pub mod agent;
pub mod app;
pub mod attach;
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
pub mod rundir;
pub mod runtime;
pub mod telemetry;
pub mod terminal;
pub mod ui;
pub mod wire;
