//! The XML of one domain, because the operator wants to see it.
//!
//! Each question has a reader of its own, so that one that hangs holds up
//! neither a cycle nor the next question; how many may be out is bounded. It
//! is asked whether collection runs or not: somebody waits for it.

use std::{fmt, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Sink,
    calls::{Call, CallKind},
    engine::Engine,
    readers::Readers,
};
use crate::libvirt::{self, Answer, Question, Reply};

/// Questions for XML that may be out at once, those that hang among them.
const MOST_OUT: usize = 2;

/// The XML, or in words why there is none and what to do.
pub type Xml = Result<Arc<str>, String>;

/// Where an answer goes. Called once, and must return at once.
pub(super) struct XmlAnswer(Box<dyn FnOnce(Xml) + Send>);

impl XmlAnswer {
    pub fn new(answer: impl FnOnce(Xml) + Send + 'static) -> Self {
        Self(Box::new(answer))
    }

    fn give(self, xml: Xml) {
        (self.0)(xml);
    }
}

impl fmt::Debug for XmlAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XmlAnswer")
    }
}

/// Who waits for whose XML.
#[derive(Debug, Default)]
pub(super) struct Wanted(Vec<(Uuid, XmlAnswer)>);

impl Wanted {
    fn take(&mut self, uuid: Uuid) -> Vec<XmlAnswer> {
        self.0.extract_if(.., |(wanted, _)| *wanted == uuid).map(|(_, answer)| answer).collect()
    }
}

impl<R: Readers, S: Sink> Engine<R, S> {
    /// Asks for the XML of `uuid`; `answer` is called once, in time.
    pub(super) fn ask_xml(&mut self, uuid: Uuid, answer: XmlAnswer) {
        let now = self.clock.now().1;
        let asked = self.calls.xml().find(|call| call.members().contains(&uuid));
        if let Some(call) = asked {
            if now < call.deadline {
                self.xml.0.push((uuid, answer));
            } else {
                let seconds = call.age(now).as_secs();
                answer.give(Err(format!(
                    "libvirt was asked for it {seconds} s ago and has not answered yet; {}",
                    self.xml_advice()
                )));
            }
            return;
        }
        let count = self.calls.xml().count();
        if count >= MOST_OUT || self.calls_out() >= self.settings.libvirt.max_stuck_calls {
            answer.give(Err(format!(
                "not asked: {} other questions to libvirt have not been answered yet; {}",
                count.max(self.calls_out()),
                self.xml_advice()
            )));
            return;
        }
        let reader = match self.readers.start() {
            Ok(reader) => reader,
            Err(error) => return answer.give(Err(error)),
        };
        let patience = self.settings.libvirt.timeout;
        if self.ask(reader, CallKind::Xml { uuid }, Question::Xml { uuid }, patience) {
            self.xml.0.push((uuid, answer));
        } else {
            answer.give(Err("a libvirt reader has ended by itself; ask once more".into()));
        }
    }

    fn xml_advice(&self) -> &'static str {
        libvirt::hang_advice(&self.settings.libvirt.uri)
    }

    /// An answer has come, in time or late: who waits gets it.
    pub(super) fn take_xml(&mut self, uuid: Uuid, call: &Call, answer: Answer, was_stuck: bool) {
        self.readers.end(call.reader);
        let xml = match answer.reply {
            Ok(Reply::Xml { xml, .. }) => Ok(xml),
            Ok(_) => Err("libvirt's answer was to another question; ask once more".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        for wanted in self.xml.take(uuid) {
            wanted.give(xml.clone());
        }
        if was_stuck {
            self.note_calls();
            self.publish_status();
        }
    }

    /// The question is past its deadline.
    pub(super) fn give_up_xml(&mut self, uuid: Uuid, waited: Duration) {
        let why =
            format!("libvirt has not given it within {:.0} s; {}", waited.as_secs_f64(), self.xml_advice());
        tracing::warn!("XML of {uuid}: {why}");
        for wanted in self.xml.take(uuid) {
            wanted.give(Err(why.clone()));
        }
    }
}
