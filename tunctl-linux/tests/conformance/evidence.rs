//! The harness itself: what it reports is so, and what it does happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use std::{fs, thread};

use tunctl_conformance::{Harness, PollState};
use tunctl_core::{
    CreateFlags, CreateOptions, Gid, Interface, InterfaceAddress, InterfaceName, Operation, State,
    TunBackend, TunDevice, Uid,
};
use tunctl_linux::LinuxDevice;
use tunctl_testing::{Case, LinuxHarness, OtherNamespace, case, rtnetlink, sysfs};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(nothing_comes_unasked),
        case!(an_injected_packet_reaches_the_device),
        case!(what_reaches_no_queue_is_told),
        case!(what_the_system_receives_is_observed_and_what_it_sends_is_not),
        case!(a_report_is_what_was_set),
        case!(addresses_are_told_with_peer_and_broadcast),
        case!(renamed_moved_and_deleted_interfaces_are_where_they_should_be),
        case!(another_caller_is_one_to_the_kernel_too).needs_root(),
        case!(root_without_the_capability_has_all_others),
        case!(a_caller_that_panics_is_who_it_was),
        case!(operations_beyond_the_traits_are_tried),
    ]
}

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn address(text: &str) -> InterfaceAddress {
    text.parse().unwrap()
}

fn create(harness: &LinuxHarness, options: CreateOptions, name: &str) -> LinuxDevice {
    harness.backend().create(&options.name(name)).unwrap()
}

/// An interface that is up.
fn up(harness: &LinuxHarness, options: CreateOptions, interface: &str) -> LinuxDevice {
    let device = create(harness, options, interface);
    harness.set_up(&name(interface), true);
    device
}

/// The least that is a packet of that version of IP.
fn packet(version: u8) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = version << 4 | 5;
    packet
}

fn received(device: &LinuxDevice) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let length = device.try_recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn nothing_comes_unasked() {
    let harness = LinuxHarness::new();
    let tun = up(&harness, CreateOptions::tun(), "tun0");
    let tap = up(&harness, CreateOptions::tap(), "tap0");
    tun.interface().add_address(address("10.1.1.1/24")).unwrap();
    tun.interface().add_address(address("fd77::1/64")).unwrap();
    tap.interface().add_address(address("10.2.2.2/24")).unwrap();
    thread::sleep(Duration::from_millis(300));
    for (device, addresses) in [(tun, 2), (tap, 1)] {
        let came = device.try_recv(&mut [0; 100]);
        assert!(came.is_err_and(|error| error.is_would_block()), "{device:?}");
        // Nor has the kernel made an address of its own.
        let held = harness.reported_addresses(&device.name().unwrap());
        assert_eq!(held.len(), addresses, "{held:?}");
    }
}

fn an_injected_packet_reaches_the_device() {
    let harness = LinuxHarness::new();
    let tun = up(&harness, CreateOptions::tun().packet_information(true), "tun0");
    for (version, ether_type) in [(4, [0x08, 0x00]), (6, [0x86, 0xdd])] {
        assert!(harness.inject(&name("tun0"), &packet(version)));
        assert!(harness.poll_state(&tun).readable);
        assert_eq!(received(&tun), [&[0, 0], &ether_type[..], &packet(version)].concat());
    }
    assert_eq!(harness.poll_state(&tun), PollState { readable: false, writable: true, error: false });

    let tap = up(&harness, CreateOptions::tap(), "tap0");
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9, 0x88, 0xb5], b"hello"].concat();
    assert!(harness.inject(&name("tap0"), &frame));
    assert_eq!(received(&tap), frame);
    assert_eq!(harness.dropped(&name("tun0")) + harness.dropped(&name("tap0")), 0);
}

fn what_reaches_no_queue_is_told() {
    let harness = LinuxHarness::new();
    let device = create(&harness, CreateOptions::tun(), "tun0");
    assert!(!harness.inject(&name("tun0"), &packet(4)));
    assert_eq!(harness.poll_state(&device), PollState::default());
    harness.set_up(&name("tun0"), true);
    let dropped = harness.dropped(&name("tun0"));
    let held = (0..).take_while(|_| harness.inject(&name("tun0"), &packet(4))).count();
    assert_eq!(held, harness.profile().tun_queue_length);
    assert_eq!(harness.dropped(&name("tun0")), dropped + 1);

    device.set_persist(true).unwrap();
    drop(device);
    assert!(!harness.inject(&name("tun0"), &packet(4)));
}

