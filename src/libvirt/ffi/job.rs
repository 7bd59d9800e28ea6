//! Progress of a domain's job. The `virt` crate takes libvirt's array for one
//! of Rust's own, which it is not, and an absent one for an empty one.

use std::{ffi::c_int, ptr, slice};

use virt::{
    domain::Domain,
    error::Error,
    sys::{self, virTypedParameter},
};

use super::{
    super::decode::Param,
    bulk::{name_of, value_of},
};

/// What libvirt told of a job. Freed as a whole on drop.
pub(in super::super) struct Job {
    kind: c_int,
    /// NULL, or an array of `count` parameters, owned.
    params: *mut virTypedParameter,
    count: c_int,
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: `params` and `count` came from a successful call, are freed
        // nowhere else, and nothing borrowed from them can outlive `self`.
        // NULL is allowed.
        unsafe { sys::virTypedParamsFree(self.params, self.count) }
    }
}

/// The job that runs on `domain`, if any. Waits behind a job that lets nobody
/// else ask, and for the monitor where a job runs.
pub(in super::super) fn of(domain: &Domain) -> Result<Job, Error> {
    let mut job = Job { kind: 0, params: ptr::null_mut(), count: 0 };
    // SAFETY: the domain is live while borrowed; the three places for the
    // result are `job`'s own, which frees what libvirt puts there.
    let failed = unsafe {
        sys::virDomainGetJobStats(
            domain.as_ptr(),
            &raw mut job.kind,
            &raw mut job.params,
            &raw mut job.count,
            0,
        )
    } < 0;
    if failed { Err(Error::last_error()) } else { Ok(job) }
}

impl Job {
    /// Whether a job runs at all.
    pub(in super::super) fn runs(&self) -> bool {
        matches!(u32::try_from(self.kind), Ok(sys::VIR_DOMAIN_JOB_BOUNDED | sys::VIR_DOMAIN_JOB_UNBOUNDED))
    }

    /// Its parameters: name and value, borrowed from libvirt.
    pub(in super::super) fn params(&self) -> impl Iterator<Item = (&[u8], Param<'_>)> {
        let params: &[virTypedParameter] = match usize::try_from(self.count) {
            // SAFETY: libvirt gave `count` parameters at `params`, which live
            // as long as `self`.
            Ok(count) if !self.params.is_null() => unsafe { slice::from_raw_parts(self.params, count) },
            _ => &[],
        };
        params.iter().map(|param| (name_of(&param.field), value_of(param)))
    }
}
