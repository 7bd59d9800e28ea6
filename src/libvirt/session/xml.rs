//! One domain's XML as it may be shown.

use uuid::Uuid;

use super::{Session, Span};
use crate::libvirt::{Error, Reply, error, uri, xml};

impl Session {
    /// The XML of one domain, without what libvirt counts as secret.
    pub(in crate::libvirt) fn xml(&mut self, uuid: Uuid) -> Result<(Span, Reply), Error> {
        const WHAT: &str = "reading a domain's XML";
        if !self.look_up(uuid, None, WHAT)? {
            return Err(self.no_such(uuid));
        }
        let begun = self.clock.now();
        let text = self.handles[&uuid].domain.xml_desc(0);
        let ended = self.clock.now();
        self.handles.remove(&uuid);
        let text = text.map_err(|error| {
            if error::is_no_domain(&error) { self.no_such(uuid) } else { self.failed(&error, WHAT) }
        })?;
        let text = xml::to_show(&text).map_err(|error| Error::Call {
            uri: uri::masked(&self.uri),
            what: WHAT,
            detail: error.to_string(),
        })?;
        Ok(((begun, ended), Reply::Xml { uuid, xml: text.into() }))
    }
}
