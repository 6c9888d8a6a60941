//! Filter expressions and programs.

use std::sync::LazyLock;

use tunctl_packet::bpf::{Instruction, MAX_INSTRUCTIONS, Program};
use tunctl_packet::{EtherType, Filter, Layer, ethernet_frame};

use super::common::{TAP_ARP, TCP_SYN, UDP_V6, fragments_v4, hex};

/// An expression, and behind a zero byte a packet.
pub(crate) fn filter(bytes: &[u8]) {
    let (text, packet) = split(bytes);
    judge(&String::from_utf8_lossy(text), packet);
}

/// An expression with a byte for each of its [`WORDS`], and behind a zero byte a packet: so nearly every
/// change of a byte makes another expression.
pub(crate) fn expression(bytes: &[u8]) {
    let (numbers, packet) = split(bytes);
    let words = numbers.iter().map(|number| WORDS[usize::from(number - 1) % WORDS.len()]);
    judge(&words.collect::<Vec<_>>().join(" "), packet);
}

/// The words of the language, and values of each kind.
#[rustfmt::skip]
pub(crate) const WORDS: &[&str] = &[
    "and", "or", "not", "(", ")",
    "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "pim", "vrrp", "ah", "esp",
    "ether", "src", "dst", "host", "net", "port", "portrange", "proto", "mask", "vlan", "less", "greater",
    "broadcast", "multicast",
    "10.0.0.1", "10.0.0.2", "255.255.255.254", "10", "10/8", "fd77::1", "fd77::/63", "2:0:0:0:0:1",
    "5", "53", "0x11", "6000-6010", "65535", "\\tcp", "\\ip6",
];

/// What stands in front of the first zero byte, and what behind it.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let zero = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..zero], bytes.get(zero + 1..).unwrap_or_default())
}

fn judge(text: &str, packet: &[u8]) {
    for layer in [Layer::Tun, Layer::Tap] {
        match Filter::parse(layer, text) {
            Ok(filter) => assert_agreement(&filter, text, packet),
            Err(error) => {
                let range = error.range();
                assert!(text.get(range.clone()).is_some(), "{range:?} is not in {text:?}");
                assert!(!error.message().is_empty() && !error.to_string().contains('\n'));
                let marked = error.mark(text);
                let (shown, mark) = marked.split_once('\n').unwrap();
                assert_eq!(shown.chars().count(), text.chars().count());
                assert!(mark.ends_with('^') && mark.chars().count() <= shown.chars().count() + 1);
            }
        }
    }
}

/// The kernel's rules accept the program. The tree and the program have the same verdict, and the opposite
/// expression has the opposite one, unless the packet is cut off.
fn assert_agreement(filter: &Filter, text: &str, packet: &[u8]) {
    let program = filter.program();
    assert_eq!(Program::new(program.instructions().to_vec()).as_ref(), Ok(program));
    let parsed = |text: String| Filter::parse(filter.layer(), &text).ok();
    let opposite = parsed(format!("not ({text})"));
    // It cannot look behind a tag for a length, which is the whole frame's.
    let in_vlan = parsed(format!("vlan 5 and ({text})"))
        .filter(|filter| filter.layer() == Layer::Tap && !text.contains("less") && !text.contains("greater"));
    for packet in PACKETS.iter().map(Vec::as_slice).chain([packet]) {
        let matches = filter.matches(packet);
        assert_eq!(program.run(packet), if matches { u32::MAX } else { 0 });
        if let Some(opposite) = &opposite {
            assert!(!(matches && opposite.matches(packet)), "{text:?} and its opposite match");
        }
        if let (Some(in_vlan), Some(tagged)) = (&in_vlan, with_tag(packet)) {
            assert_eq!(in_vlan.matches(&tagged), matches, "{text:?} means something else in a VLAN");
        }
    }
}

/// The frame with a tag of VLAN 5, if it is one.
fn with_tag(frame: &[u8]) -> Option<Vec<u8>> {
    let (addresses, rest) = frame.split_at_checked(12)?;
    Some([addresses, &[0x81, 0, 0, 5], rest].concat())
}

/// Packets that expressions are about, with and without a frame, and one in a VLAN.
static PACKETS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut packets = vec![hex(TAP_ARP)];
    for whole in [hex(TCP_SYN), hex(UDP_V6), fragments_v4()[1].clone()] {
        let ether_type = if whole[0] >> 4 == 4 { EtherType::IPV4 } else { EtherType::IPV6 };
        packets.push(ethernet_frame([2; 6], [4; 6], ether_type, &whole));
        packets.push(whole);
    }
    packets.extend(with_tag(&packets[1]));
    packets
});

/// Instructions of eight bytes each, which run on the same bytes.
pub(crate) fn bpf(bytes: &[u8]) {
    let instructions = bytes.chunks_exact(8).map(|bytes| Instruction {
        code: u16::from_le_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_le_bytes(bytes[4..].try_into().unwrap()),
    });
    let instructions: Vec<_> = instructions.collect();
    let count = instructions.len();
    match Program::new(instructions.clone()) {
        Ok(program) => {
            assert_eq!(program.instructions(), instructions);
            // A program remembers nothing.
            assert_eq!(program.run(bytes), program.run(bytes));
            // A load (`BPF_LD`, `BPF_LDX`) is of a constant (`BPF_IMM`), memory (`BPF_MEM`), or the packet.
            let reads_packet = |one: &Instruction| one.code & 7 <= 1 && !matches!(one.code & 0xe0, 0 | 0x60);
            if !instructions.iter().any(reads_packet) {
                assert_eq!(program.run(bytes), program.run(&[]));
            }
        }
        Err(error) => {
            assert!(error.at <= count.min(MAX_INSTRUCTIONS) && !error.to_string().is_empty());
        }
    }
}
