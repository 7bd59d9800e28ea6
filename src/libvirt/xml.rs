//! A domain's XML, made fit to be shown.
//!
//! It is asked for without `VIR_DOMAIN_XML_SECURE`, so libvirt leaves out the
//! passwords it knows of. It knows nothing of what an operator hands to QEMU
//! directly or keeps in metadata: what looks like a secret there is masked.
//! Nothing else of the text is changed but characters that control a terminal.

use std::ops::Range;

use roxmltree::{Attribute, Document, Node};

use super::devices::XmlError;
use crate::model::name::is_unfit;

const MASK: &str = "***";

/// Attributes whose whole value is a secret.
const SECRET_ATTRIBUTES: [&str; 4] = ["passwd", "password", "passphrase", "token"];
/// Elements whose whole text is a secret, wherever they stand.
const SECRET_ELEMENTS: [&str; 8] =
    ["passwd", "password", "passphrase", "token", "cookie", "secret-value", "private-key", "credential"];
/// What stands before a secret within a text, whatever the case.
const SECRET_WORDS: [&str; 8] =
    ["passwd=", "password=", "passphrase=", "pass=", "secret=", "token=", "apikey=", "api_key="];
/// Beginnings of firmware or SMBIOS entries that hold a credential as a whole.
const CREDENTIALS: [&str; 2] = ["io.systemd.credential", "opt/io.systemd.credentials"];

/// `xml` without secrets and without anything that could control a terminal.
///
/// # Errors
/// The text is no well-formed XML, so that nobody can tell what is in it.
pub(super) fn to_show(xml: &str) -> Result<String, XmlError> {
    let document = Document::parse(xml).map_err(|error| XmlError::new(&error))?;
    let mut secrets: Vec<Range<usize>> = Vec::new();
    for node in document.root().descendants() {
        for attribute in node.attributes() {
            of_attribute(node, attribute, xml, &mut secrets);
        }
        if node.is_text() || node.is_comment() {
            of_text(node, xml, &mut secrets);
        }
    }
    secrets.sort_by_key(|secret| (secret.start, secret.end));
    let mut shown = String::with_capacity(xml.len());
    let mut from = 0;
    for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
        if secret.start >= from {
            shown.push_str(&xml[from..secret.start]);
            shown.push_str(MASK);
        }
        from = from.max(secret.end);
    }
    shown.push_str(&xml[from..]);
    Ok(shown
        .chars()
        .filter(|&c| c != '\r')
        .map(|c| match c {
            '\n' => c,
            '\t' => ' ',
            c if is_unfit(c) => '_',
            c => c,
        })
        .collect())
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn of_attribute(
    node: Node<'_, '_>,
    attribute: Attribute<'_, '_>,
    xml: &str,
    secrets: &mut Vec<Range<usize>>,
) {
    let place = attribute.range_value();
    // QEMU's own: <qemu:env name='DB_PASSWORD' value='…'/>.
    let named = node.attribute("name").is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        ["pass", "secret", "token"].iter().any(|word| name.contains(word))
    });
    let of_environment = node.tag_name().name() == "env" && attribute.name() == "value" && named;
    // QEMU's own: -object secret,id=sec0,data=…
    let of_object = attribute.value().starts_with("secret,") && attribute.value().contains("data=");
    if is_one_of(attribute.name(), &SECRET_ATTRIBUTES) || of_environment || of_object {
        secrets.push(place);
    } else {
        within(xml, place, secrets);
    }
}

fn of_text(node: Node<'_, '_>, xml: &str, secrets: &mut Vec<Range<usize>>) {
    let place = node.range();
    let holder = node.parent_element();
    let name = holder.map(|element| element.tag_name().name()).unwrap_or_default();
    let entry = holder.and_then(|element| element.attribute("name")).unwrap_or_default();
    let text = node.text().unwrap_or_default().trim_start();
    let credential = CREDENTIALS.iter().any(|begin| entry.starts_with(begin) || text.starts_with(begin));
    if node.is_text() && (is_one_of(name, &SECRET_ELEMENTS) || credential) && !text.is_empty() {
        secrets.push(place);
    } else {
        within(xml, place, secrets);
    }
}

