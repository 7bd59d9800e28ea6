use super::*;
use crate::telemetry::fixture;

/// Cells are two blanks or more apart.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{text}"))
}

#[test]
fn each_vm_has_its_line_and_each_figure_its_place() {
    let text = table(&fixture::frame(), Characters::Unicode);
    assert!(text.starts_with("hv-07 (QEMU 7.2.0), 2023-11-13 09:40:00 UTC, over 1 s\n45 degrees are 100% of the vCPUs, memory 1 MB/s, disk 10 MB/s"), "{text}");
    assert_eq!(
        cells(line(&text, "web-frontend-1")),
        [
            "web-frontend-1",
            "running",
            "2",
            "40.0",
            "21.8°",
            "50.0",
            "▼26.6°",
            "1.46 MB",
            "8.3°",
            "0 B",
            "0.0°",
            "1 MB",
            "5.7°",
            "10 MB",
            "45.0°",
            "0.3"
        ]
    );
    assert_eq!(cells(line(&text, "old-db"))[..4], ["old-db", "off", "–", "–"]);
    assert_eq!(cells(line(&text, "web-staging"))[1], "paused");
    let hung = cells(line(&text, "web-batch"));
    assert_eq!(hung[1], "hung");
    assert_eq!(hung[5..11], ["–", "–", "–", "–", "–", "–"], "memory and disk have no number");
    assert_eq!(hung[13], "10 MB");
}

#[test]
fn columns_stay_in_line_below_wide_characters_and_nothing_is_a_control_character() {
    let text = table(&fixture::frame(), Characters::Unicode);
    let rows: Vec<&str> = text.lines().skip(3).take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 6);
    let width = rows[0].width();
    assert!(rows.iter().all(|row| row.width() == width), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(text.lines().all(|line| line == line.trim_end()), "no blanks at a line's end");
}

#[test]
fn what_is_missing_stands_below_with_its_reason_and_its_mend() {
    let text = table(&fixture::frame(), Characters::Unicode);
    let below = text.split_once("Missing, and why:\n").unwrap().1;
    assert!(below.contains(
        "  web-batch\n    memory, memory growth, guest memory report, disk read, disk write: monitor not answering since 09:39:18\n"
    ), "{below}");
    assert!(below.contains(
        "    guest memory report: no statistics period\n      mend: virsh dommemstat web-staging --period 2 --live\n"
    ), "{below}");
    assert!(below.contains("    NIC hostdev0: passed through: the host cannot count it\n"), "{below}");
    assert!(!below.contains("old-db"), "a VM that is off misses nothing: {below}");
}

#[test]
fn a_vm_that_was_not_read_says_how_old_its_figures_are() {
    let mut frame = fixture::frame();
    std::sync::Arc::make_mut(&mut frame.domains[0]).fresh = false;
    let text = table(&frame, Characters::Unicode);
    assert!(
        text.contains("  web-frontend-1\n    not read in this cycle: figures are of 09:40:00\n"),
        "{text}"
    );
}

#[test]
fn ascii_means_ascii() {
    let mut frame = fixture::frame();
    frame.domains.remove(3);
    let text = table(&frame, Characters::Ascii);
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("-26.6"), "{text}");
}

#[test]
fn a_long_name_is_cut_in_the_table_and_whole_below() {
    let mut frame = fixture::frame();
    let name = "虚".repeat(100);
    let domain = std::sync::Arc::make_mut(&mut frame.domains[0]);
    let identity = std::sync::Arc::make_mut(&mut domain.reading.identity);
    identity.name = name.as_str().into();
    let text = table(&frame, Characters::Unicode);
    assert!(line(&text, "虚").starts_with(&("虚".repeat(19) + "…")), "{text}");
    assert!(text.contains(&format!("\n  {name}\n")), "{text}");
}

#[test]
fn bytes_are_in_1024s_with_two_decimals_at_most() {
    for (value, shown) in [
        (0.0, "0 B"),
        (-0.0, "0 B"),
        (1.5, "1.5 B"),
        (1023.0, "1023 B"),
        (1023.999, "1 KB"),
        (1024.0, "1 KB"),
        (1_530_920.0, "1.46 MB"),
        (10_485_760.0, "10 MB"),
        (1e18, "888.18 PB"),
    ] {
        assert!(bytes(value).starts_with(shown), "{value}: {}", bytes(value));
    }
}

#[test]
fn only_a_fall_that_shows_has_a_sign() {
    assert_eq!(angle(Degrees(-2.06), Characters::Unicode), "▼2.1°");
    assert_eq!(angle(Degrees(-0.01), Characters::Unicode), "0.0°");
    assert_eq!(angle(Degrees(12.5), Characters::Unicode), "12.5°");
    assert_eq!(angle(Degrees(-2.06), Characters::Ascii), "-2.1");
}
