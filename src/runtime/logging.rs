//! Where log lines go: into the ring that the log pane shows.

use tracing::Level;
use tracing_subscriber::{filter::LevelFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Sends everything from `level` on to the log pane. Other crates' chatter
/// below warnings is left out: it drowns what concerns the operator.
pub(super) fn to_screen(level: Level) {
    let ours = tracing_subscriber::filter::Targets::new()
        .with_target("kvmscope", level)
        .with_default(LevelFilter::WARN);
    tui_logger::set_default_level(tui_logger::LevelFilter::Trace);
    // Fails only when a subscriber is set already, as in a test: then that
    // one goes on.
    let _ = tracing_subscriber::registry().with(ours).with(tui_logger::TuiTracingSubscriberLayer).try_init();
}

/// Moves what was logged since the last call into the ring that the log pane
/// shows; logging itself only fills a short buffer, so that it never waits.
pub(super) fn take_new() {
    tui_logger::move_events();
}
