//! The XML of the VM whose page is open: asked for anew each time it is
//! opened, so that it is never an old one.

use std::sync::Arc;

use uuid::Uuid;

use super::{App, Effect, Page, Scroll, act::FAR};
use crate::model::WallTime;

/// The XML of one domain.
#[derive(Clone, Debug)]
pub struct DomainXml {
    /// Whose it is.
    pub uuid: Uuid,
    /// Its name, for the time after it is gone.
    pub name: Arc<str>,
    /// What is known of it.
    pub state: XmlState,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlState {
    /// libvirt was asked.
    Asked {
        /// When.
        since: WallTime,
    },
    /// It has answered.
    Shown {
        /// The text.
        text: Arc<str>,
        /// When it came.
        at: WallTime,
    },
    /// There is none to show.
    Failed {
        /// Why, and what to do.
        why: String,
    },
}

impl App {
    /// The XML to show on [`Page::Xml`].
    #[must_use]
    pub fn xml(&self) -> Option<&DomainXml> {
        self.xml.as_ref()
    }

    pub(super) fn toggle_xml(&mut self) -> Vec<Effect> {
        if self.page == Page::Xml {
            self.page = Page::Vm;
            return Vec::new();
        }
        let Some(page) = &self.vm else { return Vec::new() };
        let (uuid, name) = (page.uuid, Arc::clone(&page.name));
        let state = XmlState::Asked { since: self.now };
        self.xml = Some(DomainXml { uuid, name, state });
        self.page = Page::Xml;
        self.scroll(Scroll::Xml, -FAR);
        vec![Effect::Xml(uuid)]
    }

    /// An answer for another VM than the one shown comes too late to matter.
    pub(super) fn take_xml(&mut self, uuid: Uuid, answer: Result<Arc<str>, String>) {
        let at = self.now;
        if let Some(xml) = self.xml.as_mut().filter(|xml| xml.uuid == uuid) {
            xml.state = match answer {
                Ok(text) => XmlState::Shown { text, at },
                Err(why) => XmlState::Failed { why },
            };
        }
    }
}
