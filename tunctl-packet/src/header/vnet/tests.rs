use alloc::vec;

use super::{Endian, GsoType, Truncated, VnetFormat, VnetHeader, VnetLength};

const LITTLE: VnetFormat = VnetFormat::new(VnetLength::Tunnel, Endian::Little);
const BIG: VnetFormat = VnetFormat::new(VnetLength::Tunnel, Endian::Big);

/// Every field another, none alike in both byte orders.
fn distinct() -> VnetHeader {
    VnetHeader::default()
        .with_checksum(0x0102, 0x0304)
        .with_segments(GsoType::UdpL4, 0x0506)
        .with_header_length(0x0708)
        .with_buffers(0x090a)
        .with_hash(0x0b0c_0d0e, 0x0f10)
        .with_tunnel_offsets(0x1112, 0x1314)
}

#[test]
fn fields_are_where_the_kernel_has_them() {
    let mut bytes = [0xee; 25];
    distinct().write(LITTLE, &mut bytes).unwrap();
    let expected = [
        1, 5, 0x08, 0x07, 0x06, 0x05, 0x02, 0x01, 0x04, 0x03, 0x0a, 0x09, 0x0e, 0x0d, 0x0c, 0x0b, 0x10, 0x0f,
        0, 0, 0x12, 0x11, 0x14, 0x13, 0xee,
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn the_hash_and_the_tunnel_are_little_endian_always() {
    let mut bytes = [0xee; 24];
    distinct().write(BIG, &mut bytes).unwrap();
    let expected = [
        1, 5, 0x07, 0x08, 0x05, 0x06, 0x01, 0x02, 0x03, 0x04, 0x09, 0x0a, 0x0e, 0x0d, 0x0c, 0x0b, 0x10, 0x0f,
        0, 0, 0x12, 0x11, 0x14, 0x13,
    ];
    assert_eq!(bytes, expected);
    let (header, _) = VnetHeader::parse(BIG, &bytes).unwrap();
    assert_eq!(header, distinct());
    assert_eq!((header.hash(), header.hash_report()), (0x0b0c_0d0e, 0x0f10));
    assert_eq!((header.buffers(), header.tunnel_offsets()), (0x090a, (0x1112, 0x1314)));
    assert_eq!((header.header_length(), header.segment_size()), (0x0708, 0x0506));
}

#[test]
fn native_is_the_order_of_this_machine() {
    let (native, other) = if cfg!(target_endian = "big") {
        (Endian::Big, Endian::Little)
    } else {
        (Endian::Little, Endian::Big)
    };
    let written = |endian| {
        let mut bytes = [0; 10];
        distinct().write(VnetFormat::new(VnetLength::Basic, endian), &mut bytes).unwrap();
        bytes
    };
    assert_eq!(written(Endian::Native), written(native));
    assert_ne!(written(Endian::Native), written(other));
}

#[test]
fn a_shorter_format_has_the_beginning() {
    let mut all = [0; 24];
    distinct().write(LITTLE, &mut all).unwrap();
    for length in VnetLength::ALL {
        let format = VnetFormat::new(length, Endian::Little);
        let mut bytes = [0xee; 24];
        distinct().write(format, &mut bytes).unwrap();
        assert_eq!(bytes[..length.bytes()], all[..length.bytes()]);
        assert!(bytes[length.bytes()..].iter().all(|byte| *byte == 0xee));
        let (header, rest) = VnetHeader::parse(format, &all).unwrap();
        assert_eq!(rest, &all[length.bytes()..]);
        assert_eq!(header.buffers() != 0, length >= VnetLength::Buffers);
        assert_eq!(header.hash() != 0, length >= VnetLength::Hash);
        assert_eq!(header.tunnel_offsets() != (0, 0), length >= VnetLength::Tunnel);
    }
}

#[test]
fn too_few_bytes_are_refused_and_left_alone() {
    for length in VnetLength::ALL {
        let format = VnetFormat::new(length, Endian::Native);
        let mut short = vec![9; length.bytes() - 1];
        let error = Truncated { need: length.bytes(), have: length.bytes() - 1 };
        assert_eq!(VnetHeader::parse(format, &short), Err(error));
        assert_eq!(distinct().write(format, &mut short), Err(error));
        assert_eq!(short, vec![9; length.bytes() - 1]);
    }
}

#[test]
fn each_flag_is_one_bit() {
    let said = |header: VnetHeader| {
        [
            header.needs_checksum().is_some(),
            header.is_data_valid(),
            header.has_coalescing_information(),
            header.needs_tunnel_checksum(),
        ]
    };
    for bit in 0..8 {
        let mut expected = [false; 4];
        if let Some(flag) = expected.get_mut(bit) {
            *flag = true;
        }
        let header = VnetHeader::default().with_flags(1 << bit);
        assert_eq!((said(header), header.flags()), (expected, 1 << bit));
    }
    assert_eq!(VnetHeader::default().with_flags(8).with_checksum(1, 2).flags(), 9);
}

#[test]
fn each_bit_beside_the_type_is_one() {
    for (bit, expected) in [
        (0x10, [false, false, false]),
        (0x20, [true, false, false]),
        (0x40, [false, true, false]),
        (0x80, [false, false, true]),
    ] {
        let header = VnetHeader::default().with_gso_byte(bit);
        assert_eq!([header.is_tunneled_v4(), header.is_tunneled_v6(), header.has_ecn()], expected);
        assert_eq!(header.gso_type() == GsoType::None, bit != 0x10);
    }
}

#[test]
fn a_type_leaves_the_bits_beside_it_and_they_it() {
    let header = VnetHeader::default().with_gso_byte(0x61).with_ecn(true);
    assert_eq!(header.gso_byte(), 0xe1);
    assert_eq!(header.with_segments(GsoType::TcpV6, 9).gso_byte(), 0xe4);
    assert_eq!(header.with_segments(GsoType::Other(0xff), 9).gso_byte(), 0xff);
    assert_eq!(header.with_ecn(false).gso_byte(), 0x61);
    let named = VnetHeader::default().with_segments(GsoType::Other(0x21), 9);
    assert_eq!((named.gso_type(), named.is_tunneled_v4()), (GsoType::TcpV4, false));
}
