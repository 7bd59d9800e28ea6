//! Whether a screen collects itself or shows what an agent collects: decided
//! once, when it opens, and in no time.

use super::recording::{self, AGENT};
use crate::{
    attach::{Knock, Place, PlaceError, knock},
    cli::Attach,
    config::Config,
    delivery::Role,
};

/// Who collects.
pub(super) enum Who {
    /// This process, in this role.
    Here(Role),
    /// The agent there.
    Agent(Place),
}

/// The place that the operator named; `None`: none was.
///
/// # Errors
/// What was given after `--attach` is no place.
pub(super) fn named(config: &Config, attach: &Attach) -> Result<Option<Place>, PlaceError> {
    match attach {
        Attach::Found => Ok(None),
        Attach::Usual => usual(config).map(Some).ok_or(PlaceError::Nowhere),
        Attach::At(text) => Place::read(text).map(Some),
    }
}

/// Where no place is named: an agent that records this host, or this process.
pub(super) fn who(config: &Config) -> Who {
    let role = recording::role(config, recording::SCREEN);
    let held = matches!(&role, Role::Looking { holder } if holder.starts_with(AGENT));
    // Where an agent holds the lock, whoever listens is it. Elsewhere, such as
    // an agent of another user's, it has to say so.
    let agent = usual(config).filter(|place| match knock(place) {
        Knock::Agent => true,
        Knock::Somebody => held,
        Knock::Nobody => false,
    });
    match agent {
        // With the role goes the lock: whoever attaches records nothing.
        Some(place) => Who::Agent(place),
        None => Who::Here(role),
    }
}

fn usual(config: &Config) -> Option<Place> {
    Place::usual(&config.agent, config.store.path.as_deref(), &config.libvirt.uri)
}