fn what_the_system_receives_is_observed_and_what_it_sends_is_not() {
    let harness = LinuxHarness::new();
    let tun = up(&harness, CreateOptions::tun().packet_information(true), "tun0");
    tun.send(&[&[0, 0, 8, 0], &packet(4)[..]].concat()).unwrap();
    let mut seen = harness.observe(&name("tun0"));
    assert_eq!(seen.take(), None);
    tun.send(&[&[0, 0, 8, 0], &packet(4)[..]].concat()).unwrap();
    tun.send(&[&[0, 0, 0x86, 0xdd], &packet(6)[..]].concat()).unwrap();
    assert!(harness.inject(&name("tun0"), &packet(4)));
    // And one by way of the system's own stack.
    tun.interface().add_address(address("10.1.1.1/24")).unwrap();
    std::net::UdpSocket::bind("10.1.1.1:0").unwrap().send_to(b"out", "10.1.1.2:9").unwrap();
    assert_eq!(seen.take(), Some(packet(4)));
    assert_eq!(seen.take(), Some(packet(6)));
    assert_eq!(seen.take(), None);

    let tap = up(&harness, CreateOptions::tap().vnet_header(true), "tap0");
    let mut seen = harness.observe(&name("tap0"));
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9, 0x88, 0xb5], b"hello"].concat();
    tap.send(&[&[0; 10], &frame[..]].concat()).unwrap();
    assert_eq!(seen.take(), Some(frame));
    harness.delete(&name("tap0"));
    assert_eq!(seen.take(), None);
}

fn a_report_is_what_was_set() {
    let harness = LinuxHarness::new();
    assert_eq!(harness.report(&name("tap0")), None);
    assert_eq!(harness.report(&harness.other_interface()), None);
    let options = CreateOptions::tap().packet_information(true).vnet_header(true).multi_queue(true);
    let device = create(&harness, options, "tap0");
    let fresh = harness.report(&name("tap0")).unwrap();
    assert_eq!(fresh.flags, CreateFlags::TAP | CreateFlags::VNET_HDR | CreateFlags::MULTI_QUEUE);
    assert_eq!((fresh.owner, fresh.group, fresh.persistent), (None, None, false));
    assert_eq!((fresh.mtu.get(), fresh.state, fresh.queues), (1500, State::Down, None));
    assert_eq!(fresh.index.get(), rtnetlink::index(&name("tap0")));

    device.set_persist(true).unwrap();
    device.set_owner(Uid::new(0).unwrap()).unwrap();
    device.set_group(Gid::new(0).unwrap()).unwrap();
    device.interface().set_mtu("1300".parse().unwrap()).unwrap();
    harness.set_up(&name("tap0"), true);
    let set = harness.report(&name("tap0")).unwrap();
    assert_eq!((set.owner, set.group, set.persistent), (Uid::new(0), Gid::new(0), true));
    assert_eq!((set.mtu.get(), set.state), (1300, State::Up));
    harness.set_up(&name("tap0"), false);
    assert_eq!(harness.report(&name("tap0")).unwrap().state, State::Down);
}

fn addresses_are_told_with_peer_and_broadcast() {
    let harness = LinuxHarness::new();
    let tun = up(&harness, CreateOptions::tun(), "tun0");
    let _other = up(&harness, CreateOptions::tun(), "other");
    let with_both: InterfaceAddress = address("10.3.3.3 peer 10.4.4.4/30");
    let mut given = vec![
        address("10.1.1.1/24"),
        address("10.1.1.1/32"),
        address("10.2.2.2 peer 10.2.2.9/32"),
        with_both.with_broadcast(Some([10, 4, 4, 7].into())).unwrap(),
        address("fd77::1/64"),
        address("fd78::1 peer fd78::2/128"),
    ];
    for &each in &given {
        tun.interface().add_address(each).unwrap();
    }
    let mut told = harness.reported_addresses(&name("tun0"));
    told.sort_by_key(ToString::to_string);
    given.sort_by_key(ToString::to_string);
    assert_eq!(told, given);
    assert!(harness.reported_addresses(&name("other")).is_empty());
}