/// Secrets within the text at `place`: after `password=` and its like, and
/// between a URL's `://user:` and `@`.
fn within(xml: &str, place: Range<usize>, secrets: &mut Vec<Range<usize>>) {
    let text = &xml[place.clone()];
    let lower = text.to_ascii_lowercase();
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '"' | '\'' | '<' | '>');
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            let from = at + word.len();
            let length = text[from..].find(ends).unwrap_or(text.len() - from);
            secrets.push(place.start + from..place.start + from + length);
        }
    }
    for (at, sign) in lower.match_indices("://") {
        let from = at + sign.len();
        let host_ends = |c: char| ends(c) || matches!(c, '/' | '?' | '#');
        let authority = &text[from..from + text[from..].find(host_ends).unwrap_or(text.len() - from)];
        if let Some(user) = authority.rfind('@')
            && let Some(colon) = authority[..user].find(':')
        {
            secrets.push(place.start + from + colon + 1..place.start + from + user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::to_show;

    fn shown(inside: &str) -> String {
        to_show(&format!("<domain type='kvm' xmlns:qemu='http://libvirt.org/q'>{inside}</domain>")).unwrap()
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_and_all_else_stays_as_it_was() {
        for secret in [
            "<graphics type='vnc' passwd='S3CR3T' port='5900'/>",
            "<graphics type='vnc' PassWd=\"S3CR3T\"/>",
            "<qemu:commandline><qemu:arg value='socket,password=S3CR3T,id=a'/></qemu:commandline>",
            "<qemu:commandline><qemu:arg value='secret,id=sec0,data=S3CR3T'/></qemu:commandline>",
            "<qemu:commandline><qemu:env name='DB_PASSWORD' value='S3CR3T'/></qemu:commandline>",
            "<metadata><a:password xmlns:a='x'>S3CR3T</a:password></metadata>",
            "<metadata><a:x xmlns:a='x'>root PASSWORD=S3CR3T&amp;more</a:x></metadata>",
            "<description>admin token=S3CR3T;</description>",
            "<disk><source protocol='https' name='https://me:S3CR3T@host/x'/></disk>",
            "<sysinfo type='fwcfg'><entry name='opt/io.systemd.credentials/a'>S3CR3T</entry></sysinfo>",
            "<sysinfo><oemStrings><entry>io.systemd.credential:a=S3CR3T</entry></oemStrings></sysinfo>",
            "<!-- password=S3CR3T -->",
            "<cookies><cookie name='a'>S3CR3T</cookie></cookies>",
        ] {
            let text = shown(secret);
            assert!(!text.contains("S3CR3T") && text.contains("***"), "{text}");
        }
        let plain = "<name>web</name><disk type='file'><source file='/srv/pass/a.img'/>\n  \
                     <auth username='u'><secret type='ceph' uuid='4-4'/></auth></disk>";
        assert_eq!(
            shown(plain),
            format!("<domain type='kvm' xmlns:qemu='http://libvirt.org/q'>{plain}</domain>")
        );
        let kept = shown("<graphics port='5900' passwd='S3CR3T' listen='::1'/>");
        assert!(kept.contains("port='5900' passwd='***' listen='::1'"), "{kept}");
    }

    #[test]
    fn secrets_that_overlap_are_masked_once_and_none_shows_through() {
        let text = shown("<a value='http://u:p@password=S3CR3T@h/ secret=password=S3CR3T'/>");
        assert!(!text.contains("S3CR3T"), "{text}");
    }

    #[test]
    fn nothing_in_it_controls_a_terminal() {
        let text = shown("<title>a\u{202e}b\u{9b}31m\u{7f}\tc\r\n</title>");
        assert!(text.contains("a_b_31m_ c\n"), "{text:?}");
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        let error = to_show("<domain passwd='S3CR3T'><oops>").unwrap_err().to_string();
        assert!(error.contains("cannot be read") && !error.contains("S3CR3T"), "{error}");
    }
}
