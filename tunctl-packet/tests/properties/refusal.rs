//! The answers of a host or router at which nothing is there: `unreachable` and `reset`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layout::{Layout, assert_right, be16};
use super::{UNTOUCHED, assert_untouched, variants};
use tunctl_packet::{FlowKey, Layer, NoReply, Packet, Truncated, Unreachable};

const CODES: [Unreachable; 5] = [
    Unreachable::Network,
    Unreachable::Host,
    Unreachable::Protocol,
    Unreachable::Port,
    Unreachable::AdminProhibited,
];
pub(super) const ROUTERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The error that reports what could not be reached.
pub(crate) fn unreachable(bytes: &[u8]) {
    for request in variants(bytes) {
        let said = CODES.map(|code| {
            let from = |from| {
                answered(&request, |request, answer| tunctl_packet::unreachable(request, code, from, answer))
            };
            let said = from(None);
            if let Ok(answer) = &said {
                assert_unreachable(&request, answer, code);
                let again = tunctl_packet::unreachable(answer, code, None, &mut [0; 1280]);
                // The sender of the error may have an address that gets no error of any kind.
                let expected =
                    if is_reserved(view(answer).source()) { NoReply::NotUnicast } else { NoReply::IcmpError };
                assert_eq!(again, Err(expected), "an error about an error");
                for address in ROUTERS {
                    match from(Some(address)) {
                        Ok(answer) => assert_eq!(view(&answer).source(), Some(address)),
                        Err(why) => {
                            assert_eq!(why, NoReply::Sender { address });
                            assert_ne!(
                                view(&request).source().map(|ip| ip.is_ipv4()),
                                Some(address.is_ipv4())
                            );
                        }
                    }
                }
            }
            said.map(|answer| answer.len())
        });
        // Whether an error may be sent does not depend on its code.
        assert!(said.iter().all(|outcome| *outcome == said[0]));
    }
}

fn assert_unreachable(request: &[u8], answer: &[u8], code: Unreachable) {
    let (asked, layout) = (Layout::of(request).unwrap(), assert_right(answer));
    let message = &answer[layout.start..];
    let quoted = &message[8..];
    let (most, kind): (usize, &[u8]) = match (code, asked.v6) {
        (Unreachable::Network, false) => (576, &[3, 0]),
        (Unreachable::Host, false) => (576, &[3, 1]),
        (Unreachable::Protocol, false) => (576, &[3, 2]),
        (Unreachable::Port, false) => (576, &[3, 3]),
        (_, false) => (576, &[3, 13]),
        (Unreachable::Network, true) => (1280, &[1, 0]),
        (Unreachable::Host, true) => (1280, &[1, 3]),
        (Unreachable::Port, true) => (1280, &[1, 4]),
        (Unreachable::AdminProhibited, true) => (1280, &[1, 1]),
        (_, true) => (1280, &[4, 1]),
    };
    assert_eq!((&message[..2], layout.number), (kind, if asked.v6 { 58 } else { 1 }));
    assert_eq!(answer.len(), most.min(layout.start + 8 + asked.end));
    assert_eq!(quoted, &request[..quoted.len()]);
    if kind == [4, 1] {
        // The error points to the number of the protocol.
        let pointer = usize::try_from(u32::from_be_bytes(message[4..8].try_into().unwrap())).unwrap();
        assert_eq!(request[pointer], asked.number);
    } else {
        assert_eq!(message[4..8], [0; 4]);
    }
}

/// A TCP reset.
pub(crate) fn reset(bytes: &[u8]) {
    for request in variants(bytes) {
        let Ok(answer) = answered(&request, tunctl_packet::reset) else {
            continue;
        };
        let (asked, layout) = (Layout::of(&request).unwrap(), assert_right(&answer));
        let (segment, header) = (&request[asked.start..asked.end], &answer[layout.start..]);
        assert_eq!((layout.number, asked.number, header.len()), (6, 6, 20));
        assert_eq!(view(&answer).flow_key(), view(&request).flow_key().map(FlowKey::reversed));
        let flags = segment[13];
        assert_eq!((flags & 4, header[12]), (0, 0x50), "a reset is not answered, and no options are");
        if flags & 0x10 != 0 {
            assert_eq!((&header[4..8], &header[8..12], header[13]), (&segment[8..12], &[0; 4][..], 4));
        } else {
            let [sequence, acknowledged] =
                [&segment[4..8], &header[8..12]].map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
            let data = segment.len() - usize::from(segment[12] >> 4) * 4;
            let taken = data + usize::from(flags & 2 != 0) + usize::from(flags & 1 != 0);
            assert_eq!(acknowledged.wrapping_sub(sequence), u32::try_from(taken).unwrap());
            assert_eq!((&header[4..8], header[13]), (&[0; 4][..], 0x14));
        }
        assert_eq!(be16(header, 18), 0);
        assert_eq!(tunctl_packet::reset(&answer, &mut [0; 100]), Err(NoReply::Reset));
    }
}

fn is_reserved(address: Option<IpAddr>) -> bool {
    matches!(address, Some(IpAddr::V4(address)) if address.octets()[0] >= 240)
}

pub(super) fn view(packet: &[u8]) -> Packet<'_> {
    Packet::parse(Layer::Tun, packet).unwrap()
}

/// Checks that an answer goes to the sender of the request, and that a refusal leaves the buffer unchanged.
pub(super) fn answered(
    request: &[u8],
    answer_to: impl Fn(&[u8], &mut [u8]) -> Result<usize, NoReply>,
) -> Result<Vec<u8>, NoReply> {
    let mut answer = vec![UNTOUCHED; 1300];
    let length = answer_to(request, &mut answer).inspect_err(|_| assert_untouched(&answer))?;
    assert_untouched(&answer[length..]);
    answer.truncate(length);
    assert_eq!(view(&answer).destination(), view(request).source());

    let (need, have) = (length, length - 1);
    let mut short = vec![UNTOUCHED; have];
    assert_eq!(answer_to(request, &mut short), Err(NoReply::BufferTooSmall(Truncated { need, have })));
    assert_untouched(&short);
    Ok(answer)
}
