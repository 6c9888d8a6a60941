//! Creating interfaces: names, patterns, options.

use std::os::fd::AsFd;

use tunctl_core::{Cause, CreateFlags, CreateOptions, TunBackend, TunDevice};
use tunctl_sys::linux::tun as kernel;
use tunctl_testing::{Case, OtherNamespace, case, ip, is_close_on_exec, open_files};

use super::support::{backend, create, driver_report, exists, others, refused, tap, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(the_default_is_a_tap_without_packet_information_whose_name_the_kernel_chooses),
        case!(a_tun_without_a_name_is_called_tun0),
        case!(a_name_of_fifteen_bytes_is_kept_whole),
        case!(a_pattern_takes_the_first_free_number),
        case!(a_pattern_may_have_its_number_in_the_middle),
        case!(each_option_reaches_the_kernel),
        case!(the_kernel_holds_the_bits_that_were_asked_for),
        case!(an_existing_name_is_refused_and_the_interface_is_left_alone),
        case!(an_existing_multi_queue_interface_is_not_joined_by_create),
        case!(another_kind_of_interface_is_not_a_tun),
        case!(an_exclusive_open_or_create_creates_but_does_not_open),
        case!(the_descriptor_is_close_on_exec_and_non_blocking),
        case!(the_interface_is_made_where_the_calling_thread_is),
    ]
}

fn the_default_is_a_tap_without_packet_information_whose_name_the_kernel_chooses() {
    let device = backend().create(&CreateOptions::default()).unwrap();
    assert_eq!(others(), ["tap0"]);
    assert_eq!(device.name().unwrap().to_string(), "tap0");
    let report = driver_report("tap0");
    assert_eq!(report["type"], "tap");
    for absent in ["pi", "vnet_hdr", "multi_queue", "persist"] {
        assert_eq!(report[absent], false, "{absent}");
    }
    assert_eq!(device.flags().bits(), 0x1002);
}

fn a_tun_without_a_name_is_called_tun0() {
    let first = backend().create(&CreateOptions::tun()).unwrap();
    let second = backend().create(&CreateOptions::tun()).unwrap();
    assert_eq!(others(), ["tun0", "tun1"]);
    assert_eq!(driver_report("tun0")["type"], "tun");
    assert_eq!(first.name().unwrap().to_string(), "tun0");
    assert_eq!(second.name().unwrap().to_string(), "tun1");
}

fn a_name_of_fifteen_bytes_is_kept_whole() {
    let device = tun("abcdefghijklmno");
    assert_eq!(others(), ["abcdefghijklmno"]);
    assert_eq!(device.name().unwrap().to_string(), "abcdefghijklmno");
}

fn a_pattern_takes_the_first_free_number() {
    let first = tun("vpn%d");
    let second = tap("vpn%d");
    assert_eq!(others(), ["vpn0", "vpn1"]);
    assert_eq!(first.name().unwrap().to_string(), "vpn0");
    drop(first);
    let third = tun("vpn%d");
    assert_eq!(third.name().unwrap().to_string(), "vpn0");
    assert_eq!(second.name().unwrap().to_string(), "vpn1");
    assert_eq!(others().len(), 2);
}

fn a_pattern_may_have_its_number_in_the_middle() {
    let device = tun("foo%dbar");
    assert_eq!(others(), ["foo0bar"]);
    assert_eq!(device.name().unwrap().to_string(), "foo0bar");
}

fn each_option_reaches_the_kernel() {
    let plain = CreateOptions::tun();
    let cases = [
        (plain.clone(), [false, false, false]),
        (plain.clone().packet_information(true), [true, false, false]),
        (plain.clone().vnet_header(true), [false, true, false]),
        (plain.clone().multi_queue(true), [false, false, true]),
        (plain.clone().one_queue(true), [false, false, false]),
        (plain.exclusive(true), [false, false, false]),
        (
            CreateOptions::tap().packet_information(true).vnet_header(true).multi_queue(true),
            [true, true, true],
        ),
    ];
    for (options, expected) in cases {
        let flags = options.get_flags();
        let _device = create(options, "x0");
        let report = driver_report("x0");
        for (name, expected) in ["pi", "vnet_hdr", "multi_queue"].into_iter().zip(expected) {
            assert_eq!(report[name], expected, "{name} of {flags}");
        }
    }
}

