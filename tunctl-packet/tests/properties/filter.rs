//! Filter expressions and programs.

use std::sync::LazyLock;

use tunctl_packet::bpf::{Instruction, MAX_INSTRUCTIONS, Program};
use tunctl_packet::{EtherType, Filter, Layer, ethernet_frame};

use super::common::{TAP_ARP, TCP_SYN, UDP_V6, fragments_v4, hex};

/// An expression, and behind a zero byte a packet.
pub(crate) fn filter(bytes: &[u8]) {
    let zero = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..zero]).into_owned();
    let packet = bytes.get(zero + 1..).unwrap_or_default();
    for layer in [Layer::Tun, Layer::Tap] {
        match Filter::parse(layer, &text) {
            Ok(filter) => assert_agreement(&filter, &text, packet),
            Err(error) => {
                let range = error.range();
                assert!(text.get(range.clone()).is_some(), "{range:?} is not in {text:?}");
                assert!(!error.message().is_empty() && !error.to_string().contains('\n'));
                let marked = error.mark(&text);
                let (shown, mark) = marked.split_once('\n').unwrap();
                assert_eq!(shown.chars().count(), text.chars().count());
                assert!(mark.ends_with('^') && mark.chars().count() <= shown.chars().count() + 1);
            }
        }
    }
}

/// The tree and the program have the same verdict, and the opposite expression has the opposite one, unless
/// the packet is cut off.
fn assert_agreement(filter: &Filter, text: &str, packet: &[u8]) {
    let program = filter.program();
    assert!(program.instructions().len() <= MAX_INSTRUCTIONS);
    let opposite = Filter::parse(filter.layer(), &format!("not ({text})")).ok();
    for packet in PACKETS.iter().map(Vec::as_slice).chain([packet]) {
        let matches = filter.matches(packet);
        assert_eq!(program.run(packet), if matches { u32::MAX } else { 0 });
        if let Some(opposite) = &opposite {
            assert!(!(matches && opposite.matches(packet)), "{text:?} and its opposite match");
        }
    }
}

/// Packets that expressions are about, with and without a frame.
static PACKETS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut packets = vec![hex(TAP_ARP)];
    for whole in [hex(TCP_SYN), hex(UDP_V6), fragments_v4()[1].clone()] {
        let ether_type = if whole[0] >> 4 == 4 { EtherType::IPV4 } else { EtherType::IPV6 };
        packets.push(ethernet_frame([2; 6], [4; 6], ether_type, &whole));
        packets.push(whole);
    }
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
            let reads_no_packet =
                instructions.iter().all(|one| !matches!(one.code & 0xe7, 0x20 | 0x40 | 0x80 | 0xa1));
            if reads_no_packet {
                assert_eq!(program.run(bytes), program.run(&[]));
            }
        }
        Err(error) => {
            assert!(error.at <= count.min(MAX_INSTRUCTIONS) && !error.to_string().is_empty());
        }
    }
}
