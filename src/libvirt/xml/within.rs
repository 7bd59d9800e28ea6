//! Secrets within a text: what a name, a sign and a value look like, in
//! arguments, URLs, JSON, YAML and markup.
//!
//! It reads each text once, whatever it holds, and would rather mask too much
//! than too little. It knows no elements.

use std::{borrow::Cow, ops::Range};

/// What the name of a secret holds, written small and without signs.
const WORDS: [&str; 18] = [
    "passwd",
    "password",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "cookie",
    "apikey",
    "privatekey",
    "accesskey",
    "authkey",
    "encryptionkey",
    "signingkey",
    "sharedkey",
    "psk",
    "authorization",
];
/// What the name of a value is called, and what the value is called then:
/// `{"name": "password", "value": …}`.
const LABELS: [&str; 4] = ["name", "key", "field", "variable"];
const VALUES: [&str; 7] = ["value", "val", "string", "text", "data", "content", "default"];
/// Longest name that is looked at as such.
const LONGEST_LABEL: usize = 64;
/// A user's name in a URL that is so long, with digits and letters, is a token.
const TOKEN: usize = 16;
/// Names that hold such a word and name no secret.
const PLAIN: [&str; 1] = ["passwdvalidto"];
/// Ends of words that are no `pass`.
const NO_PASS: [&str; 2] = ["bypass", "compass"];
/// What a value begins with whose secret is the next word.
const SCHEMES: [&str; 3] = ["bearer", "basic", "digest"];

/// Whether `name` is what a secret is called.
pub(super) fn is_secret(name: &str) -> bool {
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let pass = name.ends_with("pass") && !NO_PASS.iter().any(|word| name.ends_with(word));
    (pass || WORDS.iter().any(|word| name.contains(word))) && !PLAIN.contains(&name.as_str())
}

/// Whether an attribute or a key of this name holds what another one names.
pub(super) fn is_value(name: &str) -> bool {
    VALUES.iter().any(|value| name.eq_ignore_ascii_case(value))
}

/// A text of the XML as its reader sees it, and where each byte came from.
pub(super) struct Plain<'a> {
    text: Cow<'a, str>,
    /// The place in the XML of each byte, unless they are all in a row.
    from: Option<Vec<usize>>,
    place: Range<usize>,
}

impl<'a> Plain<'a> {
    pub(super) fn new(xml: &'a str, place: Range<usize>) -> Self {
        let raw = &xml[place.clone()];
        if !raw.contains('&') && !raw.contains("<![CDATA[") {
            return Self { text: raw.into(), from: None, place };
        }
        let (mut text, mut from) = (String::with_capacity(raw.len()), Vec::with_capacity(raw.len() + 1));
        let mut at = 0;
        while let Some(c) = raw[at..].chars().next() {
            let rest = &raw[at..];
            let (c, length) = if rest.starts_with("<![CDATA[") {
                (None, "<![CDATA[".len())
            } else if rest.starts_with("]]>") {
                (None, "]]>".len())
            } else if let Some((c, length)) = reference(rest) {
                (Some(c), length)
            } else {
                (Some(c), c.len_utf8())
            };
            if let Some(c) = c {
                text.push(c);
                from.resize(text.len(), place.start + at);
            }
            at += length;
        }
        from.push(place.end);
        Self { text: text.into(), from: Some(from), place }
    }

    fn in_xml(&self, range: Range<usize>) -> Range<usize> {
        match &self.from {
            Some(from) => from[range.start]..from[range.end],
            None => self.place.start + range.start..self.place.start + range.end,
        }
    }

    /// Whether it is a secret from end to end: a credential of systemd or
    /// QEMU's secret object, whose parts come in any order.
    pub(super) fn is_whole_secret(&self) -> bool {
        let lower = self.text.to_ascii_lowercase();
        let data = ["data=", "data\"", "data\\\"", "data'"].iter().any(|data| lower.contains(data));
        lower.contains("io.systemd.credential") || (lower.contains("secret") && data)
    }

    /// Whether it is markup that names a secret somewhere.
    pub(super) fn is_secret_markup(&self) -> bool {
        self.text.trim_start_matches("<!--").contains('<') && is_secret(&self.text)
    }

    /// Adds the secrets within it. A blank ends a value, but not in an
    /// `argument` of its own.
    pub(super) fn find(&self, argument: bool, secrets: &mut Vec<Range<usize>>) {
        let mut at = 0;
        let object = self.text.find('{');
        let (mut named, mut unnamed, mut searched) = (false, None, 0);
        while let Some(name) = next_name(&self.text, at) {
            at = name.end;
            if names_a_secret(&self.text, &name) {
                // What belongs together in it only its own reader could tell.
                if let Some(from) = object.filter(|from| *from < name.start) {
                    secrets.push(self.in_xml(from + 1..self.text.rfind('}').unwrap_or(0).max(name.end)));
                }
                named = true;
                // The value may come before its name.
                secrets.extend(unnamed.take().map(|value| self.in_xml(value)));
            }
            let mut value = value_of(&self.text, &name);
            if value.is_none()
                && is_value(&self.text[name.clone()])
                && let Some(from) = after_sign(&self.text, &name)
            {
                if named {
                    value = Some(from);
                } else if from >= searched {
                    searched = end_of_value(&self.text, from, argument).max(from);
                    unnamed = Some(from..searched);
                }
            }
            if let Some(from) = value {
                let end = end_of_value(&self.text, from, argument);
                if end > from {
                    secrets.push(self.in_xml(from..end));
                    at = end;
                    named = false;
                }
            }
        }
        self.find_in_urls(secrets);
    }

