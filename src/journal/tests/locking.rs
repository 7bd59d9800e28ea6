use std::{fs, path::PathBuf};

use super::lock::{LockError, acquire_in};
use super::*;
use crate::rundir::place;

const URI: &str = "qemu:///system";

#[test]
fn the_second_is_told_who_holds_it_and_gets_it_when_the_first_ends() {
    let dir = tempfile::tempdir().unwrap();
    let first = acquire_in(dir.path(), URI, "kvmscope agent").unwrap();
    match acquire_in(dir.path(), URI, "kvmscope") {
        Err(LockError::Held(holder)) => {
            assert_eq!(holder.pid, std::process::id());
            assert_eq!(holder.program, "kvmscope agent");
        }
        other => panic!("{other:?}"),
    }
    acquire_in(dir.path(), "test:///default", "kvmscope").expect("another hypervisor, another lock");
    drop(first);
    acquire_in(dir.path(), URI, "kvmscope").expect("the file stays, the lock does not");
}

#[test]
fn who_has_just_taken_it_is_not_mistaken_for_the_one_before() {
    // A process that has ended.
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let before = format!("{} kvmscope\n", ended.id());
    for stale in [before.as_str(), ""] {
        let dir = tempfile::tempdir().unwrap();
        let lock = acquire_in(dir.path(), URI, "kvmscope agent").unwrap();
        let own = fs::read_to_string(lock.path()).unwrap();
        fs::write(lock.path(), stale).unwrap();
        let (begun, path) = (std::sync::Barrier::new(2), lock.path());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                fs::write(path, &own).unwrap();
            });
            begun.wait();
            let error = acquire_in(dir.path(), URI, "kvmscope").unwrap_err();
            assert!(error.to_string().starts_with("kvmscope agent (process "), "{error}");
        });
    }
}

#[test]
fn what_a_hostile_holder_wrote_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let lock = acquire_in(dir.path(), URI, "kvmscope").unwrap();
    fs::write(lock.path(), format!("99 \u{1b}[2J{}\n", "x".repeat(10_000))).unwrap();
    match acquire_in(dir.path(), URI, "kvmscope") {
        Err(LockError::Held(holder)) => {
            assert!(holder.program.starts_with("_[2J") && holder.program.len() < 256, "{}", holder.program);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_symbolic_link_in_its_place_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = acquire_in(dir.path(), URI, "kvmscope").unwrap().path().to_owned();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    let error = acquire_in(dir.path(), URI, "kvmscope").unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
}

#[test]
fn a_directory_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(acquire_in(dir.path(), URI, "kvmscope"), Err(LockError::Unsafe { .. })));
}

#[test]
fn an_unwritable_place_says_what_where_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let words = acquire_in(&file.join("sub"), URI, "kvmscope").unwrap_err().to_string();
    assert!(
        words.contains(&file.display().to_string()) && words.contains("make its directory writable"),
        "{words}"
    );
}

#[test]
fn root_locks_in_run_others_in_their_runtime_directory_or_beside_the_record() {
    let (run, record) = (PathBuf::from("/run/user/7"), PathBuf::from("/home/u/state"));
    assert_eq!(place(true, Some(&run), Some(&record)), Some("/run/kvmscope".into()));
    assert_eq!(place(false, Some(&run), Some(&record)), Some("/run/user/7/kvmscope".into()));
    assert_eq!(place(false, None, Some(&record)), Some(record.clone()));
    assert_eq!(place(false, Some(Path::new("relative")), Some(&record)), Some(record));
    assert_eq!(place(false, None, None), None);
}

#[test]
fn names_of_files_tell_no_host_and_no_user() {
    let name = file_name("qemu+ssh://admin@secret-host/system?keyfile=/k");
    assert!(
        name.starts_with("record-qemussh-") && !name.contains("secret") && !name.contains("admin"),
        "{name}"
    );
    assert_ne!(file_name("qemu:///system"), file_name("qemu:///session"));
}
