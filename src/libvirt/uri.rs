//! The connection URI: what is wrong with it before libvirt is asked, what is
//! added to it, and how it may be shown.

use std::{borrow::Cow, path::PathBuf};

/// How libvirt is reached, as far as advice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A local socket.
    Local,
    /// ssh, by whichever client.
    Ssh,
    /// TCP or TLS to a remote daemon.
    Network,
    /// The built-in test hypervisor: no daemon at all.
    Builtin,
}

/// The parts of a URI that matter here. Never fails: what is wrong with it is
/// told by [`fault`].
struct Parts<'a> {
    driver: &'a str,
    transport: Option<&'a str>,
    /// Between `//` and the path.
    authority: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

fn parts(uri: &str) -> Parts<'_> {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let (driver, transport) = match scheme.split_once('+') {
        Some((driver, transport)) => (driver, Some(transport)),
        None => (scheme, None),
    };
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = match path.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", path),
    };
    Parts { driver, transport, authority, path, query }
}

/// Whether everything this URI shows is a demonstration: it names libvirt's
/// built-in test hypervisor.
#[must_use]
pub fn is_demo(uri: &str) -> bool {
    parts(uri).driver.eq_ignore_ascii_case("test")
}

pub(super) fn way(uri: &str) -> Way {
    let parts = parts(uri);
    // libvirt takes it in any case.
    let transport = parts.transport.map(str::to_ascii_lowercase);
    match transport.as_deref() {
        Some("ssh" | "libssh" | "libssh2") => Way::Ssh,
        Some("unix" | "ext") => Way::Local,
        None if parts.authority.is_empty() && is_demo(uri) => Way::Builtin,
        None if parts.authority.is_empty() => Way::Local,
        Some(_) | None => Way::Network,
    }
}

/// Whether what the URI reaches is certainly this machine: a local socket. A
/// command (`ext`) may lead anywhere, and so may a word without a scheme.
#[must_use]
pub fn is_this_machine(uri: &str) -> bool {
    let parts = parts(uri);
    !parts.driver.is_empty() && parts.authority.is_empty() && matches!(parts.transport, None | Some("unix"))
}

/// What to do where libvirt has not answered: on which machine to look.
#[must_use]
pub fn hang_advice(uri: &str) -> &'static str {
    if is_this_machine(uri) {
        "see whether libvirtd or virtqemud hangs (systemctl status libvirtd virtqemud)"
    } else {
        "see whether the host that it names can be reached and, on that host, whether libvirtd or virtqemud \
         hangs (systemctl status libvirtd virtqemud)"
    }
}

/// What is plainly wrong with `uri`, before anything is connected.
pub(super) fn fault(uri: &str) -> Option<&'static str> {
    if uri.trim().is_empty() {
        return Some("it is empty");
    }
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Some("it holds a space or a control character (write a space as %20)");
    }
    let Some((scheme, _)) = uri.split_once(':') else {
        // What it stands for would be known to libvirt alone: neither could
        // ssh be kept from the terminal, nor a demonstration be called one.
        let alias = uri.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        return Some(if alias {
            "it has no scheme, such as qemu: in front; in place of an alias of libvirt.conf, give the URI that \
             it stands for"
        } else {
            "it has no scheme, such as qemu: in front"
        });
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
        return Some("it has no scheme, such as qemu: in front");
    }
    let driver = parts(uri).driver.to_ascii_lowercase();
    if !DRIVERS.contains(&driver.as_str()) {
        return Some("libvirt has no hypervisor driver of that name");
    }
    None
}

/// The hypervisor drivers of libvirt, and `remote`, which lets the other side
/// choose. Without this list a slip of the pen would read as "no daemon".
const DRIVERS: [&str; 19] = [
    "qemu",
    "test",
    "lxc",
    "xen",
    "libxl",
    "ch",
    "bhyve",
    "vbox",
    "vz",
    "parallels",
    "openvz",
    "esx",
    "gsx",
    "vpx",
    "hyperv",
    "vmwareplayer",
    "vmwarews",
    "vmwarefusion",
    "remote",
];

/// The file that the built-in test hypervisor would read its host from.
pub(super) fn builtin_file(uri: &str) -> Option<PathBuf> {
    if way(uri) != Way::Builtin {
        return None;
    }
    let path = parts(uri).path;
    (!matches!(path, "/default" | "/" | "")).then(|| percent_decoded(path).into())
}

