use super::*;
use crate::{
    model::{
        WallTime,
        status::{CollectionState, CollectorStatus, DeliveryStatus, StoreStatus},
    },
    telemetry::{fixture, status::status},
};

/// A CSV text as records.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_fleet_keeps_the_order_of_its_rows_and_says_why_cells_are_empty() {
    let frame = fixture::frame();
    let document = fleet(&frame, &[2, 0]);
    let records = records(&table(&document));
    let name = records[0].iter().position(|head| head == "name").unwrap();
    let names: Vec<_> = records[1..].iter().map(|record| record[name].clone()).collect();
    let expected = [2, 0].map(|row| frame.domains[row].identity().name.to_string());
    assert_eq!(names, expected);
    for record in &records[1..] {
        assert_eq!(record[0], "2023-11-13T09:40:00Z");
        let missing = record.last().unwrap();
        for (head, value) in records[0].iter().zip(record) {
            if value.is_empty() && head != "missing" {
                assert!(missing.contains(&format!("{head}: ")), "{head} is empty without a word: {missing}");
            }
        }
    }
    let parsed: serde_json::Value = serde_json::from_str(&json_text(&document)).unwrap();
    assert_eq!(parsed["count"], 2);
    assert_eq!(parsed["vms"][1]["name"], expected[1]);
}

#[test]
fn one_vm_is_a_list_of_its_values_with_devices_by_name() {
    let frame = fixture::frame();
    let document = vm(&frame, &frame.domains[0]);
    let rows = records(&list(&document));
    assert_eq!(rows[0], ["field", "value", "missing"]);
    let value = |field: &str| {
        rows.iter().find(|row| row[0] == field).unwrap_or_else(|| panic!("{field}: {rows:#?}"))[1].clone()
    };
    assert_eq!(value("vm.name"), "web-frontend-1");
    assert_eq!(value("timestamp"), "2023-11-13T09:40:00Z");
    assert!(rows.iter().any(|row| row[0].starts_with("vm.devices.vda.counters.")), "{rows:#?}");
    let whole: serde_json::Value = serde_json::from_str(&json_text(&document)).unwrap();
    for (field, why) in whole["vm"]["missing"].as_object().unwrap() {
        let row = rows.iter().find(|row| row[0] == format!("vm.{field}"));
        if let Some(row) = row {
            assert_eq!((row[1].as_str(), row[2].as_str()), ("", why.as_str().unwrap()), "{field}");
        }
    }
    assert!(rows.iter().any(|row| !row[2].is_empty()), "something is missing, and says why");
}

#[test]
fn what_is_said_of_the_host_is_of_all_its_vms_whichever_are_written() {
    let frame = fixture::frame();
    let text = |document: &Json| serde_json::from_str::<serde_json::Value>(&json_text(document)).unwrap();
    let whole = text(&crate::telemetry::json::frame(&frame))["host"].clone();
    assert!(whole["vcpus_given"].as_u64().unwrap() > 2, "{whole}");
    assert_eq!(text(&fleet(&frame, &[0]))["host"], whole);
    assert_eq!(text(&fleet(&frame, &[]))["host"], whole);
    assert_eq!(text(&vm(&frame, &frame.domains[0]))["host"], whole);
}

#[test]
fn no_text_is_a_formula_and_quotes_stay_within_their_cell() {
    for (name, kept) in [
        ("=1+2", "'=1+2"),
        ("@import", "'@import"),
        ("-x", "'-x"),
        ("a \"b\", c", "a \"b\", c"),
        ("plain", "plain"),
    ] {
        let document = Json::Object(vec![("name", name.into())]);
        assert_eq!(records(&list(&document))[1], ["name", kept, ""]);
    }
}

#[test]
fn the_accounting_is_whole_and_has_no_address() {
    let delivery = DeliveryStatus {
        target: Some("influx.example:8086".into()),
        emitted: 10,
        delivered: 7,
        waiting_on_disk: 2,
        waiting_in_memory: 1,
        dropped: [("too old".to_owned(), 4)].into(),
        ..DeliveryStatus::default()
    };
    let store = StoreStatus { path: Some("/var/lib/kvmscope".into()), ..StoreStatus::default() };
    let collector = CollectorStatus {
        state: CollectionState::Stopped { since: WallTime(0) },
        initialized: true,
        started_at: None,
        total_collections: 3,
        total_errors: 0,
        events: crate::model::status::EventFigures::default(),
        last_collection_at: None,
        last_error: None,
        errors: crate::model::LastErrors::default(),
        vms_monitored: 2,
        costs: crate::model::status::ReadingCosts::default(),
        interval: std::time::Duration::from_secs(1),
        last_cycle_took: None,
        lists: 1,
        round: 1,
        skipped_ticks: 0,
        stuck_calls: Vec::new(),
        max_stuck_calls: 8,
        silent: Vec::new(),
        reconnects: 0,
    };
    let document = status(WallTime(0), Some(&collector), &delivery, &store);
    let text = json_text(&document);
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["influx_queue_size"], 3);
    assert_eq!(parsed["total_metrics_written"], 7);
    assert_eq!(parsed["running"], false);
    assert_eq!(parsed["delivery"]["dropped"]["too old"], 4);
    for secret in ["influx.example", "/var/lib"] {
        assert!(!text.contains(secret), "{text}");
    }
    let rows = records(&list(&document));
    assert!(rows.iter().any(|row| row[0] == "delivery.dropped.too old" && row[1] == "4"), "{rows:?}");
    let unknown = status(WallTime(0), None, &delivery, &store);
    assert_eq!(field(&unknown, "total_collections"), Some(&Json::Null), "not known is not nothing");
}
