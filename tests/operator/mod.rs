//! An operator who does at random what operators do: he starts and stops
//! guests, plugs and unplugs, saves and restores, and renames.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    busy_guest,
    lab::{
        guests::{DB, Lab},
        within,
    },
};

/// A small generator of numbers that are the same for the same seed
/// (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn below(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((((z ^ (z >> 31)) >> 32) * u64::from(sides)) >> 32).unwrap()
    }
}

/// What became of an operation.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// A device or vCPU was replaced by another of the same name.
    Replaced(String),
    /// libvirt would not: that is its right.
    Refused(String),
}

/// A guest the operator works on.
struct Guest {
    title: String,
    uuid: Uuid,
    /// What it is defined by; with another name, once it was renamed.
    xml: String,
    /// It runs an operating system: it gives devices back and reports its memory.
    has_system: bool,
    /// An image and an interface to plug.
    spare_disk: PathBuf,
    spare_nic: String,
}

pub struct Operator<'a> {
    lab: &'a Lab,
    guests: Vec<Guest>,
    medium: PathBuf,
    wall_step: Arc<AtomicI64>,
}

const HOUR: i64 = 3_600_000_000_000;

/// The devices that virsh names, of a guest that is live.
pub fn devices(lab: &Lab, guest: &str) -> Option<BTreeSet<String>> {
    lab.try_virsh(&["domid", guest]).ok()?.trim().parse::<u32>().ok()?;
    let words = |text: String| -> BTreeSet<String> {
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        text.lines().filter_map(first).collect()
    };
    let mut all = words(lab.try_virsh(&["domblklist", guest]).ok()?);
    all.extend(words(lab.try_virsh(&["domiflist", guest]).ok()?));
    Some(all)
}

impl<'a> Operator<'a> {
    /// Two guests without an operating system, and the lab's database server,
    /// which is given spare vCPUs.
    pub fn new(lab: &'a Lab, wall_step: Arc<AtomicI64>) -> Self {
        let images = lab.images();
        let medium = images.join("medium.iso");
        std::fs::File::create(&medium).unwrap().set_len(1 << 20).unwrap();
        let mut guests = Vec::new();
        for (number, title) in ["alder", "birch"].into_iter().enumerate() {
            let disk = images.join(format!("{title}.qcow2"));
            let spare_disk = images.join(format!("{title}-spare.qcow2"));
            busy_guest::write_disk(&disk);
            busy_guest::write_disk(&spare_disk);
            let uuid = Uuid::from_u128(0x5eed_0000 + number as u128);
            let xml =
                busy_guest::xml(title, &uuid.to_string(), &lab.partition(), &disk, &format!("{title}0"));
            guests.push(Guest {
                title: title.into(),
                uuid,
                xml,
                has_system: false,
                spare_disk,
                spare_nic: format!("{title}1"),
            });
        }
        let xml = lab.virsh(&["dumpxml", "--inactive", DB]);
        let with_spares = xml.replace("<vcpu placement='static'>1</vcpu>", "<vcpu current='1'>3</vcpu>");
        assert_ne!(xml, with_spares, "{xml}");
        let spare_disk = images.join("db-spare.qcow2");
        busy_guest::write_disk(&spare_disk);
        lab.virsh(&["destroy", DB]);
        guests.push(Guest {
            title: DB.into(),
            uuid: lab.uuid(DB).parse().unwrap(),
            xml: with_spares,
            has_system: true,
            spare_disk,
            spare_nic: "db1".into(),
        });
        let operator = Self { lab, guests, medium, wall_step };
        for guest in 0..operator.guests() {
            operator.define(guest).unwrap();
            operator.start(guest);
        }
        operator
    }

    pub fn guests(&self) -> u32 {
        u32::try_from(self.guests.len()).unwrap()
    }

    pub fn who(&self, guest: u32) -> (String, Uuid) {
        let guest = &self.guests[guest as usize];
        (guest.title.clone(), guest.uuid)
    }

    pub fn pick(&self, dice: &mut Dice) -> u32 {
        dice.below(self.guests())
    }

    /// Sets the wall clock right.
    pub fn steady(&self) {
        self.wall_step.store(0, Ordering::Relaxed);
    }

    /// Starts a guest unless it is live.
    pub fn start(&self, guest: u32) {
        let title = &self.guests[guest as usize].title;
        if self.state(title) == "shut off" {
            self.lab.virsh(&["start", title]);
        }
    }