/// The URI to hand to libvirt: over ssh, the ssh client is kept from taking
/// the terminal to ask for a password, a passphrase or about a host key,
/// whatever the URI says to that. Of two settings libvirt takes the last.
pub(super) fn to_open(uri: &str) -> Cow<'_, str> {
    let parts = parts(uri);
    if !parts.transport.is_some_and(|transport| transport.eq_ignore_ascii_case("ssh")) {
        return Cow::Borrowed(uri);
    }
    let (head, fragment) = match uri.find('#') {
        Some(place) => uri.split_at(place),
        None => (uri, ""),
    };
    let joint = match parts.query {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    Cow::Owned(format!("{head}{joint}no_tty=1{fragment}"))
}

/// The URI as it may be shown: without user, password or a secret in the
/// query, and without anything that could disturb a terminal.
#[must_use]
pub fn masked(uri: &str) -> String {
    let parts = parts(uri);
    let mut shown = uri.to_owned();
    if let Some(user) = user_info(uri) {
        shown = shown.replacen(&format!("//{user}@"), "//***@", 1);
    }
    for value in secret_values(parts.query) {
        shown = shown.replace(&format!("={value}"), "=***");
    }
    crate::model::name::storable(&shown).into_owned()
}

/// User and password of a URI. A password with a raw `/`, `?`, `#` or `@` in
/// it makes no valid URI, and is told apart from a host all the same: it is
/// a secret, and the error about the URI would show it.
fn user_info(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let first = authority.split('@').next().unwrap_or(authority);
    let password = first.split_once(':').is_some_and(|(_, after)| {
        let port = after.bytes().all(|b| b.is_ascii_digit());
        !first.starts_with('[') && (!port || authority.contains('@'))
    });
    let within = if password { rest } else { authority };
    within.rsplit_once('@').map(|(user, _)| user)
}

