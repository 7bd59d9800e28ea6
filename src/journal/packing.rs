//! How rows are compressed.

use zstd::{
    bulk::Compressor,
    zstd_safe::{CParameter, Strategy},
};

/// A compressor as the record uses it.
///
/// Lines are a text that repeats itself with other digits in it. Short repeats
/// cost more than the digits themselves, so only long ones are looked for, at
/// one place each, but a better one a byte later is preferred. By measurement
/// (rows of 40 busy VMs) that takes an eighth less room than level 3 for a few
/// milliseconds of CPU, and level 15 gains another 6 % for five times that.
///
/// # Errors
/// There is no memory for it.
pub fn packer() -> std::io::Result<Compressor<'static>> {
    let mut packer = Compressor::new(5)?;
    packer.set_parameter(CParameter::Strategy(Strategy::ZSTD_lazy2))?;
    packer.set_parameter(CParameter::MinMatch(6))?;
    packer.set_parameter(CParameter::SearchLog(1))?;
    packer.set_parameter(CParameter::HashLog(17))?;
    packer.set_parameter(CParameter::ChainLog(16))?;
    // The local part has no checksum of its own: what unpacks altered must not pass.
    packer.include_checksum(true)?;
    Ok(packer)
}
