//! IPv6 addresses: added, usable, listed and removed.

use tunctl_core::{Cause, Interface, Operation, State, TunDevice};

use crate::fixture::{BSDS, Fixture, SYSTEMS, address};
use crate::models::System;

#[test]
fn a_tun_and_a_tap_get_and_lose_an_address_with_a_peer_and_without() {
    for system in SYSTEMS {
        for text in ["fd77::1/64", "fd77::1 peer fd77::2/128"] {
            let fixture = Fixture::new(system);
            let tun = fixture.tun();
            tun.up(address(text)).unwrap_or_else(|error| panic!("{system:?} {text}: {error}"));
            assert_eq!(tun.interface().addresses().unwrap(), [address(text)], "{system:?}");
            assert!(!tun.interface().add_address(address(text)).unwrap(), "{system:?}");
            tun.interface().remove_address(address(text)).unwrap();
            assert!(tun.interface().addresses().unwrap().is_empty(), "{system:?}");
        }
        let fixture = Fixture::new(system);
        let tap = fixture.tap();
        tap.up(address("fd77::1/64")).unwrap();
        assert_eq!(tap.interface().addresses().unwrap(), [address("fd77::1/64")], "{system:?}");
    }
}

#[test]
fn an_address_of_a_tun_is_in_service_when_it_was_added() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let tun = fixture.tun();
        tun.up(address("fd77::1/64")).unwrap();
        tun.interface().add_address(address("fd77::2/64")).unwrap();
        for text in ["fd77::1", "fd77::2"] {
            assert!(!fixture.is_tentative(text.parse().unwrap()), "{system:?} {text}");
        }
    }
}

#[test]
fn an_address_that_another_host_has_is_refused_and_removed() {
    for system in [System::FreeBsd, System::NetBsd, System::OpenBsd] {
        let fixture = Fixture::new(system);
        let tun = fixture.tun();
        tun.interface().set_state(State::Up).unwrap();
        fixture.will_be_duplicate("fd77::1".parse().unwrap());
        let error = tun.interface().add_address(address("fd77::1/64")).unwrap_err();
        assert_eq!((error.operation(), error.cause()), (Operation::AddAddress, Cause::AddressExists));
        assert!(fixture.addresses(fixture.tun_name()).is_empty(), "{system:?}");
    }
}

#[test]
fn a_link_local_address_is_listed_as_it_was_added() {
    for system in SYSTEMS {
        for layer in ["tun", "tap"] {
            let fixture = Fixture::new(system);
            let device = if layer == "tun" { fixture.tun() } else { fixture.tap() };
            let interface = device.interface();
            assert!(interface.add_address(address("fe80::7/64")).unwrap(), "{system:?}");
            assert_eq!(interface.addresses().unwrap(), [address("fe80::7/64")], "{system:?} {layer}");
            assert!(
                !interface.add_address(address("fe80::7/64")).unwrap(),
                "{system:?} {layer}: it is there"
            );
            interface.remove_address(address("fe80::7/64")).unwrap();
            assert!(interface.addresses().unwrap().is_empty(), "{system:?} {layer}");
        }
    }
}

#[test]
fn a_tun_leads_to_neighbours_of_ipv6_without_asking_for_them() {
    // On a broadcast tun, NetBSD asks in vain for the neighbours of an address without a peer.
    for system in BSDS {
        let fixture = Fixture::new(system);
        let tun = fixture.tun();
        tun.up(address("fd77::1/64")).unwrap();
        let flags = fixture.report(fixture.tun_name()).unwrap().flags;
        assert_eq!(flags & 0x12, 0x10, "{system:?}");
    }
}

#[test]
fn an_up_that_is_refused_leaves_nothing_changed() {
    for system in BSDS {
        for text in ["fd77::1/64", "10.1.1.1/24", "10.1.1.1 peer 10.1.1.2/32"] {
            let fixture = Fixture::new(system);
            let tun = fixture.tun();
            let name = fixture.tun_name();
            let before = (fixture.report(name), fixture.addresses(name));
            fixture.set_caller(false);
            let error = tun.up(address(text)).unwrap_err();
            assert_eq!(error.cause(), Cause::MissingCapability, "{system:?} {text}");
            assert_eq!((fixture.report(name), fixture.addresses(name)), before, "{system:?} {text}");
            // By the kernel, at its last step.
            fixture.set_caller(true);
            fixture.fail_always("configure SIOCAIFADDR", 55);
            tun.up(address(text)).unwrap_err();
            fixture.heal();
            assert_eq!((fixture.report(name), fixture.addresses(name)), before, "{system:?} {text}: address");
        }
    }
}

#[test]
fn a_node_of_openbsd_is_enough_to_have_a_tun_that_is_up() {
    let fixture = Fixture::new(System::OpenBsd);
    fixture.set_nodes(crate::models::NodeMode::All);
    fixture.set_caller(false);
    let tun = fixture.tun();
    assert_eq!(tun.interface().state().unwrap(), State::Up);
}
