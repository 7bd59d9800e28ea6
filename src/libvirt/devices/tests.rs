use super::devices;
use crate::model::{DomainDevices, Why, domain::Balloon};

fn with(devices_xml: &str) -> DomainDevices {
    devices(&format!("<domain type='kvm' id='7'><name>x</name><devices>{devices_xml}</devices></domain>"))
        .unwrap()
}

#[test]
fn a_live_nic_goes_by_its_target_and_the_host_counts_it() {
    let found = with(
        "<interface type='network'><mac address='52:54:00:01:02:03'/>
           <source network='default' portid='1' bridge='virbr0'/><target dev='vnet3'/>
           <model type='virtio'/><alias name='net0'/></interface>
         <interface type='bridge'><source bridge='br0'/><target dev='vnet4'/></interface>
         <interface type='direct'><source dev='eth0' mode='bridge'/><target dev='macvtap0'/></interface>
         <interface type='ethernet'><target dev='tap-x'/></interface>",
    );
    let nic = &found.nics[0];
    assert_eq!((&*nic.name, nic.uncounted), ("vnet3", None));
    assert_eq!(nic.alias.as_deref(), Some("net0"));
    assert_eq!(nic.model.as_deref(), Some("virtio"));
    assert_eq!(nic.mac.as_deref(), Some("52:54:00:01:02:03"));
    assert_eq!(nic.source.as_deref(), Some("virbr0"));
    let rest: Vec<_> = found.nics[1..].iter().map(|n| (&*n.name, n.source.as_deref(), n.uncounted)).collect();
    assert_eq!(rest, [("vnet4", Some("br0"), None), ("macvtap0", Some("eth0"), None), ("tap-x", None, None)]);
}

#[test]
fn nics_that_the_host_cannot_count_go_by_their_alias_and_say_why() {
    let found = with(
        "<interface type='hostdev'><source><address type='pci' domain='0x0000' bus='0x03' slot='0x10'
           function='0x1'/></source><alias name='hostdev0'/></interface>
         <interface type='user'><target dev='ignored0'/><alias name='net1'/></interface>
         <interface type='user'/>
         <interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/><alias name='net3'/></interface>
         <hostdev mode='capabilities' type='net'><source><interface>eth7</interface></source></hostdev>
         <hostdev mode='subsystem' type='pci'><source><address bus='0x01' slot='0x0'/></source></hostdev>",
    );
    let nics: Vec<_> = found.nics.iter().map(|n| (&*n.name, n.uncounted, n.source.as_deref())).collect();
    assert_eq!(
        nics,
        [
            ("hostdev0", Some(Why::HostdevNic), Some("0000:03:10.1")),
            ("ignored0", Some(Why::UserModeNic), None),
            ("net2", Some(Why::UserModeNic), None),
            ("net3", Some(Why::UnnamedNic), Some("/dev/vhost-vdpa-0")),
            ("net4", Some(Why::HostdevNic), Some("eth7")),
        ]
    );
}

#[test]
fn a_nic_of_an_inactive_domain_has_no_target_yet() {
    let found = with("<interface type='network'><source network='default'/></interface>");
    assert_eq!((&*found.nics[0].name, found.nics[0].uncounted), ("net0", Some(Why::UnnamedNic)));
    assert_eq!(found.nics[0].source.as_deref(), Some("default"));
}

#[test]
fn names_are_unique_whatever_the_xml_says() {
    let found = with(
        "<interface type='ethernet'><target dev='a'/></interface>
         <interface type='ethernet'><target dev='a'/></interface>
         <interface type='ethernet'><target dev='a#2'/></interface>
         <interface type='user'><alias name='a'/></interface>
         <disk><target dev='vda'/></disk><disk><target dev='vda'/></disk><disk/>",
    );
    let names: Vec<_> = found.nics.iter().map(|n| &*n.name).collect();
    assert_eq!(names, ["a", "a#2", "a#2#2", "a#3"]);
    let names: Vec<_> = found.disks.iter().map(|d| &*d.name).collect();
    assert_eq!(names, ["vda", "vda#2", "disk2"]);
}

