//! What the ssh client and the far side say when ssh does not lead to libvirt,
//! and what to do about it.
//!
//! libvirt hands on what ssh wrote to its error output, wrapped in words of
//! its own about a socket. Works on texts alone; it starts nothing.

/// Words of ssh or of the far side, any of which tells the case, and the way
/// out of it. The first that fits counts.
const CASES: [(&[&str], &str); 9] = [
    (
        &["has changed and you have requested", "HOST IDENTIFICATION HAS CHANGED"],
        "It is not the machine it was: ask its administrator whether its host key was changed. Only then \
         forget the old one (ssh-keygen -R HOST) and run `ssh HOST` once by hand",
    ),
    (
        &["Host key verification failed", "host key is known for"],
        "Its host key is not known to this user: run `ssh HOST` once by hand and compare the fingerprint, or \
         add the line that `ssh-keyscan HOST` prints to ~/.ssh/known_hosts",
    ),
    (
        &["Permission denied (", "Too many authentication failures", "No supported authentication methods"],
        "ssh has no key that is let in there without a question: load one into the ssh agent (ssh-add), or \
         name one without a passphrase by keyfile= in the URI, and have it in authorized_keys there. \
         kvmscope lets ssh ask for nothing: `ssh -o BatchMode=yes HOST true` must work",
    ),
    (
        &["Could not resolve hostname", "connect to host", "banner exchange", "kex_exchange_identification"],
        "Check the name, the port and that an ssh server runs there: `ssh -o BatchMode=yes HOST true` must work",
    ),
    (
        &["Cannot find 'ssh' in path", "cannot execute binary"],
        "Install the ssh client on this machine (package openssh-client)",
    ),
    (
        &["Failed to connect socket", "cannot connect to"],
        "Check that libvirtd or virtqemud runs on that machine and that its read-only socket is open to the \
         user that ssh logs in as; no group and no root is needed for it",
    ),
    (
        &["nc: ", "netcat", "virt-ssh-helper"],
        "Leave socket= and proxy= out of the URI, so that libvirt's own virt-ssh-helper is used there, or \
         install a netcat on that machine that knows -U (package netcat-openbsd)",
    ),
    (
        &["command not found", ": not found"],
        "Check that libvirt (virt-ssh-helper) is installed on that machine",
    ),
    (
        &["closed by remote host", "client_loop", "not responding"],
        "kvmscope connects anew by itself. If it stays so, see the network between and the ssh server there",
    ),
];

const OTHERWISE: &str = "Check that `ssh -o BatchMode=yes HOST virsh -r list` works from here: a key in the \
                         agent or keyfile= in the URI, a known host key, and libvirt running there";

/// Prefixes and suffixes in which libvirt wraps ssh's words.
const WRAPPING: [&str; 2] = ["Cannot recv data: ", "End of file while reading data: "];
const WRAPPED: [&str; 3] = [": Connection reset by peer", ": Input/output error", ": Broken pipe"];

/// Lines of ssh's output that are worth showing: the reason is its last.
const LINES: usize = 2;

/// What to do, from everything that was said.
pub(super) fn advice(message: &str) -> &'static str {
    let fits = |words: &&[&str]| words.iter().any(|word| message.contains(word));
    CASES.iter().find(|(words, _)| fits(words)).map_or(OTHERWISE, |(_, advice)| advice)
}

/// Whether ssh did its part and the socket on the far side is closed to the
/// user it logged in as.
pub(super) fn is_refused_there(message: &str) -> bool {
    message.contains("Failed to connect socket") && message.contains("Permission denied")
}

/// The reason within `message`: without libvirt's wrapping, a login banner
/// and the user names in front of hosts.
pub(super) fn reason(message: &str) -> String {
    let unwrapped =
        WRAPPING.iter().find_map(|words| message.strip_prefix(words)).unwrap_or(message).trim_end();
    let unwrapped = WRAPPED.iter().find_map(|words| unwrapped.strip_suffix(words)).unwrap_or(unwrapped);
    let lines: Vec<_> = unwrapped.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    let words = last.iter().flat_map(|line| line.split_whitespace()).map(without_user);
    let reason = words.collect::<Vec<_>>().join(" ");
    let reason = reason.trim_end_matches('.');
    if reason.is_empty() { "ssh ended without a word".into() } else { reason.into() }
}

