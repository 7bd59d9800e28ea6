//! What an answer says, as one short clean line for screen and log.

use serde::Deserialize;

use super::Answer;
use crate::model::name::is_unfit;

/// Longest line shown, in characters.
const LONGEST: usize = 240;

/// The error bodies of all servers in one shape; each has some of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorBody {
    /// InfluxDB 3 and 1.
    pub error: Option<String>,
    /// InfluxDB 2's API.
    pub message: Option<String>,
    /// InfluxDB 3: which lines were refused.
    pub data: Option<Data>,
}

/// `data` of InfluxDB 3: its shape says whether the other lines were written.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Data {
    /// All other lines were written.
    Lines(Vec<LineError>),
    /// Nothing was written.
    Line(LineError),
    /// A shape nobody has described.
    Other(serde::de::IgnoredAny),
}

/// One refused line. `original_line` is cut by the server and not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LineError {
    pub error_message: Option<String>,
    /// 1-based over lines that are neither blank nor comments.
    pub line_number: Option<usize>,
}

impl ErrorBody {
    /// The body as far as it is JSON of a known shape.
    pub fn parse(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// One line for the screen: the status and what the server says, or what
/// failed. Free of control characters, never longer than a few hundred
/// characters.
#[must_use]
pub fn summary(answer: &Answer) -> String {
    match answer {
        Answer::Failed { text, .. } => one_line(text),
        Answer::Http { status, body, .. } => {
            let words = words(body);
            if words.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {words}") }
        }
    }
}

/// The server's words without the wrapping of JSON or HTML.
pub(super) fn words(body: &str) -> String {
    let trimmed = body.trim_start();
    if is_markup(trimmed) {
        return one_line(&text_of_html(trimmed));
    }
    let parsed = ErrorBody::parse(trimmed);
    let detail = match &parsed.data {
        Some(Data::Line(line)) => line.error_message.as_deref(),
        Some(Data::Lines(lines)) => lines.iter().find_map(|line| line.error_message.as_deref()),
        _ => None,
    };
    match (parsed.error.as_deref().or(parsed.message.as_deref()), detail) {
        (Some(error), Some(detail)) => one_line(&format!("{error}: {detail}")),
        (Some(text), None) | (None, Some(text)) => one_line(text),
        (None, None) => one_line(trimmed),
    }
}

/// Whether a body is a web page: what proxies and portals answer, never a
/// database.
pub(super) fn is_markup(body: &str) -> bool {
    body.trim_start().starts_with('<')
}

/// A page's title; without one, its text without tags, scripts and styles.
fn text_of_html(page: &str) -> String {
    // Only ASCII is folded, so that positions are the same in both.
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|open| {
        let start = open + lower[open..].find('>')? + 1;
        let end = start + lower[start..].find('<')?;
        Some(page[start..end].trim().to_owned())
    });
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        return title;
    }
    let mut text = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<').map(|offset| at + offset) {
        text.push_str(&page[at..open]);
        text.push(' ');
        let closing = ["script", "style"]
            .iter()
            .find(|name| lower[open + 1..].starts_with(**name))
            .and_then(|name| lower[open..].find(&format!("</{name}")));
        let from = open + closing.unwrap_or(0);
        match lower[from..].find('>') {
            Some(offset) => at = from + offset + 1,
            None => return text,
        }
    }
    text.push_str(&page[at..]);
    text
}

/// Words joined by single spaces, without control characters, cut with `…`.
fn one_line(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line: String = joined.chars().map(|c| if is_unfit(c) { '_' } else { c }).collect();
    if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrapping_comes_off() {
        for (body, said) in [
            ("", ""),
            ("max request size (10485760 bytes) exceeded", "max request size (10485760 bytes) exceeded"),
            (r#"{"error": "the request was not authenticated"}"#, "the request was not authenticated"),
            (r#"{"code":"invalid","message":"write buffer error"}"#, "write buffer error"),
            (
                r#"{"error":"partial write","data":[{"error_message":"No fields","line_number":2}]}"#,
                "partial write: No fields",
            ),
            (
                r#"{"error":"parsing","data":{"error_message":"No fields","line_number":2}}"#,
                "parsing: No fields",
            ),
            ("<html><head><TITLE>502 Bad\n Gateway</TITLE></head><body>x</body></html>", "502 Bad Gateway"),
            (
                "<!doctype html><style>a{}</style><h1>Sign in</h1><script>if (a<b) {}</script> now",
                "Sign in now",
            ),
            ("<broken", ""),
            ("line one\r\nline\ttwo \u{1b}[31mred", "line one line two _[31mred"),
        ] {
            assert_eq!(words(body), said, "{body}");
        }
        let long = words(&"é".repeat(9000));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.ends_with('…'));
    }
}
