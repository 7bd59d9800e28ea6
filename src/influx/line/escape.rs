//! How a tag value, a number and a string field are spelled.
//!
//! Tag values pass `model::name::storable` first, so that what is escaped
//! here never holds a control character, a backslash that could be taken for
//! an escape, or nothing at all.

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

/// The longest `i64`: its sign and its digits.
const LONGEST: usize = 20;
/// What is copied for a number: more than any has, and always the same, which
/// the compiler turns into two moves in place of a call.
const COPIED: usize = 24;

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number: u8 = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// Appends a whole number and one byte that follows it.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, value: i64, then: u8) {
    let mut text = [0; LONGEST + COPIED];
    text[LONGEST] = then;
    let first = digits(&mut text, value);
    let length = out.len() + LONGEST + 1 - first;
    out.extend_from_slice(&text[first..first + COPIED]);
    out.truncate(length);
}

/// Writes `value` so that it ends before `LONGEST`; where it begins.
fn digits(text: &mut [u8; LONGEST + COPIED], value: i64) -> usize {
    let mut first = LONGEST;
    #[allow(clippy::cast_possible_truncation, reason = "a pair is below 100")]
    let mut put = |pair: u64| {
        first -= 2;
        text[first..first + 2].copy_from_slice(&PAIRS[pair as usize]);
    };
    let mut rest = value.unsigned_abs();
    // Two pairs at a time: half the long divisions.
    while rest >= 10_000 {
        let four = rest % 10_000;
        rest /= 10_000;
        put(four % 100);
        put(four / 100);
    }
    if rest >= 100 {
        put(rest % 100);
        rest /= 100;
    }
    put(rest);
    first += usize::from(rest < 10);
    if value < 0 {
        first -= 1;
        text[first] = b'-';
    }
    first
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
            assert_eq!(spelled(|o| number(o, value, b'i')), format!("{value}i"));
        }
    }

    proptest! {
        #[test]
        fn any_number_follows_what_was_there(value: i64, before in "[a-z]{0,30}") {
            let mut out = before.clone().into_bytes();
            number(&mut out, value, b'\n');
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before}{value}\n"));
        }
    }

    #[test]
    fn strings_escape_quotes_and_backslashes() {
        assert_eq!(spelled(|o| string_value(o, "say \"hi\" \\ there")), r#""say \"hi\" \\ there""#);
        assert_eq!(spelled(|o| string_value(o, "")), "\"\"");
    }
}
