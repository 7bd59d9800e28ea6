//! How cards are laid side by side: the one arithmetic that the cursor and
//! the drawing share.

/// Columns of a card that shows everything, and between two of them.
pub const NARROW: u16 = 38;
/// Between two cards.
pub const GAP: u16 = 2;
/// Wider than this a card gains nothing.
pub const WIDE: u16 = 64;
/// Lines of a card, and an empty one under it.
pub const HEIGHT: u16 = 6;

/// How many of `count` cards stand side by side in `width` columns.
#[must_use]
pub fn side_by_side(width: u16, count: usize) -> usize {
    let fit = usize::from((width + GAP) / (NARROW + GAP));
    fit.min(count).max(1)
}

/// Columns of each card then.
#[must_use]
pub fn width(width: u16, count: usize) -> u16 {
    let across = u16::try_from(side_by_side(width, count)).unwrap_or(1);
    (width.saturating_sub(GAP * (across - 1)) / across).min(WIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_fill_the_width_and_never_more() {
        assert_eq!([80, 120, 200, 40, 20].map(|w| side_by_side(w, 99)), [2, 3, 5, 1, 1]);
        assert_eq!((side_by_side(200, 2), width(200, 2)), (2, WIDE));
        for total in 20..300 {
            for count in [1, 2, 3, 7, 500] {
                let across = u16::try_from(side_by_side(total, count)).unwrap();
                let used = across * width(total, count) + (across - 1) * GAP;
                assert!(used <= total, "{total} {count}: {used}");
            }
        }
    }
}
