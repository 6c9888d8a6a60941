//! Packets as a Linux 6.18 kernel sent them, and a checksum written a second time.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) const PING_V4: &str = "45000024e7c4400040013f100a0100010a01000208006941fd2700016162636465666768";
pub(crate) const PING_V6: &str = "\
    600b5ca200103a40fd770000000000000000000000000001fd7700000000000000000000000000028000f602fd280001\
    6162636465666768";
pub(crate) const UDP_ECHO_V4: &str = "45000021b3a54000401173220a0100010a010002aeb70007000df93e68656c6c6f";
pub(crate) const UDP_V6: &str = "\
    600b94ec000d1140fd770000000000000000000000000001fd770000000000000000000000000002bdd00035000d030a\
    68656c6c6f";
pub(crate) const TCP_SYN: &str = "\
    4500003c15da4000400610de0a0100010a010002cd320050c2ea4c7d00000000a002faf0530a0000020405b40402080a\
    7b0a8e08000000000103030a";
pub(crate) const PORT_UNREACHABLE: &str = "\
    45c0003de93f000040017cbc0a0100010a0100020303a948000000004500002100004000401126c80a0100020a010001\
    0fa00035000d000068656c6c6f";
pub(crate) const IGMP_REPORT: &str = "\
    46c00028000040000102f9f70a010001e0000016940400002200e8f90000000104000000ef010203";
pub(crate) const ROUTER_SOLICITATION: &str = "\
    6000000000083afffe8000000000000031e02839329854acff02000000000000000000000000000285009bd900000000";
pub(crate) const TAP_ARP: &str = "\
    ffffffffffff020000000001080600010800060400010200000000010a0000010000000000000a000002";
pub(crate) const TAP_MLD_REPORT: &str = "\
    33330000001602000000000186dd600000000024000100000000000000000000000000000000ff020000000000000000\
    0000000000163a000502000001008f006f890000000104000000ff0200000000000000000001ff000001";
pub(crate) const TAP_NEIGHBOR_SOLICITATION: &str = "\
    3333ff00000102000000000186dd6000000000203aff00000000000000000000000000000000ff020000000000000000\
    0001ff0000018700905e00000000fe80000000000000000000fffe0000010e0116d52760a088";

/// An echo request of 2,008 bytes, in two fragments.
pub(crate) fn fragments_v4() -> [Vec<u8>; 2] {
    [
        [hex("450005dce8a42000400158780a0100010a0100020800643ffd270002"), vec![b'x'; 1472]].concat(),
        [hex("45000224e8a400b940017b770a0100010a010002"), vec![b'x'; 528]].concat(),
    ]
}

/// An ICMPv6 echo request of 2,008 bytes, in two fragments.
pub(crate) fn fragments_v6() -> [Vec<u8>; 2] {
    let addresses = "fd770000000000000000000000000001fd770000000000000000000000000002";
    let first = format!("600b5ca205b02c40{addresses}3a000001b7f847dc8000e938fd280002");
    let second = format!("600b5ca202382c40{addresses}3a0005a8b7f847dc");
    [[hex(&first), vec![b'x'; 1440]].concat(), [hex(&second), vec![b'x'; 560]].concat()]
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// RFC 1071, the plain way: what stands in the checksum field if it was zero, 0 if it was right.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    for (at, byte) in bytes.iter().enumerate() {
        sum += u64::from(*byte) << if at % 2 == 0 { 8 } else { 0 };
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// The checksum over the pseudo-header of an unfragmented packet without extension headers, and `transport`.
pub(crate) fn transport_checksum(packet: &[u8], transport: &[u8]) -> u16 {
    numbered_checksum(packet, if packet[0] >> 4 == 4 { packet[9] } else { packet[6] }, transport)
}

/// The same for a transport whose number is not in the first IP header: in a fragment, another header has it.
pub(crate) fn numbered_checksum(packet: &[u8], number: u8, transport: &[u8]) -> u16 {
    let length = u32::try_from(transport.len()).unwrap().to_be_bytes();
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    checksum(&[addresses, &length, &[0, 0, 0, number], transport].concat())
}

/// Sets the checksums of the IPv4 header and of ICMP, ICMPv6, TCP or UDP in a whole packet, as its sender
/// does.
pub(crate) fn fix_checksums(packet: &mut [u8]) {
    let (number, start, end) = if packet[0] >> 4 == 4 {
        packet[10..12].fill(0);
        let sum = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        (packet[9], 20, usize::from(u16::from_be_bytes([packet[2], packet[3]])))
    } else {
        (packet[6], 40, 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]])))
    };
    let field = match number {
        6 => start + 16,
        17 => start + 6,
        _ => start + 2,
    };
    packet[field..field + 2].fill(0);
    let sum = match number {
        1 => checksum(&packet[start..end]),
        _ => transport_checksum(packet, &packet[start..end]),
    };
    packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The TCP SYN, its payload and IP header set to this length of data behind the options, of either version.
/// Checksums are not right.
pub(crate) fn tcp(v6: bool, payload: &[u8]) -> Vec<u8> {
    let syn = hex(TCP_SYN);
    let length = u16::try_from(40 + payload.len()).unwrap();
    let mut packet = if v6 {
        let mut header = hex(UDP_V6)[..40].to_vec();
        header[4..6].copy_from_slice(&length.to_be_bytes());
        header[6] = 6;
        header
    } else {
        let mut header = syn[..20].to_vec();
        header[2..4].copy_from_slice(&(20 + length).to_be_bytes());
        header
    };
    packet.extend_from_slice(&syn[20..]);
    packet.extend_from_slice(payload);
    packet
}

/// Puts the sum of the pseudo-header where the transport's checksum is, as for an offload; the field is this
/// many bytes into the transport's header, of a packet without options and extension headers.
pub(crate) fn offload_checksum(packet: &mut [u8], offset: usize) {
    let start = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let length = packet.len() - start;
    // The sum of nothing but the pseudo-header: that over zeros of the same length.
    let sum = !transport_checksum(packet, &vec![0; length]);
    packet[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());
}
