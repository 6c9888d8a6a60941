//! How interfaces end: by the kernel, or by a request after the last descriptor.

use tunctl_bsd::Syscalls;
use tunctl_core::{Cause, CreateOptions, Interface, Operation, TunBackend, TunDevice};

use crate::fixture::{Fixture, SYSTEMS, address, named_tap, named_tun, others};
use crate::models::{NodeMode, System};
use crate::order::trace;

/// What is called when the last device of a new tun, or tap, is dropped.
fn end(system: System, tap: bool) -> &'static str {
    match (system, tap) {
        (System::NetBsd | System::DragonFly, _) => "close @; list; configure SIOCIFDESTROY @",
        // The kernel does the rest.
        _ => "close @",
    }
}

#[test]
fn a_dropped_tun_is_closed_and_only_then_destroyed() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let before = others(&fixture);
        let device = fixture.tun();
        let ((), calls) = fixture.calls_of(|| drop(device));
        assert_eq!(calls, trace(fixture.tun_name(), end(system, false)), "{system:?}");
        assert_eq!(others(&fixture), before, "{system:?}");
    }
}

#[test]
fn a_dropped_tap_goes_as_well() {
    for system in crate::fixture::BSDS {
        let fixture = Fixture::new(system);
        let before = others(&fixture);
        let device = fixture.tap();
        let ((), calls) = fixture.calls_of(|| drop(device));
        assert_eq!(calls, trace(fixture.tap_name(), end(system, true)), "{system:?}");
        assert_eq!(others(&fixture), before, "{system:?}");
    }
}

#[test]
fn a_clone_is_a_second_descriptor_and_keeps_the_interface() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let (second, calls) = fixture.calls_of(|| device.try_clone().unwrap());
        assert_eq!(calls, trace(fixture.tun_name(), "duplicate @"), "{system:?}");
        let ((), calls) = fixture.calls_of(|| drop(device));
        assert!(calls.is_empty(), "{system:?} {calls:?}");
        assert!(fixture.report(fixture.tun_name()).unwrap().is_open);
        let ((), calls) = fixture.calls_of(|| drop(second));
        assert_eq!(calls, trace(fixture.tun_name(), end(system, false)), "{system:?}");
        assert!(fixture.report(fixture.tun_name()).is_none(), "{system:?}");
    }
}

#[test]
fn destroy_closes_first() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let before = others(&fixture);
        let device = fixture.tun();
        let ((), calls) = fixture.calls_of(|| device.destroy().unwrap());
        let expected = match system {
            System::NetBsd | System::DragonFly => "close @; list; configure SIOCIFDESTROY @",
            // It is looked for, and is gone.
            System::FreeBsd => "ioctl TUNSTRANSIENT 1; close @; list",
            _ => "close @; list",
        };
        assert_eq!(calls, trace(fixture.tun_name(), expected), "{system:?}");
        assert_eq!(others(&fixture), before, "{system:?}");
    }
}

#[test]
fn destroy_is_busy_while_there_is_a_clone_and_calls_nothing() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let second = device.try_clone().unwrap();
        let (failed, calls) = fixture.calls_of(|| device.destroy().unwrap_err());
        assert!(calls.is_empty(), "{system:?} {calls:?}");
        assert_eq!(failed.error().cause(), Cause::Busy);
        let device = failed.into_device().unwrap();
        drop(second);
        device.destroy().unwrap();
        assert!(fixture.report(fixture.tun_name()).is_none(), "{system:?}");
    }
}

#[test]
fn freebsd_keeps_and_ends_by_one_request() {
    let fixture = Fixture::new(System::FreeBsd);
    for (device, name, request) in
        [(fixture.tun(), "tun0", "ioctl TUNSTRANSIENT"), (fixture.tap(), "tap0", "ioctl TAPSTRANSIENT")]
    {
        for (persistent, value) in [(true, 0), (false, 1), (true, 0)] {
            let ((), calls) = fixture.calls_of(|| device.set_persist(persistent).unwrap());
            assert_eq!(calls, [format!("{request} {value}")]);
            assert_eq!(fixture.report(name).unwrap().transient, !persistent);
        }
        let ((), calls) = fixture.calls_of(|| drop(device));
        assert_eq!(calls, trace(name, "close @"));
        assert!(fixture.report(name).is_some());
    }
}