    fn state(&self, title: &str) -> String {
        self.lab.virsh(&["domstate", title]).trim().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.lab.images().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn define(&self, guest: u32) -> Result<(), String> {
        let guest = &self.guests[guest as usize];
        let file = self.file("guest.xml", &guest.xml);
        self.lab.try_virsh(&["define", &file]).map(drop)
    }

    fn spare_disk(&self, guest: &Guest) -> String {
        let disk = guest.spare_disk.display();
        let text = format!(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/>\
             <source file='{disk}'/><target dev='vdx' bus='virtio'/></disk>"
        );
        self.file("disk.xml", &text)
    }

    fn spare_nic(&self, guest: &Guest) -> String {
        let nic = &guest.spare_nic;
        let last = &guest.uuid.to_string()[34..];
        let text = format!(
            "<interface type='ethernet'><mac address='52:54:00:6b:78:{last}'/><target dev='{nic}'/>\
             <model type='virtio'/></interface>"
        );
        self.file("nic.xml", &text)
    }

    /// Something that the guest's state allows.
    pub fn choose(&self, guest: u32, dice: &mut Dice) -> &'static str {
        let choice = self.choice(guest);
        choice[dice.below(u32::try_from(choice.len()).unwrap()) as usize]
    }

    /// Does it.
    pub fn act(&mut self, guest: u32, what: &str, dice: &mut Dice) -> Outcome {
        self.perform(what, guest, dice).unwrap_or_else(Outcome::Refused)
    }

