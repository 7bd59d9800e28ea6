//! Few bytes never become much memory, and no host is too large to be read.

use super::{
    super::{
        Cycle, Decoded, Disk, Domain, Given, Groups, Nic, Seen, VERSION, Vcpu, column::Writer, decode, encode,
    },
    Any, read,
};
use crate::model::{DomainState, Missing, Why, frame::Health};

/// A cycle up to its domains, which are claimed to be `count`; what follows
/// are columns of nothing, which cost two bits each.
fn claimed(count: u64) -> Vec<u8> {
    let mut tables = Writer::default();
    tables.number(0);
    tables.number(0);
    let tables = tables.into_bytes();
    let mut columns = Writer::default();
    for number in [7, 0, 0, 0] {
        columns.number(number);
    }
    // No host, no load.
    columns.column(&[0]);
    columns.column(&[0]);
    columns.number(count);
    let mut bytes = vec![0; 4];
    bytes.extend(u32::try_from(tables.len()).unwrap().to_le_bytes());
    bytes.extend(tables);
    bytes.extend(columns.into_bytes());
    bytes.extend([0; 13]);
    bytes
}

#[test]
fn a_few_bytes_that_claim_many_domains_are_not_believed() {
    for count in [1 << 15, 1 << 32, u64::MAX] {
        assert!(matches!(decode(VERSION, &claimed(count)), Decoded::SetAside { .. }), "{count}");
    }
    // The same bytes with a count that a host can have: it is the count alone
    // that was not believed.
    let read = (0..13).find_map(|less| {
        let mut bytes = claimed(1 << 7);
        bytes.truncate(bytes.len() - less);
        if let Decoded::Read(cycle) = decode(VERSION, &bytes) { Some(cycle) } else { None }
    });
    assert_eq!(read.map(|cycle| (cycle.number, cycle.domains.len())), Some((7, 1 << 7)));
}

const NONE_YET: Missing = Missing::new(Why::NotOffered);

/// A domain as all idle ones are: nothing but their ids differ.
fn idle(id: usize, vcpus: usize, disks: &[&str], nics: &[&str]) -> Domain {
    let vcpu = |index| Vcpu {
        index: u32::try_from(index).unwrap(),
        percent: Err(NONE_YET),
        steal_percent: Err(NONE_YET),
        halted: None,
    };
    Domain {
        id: u32::try_from(id).unwrap(),
        name: None,
        missing: Groups::default(),
        disks: disks.iter().map(|name| Disk::missing(name, NONE_YET)).collect(),
        nics: nics
            .iter()
            .map(|name| Nic { name: (*name).into(), missing: None, given: Given(3), rates: [None; 6] })
            .collect(),
        seen: Some(Seen {
            state: DomainState::Running,
            state_reason: 0,
            health: Health::Answering,
            cpu_percent: Err(NONE_YET),
            cpu_cores: None,
            overhead_cores: Err(NONE_YET),
            steal_percent: Err(NONE_YET),
            memory_percent: None,
            memory_rate: None,
            memory_held: false,
            cpu_given: Given(0),
            guest_given: Given(0),
            vcpus: (0..vcpus).map(vcpu).collect(),
            job: None,
        }),
    }
}

/// The bare cycle of an idle host: the fewest bytes that there can be.
fn bare(domains: Vec<Domain>) -> Cycle {
    Cycle { host: None, load: None, domains, ..Any(1).cycle(0) }
}

#[test]
fn large_hosts_whose_guests_are_all_alike_are_read() {
    let of = |domains: usize, vcpus, disks: &[&str], nics: &[&str]| {
        bare((1..=domains).map(|id| idle(id, vcpus, disks, nics)).collect())
    };
    let (disks, nics) = (["vda", "vdb", "vdc", "sda"], ["a", "b", "c", "d"]);
    let many: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (what, cycle) in [
        ("10,000 domains", of(10_000, 2, &disks[..1], &nics[..1])),
        ("10,000 domains of several devices", of(10_000, 8, &disks, &nics)),
        ("500 domains of 64 vCPUs", of(500, 64, &disks[..2], &nics[..1])),
        ("100 domains of 128 vCPUs", of(100, 128, &[], &[])),
        ("one of 512 vCPUs", of(1, 512, &[], &[])),
        ("one of QEMU's most vCPUs", of(1, 4096, &disks[..1], &[])),
        ("two of QEMU's most vCPUs", of(2, 4096, &[], &[])),
        ("one of many devices", of(1, 1, &many, &many)),
        ("40 of many devices", of(40, 1, &many, &many)),
        ("two", of(2, 1, &disks[..1], &nics[..1])),
    ] {
        let bytes = encode::encode(&cycle);
        assert!(matches!(decode(VERSION, &bytes), Decoded::Read(_)), "{what}: {} bytes", bytes.len());
        assert!(read(&bytes) == cycle, "{what}");
    }
}

#[test]
fn few_bytes_never_take_much_memory() {
    let same = |count| vec![""; count];
    let shapes: [(&str, &dyn Fn(usize) -> Cycle); 4] = [
        ("disks", &|count| bare(vec![idle(1, 0, &same(count), &[])])),
        ("NICs", &|count| bare(vec![idle(1, 0, &[], &same(count))])),
        ("vCPUs", &|count| bare(vec![idle(1, count, &[], &[])])),
        ("domains", &|count| bare((0..count).map(|_| idle(1, 1, &[""], &[""])).collect())),
    ];
    for (what, shape) in shapes {
        let mut most = 0;
        for count in [1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16] {
            let bytes = encode::encode(&shape(count));
            assert!(bytes.len() < 150, "all that is alike costs nothing: {}", bytes.len());
            if let Decoded::Read(cycle) = decode(VERSION, &bytes) {
                most = count;
                assert!(cycle.held() < 2 << 20, "{what}: {} of {} bytes", cycle.held(), bytes.len());
            }
        }
        assert!((1 << 6..1 << 15).contains(&most), "{what}: {most}");
    }
}

#[test]
fn texts_and_reasons_that_few_bytes_claim_are_not_believed() {
    // Tables of `reasons` alike and of `texts` that are all empty.
    let tables = |reasons: usize, texts: usize| {
        let mut tables = Writer::default();
        tables.number(reasons as u64);
        for _ in 0..3 {
            tables.column(&vec![0; reasons]);
        }
        tables.number(texts as u64);
        tables.column(&vec![0; texts]);
        let tables = tables.into_bytes();
        let cycle = encode::encode(&bare(Vec::new()));
        assert_eq!(cycle[..8], [0, 0, 0, 0, 2, 0, 0, 0], "it has neither, which takes two bytes");
        let size = u32::try_from(tables.len()).unwrap().to_le_bytes();
        [&[0; 4], &size[..], &tables, &cycle[10..]].concat()
    };
    let is_read = |reasons, texts| matches!(decode(VERSION, &tables(reasons, texts)), Decoded::Read(_));
    assert!(is_read(0, 0) && is_read(1, 1) && is_read(8, 0));
    assert!(!is_read(0, 2), "the second text would be the first again");
    assert!(!is_read(0, 1 << 18) && !is_read(1 << 18, 0));
}
