//! **Where a key is bound.** One table, [`ACTIONS`], makes the keymap, the
//! footer and the help; nothing else in the program names a key.

use super::key::Key;

/// Everything a key can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// End the program.
    Quit,
    /// Show or close the help.
    Help,
    /// Start or stop collection.
    ToggleCollection,
    /// Freeze the screen, or go on.
    Freeze,
    /// Look at the cycle before.
    StepBack,
    /// Look at the cycle after.
    StepOn,
    /// Look at the cycle of a minute before.
    MinuteBack,
    /// Look at the cycle of a minute after.
    MinuteOn,
    /// Show the log, or go back.
    Log,
    /// Show collector and writer, or go back.
    Status,
    /// A longer poll interval.
    IntervalLonger,
    /// A shorter poll interval.
    IntervalShorter,
    /// Connect to libvirt anew, now.
    Reconnect,
    /// The next colour theme.
    Theme,
    /// The mouse on or off.
    Mouse,
    /// Copy the selected VM's name, then its uuid.
    Copy,
    /// Write what is shown into a file.
    Export,
    /// As CSV.
    ExportCsv,
    /// As JSON.
    ExportJson,
    /// Hand the terminal back to the shell.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the first line.
    Top,
    /// To the last line.
    Bottom,
    /// Open what is selected.
    Open,
    /// Back to where one came from.
    Back,
    /// To the next pane.
    NextPane,
    /// To the pane before.
    PreviousPane,
    /// Write a filter.
    Filter,
    /// Sort by the next column.
    SortNext,
    /// Turn the order round.
    SortReverse,
    /// A longer span in the sparklines.
    SpanLonger,
    /// A shorter span in the sparklines.
    SpanShorter,
    /// Show the VM's XML, or go back.
    Xml,
    /// Show or hide VMs that are off.
    Inactive,
    /// A row or a card for each VM.
    View,
    /// To the card at the left.
    CardLeft,
    /// To the card at the right.
    CardRight,
    /// Choose the table's columns, or close the list.
    Columns,
    /// Show or hide the column of the cursor.
    ColumnToggle,
    /// The column of the cursor further to the left.
    ColumnEarlier,
    /// The column of the cursor further to the right.
    ColumnLater,
    /// The columns as nobody chose them.
    ColumnReset,
    /// Show only graver log lines.
    LogLess,
    /// Show finer log lines too.
    LogMore,
    /// Show the log lines of the next room.
    LogSource,
    /// Show those of the room before.
    LogSourceBack,
    /// Keep the filter and leave its line.
    FilterKeep,
    /// Drop the filter and leave its line.
    FilterDrop,
    /// Answer yes.
    Yes,
    /// Answer no.
    No,
}

impl Action {
    /// Those that move the shown moment.
    pub const IN_TIME: [Self; 5] =
        [Self::Freeze, Self::StepBack, Self::StepOn, Self::MinuteBack, Self::MinuteOn];
}

/// Where a binding holds. Several contexts are live at once; see [`Mode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// On every page.
    Everywhere,
    /// Wherever there is something to move through.
    List,
    /// Wherever left and right have no way of their own to go.
    Pages,
    /// All VMs, in a table or in cards.
    Fleet,
    /// The table.
    Table,
    /// The cards.
    Cards,
    /// The list of columns.
    Chooser,
    /// One VM's page.
    Vm,
    /// A VM's XML.
    Xml,
    /// The log.
    Log,
    /// The filter's line.
    Filter,
    /// A question that waits for yes or no.
    Question,
    /// The question for the form of an export.
    Export,
    /// Keys of the terminal itself, live even while text is written.
    Terminal,
}

