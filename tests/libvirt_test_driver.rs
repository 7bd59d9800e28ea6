//! Readers against libvirt's built-in test hypervisor, and against sockets
//! that refuse, stay silent or are not there. No daemon is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test")]

#[path = "lab/port.rs"]
mod port;

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener,
        process::CommandExt,
    },
    path::Path,
    process::Command,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use kvmscope::{
    clock::Clock,
    libvirt::{Answer, Error, Groups, Member, Question, RawDomain, Reader, Reply, Roster, Settings},
    model::{DomainDevices, DomainState, Kib, Why, domain::Balloon, reading::MemorySize},
};
use uuid::Uuid;

/// Patience for answers that come at once unless something is broken.
const DEADLINE: Duration = Duration::from_secs(20);

struct Asked {
    reader: Reader,
    answers: mpsc::Receiver<Answer>,
}

fn reader(uri: &str) -> Asked {
    let (sender, answers) = mpsc::channel();
    let settings = Settings { uri: uri.into(), timeout: DEADLINE };
    let reader = Reader::start(7, settings, Clock::system(), move |answer| {
        let _ = sender.send(answer);
    })
    .unwrap();
    Asked { reader, answers }
}

impl Asked {
    fn ask(&self, question: Question) -> Answer {
        assert!(self.reader.ask(42, question), "the reader has ended");
        let answer = self.answers.recv_timeout(DEADLINE).expect("no answer");
        assert_eq!((answer.reader, answer.ticket), (7, 42));
        assert!(answer.ended.1 >= answer.begun.1);
        answer
    }

    fn roster(&self) -> Roster {
        match self.ask(Question::Roster).reply {
            Ok(Reply::Roster(roster)) => roster,
            other => panic!("{other:?}"),
        }
    }

    fn error(&self) -> Error {
        self.ask(Question::Roster).reply.expect_err("this cannot work")
    }

    fn devices(&self, uuid: Uuid) -> DomainDevices {
        match self.ask(Question::Describe { uuid }).reply {
            Ok(Reply::Description { uuid: told, devices }) if told == uuid => devices,
            other => panic!("{other:?}"),
        }
    }

    fn list(&self, members: &[Member], groups: Groups) -> Vec<RawDomain> {
        self.listed(Question::List {
            members: members.iter().map(|member| Member { groups, ..member.clone() }).collect(),
            monitor_free: false,
            timed: None,
        })
    }

