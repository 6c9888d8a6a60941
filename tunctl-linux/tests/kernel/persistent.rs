//! Persistent interfaces: what outlives the device, and what must not.

use std::os::fd::AsFd;

use tunctl_core::{CreateOptions, TunDevice};
use tunctl_packet::udp_packet;
use tunctl_sys::linux::tun as kernel;
use tunctl_testing::{Case, case, ip};

use super::support::{address, driver_report, exists, open, tun, udp_payload, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_persistent_interface_outlives_its_device),
        case!(persistence_can_be_taken_back),
        case!(an_interface_of_another_program_loses_its_persistence),
        case!(the_next_opener_gets_packet_headers_of_his_own_choice),
        case!(a_changed_header_size_does_not_reach_the_next_opener),
        case!(offloads_left_on_do_not_reach_the_next_opener),
    ]
}

fn a_persistent_interface_outlives_its_device() {
    let device = tun("keep");
    assert_eq!(driver_report("keep")["persist"], false);
    device.set_persist(true).unwrap();
    assert_eq!(driver_report("keep")["persist"], true);
    drop(device);
    assert_eq!(driver_report("keep")["persist"], true);
}

fn persistence_can_be_taken_back() {
    let device = tun("keep");
    device.set_persist(true).unwrap();
    device.set_persist(true).unwrap();
    device.set_persist(false).unwrap();
    assert_eq!(driver_report("keep")["persist"], false);
    drop(device);
    assert!(!exists("keep"));
}

fn an_interface_of_another_program_loses_its_persistence() {
    ip("tuntap add dev made mode tap");
    let device = open(CreateOptions::tap(), "made").unwrap();
    device.set_persist(false).unwrap();
    drop(device);
    assert!(!exists("made"));
}

fn the_next_opener_gets_packet_headers_of_his_own_choice() {
    ip("tuntap add dev made mode tun pi");
    assert_eq!(driver_report("made")["pi"], true);
    let device = open(CreateOptions::tun().vnet_header(true), "made").unwrap();
    let report = driver_report("made");
    assert_eq!((&report["pi"], &report["vnet_hdr"]), (&false.into(), &true.into()));
    drop(device);
    let device = open(CreateOptions::tun().packet_information(true), "made").unwrap();
    let report = driver_report("made");
    assert_eq!((&report["pi"], &report["vnet_hdr"]), (&true.into(), &false.into()));
    drop(device);
}

/// With this many bytes in front, and these offloads, someone leaves a persistent interface behind.
fn leave_behind(header_size: i32, offloads: u32) {
    ip("tuntap add dev tun0 mode tun");
    let device = open(CreateOptions::tun().vnet_header(true), "tun0").unwrap();
    kernel::set_vnet_header_size(device.as_fd(), header_size).unwrap();
    kernel::set_offload(device.as_fd(), offloads).unwrap();
    drop(device);
}

fn a_changed_header_size_does_not_reach_the_next_opener() {
    without_ipv6();
    leave_behind(12, 0);
    let device = open(CreateOptions::tun().vnet_header(true), "tun0").unwrap();
    device.up(address("10.77.0.1/24")).unwrap();
    let socket = super::support::socket("10.77.0.1:0");
    socket.send_to(b"size?", "10.77.0.2:9").unwrap();
    let mut packet = [0; 2000];
    let length = device.recv(&mut packet).unwrap();
    assert_eq!(length, 10 + 20 + 8 + 5, "a header of 12 bytes was inherited");
    assert_eq!(udp_payload(&packet[10..length]), b"size?");
    // And the way back.
    let to = socket.local_addr().unwrap();
    let answer = udp_packet("10.77.0.2:9".parse().unwrap(), to, b"ten").unwrap();
    device.send(&[&[0; 10], &answer[..]].concat()).unwrap();
    let length = socket.recv(&mut packet).unwrap();
    assert_eq!(&packet[..length], b"ten");
}

/// Checksum and TCP segmentation offload of IPv4, from `<linux/if_tun.h>`.
const CSUM_AND_TSO4: u32 = 0x01 | 0x02;

fn offloads_left_on_do_not_reach_the_next_opener() {
    without_ipv6();
    leave_behind(10, CSUM_AND_TSO4);
    let device = open(CreateOptions::tun().vnet_header(true), "tun0").unwrap();
    device.up(address("10.77.0.1/24")).unwrap();
    let socket = super::support::socket("10.77.0.1:0");
    let mut packet = [0; 2000];
    // The first bit of the virtio-net header: the checksum is left to the reader.
    let mut checksum_is_missing = || {
        socket.send_to(b"sum?", "10.77.0.2:9").unwrap();
        let length = device.recv(&mut packet).unwrap();
        assert_eq!(length, 10 + 20 + 8 + 4);
        packet[0] & 1 != 0
    };
    assert!(!checksum_is_missing());
    // With the offload on, the kernel does leave it: so the line above could have failed.
    kernel::set_offload(device.as_fd(), CSUM_AND_TSO4).unwrap();
    assert!(checksum_is_missing());
}
