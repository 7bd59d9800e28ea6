//! Columns of numbers as bits: each as narrow as its own values allow.
//!
//! A column is all nothing, all one number, numbers of one width, or numbers
//! by a Rice code where few are large; whichever is shortest. Knows numbers
//! alone, not what they mean. Reading trusts nothing: what does not fit is
//! [`Damaged`], and no more memory is taken than the caller asks for.

/// The bytes are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// Bits, written from the lowest up.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Bits of the last byte that are in use; 0: it is full.
    used: u32,
}

/// Bits, read from the lowest up.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    at: usize,
}

/// Ones in a row after which a Rice code gives up and the number follows whole.
const ESCAPE: u32 = 24;

/// The kinds of columns, in two bits.
mod kind {
    pub(super) const NOTHING: u64 = 0;
    pub(super) const SAME: u64 = 1;
    pub(super) const PACKED: u64 = 2;
    pub(super) const RICE: u64 = 3;
}

impl Writer {
    /// The bits, the last byte filled up with zeros.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The lowest `width` bits of `value`, at most 64.
    fn bits(&mut self, mut value: u64, mut width: u32) {
        while width > 0 {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let taken = width.min(8 - self.used);
            let piece = value.to_le_bytes()[0] & (0xff >> (8 - taken));
            if let Some(last) = self.bytes.last_mut() {
                *last |= piece << self.used;
            }
            value >>= taken;
            width -= taken;
            self.used = (self.used + taken) % 8;
        }
    }

    /// One number of any size.
    pub(super) fn number(&mut self, value: u64) {
        let width = width(value);
        self.bits(width.into(), 7);
        self.bits(value, width);
    }

    /// Numbers whose count the reader will know.
    pub(super) fn column(&mut self, values: &[u64]) {
        let (Some(&least), Some(&most)) = (values.iter().min(), values.iter().max()) else { return };
        if most == 0 {
            return self.bits(kind::NOTHING, 2);
        }
        if least == most {
            self.bits(kind::SAME, 2);
            return self.number(least);
        }
        let packed = width(most - least);
        let cost = |k: u32| values.iter().map(|v| rice_width(v - least, k)).sum::<u64>();
        let rice = (0..packed).map(|k| (cost(k), k)).min();
        if let Some((_, k)) = rice.filter(|(cost, _)| *cost < u64::from(packed) * values.len() as u64) {
            self.bits(kind::RICE, 2);
            self.bits(k.into(), 6);
            self.number(least);
            for value in values {
                self.rice(value - least, k);
            }
        } else {
            self.bits(kind::PACKED, 2);
            self.bits((packed - 1).into(), 6);
            self.number(least);
            for value in values {
                self.bits(value - least, packed);
            }
        }
    }

