//! State and MTU, and what is said of them.

use crate::case::{Case, suite};
use crate::expect::{
    address, bring_up, create, errno, ipv4, name, open, persistent, received, refused_with, report, tap, tun,
    up,
};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, Interface, InterfaceInfo, Mtu, State, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Configuration:
        up_and_down_are_what_the_system_reports,
        repeating_a_state_changes_nothing,
        a_state_that_another_program_set_is_told,
        a_change_of_state_leaves_everything_else,
        the_state_is_the_interfaces_and_not_the_devices,
        up_brings_the_interface_up_with_its_address,
        up_again_adds_an_address_to_those_that_are_there,
        up_repeated_changes_nothing,
        a_refused_address_leaves_the_interface_down,
        a_refused_address_leaves_the_interface_up,
        an_interface_begins_with_an_mtu_of_1500_bytes,
        a_tun_takes_an_mtu_from_68_to_65535_bytes,
        a_tap_takes_an_mtu_from_68_to_65521_bytes,
        a_tap_refuses_an_mtu_above_65521_bytes,
        an_mtu_changes_while_up_and_survives_down,
        an_mtu_survives_the_last_device_of_a_persistent_interface,
        the_mtu_bounds_what_the_system_sends,
        what_is_said_of_an_interface_is_what_the_system_reports,
        each_question_has_the_answer_of_the_whole_report,
        a_handle_tells_the_name_that_the_interface_has_now,
        handles_of_one_interface_see_what_each_other_does,
        a_handle_without_a_device_configures_as_well,
        an_interface_is_configured_through_any_of_its_queues,
    ]
}

fn both<H: Harness>(harness: &H) -> [(&'static str, DeviceOf<H>); 2] {
    [("tun0", tun(harness, "tun0")), ("tap0", tap(harness, "tap0"))]
}

fn mtu(bytes: u32) -> Mtu {
    Mtu::new(bytes).unwrap()
}

fn state<H: Harness>(harness: &H, text: &str) -> State {
    report(harness, text).state
}

fn up_and_down_are_what_the_system_reports<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        assert_eq!(state(harness, text), State::Down);
        device.interface().set_state(State::Up).unwrap();
        assert_eq!(state(harness, text), State::Up);
        assert!(harness.poll_state(&device).writable);
        device.interface().set_state(State::Down).unwrap();
        assert_eq!(state(harness, text), State::Down);
        assert!(!harness.poll_state(&device).writable);
        assert_eq!(harness.reported_addresses(&name(text)), []);
    }
}

fn repeating_a_state_changes_nothing<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        device.down().unwrap();
        for state in [State::Down, State::Up, State::Up, State::Down, State::Down] {
            device.interface().set_state(state).unwrap();
            assert_eq!(report(harness, text).state, state);
        }
    }
}

fn a_state_that_another_program_set_is_told<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    for (up, expected) in [(true, State::Up), (false, State::Down)] {
        harness.set_up(&name("tun0"), up);
        assert_eq!(device.interface().state().unwrap(), expected);
        assert_eq!(device.interface().info().unwrap().state, expected);
    }
}

fn a_change_of_state_leaves_everything_else<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tap().multi_queue(true).vnet_header(true), "tap0");
    device.set_persist(true).unwrap();
    device.interface().set_mtu(mtu(1400)).unwrap();
    let before = report(harness, "tap0");
    device.interface().set_state(State::Up).unwrap();
    assert_eq!(report(harness, "tap0"), with_state(&before, State::Up));
    device.down().unwrap();
    assert_eq!(report(harness, "tap0"), before);
}

fn with_state(info: &InterfaceInfo, state: State) -> InterfaceInfo {
    let mut info = info.clone();
    info.state = state;
    info
}

fn the_state_is_the_interfaces_and_not_the_devices<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    bring_up(harness, &device, address("10.1.1.1/24"));
    drop(device);
    assert_eq!(state(harness, "tun0"), State::Up);
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    assert_eq!(state(harness, "tun0"), State::Up);
    assert_eq!(device.try_send(&ipv4(28)).unwrap(), 28);
}

fn up_brings_the_interface_up_with_its_address<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        let wanted = address("10.1.1.1/24");
        device.up(wanted).unwrap();
        assert_eq!(state(harness, text), State::Up);
        assert_eq!(harness.reported_addresses(&name(text)), [wanted]);
        drop(device);
    }
}

