//! "Did you mean …?": the known word nearest to a mistyped one.

/// The nearest of `known` by edit distance, if it is near enough to be meant.
pub(super) fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let word: Vec<char> = word.to_lowercase().chars().take(80).collect();
    let near_enough = (word.len() / 4).clamp(1, 4);
    known
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= near_enough)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and substitutions from one to the other.
fn distance(word: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (i, b) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, a) in word.iter().enumerate() {
            let substituted = diagonal + usize::from(*a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_nonsense_finds_none() {
        let known = || ["influx.url", "influx.user", "libvirt.uri"].into_iter();
        assert_eq!(nearest("influx.ulr", known()), Some("influx.url"));
        assert_eq!(nearest("Influx.URL", known()), Some("influx.url"));
        assert_eq!(nearest("libvirt.url", known()), Some("libvirt.uri"));
        assert_eq!(nearest("agent.listen", known()), None);
        assert_eq!(nearest("", known()), None);
        let chars: Vec<char> = "kitten".chars().collect();
        assert_eq!(distance(&chars, "sitting"), 3);
    }
}
