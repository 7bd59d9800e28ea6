//! How a tag value, a number and a string field are spelled.
//!
//! Tag values pass `model::name::storable` first, so that what is escaped
//! here never holds a control character, a backslash that could be taken for
//! an escape, or nothing at all.

use std::io::Write as _;

use crate::model::name::storable;

/// Appends `raw` as a tag value: made storable, then comma, equals sign and
/// space escaped.
pub(super) fn tag_value(out: &mut Vec<u8>, raw: &str) {
    tag_text(out, &storable(raw));
}

/// Appends text that is storable already as a tag key or value.
pub(super) fn tag_text(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if matches!(byte, b',' | b'=' | b' ') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Appends a string field's value with its quotes.
pub(super) fn string_value(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Below this a number has at most eight digits.
const EIGHT: u64 = 100_000_000;
/// Below this, sixteen.
const SIXTEEN: u64 = EIGHT * EIGHT;

/// The eight decimal digits of a number below [`EIGHT`], a byte for each, the
/// first in the lowest byte. Two, then four, then eight digits are parted at
/// once in one register: a buffer that is filled digit by digit and read back
/// as a whole would make the processor wait for itself.
#[inline]
fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // A hundredth of each half: 10,486 / 2^20 is exact below 10,000.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    // A tenth of each quarter: 103 / 2^10 is exact below 100.
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// Turns eight digits into their characters.
const CHARACTERS: u64 = 0x3030_3030_3030_3030;

/// Room for the longest number: its sign, 19 digits and the byte behind it,
/// and for moves that are longer than what they move.
pub(super) const ROOM: usize = 32;

/// Writes a number below [`EIGHT`] without leading zeros; where it ends.
#[inline]
fn leading(room: &mut [u8; ROOM], at: usize, number: u64) -> usize {
    let digits = eight_digits(number);
    // The last digit stands even where it is zero.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    // Always the same number of bytes: a move in place of a call.
    room[at..at + 8].copy_from_slice(&((digits | CHARACTERS) >> (8 * zeros)).to_le_bytes());
    at + 8 - zeros as usize
}

/// Writes all eight digits of a number below [`EIGHT`]; where it ends.
#[inline]
fn following(room: &mut [u8; ROOM], at: usize, number: u64) -> usize {
    room[at..at + 8].copy_from_slice(&(eight_digits(number) | CHARACTERS).to_le_bytes());
    at + 8
}

/// Writes a whole number and one byte that follows it to the beginning of
/// `room`; how long both are.
#[inline]
pub(super) fn number(room: &mut [u8; ROOM], value: i64, then: u8) -> usize {
    // Counters of errors and drops are mostly this short.
    if let Ok(digit @ 0..10) = u8::try_from(value) {
        room[0] = b'0' + digit;
        room[1] = then;
        return 2;
    }
    longer(room, value, then)
}

fn longer(room: &mut [u8; ROOM], value: i64, then: u8) -> usize {
    let value = match u64::try_from(value) {
        Ok(value) if value < SIXTEEN => value,
        _ => return longest(room, value, then),
    };
    let end = if value < EIGHT {
        leading(room, 0, value)
    } else {
        let end = leading(room, 0, value / EIGHT);
        following(room, end, value % EIGHT)
    };
    room[end] = then;
    end + 1
}

/// As [`longer`], for what is negative or has more than sixteen digits.
#[cold]
fn longest(room: &mut [u8; ROOM], value: i64, then: u8) -> usize {
    let mut rest = &mut room[..];
    // There is room for any number.
    let _ = write!(rest, "{value}");
    let end = ROOM - rest.len();
    room[end] = then;
    end + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spelled(append: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        append(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn with_i(value: i64) -> String {
        let mut room = [b'#'; ROOM];
        let length = number(&mut room, value, b'i');
        String::from_utf8(room[..length].to_vec()).unwrap()
    }

    #[test]
    fn tag_values_escape_what_separates_and_nothing_else() {
        assert_eq!(spelled(|o| tag_value(o, "a b,c=d\"e")), "a\\ b\\,c\\=d\"e");
        assert_eq!(spelled(|o| tag_value(o, "C:\\w")), "C:\\w");
        assert_eq!(spelled(|o| tag_value(o, "")), "_");
        assert_eq!(spelled(|o| tag_value(o, "a\nb\\")), "a_b_");
        assert_eq!(spelled(|o| tag_value(o, "虚拟机 1")), "虚拟机\\ 1");
    }

    #[test]
    fn numbers_are_spelled_as_the_standard_library_does() {
        let near = |power: i64| [power - 1, power, power + 1];
        let mut some: Vec<i64> = (0..19).flat_map(|n| near(10_i64.pow(n))).collect();
        some.extend([0, i64::MAX]);
        some.extend(some.clone().iter().map(|n| -n));
        some.push(i64::MIN);
        for value in some {
            assert_eq!(with_i(value), format!("{value}i"));
        }
    }

    proptest! {
        #[test]
        fn any_number_is_spelled_as_the_standard_library_does(value: i64, shorter in 0_u32..64) {
            let value = value >> shorter;
            prop_assert_eq!(with_i(value), format!("{value}i"));
        }
    }

    #[test]
    fn strings_escape_quotes_and_backslashes() {
        assert_eq!(spelled(|o| string_value(o, "say \"hi\" \\ there")), r#""say \"hi\" \\ there""#);
        assert_eq!(spelled(|o| string_value(o, "")), "\"\"");
    }
}
