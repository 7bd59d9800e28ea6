//! Pages, what lies over them, and the texts that scroll.

use super::Mode;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// All VMs.
    Fleet,
    /// One VM; see [`super::App::vm_page`].
    Vm,
    /// Its XML; see [`super::App::xml`].
    Xml,
    /// Collector and writer.
    Status,
    /// The log.
    Log,
}

/// What lies over the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// The help.
    Help,
    /// The list of the table's columns.
    Columns,
    /// "Lines wait. Quit all the same?"
    QuitQuestion,
    /// "Stop collection for everybody?"
    StopQuestion,
    /// "Export as CSV or JSON?"
    ExportQuestion,
}

/// A text that scrolls as a whole. Its offset belongs to the ui; the app only
/// counts the lines asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// The status page.
    Status,
    /// The help.
    Help,
    /// The log, in pages.
    Log,
    /// A domain's XML.
    Xml,
}

/// How much of the log is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And what happens.
    Info,
    /// And details.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The level's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["error", "warn", "info", "debug", "trace"][self as usize]
    }

    pub(super) fn step(self, by: isize) -> Self {
        Self::ALL[(self as usize).saturating_add_signed(by).min(Self::ALL.len() - 1)]
    }
}

impl Page {
    pub(super) fn mode(self) -> Mode {
        match self {
            Self::Fleet => Mode::Fleet,
            Self::Vm => Mode::Vm,
            Self::Xml => Mode::Xml,
            Self::Status => Mode::Status,
            Self::Log => Mode::Log,
        }
    }
}
