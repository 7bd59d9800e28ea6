//! The bulk statistics: one call for many domains.
//!
//! The `virt` crate's own wrapper frees only the outer array. Here the whole
//! list lives in [`Records`], which gives it back to libvirt when dropped,
//! whatever happened in between.

use std::{
    ffi::{CStr, c_char, c_int},
    ptr, slice,
};

use uuid::Uuid;
use virt::{
    connect::Connect,
    domain::Domain,
    error::Error,
    sys::{self, virDomainStatsRecord, virDomainStatsRecordPtr, virTypedParameter},
};

use super::super::{Groups, decode::Param};

/// What a bulk call returned. Freed as a whole on drop.
pub(in super::super) struct Records {
    /// NULL-terminated array of `len` records, owned.
    list: *mut virDomainStatsRecordPtr,
    len: usize,
}

impl Drop for Records {
    fn drop(&mut self) {
        // SAFETY: `list` came from a successful bulk call, is freed nowhere
        // else, and nothing borrowed from it can outlive `self`.
        unsafe { sys::virDomainStatsRecordListFree(self.list) }
    }
}

/// One domain's record, borrowed from [`Records`].
#[derive(Clone, Copy)]
pub(in super::super) struct Record<'a>(&'a virDomainStatsRecord);

/// Statistics of exactly these domains, all of one connection. Domains whose
/// lock another holds are passed without their monitor's part.
///
/// An empty list is libvirt's error "must contain at least one domain".
pub(in super::super) fn of_domains<'a>(
    domains: impl Iterator<Item = &'a Domain>,
    groups: Groups,
) -> Result<Records, Error> {
    // SAFETY: `as_ptr` only reads the handle's pointer. The handles are
    // borrowed for 'a, which outlives the call below.
    let mut pointers: Vec<_> = domains.map(|domain| unsafe { domain.as_ptr() }).collect();
    pointers.push(ptr::null_mut());
    let mut list = ptr::null_mut();
    // SAFETY: `pointers` is NULL-terminated and holds live handles; `list` is
    // a place for the result. libvirt keeps neither.
    let count = unsafe {
        sys::virDomainListGetStats(
            pointers.as_mut_ptr(),
            stats(groups),
            &raw mut list,
            sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        )
    };
    Records::adopt(list, count)
}

/// State alone, of all domains of the connection, active and inactive.
pub(in super::super) fn states_of_all(connection: &Connect) -> Result<Records, Error> {
    let mut list = ptr::null_mut();
    // SAFETY: the connection is live while borrowed; `list` is a place for
    // the result.
    let count = unsafe {
        sys::virConnectGetAllDomainStats(connection.as_ptr(), sys::VIR_DOMAIN_STATS_STATE, &raw mut list, 0)
    };
    Records::adopt(list, count)
}

fn stats(groups: Groups) -> u32 {
    [
        (Groups::CPU, sys::VIR_DOMAIN_STATS_CPU_TOTAL),
        (Groups::VCPUS, sys::VIR_DOMAIN_STATS_VCPU),
        (Groups::MEMORY, sys::VIR_DOMAIN_STATS_BALLOON),
        (Groups::NICS, sys::VIR_DOMAIN_STATS_INTERFACE),
        (Groups::DISKS, sys::VIR_DOMAIN_STATS_BLOCK),
    ]
    .into_iter()
    .filter(|(group, _)| groups.has(*group))
    .fold(sys::VIR_DOMAIN_STATS_STATE, |all, (_, bit)| all | bit)
}

impl Records {
    /// Takes what a bulk call returned: the list, or libvirt's error.
    fn adopt(list: *mut virDomainStatsRecordPtr, count: c_int) -> Result<Self, Error> {
        match usize::try_from(count) {
            Ok(len) if !list.is_null() => Ok(Self { list, len }),
            _ => Err(Error::last_error()),
        }
    }

    /// The records, in libvirt's order.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        // SAFETY: libvirt returned `len` pointers at `list`, valid until the
        // list is freed, which `self` does only when dropped.
        let pointers = unsafe { slice::from_raw_parts(self.list, self.len) };
        pointers.iter().filter_map(|record| {
            // SAFETY: each pointer is NULL or points to a record that lives as
            // long as the list.
            unsafe { record.as_ref() }.map(Record)
        })
    }
}

impl<'a> Record<'a> {
    /// The domain's uuid.
    pub(in super::super) fn uuid(self) -> Option<Uuid> {
        let mut bytes = [0; 16];
        // SAFETY: the record's domain lives as long as the record; the buffer
        // has VIR_UUID_BUFLEN bytes.
        let failed = unsafe { sys::virDomainGetUUID(self.0.dom, bytes.as_mut_ptr()) } != 0;
        (!failed).then(|| Uuid::from_bytes(bytes))
    }

    /// The domain's id at the time of the call; `None` when it is not active.
    pub(in super::super) fn id(self) -> Option<u32> {
        // SAFETY: the record's domain lives as long as the record.
        let id = unsafe { sys::virDomainGetID(self.0.dom) };
        (id != u32::MAX).then_some(id)
    }

    /// The domain's name as libvirt has it.
    pub(in super::super) fn name(self) -> String {
        // SAFETY: the record's domain lives as long as the record, and its
        // name as long as the domain; it is NUL-terminated or NULL.
        unsafe {
            let name = sys::virDomainGetName(self.0.dom);
            if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
        }
    }

    /// The record's parameters: name and value, borrowed from libvirt.
    pub(in super::super) fn params(self) -> impl Iterator<Item = (&'a [u8], Param<'a>)> {
        let len = usize::try_from(self.0.nparams).unwrap_or(0);
        let params: &'a [virTypedParameter] = if self.0.params.is_null() {
            &[]
        } else {
            // SAFETY: libvirt gives `nparams` parameters at `params`, which
            // live as long as the record.
            unsafe { slice::from_raw_parts(self.0.params, len) }
        };
        named(params)
    }
}

/// Typed parameters of libvirt's as names and values.
pub(super) fn named(params: &[virTypedParameter]) -> impl Iterator<Item = (&[u8], Param<'_>)> {
    params.iter().map(|param| (name_of(&param.field), value_of(param)))
}

/// The field's bytes up to its NUL, or all of them if it has none.
pub(super) fn name_of(field: &[c_char]) -> &[u8] {
    // SAFETY: c_char and u8 have the same size and alignment, and every bit
    // pattern is a valid u8.
    let bytes = unsafe { slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

pub(super) fn value_of(param: &virTypedParameter) -> Param<'_> {
    let value = &param.value;
    // SAFETY: `type_` says which member of the union libvirt has written; a
    // string is NUL-terminated and lives as long as its parameter.
    unsafe {
        match u32::try_from(param.type_).unwrap_or(0) {
            sys::VIR_TYPED_PARAM_INT => Param::Signed(i64::from(value.i)),
            sys::VIR_TYPED_PARAM_UINT => Param::Unsigned(u64::from(value.ui)),
            sys::VIR_TYPED_PARAM_LLONG => Param::Signed(value.l),
            sys::VIR_TYPED_PARAM_ULLONG => Param::Unsigned(value.ul),
            sys::VIR_TYPED_PARAM_BOOLEAN => Param::Flag(value.b != 0),
            sys::VIR_TYPED_PARAM_STRING if !value.s.is_null() => {
                Param::Text(CStr::from_ptr(value.s).to_bytes())
            }
            _ => Param::Other,
        }
    }
}

#[cfg(test)]
mod tests;
