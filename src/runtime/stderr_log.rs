//! The agent's log: standard error, a line an event.
//!
//! Where that is the journal (`JOURNAL_STREAM` names it), the journal keeps
//! the time and takes the level from a prefix such as `<4>`; elsewhere both
//! stand in the line. A thread of its own writes, so that who logs never waits
//! for whoever reads.

use std::{fmt, io, os::unix::fs::MetadataExt as _};

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

use super::logging::of_ours;
use crate::clock::Clock;

/// Lines that may wait for the reader of standard error.
const MOST_WAITING: usize = 4096;

/// The log at work. What is logged until it is dropped is written.
pub(super) struct StderrLog {
    set: Box<dyn Fn(Level) -> bool>,
    _guard: WorkerGuard,
}

impl StderrLog {
    /// Sends everything from `level` on to standard error.
    pub fn start(level: Level, clock: Clock) -> Self {
        let builder = NonBlockingBuilder::default().buffered_lines_limit(MOST_WAITING).thread_name("log");
        let (writer, guard) = builder.finish(io::stderr());
        let line = Line { reader: Reader::of_process(), clock };
        let lines = tracing_subscriber::fmt::layer().event_format(line).with_ansi(false).with_writer(writer);
        let (filter, handle) = reload::Layer::<Targets, _>::new(of_ours(level));
        // Fails only when a subscriber is set already, as in a test: then that
        // one goes on.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        let set = move |level| handle.reload(of_ours(level)).is_ok();
        Self { set: Box::new(set), _guard: guard }
    }

    /// Logs from `level` on, from now on.
    pub fn set_level(&self, level: Level) -> bool {
        (self.set)(level)
    }
}

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Journal,
    Anybody,
}

impl Reader {
    fn of_process() -> Self {
        let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let ours = std::fs::metadata("/proc/self/fd/2").ok().map(|meta| (meta.dev(), meta.ino()));
        Self::named(&named, ours)
    }

    /// `named` is `JOURNAL_STREAM`, device and inode of the stream to the
    /// journal, which a parent's standard error may have been and ours is not.
    fn named(named: &str, ours: Option<(u64, u64)>) -> Self {
        let parsed =
            named.split_once(':').and_then(|(dev, ino)| Some((dev.parse().ok()?, ino.parse().ok()?)));
        if parsed.is_some() && parsed == ours { Self::Journal } else { Self::Anybody }
    }
}

/// How an event becomes a line.
struct Line {
    reader: Reader,
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = FormattedFields::<N>::new(String::new());
        context.format_fields(fields.as_writer(), event)?;
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        match self.reader {
            Reader::Journal => write!(writer, "<{}>", priority(level))?,
            Reader::Anybody => {
                let at = self.clock.now().0;
                let at = jiff::Timestamp::from_millisecond(at.0 / 1_000_000).unwrap_or_default();
                write!(writer, "{at:.3} {level:>5} ")?;
            }
        }
        writeln!(writer, "{target}: {}", one_line(&fields.fields))
    }
}

/// The level as syslog numbers it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Control characters are no business of a log: nothing forges a line, and
/// nothing reaches the terminal of whoever reads it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::model::{MonoTime, WallTime};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `say` logs, as the reader gets it.
    fn logged(reader: Reader, say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let to = kept.clone();
        let clock = Clock::from_fn(|| (WallTime(1_700_000_000_123_456_789), MonoTime(0)));
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Line { reader, clock })
            .with_ansi(false)
            .with_writer(move || to.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_journal_gets_a_level_and_no_time() {
        let text = logged(Reader::Journal, || {
            tracing::error!("e");
            tracing::warn!("w");
            tracing::info!("i");
            tracing::debug!(lines = 7, "d");
        });
        let lines: Vec<&str> = text.lines().collect();
        for (line, expected) in lines.iter().zip(["<3>", "<4>", "<6>", "<7>"]) {
            assert!(line.starts_with(expected) && line.contains("stderr_log::tests: "), "{line}");
        }
        assert!(lines[3].ends_with("d lines=7"), "{text}");
    }

    #[test]
    fn anybody_else_gets_the_time_and_one_line_whatever_is_in_it() {
        let text = logged(Reader::Anybody, || tracing::warn!("vm {} is gone", "\u{1b}[31m\n<0>forged"));
        assert!(text.starts_with("2023-11-14T22:13:20.123Z  WARN kvmscope::"), "{text}");
        assert!(text.ends_with("<0>forged is gone\n") && text.lines().count() == 1, "{text}");
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    }

    #[test]
    fn a_parents_journal_is_not_ours() {
        assert_eq!(Reader::named("8:42", Some((8, 42))), Reader::Journal);
        for (named, ours) in [("8:42", Some((8, 43))), ("8:42", None), ("", None), ("x", Some((8, 42)))] {
            assert_eq!(Reader::named(named, ours), Reader::Anybody, "{named}");
        }
    }
}
