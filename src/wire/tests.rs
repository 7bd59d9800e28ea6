use super::*;
use crate::model::past::Moment;

fn message(bytes: &[u8]) -> Bytes {
    let mut cutter = Cutter::default();
    cutter.add(bytes);
    cutter.cut(LONGEST).unwrap().unwrap()
}

#[test]
fn a_stream_is_cut_into_messages_however_it_comes() {
    let moment = Moment::Before(WallTime(7));
    let asks = [Ask::Start, Ask::Past(Question { moment, history: 300 }), Ask::Xml(Uuid::from_u128(5))];
    let stream: Vec<u8> = asks.iter().flat_map(|ask| pack(ask).unwrap()).collect();
    for piece in [1, 2, 3, 7, stream.len()] {
        let mut cutter = Cutter::default();
        let mut found = Vec::new();
        for bytes in stream.chunks(piece) {
            cutter.add(bytes);
            while let Some(message) = cutter.cut(LONGEST).unwrap() {
                found.push(unpack::<Ask>(&message).unwrap());
            }
        }
        assert_eq!(found, asks, "in pieces of {piece}");
    }
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_anything_is_held() {
    let mut cutter = Cutter::default();
    cutter.add(&u32::MAX.to_be_bytes());
    assert!(matches!(cutter.cut(LONGEST), Err(WireError::TooLong(_))));
    let mut cutter = Cutter::default();
    cutter.add(&[0, 0, 0, 9, 1]);
    assert!(matches!(cutter.cut(8), Err(WireError::TooLong(9))));
    assert!(matches!(cutter.cut(9), Ok(None)), "the rest may come");
}

#[test]
fn what_unpacks_to_more_than_any_message_is_refused() {
    // A gigabyte of nothing takes a few kilobytes.
    let mut packer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(1 << 30), &mut packer).unwrap();
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    assert!(matches!(unpack::<News>(&bomb), Err(WireError::TooLong(_))));
}

#[test]
fn a_message_that_wants_a_memory_of_gigabytes_is_refused() {
    let mut packer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    packer.window_log(27).unwrap();
    std::io::copy(&mut std::io::repeat(7).take(1 << 28), &mut packer).unwrap();
    assert!(matches!(unpack::<News>(&packer.finish().unwrap()), Err(WireError::Packing(_))));
}

#[test]
fn what_is_left_over_or_cut_off_is_an_error_and_nothing_panics() {
    let plain = postcard::to_stdvec(&Ask::Interval(Duration::from_secs(3))).unwrap();
    let packed = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).unwrap();
    assert!(unpack::<Ask>(&packed(&plain)).is_ok());
    assert!(unpack::<Ask>(&packed(&[&plain[..], &[0]].concat())).is_err());
    let mut seed = 99_u64;
    for length in 0..2000_usize {
        let bytes: Vec<u8> = (0..length % 300)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56).to_be_bytes()[7]
            })
            .collect();
        let _ = unpack::<News>(&bytes);
        let _ = unpack::<News>(&packed(&bytes));
        let _ = unpack::<Told>(&packed(&bytes));
    }
}

#[test]
fn a_greeting_can_be_read_by_a_version_that_knows_nothing_of_the_rest() {
    let agent = Agent {
        version: "0.9.1".into(),
        pid: 77,
        since: WallTime(12),
        uri: "qemu:///system".into(),
        config: Vec::new(),
    };
    let greeting: Greeting = serde_json::from_slice(&message(&greeting(&agent))).unwrap();
    assert_eq!((greeting.form, greeting.version.as_str()), (FORM, "0.9.1"));
    assert_eq!(serde_json::from_value::<Agent>(greeting.agent).unwrap(), agent);
    let of_later = br#"{"form":7,"version":"9.9","agent":["whatever"],"more":1}"#;
    assert_eq!(serde_json::from_slice::<Greeting>(of_later).unwrap().form, 7);
}
