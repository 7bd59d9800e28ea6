//! The effective configuration as text, for `kvmscope config`.

use std::fmt::Write as _;

use super::load::Loaded;

/// Key, value and origin of every entry in aligned columns, then the warnings.
/// Ends with a newline. Secrets are `***`.
#[must_use]
pub fn render(loaded: &Loaded) -> String {
    let file = loaded.file.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let rows: Vec<[String; 3]> = std::iter::once(["KEY".into(), "VALUE".into(), "ORIGIN".into()])
        .chain(
            loaded
                .entries
                .iter()
                .map(|entry| [one_line(&entry.key), one_line(&entry.value), one_line(&entry.origin)]),
        )
        .collect();
    let width = |column: usize| {
        // One long value, such as many tags, must not push every origin away.
        rows.iter().map(|row| row[column].chars().count()).filter(|w| *w <= 48).max().unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let mut text = format!("configuration file: {}\n\n", one_line(&file));
    for [key, value, origin] in &rows {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{key:<first$}  {value:<second$}  {origin}");
    }
    for warning in &loaded.warnings {
        let _ = writeln!(text, "\nwarning: {}", one_line(warning));
    }
    text
}

/// Text from a file may hold anything; a terminal is shown none of it.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
