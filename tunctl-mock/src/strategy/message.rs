//! What IP packets carry: messages, and the checksums in them.
//!
//! Written byte by byte, and not with the library that `tunctl-packet` decodes with, which these messages
//! also test.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ESP: u8 = 50;
pub(super) const ICMPV6: u8 = 58;
/// The protocol number for experiments (RFC 3692): no dissector expects a format in it.
const EXPERIMENT: u8 = 253;

/// A message with its protocol number. Its checksum is still 0: it covers addresses.
#[derive(Clone, Debug)]
pub(super) struct Message {
    number: u8,
    bytes: Vec<u8>,
    /// Whether the checksum is left partial, to be completed by the kernel that sends the packet on.
    left_open: bool,
}

impl Message {
    pub(super) const fn new(number: u8, bytes: Vec<u8>) -> Self {
        Self { number, bytes, left_open: false }
    }

    pub(super) fn left_open(self) -> Self {
        Self { left_open: true, ..self }
    }

    pub(super) const fn number(&self) -> u8 {
        self.number
    }

    /// The message from one address to another, with its checksum.
    pub(super) fn between(mut self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let pseudo_header = match self.number {
            ICMP => Vec::new(),
            number => pseudo_header(source, destination, number, self.bytes.len()),
        };
        if let Some(at) = checksum_offset(self.number) {
            let field = match (self.number, self.left_open) {
                (_, true) => sum(&pseudo_header),
                (number, false) => match (number, !sum(&[&pseudo_header[..], &self.bytes].concat())) {
                    // In UDP, 0 says that there is no checksum.
                    (UDP, 0) => u16::MAX,
                    (_, sum) => sum,
                },
            };
            self.bytes[at..at + 2].copy_from_slice(&field.to_be_bytes());
        }
        self.bytes
    }
}

/// Where in a message its checksum stands.
pub(super) const fn checksum_offset(number: u8) -> Option<usize> {
    match number {
        ICMP | ICMPV6 => Some(2),
        UDP => Some(6),
        TCP => Some(16),
        _ => None,
    }
}

/// What checksums cover beside the message.
fn pseudo_header(source: IpAddr, destination: IpAddr, number: u8, length: usize) -> Vec<u8> {
    let mut header = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    header.extend([0, 0, 0, number]);
    header
}

/// The ones-complement sum of RFC 1071.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u16::from_be_bytes([high, low]),
        _ => u16::from_be_bytes([word[0], 0]),
    });
    words.fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// Mostly short payloads, and some that nearly fill a packet.
pub(super) fn payloads() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..64),
        1 => (64..1280_usize, any::<u8>()).prop_map(|(length, first)| filler(length, first)),
    ]
    .boxed()
}

/// Bytes that count up, so that a misplaced one shows.
pub(super) fn filler(length: usize, first: u8) -> Vec<u8> {
    let round: Vec<u8> = (first..=u8::MAX).chain(0..first).collect();
    let mut bytes = round.repeat(length.div_ceil(round.len()));
    bytes.truncate(length);
    bytes
}

fn ports() -> BoxedStrategy<u16> {
    prop_oneof![select(&[7, 53, 67, 123, 443, 500, 1194, 4500, 51820][..]), 1..=u16::MAX].boxed()
}

pub(super) fn udp_messages() -> BoxedStrategy<Message> {
    (ports(), ports(), payloads())
        .prop_map(|(source, destination, payload)| udp(source, destination, &payload))
        .boxed()
}

pub(super) fn udp(source: u16, destination: u16, payload: &[u8]) -> Message {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let header = [source, destination, length, 0].map(u16::to_be_bytes);
    Message::new(UDP, [header.as_flattened(), payload].concat())
}

/// The fields of a TCP header that any segment may have.
#[derive(Clone, Debug)]
pub(super) struct TcpFields {
    ports: (u16, u16),
    sequence: u32,
    acknowledgment: u32,
    window: u16,
}

pub(super) fn tcp_fields() -> BoxedStrategy<TcpFields> {
    ((ports(), ports()), any::<u32>(), any::<u32>(), any::<u16>())
        .prop_map(|(ports, sequence, acknowledgment, window)| TcpFields {
            ports,
            sequence,
            acknowledgment,
            window,
        })
        .boxed()
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// None; maximum segment size 1460, selective acknowledgments, timestamps, window scale 7.
const SYN_OPTIONS: [&[u8]; 2] = [b"", b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\x01\0\0\0\0\x01\x03\x03\x07"];
/// None; timestamps.
pub(super) const TCP_OPTIONS: [&[u8]; 2] = [b"", b"\x01\x01\x08\x0a\0\0\0\x02\0\0\0\x01"];

/// Segments from every part of a connection's life.
pub(super) fn tcp_messages() -> BoxedStrategy<Message> {
    let opening = (select(&[SYN, SYN | ACK][..]), select(&SYN_OPTIONS[..]), Just(Vec::new()));
    let data = (select(&[ACK, ACK | PSH][..]), select(&TCP_OPTIONS[..]), payloads());
    let closing = (select(&[FIN | ACK, RST, RST | ACK][..]), select(&TCP_OPTIONS[..]), Just(Vec::new()));
    (tcp_fields(), prop_oneof![1 => opening, 2 => data, 1 => closing])
        .prop_map(|(fields, (flags, options, payload))| tcp(&fields, flags, options, &payload))
        .boxed()
}

pub(super) fn tcp(fields: &TcpFields, flags: u8, options: &[u8], payload: &[u8]) -> Message {
    let mut bytes = [fields.ports.0.to_be_bytes(), fields.ports.1.to_be_bytes()].concat();
    bytes.extend(fields.sequence.to_be_bytes());
    let acknowledgment = if flags & ACK == 0 { 0 } else { fields.acknowledgment };
    bytes.extend(acknowledgment.to_be_bytes());
    // The header's length in words of four bytes, in the upper half of the byte.
    let words = u8::try_from(5 + options.len() / 4).unwrap_or(15);
    bytes.extend([words << 4, flags]);
    bytes.extend(fields.window.to_be_bytes());
    // The checksum, and where urgent data ends.
    bytes.extend([0; 4]);
    bytes.extend(options);
    bytes.extend(payload);
    Message::new(TCP, bytes)
}

/// What a packet may carry that only its receiver understands.
pub(super) fn opaque_messages() -> BoxedStrategy<Message> {
    (select(&[ESP, EXPERIMENT][..]), vec(any::<u8>(), 16..64))
        .prop_map(|(number, bytes)| Message::new(number, bytes))
        .boxed()
}
