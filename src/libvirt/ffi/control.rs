//! The state of libvirt's own control over a domain, which the `virt` crate
//! does not wrap.

use std::time::Duration;

use virt::{domain::Domain, error::Error, sys};

use super::super::question::Control;

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
        // `stateTime` is in milliseconds.
        sys::VIR_DOMAIN_CONTROL_JOB | sys::VIR_DOMAIN_CONTROL_OCCUPIED => {
            Control::Held(Duration::from_millis(info.stateTime))
        }
        _ => Control::Unknown,
    })
}
