//! What the loader sees of the process around it: a snapshot, so that tests
//! hand in their own and nothing else of the program reads the environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
};

use super::keys::KEYS;

/// Variables the loader reads beside those of the key table.
const PLACES: [&str; 8] =
    ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_COLOR", "TERM", "COLORTERM", "LC_ALL", "LC_CTYPE", "LANG"];

/// The variables that matter to the configuration, and the places beside them.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    home: Option<PathBuf>,
    system_file: PathBuf,
}

impl Environment {
    /// This process's own. Only variables that mean something here are taken.
    #[must_use]
    pub fn of_process() -> Self {
        let names = KEYS.iter().filter_map(|key| key.env).chain(PLACES);
        Self {
            variables: names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect(),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf()),
            system_file: PathBuf::from("/etc/kvmscope/config.toml"),
        }
    }

    /// An environment of one's own: no variables but these, this home
    /// directory, and this in the place of `/etc/kvmscope/config.toml`.
    #[must_use]
    pub fn of<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a OsStr)>,
        home: Option<&Path>,
        system_file: &Path,
    ) -> Self {
        Self {
            variables: variables.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            home: home.map(Path::to_path_buf),
            system_file: system_file.to_path_buf(),
        }
    }

    /// A variable's value. An empty one counts as not set, as container
    /// files leave variables empty that they do not mean.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// `~`
    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The user's configuration file and then the system's, in the order in
    /// which they are looked for.
    pub(super) fn config_files(&self) -> Vec<PathBuf> {
        let user = self.xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("kvmscope/config.toml"));
        user.into_iter().chain([self.system_file.clone()]).collect()
    }

    /// Where the local record goes when nobody says.
    pub(super) fn state_directory(&self) -> Option<PathBuf> {
        self.xdg("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("kvmscope"))
    }

    /// Where the log is kept unless it is said.
    pub(super) fn log_file(&self) -> Option<PathBuf> {
        self.state_directory().map(|dir| dir.join("kvmscope.log"))
    }

    /// A base directory; a relative one is ignored, as the XDG rules say.
    fn xdg(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.get(variable)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
            .or_else(|| self.home().map(|home| home.join(below_home)))
    }
}

impl fmt::Debug for Environment {
    /// Names only: the values hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