#[test]
fn each_kind_of_disk_says_where_it_lives() {
    let found = with(
        "<disk type='file' device='disk'><source file='/a.qcow2' index='1'/><backingStore type='file'>
           <source file='/base.qcow2'/></backingStore><target dev='vda' bus='virtio'/></disk>
         <disk type='block' device='lun'><source dev='/dev/sdb'/><target dev='sda' bus='scsi'/></disk>
         <disk type='network'><source protocol='rbd' name='pool/image'/><target dev='vdb' bus='virtio'/></disk>
         <disk type='volume'><source pool='p' volume='v'/><target dev='vdc' bus='virtio'/></disk>
         <disk type='nvme'><source type='pci' namespace='1'><address domain='0' bus='0x02' slot='0x00'
           function='0x0'/></source><target dev='vdd'/></disk>
         <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/><readonly/></disk>
         <disk type='file' device='floppy'><source file=''/><target dev='fda' bus='fdc'/></disk>",
    );
    let disks: Vec<_> =
        found.disks.iter().map(|d| (&*d.name, &*d.kind, d.bus.as_deref(), d.source.as_deref())).collect();
    assert_eq!(
        disks,
        [
            ("vda", "disk", Some("virtio"), Some("/a.qcow2")),
            ("sda", "lun", Some("scsi"), Some("/dev/sdb")),
            ("vdb", "disk", Some("virtio"), Some("pool/image")),
            ("vdc", "disk", Some("virtio"), Some("p/v")),
            ("vdd", "disk", None, Some("0000:02:00.0")),
            ("sdb", "cdrom", Some("sata"), None),
            ("fda", "floppy", Some("fdc"), None),
        ]
    );
}

#[test]
fn the_balloon_is_absent_silent_or_reporting() {
    for (xml, expected) in [
        ("", Balloon::Absent),
        ("<memballoon model='none'/>", Balloon::Absent),
        ("<memballoon model='none'><stats period='5'/></memballoon>", Balloon::Absent),
        ("<memballoon model='virtio'/>", Balloon::NoPeriod),
        ("<memballoon model='virtio'><stats period='0'/></memballoon>", Balloon::NoPeriod),
        ("<memballoon model='virtio'><stats period='x'/></memballoon>", Balloon::NoPeriod),
        ("<memballoon model='virtio'><stats period='10'/></memballoon>", Balloon::Period(10)),
    ] {
        assert_eq!(with(xml).balloon, expected, "{xml}");
    }
}

#[test]
fn machine_and_operating_system_are_found() {
    let found = devices(
        "<domain><title>my title</title>
           <metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
             <l:os id='http://debian.org/debian/12'/></l:libosinfo></metadata>
           <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os></domain>",
    )
    .unwrap();
    assert_eq!(found.machine.as_deref(), Some("pc-q35-7.2"));
    assert_eq!(found.os.as_deref(), Some("debian.org/debian/12"));
    let titled = devices("<domain><title> Web\n1 </title></domain>").unwrap();
    assert_eq!(titled.os.as_deref(), Some("Web_1"));
    assert_eq!(devices("<domain/>").unwrap(), DomainDevices::default());
}

#[test]
fn hostile_text_is_rewritten_everywhere() {
    let found = with(
        "<interface type='bridge'><source bridge='b&#10;r'/><target dev='t&#9;ap\\'/><model type='&#x202e;m'/>
         </interface><disk type='file'><source file='/a&#10;b'/><target dev='v&#10;da'/></disk>",
    );
    let nic = &found.nics[0];
    assert_eq!((&*nic.name, nic.source.as_deref(), nic.model.as_deref()), ("t_ap_", Some("b_r"), Some("_m")));
    assert_eq!((&*found.disks[0].name, found.disks[0].source.as_deref()), ("v_da", Some("/a_b")));
}

#[test]
fn what_is_no_domain_xml_is_an_error_that_says_so() {
    for broken in ["", "<domain>", "<network/>", "<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>"] {
        let error = devices(broken).unwrap_err();
        assert!(error.to_string().contains("domain XML cannot be read"), "{error}");
    }
}

#[test]
fn a_hundred_nics_and_disks_are_all_found() {
    let names: Vec<_> = (0..100).map(|n| format!("v{n}")).collect();
    let nic = |name: &String| ["<interface type='ethernet'><target dev='", name, "'/></interface>"].concat();
    let nics: String = names.iter().map(nic).collect();
    assert_eq!(with(&nics).nics.len(), 100);
}
