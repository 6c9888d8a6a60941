//! The file, byte by byte.

use super::*;
use crate::InvalidRecording;

/// Builds a block as the specification has it, in either byte order.
fn block(big: bool, kind: u32, body: &[&[u8]]) -> Vec<u8> {
    let mut body = body.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = word(big, u32::try_from(body.len() + 12).unwrap());
    [&word(big, kind)[..], &length, &body, &length].concat()
}

fn word(big: bool, value: u32) -> [u8; 4] {
    if big { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn half(big: bool, value: u16) -> [u8; 2] {
    if big { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn section(big: bool) -> Vec<u8> {
    block(big, 0x0a0d_0d0a, &[&word(big, 0x1a2b_3c4d), &half(big, 1), &half(big, 0), &[0xff; 8]])
}

fn interface(big: bool, link: u16, snap_length: u32, options: &[&[u8]]) -> Vec<u8> {
    let options = options.concat();
    block(big, 1, &[&half(big, link), &[0; 2], &word(big, snap_length), &options])
}

/// An enhanced packet block of interface 0.
fn enhanced(big: bool, ticks: u64, packet: &[u8], original: u32) -> Vec<u8> {
    let [high, low] = [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
    let captured = u32::try_from(packet.len()).unwrap();
    let numbers = [0, high, low, captured, original].map(|number| word(big, number)).concat();
    block(big, 6, &[&numbers, packet])
}

#[test]
fn a_file_is_what_the_specification_says() {
    let recorder = Recorder::with_clock(Fake::new(TAP), Vec::new(), || Duration::new(0x1234_5678, 9));
    recorder.device().fill(b"hello");
    recorder.recv(&mut [0; 100]).unwrap();
    recorder.send(b"worlds!!").unwrap();
    let nanos: u64 = 0x1234_5678 * 1_000_000_000 + 9;
    let time = [(nanos >> 32).to_le_bytes()[..4].to_vec(), nanos.to_le_bytes()[..4].to_vec()].concat();
    #[rustfmt::skip]
    let expected = [
        // Section header: magic, version 1.0, length unknown; option 4, the application; the end of options.
        &b"\x0a\x0d\x0d\x0a\x2c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x04\0\x06\0tunctl\0\0\0\0\0\0\x2c\0\0\0",
        // Interface: Ethernet, at most 0x40000 bytes; option 2, its name; option 9, times in 10^-9 s.
        b"\x01\0\0\0\x2c\0\0\0\x01\0\0\0\0\0\x04\0\x02\0\x05\0fake0\0\0\0\x09\0\x01\0\x09\0\0\0\0\0\0\0\x2c\0\0\0",
        // Packet of interface 0: time, 5 bytes of 5; option 2, flags: inbound.
        b"\x06\0\0\0\x34\0\0\0\0\0\0\0", &time, b"\x05\0\0\0\x05\0\0\0hello\0\0\0",
        b"\x02\0\x04\0\x01\0\0\0\0\0\0\0\x34\0\0\0",
        // The same, 8 bytes of 8, outbound.
        b"\x06\0\0\0\x34\0\0\0\0\0\0\0", &time, b"\x08\0\0\0\x08\0\0\0worlds!!",
        b"\x02\0\x04\0\x02\0\0\0\0\0\0\0\x34\0\0\0",
    ].concat();
    assert_eq!(recorder.finish().1.unwrap(), expected);
}

#[test]
fn a_packet_longer_than_readers_take_is_cut() {
    let recorder = recorder(TUN);
    recorder.send(&vec![7; 300_000]).unwrap();
    let recorded = recorded(recorder).remove(0);
    assert_eq!((recorded.packet.len(), recorded.original_length), (0x40000, 300_000));
}

#[test]
fn both_byte_orders_are_read_and_unknown_blocks_skipped() {
    for big in [false, true] {
        let unknown = block(big, 0x8000_1234, &[b"whatever"]);
        let flags = [&half(big, 2)[..], &half(big, 4), &word(big, 0xff02)].concat();
        let numbers = [1, 0, 1_500_000, 3, 9].map(|number| word(big, number)).concat();
        let file = [
            section(big),
            unknown.clone(),
            interface(big, 101, 4, &[]),
            interface(big, 113, 0, &[]),
            block(big, 6, &[&numbers, b"abc\0", &flags]),
            unknown,
            // A simple packet, of the first interface and its limit of four bytes.
            block(big, 3, &[&word(big, 6), b"abcd"]),
            // A section of the other order, with interfaces of its own.
            section(!big),
            interface(!big, 1, 0, &[]),
            enhanced(!big, 1, b"frame", 2),
        ]
        .concat();
        let packet = |direction, time, layer, packet: &[u8], original_length| Recorded {
            direction,
            time,
            layer,
            packet: packet.to_vec(),
            original_length,
        };
        let expected = [
            packet(Some(Direction::Sent), Some(Duration::from_millis(1500)), None, b"abc", 9),
            packet(None, None, Some(Layer::Tun), b"abcd", 6),
            packet(None, Some(Duration::from_micros(1)), Some(Layer::Tap), b"frame", 5),
        ];
        assert_eq!(Recording::parse(&file).unwrap().packets(), expected);
    }
}

#[test]
fn times_are_read_in_every_unit_and_from_every_zero() {
    let time = |resolution: u8, offset: i64, ticks| {
        let resolution = [9, 0, 1, 0, resolution, 0, 0, 0];
        let offset = [&[14, 0, 8, 0][..], &offset.to_le_bytes()].concat();
        let file =
            [section(false), interface(false, 1, 0, &[&resolution, &offset]), enhanced(false, ticks, b"", 0)];
        Recording::parse(&file.concat()).map(|recording| recording.packets()[0].time.unwrap())
    };
    assert_eq!(time(0, 0, 5), Ok(Duration::from_secs(5)));
    assert_eq!(time(0, 0, u64::MAX), Ok(Duration::from_secs(u64::MAX)));
    assert_eq!(time(6, 0, 1_000_001), Ok(Duration::new(1, 1000)));
    assert_eq!(time(9, 3, 1_000_000_001), Ok(Duration::new(4, 1)));
    assert_eq!(time(12, 0, 1_999_999_999_999), Ok(Duration::new(1, 999_999_999)));
    assert_eq!(time(0x7f, 1, u64::MAX), Ok(Duration::from_secs(1)));
    assert_eq!(time(0x8a, 0, 1536), Ok(Duration::from_millis(1500)));
    assert_eq!(time(0xff, 0, u64::MAX), Ok(Duration::ZERO));
    let out_of_range = Err(InvalidRecording::Time { offset: section(false).len() + 40 });
    assert_eq!(time(0, -6, 5), out_of_range);
    assert_eq!(time(0, 1, u64::MAX), out_of_range);
}

#[test]
fn each_kind_of_damage_has_its_error_and_what_came_before_it_is_kept() {
    let start = [section(false), interface(false, 101, 0, &[]), enhanced(false, 0, b"kept", 4)].concat();
    let offset = start.len();
    let damaged = |more: &[u8]| {
        let (kept, invalid) = Recording::salvage(&[&start, more].concat());
        assert_eq!(kept.packets().len(), 1);
        invalid
    };
    assert_eq!(damaged(b""), None);
    for length in 1..enhanced(false, 0, b"lost", 4).len() {
        let cut = &enhanced(false, 0, b"lost", 4)[..length];
        assert_eq!(damaged(cut), Some(InvalidRecording::Truncated { offset }), "{length}");
    }
    for (more, expected) in [
        (b"\x06\0\0\0\x08\0\0\0\x08\0\0\0".to_vec(), InvalidRecording::BlockLength { offset }),
        (b"\x06\0\0\0\x0d\0\0\0\0\x0d\0\0\0".to_vec(), InvalidRecording::BlockLength { offset }),
        (b"\x06\0\0\0\x0c\0\0\0\x10\0\0\0".to_vec(), InvalidRecording::BlockLength { offset }),
        (b"\x0a\x0d\x0d\x0a\x0c\0\0\0\x0c\0\0\0".to_vec(), InvalidRecording::ByteOrder { offset }),
        (
            block(false, 0x0a0d_0d0a, &[&word(false, 0x1a2b_3c4d), &[2, 0, 0, 0], &[0xff; 8]]),
            InvalidRecording::Version { offset, major: 2 },
        ),
        (block(false, 6, &[&[0; 16]]), InvalidRecording::BlockTooShort { offset }),
        (
            block(false, 6, &[&[0; 12], &word(false, u32::MAX), &[0; 4]]),
            InvalidRecording::BlockTooShort { offset },
        ),
        (block(false, 6, &[&[0; 20], &[2, 0, 9, 0]]), InvalidRecording::BlockTooShort { offset }),
        (block(false, 3, &[&word(false, 9), b"abcd"]), InvalidRecording::BlockTooShort { offset }),
        (block(false, 1, &[&[1, 0, 0, 0]]), InvalidRecording::BlockTooShort { offset }),
        (
            block(false, 6, &[&word(false, 7), &[0; 16]]),
            InvalidRecording::UnknownInterface { offset, interface: 7 },
        ),
    ] {
        assert_eq!(damaged(&more), Some(expected), "{more:?}");
    }
    for file in [&b""[..], b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0", &enhanced(false, 0, b"", 0)] {
        assert_eq!(Recording::parse(file), Err(InvalidRecording::NotPcapng));
    }
    let no_interface = [section(true), block(true, 3, &[&[0; 4]])].concat();
    assert_eq!(
        Recording::parse(&no_interface),
        Err(InvalidRecording::UnknownInterface { offset: section(true).len(), interface: 0 })
    );
}

/// Files as they should be, and then changed: overwritten here and there, and cut.
fn hostile_files() -> impl Strategy<Value = Vec<u8>> {
    let part = |big: bool| {
        prop_oneof![
            Just(section(big)),
            (any::<u16>(), any::<u32>(), any::<u8>()).prop_map(move |(link, snap_length, resolution)| {
                let option = [&half(big, 9)[..], &half(big, 1), &[resolution, 0, 0, 0]].concat();
                interface(big, link % 300, snap_length, &[&option])
            }),
            (any::<u64>(), vec(any::<u8>(), 0..40), any::<u32>())
                .prop_map(move |(ticks, packet, original)| enhanced(big, ticks, &packet, original)),
            (any::<u32>(), vec(any::<u8>(), 0..40)).prop_map(move |(kind, body)| block(
                big,
                kind % 9,
                &[&body]
            )),
            vec(any::<u8>(), 0..40),
        ]
    };
    let parts = any::<bool>().prop_flat_map(move |big| {
        vec(part(big), 0..8)
            .prop_map(move |parts| [section(big), interface(big, 101, 0, &[]), parts.concat()].concat())
    });
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (parts, changes, any::<prop::sample::Index>(), 0..4_u8).prop_map(|(mut file, changes, end, cut)| {
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(if cut == 0 { end.index(file.len() + 1) } else { file.len() });
        file
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(2),
        cases: 2000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_file_harms_and_none_gives_more_than_it_has(file in hostile_files()) {
        let (recording, invalid) = Recording::salvage(&file);
        let bytes: usize = recording.packets().iter().map(|recorded| recorded.packet.len() + 16).sum();
        assert!(bytes <= file.len());
        for recorded in &recording {
            assert!(recorded.original_length >= recorded.packet.len());
        }
        assert_eq!(Recording::parse(&file).err(), invalid);
    }
}
