//! A cycle's lines as numbers: our own four measurements and nothing else.
//!
//! Strict and bounded: a line that is not as the encoder writes it is passed
//! over, and none takes more memory than it has bytes. It knows what a line
//! says, not what a zero in it means.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use crate::model::WallTime;

/// What the lines of one domain say; `None`: no such field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) id: u32,
    pub(super) uuid: Uuid,
    pub(super) name: Arc<str>,
    /// When it was read.
    pub(super) at: WallTime,
    /// libvirt's code.
    pub(super) state: Option<u64>,
    pub(super) cpu_count: Option<u64>,
    pub(super) memory_max: Option<u64>,
    pub(super) memory_used: Option<u64>,
    pub(super) cpu_time: Option<u64>,
    /// `vm_features.memory_rate_kb_per_sec`
    pub(super) memory_rate: Option<f64>,
    pub(super) nics: Vec<Device<8>>,
    pub(super) disks: Vec<Device<5>>,
    pub(super) balloon: Option<u64>,
    pub(super) rss: Option<u64>,
    /// Available, usable, unused, swap in and out, major and minor faults,
    /// disk caches: the order of the local part's mask.
    pub(super) guest: [Option<u64>; 8],
    /// User and system time.
    pub(super) cpu_split: [Option<u64>; 2],
    /// Whether its first line is there, and its last.
    pub(super) begins: bool,
    pub(super) ends: bool,
    /// Bytes received and sent, read and written, over all its devices.
    sums: [Option<u64>; 4],
}

impl Told {
    /// Whether no line of it was lost, as far as the lines themselves tell.
    pub(super) fn is_whole(&self) -> bool {
        self.begins && self.ends
    }

    /// Whether all lines of its NICs are there: the totals are their sum. Not
    /// so where one that failed stood in the totals with its last counters.
    pub(super) fn has_all_nics(&self) -> bool {
        let [rx, tx, ..] = self.sums;
        self.is_whole() && rx == Some(sum(&self.nics, 0)) && tx == Some(sum(&self.nics, 4))
    }

    /// The same of its disks.
    pub(super) fn has_all_disks(&self) -> bool {
        let [.., read, written] = self.sums;
        self.is_whole() && read == Some(sum(&self.disks, 1)) && written == Some(sum(&self.disks, 3))
    }
}

fn sum<const N: usize>(devices: &[Device<N>], column: usize) -> u64 {
    devices.iter().filter_map(|device| device.counters[column]).fold(0, u64::saturating_add)
}

/// One device's counters, in the order of the line's fields.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Device<const N: usize> {
    pub(super) name: Arc<str>,
    pub(super) counters: [Option<u64>; N],
}

const NIC: [&[u8]; 8] =
    [b"rxbytes", b"rxpackets", b"rxerrors", b"rxdrops", b"txbytes", b"txpackets", b"txerrors", b"txdrops"];
const DISK: [&[u8]; 5] = [b"rd_req", b"rd_bytes", b"wr_reqs", b"wr_bytes", b"errors"];
const GUEST: [&[u8]; 8] = [
    b"memavailable",
    b"memusable",
    b"memunused",
    b"memswap_in",
    b"memswap_out",
    b"memmajor_fault",
    b"memminor_fault",
    b"memdisk_cache",
];
const SPLIT: [&[u8]; 2] = [b"timeusr", b"timesys"];
const SUMS: [&[u8]; 4] = [b"net_rxbytes", b"net_txbytes", b"disk_rd_bytes", b"disk_wr_bytes"];

/// What the lines say, domain by domain in their order.
pub(super) fn lines(text: &[u8]) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(line) = Line::of(line) else { continue };
        // The lines of one domain follow one another.
        match all.last_mut() {
            Some(last) if (last.uuid, last.id) == (line.uuid, line.id) => line.tell(last),
            _ => {
                let mut told = Told {
                    id: line.id,
                    uuid: line.uuid,
                    name: line.name.as_ref().into(),
                    at: line.at,
                    ..Told::default()
                };
                line.tell(&mut told);
                all.push(told);
            }
        }
    }
    all
}

/// The timestamp of a line.
pub(super) fn stamp(line: &[u8]) -> Option<WallTime> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let at = line.iter().rposition(|byte| *byte == b' ')?;
    std::str::from_utf8(&line[at + 1..]).ok()?.parse().ok().map(WallTime)
}

