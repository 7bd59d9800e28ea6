//! Encoding one cycle's lines: ours against `InfluxData`'s builder and against
//! a bare loop that writes the same bytes without escaping or checks.
//!
//! Both peers are given their data flat and ready, in one row of numbers per
//! cycle: names chosen, totals added up, angles computed, the tags of the bare
//! loop even spelled. Ours starts from the frame and does all of that itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

mod fleet;
mod side_by_side;

use std::{collections::BTreeMap, hint::black_box};

use influxdb_line_protocol::{FieldValue, LineProtocolBuilder, parse_lines};
use kvmscope::{config::MissingPolicy, influx::line::Encoder, model::Frame};

use fleet::Fleet;
use side_by_side::{Bar, Rounds, Side, Table, count, wanted, worked};

const VMS: u32 = 40;
/// Cycles encoded per round, so that values differ as they do in life. Few
/// frames stay in a processor's cache, as one does that was just made; many do
/// not, and ours reads them where its peers have their numbers in a row.
const CYCLES: [(&str, usize); 2] = [("frames just made", 4), ("frames from memory", 16)];
const ROUNDS: usize = 300;

/// What does not change from cycle to cycle, for those who are given it ready.
struct Ready {
    shapes: Vec<Shape>,
    series: Vec<Series>,
}

/// The fields that all lines of one kind have.
struct Shape {
    measurement: String,
    fields: Vec<FieldName>,
}

struct FieldName {
    name: String,
    /// `name=` or `,name=`.
    key: Vec<u8>,
    kind: Kind,
}

enum Kind {
    Int,
    Float,
    /// A string that is always the same, and that in its quotes.
    Text(String, Vec<u8>),
}

/// One line of every cycle.
struct Series {
    shape: usize,
    tags: Vec<(String, String)>,
    /// `measurement,tags ` as it is spelled.
    head: Vec<u8>,
}

/// One cycle's numbers in the order of the lines and their fields; floats as
/// their bits. A timestamp for each line.
struct Numbers {
    values: Vec<u64>,
    times: Vec<i64>,
}

/// Takes our own lines apart with `InfluxData`'s parser.
fn flatten(text: &str) -> (Ready, Numbers) {
    let mut ready = Ready { shapes: Vec::new(), series: Vec::new() };
    let mut numbers = Numbers { values: Vec::new(), times: Vec::new() };
    for line in parse_lines(text) {
        let line = line.unwrap();
        let mut fields = Vec::new();
        for (place, (name, value)) in line.field_set.iter().enumerate() {
            let kind = match value {
                FieldValue::I64(n) => {
                    numbers.values.push(n.cast_unsigned());
                    Kind::Int
                }
                FieldValue::F64(n) => {
                    numbers.values.push(n.to_bits());
                    Kind::Float
                }
                FieldValue::String(s) => Kind::Text(s.to_string(), format!("\"{s}\"").into_bytes()),
                other => unreachable!("{other:?}"),
            };
            let comma = if place == 0 { "" } else { "," };
            fields.push(FieldName {
                name: name.to_string(),
                key: format!("{comma}{name}=").into_bytes(),
                kind,
            });
        }
        numbers.times.push(line.timestamp.unwrap());
        let names = |fields: &[FieldName]| fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        let known = ready.shapes.iter().position(|shape| names(&shape.fields) == names(&fields));
        let shape = known.unwrap_or_else(|| {
            ready.shapes.push(Shape { measurement: line.series.measurement.to_string(), fields });
            ready.shapes.len() - 1
        });
        let tags = line.series.tag_set.iter().flatten();
        ready.series.push(Series {
            shape,
            tags: tags.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            head: format!("{} ", line.series).into_bytes(),
        });
    }
    (ready, numbers)
}

fn with_builder(ready: &Ready, numbers: &Numbers, out: Vec<u8>) -> Vec<u8> {
    let mut builder = LineProtocolBuilder::new_with(out);
    let mut values = numbers.values.iter().copied();
    for (series, at) in ready.series.iter().zip(&numbers.times) {
        let shape = &ready.shapes[series.shape];
        let mut begun = builder.measurement(&shape.measurement);
        for (key, value) in &series.tags {
            begun = begun.tag(key, value);
        }
        let mut next = || values.next().unwrap_or(0);
        let (first, rest) = shape.fields.split_first().unwrap();
        let mut filled = match &first.kind {
            Kind::Int => begun.field(&first.name, next().cast_signed()),
            Kind::Float => begun.field(&first.name, f64::from_bits(next())),
            Kind::Text(text, _) => begun.field(&first.name, text.as_str()),
        };
        for field in rest {
            filled = match &field.kind {
                Kind::Int => filled.field(&field.name, next().cast_signed()),
                Kind::Float => filled.field(&field.name, f64::from_bits(next())),
                Kind::Text(text, _) => filled.field(&field.name, text.as_str()),
            };
        }
        builder = filled.timestamp(*at).close_line();
    }
    builder.build()
}

