//! A VM's XML as the screen asks for it, on real guests: what is in it, what
//! is not, and what it costs the others when it does not come.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    collector::{self, Command, Handle, Sink, Xml},
    config,
    model::{AngleScale, Frame, frame::Health, status::CollectorStatus},
};
use lab::guests::{BATCH, DB, Lab, STAGING, WEB};
use uuid::Uuid;

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);
/// `libvirt.timeout` here: what an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

struct Frames(mpsc::Sender<Arc<Frame>>);

impl Sink for Frames {
    fn frame(&mut self, frame: Arc<Frame>) {
        drop(self.0.send(frame));
    }

    fn status(&mut self, _: CollectorStatus) {}
}

struct Collecting {
    collector: Handle,
    frames: mpsc::Receiver<Arc<Frame>>,
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.collector.command(Command::Shutdown);
    }
}

impl Collecting {
    fn on(uri: String) -> Self {
        let (frames, seen) = mpsc::channel();
        let settings = collector::Settings {
            libvirt: config::Libvirt { uri, timeout: TIMEOUT, ..config::Libvirt::default() },
            interval: Duration::from_millis(500),
            scale: AngleScale::default(),
            notes: None,
        };
        let collector = collector::start(settings, Clock::system(), Frames(frames)).unwrap();
        Self { collector, frames: seen }
    }

    fn start(&self) {
        self.collector.command(Command::Start);
    }

    fn frame(&self) -> Arc<Frame> {
        self.frames.recv_timeout(PATIENCE).expect("a frame")
    }

    /// Frames until one is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Arc<Frame> {
        let end = Instant::now() + PATIENCE;
        loop {
            let frame = self.frame();
            if wanted(&frame) {
                return frame;
            }
            assert!(Instant::now() < end, "not in time: {what}");
        }
    }

    fn ask(&self, uuid: Uuid) -> mpsc::Receiver<Xml> {
        let (answer, answered) = mpsc::channel();
        self.collector.xml(uuid, move |xml| drop(answer.send(xml)));
        answered
    }

    fn xml(&self, uuid: Uuid) -> Xml {
        self.ask(uuid).recv_timeout(PATIENCE).expect("an answer")
    }
}

fn uuid(lab: &Lab, guest: &str) -> Uuid {
    lab.uuid(guest).parse().unwrap()
}

#[test]
fn the_xml_is_virshs_own_and_needs_no_collection() {
    let Some(lab) = Lab::shared("the_xml_is_virshs_own_and_needs_no_collection") else { return };
    let collecting = Collecting::on(lab.uri());
    for guest in [WEB, DB, BATCH, STAGING, lab::guests::BACKUP, lab::guests::HOSTILE] {
        let xml = collecting.xml(uuid(lab, guest)).unwrap();
        let own = lab.virsh(&["dumpxml", &lab.uuid(guest)]);
        let harmless = |c: char| if kvmscope::model::name::is_unfit(c) && c != '\n' { '_' } else { c };
        assert_eq!(xml.trim(), own.trim().chars().map(harmless).collect::<String>(), "{guest}");
    }
    let why = collecting.xml(Uuid::from_u128(7)).unwrap_err();
    assert!(why.contains("has no domain") && why.contains("it was removed or has ended"), "{why}");
}