/// `ann@host:` → `***@host:`, whether the name came from the URI, from ssh's
/// configuration or is that of the account.
fn without_user(word: &str) -> String {
    match word.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() => format!("***@{host}"),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{advice, is_refused_there, reason};

    /// libvirt 9.0 and OpenSSH 9.2, word for word.
    const SAID: [(&str, &str, &str); 10] = [
        (
            "Cannot recv data: ann@10.0.0.7: Permission denied (publickey,password).: Connection reset by peer",
            "***@10.0.0.7: Permission denied (publickey,password)",
            "ssh-add",
        ),
        (
            "Cannot recv data: Warning: Identity file /k not accessible: No such file or directory.\n\
             a@h: Permission denied (publickey).: Connection reset by peer",
            "Warning: Identity file /k not accessible: No such file or directory. ***@h: Permission denied \
             (publickey)",
            "keyfile=",
        ),
        (
            "Cannot recv data: Host key verification failed.: Connection reset by peer",
            "Host key verification failed",
            "ssh-keyscan",
        ),
        (
            "Cannot recv data: @@@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n\
             @@@@@@@@@@@@@@@@\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
             Host key for [127.0.0.1]:22022 has changed and you have requested strict checking.\n\
             Host key verification failed.: Connection reset by peer",
            "Host key for [127.0.0.1]:22022 has changed and you have requested strict checking. Host key \
             verification failed",
            "ssh-keygen -R",
        ),
        (
            "Cannot recv data: ssh: connect to host 127.0.0.1 port 1: Connection refused: Connection reset by peer",
            "ssh: connect to host 127.0.0.1 port 1: Connection refused",
            "ssh server runs",
        ),
        (
            "End of file while reading data: virt-ssh-helper: cannot connect to '/run/s-ro': Failed to connect \
             socket to '/run/s-ro': No such file or directory: Input/output error",
            "virt-ssh-helper: cannot connect to '/run/s-ro': Failed to connect socket to '/run/s-ro': No such \
             file or directory",
            "on that machine",
        ),
        (
            "End of file while reading data: sh: 1: nc: not found: Input/output error",
            "sh: 1: nc: not found",
            "netcat-openbsd",
        ),
        (
            "Cannot find 'ssh' in path: No such file or directory",
            "Cannot find 'ssh' in path: No such file or directory",
            "openssh-client",
        ),
        (
            "Cannot recv data: Connection to 10.0.0.7 closed by remote host.: Connection reset by peer",
            "Connection to 10.0.0.7 closed by remote host",
            "by itself",
        ),
        ("Cannot recv data: : Connection reset by peer", "ssh ended without a word", "BatchMode"),
    ];

    #[test]
    fn each_case_keeps_its_reason_and_gets_its_advice() {
        for (said, told, word) in SAID {
            assert_eq!(reason(said), told);
            assert!(advice(said).contains(word), "{word} is not in: {}", advice(said));
        }
    }

    #[test]
    fn a_login_banner_does_not_bury_the_reason() {
        let banner = "AUTHORISED USE ONLY\n".repeat(40);
        let said = format!(
            "Cannot recv data: {banner}x@h: Permission denied (publickey).: Connection reset by peer"
        );
        assert!(reason(&said).ends_with("***@h: Permission denied (publickey)"));
        assert!(reason(&said).len() < 100, "{}", reason(&said));
    }

    #[test]
    fn a_closed_socket_on_the_far_side_is_no_fault_of_the_key() {
        let said = "End of file while reading data: virt-ssh-helper: cannot connect to '/run/s-ro': Failed to \
                    connect socket to '/run/s-ro': Permission denied: Input/output error";
        assert!(is_refused_there(said));
        assert!(advice(said).contains("read-only socket"));
        assert!(!is_refused_there(SAID[0].0));
    }
}
