//! A domain's XML, made fit to be shown.
//!
//! It is asked for without `VIR_DOMAIN_XML_SECURE`, so libvirt leaves out the
//! passwords it knows of. It knows nothing of what an operator hands to QEMU
//! directly or keeps in metadata: what looks like a secret there is masked, which
//! is a guess that can miss one.
//! Nothing else of the text is changed but characters that control a terminal.

mod within;

use std::ops::Range;

use roxmltree::{Document, Node};

use self::within::{Plain, is_secret, is_value};
use super::devices::XmlError;
use crate::model::name::is_unfit;

const MASK: &str = "***";
/// Bytes of XML that are looked at: what libvirt's protocol lets through.
const MAX_BYTES: usize = 4 << 20;
/// Elements whose `name` is that of a thing, not of a value.
const THINGS: [&str; 7] = ["source", "host", "target", "alias", "feature", "model", "group"];

/// `xml` with known secrets masked and without anything that could control a terminal.
///
/// # Errors
/// The text is no well-formed XML, so that nobody can tell what is in it, or
/// larger than [`MAX_BYTES`].
pub(super) fn to_show(xml: &str) -> Result<String, XmlError> {
    if xml.len() > MAX_BYTES {
        return Err(XmlError::too_large(xml.len(), MAX_BYTES));
    }
    let document = Document::parse(xml).map_err(|error| XmlError::new(&error))?;
    let mut secrets: Vec<Range<usize>> = Vec::new();
    for node in document.root().descendants() {
        if node.is_element() {
            of_element(node, xml, &mut secrets);
        } else if node.is_text() {
            of_text(text_place(node, xml), xml, &mut secrets);
        } else if node.is_comment() {
            let place = node.range();
            if Plain::new(xml, place.clone()).is_secret_markup() {
                secrets.push(place);
            } else {
                of_text(place, xml, &mut secrets);
            }
        } else if let Some(instruction) = node.pi() {
            let place = node.range();
            let from = place.start + "<?".len() + instruction.target.len();
            if is_secret(instruction.target) {
                secrets.push(from..place.end - "?>".len());
            } else {
                of_text(from..place.end, xml, &mut secrets);
            }
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

fn of_element(node: Node<'_, '_>, xml: &str, secrets: &mut Vec<Range<usize>>) {
    let element = node.tag_name().name();
    let named = |by: &str| node.attribute(by).is_some_and(is_secret);
    let holds = is_secret(element) || (!THINGS.contains(&element) && (named("name") || named("key")));
    if holds && let Some(content) = content(node, xml) {
        secrets.push(content);
    }
    let argument = element == "arg";
    // QEMU's own: <qemu:arg value='--password'/><qemu:arg value='…'/>.
    let option = argument.then(|| node.prev_sibling_element()?.attribute("value")).flatten();
    let of_option = option.is_some_and(|option| option.starts_with('-') && is_secret(option));
    for attribute in node.attributes() {
        let place = attribute.range_value();
        let plain = Plain::new(xml, place.clone());
        if is_secret(attribute.name())
            || (is_value(attribute.name()) && (holds || of_option))
            || plain.is_whole_secret()
        {
            secrets.push(place);
        } else {
            plain.find(argument, secrets);
        }
    }
}

fn of_text(place: Range<usize>, xml: &str, secrets: &mut Vec<Range<usize>>) {
    let plain = Plain::new(xml, place.clone());
    if plain.is_whole_secret() {
        secrets.push(place);
    } else {
        plain.find(false, secrets);
    }
}

/// What stands between an element's tags, unless that is nothing but blanks.
fn content(node: Node<'_, '_>, xml: &str) -> Option<Range<usize>> {
    let from = node.first_child()?.range().start;
    let end = end_tag(node, xml)?;
    (!xml.get(from..end)?.trim().is_empty()).then_some(from..end)
}

fn end_tag(node: Node<'_, '_>, xml: &str) -> Option<usize> {
    let place = node.range();
    xml[place.clone()].rfind("</").map(|at| place.start + at)
}

/// The whole of a text: the reader may tell the place of its first part only,
/// where it is made of several.
fn text_place(node: Node<'_, '_>, xml: &str) -> Range<usize> {
    let place = node.range();
    let end = match node.next_sibling() {
        Some(next) => Some(next.range().start),
        None => node.parent_element().and_then(|parent| end_tag(parent, xml)),
    };
    place.start..end.unwrap_or(place.end).max(place.end)
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
            "<a>password=\"S3CR3T\"</a>",
            "<a>password='S3CR3T'</a>",
            "<a v='password=&quot;x y S3CR3T&quot;'/>",
            "<a v='password=&#34;x y S3CR3T&#x22;'/>",
            "<a>password=<![CDATA[S3CR3T]]></a>",
            "<a>x<![CDATA[ password=S3CR3T]]></a>",
            "<password>x<![CDATA[S3CR3T]]></password>",
            "<qemu:arg value='socket,password=aa,,S3CR3T,id=a'/>",
            "<qemu:arg value='socket,password=a&amp;b c;S3CR3T,id=a'/>",
            "<qemu:arg value='-object secret,id=sec0,data=S3CR3T'/>",
            "<qemu:arg value='-object secret,data=S3CR3T,id=sec0'/>",
            "<qemu:arg value='{\"qom-type\":\"secret\",\"id\":\"a\",\"data\":\"S3CR3T\"}'/>",
            "<qemu:arg value='{&quot;qom-type&quot;:&quot;secret&quot;,&quot;data&quot;:&quot;S3CR3T&quot;}'/>",
            "<qemu:arg value='type=11,value=io.systemd.credential:a=S3CR3T'/>",
            "<qemu:arg value='name=opt/io.systemd.credentials/a,string=S3CR3T'/>",
            "<qemu:arg value='string=S3CR3T,name=opt/io.systemd.credentials/a'/>",
            "<qemu:arg value='--password'/><qemu:arg value='S3CR3T'/>",
            "<qemu:arg value='file=rbd:pool/image:id=admin:key=S3CR3T:auth_supported=cephx'/>",
            "<qemu:env name='API_KEY' value='S3CR3T'/>",
            "<qemu:env name='DB_PASS' value='S3CR3T'/>",
            "<password><b>S3CR3T</b></password>",
            "<password><b c='S3CR3T'/></password>",
            "<x name='password' value='S3CR3T'/>",
            "<x name='password'>S3CR3T</x>",
            "<x key='rootPassword'><y>S3CR3T</y></x>",
            "<adminPassword>S3CR3T</adminPassword>",
            "<x adminPassword='S3CR3T'/>",
            "<a>{\"password\": \"a \\\" S3CR3T\"}</a>",
            "<a>{\"password\":\"a\\\\\",\"token\":\"S3CR3T\"}</a>",
            "<a>\"{\\\"password\\\": \\\"a b S3CR3T\\\"}\"</a>",
            "<a>{\"tokens\": [\"a\", \"S3CR3T\"]}</a>",
            "<a>password: S3CR3T</a>",
            "<a>password = S3CR3T</a>",
            "<a>password='a''S3CR3T'</a>",
            "<a>password=it's3S3CR3T</a>",
            "<a>Authorization: Bearer S3CR3T</a>",
            "<a>curl --token S3CR3T</a>",
            "<a>&lt;password&gt;S3CR3T&lt;/password&gt;</a>",
            "<!-- <x name='password' value='S3CR3T'/> -->",
            "<?a password=S3CR3T?>",
            "<?password S3CR3T?>",
            "<a>[{\"name\": \"password\", \"value\": \"S3CR3T\"}]</a>",
            "<a>[{\"value\": \"S3CR3T\", \"name\": \"password\"}]</a>",
            "<a>{\"key\":\"API_TOKEN\",\"of\":{\"a\":1},\"value\":\"S3CR3T\"}</a>",
            "<a>{\\\"name\\\":\\\"password\\\",\\\"value\\\":\\\"S3CR3T\\\"}</a>",
            "<a>- name: DB_PASSWORD\n  value: S3CR3T\n</a>",
            "<a>name=password,value=S3CR3T</a>",
            "<a>{\"a\":{\"name\":\"password\",\"value\":\"X\"},\"value\":\"S3CR3T\",\"name\":\"token\"}</a>",
            "<a>{\"name\":\"password\",\"note\":\"}\",\"value\":\"S3CR3T\"}</a>",
            "<a>{\"value\":\"S3CR3T\",\"note\":\"}\",\"name\":\"password\"}</a>",
            "<a>[{\"Name\":\"/prod/db/password\",\"Value\":\"S3CR3T\"}]</a>",
            "<a>name: spring:db-password\nvalue: S3CR3T</a>",
            "<a>name: пароль-password\nvalue: S3CR3T</a>",
            "<a>- value: S3CR3T\n  name: DB_PASSWORD\n</a>",
            "<a>name: DB_PASSWORD\nof:\n  name: x\nvalue: S3CR3T</a>",
            "<source protocol='https' name='https://S3CR3T0123456789abcd@host/x'/>",
        ] {
            let text = shown(secret);
            assert!(!text.contains("S3CR3T") && text.contains("***"), "{text}");
        }
        let plain = "<description>see https://wiki/compass: how it is done</description>\
                     <cpu mode='host-passthrough'/><graphics passwdValidTo='2030-01-01T00:00:00'/>\
                     <a>qemu+ssh://administrator@host/system {{\"name\":\"web\",\"value\":1}} name: x, value: y</a>\
                     <disk><source protocol='rbd' name='pool/tokens'><host name='m' port='1'/></source></disk>\
                     <qemu:arg value='-device'/><qemu:arg value='e1000,id=a,mac=52:54:00:00:00:01'/>\
                     <name>web</name><disk type='file'><source file='/srv/pass/a.img'/>\n  \
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

    #[test]
    fn what_follows_a_secret_in_an_argument_is_shown() {
        let text = shown("<qemu:arg value='socket,password=a,,b,id=c'/>");
        assert!(text.contains("'socket,password=***,id=c'"), "{text}");
        let text = shown("<a>password=\"x y\", user: me</a>");
        assert!(text.contains("<a>password=***, user: me</a>"), "{text}");
    }

    #[test]
    fn no_text_makes_masking_slow() {
        const BYTES: usize = 1 << 20;
        for part in [
            "password=",
            "password='",
            "password=\\",
            "://",
            "a://u:",
            "-token ",
            "key=\"",
            "&#34;password:",
            "name=",
            "name:password ",
            "{",
            "{name:password",
            "name:\"password\"}",
            "{name:password}",
            "value:",
        ] {
            let many = part.repeat(BYTES / part.len());
            let begun = std::time::Instant::now();
            let text = shown(&format!("<a>{many}</a>"));
            // What is quadratic takes minutes.
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{part}");
            assert!(!text.is_empty());
        }
    }

    #[test]
    fn what_is_too_large_is_not_looked_at() {
        let large = format!("<domain>{}</domain>", " ".repeat(super::MAX_BYTES));
        let error = to_show(&large).unwrap_err().to_string();
        assert!(error.contains("4 MiB") && error.contains("virsh dumpxml"), "{error}");
    }
}
