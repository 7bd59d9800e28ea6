//! The demo host that `make run` opens where no libvirt daemon is: libvirt's
//! own test hypervisor takes it, and its machines are as varied as they are
//! meant to be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a failed test panics, and a test is documented by its name"
)]

mod lab;

use std::collections::{BTreeMap, BTreeSet};

use virt::{connect::Connect, domain::Domain, sys};

const RUNNING: u32 = sys::VIR_DOMAIN_RUNNING;
const PAUSED: u32 = sys::VIR_DOMAIN_PAUSED;
const SHUTOFF: u32 = sys::VIR_DOMAIN_SHUTOFF;

fn open() -> Connect {
    Connect::open_read_only(Some(&lab::demo_host())).expect("libvirt's test hypervisor opens the demo host")
}

fn all(connection: &Connect) -> Vec<Domain> {
    connection.list_all_domains(0).unwrap()
}

fn find(connection: &Connect, name: &str) -> Domain {
    all(connection).into_iter().find(|domain| domain.name().unwrap() == name).unwrap()
}

#[test]
fn a_dozen_machines_in_every_state_that_is_meant() {
    let connection = open();
    let mut by_state: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for domain in all(&connection) {
        by_state.entry(domain.state().unwrap().0.to_raw()).or_default().insert(domain.name().unwrap());
    }
    let names = |state: u32| by_state[&state].iter().map(String::as_str).collect::<Vec<_>>();
    assert!(names(RUNNING).len() >= 10, "{by_state:?}");
    assert_eq!(names(PAUSED), ["staging", "windows-desktop"]);
    assert_eq!(names(SHUTOFF), ["backup", "template-debian-12"]);
    assert_eq!(by_state.len(), 3, "{by_state:?}");
}

#[test]
fn machines_are_of_every_size() {
    let connection = open();
    let sizes: BTreeSet<u32> =
        all(&connection).iter().map(|domain| domain.info().unwrap().nr_virt_cpu).collect();
    assert_eq!((sizes.first(), sizes.last()), (Some(&1), Some(&64)));
    // A balloon that took memory back, so that current and maximum differ.
    let replica = find(&connection, "db-replica").info().unwrap();
    assert!(replica.memory < replica.max_mem, "{replica:?}");
}

#[test]
fn devices_are_several_and_some_have_no_statistics() {
    let connection = open();
    let (mut most_nics, mut most_disks, mut empty_drives, mut passed_through) = (0, 0, 0, 0);
    for domain in all(&connection) {
        let xml = domain.xml_desc(0).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let devices = document.descendants().find(|node| node.has_tag_name("devices")).unwrap();
        let of = |tag| devices.children().filter(move |node| node.has_tag_name(tag));
        most_nics = most_nics.max(of("interface").count());
        most_disks =
            most_disks.max(of("disk").filter(|disk| disk.attribute("device") == Some("disk")).count());
        empty_drives += of("disk")
            .filter(|disk| disk.attribute("device") == Some("cdrom"))
            .filter(|disk| !disk.children().any(|child| child.has_tag_name("source")))
            .count();
        passed_through += of("interface").filter(|nic| nic.attribute("type") == Some("hostdev")).count();
    }
    assert_eq!((most_nics, most_disks), (5, 3));
    assert!(empty_drives >= 3, "{empty_drives}");
    assert_eq!(passed_through, 1);
}

#[test]
fn running_machines_count_and_others_do_not() {
    let connection = open();
    let router = find(&connection, "router");
    assert!(router.interface_stats("rt-wan").unwrap().rx_bytes > 0);
    assert!(router.block_stats("vda").unwrap().rd_bytes > 0);
    let backup = find(&connection, "backup");
    assert!(backup.interface_stats("bak-back").is_err());
}
