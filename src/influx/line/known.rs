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
    pub tags: Vec<u8>,
    /// NICs in the order of the last reading that listed them.
    pub nics: Vec<KnownDevice<NicCounters>>,
    /// Disks in the order of the last reading that listed them.
    pub disks: Vec<KnownDevice<DiskCounters>>,
    /// Number of the last frame the domain was live in.
    pub seen: u64,
}

/// One device of a domain.
#[derive(Debug)]
pub(super) struct KnownDevice<T> {
    name: Arc<str>,
    /// `,devtype=…,device=…`.
    pub tag: Vec<u8>,
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

impl Known {
    /// Notes that the domain is live in frame number `frame`. A new
    /// incarnation starts without devices, a changed identity is spelled anew.
    pub fn meet(&mut self, identity: &Arc<Identity>, frame: u64) {
        self.seen = frame;
        if let Some(known) = &self.identity {
            if Arc::ptr_eq(known, identity) || known == identity {
                return;
            }
            if known.id != identity.id {
                self.nics.clear();
                self.disks.clear();
            }
        }
        self.spell(identity);
        self.identity = Some(Arc::clone(identity));
    }

    fn spell(&mut self, identity: &Identity) {
        self.tags.clear();
        self.tags.extend_from_slice(b",VMID=");
        escape::number(&mut self.tags, identity.id.map_or(-1, i64::from), b',');
        self.tags.extend_from_slice(b"name=");
        escape::tag_value(&mut self.tags, &identity.name);
        self.tags.extend_from_slice(b",uuid=");
        let mut text = uuid::Uuid::encode_buffer();
        self.tags.extend_from_slice(identity.uuid.hyphenated().encode_lower(&mut text).as_bytes());
    }

    /// Takes in what this reading says of the NICs.
    pub fn count_nics(&mut self, nics: &Measured<Vec<NicReading>>) {
        follow(&mut self.nics, nics);
    }

    /// Takes in what this reading says of the disks.
    pub fn count_disks(&mut self, disks: &Measured<Vec<DiskReading>>) {
        follow(&mut self.disks, disks);
    }
}

/// Brings `known` into the order of the reading and notes its counters.
/// A group that merely did not answer leaves everything as it was.
fn follow<D: Device>(known: &mut Vec<KnownDevice<D::Counters>>, devices: &Measured<Vec<D>>) {
    let devices = match devices {
        Ok(devices) => devices,
        Err(missing) if missing.kind() == Kind::NeverThere => return known.clear(),
        Err(_) => return,
    };
    for (place, device) in devices.iter().enumerate() {
        match known.iter().skip(place).position(|old| same(&old.name, device.name())) {
            Some(offset) => known.swap(place, place + offset),
            None => known.insert(place, KnownDevice::new(D::TYPE, device.name())),
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
    fn new(devtype: &[u8], name: &Arc<str>) -> Self {
        let mut tag = devtype.to_vec();
        tag.extend_from_slice(b",device=");
        escape::tag_value(&mut tag, name);
        Self { name: Arc::clone(name), tag, last: None }
    }
}
