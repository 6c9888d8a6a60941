//! Cutting: random packets, and headers that lie.

use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::Layer;
use tunctl_packet::header::{Endian, VnetFormat, VnetHeader, VnetLength};

use crate::large::{Large, destination_options};
use crate::split::{assert_cut, cut};

/// A packet of which the library makes segments: not too many, and not one whose options the kernel takes for
/// payload.
fn any_large() -> impl Strategy<Value = Large> {
    let shape = (any::<[bool; 3]>(), 0..11_usize, 0..11_usize, any::<u8>());
    (shape, any::<(u32, u16)>(), vec(any::<u8>(), 1..4000), 1..2000_u16).prop_map(
        |((kind, network, transport, tcp_flags), (sequence, identification), payload, size)| {
            let [v6, tcp, ethernet] = kind;
            let extension = match v6 {
                false => vec![1; network * 4],
                true if network == 0 => Vec::new(),
                true => destination_options(u8::try_from(network).unwrap(), if tcp { 6 } else { 17 }),
            };
            let tcp_options = if tcp { vec![1; transport * 4] } else { Vec::new() };
            let size = if tcp { size } else { size.max(32) };
            let payload = if payload.len() <= usize::from(size) + tcp_options.len() && !tcp_options.is_empty()
            {
                payload.repeat(usize::from(size) / payload.len() + 2)
            } else {
                payload
            };
            Large {
                v6,
                tcp,
                extension,
                tcp_options,
                tcp_flags,
                sequence,
                identification,
                ethernet,
                payload,
                size,
            }
        },
    )
}

proptest! {
    #[test]
    fn cutting_is_what_the_plain_way_makes(large in any_large()) {
        assert_cut(&large);
    }

    #[test]
    fn hostile_headers_never_panic(
        large in any_large(),
        noise in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        header in any::<[u8; 24]>(),
        keep in any::<bool>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut packet = large.packet();
        for (at, value) in noise {
            // Within the headers, where it matters.
            let end = packet.len().min(140);
            packet[at.index(end)] = value;
        }
        packet.truncate(length.index(packet.len()) + 1);
        let format = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
        let (hostile, _) = VnetHeader::parse(format, &header).unwrap();
        let header = if keep { large.header() } else { hostile };
        for layer in [Layer::Tun, Layer::Tap] {
            if let Ok(segments) = cut(&header, layer, &packet) {
                prop_assert!(!segments.is_empty());
            }
        }
    }
}
