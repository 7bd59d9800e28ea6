//! What the encoder remembers of a domain between frames: its tags as they
//! are spelled, and its devices with their last counters.

use std::sync::Arc;

use super::escape;
use crate::model::{
    Identity, Measured,
    missing::Kind,
    reading::{DiskCounters, DiskReading, NicCounters, NicReading},
};

/// One live domain.
#[derive(Debug, Default)]
pub(super) struct Known {
    identity: Option<Arc<Identity>>,
    /// `,VMID=…,name=…,uuid=…`.
    own_tags: Vec<u8>,
    /// The same, followed by the static tags.
    pub tags: Vec<u8>,
    /// NICs in the order of the last reading that listed them.
    pub nics: Vec<KnownDevice<NicCounters>>,
    /// Disks in the order of the last reading that listed them.
    pub disks: Vec<KnownDevice<DiskCounters>>,
}

/// One device of a domain.
#[derive(Debug)]
pub(super) struct KnownDevice<T> {
    name: Arc<str>,
    /// `vm_devices` and all tags.
    pub head: Vec<u8>,
    /// Its last counters in this incarnation of the domain.
    pub last: Option<T>,
}

/// A device of a reading: what [`follow`] needs of it.
trait Device {
    type Counters: Copy;
    /// The tag that tells what it is.
    const TYPE: &'static [u8];
    fn name(&self) -> &Arc<str>;
    fn counters(&self) -> Measured<Self::Counters>;
}

impl Device for NicReading {
    type Counters = NicCounters;
    const TYPE: &'static [u8] = b",devtype=nic";
    fn name(&self) -> &Arc<str> {
        &self.name
    }
    fn counters(&self) -> Measured<NicCounters> {
        self.counters
    }
}

impl Device for DiskReading {
    type Counters = DiskCounters;
    const TYPE: &'static [u8] = b",devtype=disk";
    fn name(&self) -> &Arc<str> {
        &self.name
    }
    fn counters(&self) -> Measured<DiskCounters> {
        self.counters
    }
}

/// The domain of `identity`, which is at `place` in this frame: where it was
/// in the last one, mostly. Those before `place` have been met already.
pub(super) fn meet<'a>(
    known: &'a mut Vec<Known>,
    place: usize,
    identity: &Arc<Identity>,
    tags: &[u8],
) -> &'a mut Known {
    let is_there = |old: &Known| old.identity.as_ref().is_some_and(|old| Arc::ptr_eq(old, identity));
    if !known.get(place).is_some_and(is_there) {
        let same = |old: &Known| old.identity.as_ref().is_some_and(|old| old.uuid == identity.uuid);
        match known.iter().skip(place).position(same) {
            Some(offset) => known.swap(place, place + offset),
            None => known.insert(place, Known::default()),
        }
        known[place].identify(identity, tags);
    }
    &mut known[place]
}

impl Known {
    /// Notes who it is. A new incarnation starts without devices, a changed
    /// identity is spelled anew.
    fn identify(&mut self, identity: &Arc<Identity>, tags: &[u8]) {
        if let Some(known) = self.identity.replace(Arc::clone(identity)) {
            if known == *identity {
                return;
            }
            if known.id != identity.id {
                self.nics.clear();
                self.disks.clear();
            }
        }
        self.spell(identity, tags);
    }

    fn spell(&mut self, identity: &Identity, tags: &[u8]) {
        let own = &mut self.own_tags;
        own.clear();
        own.extend_from_slice(b",VMID=");
        let mut room = [0; escape::ROOM];
        let length = escape::number(&mut room, identity.id.map_or(-1, i64::from), b',');
        own.extend_from_slice(&room[..length]);
        own.extend_from_slice(b"name=");
        escape::tag_value(own, &identity.name);
        own.extend_from_slice(b",uuid=");
        let mut text = uuid::Uuid::encode_buffer();
        own.extend_from_slice(identity.uuid.hyphenated().encode_lower(&mut text).as_bytes());
        self.tags.clear();
        self.tags.extend_from_slice(own);
        self.tags.extend_from_slice(tags);
        for nic in &mut self.nics {
            nic.spell::<NicReading>(own, tags);
        }
        for disk in &mut self.disks {
            disk.spell::<DiskReading>(own, tags);
        }
    }

    /// Takes in what this reading says of the NICs.
    pub fn count_nics(&mut self, nics: &Measured<Vec<NicReading>>, tags: &[u8]) {
        follow(&mut self.nics, nics, &self.own_tags, tags);
    }

    /// Takes in what this reading says of the disks.
    pub fn count_disks(&mut self, disks: &Measured<Vec<DiskReading>>, tags: &[u8]) {
        follow(&mut self.disks, disks, &self.own_tags, tags);
    }
}

/// Brings `known` into the order of the reading and notes its counters.
/// A group that merely did not answer leaves everything as it was.
fn follow<D: Device>(
    known: &mut Vec<KnownDevice<D::Counters>>,
    devices: &Measured<Vec<D>>,
    own_tags: &[u8],
    tags: &[u8],
) {
    let devices = match devices {
        Ok(devices) => devices,
        Err(missing) if missing.kind() == Kind::NeverThere => return known.clear(),
        Err(_) => return,
    };
    for (place, device) in devices.iter().enumerate() {
        match known.iter().skip(place).position(|old| same(&old.name, device.name())) {
            Some(offset) => known.swap(place, place + offset),
            None => known.insert(place, KnownDevice::new::<D>(device.name(), own_tags, tags)),
        }
        match device.counters() {
            Ok(now) => known[place].last = Some(now),
            Err(missing) if missing.kind() == Kind::NeverThere => known[place].last = None,
            Err(_) => {}
        }
    }
    known.truncate(devices.len());
}

/// Names come from the domain's cached XML, so they are mostly the very same.
fn same(one: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl<T> KnownDevice<T> {
    fn new<D: Device>(name: &Arc<str>, own_tags: &[u8], tags: &[u8]) -> Self {
        let mut new = Self { name: Arc::clone(name), head: Vec::new(), last: None };
        new.spell::<D>(own_tags, tags);
        new
    }

    fn spell<D: Device>(&mut self, own_tags: &[u8], tags: &[u8]) {
        let head = &mut self.head;
        head.clear();
        head.extend_from_slice(b"vm_devices");
        head.extend_from_slice(own_tags);
        head.extend_from_slice(D::TYPE);
        head.extend_from_slice(b",device=");
        escape::tag_value(head, &self.name);
        head.extend_from_slice(tags);
    }
}