/// What the screen is showing, as far as keys are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The fleet table.
    Fleet,
    /// The same VMs as cards.
    Cards,
    /// The list of columns over the table.
    Columns,
    /// One VM's page.
    Vm,
    /// A VM's XML.
    Xml,
    /// Collector and writer.
    Status,
    /// The log.
    Log,
    /// The help overlay.
    Help,
    /// The filter's line.
    Filter,
    /// The line of the log's search.
    Search,
    /// A question.
    Question,
    /// The question for the form of an export.
    Export,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 12] = [
        Self::Fleet,
        Self::Cards,
        Self::Columns,
        Self::Vm,
        Self::Xml,
        Self::Status,
        Self::Log,
        Self::Help,
        Self::Filter,
        Self::Search,
        Self::Question,
        Self::Export,
    ];

    /// The contexts that are live in this mode. Two bindings of one key
    /// within them are a clash.
    #[must_use]
    pub fn contexts(self) -> &'static [Context] {
        use Context::{
            Cards, Chooser, Everywhere, Export, Filter, Fleet, List, Log, Pages, Question, Table, Terminal,
            Vm, Xml,
        };
        match self {
            Self::Fleet => &[Fleet, Table, Pages, List, Everywhere, Terminal],
            Self::Cards => &[Fleet, Cards, List, Everywhere, Terminal],
            Self::Columns => &[Chooser, List, Terminal],
            Self::Vm => &[Vm, Pages, List, Everywhere, Terminal],
            Self::Xml => &[Xml, Pages, List, Everywhere, Terminal],
            Self::Status | Self::Help => &[Pages, List, Everywhere, Terminal],
            Self::Log => &[Log, Pages, List, Everywhere, Terminal],
            Self::Filter | Self::Search => &[Filter, Terminal],
            Self::Question => &[Question, Terminal],
            Self::Export => &[Export, Terminal],
        }
    }

    /// The heading of this mode's keys in the help.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Cards => "cards",
            Self::Columns => "columns",
            Self::Vm => "VM",
            Self::Xml => "XML",
            Self::Status => "status",
            Self::Log => "log",
            Self::Help => "help",
            Self::Filter => "filter",
            Self::Search => "search",
            Self::Question => "question",
            Self::Export => "export",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What it does.
    pub action: Action,
    /// A stable name, for key files and tests.
    pub id: &'static str,
    /// The keys that ask for it; the first stands in the footer.
    pub keys: &'static [Key],
    /// Where it holds.
    pub contexts: &'static [Context],
    /// One line for the help.
    pub help: &'static str,
    /// The footer's word; empty where the footer leaves it out.
    pub label: &'static str,
    /// The footer's word while the thing is on (`start` while stopped).
    pub label_on: &'static str,
}

macro_rules! bind {
    ($action:ident, $id:literal, [$($key:expr),+], [$($context:ident),+], $help:literal) => {
        bind!($action, $id, [$($key),+], [$($context),+], $help, "", "")
    };
    ($action:ident, $id:literal, [$($key:expr),+], [$($context:ident),+], $help:literal, $label:literal) => {
        bind!($action, $id, [$($key),+], [$($context),+], $help, $label, $label)
    };
    ($action:ident, $id:literal, [$($key:expr),+], [$($context:ident),+], $help:literal, $label:literal, $on:literal) => {
        Binding {
            action: Action::$action,
            id: $id,
            keys: &[$($key),+],
            contexts: &[$(Context::$context),+],
            help: $help,
            label: $label,
            label_on: $on,
        }
    };
}

use Key::{Char, Ctrl};