/// `text` from libvirt without what the URI keeps secret, on one line.
pub(super) fn scrubbed(text: &str, uri: &str) -> String {
    let parts = parts(uri);
    let mut text = text.replace(&*to_open(uri), &masked(uri)).replace(uri, &masked(uri));
    if let Some(user) = user_info(uri) {
        if user.len() > 2 {
            text = text.replace(&format!("{user}@"), "***@");
        }
        if let Some((_, password)) = user.split_once(':').filter(|(_, password)| !password.is_empty()) {
            text = text.replace(password, "***").replace(&percent_decoded(password), "***");
        }
    }
    for value in secret_values(parts.query) {
        text = text.replace(value, "***");
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::model::name::storable(&line).into_owned()
}

fn secret_values(query: Option<&str>) -> impl Iterator<Item = &str> {
    let pairs = query.unwrap_or("").split(['&', ';']).filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(key, value)| {
        let key = key.to_ascii_lowercase();
        let secret = ["pass", "secret", "token"].iter().any(|word| key.contains(word));
        (secret && !value.is_empty()).then_some(value)
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code {
            Some(code) if first == b'%' => {
                bytes.push(code);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Way, builtin_file, fault, hang_advice, is_demo, masked, scrubbed, to_open, way};

    #[test]
    fn good_uris_pass_and_bad_ones_say_what_is_wrong() {
        for good in [
            "qemu:///system",
            "qemu+ssh://me@host:22/system?keyfile=/k",
            "test:///default",
            "test:///a/b.xml",
            "qemu+unix:///system?socket=/run/x",
            "esx://host/?no_verify=1",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        for (bad, word) in [
            ("", "empty"),
            ("  ", "empty"),
            ("qemu:///sys tem", "space"),
            ("qemu:///\0", "control"),
            ("/var/run/x", "no scheme"),
            ("my-alias_2", "alias"),
            ("://x", "no scheme"),
            ("1:2", "no scheme"),
            ("http://localhost:8086", "no hypervisor"),
            ("quemu:///system", "no hypervisor"),
            ("ssh://host", "no hypervisor"),
        ] {
            assert!(fault(bad).is_some_and(|fault| fault.contains(word)), "{bad:?}: {:?}", fault(bad));
        }
    }

    #[test]
    fn ssh_is_kept_from_the_terminal_whatever_the_uri_says() {
        for (uri, opened) in [
            ("qemu+ssh://h/system", "qemu+ssh://h/system?no_tty=1"),
            ("qemu+ssh://h/system?", "qemu+ssh://h/system?no_tty=1"),
            ("qemu+ssh://h/system?keyfile=/k", "qemu+ssh://h/system?keyfile=/k&no_tty=1"),
            ("qemu+ssh://h/system?no_tty=0&a=b", "qemu+ssh://h/system?no_tty=0&a=b&no_tty=1"),
            ("qemu+SSH://h/system#x", "qemu+SSH://h/system?no_tty=1#x"),
            ("qemu+libssh2://h/system", "qemu+libssh2://h/system"),
            ("qemu:///system", "qemu:///system"),
        ] {
            assert_eq!(to_open(uri), opened);
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for (uri, shown) in [
            ("qemu:///system", "qemu:///system"),
            ("qemu+ssh://root@host:22/system", "qemu+ssh://***@host:22/system"),
            ("qemu+tcp://u:p%40ss@[::1]/system", "qemu+tcp://***@[::1]/system"),
            ("esx://u:p@h/?password=hunter2&no_verify=1", "esx://***@h/?password=***&no_verify=1"),
            ("test:///a\n\u{202e}b", "test:///a__b"),
            ("qemu+tcp://u:p/w@host/system", "qemu+tcp://***@host/system"),
            ("qemu+tcp://u:p#w@host/system", "qemu+tcp://***@host/system"),
            ("qemu+tcp://u:p@w/x@host/system", "qemu+tcp://***@host/system"),
            ("qemu+ssh://host:22/system?keyfile=/a@b", "qemu+ssh://host:22/system?keyfile=/a@b"),
            ("qemu+tcp://[::1]:16509/system?x=a@b", "qemu+tcp://[::1]:16509/system?x=a@b"),
            ("test:///a@b:c@d.xml", "test:///a@b:c@d.xml"),
        ] {
            assert_eq!(masked(uri), shown);
        }
        let uri = "qemu+tcp://bob:p%40ss@host/system";
        let said = scrubbed(
            "cannot open qemu+tcp://bob:p%40ss@host/system:\n p@ss (p%40ss)\tof bob:p%40ss@host",
            uri,
        );
        assert_eq!(said, "cannot open qemu+tcp://***@host/system: *** (***) of ***@host");
        let uri = "qemu+ssh://bob:hun#ter2@host/system";
        let said = scrubbed(&format!("Unable to parse URI {}", to_open(uri)), uri);
        assert_eq!(said, "Unable to parse URI qemu+ssh://***@host/system");
    }

    #[test]
    fn the_advice_on_a_silent_libvirt_names_the_machine_to_look_on() {
        for uri in ["qemu:///system", "qemu+unix:///system?socket=/run/x"] {
            assert!(!hang_advice(uri).contains("on that host"), "{uri}");
        }
        for uri in ["qemu+ssh://u@h/system", "qemu+tls://h/system", "qemu://h/system"] {
            let advice = hang_advice(uri);
            assert!(advice.contains("on that host, whether libvirtd or virtqemud hangs"), "{advice}");
        }
    }

    #[test]
    fn the_way_and_the_demo_follow_from_the_uri() {
        for (uri, expected) in [
            ("qemu:///system", Way::Local),
            ("qemu+unix:///system", Way::Local),
            ("qemu+ssh://h/system", Way::Ssh),
            ("qemu+libssh://h/system", Way::Ssh),
            ("qemu+SSH://h/system", Way::Ssh),
            ("qemu+tcp://h/system", Way::Network),
            ("qemu://h/system", Way::Network),
            ("test:///default", Way::Builtin),
            ("test://h/default", Way::Network),
        ] {
            assert_eq!(way(uri), expected, "{uri}");
        }
        assert!(is_demo("test:///default") && is_demo("TEST:///x") && is_demo("test+tcp://h/default"));
        assert!(!is_demo("qemu:///test") && !is_demo("test"));
        for (uri, file) in [
            ("test:///default", None),
            ("test:///", None),
            ("qemu:///system", None),
            ("test+ssh://h/a.xml", None),
            ("test:///a%20b/c.xml?x", Some("/a b/c.xml")),
            ("test:c.xml", Some("c.xml")),
        ] {
            assert_eq!(builtin_file(uri), file.map(Into::into), "{uri}");
        }
    }
}
