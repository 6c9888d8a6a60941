//! Strategies for property tests: what programs ask of a TUN/TAP device, and the packets that pass it.
//!
//! They are [`mod@proptest`] strategies, and shrink to the simplest example that fails: a short payload, no
//! options, the lowest address. They need the feature `proptest`.
//!
//! | you want | see |
//! |---|---|
//! | options to create a device with | [`create_options`] |
//! | what configures a device | [`interface_addresses`], [`mtus`], [`mac_addresses`] |
//! | names | [`interface_names`], [`name_patterns`] |
//! | any packet that a device of a layer may carry | [`packets`] |
//! | packets of one version of IP | [`ipv4_packets`], [`ipv6_packets`] |
//! | packets of one protocol | [`udp_packets`], [`tcp_packets`], [`icmp_packets`], [`icmpv6_packets`] |
//! | frames | [`ethernet_frames`], [`arp_frames`] |
//! | super-segments behind a virtio-net header | [`gso_packets`] |
//! | malformed packets, and noise | [`hostile_packets`] |
//! | a sequence of operations, for a test against a model | [`operations`] |
//!
//! ```
//! use proptest::prelude::*;
//! use tunctl_core::Layer;
//! use tunctl_mock::strategy::{hostile_packets, packets};
//! use tunctl_packet::Packet;
//!
//! proptest! {
//!     // In a program's tests, with #[test] above each.
//!     fn a_packet_has_addresses(packet in packets(Layer::Tun)) {
//!         let packet = Packet::parse(Layer::Tun, &packet)?;
//!         prop_assert!(packet.source().is_some() && packet.destination().is_some());
//!     }
//!
//!     fn nothing_panics(packet in hostile_packets(Layer::Tap)) {
//!         let _ = Packet::parse(Layer::Tap, &packet);
//!     }
//! }
//! a_packet_has_addresses();
//! nothing_panics();
//! ```
//!
//! Well-formed means: versions, lengths and checksums are right, and nothing follows a packet except the
//! padding of a frame. Addresses are any that a sender can have, and payloads are any bytes, whatever the
//! port. Except for those of [`gso_packets`] and [`hostile_packets`], no packet is longer than 1,500 bytes,
//! without the Ethernet header and VLAN tags. The headers that a device puts in front are not included.

mod action;
mod configuration;
mod frame;
mod gso;
mod hostile;
mod icmp;
mod ip;
mod message;
mod packet;
#[cfg(test)]
mod tests;

use proptest::prelude::*;
use tunctl_core::Layer;

pub use self::action::{Action, operations};
pub use self::configuration::{
    create_options, interface_addresses, interface_names, mac_addresses, mtus, name_patterns,
};
pub use self::frame::{arp_frames, ethernet_frames};
pub use self::gso::{GsoPacket, gso_packets};
pub use self::hostile::hostile_packets;
pub use self::icmp::{icmp_packets, icmpv6_packets};
pub use self::packet::{ipv4_packets, ipv6_packets, tcp_packets, udp_packets};

/// Well-formed packets of a layer, of every kind that is here: IP packets for a tun, Ethernet frames for a
/// tap.
pub fn packets(layer: Layer) -> impl Strategy<Value = Vec<u8>> {
    match layer {
        Layer::Tun => prop_oneof![ipv4_packets(), ipv6_packets()].boxed(),
        Layer::Tap => ethernet_frames().boxed(),
    }
}