    fn rice(&mut self, value: u64, k: u32) {
        let ones = value >> k;
        if ones >= u64::from(ESCAPE) {
            self.bits(u64::MAX, ESCAPE);
            return self.number(value);
        }
        // A zero ends the ones.
        let ones = u32::try_from(ones).unwrap_or(ESCAPE);
        self.bits((1 << ones) - 1, ones + 1);
        self.bits(value, k);
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether all has been read but the filling of the last byte.
    pub(super) fn ends_here(mut self) -> bool {
        let rest = self.bytes.len() * 8 - self.at;
        rest < 8 && self.bits(u32::try_from(rest).unwrap_or(0)) == Ok(0)
    }

    fn bits(&mut self, width: u32) -> Result<u64, Damaged> {
        let mut value = 0;
        let mut got = 0;
        while got < width {
            let byte = *self.bytes.get(self.at / 8).ok_or(Damaged)?;
            let skipped = u32::try_from(self.at % 8).unwrap_or(0);
            let taken = (width - got).min(8 - skipped);
            let piece = (byte >> skipped) & (0xff >> (8 - taken));
            value |= u64::from(piece) << got;
            got += taken;
            self.at += taken as usize;
        }
        Ok(value)
    }

    /// What [`Writer::number`] has written.
    pub(super) fn number(&mut self) -> Result<u64, Damaged> {
        let width = u32::try_from(self.bits(7)?).unwrap_or(u32::MAX);
        if width > 64 { Err(Damaged) } else { self.bits(width) }
    }

    /// What [`Writer::column`] has written of `count` numbers.
    pub(super) fn column(&mut self, count: usize) -> Result<Vec<u64>, Damaged> {
        if count == 0 {
            return Ok(Vec::new());
        }
        match self.bits(2)? {
            kind::NOTHING => Ok(vec![0; count]),
            kind::SAME => Ok(vec![self.number()?; count]),
            kind => {
                let parameter = u32::try_from(self.bits(6)?).unwrap_or(0);
                let least = self.number()?;
                // Each takes a bit at least: a count beyond that is not believed.
                if count > (self.bytes.len() * 8).saturating_sub(self.at) {
                    return Err(Damaged);
                }
                (0..count)
                    .map(|_| {
                        let above = match kind {
                            kind::PACKED => self.bits(parameter + 1)?,
                            _ => self.rice(parameter)?,
                        };
                        least.checked_add(above).ok_or(Damaged)
                    })
                    .collect()
            }
        }
    }

    fn rice(&mut self, k: u32) -> Result<u64, Damaged> {
        let mut ones = 0;
        while ones < ESCAPE && self.bits(1)? == 1 {
            ones += 1;
        }
        if ones == ESCAPE {
            return self.number();
        }
        let high = u64::from(ones);
        if high.leading_zeros() < k && high > 0 {
            return Err(Damaged);
        }
        Ok(if high == 0 { 0 } else { high << k } | self.bits(k)?)
    }
}

/// Bits that `value` needs; 0 for 0.
fn width(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

fn rice_width(value: u64, k: u32) -> u64 {
    let ones = value >> k;
    let rest = if ones >= u64::from(ESCAPE) { ESCAPE + 7 + width(value) } else { k + 1 };
    if ones >= u64::from(ESCAPE) { rest.into() } else { ones + u64::from(rest) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(columns: &[Vec<u64>]) -> Vec<u8> {
        let mut writer = Writer::default();
        for column in columns {
            writer.column(column);
        }
        writer.into_bytes()
    }

    fn any_column() -> impl Strategy<Value = Vec<u64>> {
        let bits = (0_u32..=64).prop_flat_map(|bits| {
            proptest::collection::vec(any::<u64>().prop_map(move |n| n.checked_shr(bits).unwrap_or(0)), 0..60)
        });
        // A few outliers among small ones.
        let mixed = proptest::collection::vec(prop_oneof![9 => 0_u64..50, 1 => any::<u64>()], 0..60);
        prop_oneof![bits, mixed]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(columns in proptest::collection::vec(any_column(), 0..6)) {
            let bytes = packed(&columns);
            let mut reader = Reader::new(&bytes);
            for column in &columns {
                prop_assert_eq!(&reader.column(column.len()).unwrap(), column);
            }
            prop_assert!(reader.ends_here());
        }

        #[test]
        fn any_bytes_are_read_or_damaged(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            counts in proptest::collection::vec(0_usize..2000, 0..8),
        ) {
            let mut reader = Reader::new(&bytes);
            for count in counts {
                if let Ok(column) = reader.column(count) {
                    prop_assert_eq!(column.len(), count);
                }
            }
        }
    }

    #[test]
    fn a_column_takes_no_more_than_its_values_need() {
        let bits = |column: &[u64]| {
            let mut writer = Writer::default();
            writer.column(column);
            writer.into_bytes().len() * 8
        };
        assert!(bits(&[0; 1000]) <= 8, "nothing costs nothing");
        assert!(bits(&[7777; 1000]) <= 32, "neither does the same");
        let even: Vec<u64> = (0..1024).map(|n| 5_000_000 + n).collect();
        assert!(bits(&even) <= 10 * 1024 + 64);
        let mut rare = vec![0; 1000];
        rare[500] = u64::MAX;
        assert!(bits(&rare) <= 1000 + 200, "one outlier does not widen all");
    }
}
