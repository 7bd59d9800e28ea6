//! Signs whose width terminals do not agree on, made plain.
//!
//! Several emoji joined into one, a flag of two letters, a colour of skin: one
//! terminal draws them as one sign, the next as two or four, and whatever
//! stands to the right of a name would be pushed aside. Taken apart they have
//! one width everywhere. Marks piled upon a letter reach into the rows above
//! and below: a few are enough for any language. The record keeps the name as
//! it is.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// Marks upon one letter.
const MARKS: usize = 4;

/// The letter A of the pairs that make a flag.
const FLAG_A: u32 = 0x1F1E6;

/// `text` without what joins or varies signs, and with few marks; flags as
/// their letters.
#[must_use]
pub fn settled(text: &str) -> Cow<'_, str> {
    // Marks begin at U+0300: most of what is drawn needs no look at all.
    if text.chars().all(|c| matches!(c, '\0'..'\u{300}' | '\u{2010}'..'\u{2060}' | '\u{2190}'..'\u{2600}')) {
        return Cow::Borrowed(text);
    }
    let mut settled = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        let c = match change(c) {
            Change::Keep => c,
            Change::Drop => continue,
            Change::Letter(letter) => letter,
        };
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        if marks <= MARKS {
            settled.push(c);
        }
    }
    if settled == text { Cow::Borrowed(text) } else { Cow::Owned(settled) }
}

enum Change {
    Keep,
    Drop,
    Letter(char),
}

fn change(c: char) -> Change {
    match c {
        // Invisible: joiners, variants, colours of skin, keycaps, tags.
        '\u{200B}'..='\u{200D}'
        | '\u{2060}'..='\u{2064}'
        | '\u{20E3}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}'
        | '\u{1F3FB}'..='\u{1F3FF}'
        | '\u{E0000}'..='\u{E0FFF}' => Change::Drop,
        '\u{1F1E6}'..='\u{1F1FF}' => {
            let letter = u8::try_from(u32::from(c) - FLAG_A).map_or('?', |n| char::from(b'A' + n));
            Change::Letter(letter)
        }
        _ => Change::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_draw_differently_is_taken_apart() {
        assert_eq!(settled("👩\u{200d}👩\u{200d}👧 web"), "👩👩👧 web");
        assert_eq!(settled("🇩🇪-eu"), "DE-eu");
        assert_eq!(settled("👍🏽 ok"), "👍 ok");
        assert_eq!(settled("⚠\u{fe0f} old 1\u{fe0f}\u{20e3}"), "⚠ old 1");
        assert_eq!(settled("a\u{200b}b\u{feff}"), "ab");
        let piled = format!("z{}y\u{301}", "\u{300}".repeat(90));
        assert_eq!(settled(&piled), "z\u{300}\u{300}\u{300}\u{300}y\u{301}");
    }

    #[test]
    fn everything_else_stays() {
        for text in ["web-1", "虚拟机", "e\u{301}", "שרת", "▏▎ 12.5°", "한국", "क्षि"] {
            assert!(matches!(settled(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
