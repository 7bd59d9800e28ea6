//! What an operator can do about a missing value, as a line that can be
//! pasted into a shell.

use uuid::Uuid;

use super::{Identity, Missing};

impl Missing {
    /// What the operator can do about it for this domain, where anything can
    /// be done. A command in it is safe to paste whatever the domain's name.
    #[must_use]
    pub fn mend(self, domain: &Identity) -> Option<String> {
        let mend = self.why.mend()?;
        Some(mend.replace("DOMAIN", &operand(domain)))
    }
}

/// How a command names the domain: by its name, quoted where a shell needs
/// it, or by its uuid where the name would not reach libvirt as it is.
#[must_use]
pub fn operand(domain: &Identity) -> String {
    let name = &*domain.name;
    if !is_sayable(name) {
        return domain.uuid.to_string();
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.+:@/".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// Whether the name as it is known here, typed on a command line, means this
/// domain and no other. `_` may stand for a character that was rewritten, so
/// a name that holds one may be another domain's; virsh reads digits as an id
/// and a leading `-` as an option; what cannot be seen cannot be checked.
fn is_sayable(name: &str) -> bool {
    let visible = |c: char| c.is_alphanumeric() || c == ' ' || (c.is_ascii_graphic() && c != '_');
    name.chars().all(visible)
        && !name.starts_with(['-', ' '])
        && !name.ends_with(' ')
        && !name.chars().all(|c| c.is_ascii_digit())
        && Uuid::try_parse(name).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Why, name::storable};

    fn identity(name: &str) -> Identity {
        Identity { uuid: Uuid::from_u128(0xabc), id: Some(1), name: storable(name).into() }
    }

    #[test]
    fn a_mend_names_the_domain_as_a_shell_needs_it() {
        let mend = |name: &str| Missing::new(Why::NoStatsPeriod).mend(&identity(name)).unwrap();
        assert_eq!(mend("db-main"), "virsh dommemstat db-main --period 2 --live");
        assert_eq!(mend("web 1"), "virsh dommemstat 'web 1' --period 2 --live");
        assert_eq!(mend("it's; rm -rf $HOME"), r"virsh dommemstat 'it'\''s; rm -rf $HOME' --period 2 --live");
        assert_eq!(mend("größe"), "virsh dommemstat 'größe' --period 2 --live");
    }

    #[test]
    fn a_name_that_would_mean_something_else_gives_way_to_the_uuid() {
        let uuid = Uuid::from_u128(0xabc).to_string();
        for name in [
            "",
            "12",
            "--all",
            " web",
            "web ",
            "a\nb",
            "a_b",
            "x\u{202e}y",
            "zero\u{200b}width",
            "5f0e2b1c-6a3d-4e1f-9b7a-0c1d2e3f4a5b",
        ] {
            assert_eq!(operand(&identity(name)), uuid, "{name:?}");
        }
    }

    #[test]
    fn there_is_no_advice_where_nothing_can_be_done() {
        assert_eq!(Missing::new(Why::HostdevNic).mend(&identity("vm")), None);
        assert_eq!(Missing::new(Why::FirstReading).mend(&identity("vm")), None);
    }

    /// Each quoted operand, read by a real shell, is the name again.
    #[test]
    fn a_shell_reads_the_operand_back_as_the_name() {
        for name in ["db-main", "web 1", "a'b\"c", "$(id)", "`id`", "a\\b", "*", "größe", "!!", "#x", "~"] {
            let shell = std::process::Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", operand(&identity(name))))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), name);
        }
    }
}