fn up_again_adds_an_address_to_those_that_are_there<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let all = ["10.1.1.1/24", "10.2.2.2/16", "fd77::1/64"].map(address);
    for (position, wanted) in all.into_iter().enumerate() {
        device.interface().up(wanted).unwrap();
        let reported = harness.reported_addresses(&name("tun0"));
        assert_eq!(reported.len(), position + 1);
        assert!(all[..=position].iter().all(|wanted| reported.contains(wanted)), "{reported:?}");
    }
}

fn up_repeated_changes_nothing<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    for wanted in ["10.1.1.1/24", "fd77::1/64"].map(address) {
        device.up(wanted).unwrap();
        let before = (report(harness, "tun0"), harness.reported_addresses(&name("tun0")));
        device.up(wanted).unwrap();
        assert_eq!((report(harness, "tun0"), harness.reported_addresses(&name("tun0"))), before);
    }
}

/// An interface whose MTU is too small for IPv6, and the refusal of an address of that family.
fn refuse_ipv6<H: Harness>(device: &DeviceOf<H>) {
    device.interface().set_mtu(mtu(1000)).unwrap();
    device.interface().add_address(address("10.1.1.1/24")).unwrap();
    refused_with(device.up(address("fd77::1/64")), Cause::InvalidAddress, errno::EINVAL);
}

fn a_refused_address_leaves_the_interface_down<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        refuse_ipv6::<H>(&device);
        assert_eq!(state(harness, text), State::Down);
        assert_eq!(harness.reported_addresses(&name(text)), [address("10.1.1.1/24")]);
        drop(device);
    }
}

fn a_refused_address_leaves_the_interface_up<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    refuse_ipv6::<H>(&device);
    assert_eq!(state(harness, "tun0"), State::Up);
    assert_eq!(harness.reported_addresses(&name("tun0")), [address("10.1.1.1/24")]);
}

fn an_interface_begins_with_an_mtu_of_1500_bytes<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        assert_eq!(report(harness, text).mtu, mtu(1500));
        assert_eq!(device.interface().mtu().unwrap(), mtu(1500));
    }
}

/// Sets each MTU, which the system then reports.
fn assert_takes<H: Harness>(harness: &H, device: &DeviceOf<H>, all: impl IntoIterator<Item = u32>) {
    for bytes in all {
        device.interface().set_mtu(mtu(bytes)).unwrap();
        let text = device.name().unwrap().to_string();
        assert_eq!(report(harness, &text).mtu, mtu(bytes));
    }
}

fn a_tun_takes_an_mtu_from_68_to_65535_bytes<H: Harness>(harness: &H) {
    assert_takes(harness, &tun(harness, "tun0"), [68, 69, 1279, 1280, 9000, 65521, 65522, 65535, 68]);
}

fn a_tap_takes_an_mtu_from_68_to_65521_bytes<H: Harness>(harness: &H) {
    assert_takes(harness, &tap(harness, "tap0"), [68, 69, 1279, 1280, 9000, 65520, 65521, 68]);
}

fn a_tap_refuses_an_mtu_above_65521_bytes<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    for bytes in [65522, 65535] {
        let error = refused_with(device.interface().set_mtu(mtu(bytes)), Cause::InvalidMtu, errno::EINVAL);
        assert_eq!(error.interface(), Some(name("tap0")));
        assert_eq!(report(harness, "tap0").mtu, mtu(1500));
    }
}

fn an_mtu_changes_while_up_and_survives_down<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    assert_takes(harness, &device, [9000, 68, 1400]);
    assert_eq!(state(harness, "tun0"), State::Up);
    device.down().unwrap();
    assert_eq!(report(harness, "tun0").mtu, mtu(1400));
}

fn an_mtu_survives_the_last_device_of_a_persistent_interface<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun().mtu(1400), "tun0");
    device.set_persist(true).unwrap();
    drop(device);
    assert_eq!(report(harness, "tun0").mtu, mtu(1400));
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    assert_eq!(device.interface().mtu().unwrap(), mtu(1400));
}

