//! What Linux sends unasked out of an interface that comes up with IPv6 (seen on 6.18).

use tunctl_core::{InterfaceIndex, MacAddress};

/// All routers of the link.
const ALL_ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
/// All routers that listen to reports of multicast groups (MLD version 2).
const ALL_MLD_ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];
const UNSPECIFIED: [u8; 16] = [0; 16];

const ICMPV6: u8 = 58;
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOR_SOLICITATION: u8 = 135;
const MLD_REPORT: u8 = 143;

/// What a tun sends: a router solicitation, without an option since there is no link-layer address. Linux
/// draws the address of a tun at random. This one counts, so that each run of a test sees the same.
pub(crate) fn of_tun(index: InterfaceIndex) -> Vec<u8> {
    let mut address = link_local([0; 8]);
    address[8..].copy_from_slice(&(0x7475_6e00_0000_0000 | u64::from(index.get())).to_be_bytes());
    icmpv6(255, &[], address, ALL_ROUTERS, &[ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0])
}

/// What a tap sends, in this order: reports that it listens to the group of its address, before and after it
/// has asked whether another station has the address; and then the router solicitation.
pub(crate) fn of_tap(mac: MacAddress) -> [Vec<u8>; 4] {
    let [a, b, c, d, e, f] = mac.octets();
    // The bit that marks a global identifier is inverted (RFC 4291, appendix A).
    let address = link_local([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, d, e, f];
    let frame = |to: [u8; 16], packet: Vec<u8>| {
        let [.., w, x, y, z] = to;
        [&[0x33, 0x33, w, x, y, z][..], &mac.octets(), &[0x86, 0xdd], &packet].concat()
    };
    let report = |from| {
        // A router alert, as an option of a hop-by-hop header.
        let header = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];
        let record = [&[MLD_REPORT, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0][..], &group].concat();
        frame(ALL_MLD_ROUTERS, icmpv6(1, &header, from, ALL_MLD_ROUTERS, &record))
    };
    // With a nonce, which Linux draws at random.
    let nonce = [14, 1, 0, 0, 0, 0, 0, 1];
    let question = [&[NEIGHBOR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0][..], &address, &nonce].concat();
    let solicitation = [&[ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &mac.octets()].concat();
    [
        report(UNSPECIFIED),
        frame(group, icmpv6(255, &[], UNSPECIFIED, group, &question)),
        report(address),
        frame(ALL_ROUTERS, icmpv6(255, &[], address, ALL_ROUTERS, &solicitation)),
    ]
}

fn link_local(identifier: [u8; 8]) -> [u8; 16] {
    let mut address = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    address[8..].copy_from_slice(&identifier);
    address
}

/// An IPv6 packet of an ICMPv6 message, whose checksum it makes, behind an extension header if there is one.
fn icmpv6(hop_limit: u8, extension: &[u8], from: [u8; 16], to: [u8; 16], message: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = length(extension.len() + message.len());
    let next = if extension.is_empty() { ICMPV6 } else { 0 };
    let mut packet = vec![0x60, 0, 0, 0, high, low, next, hop_limit];
    packet.extend([from, to].concat());
    packet.extend(extension);
    let at = packet.len() + 2;
    packet.extend(message);
    // The pseudo-header: the addresses, the length and the protocol.
    let pseudo = [&from[..], &to, &length(message.len()), &[0, ICMPV6]].concat();
    let words = pseudo.chunks(2).chain(message.chunks(2));
    let sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let [.., high, low] = (!(sum + (sum >> 16))).to_be_bytes();
    packet[at..at + 2].copy_from_slice(&[high, low]);
    packet
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use tunctl_core::Layer;
    use tunctl_packet::Packet;

    use super::*;

    /// As Linux 6.18 sent it, from a tap with this MAC address.
    #[test]
    fn a_tap_sends_the_bytes_that_linux_sends() {
        let sent = of_tap("02:00:5e:10:00:01".parse().unwrap());
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let all = "33330000001602005e10000186dd600000000024000100000000000000000000000000000000ff020000\
                   0000000000000000000000163a000502000001008f006f790000000104000000ff020000000000000000\
                   0001ff100001";
        assert_eq!(hex(&sent[0]), all);
        assert_eq!(sent[1].len(), 86);
        let own = "33330000001602005e10000186dd6000000000240001fe8000000000000000005efffe100001ff020000\
                   0000000000000000000000163a000502000001008f0013e70000000104000000ff020000000000000000\
                   0001ff100001";
        assert_eq!(hex(&sent[2]), own);
        let routers = "33330000000202005e10000186dd6000000000103afffe8000000000000000005efffe100001ff020000\
                       0000000000000000000000028500bf0b00000000010102005e100001";
        assert_eq!(hex(&sent[3]), routers);
    }

    #[test]
    fn each_is_a_packet() {
        let tun = of_tun(InterfaceIndex::new(7).unwrap());
        assert_eq!(tun.len(), 48);
        let summary = Packet::parse(Layer::Tun, &tun).unwrap().summary().to_string();
        assert!(summary.contains("router solicitation"), "{summary}");
        let sent = of_tap("02:00:5e:10:00:01".parse().unwrap());
        let summaries = sent.map(|frame| Packet::parse(Layer::Tap, &frame).unwrap().summary().to_string());
        assert!(summaries[1].contains("neighbor solicitation for fe80::5eff:fe10:1"), "{summaries:?}");
        assert!(summaries[3].contains("router solicitation"), "{summaries:?}");
    }
}