    /// Between a URL's `://user:` and its last `@`.
    fn find_in_urls(&self, secrets: &mut Vec<Range<usize>>) {
        for (at, sign) in self.text.match_indices("://") {
            let from = at + sign.len();
            let rest = &self.text[from..];
            let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
            let authority = &rest[..rest.find(ends).unwrap_or(rest.len())];
            let Some(user) = authority.rfind('@') else { continue };
            let has = |is: fn(&u8) -> bool| authority[..user].bytes().any(|byte| is(&byte));
            match authority[..user].find(':') {
                Some(colon) => secrets.push(self.in_xml(from + colon + 1..from + user)),
                None if user >= TOKEN && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) => {
                    secrets.push(self.in_xml(from..from + user));
                }
                None => {}
            }
        }
    }
}

/// The character that a reference at the start of `text` stands for, and the
/// reference's length.
fn reference(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 12;
    let inside = text.strip_prefix('&')?;
    let end = inside.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let c = match &inside[..end] {
        "quot" => '"',
        "apos" => '\'',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((c, end + 2))
}

/// The next run of letters, digits and the signs of names.
fn next_name(text: &str, at: usize) -> Option<Range<usize>> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let bytes = text.as_bytes();
    let start = at + bytes[at..].iter().position(|byte| is_part(*byte))?;
    let length = bytes[start..].iter().position(|byte| !is_part(*byte)).unwrap_or(bytes.len() - start);
    Some(start..start + length)
}

/// Whether `name` labels something, and what it labels is a secret.
fn names_a_secret(text: &str, name: &Range<usize>) -> bool {
    if !LABELS.iter().any(|label| text[name.clone()].eq_ignore_ascii_case(label)) {
        return false;
    }
    let Some(from) = after_sign(text, name) else { return false };
    let value = text[from..].trim_start_matches(['\\', '"', '\'']);
    let ends = |c: char| matches!(c, '"' | '\'' | ',' | '\n' | '<' | '}');
    let all = value.char_indices().take(LONGEST_LABEL).find(|(_, c)| ends(*c));
    let end = all.map_or_else(
        || value.char_indices().nth(LONGEST_LABEL).map_or(value.len(), |(at, _)| at),
        |(at, _)| at,
    );
    is_secret(&value[..end])
}

/// What follows `name`, without the quote that ends it.
fn unquoted<'t>(text: &'t str, name: &Range<usize>) -> &'t str {
    let after = text[name.end..].trim_start_matches('\\');
    after.strip_prefix(['"', '\'']).unwrap_or(after)
}

/// Where the value begins that follows `name` and a sign.
fn after_sign(text: &str, name: &Range<usize>) -> Option<usize> {
    let value = unquoted(text, name).trim_start().strip_prefix([':', '='])?;
    Some(text.len() - value.trim_start().len())
}

/// Where the value begins of which `name` is the name, if it is a secret's.
fn value_of(text: &str, name: &Range<usize>) -> Option<usize> {
    let called = &text[name.clone()];
    let unquoted = unquoted(text, name);
    let signed = unquoted.trim_start();
    let value = if let Some(value) = signed.strip_prefix('=') {
        value
    } else if let Some(value) = signed.strip_prefix(':') {
        if value.starts_with("//") {
            return None;
        }
        value
    } else if let Some(value) = signed.strip_prefix('>') {
        if text[..name.start].ends_with('/') {
            return None;
        }
        value
    } else if called.starts_with('-')
        && !text[..name.start].ends_with(char::is_alphanumeric)
        && signed.len() < unquoted.len()
    {
        // An option, and its value as the next word.
        signed
    } else {
        return None;
    };
    // Ceph's own: rbd:pool/image:id=admin:key=…
    let key = called.eq_ignore_ascii_case("key") && signed.starts_with('=');
    (key || is_secret(called)).then(|| text.len() - value.trim_start().len())
}

fn end_of_value(text: &str, from: usize, argument: bool) -> usize {
    if text[from..].starts_with(['[', '{']) {
        return text.len();
    }
    let end = end_of_word(text, from, argument);
    let scheme = SCHEMES.iter().any(|scheme| text[from..end].eq_ignore_ascii_case(scheme));
    if scheme { end_of_word(text, text.len() - text[end..].trim_start().len(), argument) } else { end }
}

fn end_of_word(text: &str, from: usize, argument: bool) -> usize {
    let mut at = after_quotes(text, from);
    while let Some(c) = text[at..].chars().next() {
        let after = &text[at + c.len_utf8()..];
        match c {
            // QEMU writes a comma within a value twice.
            ',' if after.starts_with(',') => at += 1,
            ',' | '<' | '>' => return at,
            '"' | '\'' if !after.starts_with(char::is_alphanumeric) => return at,
            c if c.is_whitespace() && !argument => return at,
            _ => (),
        }
        at += c.len_utf8();
    }
    at
}

/// Where quoted strings end that begin at `at`, one right after the other; at
/// the text's end if one of them has no end.
fn after_quotes(text: &str, mut at: usize) -> usize {
    loop {
        let bare = text[at..].trim_start_matches('\\');
        let level = text.len() - at - bare.len();
        let Some(quote) = bare.bytes().next().filter(|byte| matches!(byte, b'"' | b'\'')) else {
            return at;
        };
        let start = text.len() - bare.len() + 1;
        // Within a string that is itself quoted, `\"` ends it and `\\\"` does not.
        let period = level.saturating_add(1).saturating_mul(2);
        let mut slashes = 0;
        let end = text.bytes().enumerate().skip(start).find(|(_, byte)| {
            let ends = *byte == quote && slashes % period == level;
            slashes = if *byte == b'\\' { slashes + 1 } else { 0 };
            ends
        });
        match end {
            Some((end, _)) => at = end + 1,
            None => return text.len(),
        }
    }
}