/// Uuid and stored name of the domain that a line is of.
pub(super) fn whose(line: &[u8]) -> Option<(Uuid, Cow<'_, str>)> {
    let line = Line::of(line.strip_suffix(b"\n").unwrap_or(line))?;
    Some((line.uuid, line.name))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Measurement {
    Metrics,
    Features,
    Devices,
    Totals,
}

/// One line, its fields still as they are written.
struct Line<'a> {
    measurement: Measurement,
    id: u32,
    uuid: Uuid,
    name: Cow<'a, str>,
    /// `devtype` and `device`.
    device: Option<(&'a str, Cow<'a, str>)>,
    fields: &'a [u8],
    at: WallTime,
}

impl<'a> Line<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let (measurement, rest) = cut(line, b',')?;
        let measurement = match measurement {
            b"vm_metrics" => Measurement::Metrics,
            b"vm_features" => Measurement::Features,
            b"vm_devices" => Measurement::Devices,
            b"vm_totals" => Measurement::Totals,
            _ => return None,
        };
        let (tags, rest) = cut(rest, b' ')?;
        // Fields hold a blank in no value of ours.
        let (fields, at) = cut(rest, b' ')?;
        let mut tags = Tags(Some(tags));
        let id = std::str::from_utf8(tags.value(b"VMID")?).ok()?.parse().ok()?;
        let name = unescaped(tags.value(b"name")?)?;
        let uuid = Uuid::try_parse_ascii(tags.value(b"uuid")?).ok()?;
        let device = if measurement == Measurement::Devices {
            let kind = std::str::from_utf8(tags.value(b"devtype")?).ok()?;
            Some((kind, unescaped(tags.value(b"device")?)?))
        } else {
            None
        };
        let at = WallTime(std::str::from_utf8(at).ok()?.parse().ok()?);
        Some(Self { measurement, id, uuid, name, device, fields, at })
    }

    fn tell(&self, told: &mut Told) {
        match (self.measurement, &self.device) {
            (Measurement::Metrics, _) => {
                (told.at, told.begins) = (self.at, true);
                self.each(|key, value| match key {
                    b"cpu_count" => told.cpu_count = whole(value),
                    b"memory_max_kb" => told.memory_max = whole(value),
                    b"memory_used_kb" => told.memory_used = whole(value),
                    b"cputime_ns" => told.cpu_time = whole(value),
                    _ => {}
                });
            }
            (Measurement::Features, _) => self.each(|key, value| {
                if key == b"memory_rate_kb_per_sec" {
                    told.memory_rate = real(value);
                }
            }),
            (Measurement::Devices, Some(("nic", name))) => {
                told.nics.push(Device { name: name.as_ref().into(), counters: self.columns(&NIC) });
            }
            (Measurement::Devices, Some(("disk", name))) => {
                told.disks.push(Device { name: name.as_ref().into(), counters: self.columns(&DISK) });
            }
            (Measurement::Devices, _) => {}
            (Measurement::Totals, _) => {
                told.guest = self.columns(&GUEST);
                told.cpu_split = self.columns(&SPLIT);
                told.sums = self.columns(&SUMS);
                told.ends = true;
                self.each(|key, value| match key {
                    b"memactual" => told.balloon = whole(value),
                    b"memrss" => told.rss = whole(value),
                    b"state" => told.state = whole(value),
                    _ => {}
                });
            }
        }
    }

    fn each(&self, mut take: impl FnMut(&[u8], &[u8])) {
        for field in self.fields.split(|byte| *byte == b',') {
            if let Some((key, value)) = cut(field, b'=') {
                take(key, value);
            }
        }
    }

    fn columns<const N: usize>(&self, keys: &[&[u8]; N]) -> [Option<u64>; N] {
        let mut values = [None; N];
        self.each(|key, value| {
            if let Some(place) = keys.iter().position(|known| *known == key) {
                values[place] = whole(value);
            }
        });
        values
    }
}

/// Tags that are still to be read, in their fixed order.
struct Tags<'a>(Option<&'a [u8]>);

impl<'a> Tags<'a> {
    /// The next tag's value, if it is that of `key`.
    fn value(&mut self, key: &[u8]) -> Option<&'a [u8]> {
        let rest = self.0.take()?.strip_prefix(key)?.strip_prefix(b"=")?;
        match cut(rest, b',') {
            Some((value, rest)) => {
                self.0 = Some(rest);
                Some(value)
            }
            None => Some(rest),
        }
    }
}

