//! How cards are laid side by side: the one arithmetic that the cursor and
//! the drawing share. Both know the terminal's size, and nothing else.

/// Columns of a card that shows everything.
pub const NARROW: u16 = 38;
/// Wider than this a card gains nothing.
pub const WIDE: u16 = 64;
/// Between two cards.
pub const GAP: u16 = 2;
/// Lines of a card, and an empty one under it.
pub const HEIGHT: u16 = 6;
/// Lines around the cards: header, counts, foot.
const AROUND: u16 = 6;

/// How many of `count` cards stand side by side in a terminal of this size:
/// no more than needed to have all in view, so that few become wide.
#[must_use]
pub fn side_by_side((width, height): (u16, u16), count: usize) -> usize {
    let fit = |card: u16| usize::from((width + GAP) / (card + GAP)).max(1);
    let lines = usize::from((height.saturating_sub(AROUND) + 1) / HEIGHT).max(1);
    let needed = count.div_ceil(lines);
    needed.clamp(fit(WIDE), fit(NARROW)).min(count.max(1))
}

/// Columns of each card then.
#[must_use]
pub fn width(size: (u16, u16), count: usize) -> u16 {
    let across = u16::try_from(side_by_side(size, count)).unwrap_or(1);
    (size.0.saturating_sub(GAP * (across - 1)) / across).min(WIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_fill_the_width_and_never_more() {
        let sizes = [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)];
        assert_eq!(sizes.map(|size| side_by_side(size, 99)), [2, 3, 5, 1, 1]);
        assert_eq!(sizes.map(|size| side_by_side(size, 7)), [2, 2, 3, 1, 1], "few become wide");
        assert_eq!((side_by_side((200, 60), 2), width((200, 60), 2)), (2, WIDE));
        for total in 20..300 {
            for count in [1, 2, 3, 7, 500] {
                let size = (total, 40);
                let across = u16::try_from(side_by_side(size, count)).unwrap();
                let used = across * width(size, count) + (across - 1) * GAP;
                assert!(used <= total, "{total} {count}: {used}");
            }
        }
    }
}
