//! Lines as they go over the wire, made ready before their turn has come.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// Makes lines ready to be posted, on whichever thread.
#[derive(Clone, Copy, Debug)]
pub struct Packer {
    pub(super) gzip: bool,
}

/// Lines made ready: compressed, where that is wanted.
#[derive(Clone, Debug)]
pub struct Packed(Option<Vec<u8>>);

impl Packer {
    /// Makes `lines` ready.
    #[must_use]
    pub fn pack(self, lines: &[u8]) -> Packed {
        // Compressing into memory does not fail; plain is right as well.
        Packed(self.gzip.then(|| compressed(lines).ok()).flatten())
    }
}

/// Lines and the same made ready.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) lines: &'a [u8],
    pub(super) packed: &'a Packed,
}

impl Body<'_> {
    /// What is posted, and whether it is compressed.
    pub(super) fn posted(&self) -> (Vec<u8>, bool) {
        match &self.packed.0 {
            Some(packed) => (packed.clone(), true),
            None => (self.lines.to_vec(), false),
        }
    }
}

fn compressed(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::with_capacity(lines.len() / 8), Compression::fast());
    packed.write_all(lines)?;
    packed.finish()
}
