//! What is measured. A section more is a file here, and a row of [`ALL`].

mod checksum;
mod flows;
mod offload;
pub(crate) mod packets;
mod pump;
mod tcp;
mod vpn;

use std::time::Duration;

use crate::results::Row;

/// A part of the benchmark, which can be run alone.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it makes interfaces, and so runs in a network namespace of its own.
    pub(crate) has_interfaces: bool,
    /// Measures for about that long.
    pub(crate) run: fn(Duration) -> Result<Vec<Row>, String>,
}

pub(crate) const ALL: &[Section] = &[
    Section {
        name: "packets",
        about: "recv and send of one packet a call, beside raw system calls and other libraries",
        has_interfaces: true,
        run: packets::run,
    },
    Section {
        name: "queues",
        about: "the same on two queues at once, beside raw system calls",
        has_interfaces: true,
        run: packets::queues::run,
    },
    Section { name: "checksum", about: "the Internet checksum", has_interfaces: false, run: checksum::run },
    Section {
        name: "offload",
        about: "large packets that are cut, and packets that are merged, in memory",
        has_interfaces: false,
        run: offload::run,
    },
    Section {
        name: "flows",
        about: "packets that are merged, of many flows at once",
        has_interfaces: false,
        run: flows::run,
    },
    Section {
        name: "pump",
        about: "TCP and UDP between two namespaces: ours, tun-rs, and a veth pair",
        has_interfaces: true,
        run: pump::run,
    },
    Section {
        name: "vpn",
        about: "TCP through WireGuard between two namespaces: ours, wireguard-go, boringtun and gotatun",
        has_interfaces: true,
        run: vpn::run,
    },
];
