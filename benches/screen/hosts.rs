//! Hosts to look at: real guests at work, or so many machines of the test
//! hypervisor.

use std::path::Path;

use crate::{
    busy_guest,
    lab::{guests::Lab, test_host::test_host_of},
    pty::Program,
    side_by_side::skipped,
};

/// How many VMs the bars are about.
pub const VMS: u32 = 40;

/// Cores from which forty busy guests leave room for anything else. On fewer
/// they starve each other, libvirtd and every program that is watched.
const ENOUGH: usize = 8;

/// What the whole program looks at.
pub enum Host {
    /// Real guests, and whether they work.
    Guests(Lab, Work),
    /// Machines of the test hypervisor, whose counters move steadily.
    Test,
}

/// Whether guests work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// CPU and disk by fits and starts.
    Busy,
    /// Paused: they cost nobody anything but being read.
    None,
}

impl Host {
    /// Real guests at work; where this machine cannot bear them the test
    /// hypervisor, after saying so.
    pub fn busy() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let guests = if cores < ENOUGH {
            Err(format!("{VMS} guests at work need {ENOUGH} cores or more, here are {cores}"))
        } else {
            Lab::idle(1)
        };
        match guests {
            Ok(lab) => {
                fill(&lab);
                Self::Guests(lab, Work::Busy)
            }
            Err(reason) => {
                skipped("screen with real guests at work (the test hypervisor stands in)", &reason);
                Self::Test
            }
        }
    }

    /// Real guests that cost the machine nothing, for what reading them costs
    /// us; or the test hypervisor, after saying so.
    pub fn quiet() -> Self {
        match Lab::idle(VMS) {
            Ok(lab) => Self::Guests(lab, Work::None),
            Err(reason) => {
                skipped("screen with real guests (the test hypervisor stands in)", &reason);
                Self::Test
            }
        }
    }

    /// What it is, for a table.
    pub fn title(&self) -> String {
        match self {
            Self::Guests(_, Work::Busy) => format!("{VMS} real guests at work"),
            Self::Guests(_, Work::None) => format!("{VMS} real guests, paused (3 disks, 2 NICs each)"),
            Self::Test => format!("{VMS} machines of the test hypervisor"),
        }
    }

    /// Whether its VMs are at work.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Guests(_, Work::Busy))
    }

    /// What its screen says when all are there.
    pub fn all_there(&self) -> String {
        match self {
            Self::Guests(_, Work::None) => format!("{VMS} paused"),
            _ => format!("{VMS} running"),
        }
    }

    /// kvmscope before it.
    pub fn start(&self, home: &Path, size: (u16, u16)) -> Program {
        let uri = match self {
            Self::Guests(lab, _) => lab.uri(),
            Self::Test => test_host_of(home, VMS),
        };
        Program::start(home, size, &[crate::lab::program::PATH, "--uri", &uri], &[])
    }
}

/// Puts the busy guests in place of the idle one.
fn fill(lab: &Lab) {
    for number in 0..VMS {
        let disk = lab.images().join(format!("busy-{number}.qcow2"));
        let seed = u16::try_from(number).unwrap().wrapping_mul(40_503).wrapping_add(1);
        busy_guest::write_wandering_disk(&disk, seed);
        let uuid = uuid::Uuid::from_u128(0x4000_8000_0000_0000_0000 + u128::from(number)).to_string();
        let name = format!("customer-{number:02}-web");
        let xml = busy_guest::xml(&name, &uuid, &lab.partition(), &disk, &format!("busy{number}"));
        let file = lab.images().join("busy.xml");
        std::fs::write(&file, xml).unwrap();
        lab.virsh(&["create", file.to_str().unwrap()]);
    }
    lab.virsh(&["destroy", "idle-1"]);
}
