//! How long a frame takes to become lines: 500 domains with three disks and
//! two NICs each, every group answering, in the buffer of the frame before.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::{collections::BTreeMap, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kvmscope::{config::MissingPolicy, influx::line::Encoder};

fn encode(criterion: &mut Criterion) {
    let domains = (0..500_u32).map(|n| {
        let uuid = format!("550e8400-e29b-41d4-a716-{n:012x}");
        let mut reading = sample::reading(sample::identity(Some(n + 1), &format!("guest {n}"), &uuid));
        reading.disks = Ok(["vda", "vdb", "vdc"].map(|name| sample::disk(name, u64::from(n) << 30)).into());
        let mut domain = sample::domain(reading);
        domain.rates.memory_kib_per_s = Ok(f64::from(n) * 1.1);
        domain
    });
    let frame = sample::frame(domains.collect());
    let mut encoder = Encoder::new(MissingPolicy::Zero, &BTreeMap::new()).unwrap();
    let mut buffer = Vec::new();
    let done = encoder.encode(&frame, &mut buffer);
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(done.lines));
    group.bench_function("500 domains", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            black_box(encoder.encode(black_box(&frame), &mut buffer));
        });
    });
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
