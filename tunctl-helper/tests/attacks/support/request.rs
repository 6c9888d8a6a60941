//! Requests, good and bad.

use std::net::IpAddr;

use tunctl_helper::protocol::{Address, Addresses, NAME_SIZE, REQUEST_SIZE, Request, name_field};
use tunctl_sys::linux::iff;

/// Where a request's name begins. The request's own tests hold the layout.
pub(crate) const NAME: usize = 12;

/// A tun of that name, which may be a pattern, with nothing else.
pub(crate) fn tun(name: &str) -> Request {
    Request {
        flags: iff::TUN | iff::NO_PI,
        name: name_field(name.as_bytes()).expect("the name has at most 15 bytes"),
        mtu: None,
        queue_length: None,
        mac: None,
        addresses: Addresses::default(),
        without_dad: true,
        up: false,
    }
}

/// A tun with all that can be configured.
pub(crate) fn configured(name: &str) -> Request {
    let mut addresses = Addresses::default();
    for (text, prefix_length) in [("10.8.0.1", 24), ("fd77::1", 64)] {
        let address: IpAddr = text.parse().unwrap();
        assert!(addresses.push(Address { address, prefix_length, peer: None }));
    }
    Request { mtu: Some(1400), queue_length: Some(100), addresses, up: true, ..tun(name) }
}

/// A request whose name has these 16 bytes.
pub(crate) fn with_name_field(field: [u8; NAME_SIZE]) -> [u8; REQUEST_SIZE] {
    let mut bytes = tun("vpn0").to_bytes();
    bytes[NAME..NAME + NAME_SIZE].copy_from_slice(&field);
    bytes
}