fn renamed_moved_and_deleted_interfaces_are_where_they_should_be() {
    let harness = LinuxHarness::new();
    let _device = create(&harness, CreateOptions::tun(), "tun0");
    let index = harness.report(&name("tun0")).unwrap().index;
    assert!(harness.rename(&name("tun0"), &name("...")));
    assert_eq!(harness.report(&name("tun0")), None);
    assert_eq!(harness.report(&name("...")).unwrap().index, index);

    assert_eq!(harness.report_elsewhere(&name("...")), None);
    harness.move_to_namespace(&name("..."));
    assert_eq!(harness.report(&name("...")), None);
    let there = harness.report_elsewhere(&name("...")).unwrap();
    assert_eq!((there.name, there.flags), (name("..."), CreateFlags::TUN | CreateFlags::NO_PI));

    let _up = up(&harness, CreateOptions::tun(), "tun1");
    assert_eq!(harness.rename(&name("tun1"), &name("tun2")), harness.profile().rename_while_up);
    let _persistent = create(&harness, CreateOptions::tap(), "tap0").set_persist(true);
    harness.delete(&name("tap0"));
    assert_eq!(harness.report(&name("tap0")), None);
    // A look at another namespace has not changed what is seen of this one.
    assert!(sysfs::is_ours());
    assert!(!OtherNamespace::new().run(sysfs::is_ours));
}

/// Effective and other user ids, group ids, groups, and effective capabilities, as the kernel tells.
fn status() -> [String; 4] {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    ["Uid:", "Gid:", "Groups:", "CapEff:"].map(|field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    })
}

fn status_as(harness: &LinuxHarness, uid: u32, gid: u32, capable: bool) -> [String; 4] {
    let before = status();
    let mut during = before.clone();
    harness.as_caller(uid, gid, capable, &mut || during = status());
    assert_eq!(status(), before);
    during
}

fn another_caller_is_one_to_the_kernel_too() {
    let harness = LinuxHarness::new();
    let told = |capable| status_as(&harness, 4001, 4002, capable);
    assert_eq!(told(false), ["0 4001 0 4001", "0 4002 0 4002", "", "0000000000000000"]);
    assert_eq!(told(true), ["0 4001 0 4001", "0 4002 0 4002", "", "0000000000001000"]);
    harness.as_caller(4001, 4002, false, &mut || {
        // Its own files in /proc are its own, as those of any program that it started.
        assert!(fs::metadata("/proc/self/environ").is_ok_and(|_| fs::read("/proc/self/environ").is_ok()));
        assert!(fs::read("/proc/1/environ").is_err());
        let options = CreateOptions::tun().name("tun0");
        assert!(harness.backend().create(&options).is_err());
        harness.as_caller(4001, 4002, true, &mut || drop(harness.backend().create(&options).unwrap()));
        // What another program does, it does as root.
        harness.set_up(&name("lo"), false);
        assert!(harness.backend().create(&options).is_err());
    });
}

fn root_without_the_capability_has_all_others() {
    let harness = LinuxHarness::new();
    let [uid, gid, _, all] = status();
    let all = u64::from_str_radix(&all, 16).unwrap();
    let during = status_as(&harness, 0, 0, false);
    assert_eq!(during[..2], [uid, gid]);
    assert_eq!(u64::from_str_radix(&during[3], 16).unwrap(), all & !0x1000);
    harness.as_caller(0, 0, false, &mut || {
        assert!(harness.backend().create(&CreateOptions::tun()).is_err());
    });
}

fn a_caller_that_panics_is_who_it_was() {
    let harness = LinuxHarness::new();
    let before = status();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        harness.as_caller(0, 0, false, &mut || panic!("this panic is meant"));
    }));
    assert!(outcome.is_err());
    assert_eq!(status(), before);
}

fn operations_beyond_the_traits_are_tried() {
    let harness = LinuxHarness::new();
    let namespace = || fs::read_link("/proc/self/ns/net").unwrap();
    let before = namespace();
    for operation in [
        Operation::Observe,
        Operation::Probe,
        Operation::EnterNamespace,
        Operation::Namespace,
        Operation::Move,
    ] {
        assert!(harness.attempt(operation).unwrap().is_ok(), "{operation}");
    }
    assert_eq!(namespace(), before);
    assert!(harness.attempt(Operation::Parse).is_none());
}