#[test]
fn netbsd_and_dragonfly_keep_by_not_destroying() {
    for system in [System::NetBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        for device in [fixture.tun(), fixture.tap()] {
            let name = device.name().unwrap().to_string();
            device.interface().add_address(address("10.0.0.1/24")).unwrap();
            let (kept, calls) = fixture.calls_of(|| device.set_persist(true));
            assert_eq!((kept, calls), (Ok(()), vec!["interfaces".to_owned()]), "{system:?}");
            let ((), calls) = fixture.calls_of(|| drop(device));
            assert_eq!(calls, trace(&name, "close @"), "{system:?}");
            assert!(fixture.report(&name).is_some() && fixture.addresses(&name).len() == 1, "{system:?}");
        }
        let tun = fixture.backend.open(&named_tun("tun0")).unwrap();
        tun.set_persist(false).unwrap();
        let ((), calls) = fixture.calls_of(|| drop(tun));
        assert_eq!(calls, trace("tun0", "close @; list; configure SIOCIFDESTROY @"), "{system:?}");
    }
}

#[test]
fn an_interface_that_went_is_not_kept() {
    let fixture = Fixture::new(System::NetBsd);
    let device = fixture.tun();
    fixture.destroy_by_another("tun0").unwrap();
    let errors = [true, false].map(|persistent| device.set_persist(persistent).unwrap_err());
    assert!(errors.iter().all(|error| error.is_gone() && error.operation() == Operation::SetPersist));
}

#[test]
fn persistence_belongs_to_all_clones() {
    for system in [System::FreeBsd, System::NetBsd] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let second = device.try_clone().unwrap();
        second.set_persist(true).unwrap();
        drop(second);
        drop(device);
        assert!(fixture.report("tun0").is_some(), "{system:?}");
    }
}

#[test]
fn a_persistent_interface_is_destroyed_by_request() {
    let fixture = Fixture::new(System::NetBsd);
    let device = fixture.tun();
    device.set_persist(true).unwrap();
    let ((), calls) = fixture.calls_of(|| device.destroy().unwrap());
    assert_eq!(calls, trace("tun0", "close @; list; configure SIOCIFDESTROY @"));
}

#[test]
fn a_kernel_without_the_request_for_ends_is_asked_to_destroy() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.fail_always("ioctl TUNSTRANSIENT", 25);
    let device = fixture.tun();
    let ((), calls) = fixture.calls_of(|| drop(device));
    assert_eq!(calls, trace("tun0", "close @; list; configure SIOCIFDESTROY @"));
    let device = fixture.tun();
    device.set_persist(true).unwrap();
    drop(device);
    assert!(fixture.report("tun0").is_some());
}

#[test]
fn a_renamed_interface_of_dragonfly_gets_its_first_name_back_and_is_destroyed_by_it() {
    let fixture = Fixture::new(System::DragonFly);
    let before = others(&fixture);
    for destroyed in [false, true] {
        let device = fixture.backend.create(&named_tun("vpn0")).unwrap();
        device.interface().rename(&"vpn1".parse().unwrap()).unwrap();
        let ((), calls) =
            fixture.calls_of(|| if destroyed { device.destroy().unwrap() } else { drop(device) });
        let expected = "close @; list; rename @ tun0; configure SIOCIFDESTROY tun0";
        assert_eq!(calls, trace("vpn1", expected));
        assert_eq!(others(&fixture), before);
    }
}

#[test]
fn a_unit_that_is_called_otherwise_is_left_alone() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.made_by_another("tun0");
    fixture.backend_interface("tun0").add_address(address("10.0.0.1/24")).unwrap();
    assert!(fixture.rename_by_another("tun0", "vpn0"));
    let (device, calls) = fixture.calls_of(|| fixture.backend.create(&named_tun("tun0")).unwrap());
    assert_eq!(device.name().unwrap().to_string(), "tun0");
    assert_eq!(fixture.addresses("vpn0").len(), 1, "{calls:?}");
    assert!(!calls.contains(&"open /dev/tun0".into()), "{calls:?}");
    drop(device);
    assert!(fixture.report("vpn0").is_some() && fixture.report("tun0").is_none());
}

#[test]
fn an_interface_that_went_is_not_destroyed_under_its_name() {
    // It has another index; with the same, nothing would tell it from the first.
    let fixture = Fixture::new(System::NetBsd);
    let device = fixture.tun();
    fixture.destroy_by_another("tun0").unwrap();
    fixture.make_stranger("lo1");
    fixture.made_by_another("tun0");
    let (_, calls) = fixture.calls_of(|| drop(device));
    assert!(!calls.iter().any(|call| call.contains("DESTROY")), "{calls:?}");
    assert!(fixture.report("tun0").is_some());
}

