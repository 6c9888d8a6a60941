//! Several network namespaces of one system.

use tunctl_core::{Cause, CreateOptions, Interface, State, TunBackend, TunDevice};
use tunctl_mock::{Caller, MockBackend, MockDevice, MockInterface};

use crate::tun;

/// The names and indices of a namespace.
fn listed(kernel: &MockBackend) -> Vec<(String, u32)> {
    let told = |interface: &MockInterface| (interface.name().unwrap().to_string(), interface.index().get());
    kernel.interfaces().unwrap().iter().map(told).collect()
}

#[test]
fn each_namespace_has_names_and_numbers_of_its_own() {
    let first = MockBackend::new();
    let (second, third) = (first.new_namespace(), first.new_namespace());
    let _devices = [&first, &second, &second].map(|kernel| tun(kernel, "vpn%d"));
    assert_eq!(listed(&first), [("vpn0".into(), 2)]);
    assert_eq!(listed(&second), [("vpn0".into(), 2), ("vpn1".into(), 3)]);
    assert_eq!(listed(&third), []);
}

#[test]
fn a_moved_interface_keeps_its_index_if_that_is_free() {
    let here = MockBackend::new();
    let there = here.new_namespace();
    let _devices = ["two", "three", "four"].map(|name| tun(&here, name));
    let _stranger = tun(&there, "stranger");
    here.move_to_namespace("three", &there).unwrap();
    assert_eq!(listed(&there), [("stranger".into(), 2), ("three".into(), 3)]);
    // 2 is taken there, and so is the next number by now.
    here.move_to_namespace("two", &there).unwrap();
    assert_eq!(listed(&there), [("stranger".into(), 2), ("three".into(), 3), ("two".into(), 4)]);
    // What left leaves its number free, which is not given again.
    there.move_to_namespace("two", &here).unwrap();
    assert_eq!(listed(&here), [("four".into(), 4), ("two".into(), 5)]);
    there.move_to_namespace("stranger", &here).unwrap();
    assert_eq!(listed(&here), [("stranger".into(), 2), ("four".into(), 4), ("two".into(), 5)]);
}

#[test]
fn ipv6_is_switched_in_one_namespace() {
    let here = MockBackend::new();
    let there = here.new_namespace();
    let [device, stranger] = [&here, &there].map(|kernel| tun(kernel, "tun0"));
    let [ipv4, ipv6] = ["10.1.1.1/24", "fd77::1/64"].map(|text| text.parse().unwrap());
    for device in [&device, &stranger] {
        device.interface().add_address(ipv6).unwrap();
    }
    here.set_ipv6(true);
    assert_eq!(device.interface().addresses().unwrap(), [ipv4, ipv6], "it was on");
    here.set_ipv6(false);
    assert_eq!(device.interface().addresses().unwrap(), [ipv4]);
    assert_eq!(stranger.interface().addresses().unwrap(), [ipv4, ipv6]);
    let error = device.interface().add_address(ipv6).unwrap_err();
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::NoIpv6, Some(13)));
    assert_eq!(device.interface().addresses().unwrap(), [ipv4]);
    here.set_ipv6(true);
    assert_eq!(device.interface().addresses().unwrap(), [ipv4], "it brings none back");
    assert!(device.interface().add_address(ipv6).unwrap());
}

/// A device whose interface was moved away, and another interface that has come in its place, with its index
/// and another name.
fn replaced(here: &MockBackend) -> (MockDevice, MockDevice) {
    let (there, elsewhere) = (here.new_namespace(), here.new_namespace());
    let (device, stranger) = (tun(here, "mine"), tun(&there, "stranger"));
    here.move_to_namespace(&device, &elsewhere).unwrap();
    there.move_to_namespace(&stranger, here).unwrap();
    assert_eq!(listed(here), [("stranger".into(), device.interface().index().get())]);
    (device, stranger)
}

#[test]
fn a_stranger_in_the_place_of_a_moved_interface_is_not_configured() {
    let here = MockBackend::new();
    let (device, _stranger) = replaced(&here);
    assert_eq!(device.up("10.2.2.2/24".parse().unwrap()).unwrap_err().cause(), Cause::Gone);
    let stranger = here.interface(&"stranger".parse().unwrap()).unwrap();
    assert_eq!((stranger.state().unwrap(), stranger.addresses().unwrap()), (State::Down, vec![]));
    stranger.set_state(State::Up).unwrap();
    assert_eq!(device.down().unwrap_err().cause(), Cause::Gone);
    assert_eq!(stranger.state().unwrap(), State::Up);
}

#[test]
fn a_stranger_in_the_place_of_a_moved_interface_is_not_destroyed() {
    let here = MockBackend::new();
    let (device, stranger) = replaced(&here);
    device.destroy().unwrap();
    assert_eq!(stranger.name().unwrap().to_string(), "stranger");
}

#[test]
fn a_namesake_in_use_keeps_an_interface_of_several_queues_that_was_moved() {
    let here = MockBackend::new();
    let there = here.new_namespace();
    let many = CreateOptions::tun().multi_queue(true).name("many");
    let device = here.create(&many).unwrap();
    here.move_to_namespace(&device, &there).unwrap();
    let namesake = here.create(&many).unwrap();
    let refused = device.destroy().unwrap_err();
    assert_eq!(refused.error().cause(), Cause::Busy);
    namesake.set_persist(true).unwrap();
    drop(namesake);
    refused.into_device().unwrap().destroy().unwrap();
    here.delete("many");
    // An interface that was not moved is recognised.
    let (device, _namesake) = (here.create(&many).unwrap(), there.create(&many).unwrap());
    here.set_caller(Caller::user(1000, 1000));
    device.destroy().unwrap();
    assert_eq!(listed(&here), []);
}