/// Every binding there is, in the order of footer and help.
pub const ACTIONS: &[Binding] = &[
    bind!(Yes, "yes", [Char('y'), Char('Y'), Ctrl('c')], [Question], "yes", "yes"),
    bind!(No, "no", [Char('n'), Char('N'), Key::Esc, Char('q')], [Question], "no", "no"),
    bind!(ExportCsv, "export-csv", [Char('c'), Char('C')], [Export], "as CSV", "CSV"),
    bind!(ExportJson, "export-json", [Char('j'), Char('J')], [Export], "as JSON", "JSON"),
    bind!(No, "export-no", [Key::Esc, Char('n'), Char('q'), Ctrl('c')], [Export], "no", "no"),
    bind!(FilterKeep, "filter-keep", [Key::Enter], [Filter], "keep the filter or search", "keep"),
    bind!(FilterDrop, "filter-drop", [Key::Esc, Ctrl('c')], [Filter], "drop the filter or search", "drop"),
    bind!(Back, "back", [Key::Esc], [List], "back; among all VMs: drop the filter", "back"),
    bind!(Back, "back-left", [Key::Left], [Pages], "back; among all VMs: drop the filter"),
    bind!(
        ColumnToggle,
        "column-toggle",
        [Char(' '), Key::Enter],
        [Chooser],
        "show or hide the column",
        "show/hide"
    ),
    bind!(
        ColumnEarlier,
        "column-earlier",
        [Char('K'), Key::Left],
        [Chooser],
        "the column further to the left",
        "left"
    ),
    bind!(
        ColumnLater,
        "column-later",
        [Char('J'), Key::Right],
        [Chooser],
        "the column further to the right",
        "right"
    ),
    bind!(ColumnReset, "column-reset", [Char('r')], [Chooser], "the columns as nobody chose them", "reset"),
    bind!(Columns, "columns-close", [Char('f'), Char('q'), Ctrl('c')], [Chooser], "close the list", "close"),
    bind!(
        ToggleCollection,
        "collection",
        [Char('s')],
        [Everywhere],
        "start or stop collection; an agent's: asks",
        "stop",
        "start"
    ),
    bind!(Filter, "filter", [Char('/')], [Fleet], "filter by name, uuid or state:paused", "filter"),
    bind!(SortNext, "sort", [Char('o')], [Fleet, Vm], "sort by the next column", "sort"),
    bind!(SortReverse, "sort-reverse", [Char('O')], [Fleet, Vm], "turn the order round"),
    bind!(Open, "open", [Key::Enter], [Fleet], "open the selected VM", "open"),
    bind!(Open, "open-right", [Key::Right], [Table], "open the selected VM"),
    bind!(CardLeft, "card-left", [Key::Left], [Cards], "to the card at the left"),
    bind!(CardRight, "card-right", [Key::Right], [Cards], "to the card at the right"),
    bind!(NextPane, "next-pane", [Key::Tab], [Vm], "to the next pane", "pane"),
    bind!(PreviousPane, "previous-pane", [Key::BackTab], [Vm], "to the pane before"),
    bind!(LogMore, "log-more", [Char('>')], [Log], "show finer lines too", "finer"),
    bind!(LogLess, "log-less", [Char('<')], [Log], "show only graver lines", "graver"),
    bind!(Filter, "log-search", [Char('/')], [Log], "search the log as you type", "search"),
    bind!(LogSource, "log-source", [Key::Tab], [Log], "only the lines of collector, libvirt, …", "from"),
    bind!(LogSourceBack, "log-source-back", [Key::BackTab], [Log], "the other way round"),
    bind!(Status, "status", [Char('c')], [Everywhere], "collector and writer, configuration", "status"),
    bind!(Log, "log", [Char('l')], [Everywhere], "the log", "log"),
    bind!(
        Freeze,
        "freeze",
        [Char('p'), Char(' ')],
        [Everywhere],
        "freeze the screen; collection goes on",
        "freeze",
        "live"
    ),
    bind!(Xml, "xml", [Char('x')], [Vm, Xml], "the VM's XML; once more: back", "XML"),
    bind!(SpanLonger, "span-longer", [Char('z')], [Vm], "a longer span in the sparklines", "span"),
    bind!(SpanShorter, "span-shorter", [Char('Z')], [Vm], "a shorter span in the sparklines"),
    bind!(
        StepBack,
        "step-back",
        [Char('[')],
        [Everywhere],
        "look back by a cycle, into the record too",
        "",
        "back"
    ),
    bind!(StepOn, "step-on", [Char(']')], [Everywhere], "look on by a cycle", "", "on"),
    bind!(MinuteBack, "minute-back", [Char('{')], [Everywhere], "look back by a minute", "", "−1 min"),
    bind!(MinuteOn, "minute-on", [Char('}')], [Everywhere], "look on by a minute", "", "+1 min"),
    bind!(
        Inactive,
        "inactive",
        [Char('a')],
        [Fleet],
        "show or hide VMs that are off",
        "hide off",
        "show off"
    ),
    bind!(View, "view", [Char('v')], [Fleet], "a row or a card for each VM", "cards", "table"),
    bind!(Columns, "columns", [Char('f')], [Fleet], "choose and order the columns", "columns"),
    bind!(Copy, "copy", [Char('y')], [Everywhere], "copy the VM's name; once more: its uuid"),
    bind!(Export, "export", [Char('e')], [Everywhere], "write what is shown to CSV or JSON"),
    bind!(IntervalLonger, "interval-longer", [Char('+'), Char('=')], [Everywhere], "longer poll interval"),
    bind!(IntervalShorter, "interval-shorter", [Char('-')], [Everywhere], "shorter poll interval"),
    bind!(Reconnect, "reconnect", [Char('r')], [Everywhere], "connect anew: libvirt, database, agent"),
    bind!(Theme, "theme", [Char('t')], [Everywhere], "next theme: dark, light, safe, mono"),
    bind!(Mouse, "mouse", [Char('m')], [Everywhere], "mouse on or off"),
    bind!(Up, "up", [Key::Up, Char('k')], [List], "up"),
    bind!(Down, "down", [Key::Down, Char('j')], [List], "down"),
    bind!(PageUp, "page-up", [Key::PageUp], [List], "a page up"),
    bind!(PageDown, "page-down", [Key::PageDown], [List], "a page down"),
    bind!(Top, "top", [Char('g'), Key::Home], [List], "to the first"),
    bind!(Bottom, "bottom", [Char('G'), Key::End], [List], "to the last"),
    bind!(Suspend, "suspend", [Ctrl('z')], [Terminal], "back to the shell; fg returns"),
    bind!(Redraw, "redraw", [Ctrl('l')], [Terminal], "draw everything anew"),
    bind!(Help, "help", [Char('?')], [Everywhere], "this help", "help"),
    bind!(Quit, "quit", [Char('q'), Ctrl('c')], [Everywhere], "quit", "quit"),
];
