//! From a domain's XML to its devices.
//!
//! Every name it gives is fit to store and to show, and unique within its
//! domain; nothing else of the XML leaves this file.

use std::{collections::HashSet, sync::Arc};

use roxmltree::{Document, Node};

use crate::model::{
    DomainDevices, Why,
    domain::{Balloon, DiskDevice, NicDevice},
    name::storable,
};

/// The XML could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("libvirt's domain XML cannot be read: {0}")]
pub struct XmlError(String);

impl XmlError {
    /// From the parser's words, which name places and no values.
    pub(super) fn new(error: &roxmltree::Error) -> Self {
        Self(error.to_string())
    }

    /// Of a text of `bytes`, more than the `most` that are read.
    pub(super) fn too_large(bytes: usize, most: usize) -> Self {
        let most = most >> 20;
        Self(format!("it has {bytes} bytes, and no more than {most} MiB are read; use virsh dumpxml"))
    }
}

/// The devices that a domain's XML names. Whether the domain is started with
/// the host is not in its XML.
///
/// # Errors
/// The text is no well-formed XML or its root is not `<domain>`.
pub fn devices(xml: &str) -> Result<DomainDevices, XmlError> {
    let document = Document::parse(xml).map_err(|error| XmlError::new(&error))?;
    let domain = document.root_element();
    if !domain.has_tag_name("domain") {
        return Err(XmlError("its root is not <domain>".into()));
    }
    let mut nics = Vec::new();
    let mut disks = Vec::new();
    let mut balloon = Balloon::Absent;
    for device in children(domain, "devices").flat_map(|devices| devices.children()) {
        match device.tag_name().name() {
            "interface" => nics.push(nic(device, nics.len())),
            "hostdev" if device.attribute("type") == Some("net") => nics.push(nic(device, nics.len())),
            "disk" => disks.push(disk(device, disks.len())),
            "memballoon" => balloon = memballoon(device),
            _ => (),
        }
    }
    make_unique(nics.iter_mut().map(|nic| &mut nic.name));
    make_unique(disks.iter_mut().map(|disk| &mut disk.name));
    let machine = child(domain, "os").and_then(|os| attribute(child(os, "type")?, "machine"));
    Ok(DomainDevices { nics, disks, balloon, machine, os: os(domain), autostart: None })
}

fn nic(device: Node<'_, '_>, place: usize) -> NicDevice {
    let target = child(device, "target").and_then(|target| attribute(target, "dev"));
    let uncounted = match (device.tag_name().name(), device.attribute("type")) {
        ("hostdev", _) | (_, Some("hostdev")) => Some(Why::HostdevNic),
        (_, Some("user")) => Some(Why::UserModeNic),
        _ if target.is_none() => Some(Why::UnnamedNic),
        _ => None,
    };
    let alias = alias(device);
    let source = child(device, "source").and_then(|source| {
        ["bridge", "network", "dev", "path"]
            .iter()
            .find_map(|key| attribute(source, key))
            .or_else(|| child(source, "interface").and_then(text))
            .or_else(|| child(source, "address").and_then(pci))
    });
    NicDevice {
        name: target.or_else(|| alias.clone()).unwrap_or_else(|| format!("net{place}").into()),
        alias,
        uncounted,
        model: child(device, "model").and_then(|model| attribute(model, "type")),
        mac: child(device, "mac").and_then(|mac| attribute(mac, "address")),
        source,
    }
}

fn disk(device: Node<'_, '_>, place: usize) -> DiskDevice {
    let target = child(device, "target");
    let source = child(device, "source").and_then(|source| {
        let pool = source.attribute("pool").zip(source.attribute("volume"));
        ["file", "dev", "dir", "name", "path", "socket"]
            .iter()
            .find_map(|key| attribute(source, key))
            .or_else(|| pool.map(|(pool, volume)| fit(&format!("{pool}/{volume}"))))
            .or_else(|| child(source, "address").and_then(pci))
            .or_else(|| attribute(source, "protocol"))
    });
    DiskDevice {
        name: target
            .and_then(|target| attribute(target, "dev"))
            .unwrap_or_else(|| format!("disk{place}").into()),
        alias: alias(device),
        kind: attribute(device, "device").unwrap_or_else(|| "disk".into()),
        bus: target.and_then(|target| attribute(target, "bus")),
        source,
    }
}

fn alias(device: Node<'_, '_>) -> Option<Arc<str>> {
    child(device, "alias").and_then(|alias| attribute(alias, "name"))
}

fn memballoon(device: Node<'_, '_>) -> Balloon {
    if device.attribute("model") == Some("none") {
        return Balloon::Absent;
    }
    let period = child(device, "stats").and_then(|stats| stats.attribute("period")?.trim().parse().ok());
    match period {
        None | Some(0) => Balloon::NoPeriod,
        Some(seconds) => Balloon::Period(seconds),
    }
}

/// The libosinfo id, without its `http://`; else the domain's title.
fn os(domain: Node<'_, '_>) -> Option<Arc<str>> {
    let id = child(domain, "metadata").and_then(|metadata| {
        let os = metadata.descendants().find(|node| {
            node.tag_name().name() == "os"
                && node.tag_name().namespace().is_some_and(|space| space.contains("libosinfo.org"))
        })?;
        let id = os.attribute("id")?;
        let id = id.strip_prefix("http://").or_else(|| id.strip_prefix("https://")).unwrap_or(id);
        (!id.is_empty()).then(|| fit(id))
    });
    id.or_else(|| child(domain, "title").and_then(text))
}

/// `0000:03:00.1` from an `<address>` of type PCI.
fn pci(address: Node<'_, '_>) -> Option<Arc<str>> {
    let part = |key: &str, default: &'static str| {
        let value = address.attribute(key).unwrap_or(default);
        u32::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()
    };
    let (bus, slot) = (address.attribute("bus")?, address.attribute("slot")?);
    if bus.is_empty() || slot.is_empty() {
        return None;
    }
    let (domain, bus) = (part("domain", "0")?, part("bus", "0")?);
    let (slot, function) = (part("slot", "0")?, part("function", "0")?);
    Some(format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}").into())
}

/// Gives a second device of the same name a name of its own.
fn make_unique<'a>(names: impl Iterator<Item = &'a mut Arc<str>>) {
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    for name in names {
        let mut number = 2;
        let first = Arc::clone(name);
        while !seen.insert(Arc::clone(name)) {
            *name = format!("{first}#{number}").into();
            number += 1;
        }
    }
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &'static str) -> Option<Node<'a, 'input>> {
    children(node, name).next()
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<Arc<str>> {
    node.attribute(name).filter(|value| !value.is_empty()).map(fit)
}

fn text(node: Node<'_, '_>) -> Option<Arc<str>> {
    node.text().map(str::trim).filter(|text| !text.is_empty()).map(fit)
}

fn fit(raw: &str) -> Arc<str> {
    storable(raw).into()
}

#[cfg(test)]
mod tests;
