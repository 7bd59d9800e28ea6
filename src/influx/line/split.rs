//! Cutting encoded lines into requests.

/// A run of whole lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The lines, each with its newline.
    pub bytes: &'a [u8],
    /// How many they are.
    pub lines: usize,
}

/// Cuts `bytes` (lines as the encoder writes them, each ended by a newline
/// and holding no other) into pieces of at most `max_lines` lines and
/// `max_bytes` bytes, in order. A single line longer than `max_bytes` is a
/// piece of its own: nothing is ever left out.
pub fn split(bytes: &[u8], max_lines: usize, max_bytes: usize) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (mut end, mut lines) = (0, 0);
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            if lines > 0 && (lines >= max_lines || end + line.len() > max_bytes) {
                break;
            }
            end += line.len();
            lines += 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        (lines > 0).then_some(Piece { bytes: piece, lines })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str, max_lines: usize, max_bytes: usize) -> Vec<(&str, usize)> {
        split(text.as_bytes(), max_lines, max_bytes)
            .map(|p| (std::str::from_utf8(p.bytes).unwrap(), p.lines))
            .collect()
    }

    #[test]
    fn both_limits_hold_and_a_giant_line_still_goes() {
        assert_eq!(pieces("", 10, 10), []);
        assert_eq!(pieces("a\nb\nc\n", 2, 100), [("a\nb\n", 2), ("c\n", 1)]);
        assert_eq!(pieces("a\nb\nc\n", 100, 4), [("a\nb\n", 2), ("c\n", 1)]);
        assert_eq!(pieces("a\nlong line\nc\n", 9, 4), [("a\n", 1), ("long line\n", 1), ("c\n", 1)]);
        assert_eq!(pieces("a\nb", 0, 0), [("a\n", 1), ("b", 1)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_reordered(
            lines in prop::collection::vec("[a-z]{0,12}", 0..40),
            max_lines in 1_usize..10,
            max_bytes in 1_usize..40,
        ) {
            let text: String = lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
            let cut = pieces(&text, max_lines, max_bytes);
            prop_assert_eq!(cut.iter().map(|p| p.0).collect::<String>(), &*text);
            for (piece, count) in cut {
                prop_assert_eq!(piece.matches('\n').count(), count);
                prop_assert!(count <= max_lines);
                prop_assert!(piece.len() <= max_bytes || count == 1);
            }
        }
    }
}
