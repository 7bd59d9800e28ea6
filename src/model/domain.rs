//! Who a domain is, what state it is in, and which devices its XML names.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::missing::Why;

/// Identity of one VM. The uuid is the key everywhere; the id changes with
/// each start, so uuid and id together name one incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// libvirt's uuid of the domain.
    pub uuid: Uuid,
    /// libvirt's id while the domain is active; `None` when it is not.
    pub id: Option<u32>,
    /// The domain's name after [`super::name::storable`].
    #[serde(deserialize_with = "crate::model::name::read_storable")]
    pub name: Arc<str>,
}

/// A domain's state, with libvirt's codes (`virDomainState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainState {
    /// libvirt knows no state.
    #[default]
    NoState,
    /// Running.
    Running,
    /// Blocked on a resource.
    Blocked,
    /// Paused.
    Paused,
    /// Being shut down.
    Shutdown,
    /// Off.
    Shutoff,
    /// Crashed.
    Crashed,
    /// Suspended by the guest's power management.
    PmSuspended,
}

impl DomainState {
    /// From libvirt's code; an unknown code is `NoState`.
    #[must_use]
    pub fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Running,
            2 => Self::Blocked,
            3 => Self::Paused,
            4 => Self::Shutdown,
            5 => Self::Shutoff,
            6 => Self::Crashed,
            7 => Self::PmSuspended,
            _ => Self::NoState,
        }
    }

    /// libvirt's code, 0…7.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word of `vm_metrics.state`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoState => "nostate",
            Self::Running => "running",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Shutdown => "shutdown",
            Self::Shutoff => "shutoff",
            Self::Crashed => "crashed",
            Self::PmSuspended => "pmsuspended",
        }
    }
}

/// What the domain's XML says about its devices. Cached; see
/// `libvirt.device_cache_ttl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainDevices {
    /// NICs in the order of the XML.
    pub nics: Vec<NicDevice>,
    /// Disks in the order of the XML.
    pub disks: Vec<DiskDevice>,
    /// The memory balloon.
    pub balloon: Balloon,
    /// `<os><type machine=…>`, such as `pc-q35-7.2`.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub machine: Option<Arc<str>>,
    /// `<metadata>` libosinfo id or title, where the XML names an OS.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub os: Option<Arc<str>>,
    /// Whether libvirt starts it with the host (`virDomainGetAutostart`);
    /// `None` where the driver does not say. Nothing announces a change of
    /// it: like the rest it may be as old as `libvirt.device_cache_ttl`.
    pub autostart: Option<bool>,
}

/// One `<interface>` (or network `<hostdev>`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicDevice {
    /// The target name (`vnet0`) or, where there is none, the alias
    /// (`hostdev0`, `net1`): unique within the domain.
    #[serde(deserialize_with = "crate::model::name::read_fit")]
    pub name: Arc<str>,
    /// libvirt's alias (`net0`), by which events name it; only an active
    /// domain's XML has any.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub alias: Option<Arc<str>>,
    /// Why the host can have no counters for it; `None` when it has a target.
    pub uncounted: Option<Why>,
    /// `virtio`, `e1000`, …
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub model: Option<Arc<str>>,
    /// MAC address as written in the XML.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub mac: Option<Arc<str>>,
    /// What it is plugged into: bridge, network or device name.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub source: Option<Arc<str>>,
}

/// One `<disk>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskDevice {
    /// The target name (`vda`).
    #[serde(deserialize_with = "crate::model::name::read_fit")]
    pub name: Arc<str>,
    /// libvirt's alias (`virtio-disk0`), by which events name it; only an
    /// active domain's XML has any.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub alias: Option<Arc<str>>,
    /// `disk`, `cdrom`, `floppy` or `lun`.
    #[serde(deserialize_with = "crate::model::name::read_fit")]
    pub kind: Arc<str>,
    /// `virtio`, `sata`, …
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub bus: Option<Arc<str>>,
    /// File, block device, or network source; `None` for an empty drive.
    #[serde(deserialize_with = "crate::model::name::read_fit_option")]
    pub source: Option<Arc<str>>,
}

/// The memory balloon as the XML has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Balloon {
    /// No `<memballoon>`, or model `none`.
    #[default]
    Absent,
    /// A balloon without a statistics period.
    NoPeriod,
    /// A balloon whose guest reports every so many seconds (1 or more).
    Period(u32),
}
