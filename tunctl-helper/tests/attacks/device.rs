//! What the holder of a device that the helper has made can do with it.

use std::fs;
use std::io::Write;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use tunctl_helper::protocol::Request;
use tunctl_sys::linux::filter::FilterInstruction;
use tunctl_sys::linux::{iff, tun as driver};
use tunctl_testing::{Case, addresses, caller, ip_json, link};

use super::support::helper::Answer;
use super::support::request::{configured, tun};
use super::support::start::ask;
use super::support::{ALICE, NOBODY, World, attacks};

pub(crate) fn cases() -> Vec<Case> {
    attacks![what_a_descriptor_allows_its_holder, a_router_advertisement]
}

/// Without any further right: the threat model lists these.
fn what_a_descriptor_allows_its_holder(_: &World) {
    let wanted = Request { flags: iff::TAP | iff::NO_PI, mtu: Some(1400), ..tun("vpn0") };
    let answer = ask(wanted.to_bytes());
    answer.granted();
    let device = answer.device().try_clone_to_owned().unwrap();
    // It lets no packet pass.
    let filter = [FilterInstruction { code: 6, jt: 0, jf: 0, k: 0 }];
    let mut tried = Vec::new();
    caller::as_caller(NOBODY, NOBODY, false, &mut || {
        let device = device.as_fd();
        tried = vec![
            ("persist", driver::set_persist(device, true)),
            ("not persist", driver::set_persist(device, false)),
            ("owner", driver::set_owner(device, ALICE)),
            ("group", driver::set_group(device, ALICE)),
            ("MAC", driver::set_mac(device, [2, 0, 0, 0, 0, 7])),
            ("link type", driver::set_link_type(device, 801)),
            ("filter", driver::attach_filter(device, &filter).map(drop)),
            ("carrier", driver::set_carrier(device, false)),
            ("offloads", driver::set_offload(device, 1)),
            ("send buffer", driver::set_send_buffer(device, 1 << 16)),
        ];
    });
    for (what, outcome) in &tried {
        assert!(outcome.is_ok(), "{what}: {outcome:?}");
    }
    // And these it doesn't: they are netlink's.
    let link = link("vpn0").unwrap();
    assert_eq!(
        (&link["mtu"], &link["ifalias"]),
        (&1400.into(), &"tunctl-helper uid 65534 name vpn%d".into())
    );
}

/// A packet of a router that offers itself for everything, and a network (RFC 4861, 4.2 and 4.6.2).
fn advertisement() -> Vec<u8> {
    let source: Ipv6Addr = "fe80::1".parse().unwrap();
    let target: Ipv6Addr = "ff02::1".parse().unwrap();
    let network: Ipv6Addr = "2001:db8:1::".parse().unwrap();
    let mut message = vec![134, 0, 0, 0, 64, 0x08, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([3, 4, 64, 0xc0, 0, 0, 0x70, 0x80, 0, 0, 0x70, 0x80, 0, 0, 0, 0]);
    message.extend(network.octets());
    let length = u8::try_from(message.len()).unwrap();
    let pseudo = [&source.octets()[..], &target.octets(), &[0, 0, 0, length, 0, 0, 0, 58], &message].concat();
    let words = pseudo.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    [&[0x60, 0, 0, 0, 0, length, 58, 255][..], &source.octets(), &target.octets(), &message].concat()
}

/// Whether the system has believed a router advertisement within a while.
fn believes(answer: &Answer) -> bool {
    let mut device = fs::File::from(answer.device().try_clone_to_owned().unwrap());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        device.write_all(&advertisement()).unwrap();
        let routes = ip_json("-6 route show");
        if routes.iter().any(|route| route["dst"] == "default" || route["dst"] == "2001:db8:1::/64") {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    addresses("vpn0").iter().any(|address| address["local"].as_str().unwrap().starts_with("2001:db8"))
}

/// All of the system's traffic would go to the holder, whatever addresses the policy allows.
fn a_router_advertisement(_: &World) {
    let answer = ask(configured("vpn0").to_bytes());
    answer.granted();
    assert!(!believes(&answer));
    // Control: where root has the interface heed routers, the same packet is believed.
    fs::write("/proc/sys/net/ipv6/conf/vpn0/accept_ra", "2").unwrap();
    assert!(believes(&answer));
}