fn bare(ready: &Ready, numbers: &Numbers, out: &mut Vec<u8>) {
    let mut values = numbers.values.iter().copied();
    for (series, at) in ready.series.iter().zip(&numbers.times) {
        out.extend_from_slice(&series.head);
        for field in &ready.shapes[series.shape].fields {
            out.extend_from_slice(&field.key);
            match &field.kind {
                Kind::Int => {
                    let value = values.next().unwrap_or(0).cast_signed();
                    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                    out.push(b'i');
                }
                Kind::Float => {
                    let value = f64::from_bits(values.next().unwrap_or(0));
                    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
                }
                Kind::Text(_, quoted) => out.extend_from_slice(quoted),
            }
        }
        out.push(b' ');
        out.extend_from_slice(itoa::Buffer::new().format(*at).as_bytes());
        out.push(b'\n');
    }
}

fn parsed(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    parse_lines(text).map(|line| line.unwrap().to_string()).collect()
}

#[allow(clippy::cast_precision_loss, reason = "counts of lines")]
fn compare(what: &str, number: usize, [builder, bare_loop]: [Bar; 2], table: &mut Table) {
    let mut fleet = Fleet::new(VMS);
    fleet.cycle();
    let frames: Vec<_> = (0..number).map(|_| fleet.cycle()).collect();
    let mut encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
    let mut encode = |frame: &Frame, out: &mut Vec<u8>| encoder.encode(frame, out).lines;

    let mut lines = 0;
    let mut size = 0;
    let mut cycles = Vec::new();
    let mut shared = None;
    for frame in &frames {
        let mut ours = Vec::new();
        lines += encode(frame, &mut ours);
        size += ours.len();
        let (first, cycle) = flatten(std::str::from_utf8(&ours).unwrap());
        let ready = shared.get_or_insert(first);
        let mut same = Vec::new();
        bare(ready, &cycle, &mut same);
        assert!(same == ours, "the bare loop writes other bytes");
        // The builder spells floats in another way; they read the same.
        assert_eq!(parsed(&with_builder(ready, &cycle, Vec::new())), parsed(&ours));
        cycles.push(cycle);
    }
    let ready = shared.unwrap();

    let (mut ours, mut theirs, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            Box::new(|| {
                worked(|| {
                    for frame in &frames {
                        ours.clear();
                        encode(black_box(frame), &mut ours);
                        black_box(&ours);
                    }
                })
            }) as Side<'_>,
            Box::new(|| {
                worked(|| {
                    for cycle in &cycles {
                        theirs.clear();
                        theirs = with_builder(&ready, black_box(cycle), std::mem::take(&mut theirs));
                        black_box(&theirs);
                    }
                })
            }),
            Box::new(|| {
                worked(|| {
                    for cycle in &cycles {
                        raw.clear();
                        bare(&ready, black_box(cycle), &mut raw);
                        black_box(&raw);
                    }
                })
            }),
        ],
    );

    let per_second = |side| format!("{} lines/s", count(lines as f64 / rounds.cost(side)));
    for (side, peer, bar) in [(1, "InfluxData's builder", builder), (2, "a bare loop with itoa", bare_loop)] {
        table.compare(what, per_second(0), peer, &per_second(side), rounds.ratio(side, 0), bar);
    }
    table.note(format!("{what}: {} lines, {} bytes a cycle", lines / number as u64, size / number));
}

fn main() {
    if !wanted() {
        return;
    }
    let mut table = Table::new(format!(
        "encode: one cycle's lines of {VMS} VMs, all four measurements, one core (ratio of speeds)"
    ));
    let bars = [[Bar::AtLeast(8.0), Bar::AtLeast(0.8)], [Bar::None, Bar::None]];
    for ((what, number), bars) in CYCLES.into_iter().zip(bars) {
        compare(what, number, bars, &mut table);
    }
    table.print();
}
