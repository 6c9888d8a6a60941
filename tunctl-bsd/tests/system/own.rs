//! Packets that a system sends out of an interface by itself: searches for duplicates, reports of groups, and
//! announcements of addresses. A case counts what it had sent, and not these.

use tunctl_core::Layer;

const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const IGMP: u8 = 2;
/// From the question for groups to the redirect (RFC 4443, 4861), and the report of the second version of
/// MLD.
const UNASKED: [u8; 9] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/// Whether the system has sent it by itself. `family`: how many bytes are in front of a packet of a tun.
pub(crate) fn is_own(layer: Layer, family: usize, packet: &[u8]) -> bool {
    match layer {
        Layer::Tun => packet.get(family..).is_some_and(is_own_packet),
        Layer::Tap => match (packet.get(12..14), packet.get(14..)) {
            (Some([0x08, 0x06]), Some(arp)) => is_announcement(arp),
            (Some([0x08, 0x00] | [0x86, 0xdd]), Some(packet)) => is_own_packet(packet),
            _ => false,
        },
    }
}

fn is_own_packet(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        // To groups alone.
        Some(4) => packet.get(9) == Some(&IGMP) && packet.get(16).is_some_and(|first| first >> 4 == 0xe),
        Some(6) => {
            let kind = match packet.get(6) {
                Some(&ICMPV6) => packet.get(40),
                // A report has a router alert in front, of eight bytes.
                Some(&HOP_BY_HOP) if packet.get(40) == Some(&ICMPV6) => packet.get(48),
                _ => None,
            };
            kind.is_some_and(|kind| UNASKED.contains(kind))
        }
        _ => false,
    }
}

/// Whether an ARP packet asks for its own address, or for one without saying who asks.
fn is_announcement(arp: &[u8]) -> bool {
    let (Some(sender), Some(target)) = (arp.get(14..18), arp.get(24..28)) else { return false };
    arp.starts_with(&[0, 1, 8, 0, 6, 4]) && (sender == target || sender == [0; 4])
}

/// What is told from what the suite sends.
pub(crate) fn checks() -> Vec<(&'static str, fn())> {
    vec![
        ("searches_and_reports_are_the_systems_own", searches_and_reports_are_the_systems_own),
        ("announcements_are_the_systems_own", announcements_are_the_systems_own),
        ("what_the_suite_sends_is_not_the_systems_own", what_the_suite_sends_is_not_the_systems_own),
    ]
}

fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    (packet[0], packet[6]) = (0x60, next);
    [&packet, rest].concat()
}

fn searches_and_reports_are_the_systems_own() {
    let report = [ICMPV6, 0, 5, 2, 0, 0, 1, 0, 143, 0];
    for packet in [ipv6(ICMPV6, &[135, 0]), ipv6(ICMPV6, &[136, 0]), ipv6(HOP_BY_HOP, &report)] {
        let frame = [&[0x33; 12][..], &[0x86, 0xdd], &packet].concat();
        assert!(is_own(Layer::Tap, 0, &frame) && is_own(Layer::Tun, 0, &packet));
        assert!(is_own(Layer::Tun, 4, &[&[0, 0, 0, 28], &packet[..]].concat()));
    }
    let mut igmp = [0; 32];
    (igmp[0], igmp[9], igmp[16]) = (0x46, IGMP, 224);
    assert!(is_own(Layer::Tun, 0, &igmp));
}

fn announcements_are_the_systems_own() {
    let arp = |sender: [u8; 4], target: [u8; 4]| {
        let head = [&[0xff; 6][..], &[2; 6], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[2; 6]].concat();
        [&head[..], &sender, &[0; 6], &target].concat()
    };
    assert!(is_own(Layer::Tap, 0, &arp([10, 0, 0, 1], [10, 0, 0, 1])));
    assert!(is_own(Layer::Tap, 0, &arp([0; 4], [10, 0, 0, 1])));
    assert!(!is_own(Layer::Tap, 0, &arp([10, 0, 0, 1], [10, 0, 0, 2])));
}

fn what_the_suite_sends_is_not_the_systems_own() {
    let echo = ipv6(ICMPV6, &[128, 0]);
    for packet in [&echo[..], &ipv6(17, &[135; 20]), &[0x45; 20], &[0x45], &[0x60], &[]] {
        assert!(!is_own(Layer::Tun, 0, packet), "{packet:?}");
    }
    for frame in [&[0xff; 60][..], &[8, 6], &[&[0xff; 12][..], &[8, 6], &[0; 28]].concat()] {
        assert!(!is_own(Layer::Tap, 0, frame), "{frame:?}");
    }
}
