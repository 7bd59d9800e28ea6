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

/// Appends an integer without a suffix.
pub(super) fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
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
    fn strings_escape_quotes_and_backslashes() {
        assert_eq!(spelled(|o| string_value(o, "say \"hi\" \\ there")), r#""say \"hi\" \\ there""#);
        assert_eq!(spelled(|o| string_value(o, "")), "\"\"");
    }
}
