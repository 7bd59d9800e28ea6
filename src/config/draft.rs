//! A configuration in the making: the sections, and the parts of the
//! credentials before it is known which of them are used.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{Auth, Config, SecretSource};

/// What the key table writes into.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Everything but `influx.auth`.
    pub(super) config: Config,
    /// `influx.auth`
    pub(super) scheme: Scheme,
    /// `INFLUX_TOKEN`
    pub(super) token: Option<SecretString>,
    /// `influx.token_file`
    pub(super) token_file: Option<PathBuf>,
    /// `influx.user`
    pub(super) user: String,
    /// `INFLUX_PASSWORD`
    pub(super) password: Option<SecretString>,
    /// `influx.password_file`
    pub(super) password_file: Option<PathBuf>,
}

/// The word of `influx.auth`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scheme {
    #[default]
    Token,
    Basic,
    None,
}

impl Draft {
    /// The configuration, its credentials put together. A secret in the
    /// environment goes before a file, as everywhere.
    pub(super) fn finish(self) -> Config {
        let source = |given: Option<SecretString>, file: Option<PathBuf>| {
            given.map(SecretSource::Environment).or_else(|| file.map(SecretSource::File))
        };
        let mut config = self.config;
        config.influx.auth = match self.scheme {
            Scheme::Token => Auth::Token(source(self.token, self.token_file)),
            Scheme::Basic => Auth::Basic {
                user: Some(self.user).filter(|user| !user.is_empty()),
                password: source(self.password, self.password_file),
            },
            Scheme::None => Auth::None,
        };
        config
    }
}