fn the_kernel_holds_the_bits_that_were_asked_for() {
    // What TUNGETIFF can tell: it reports neither the exclusive bit nor, without a filter, packet
    // information.
    for bits in [0x1001_u16, 0x1002, 0x1101, 0x5102, 0x3001] {
        let device = backend().create(&CreateOptions::from_bits(bits).unwrap()).unwrap();
        let reported = kernel::iff(device.as_fd()).unwrap().flags();
        let without_effect = CreateFlags::ONE_QUEUE.bits();
        assert_eq!(reported & !without_effect, bits & !without_effect, "{reported:#06x} for {bits:#06x}");
        assert_eq!(device.flags().bits(), bits);
    }
}

fn an_existing_name_is_refused_and_the_interface_is_left_alone() {
    let _held = tun("held");
    ip("tuntap add dev idle mode tun");
    for name in ["held", "idle"] {
        let before = tunctl_testing::link(name);
        for options in [CreateOptions::tun(), CreateOptions::tap().exclusive(true)] {
            let error = refused(backend().create(&options.name(name)));
            assert_eq!(error.cause(), Cause::Exists, "{error}");
            assert_eq!(error.interface().unwrap().to_string(), name);
        }
        assert_eq!(tunctl_testing::link(name), before);
    }
}

fn an_existing_multi_queue_interface_is_not_joined_by_create() {
    let options = CreateOptions::tun().multi_queue(true);
    let _held = create(options.clone(), "mq0");
    assert_eq!(driver_report("mq0")["numqueues"], 1);
    let error = refused(backend().create(&options.name("mq0")));
    assert_eq!(error.cause(), Cause::Exists, "{error}");
    assert_eq!(driver_report("mq0")["numqueues"], 1);
}

fn another_kind_of_interface_is_not_a_tun() {
    ip("link add veth0 type veth peer name veth1");
    let before = tunctl_testing::links();
    for name in ["lo", "veth0"] {
        let options = CreateOptions::tun().name(name);
        for outcome in
            [backend().create(&options), backend().open(&options), backend().open_or_create(&options)]
        {
            let error = refused(outcome);
            assert_eq!(error.cause(), Cause::NotATun, "{name}: {error}");
        }
    }
    assert_eq!(tunctl_testing::links(), before);
}

fn an_exclusive_open_or_create_creates_but_does_not_open() {
    let options = CreateOptions::tun().exclusive(true).name("once");
    let device = backend().open_or_create(&options).unwrap();
    device.set_persist(true).unwrap();
    drop(device);
    assert!(exists("once"));
    let error = refused(backend().open_or_create(&options));
    assert_eq!(error.cause(), Cause::Exists, "{error}");
    assert!(exists("once"));
}

fn the_descriptor_is_close_on_exec_and_non_blocking() {
    let before = open_files();
    let device = tun("tun0");
    assert!(is_close_on_exec(&device));
    // All that it opened, its configuration socket included.
    for (number, target) in open_files() {
        if before.contains_key(&number) {
            continue;
        }
        let report = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = report.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & 0o2_000_000, 0, "{target} is open across exec");
        if target == "/dev/net/tun" {
            assert_ne!(flags & 0o4000, 0, "the device blocks");
        }
    }
    let inherited = std::process::Command::new("ls").arg("-l").arg("/proc/self/fd").output().unwrap();
    let inherited = String::from_utf8(inherited.stdout).unwrap();
    assert!(inherited.contains("/dev/null") && !inherited.contains("tun"), "{inherited}");
}

fn the_interface_is_made_where_the_calling_thread_is() {
    let there = OtherNamespace::new();
    let device = there.run(|| tun("tun0"));
    assert!(!exists("tun0"));
    assert!(there.run(|| exists("tun0")));
    drop(device);
    assert!(!there.run(|| exists("tun0")));
}