/// Both sides of the first of these characters that is not escaped.
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let found = from + text.get(from..)?.iter().position(|byte| *byte == at)?;
        if found == 0 || text[found - 1] != b'\\' {
            return Some((&text[..found], &text[found + 1..]));
        }
        from = found + 1;
    }
}

/// A tag's value as it was before it was escaped.
fn unescaped(value: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(value).ok()?;
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escapes = c == '\\' && rest.peek().is_some_and(|next| matches!(next, ',' | '=' | ' '));
        plain.push(if escapes { rest.next()? } else { c });
    }
    Some(Cow::Owned(plain))
}

/// `123i`
fn whole(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value.strip_suffix(b"i")?).ok()?.parse().ok()
}

fn real(value: &[u8]) -> Option<f64> {
    std::str::from_utf8(value).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: &str = "VMID=7,name=a\\ b\\,c\\=d\\e,uuid=550e8400-e29b-41d4-a716-446655440000";

    fn example() -> String {
        [
            "vm_metrics,TAGS,host=h\\ 1 state=\"running\",cpu_count=2i,memory_used_kb=5i,cputime_ns=99i 1700",
            "vm_features,TAGS,host=h\\ 1 memory_rate_kb_per_sec=-1.5,memory_angle_deg=-56.3 1700",
            "vm_devices,TAGS,devtype=nic,device=vnet0,host=h\\ 1 rxbytes=1i,txdrops=9223372036854775807i 1700",
            "vm_devices,TAGS,devtype=disk,device=a\\,b rd_req=3i,errors=0i 1700",
            "vm_totals,TAGS,host=h\\ 1 memactual=8i,memusable=6i,timesys=4i,state=1i,net_rxbytes=1i 1700",
            "",
        ]
        .join("\n")
        .replace("TAGS", TAGS)
    }

    #[test]
    fn each_measurement_tells_its_part_of_a_domain() {
        let told = lines(example().as_bytes());
        let [told] = &*told else { panic!("{told:?}") };
        assert_eq!((told.id, &*told.name, told.at), (7, "a b,c=d\\e", WallTime(1700)));
        assert_eq!(
            (told.state, told.cpu_count, told.memory_max, told.memory_used),
            (Some(1), Some(2), None, Some(5))
        );
        assert_eq!((told.cpu_time, told.memory_rate, told.balloon), (Some(99), Some(-1.5), Some(8)));
        assert_eq!((told.guest[1], told.cpu_split), (Some(6), [None, Some(4)]));
        assert_eq!((&*told.nics[0].name, told.nics[0].counters[7]), ("vnet0", Some(i64::MAX.unsigned_abs())));
        assert_eq!(
            (&*told.disks[0].name, told.disks[0].counters),
            ("a,b", [Some(3), None, None, None, Some(0)])
        );
    }

    #[test]
    fn what_is_not_as_we_write_it_is_passed_over() {
        for line in [
            "",
            "cpu,VMID=1,name=a,uuid=550e8400-e29b-41d4-a716-446655440000 x=1i 7",
            "vm_metrics,VMID=1,uuid=550e8400-e29b-41d4-a716-446655440000 x=1i 7",
            "vm_metrics,VMID=-1,name=a,uuid=550e8400-e29b-41d4-a716-446655440000 x=1i 7",
            "vm_metrics,VMID=1,name=a,uuid=550e8400 x=1i 7",
            "vm_metrics,VMID=1,name=a,uuid=550e8400-e29b-41d4-a716-446655440000 x=1i",
            "vm_metrics,VMID=1,name=a,uuid=550e8400-e29b-41d4-a716-446655440000 x=1i 7e9",
            "vm_devices,VMID=1,name=a,uuid=550e8400-e29b-41d4-a716-446655440000 rxbytes=1i 7",
        ] {
            assert_eq!(lines(line.as_bytes()), [], "{line}");
        }
        let odd = "vm_metrics,VMID=1,name=a,uuid=550e8400-e29b-41d4-a716-446655440000 \
                   cpu_count=-1i,cputime_ns=1.5,memory_max_kb=12 7";
        let told = lines(odd.as_bytes());
        assert_eq!((told[0].cpu_count, told[0].cpu_time, told[0].memory_max), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_passed_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = lines(&bytes);
        }

        #[test]
        fn an_example_that_was_altered_takes_no_more_than_it_has(
            hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = example().into_bytes();
            for (place, byte) in hits {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let told = lines(&bytes);
            prop_assert!(told.len() <= 11);
            prop_assert!(told.iter().map(|told| told.name.len()).sum::<usize>() <= bytes.len());
        }
    }
}
