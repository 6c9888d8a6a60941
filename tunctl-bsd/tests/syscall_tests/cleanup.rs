//! Whatever call fails: a typed error, and nothing is left behind.

use tunctl_core::{CreateOptions, Error, Interface, TunBackend, TunDevice};

use crate::fixture::{Device, Fixture, SYSTEMS, address, named_tap, named_tun, others};
use crate::models::{Report, System};

/// An errno that means nothing in particular, so that nothing makes it a case of its own.
const ENOMEM: i32 = 12;

/// Every way to create, where there is one.
fn ways(system: System) -> Vec<CreateOptions> {
    let mut ways = vec![CreateOptions::tun()];
    match system {
        System::MacOs => ways.extend([named_tun("utun6"), CreateOptions::tap(), named_tap("feth6")]),
        _ => ways.extend([named_tun("tun6"), CreateOptions::tap(), named_tap("tap6")]),
    }
    if system == System::FreeBsd {
        ways.push(CreateOptions::tap().vnet_header(true));
    }
    if matches!(system, System::FreeBsd | System::DragonFly) {
        ways.extend([named_tun("vpn%d"), named_tun("vpn"), named_tap("lan%d")]);
    }
    ways
}

/// Runs `work` once for each of its system calls, and lets that one fail.
///
/// `look` gets the outcome, which is `Ok` where a failure is tolerated.
fn with_each_failing<T>(
    system: System,
    errno: i32,
    prepare: impl Fn(&Fixture) -> Option<Device>,
    work: impl Fn(&Fixture, Option<&Device>) -> Result<T, Error>,
    mut look: impl FnMut(&Fixture, &str, Result<T, Error>, &[Report]),
) {
    let calls = {
        let fixture = Fixture::new(system);
        let device = prepare(&fixture);
        let (done, calls) = fixture.calls_of(|| work(&fixture, device.as_ref()));
        assert!(done.is_ok(), "{system:?} {:?}", done.err());
        calls
    };
    for nth in 1..=calls.len() {
        let fixture = Fixture::new(system);
        let device = prepare(&fixture);
        let before = others(&fixture);
        fixture.fail_nth("", nth, errno);
        let outcome = work(&fixture, device.as_ref());
        fixture.heal();
        look(&fixture, &format!("{system:?} {nth}: {}", calls[nth - 1]), outcome, &before);
    }
}

fn typed(error: &Error, what: &str, errno: i32) {
    assert_eq!(error.raw_os_error(), Some(errno), "{what}: {error}");
    assert!(error.to_string().contains(&format!("os error {errno})")), "{what}: {error}");
}

#[test]
fn a_create_that_fails_anywhere_leaves_nothing() {
    for system in SYSTEMS {
        for options in ways(system) {
            let create = |fixture: &Fixture, _: Option<&Device>| fixture.backend.create(&options);
            with_each_failing(
                system,
                ENOMEM,
                |_| None,
                create,
                |fixture, what, outcome, before| {
                    match outcome {
                        Err(error) => typed(&error, what, ENOMEM),
                        // The name that it has got is only for messages.
                        Ok(device) => {
                            assert!(what.ends_with("interfaces"), "{what}");
                            drop(device);
                        }
                    }
                    assert_eq!(others(fixture), before, "{what} {options:?}");
                },
            );
        }
    }
}

#[test]
fn a_create_that_may_not_go_on_leaves_nothing() {
    // EPERM, EBUSY, ENXIO and EEXIST, each of which means something somewhere.
    for errno in [1, 16, 6, 17] {
        for system in SYSTEMS {
            for options in ways(system) {
                let create = |fixture: &Fixture, _: Option<&Device>| fixture.backend.create(&options);
                with_each_failing(
                    system,
                    errno,
                    |_| None,
                    create,
                    |fixture, what, outcome, before| {
                        drop(outcome);
                        assert_eq!(others(fixture), before, "{what} {errno} {options:?}");
                    },
                );
            }
        }
    }
}

#[test]
fn an_open_that_fails_anywhere_leaves_the_interface_closed() {
    for (system, name) in [
        (System::FreeBsd, "tun3"),
        (System::NetBsd, "tun3"),
        (System::OpenBsd, "tun3"),
        (System::DragonFly, "tun3"),
    ] {
        let prepare = |fixture: &Fixture| {
            fixture.made_by_another(name);
            None
        };
        let open = |fixture: &Fixture, _: Option<&Device>| fixture.backend.open(&named_tun(name));
        with_each_failing(system, ENOMEM, prepare, open, |fixture, what, outcome, before| {
            typed(&outcome.expect_err(what), what, ENOMEM);
            let after = others(fixture);
            assert_eq!(after.len(), before.len(), "{what}");
            assert!(after.iter().all(|report| !report.is_open), "{what}");
        });
    }
}

