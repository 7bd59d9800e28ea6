//! How the last numbers of a domain are sent from one process to another: one
//! level deep, whatever the other side says. A frame within a frame within a
//! frame would take the reader's stack.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    DomainFrame, DomainJob, DomainRates, DomainReading, Happening, domain::DomainDevices, frame::Health,
};

/// A [`DomainFrame`] that has none of its own.
type Alone =
    (DomainReading, DomainRates, Arc<DomainDevices>, Health, bool, Arc<[Happening]>, Option<DomainJob>);

#[allow(clippy::ref_option, reason = "serde calls it so")]
pub(super) fn serialize<S: Serializer>(last: &Option<Arc<DomainFrame>>, to: S) -> Result<S::Ok, S::Error> {
    let alone = last.as_deref().map(|frame| {
        let DomainFrame { reading, rates, devices, health, fresh, timeline, job, last: _ } = frame;
        (reading, rates, devices, health, fresh, timeline, job)
    });
    alone.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<DomainFrame>>, D::Error> {
    let alone = Option::<Alone>::deserialize(from)?;
    Ok(alone.map(|(reading, rates, devices, health, fresh, timeline, job)| {
        Arc::new(DomainFrame { reading, rates, devices, health, fresh, timeline, job, last: None })
    }))
}
