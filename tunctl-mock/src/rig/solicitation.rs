//! A packet that the system sends unasked.

use tunctl_core::Layer;

/// An ICMPv6 router solicitation to all routers, from an interface that has no address yet (RFC 4861).
pub(crate) fn router_solicitation(layer: Option<Layer>) -> Vec<u8> {
    const ALL_ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    // Version 6, 8 bytes of ICMPv6, and the hop limit 255, which proves that no router forwarded it; from the
    // unspecified address.
    let mut packet = vec![0x60, 0, 0, 0, 0, 8, 58, 255];
    packet.extend([0; 16]);
    packet.extend(ALL_ROUTERS);
    // Type 133, code 0, checksum, reserved.
    packet.extend([133, 0, 0x7b, 0xb8, 0, 0, 0, 0]);
    match layer {
        Some(Layer::Tap) => {
            let mut frame = vec![0x33, 0x33, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
            frame.extend(packet);
            frame
        }
        _ => packet,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use tunctl_packet::Packet;

    use super::*;

    #[test]
    fn it_is_a_packet_whose_checksum_is_right() {
        let packet = router_solicitation(Some(Layer::Tun));
        // The pseudo header: addresses, length and protocol, then the message.
        let words = packet[8..].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
        let sum = words.sum::<u32>() + 8 + 58;
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "{sum:#x}");
        for layer in [Layer::Tun, Layer::Tap] {
            let packet = router_solicitation(Some(layer));
            assert_eq!(Packet::parse(layer, &packet).unwrap().protocol().to_string(), "ICMPv6");
        }
    }
}
