//! What `e` writes: what the page shows, as of the shown moment.
//!
//! Owns the choice; composing the text and writing it are others' matters.

use std::sync::Arc;

use super::{App, DomainXml, Effect, Overlay, Page, XmlState};
use crate::model::{
    DomainFrame, Frame, WallTime,
    status::{CollectorStatus, DeliveryStatus, StoreStatus},
};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// Comma-separated values.
    Csv,
    /// JSON.
    Json,
    /// As it is shown, for what is a text already.
    Xml,
}

/// What is written.
#[derive(Clone, Debug)]
pub enum Exported {
    /// The rows of the fleet table, in their order.
    Fleet {
        /// The shown frame.
        frame: Arc<Frame>,
        /// Its domains that have a row.
        rows: Vec<usize>,
    },
    /// One VM, with its devices.
    Vm {
        /// The shown frame.
        frame: Arc<Frame>,
        /// The VM.
        domain: Arc<DomainFrame>,
    },
    /// The XML of one VM.
    Xml {
        /// Whose it is.
        name: Arc<str>,
        /// When it came.
        at: WallTime,
        /// As it is shown, secrets masked.
        text: Arc<str>,
    },
    /// The accounting of collector, delivery and store.
    Accounting {
        /// As of when.
        at: WallTime,
        /// The collector's figures, once they came.
        collector: Option<Box<CollectorStatus>>,
        /// Delivery's.
        delivery: Box<DeliveryStatus>,
        /// The store's.
        store: Box<StoreStatus>,
    },
}

impl Exported {
    /// The moment it is of.
    #[must_use]
    pub fn at(&self) -> WallTime {
        match self {
            Self::Fleet { frame, .. } | Self::Vm { frame, .. } => frame.at,
            Self::Accounting { at, .. } | Self::Xml { at, .. } => *at,
        }
    }
}

/// Frames are never changed, so the same one says the same.
impl PartialEq for Exported {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fleet { frame, rows }, Self::Fleet { frame: other, rows: others }) => {
                Arc::ptr_eq(frame, other) && rows == others
            }
            (Self::Vm { domain, .. }, Self::Vm { domain: other, .. }) => Arc::ptr_eq(domain, other),
            (Self::Xml { text, .. }, Self::Xml { text: other, .. }) => Arc::ptr_eq(text, other),
            (
                Self::Accounting { at, collector, delivery, store },
                Self::Accounting { at: other, collector: collecting, delivery: delivering, store: storing },
            ) => at == other && collector == collecting && delivery == delivering && store == storing,
            _ => false,
        }
    }
}

impl App {
    /// Asks for the form, where there is more than one, or says why there is
    /// nothing to write.
    pub(super) fn ask_export(&mut self) -> Vec<Effect> {
        if self.page == Page::Xml && self.exported().is_some() {
            return self.export(ExportForm::Xml);
        }
        if self.page == Page::Log {
            self.say(match &self.log_file {
                Some(path) => format!("the log is kept in {path}"),
                None => "log.file is none: the log is kept nowhere".to_owned(),
            });
        } else if self.exported().is_none() {
            self.say("nothing to export yet".into());
        } else {
            self.overlay = Overlay::ExportQuestion;
        }
        Vec::new()
    }

    /// Has what is shown written.
    pub(super) fn export(&mut self, form: ExportForm) -> Vec<Effect> {
        self.overlay = Overlay::None;
        self.exported().map(|what| Effect::Export(form, what)).into_iter().collect()
    }

    fn exported(&self) -> Option<Exported> {
        let frame = || self.frame().map(Arc::clone);
        match self.page {
            Page::Fleet => Some(Exported::Fleet { frame: frame()?, rows: self.fleet.rows().to_vec() }),
            Page::Vm => Some(Exported::Vm { frame: frame()?, domain: self.vm_domain().map(Arc::clone)? }),
            Page::Xml => match self.xml()? {
                DomainXml { name, state: XmlState::Shown { text, at }, .. } => {
                    Some(Exported::Xml { name: Arc::clone(name), at: *at, text: Arc::clone(text) })
                }
                _ => None,
            },
            Page::Status => Some(Exported::Accounting {
                at: self.now,
                collector: self.control.status().cloned().map(Box::new),
                delivery: Box::new(self.delivery.clone()),
                store: Box::new(self.store.clone()),
            }),
            Page::Log => None,
        }
    }
}
