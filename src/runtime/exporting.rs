//! Writes what the screen exports into the working directory, off the
//! screen's task: a disk may be slow or gone.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    app::{ExportForm, Exported},
    model::WallTime,
    telemetry::{export, status},
};

/// Names that are tried before giving up.
const MOST_NAMES: u32 = 100;

/// Writes `what` into `directory` and says where, or what failed and what to
/// do. No file that is there is touched; the new one is its owner's alone.
pub(super) fn write(form: ExportForm, what: &Exported, directory: &Path) -> String {
    let (text, subject) = compose(form, what);
    let kind = match form {
        ExportForm::Csv => "csv",
        ExportForm::Json => "json",
        ExportForm::Xml => "xml",
    };
    match create(directory, &stamp(what.at()), kind, text.as_bytes()) {
        Ok(path) => format!("wrote {subject} to {}", path.display()),
        Err(error) => format!(
            "cannot export into {}: {error}; start kvmscope in a directory you may write to",
            directory.display()
        ),
    }
}

fn compose(form: ExportForm, what: &Exported) -> (String, String) {
    let (document, subject, table): (_, _, fn(&_) -> String) = match what {
        Exported::Fleet { frame, rows } => {
            let document = export::fleet(frame, rows);
            let subject = if rows.len() == 1 { "1 VM".to_owned() } else { format!("{} VMs", rows.len()) };
            (document, subject, export::table)
        }
        Exported::Xml { name, text, .. } => return (text.to_string(), format!("the XML of {name}")),
        Exported::Vm { frame, domain } => {
            (export::vm(frame, domain), domain.identity().name.to_string(), export::list)
        }
        Exported::Accounting { at, collector, delivery, store } => (
            status::status(*at, collector.as_deref(), delivery, store),
            "the status".to_owned(),
            export::list,
        ),
    };
    let text = match form {
        ExportForm::Csv => table(&document),
        ExportForm::Json | ExportForm::Xml => export::json_text(&document),
    };
    (text, subject)
}

/// `20261121T140211Z`
fn stamp(at: WallTime) -> String {
    jiff::Timestamp::from_second(at.seconds())
        .map_or_else(|_| at.seconds().to_string(), |at| at.strftime("%Y%m%dT%H%M%SZ").to_string())
}

fn create(directory: &Path, stamp: &str, kind: &str, text: &[u8]) -> io::Result<PathBuf> {
    let mut name = format!("kvmscope-{stamp}.{kind}");
    for n in 2..MOST_NAMES {
        let path = directory.join(&name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                return match file.write_all(text).and_then(|()| file.sync_all()) {
                    Ok(()) => Ok(path),
                    Err(error) => {
                        // Half a file would be taken for a whole one.
                        let _ = std::fs::remove_file(&path);
                        Err(error)
                    }
                };
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                name = format!("kvmscope-{stamp}-{n}.{kind}");
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::app::fixtures::running;

    #[test]
    fn each_export_is_a_new_file_of_its_owners_alone() {
        let (app, _host) = running(5);
        let frame = app.frame().unwrap().clone();
        let at = stamp(frame.at);
        let what = Exported::Fleet { rows: vec![0, 1], frame };
        let directory = tempfile::tempdir().unwrap();
        for name in [format!("kvmscope-{at}.csv"), format!("kvmscope-{at}-2.csv")] {
            let said = write(ExportForm::Csv, &what, directory.path());
            let path = directory.path().join(&name);
            assert_eq!(said, format!("wrote 2 VMs to {}", path.display()));
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
        }
        let text = "<domain>\n  <name>web</name>\n</domain>\n";
        let what = Exported::Xml { name: "web".into(), at: what.at(), text: text.into() };
        let said = write(ExportForm::Xml, &what, directory.path());
        let path = directory.path().join(format!("kvmscope-{at}.xml"));
        assert_eq!(said, format!("wrote the XML of web to {}", path.display()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let gone = directory.path().join("gone");
        let said = write(ExportForm::Json, &what, &gone);
        assert!(said.contains("cannot export into") && said.contains("you may write to"), "{said}");
    }
}
