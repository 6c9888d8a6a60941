//! Descriptors that are handed over, and devices that are made of them.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use tunctl_core::{
    Adopt, AdoptError, Cause, CreateFlags, CreateOptions, Interface, Layer, Operation, TunBackend, TunDevice,
};
use tunctl_sys::bsd::errno;

use crate::fixture::{Device, Fixture, SYSTEMS, address, named_tap, named_tun};
use crate::models::System;

const V4: &[u8] = &[0x45, 0, 0, 4];

fn adopted(fixture: &Fixture, device: Device) -> Result<Device, AdoptError> {
    fixture.backend.adopt(OwnedFd::from(device))
}

/// What was refused, and the descriptor.
fn kept(outcome: Result<Device, AdoptError>, cause: Cause) -> OwnedFd {
    let failed = outcome.map(drop).unwrap_err();
    let error = failed.error();
    assert_eq!((error.operation(), error.cause()), (Operation::Adopt, cause), "{error}");
    failed.into_fd()
}

#[test]
fn a_descriptor_says_which_interface_it_is_of() {
    for system in SYSTEMS {
        for layer in [Layer::Tun, Layer::Tap] {
            if (system, layer) == (System::MacOs, Layer::Tap) {
                continue;
            }
            let fixture = Fixture::new(system);
            let device = if layer == Layer::Tun { fixture.tun() } else { fixture.tap() };
            let (name, index) = (device.name().unwrap(), device.interface().index());
            let fd = OwnedFd::from(device);
            let (device, calls) = fixture.calls_of(|| fixture.backend.adopt(fd).unwrap());
            assert_eq!((device.name().unwrap(), device.layer()), (name, layer), "{system:?}");
            assert_eq!(device.interface().index(), index, "{system:?}");
            assert_eq!(device.flags(), CreateFlags::from(layer) | CreateFlags::NO_PI, "{system:?}");
            // Nothing is changed before it is known that it can be adopted.
            let last = format!("nonblocking {name}");
            assert_eq!(calls.iter().position(|call| *call == last), Some(calls.len() - 1), "{calls:?}");
            assert!(!calls.iter().any(|call| call.contains("SIOCS") || call.contains("TUNS")), "{calls:?}");
        }
    }
}

#[test]
fn an_adopted_tun_receives_and_sends() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let tun = fixture.tun();
        tun.up(address("10.0.0.1/24")).unwrap();
        let name = fixture.tun_name();
        assert!(fixture.inject(name, V4));
        let tun = adopted(&fixture, tun).unwrap();
        assert_eq!(tun.recv(&mut [0; 10]).unwrap(), 4, "{system:?}");
        assert_eq!(tun.send(V4).unwrap(), 4, "{system:?}");
        assert_eq!(fixture.taken(name).as_deref(), Some(V4), "{system:?}");
    }
}

#[test]
fn the_kernel_removes_the_interface_with_the_last_descriptor_where_it_would_anyway() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        let fd = OwnedFd::from(fixture.tun());
        let copy = fd.try_clone().unwrap();
        drop(fd);
        assert!(fixture.report(name).is_some_and(|report| report.is_open), "{system:?}");
        drop(fixture.backend.adopt(copy).unwrap());
        let stays = matches!(system, System::NetBsd | System::DragonFly);
        assert_eq!(fixture.report(name).is_some(), stays, "{system:?}");
    }
}

#[test]
fn an_adopted_device_is_destroyed() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        adopted(&fixture, fixture.tun()).unwrap().destroy().unwrap();
        assert!(fixture.report(name).is_none(), "{system:?}");
    }
}

#[test]
fn a_foreign_descriptor_comes_back() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let (near, _far) = UnixStream::pair().unwrap();
        kept(fixture.backend.adopt(near.into()), Cause::ForeignDescriptor);
    }
}

#[test]
fn a_descriptor_of_a_deleted_interface_comes_back() {
    for system in [System::NetBsd, System::OpenBsd] {
        for layer in [CreateOptions::tun(), CreateOptions::tap()] {
            let fixture = Fixture::new(system);
            let device = fixture.backend.create(&layer).unwrap();
            let name = device.name().unwrap().to_string();
            let fd = OwnedFd::from(device);
            fixture.destroy_by_another(&name).unwrap();
            let fd = kept(fixture.backend.adopt(fd), Cause::NotAttached);
            // Another interface of its name is not taken for it, unless it has become that one's (NetBSD).
            fixture.made_by_another(&name);
            let adopted = fixture.backend.adopt(fd);
            if system == System::NetBsd {
                assert_eq!(adopted.unwrap().name().unwrap().to_string(), name);
            } else {
                kept(adopted, Cause::NotAttached);
            }
        }
    }
}

#[test]
fn a_tap_of_macos_is_not_handed_over() {
    let fixture = Fixture::new(System::MacOs);
    let tap = fixture.tap();
    let clone = tap.try_clone().unwrap();
    let fd = kept(adopted(&fixture, tap), Cause::ForeignDescriptor);
    assert!(fixture.report("feth0").is_some(), "the clone is there");
    drop(clone);
    assert!(fixture.report("feth0").is_none());
    drop(fd);
}

#[test]
fn a_tun_without_the_address_family_in_front_is_refused() {
    for system in [System::FreeBsd, System::NetBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        fixture.made_by_another("tun9");
        // Another program opens it, and does not switch it on.
        fixture.forget_af_headers();
        let fd = OwnedFd::from(fixture.backend.open(&named_tun("tun9")).unwrap());
        fixture.forget_af_headers();
        let fd = kept(fixture.backend.adopt(fd), Cause::HeaderMismatch);
        kept(fixture.backend.adopt(fd), Cause::HeaderMismatch);
    }
}

#[test]
fn a_virtio_net_header_is_asked_for() {
    let fixture = Fixture::new(System::FreeBsd);
    let tap = fixture.backend.create(&CreateOptions::tap().vnet_header(true)).unwrap();
    let tap = adopted(&fixture, tap).unwrap();
    assert!(tap.flags().contains(CreateFlags::VNET_HDR));
    fixture.set_vnet_header("tap0", 12);
    kept(adopted(&fixture, tap), Cause::HeaderMismatch);
}

#[test]
fn a_renamed_interface_is_found_by_its_present_name() {
    let fixture = Fixture::new(System::FreeBsd);
    let fd = OwnedFd::from(fixture.backend.create(&named_tap("tap7")).unwrap());
    assert!(fixture.rename_by_another("tap7", "vpn0"));
    assert_eq!(fixture.backend.adopt(fd).unwrap().name().unwrap().to_string(), "vpn0");
}

#[test]
fn a_fault_gives_the_descriptor_back_as_it_was() {
    for system in SYSTEMS {
        for call in ["duplicate", "nonblocking", "interfaces", "ioctl TUNGIF", "socket_name"] {
            let fixture = Fixture::new(system);
            let fd = OwnedFd::from(fixture.tun());
            fixture.forget_calls();
            fixture.fail(call, errno::EMFILE);
            let outcome = fixture.backend.adopt(fd);
            if !fixture.calls().iter().any(|made| made.starts_with(call)) {
                continue;
            }
            let fd = kept(outcome, Cause::TooManyOpenFiles);
            assert!(fixture.backend.adopt(fd).is_ok(), "{system:?} {call}");
        }
    }
}