/// Brings a tun up, or a tap, and has each call fail once.
fn up(system: System, options: &CreateOptions, text: &str) {
    let prepare = |fixture: &Fixture| Some(fixture.backend.create(options).expect("a device"));
    let up = |_: &Fixture, device: Option<&Device>| device.expect("a device").up(address(text));
    with_each_failing(system, ENOMEM, prepare, up, |fixture, what, outcome, before| {
        let name = before.last().expect("it").name.clone();
        let report = fixture.report(&name).expect("it stays");
        match outcome {
            Err(error) => {
                typed(&error, what, ENOMEM);
                assert!(fixture.addresses(&name).is_empty(), "{what}");
                assert!(!report.is_up, "{what}");
            }
            // A tun that keeps its mode can take the address all the same.
            Ok(()) => {
                assert!(what.contains("TUNSIFMODE"), "{what}");
                assert!(report.is_up && fixture.addresses(&name).len() == 1, "{what}");
            }
        }
    });
}

#[test]
fn an_up_that_fails_anywhere_leaves_no_address() {
    for system in SYSTEMS {
        for text in ["10.0.0.1/24", "fd00::1/64", "10.0.0.1 peer 10.0.0.2/32", "fd00::1 peer fd00::2/128"] {
            up(system, &CreateOptions::tun(), text);
        }
    }
}

#[test]
fn an_up_of_a_tap_that_fails_anywhere_leaves_no_address() {
    for system in crate::fixture::BSDS {
        for text in ["10.0.0.1/24", "fd00::1/64"] {
            up(system, &CreateOptions::tap(), text);
        }
    }
}

#[test]
fn an_address_that_cannot_be_added_to_what_is_down_is_not_there() {
    for system in SYSTEMS {
        for text in ["10.0.0.1/24", "fd00::1/64"] {
            let prepare = |fixture: &Fixture| Some(fixture.tun());
            let add = |_: &Fixture, device: Option<&Device>| {
                device.expect("a tun").interface().add_address(address(text))
            };
            with_each_failing(system, ENOMEM, prepare, add, |fixture, what, outcome, before| {
                typed(&outcome.expect_err(what), what, ENOMEM);
                let name = &before.last().expect("it").name;
                assert!(fixture.addresses(name).is_empty(), "{what}");
                assert!(!fixture.report(name).expect("it").is_up, "{what}");
            });
        }
    }
}

#[test]
fn a_device_that_cannot_be_cloned_is_as_it_was() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        fixture.fail("duplicate", ENOMEM);
        typed(&device.try_clone().expect_err("it was to fail"), "clone", ENOMEM);
        device.up(address("10.0.0.1/24")).unwrap();
        drop(device);
        assert!(fixture.report(fixture.tun_name()).is_none(), "{system:?}");
    }
}

#[test]
fn a_destroy_that_fails_says_so_and_leaves_nothing_open() {
    for system in [System::FreeBsd, System::NetBsd] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.set_persist(true).unwrap();
        let call = if system == System::FreeBsd { "ioctl TUNSTRANSIENT" } else { "configure SIOCIFDESTROY" };
        fixture.fail(call, ENOMEM);
        let failed = device.destroy().unwrap_err();
        typed(failed.error(), "destroy", ENOMEM);
        assert!(failed.into_device().is_none());
        assert!(!fixture.report("tun0").unwrap().is_open, "{system:?}");
        // What is there is found again.
        fixture.backend.open(&named_tun("tun0")).unwrap().destroy().unwrap();
        assert!(others(&fixture).is_empty(), "{system:?}");
    }
}

#[test]
fn a_destroy_that_fails_once_of_what_is_not_persistent_leaves_nothing() {
    for system in SYSTEMS {
        let probe = Fixture::new(system);
        let device = probe.tun();
        let (_, calls) = probe.calls_of(|| device.destroy().unwrap());
        for call in calls.iter().filter(|call| !call.starts_with("close")) {
            let fixture = Fixture::new(system);
            let before = others(&fixture);
            let device = fixture.tun();
            fixture.fail(call, ENOMEM);
            typed(device.destroy().unwrap_err().error(), call, ENOMEM);
            assert_eq!(others(&fixture), before, "{system:?} {call}");
        }
    }
}

#[test]
fn a_rename_that_fails_leaves_the_old_name() {
    for system in [System::FreeBsd, System::DragonFly] {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        fixture.fail("rename", ENOMEM);
        let error = device.interface().rename(&"vpn0".parse().unwrap()).unwrap_err();
        typed(&error, "rename", ENOMEM);
        assert_eq!(device.name().unwrap().to_string(), fixture.tun_name());
    }
}