    fn listed(&self, question: Question) -> Vec<RawDomain> {
        match self.ask(question).reply {
            Ok(Reply::List(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    /// The live domains of the roster with their devices.
    fn members(&self) -> Vec<Member> {
        let live = self.roster().domains.into_iter().filter_map(|d| d.identity.id.zip(Some(d.identity.uuid)));
        live.map(|(id, uuid)| Member {
            uuid,
            id,
            devices: Some(Arc::new(self.devices(uuid))),
            groups: Groups::ALL,
        })
        .collect()
    }
}

struct Guest {
    name: &'static str,
    /// libvirt's state code.
    state: u8,
    devices: &'static str,
}

const PLAIN: Guest = Guest { name: "plain", state: 1, devices: "" };

fn uuid(number: usize) -> Uuid {
    Uuid::from_u128(0x4000_8000_0000_0000_0000 + number as u128)
}

/// Writes a host for the test hypervisor and returns its URI.
fn host(file: &Path, guests: &[Guest]) -> String {
    let mut xml = String::from("<node>");
    for (number, guest) in guests.iter().enumerate() {
        let escape = |c: char| match c {
            '&' | '<' | '>' | '\n' | '\t' | '"' | '\'' => format!("&#{};", u32::from(c)),
            c => c.to_string(),
        };
        let name: String = guest.name.chars().map(escape).collect();
        write!(
            xml,
            "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>{name}</name>\
             <uuid>{}</uuid><memory>1048576</memory><vcpu>2</vcpu><os><type>hvm</type></os>\
             <devices>{}</devices><test:runstate>{}</test:runstate></domain>",
            uuid(number),
            guest.devices,
            guest.state
        )
        .unwrap();
    }
    xml.push_str("</node>");
    fs::write(file, xml).unwrap();
    format!("test://{}", file.display())
}

const FURNISHED: Guest = Guest {
    name: "furnished",
    state: 1,
    devices: "<disk type='file'><source file='/guest/a.img'/><target dev='vda' bus='virtio'/></disk>
              <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
              <interface type='bridge'><source bridge='br0'/><target dev='tap0'/></interface>
              <interface type='ethernet'><target dev='tap1'/></interface>
              <interface type='user'/>
              <memballoon model='virtio'><stats period='2'/></memballoon>",
};

#[test]
fn the_default_test_host_is_read_and_says_that_it_is_a_demo() {
    let roster = reader("test:///default").roster();
    assert_eq!(roster.domains.len(), 1);
    let test = &roster.domains[0];
    assert_eq!((&*test.identity.name, test.state), ("test", DomainState::Running));
    assert!(test.identity.id.is_some());
    let host = roster.host;
    assert!(host.demo);
    assert!(host.hypervisor.unwrap().to_lowercase().starts_with("test "));
    assert!(host.libvirt.unwrap().split('.').count() == 3);
    assert!(host.name.is_some_and(|name| !name.is_empty()));
    assert!(host.cpus.unwrap() > 0 && host.memory_kib.unwrap() > 0);
}

#[test]
fn hostile_names_come_out_harmless_and_states_as_they_are() {
    const SIXTY: &str = "sixty-characters-long-name-of-a-guest-that-fills-the-column-";
    let names =
        ["new\nline", "tab\there", "back\\", SIXTY, "größe 虚拟机 🐧", "\u{202e}txet", "a=b, \"c\" [31m"];
    let mut guests: Vec<_> = names.iter().map(|name| Guest { name, ..PLAIN }).collect();
    guests.push(Guest { name: "paused", state: 3, ..PLAIN });
    guests.push(Guest { name: "off", state: 5, ..PLAIN });
    let folder = tempfile::tempdir().unwrap();
    let uri = host(&folder.path().join("host.xml"), &guests);
    let roster = reader(&uri).roster();
    let mut found: Vec<_> = roster
        .domains
        .iter()
        .map(|d| (d.identity.uuid, &*d.identity.name, d.state, d.identity.id.is_some()))
        .collect();
    found.sort_unstable();
    let names = [
        "new_line",
        "tab_here",
        "back_",
        SIXTY,
        "größe 虚拟机 🐧",
        "_txet",
        "a=b, \"c\" [31m",
        "paused",
        "off",
    ];
    let expected: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| match *name {
            "paused" => (uuid(n), *name, DomainState::Paused, true),
            "off" => (uuid(n), *name, DomainState::Shutoff, false),
            _ => (uuid(n), *name, DomainState::Running, true),
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn two_readers_of_one_host_agree_on_who_is_who() {
    let folder = tempfile::tempdir().unwrap();
    let guests: Vec<_> = ["a", "b", "c", "d"].map(|name| Guest { name, ..FURNISHED }).into();
    let uri = host(&folder.path().join("host.xml"), &guests);
    let (one, other) = (reader(&uri), reader(&uri));
    let who = |asked: &Asked| {
        let mut who: Vec<_> = asked.roster().domains.into_iter().map(|d| d.identity).collect();
        who.sort_unstable_by_key(|identity| identity.uuid);
        who
    };
    assert_eq!(who(&one), who(&other));
    let read = other.list(&one.members(), Groups::ALL);
    assert!(read.iter().all(|raw| !raw.gone && raw.cpu.is_some()), "{read:?}");
}

#[test]
fn devices_come_from_the_xml() {
    let folder = tempfile::tempdir().unwrap();
    let asked = reader(&host(&folder.path().join("host.xml"), &[FURNISHED]));
    let devices = asked.devices(uuid(0));
    let nics: Vec<_> = devices.nics.iter().map(|nic| (&*nic.name, nic.uncounted)).collect();
    assert_eq!(nics[..2], [("tap0", None), ("tap1", None)]);
    assert_eq!(nics[2].1, Some(Why::UserModeNic));
    let disks: Vec<_> = devices.disks.iter().map(|d| (&*d.name, d.source.as_deref())).collect();
    assert_eq!(disks, [("vda", Some("/guest/a.img")), ("sda", None)]);
    assert_eq!(devices.balloon, Balloon::Period(2));
}

#[test]
fn a_driver_without_bulk_data_is_read_domain_by_domain() {
    let folder = tempfile::tempdir().unwrap();
    let guests = [FURNISHED, Guest { name: "paused", state: 3, ..PLAIN }];
    let asked = reader(&host(&folder.path().join("host.xml"), &guests));
    let members = asked.members();
    let list = asked.list(&members, Groups::ALL);
    let raw = list.iter().find(|raw| raw.uuid == uuid(0)).unwrap();
    assert_eq!(
        (raw.id, raw.state),
        (members.iter().find(|m| m.uuid == uuid(0)).map(|m| m.id), DomainState::Running)
    );
    assert!(!raw.short && !raw.gone && raw.error.is_none());
    assert_eq!(raw.vcpu_count, Some(2));
    assert_eq!(raw.memory, Some(MemorySize { current: Kib(1_048_576), maximum: Kib(1_048_576) }));
    assert!(raw.cpu.unwrap().user.is_some());
    assert!(raw.rss.is_some() && raw.guest.unwrap().available.is_some());
    let nics: Vec<_> = raw.nics.as_ref().unwrap().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(nics, ["tap0", "tap1"], "the user-mode NIC has no counters");
    let disks: Vec<_> =
        raw.disks.as_ref().unwrap().iter().map(|d| (d.name.as_str(), d.counters.is_some())).collect();
    assert_eq!(disks, [("vda", true), ("sda", false)], "the empty drive has no counters");
    assert_eq!((raw.vcpus.as_ref(), raw.refused), (None, Groups::VCPUS), "its vCPU times are no nanoseconds");
    assert_eq!(list.iter().find(|raw| raw.uuid == uuid(1)).unwrap().state, DomainState::Paused);
}

#[test]
fn counters_grow_from_reading_to_reading() {
    let folder = tempfile::tempdir().unwrap();
    let asked = reader(&host(&folder.path().join("host.xml"), &[FURNISHED]));
    let members = asked.members();
    let figures = || {
        let raw = asked.list(&members, Groups::ALL).remove(0);
        let nic = raw.nics.unwrap()[0].1;
        let disk = raw.disks.unwrap()[0].counters.unwrap();
        [raw.cpu.unwrap().time.0, nic.rx_bytes.unwrap(), disk.rd_bytes.unwrap(), disk.wr_reqs.unwrap()]
    };
    let first = figures();
    let deadline = Instant::now() + DEADLINE;
    while !figures().iter().zip(first).all(|(now, then)| *now > then) {
        assert!(Instant::now() < deadline, "{first:?} does not grow");
        std::thread::yield_now();
    }
}

#[test]
fn only_what_was_asked_for_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let asked = reader(&host(&folder.path().join("host.xml"), &[FURNISHED]));
    let members = asked.members();
    let raw = &asked.list(&members, Groups::NICS)[0];
    assert!(raw.nics.is_some() && raw.state == DomainState::Running);
    assert!(raw.cpu.is_none() && raw.memory.is_none() && raw.disks.is_none() && raw.vcpu_count.is_none());
    assert!(raw.refused.is_empty());

    let free = Question::List { members: members.clone(), monitor_free: true, timed: None };
    let raw = &asked.listed(free)[0];
    assert!(raw.cpu.is_some() && raw.memory.is_some() && raw.nics.is_some());
    assert!(raw.disks.is_none() && raw.rss.is_none() && raw.guest.is_none() && !raw.short);

    let nameless = [Member { devices: None, ..members[0].clone() }];
    let raw = &asked.list(&nameless, Groups::ALL)[0];
    assert!(raw.cpu.is_some(), "without a description the domain itself is read all the same");
    assert!(raw.nics.is_none() && raw.disks.is_none() && !raw.refused.has(Groups::NICS));
}

#[test]
fn a_vanished_domain_is_gone_and_the_others_keep_their_place_and_data() {
    let folder = tempfile::tempdir().unwrap();
    let guests: Vec<_> = ["a", "b", "off"]
        .map(|name| Guest { name, state: if name == "off" { 5 } else { 1 }, ..FURNISHED })
        .into();
    let asked = reader(&host(&folder.path().join("host.xml"), &guests));
    let mut members = asked.members();
    let stranger = Uuid::from_u128(99);
    members.insert(1, Member { uuid: stranger, id: 77, devices: None, groups: Groups::ALL });
    members.push(Member { uuid: uuid(2), id: 3, devices: None, groups: Groups::ALL });
    let order: Vec<_> = members.iter().map(|member| member.uuid).collect();
    for _ in 0..2 {
        let list = asked.list(&members, Groups::ALL);
        assert_eq!(list.iter().map(|raw| raw.uuid).collect::<Vec<_>>(), order);
        assert_eq!(list[1], RawDomain { gone: true, ..RawDomain::empty(stranger) });
        assert!([0, 2].iter().all(|&n| !list[n].gone && list[n].cpu.is_some() && list[n].nics.is_some()));
        let off = &list[3];
        assert_eq!((off.id, off.state, off.gone), (None, DomainState::Shutoff, false));
        assert!(
            off.cpu.is_none() && off.memory.is_none(),
            "an inactive domain has no counters, not even zeros"
        );
    }
    assert!(asked.list(&[], Groups::ALL).is_empty(), "nobody asked for is nobody answered");
    match asked.ask(Question::Describe { uuid: stranger }).reply {
        Err(error @ Error::NoSuchDomain { .. }) => assert!(!error.is_connection()),
        other => panic!("{other:?}"),
    }
    assert_eq!(asked.roster().domains.len(), 3, "the connection is still good");
}

#[test]
fn a_thousand_domains_are_listed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&'static str> = (0..1000).map(|n| &*format!("vm-{n:04}").leak()).collect();
    let guests: Vec<_> = names.iter().map(|name| Guest { name, ..PLAIN }).collect();
    let asked = reader(&host(&folder.path().join("host.xml"), &guests));
    let roster = asked.roster();
    assert_eq!(roster.domains.iter().map(|d| d.identity.uuid).collect::<HashSet<_>>().len(), 1000);
    let members: Vec<_> = roster
        .domains
        .iter()
        .map(|d| Member {
            uuid: d.identity.uuid,
            id: d.identity.id.unwrap(),
            devices: None,
            groups: Groups::ALL,
        })
        .collect();
    let list = asked.list(&members, Groups::CPU | Groups::MEMORY);
    assert!(list.iter().zip(&members).all(|(raw, member)| raw.uuid == member.uuid && raw.cpu.is_some()));
}

#[test]
fn what_cannot_be_reached_says_so_and_is_tried_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.xml");
    let asked = reader(&format!("test://{}", file.display()));
    let error = asked.error();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.is_connection());
    let text = error.to_string();
    assert!(text.contains("host.xml") && text.contains("Check that the file exists"), "{text}");
    host(&file, &[PLAIN]);
    assert_eq!(asked.roster().domains.len(), 1, "the same reader connects as soon as it can");
}

#[test]
fn a_missing_daemon_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("no-such-socket");
    let error = reader(&format!("qemu+unix:///system?socket={}", socket.display())).error();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    for words in ["no-such-socket", "libvirtd or virtqemud", "read-only socket"] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    assert!(!text.contains("group"), "{text}");
}

#[test]
fn bad_uris_are_told_before_anything_is_connected() {
    for uri in [
        "",
        "qemu:///sys tem",
        "/var/run/libvirt",
        "http://localhost:8086",
        "qemu:///\0x",
        "q\nx:///",
        "quemu:///system",
    ] {
        let error = reader(uri).error();
        assert!(matches!(error, Error::BadUri { .. }), "{uri:?}: {error:?}");
        assert!(error.is_lasting());
        let text = error.to_string();
        assert!(text.contains("LIBVIRT_URI") && text.contains("qemu:///system"), "{text}");
        assert!(!text.contains(['\n', '\0']), "{text:?}");
    }
    // These only libvirt itself can judge.
    for uri in ["no-such-alias", "qemu+carrier-pigeon://127.0.0.1/system", "test:///"] {
        let error = reader(uri).error();
        assert!(matches!(error, Error::BadUri { .. }), "{uri:?}: {error:?}");
    }
}

#[test]
fn a_password_in_the_uri_is_in_no_message() {
    let port = port::free().port();
    let error = reader(&format!("qemu+tcp://bob:hunter%32@127.0.0.1:{port}/system")).error();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let told = format!("{error} {error:?}");
    assert!(told.contains("***@127.0.0.1"), "{told}");
    for secret in ["bob", "hunter"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn a_reader_can_be_dropped_while_its_call_hangs_and_still_answers_late() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("silent");
    let silent = UnixListener::bind(&socket).unwrap();
    let Asked { reader, answers } = reader(&format!("qemu+unix:///system?socket={}", socket.display()));
    assert!(reader.ask(1, Question::Roster) && reader.ask(2, Question::Roster));
    let (peer, _) = silent.accept().unwrap();
    assert!(matches!(answers.try_recv(), Err(mpsc::TryRecvError::Empty)), "nobody has answered yet");
    let dropping = Instant::now();
    drop(reader);
    assert!(dropping.elapsed() < Duration::from_secs(5), "dropping waited for the call");
    drop((peer, silent));
    let late = answers.recv_timeout(DEADLINE).expect("the call's return is reported");
    assert_eq!(late.ticket, 1);
    assert!(late.reply.is_err_and(|error| error.is_connection()));
    // The second question is not worth a call any more, and the thread ends.
    assert!(matches!(answers.recv_timeout(DEADLINE), Err(mpsc::RecvTimeoutError::Disconnected)));
}

/// Set in the child that asks as a user who may not.
const AS_NOBODY: &str = "KVMSCOPE_TEST_CLOSED_SOCKET";

#[test]
fn a_socket_closed_to_this_user_is_told_with_the_way_that_is_not_root() {
    if let Ok(socket) = std::env::var(AS_NOBODY) {
        let error = reader(&format!("qemu+unix:///system?socket={socket}")).error();
        assert!(matches!(error, Error::NoPermission { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("polkit") && text.contains("org.libvirt.unix.monitor"), "{text}");
        assert!(!text.contains("group"), "membership of a group amounts to root: {text}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let socket = closed.join("socket");
    let _listening = UnixListener::bind(&socket).unwrap();
    let test = "a_socket_closed_to_this_user_is_told_with_the_way_that_is_not_root";
    let mut child = Command::new(std::env::current_exe().unwrap());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Nothing is closed to root, so somebody else asks, with a program
        // that they can read.
        let program = folder.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        child = Command::new(program);
        child.uid(65534).gid(65534);
    } else {
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let output = child.args(["--exact", test]).env(AS_NOBODY, &socket).current_dir("/").output();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
