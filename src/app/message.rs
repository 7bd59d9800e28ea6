//! What reaches the app, and what it asks of the runtime.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{Action, ExportForm, Exported, Key, OldFrames, Pane, Remembered, SortKey};
use crate::model::{
    Frame, WallTime,
    link::Link,
    past::{Answer, Question},
    status::{CollectorStatus, DeliveryStatus, StoreStatus},
};

/// Everything that can happen to the screen.
#[derive(Clone, Debug)]
pub enum Message {
    /// A cycle was closed.
    Frame(Arc<Frame>),
    /// The collector's figures changed.
    Collector(CollectorStatus),
    /// Delivery's or the store's figures changed.
    Delivery(DeliveryStatus, StoreStatus),
    /// What was asked of the runtime is done, or failed: a word to the operator.
    Say(String),
    /// The local record answered a question about the past.
    Past(Answer),
    /// How the way to an agent stands, on a screen that is attached to one.
    Link(Link),
    /// What the agent's record has for the sparklines.
    History(Answer),
    /// A domain's XML came, or in words why it does not.
    Xml(Uuid, Result<Arc<str>, String>),
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(Mouse),
    /// The terminal has this size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// The terminal gained or lost the focus.
    Focus(bool),
    /// Time went on, by this machine's clock.
    Tick(WallTime),
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The button went down on this cell. `ui::Screen::resolve` knows what
    /// lies there and makes it a [`Mouse::Click`].
    Press {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
    /// A click on something.
    Click(Target),
    /// The wheel turned by so many lines, downwards positive.
    Scroll(i16),
}

/// What can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A VM's row.
    Row(Uuid),
    /// A column's heading.
    Column(SortKey),
    /// A line of a VM's page.
    Line(Pane, usize),
    /// A key in the footer.
    Key(Action),
}

/// What the runtime is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start collection.
    StartCollection,
    /// Stop collection.
    StopCollection,
    /// Connect to libvirt anew, now.
    Reconnect,
    /// Keep this interval from now on.
    SetInterval(Duration),
    /// Ask the local record for a moment of the past.
    LookBack(Question),
    /// Ask the agent's record for what the sparklines lack;
    /// [`Message::History`] answers.
    History(Question),
    /// Write this into the working directory, and say where.
    Export(ExportForm, Exported),
    /// Ask libvirt for the XML of this domain; [`Message::Xml`] answers.
    Xml(Uuid),
    /// Drop these, where no key waits for it.
    LetGo(OldFrames),
    /// Put this text on the clipboard (OSC 52).
    Copy(String),
    /// Mouse reports on or off.
    Mouse(bool),
    /// Restore the terminal and stop this process until it is continued.
    Suspend,
    /// Clear the terminal and draw everything anew.
    Redraw,
    /// Keep this for the next run.
    Remember(Remembered),
    /// End the program.
    Quit,
}