#[test]
fn delete_asks_whether_a_program_has_it_and_then_destroys() {
    for (system, name) in [
        (System::FreeBsd, "tun0"),
        (System::NetBsd, "tap0"),
        (System::OpenBsd, "tun0"),
        (System::DragonFly, "tun4"),
    ] {
        let fixture = Fixture::new(system);
        fixture.made_by_another(name);
        let interface = fixture.backend.interface(&name.parse().unwrap()).unwrap();
        let flags = fixture.report(name).unwrap().flags;
        let ((), calls) = fixture.calls_of(|| interface.delete().unwrap());
        // To set the flags as they are takes the right to delete, and changes nothing.
        let expected = format!(
            "list; configure SIOCGIFFLAGS @; configure SIOCSIFFLAGS @ {flags:#x}; open /dev/@; list; \
             close @; configure SIOCIFDESTROY @"
        );
        assert_eq!(calls, trace(name, &expected), "{system:?}");
        assert!(fixture.report(name).is_none(), "{system:?}");
        assert!(interface.delete().unwrap_err().is_gone());
    }
}

#[test]
fn delete_is_busy_while_a_program_has_it() {
    for system in crate::fixture::BSDS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let (error, calls) = fixture.calls_of(|| device.interface().delete().unwrap_err());
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::Busy, Some(16)), "{system:?}");
        assert_eq!(calls.last(), trace(fixture.tun_name(), "open /dev/@").last(), "{system:?}");
    }
}

#[test]
fn a_tap_of_dragonfly_that_goes_when_it_is_closed_is_deleted_by_that() {
    let fixture = Fixture::new(System::DragonFly);
    fixture.made_by_another("tap6");
    let tap = fixture.backend.interface(&"tap6".parse().unwrap()).unwrap();
    assert_eq!(tap.delete(), Ok(()));
    assert!(fixture.report("tap6").is_none());
}

#[test]
fn what_opening_a_node_of_dragonfly_has_made_cannot_be_destroyed_and_is_not_gone() {
    let fixture = Fixture::new(System::DragonFly);
    fixture.set_nodes(NodeMode::All);
    for node in ["/dev/tun1", "/dev/tap1"] {
        drop(fixture.model.open(node).unwrap());
    }
    let tun = fixture.backend.open(&named_tun("tun1")).unwrap();
    let failed = tun.destroy().unwrap_err();
    assert_eq!((failed.error().cause(), failed.error().raw_os_error()), (Cause::Unsupported, Some(6)));
    let tap = fixture.backend.open(&named_tap("tap1")).unwrap();
    let interface = tap.interface().clone();
    drop(tap);
    let error = interface.delete().unwrap_err();
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Unsupported, Some(6)));
    assert!(fixture.report("tun1").is_some() && fixture.report("tap1").is_some());
}

#[test]
fn what_was_made_by_hand_stays_when_a_device_of_it_is_dropped() {
    for (system, name) in [
        (System::FreeBsd, "tun2"),
        (System::NetBsd, "tun2"),
        (System::OpenBsd, "tun2"),
        (System::DragonFly, "tun6"),
    ] {
        let fixture = Fixture::new(system);
        fixture.made_by_another(name);
        drop(fixture.backend.open_or_create(&named_tun(name)).unwrap());
        assert!(fixture.report(name).is_some_and(|report| !report.is_open), "{system:?}");
        let refused = fixture.backend.create(&named_tun(name)).unwrap_err();
        assert_eq!(refused.cause(), Cause::Exists, "{system:?}");
        assert_eq!(fixture.backend.create(&CreateOptions::tun()).map(drop), Ok(()));
    }
}

#[test]
fn a_caller_who_may_open_but_not_delete_changes_nothing() {
    for system in crate::fixture::BSDS {
        let fixture = Fixture::new(system);
        let name = fixture.tun_name();
        fixture.made_by_another(name);
        let interface = fixture.backend.interface(&name.parse().unwrap()).unwrap();
        interface.add_address("10.1.1.1/24".parse().unwrap()).unwrap();
        fixture.model.set_nodes(NodeMode::All);
        fixture.model.set_caller(false);
        let before = (fixture.report(name), fixture.model.addresses(name));
        let (error, calls) = fixture.calls_of(|| interface.delete().unwrap_err());
        assert_eq!(error.cause(), Cause::MissingCapability, "{system:?}");
        assert!(!calls.iter().any(|call| call.starts_with("open")), "{calls:?}");
        assert_eq!((fixture.report(name), fixture.model.addresses(name)), before, "{system:?}");
    }
}