    /// What can be done to a guest as it is now; twice what tells more.
    fn choice(&self, number: u32) -> Vec<&'static str> {
        let guest = &self.guests[number as usize];
        let title = guest.title.as_str();
        let state = self.state(title);
        let snapshots = self.lab.virsh(&["snapshot-list", title, "--name"]);
        let has_snapshot = snapshots.lines().any(|name| name == "seen");
        let mut choice = Vec::new();
        if has_snapshot {
            choice.push("revert");
        }
        if state == "shut off" {
            choice.extend(["start", "start", "redefine"]);
            if !has_snapshot {
                choice.push("rename");
            }
            return choice;
        }
        let devices = devices(self.lab, title).unwrap_or_default();
        let has = |device: &str| devices.contains(device);
        if !has("vdx") {
            choice.extend(["attach disk", "attach disk"]);
        }
        if !has(&guest.spare_nic) {
            choice.push("attach nic");
        }
        choice.extend(["destroy", "step clock"]);
        if state == "paused" {
            choice.extend(["resume", "resume", "resume"]);
            return choice;
        }
        choice.extend(["suspend", "set memory", "threshold", "hang", "save", "reset", "shutdown"]);
        choice.push(if self.period(title) == "0" { "report" } else { "no report" });
        // A guest without a system gives a device back when it is reset; the
        // wait of five seconds for it is worth it in the long runs alone.
        let gives_back = if guest.has_system { self.has_booted(guest) } else { super::lab::torture() };
        if gives_back && has("vdx") {
            choice.extend(["detach disk", "detach disk", "replug disk", "replug disk"]);
        }
        if gives_back && has(&guest.spare_nic) {
            choice.extend(["detach nic", "replug nic"]);
        }
        let vcpus = self.vcpus(title);
        if vcpus < 3 {
            choice.push("plug vcpu");
        }
        if vcpus > 1 && guest.has_system && gives_back {
            choice.extend(["unplug vcpu", "replug vcpu"]);
        }
        if has("hda") {
            let drives = self.lab.try_virsh(&["domblklist", title]).unwrap_or_default();
            let empty = drives.lines().any(|line| line.split_whitespace().eq(["hda", "-"]));
            choice.push(if empty { "insert medium" } else { "eject medium" });
            if !has("vdx") {
                choice.extend(["snapshot", "snapshot"]);
            }
        }
        choice
    }

    fn vcpus(&self, title: &str) -> u32 {
        let now = self.lab.try_virsh(&["vcpucount", title, "--current", "--live"]).unwrap_or_default();
        now.trim().parse().unwrap_or_default()
    }

    /// The period of the balloon's reports as the XML has it.
    fn period(&self, title: &str) -> String {
        let xml = self.lab.virsh(&["dumpxml", title]);
        let period = xml.split_once("<stats period='").and_then(|(_, rest)| rest.split_once('\''));
        period.map_or("0", |(period, _)| period).to_owned()
    }

    fn has_booted(&self, guest: &Guest) -> bool {
        guest.has_system && self.lab.console(DB).contains("load runs")
    }

    fn perform(&mut self, what: &str, number: u32, dice: &mut Dice) -> Result<Outcome, String> {
        let guest = &self.guests[number as usize];
        let title = guest.title.clone();
        let title = title.as_str();
        let virsh = |arguments: &[&str]| self.lab.try_virsh(arguments).map(|_| Outcome::Done);
        match what {
            "start" => virsh(&["start", title]),
            "destroy" => virsh(&["destroy", title]),
            "shutdown" => virsh(&["shutdown", title]),
            "suspend" => virsh(&["suspend", title]),
            "resume" => virsh(&["resume", title]),
            "reset" => virsh(&["reset", title]),
            "save" => {
                virsh(&["managedsave", title])?;
                virsh(&["start", title])
            }
            "snapshot" => {
                drop(virsh(&["snapshot-delete", title, "seen", "--metadata"]));
                virsh(&["snapshot-create-as", title, "seen"])
            }
            "revert" => virsh(&["snapshot-revert", title, "seen", "--force"]),
            "rename" => self.rename(number),
            "redefine" => {
                virsh(&["undefine", title, "--managed-save", "--snapshots-metadata"])?;
                self.define(number).map(|()| Outcome::Done)
            }
            "attach disk" => virsh(&["attach-device", title, &self.spare_disk(guest), "--live"]),
            "attach nic" => virsh(&["attach-device", title, &self.spare_nic(guest), "--live"]),
            "detach disk" => self.detach(guest, &self.spare_disk(guest)).map(|()| Outcome::Done),
            "detach nic" => self.detach(guest, &self.spare_nic(guest)).map(|()| Outcome::Done),
            "replug disk" => {
                self.detach(guest, &self.spare_disk(guest))?;
                virsh(&["attach-device", title, &self.spare_disk(guest), "--live"])?;
                Ok(Outcome::Replaced("vdx".into()))
            }
            "replug nic" => {
                self.detach(guest, &self.spare_nic(guest))?;
                virsh(&["attach-device", title, &self.spare_nic(guest), "--live"])?;
                Ok(Outcome::Replaced(guest.spare_nic.clone()))
            }
            "plug vcpu" => virsh(&["setvcpus", title, &(self.vcpus(title) + 1).to_string(), "--live"]),
            "unplug vcpu" => virsh(&["setvcpus", title, &(self.vcpus(title) - 1).to_string(), "--live"]),
            "replug vcpu" => {
                let now = self.vcpus(title);
                virsh(&["setvcpus", title, &(now - 1).to_string(), "--live"])?;
                virsh(&["setvcpus", title, &now.to_string(), "--live"])?;
                Ok(Outcome::Replaced(format!("vcpu{}", now - 1)))
            }
            "set memory" => {
                let size = if guest.has_system { 96 + dice.below(32) } else { 10 + dice.below(6) };
                virsh(&["setmem", title, &format!("{size}M"), "--live"])
            }
            "no report" => virsh(&["dommemstat", title, "--period", "0", "--live"]),
            "report" => {
                let period = (1 + dice.below(2)).to_string();
                virsh(&["dommemstat", title, "--period", &period, "--live"])
            }
            "insert medium" => {
                let medium = self.medium.display().to_string();
                virsh(&["change-media", title, "hda", &medium, "--insert", "--live"])
            }
            "eject medium" => virsh(&["change-media", title, "hda", "--eject", "--live", "--force"]),
            "threshold" => virsh(&["domblkthreshold", title, "vda", "1M"]),
            "step clock" => {
                let step = [-HOUR, 0, HOUR][dice.below(3) as usize];
                self.wall_step.store(step, Ordering::Relaxed);
                Ok(Outcome::Done)
            }
            "hang" => {
                let _frozen = self.lab.freeze(title);
                let end = Instant::now() + Duration::from_millis(u64::from(200 + dice.below(1500)));
                within(Duration::from_secs(5), "time passes", || (Instant::now() >= end).then_some(()));
                Ok(Outcome::Done)
            }
            _ => Err("not on this guest".into()),
        }
    }

    /// Takes a device away; without a system in the guest only a reset does it.
    fn detach(&self, guest: &Guest, device: &str) -> Result<(), String> {
        let title = guest.title.as_str();
        self.lab.try_virsh(&["detach-device", title, device, "--live"])?;
        if !guest.has_system {
            self.lab.try_virsh(&["reset", title])?;
        }
        Ok(())
    }

    fn rename(&mut self, number: u32) -> Result<Outcome, String> {
        let guest = &mut self.guests[number as usize];
        // Back and forth: under its first name the database writes its console.
        let other = match guest.title.strip_suffix(" again") {
            Some(first) => first.to_owned(),
            None => format!("{} again", guest.title),
        };
        // libvirt renames no guest that has snapshots or a saved state.
        let title = guest.title.clone();
        self.lab.try_virsh(&["domrename", &title, &other])?;
        let named = |title: &str| format!("<name>{title}</name>");
        guest.xml = guest.xml.replace(&named(&title), &named(&other));
        guest.title = other;
        Ok(Outcome::Done)
    }
}