#[test]
fn passwords_are_neither_asked_for_nor_shown() {
    let Some(lab) = Lab::shared("passwords_are_neither_asked_for_nor_shown") else { return };
    let id = "8d9c2f5e-6b55-4d8e-9d1c-0a5f7f3e11aa";
    let xml = format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
           <name>with-secrets</name><uuid>{id}</uuid><memory unit='MiB'>16</memory>
           <metadata><a:init xmlns:a='urn:a'>chpasswd password=S3CR3T-1</a:init></metadata>
           <os><type arch='x86_64'>hvm</type></os>
           <devices><graphics type='vnc' port='-1' autoport='yes' passwd='S3CR3T2'/></devices>
           <qemu:commandline><qemu:arg value='-object'/>
             <qemu:arg value='secret,id=s0,data=S3CR3T-3'/></qemu:commandline>
         </domain>"
    );
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("with-secrets.xml");
    std::fs::write(&file, xml).unwrap();
    lab.virsh(&["define", file.to_str().unwrap()]);
    assert!(lab.virsh(&["dumpxml", "--security-info", id]).contains("S3CR3T2"), "libvirt knows them");
    let shown = Collecting::on(lab.uri()).xml(id.parse().unwrap());
    lab.virsh(&["undefine", id]);
    let shown = shown.unwrap();
    assert!(!shown.contains("S3CR3T") && shown.contains("with-secrets"), "{shown}");
    assert!(shown.contains("password=***") && shown.contains("value='***'"), "{shown}");
}

#[test]
fn whether_a_guest_starts_with_the_host_is_known() {
    let Some(lab) = Lab::shared("whether_a_guest_starts_with_the_host_is_known") else { return };
    lab.virsh(&["autostart", DB]);
    let collecting = Collecting::on(lab.uri());
    collecting.start();
    let told = |frame: &Frame, guest: &str| frame.find(guest).unwrap().devices.autostart;
    let frame = collecting.until("devices", |frame| told(frame, DB).is_some() && told(frame, WEB).is_some());
    lab.virsh(&["autostart", "--disable", DB]);
    assert_eq!((told(&frame, DB), told(&frame, WEB)), (Some(true), Some(false)));
}

#[test]
fn a_hung_guests_xml_comes_or_fails_with_words_and_nobody_else_stands_still() {
    let test = "a_hung_guests_xml_comes_or_fails_with_words_and_nobody_else_stands_still";
    let lab = match Lab::start_waiting_for(&[WEB]) {
        Ok(lab) => lab,
        Err(reason) => return lab::skipped(test, &reason),
    };
    // Asked of virsh now: not while the daemon stands still.
    let (web, batch) = (uuid(&lab, WEB), uuid(&lab, BATCH));
    let collecting = Collecting::on(lab.uri());
    collecting.start();
    let answers = |frame: &Frame, guest: &str| {
        frame.find(guest).is_some_and(|vm| vm.fresh && vm.health == Health::Answering)
    };
    collecting.until("all answer", |frame| answers(frame, WEB) && answers(frame, BATCH));
    let frozen = lab.freeze(BATCH);
    collecting.until("it is found hung", |frame| !answers(frame, BATCH));
    let begun = Instant::now();
    let asked = collecting.ask(batch);
    let others = collecting.ask(web);
    assert!(others.recv_timeout(PATIENCE).unwrap().unwrap().contains(WEB));
    for _ in 0..6 {
        let frame = collecting.frame();
        assert!(answers(&frame, WEB), "{:?}", frame.find(WEB).unwrap().health);
    }
    match asked.recv_timeout(PATIENCE).expect("an answer") {
        Ok(xml) => assert!(xml.contains(BATCH), "{xml}"),
        Err(why) => assert!(why.contains("within 5 s"), "{why}"),
    }
    println!("a hung guest's XML was answered within {:?}", begun.elapsed());
    drop(frozen);

    // The whole daemon: nobody answers, and that is said, in time.
    let frozen = lab.freeze_daemon();
    let begun = Instant::now();
    let why = collecting.xml(web).unwrap_err();
    assert!(begun.elapsed() >= TIMEOUT, "{why}");
    assert!(why.contains("within 5 s") && why.contains("libvirtd"), "{why}");
    drop(frozen);
    // The one that hung has returned, or is still counted: it mends itself.
    let end = Instant::now() + PATIENCE;
    while let Err(why) = collecting.xml(web) {
        assert!(Instant::now() < end, "{why}");
        collecting.frame();
    }
}
