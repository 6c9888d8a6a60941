//! What a device is created and configured with.

use std::fmt;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::select;
use tunctl_core::{CreateOptions, InterfaceAddress, InterfaceName, MacAddress, Mtu, NamePattern};

use super::ip::{v4_addresses, v6_addresses};

/// Names that a user may give an interface, of every form: `tun0`, one byte, all of the 15, punctuation,
/// letters of any alphabet.
pub fn interface_names() -> impl Strategy<Value = InterfaceName> {
    prop_oneof![
        4 => "(tun|tap|vpn|utun)[0-9]{1,3}",
        2 => "[a-z][a-z0-9._-]{0,14}",
        1 => "[!-~&&[^/:%]]{1,15}",
        1 => "[!-~&&[^/:%]]{15}",
        1 => "\\PC{1,4}",
    ]
    .prop_filter_map("the name means something else to a kernel", |name| name.parse().ok())
    .boxed()
}

/// Names, and patterns in which the kernel puts a number: `tun%d`.
pub fn name_patterns() -> impl Strategy<Value = NamePattern> {
    let numbered = "(tun|tap|[a-z.]{0,4})%d([a-z_]{0,4}|)";
    prop_oneof![
        interface_names().prop_map(NamePattern::from),
        numbered.prop_filter_map("no pattern", |pattern| pattern.parse().ok()),
    ]
    .boxed()
}

/// Options of both layers, with every set of flags that makes sense, and with a name, a pattern or neither.
pub fn create_options() -> impl Strategy<Value = CreateOptions> {
    let name = proptest::option::weighted(0.8, name_patterns());
    let rarely = || proptest::bool::weighted(0.1);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), rarely(), rarely());
    (any::<bool>(), name, flags)
        .prop_map(|(tap, name, (information, vnet, queues, one_queue, exclusive))| {
            let options = if tap { CreateOptions::tap() } else { CreateOptions::tun() };
            let options = match name {
                Some(name) => options.name(name),
                None => options,
            };
            options
                .packet_information(information)
                .vnet_header(vnet)
                .multi_queue(queues)
                .one_queue(one_queue)
                .exclusive(exclusive)
        })
        .boxed()
}

/// MTUs, those at which something changes more often than others.
pub fn mtus() -> impl Strategy<Value = Mtu> {
    let bounds = vec![68, 576, 1279, 1280, 1420, 1500, 9000, 65521, 65535];
    prop_oneof![select(bounds), Mtu::MIN.get()..=Mtu::MAX.get()]
        .prop_filter_map("out of range", |bytes| Mtu::new(bytes).ok())
        .boxed()
}

/// MAC addresses that a tap may have, one in two locally administered.
pub fn mac_addresses() -> impl Strategy<Value = MacAddress> {
    (any::<[u8; 6]>(), any::<bool>())
        .prop_filter_map("no interface can have it", |(mut octets, local)| {
            // The group's bit is never set, or half of all would be thrown away.
            octets[0] = octets[0] & !3 | u8::from(local) << 1;
            MacAddress::new(octets).ok()
        })
        .boxed()
}

/// Addresses that an interface may have, of both families: plain, with a prefix length, with a peer, and
/// without a broadcast address.
pub fn interface_addresses() -> impl Strategy<Value = InterfaceAddress> {
    prop_oneof![forms(v4_addresses().boxed(), 32), forms(v6_addresses().boxed(), 128)].boxed()
}

/// Every form of an address of one family: with each prefix length up to `longest`, with a peer, without a
/// broadcast address.
fn forms<A: Into<IpAddr> + fmt::Debug + 'static>(
    addresses: BoxedStrategy<A>,
    longest: u8,
) -> BoxedStrategy<InterfaceAddress> {
    let pairs = (addresses.clone(), addresses.clone());
    prop_oneof![
        addresses.clone().prop_map(InterfaceAddress::with_class_prefix),
        (addresses.clone(), 0..=longest).prop_map(|(address, length)| InterfaceAddress::new(address, length)),
        pairs.clone().prop_map(|(address, peer)| InterfaceAddress::point_to_point(address, peer)),
        (pairs, 0..=longest)
            .prop_map(|((address, peer), length)| InterfaceAddress::point_to_point(address, peer)?
                .with_prefix_length(length)),
        addresses.prop_map(|address| InterfaceAddress::with_class_prefix(address)?.with_broadcast(None)),
    ]
    .prop_filter_map("no interface can have it", Result::ok)
    .boxed()
}
