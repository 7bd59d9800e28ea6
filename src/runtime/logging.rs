//! Where log lines go: into the ring that the log page shows, and into a file.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::log_file;
use crate::config;

/// Lines that the log page keeps.
const MOST_LINES: usize = 2000;

/// What has to live as long as lines are to be kept.
pub(super) struct Logging {
    /// Where the file is; `None`: there is none.
    pub file: Option<String>,
    _guard: Option<WorkerGuard>,
}

/// Everything of ours from `level` on. Other crates' chatter below warnings is
/// left out: it drowns what concerns the operator.
pub(super) fn of_ours(level: tracing::Level) -> Targets {
    Targets::new()
        .with_target("kvmscope", level)
        // What it refuses may be allowed all the same, or is told in words of ours.
        .with_target("rustls_platform_verifier", LevelFilter::OFF)
        .with_default(LevelFilter::WARN)
}

/// Sends everything from the configured level on to the log page and to the
/// log's file.
pub(super) fn start(log: &config::Log) -> Logging {
    let ours = of_ours(log.level);
    tui_logger::set_default_level(tui_logger::LevelFilter::Trace);
    tui_logger::set_buffer_depth(MOST_LINES);
    let opened = log.file.as_deref().map(|path| (path, log_file::open(path, log.max_bytes)));
    let (writer, guard, failed) = match opened {
        None => (None, None, None),
        Some((_, Ok((writer, guard)))) => (Some(writer), Some(guard), None),
        Some((path, Err(error))) => (None, None, Some((path, error))),
    };
    let to_file = writer.map(|writer| fmt::layer().with_ansi(false).with_writer(writer));
    // Fails only when a subscriber is set already, as in a test: then that
    // one goes on.
    let _ = tracing_subscriber::registry()
        .with(ours)
        .with(tui_logger::TuiTracingSubscriberLayer)
        .with(to_file)
        .try_init();
    if let Some((path, error)) = failed {
        tracing::warn!(
            "no log file: cannot write {}: {error}; set log.file to one you may write, or to \"none\"",
            path.display()
        );
    }
    let file = guard.as_ref().and(log.file.as_ref()).map(|path| path.display().to_string());
    Logging { file, _guard: guard }
}

/// Moves what was logged since the last call into the ring that the log page
/// shows; logging itself only fills a short buffer, so that it never waits.
pub(super) fn take_new() {
    tui_logger::move_events();
}
