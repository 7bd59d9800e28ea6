//! The state of libvirt's own control over a domain, which the `virt` crate
//! does not wrap.

use std::time::Duration;

use virt::{domain::Domain, error::Error, sys};

use super::super::question::Control;

/// No call hangs for so many milliseconds.
const LONGEST: u64 = 10 * 365 * 86_400_000;

/// Whether a call holds `domain`, from libvirt's own books: neither the
/// monitor nor a job is needed to tell.
pub(in super::super) fn of(domain: &Domain) -> Result<Control, Error> {
    let mut info = sys::virDomainControlInfo { state: 0, details: 0, stateTime: 0 };
    // SAFETY: the domain is live while borrowed, and `info` is ours to fill.
    let failed = unsafe { sys::virDomainGetControlInfo(domain.as_ptr(), &raw mut info, 0) } < 0;
    if failed {
        return Err(Error::last_error());
    }
    Ok(match info.state {
        sys::VIR_DOMAIN_CONTROL_OK => Control::Free,
        // In milliseconds of the host's wall clock, which may have been set back.
        sys::VIR_DOMAIN_CONTROL_OCCUPIED if info.stateTime < LONGEST => {
            Control::Held(Duration::from_millis(info.stateTime))
        }
        // While a migration or a backup runs, any question makes this the
        // state, since that began: whether a call hangs it does not tell.
        _ => Control::Unknown,
    })
}