fn the_mtu_bounds_what_the_system_sends<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    device.interface().set_mtu(mtu(9000)).unwrap();
    assert!(harness.inject(&name("tun0"), &ipv4(9000)));
    // What waits already is not cut when the MTU becomes smaller.
    device.interface().set_mtu(mtu(1280)).unwrap();
    assert_eq!(received(&device), ipv4(9000));
}

/// Asserts that a handle says of its interface what the system reports, except of queues, which that may not
/// count.
#[track_caller]
fn assert_told<H: Harness>(harness: &H, text: &str) {
    let found = harness.backend().interface(&name(text)).unwrap();
    let told = found.info().unwrap();
    let mut reported = report(harness, text);
    reported.queues = reported.queues.or(told.queues);
    reported.detached_queues = reported.detached_queues.or(told.detached_queues);
    assert_eq!(told, reported);
}

fn what_is_said_of_an_interface_is_what_the_system_reports<H: Harness>(harness: &H) {
    for (position, layer) in [CreateOptions::tun(), CreateOptions::tap()].into_iter().enumerate() {
        for bits in 0..8_u8 {
            let options = layer.clone().packet_information(bits & 1 != 0).vnet_header(bits & 2 != 0);
            let text = format!("if{}{bits}", position + 1);
            let options = options.mtu(1400 + u32::from(bits));
            let device = create(harness, options.multi_queue(bits & 4 != 0), &text);
            assert_told(harness, &text);
            bring_up(harness, &device, address("10.1.1.1/24"));
            device.set_persist(true).unwrap();
            assert_told(harness, &text);
            drop(device);
            assert_told(harness, &text);
        }
    }
}

fn each_question_has_the_answer_of_the_whole_report<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        let interface = device.interface();
        for wanted in [State::Up, State::Down] {
            interface.set_state(wanted).unwrap();
            interface.set_mtu(mtu(1400)).unwrap();
            let reported = report(harness, text);
            assert_eq!(interface.index(), reported.index);
            assert_eq!(interface.name().unwrap(), reported.name);
            assert_eq!(interface.mtu().unwrap(), reported.mtu);
            assert_eq!(interface.state().unwrap(), reported.state);
            assert_eq!(device.name().unwrap(), reported.name);
        }
    }
}

fn a_handle_tells_the_name_that_the_interface_has_now<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    let handle = device.interface().clone();
    let index = handle.index();
    assert!(harness.rename(&name("before"), &name("after")));
    assert_eq!(handle.name().unwrap(), name("after"));
    assert_eq!(device.name().unwrap(), name("after"));
    assert_eq!((handle.index(), report(harness, "after").index), (index, index));
    handle.up(address("10.1.1.1/24")).unwrap();
    assert_eq!(state(harness, "after"), State::Up);
    assert_eq!(harness.reported_addresses(&name("after")), [address("10.1.1.1/24")]);
}

fn handles_of_one_interface_see_what_each_other_does<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let found = harness.backend().interface(&name("tun0")).unwrap();
    found.up(address("10.1.1.1/24")).unwrap();
    found.set_mtu(mtu(1400)).unwrap();
    assert_eq!(device.interface().info().unwrap(), found.info().unwrap());
    assert_eq!(device.interface().addresses().unwrap(), [address("10.1.1.1/24")]);
    device.down().unwrap();
    assert_eq!(found.state().unwrap(), State::Down);
}

fn a_handle_without_a_device_configures_as_well<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tap(), "idle");
    let found = harness.backend().interface(&name("idle")).unwrap();
    found.up(address("10.1.1.1/24")).unwrap();
    found.set_mtu(mtu(1400)).unwrap();
    let reported = report(harness, "idle");
    assert_eq!((reported.state, reported.mtu), (State::Up, mtu(1400)));
    assert_eq!(harness.reported_addresses(&name("idle")), [address("10.1.1.1/24")]);
    found.down().unwrap();
    assert_eq!(state(harness, "idle"), State::Down);
}

fn an_interface_is_configured_through_any_of_its_queues<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let first = create(harness, several.clone(), "many");
    let second = open(harness, several, "many").unwrap();
    second.up(address("10.1.1.1/24")).unwrap();
    assert_eq!(state(harness, "many"), State::Up);
    assert!(harness.poll_state(&first).writable && harness.poll_state(&second).writable);
    drop(second);
    first.down().unwrap();
    assert_eq!(state(harness, "many"), State::Down);
}
