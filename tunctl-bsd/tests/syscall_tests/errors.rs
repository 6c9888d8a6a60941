//! From the errno of a system to a cause, and to what can be done about it.

use tunctl_core::{Cause, CreateOptions, Error, Interface, Mtu, Operation, State, TunBackend, TunDevice};

use crate::fixture::{BSDS, Fixture, SYSTEMS, address, named_tap, named_tun, refused};
use crate::models::{NodeMode, System};

#[track_caller]
fn says(error: &Error, operation: Operation, cause: Cause, errno: i32, remedy: &str) {
    assert_eq!((error.operation(), error.cause()), (operation, cause), "{error}");
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
    assert!(error.to_string().contains(remedy), "{error}");
    assert_eq!(error.remedy().is_some(), !remedy.is_empty(), "{error}");
}

fn create(fixture: &Fixture, options: &CreateOptions) -> Error {
    refused(fixture.backend.create(options))
}

#[test]
fn without_its_driver_freebsd_has_no_node() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.set_loaded(false);
    for options in [CreateOptions::tun(), CreateOptions::tap(), named_tun("tun3")] {
        let error = create(&fixture, &options);
        says(&error, Operation::Create, Cause::MissingNode, 2, "kldload if_tuntap");
        // In a jail the driver may be loaded, and the node hidden.
        assert!(error.to_string().contains("devfs rule"), "{error}");
    }
}

#[test]
fn freebsd_has_no_node_for_a_caller_who_may_not_create_interfaces() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.set_caller(false);
    says(
        &create(&fixture, &CreateOptions::tun()),
        Operation::Create,
        Cause::MissingNode,
        2,
        "Run it as root",
    );
}

#[test]
fn without_its_driver_netbsd_has_a_node_with_nothing_behind() {
    let fixture = Fixture::new(System::NetBsd);
    fixture.set_loaded(false);
    let error = create(&fixture, &CreateOptions::tun());
    says(&error, Operation::Create, Cause::MissingDriver, 6, "modload if_tun");
    // It is made by request, which fails first.
    let error = create(&fixture, &CreateOptions::tap());
    says(&error, Operation::Create, Cause::MissingDriver, 22, "modload if_tap");
}

#[test]
fn without_its_driver_dragonfly_makes_none() {
    let fixture = Fixture::new(System::DragonFly);
    fixture.made_by_another("tap1");
    fixture.set_loaded(false);
    for (options, remedy) in
        [(CreateOptions::tun(), "kldload if_tun"), (CreateOptions::tap(), "kldload if_tap")]
    {
        says(&create(&fixture, &options), Operation::Create, Cause::MissingDriver, 22, remedy);
    }
    let error = refused(fixture.backend.open(&named_tap("tap1")));
    says(&error, Operation::Open, Cause::MissingNode, 2, "kldload if_tap");
}

#[test]
fn a_node_of_openbsd_is_made_by_hand() {
    let fixture = Fixture::new(System::OpenBsd);
    fixture.set_node("/dev/tun7", NodeMode::Missing);
    let error = create(&fixture, &named_tun("tun7"));
    says(&error, Operation::Create, Cause::MissingNode, 2, "MAKEDEV");
    assert_eq!(error.interface().unwrap().to_string(), "tun7");
}

#[test]
fn a_node_of_netbsd_is_made_by_hand() {
    let fixture = Fixture::new(System::NetBsd);
    fixture.set_nodes(NodeMode::Missing);
    says(&create(&fixture, &CreateOptions::tun()), Operation::Create, Cause::MissingNode, 2, "MAKEDEV");
    says(&create(&fixture, &CreateOptions::tap()), Operation::Create, Cause::MissingNode, 2, "MAKEDEV");
}

#[test]
fn a_closed_node_of_freebsd_is_opened_by_devfs() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.made_by_another("tun3");
    fixture.set_caller(false);
    let error = refused(fixture.backend.open(&named_tun("tun3")));
    says(&error, Operation::Open, Cause::ClosedNode, 13, "/etc/devfs.conf");
}

#[test]
fn a_closed_node_elsewhere_is_opened_by_root() {
    for system in [System::NetBsd, System::OpenBsd] {
        let fixture = Fixture::new(system);
        fixture.set_caller(false);
        let error = create(&fixture, &CreateOptions::tun());
        says(&error, Operation::Create, Cause::ClosedNode, 13, "owner or mode");
    }
    let fixture = Fixture::new(System::DragonFly);
    fixture.made_by_another("tun1");
    fixture.set_caller(false);
    let error = refused(fixture.backend.open(&named_tun("tun1")));
    says(&error, Operation::Open, Cause::ClosedNode, 13, "as root");
}

#[test]
fn a_tap_of_dragonfly_is_opened_by_all_if_the_sysctl_says_so() {
    let fixture = Fixture::new(System::DragonFly);
    fixture.made_by_another("tap1");
    fixture.set_nodes(NodeMode::All);
    fixture.set_caller(false);
    let error = refused(fixture.backend.open(&named_tap("tap1")));
    says(&error, Operation::Open, Cause::MissingCapability, 1, "net.link.tap.user_open=1");
    fixture.set_user_open(true);
    assert_eq!(fixture.backend.open(&named_tap("tap1")).map(drop), Ok(()));
}

#[test]
fn a_refused_tap_of_freebsd_names_the_sysctl() {
    let fixture = Fixture::new(System::FreeBsd);
    fixture.fail("open", 1);
    let error = create(&fixture, &CreateOptions::tap());
    says(&error, Operation::Create, Cause::MissingCapability, 1, "net.link.tap.user_open=1");
}

#[test]
fn requests_take_root() {
    for (system, options) in [
        (System::NetBsd, CreateOptions::tap()),
        (System::DragonFly, CreateOptions::tun()),
        (System::DragonFly, CreateOptions::tap()),
    ] {
        let fixture = Fixture::new(system);
        fixture.set_nodes(NodeMode::All);
        fixture.set_caller(false);
        says(&create(&fixture, &options), Operation::Create, Cause::MissingCapability, 1, "as root");
    }
    let fixture = Fixture::new(System::NetBsd);
    fixture.set_nodes(NodeMode::All);
    fixture.set_caller(false);
    says(&create(&fixture, &CreateOptions::tun()), Operation::Create, Cause::MissingCapability, 1, "as root");
}

#[test]
fn a_utun_takes_root() {
    let fixture = Fixture::new(System::MacOs);
    fixture.set_caller(false);
    for options in [CreateOptions::tun(), named_tun("utun4")] {
        says(&create(&fixture, &options), Operation::Create, Cause::MissingCapability, 1, "sudo");
    }
}

#[test]
fn an_error_of_macos_without_the_control_mentions_no_nodes() {
    let fixture = Fixture::new(System::MacOs);
    fixture.fail("connect", 2);
    let error = create(&fixture, &CreateOptions::tun());
    says(&error, Operation::Create, Cause::MissingDriver, 2, "");
    assert!(!error.to_string().contains("node"), "{error}");
}

#[test]
fn a_unit_of_macos_that_is_taken_exists() {
    let fixture = Fixture::new(System::MacOs);
    let _device = fixture.tun();
    let error = create(&fixture, &named_tun("utun0"));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Exists, None));
    // Another was faster.
    fixture.fail_always("connect", 16);
    says(&create(&fixture, &named_tun("utun5")), Operation::Create, Cause::Exists, 16, "another name");
    fixture.heal();
    let error = refused(fixture.backend.open(&named_tun("utun0")));
    assert_eq!(error.cause(), Cause::Busy);
}

#[test]
fn a_unit_that_was_just_given_up_is_asked_for_again() {
    let fixture = Fixture::new(System::MacOs);
    fixture.fail("connect", 16);
    assert_eq!(fixture.backend.create(&named_tun("utun5")).unwrap().name().unwrap().as_bytes(), b"utun5");
    for end in ["feth3", "feth5003"] {
        fixture.fail(&format!("configure SIOCIFCREATE {end}"), 16);
        let device = fixture.backend.create(&CreateOptions::tap().name("feth3")).unwrap();
        assert_eq!(device.name().unwrap().as_bytes(), b"feth3");
    }
    // Of no name, the next is as good.
    fixture.fail("configure SIOCIFCREATE feth0", 16);
    assert_eq!(fixture.tap().name().unwrap().as_bytes(), b"feth1");
    let fixture = Fixture::new(System::FreeBsd);
    for options in [named_tun("tun5"), CreateOptions::tap().name("tap5")] {
        fixture.fail("open", 6);
        let device = fixture.backend.create(&options).unwrap();
        assert!(device.name().unwrap().as_bytes().ends_with(b"5"));
    }
}

#[test]
fn an_older_freebsd_tells_by_the_node_which_tun_it_has_made() {
    for (options, request, name) in [
        (CreateOptions::tun(), "ioctl TUNGIFNAME", "tun0"),
        (CreateOptions::tap(), "ioctl TAPGIFNAME", "tap0"),
    ] {
        let fixture = Fixture::new(System::FreeBsd);
        for missing in [request, "ioctl TUNSTRANSIENT", "ioctl TAPSTRANSIENT"] {
            fixture.fail_always(missing, 25);
        }
        let created = fixture.backend.create(&options).map(|device| device.name().unwrap().to_string());
        // It was dropped.
        assert_eq!((created, fixture.report(name)), (Ok(name.to_owned()), None));
    }
}

#[test]
fn an_open_of_openbsd_that_meets_anothers_close_is_tried_again() {
    let fixture = Fixture::new(System::OpenBsd);
    for options in [named_tun("tun5"), named_tap("tap5"), CreateOptions::tun(), CreateOptions::tap()] {
        fixture.revoke_next_opens(2);
        let created = fixture.backend.create(&options).map(|device| device.name().is_ok());
        assert_eq!(created, Ok(true), "{options:?}");
    }
    // `tun_dev_open` meets one that is being destroyed.
    fixture.fail("open", 6);
    assert_eq!(fixture.backend.create(&named_tun("tun5")).map(drop), Ok(()));
}

#[test]
fn a_unit_that_utun_has_not_is_refused_by_its_name() {
    let fixture = Fixture::new(System::MacOs);
    let error = create(&fixture, &named_tun("utun32768"));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::InvalidName, None));
    assert!(fixture.backend.create(&named_tun("utun32767")).is_ok());
}

#[test]
fn a_device_opens_for_one_only() {
    for system in BSDS {
        let fixture = Fixture::new(system);
        let _device = fixture.tun();
        let error = refused(fixture.backend.open(&named_tun(fixture.tun_name())));
        says(&error, Operation::Open, Cause::Busy, 16, "Close it there");
    }
}

#[test]
fn open_files_have_a_limit() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        for (errno, remedy) in [(24, "ulimit -n"), (23, "kern.maxfiles")] {
            fixture.fail(if system == System::MacOs { "connect" } else { "open" }, errno);
            says(
                &create(&fixture, &CreateOptions::tun()),
                Operation::Create,
                Cause::TooManyOpenFiles,
                errno,
                remedy,
            );
        }
        let device = fixture.tun();
        fixture.fail("duplicate", 24);
        let error = refused(device.try_clone());
        says(&error, Operation::Duplicate, Cause::TooManyOpenFiles, 24, "ulimit -n");
    }
}

#[test]
fn configuring_takes_root() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        let tun = device.interface();
        let missing = Cause::MissingCapability;
        for (present, other, operation) in
            [(State::Up, State::Down, Operation::Down), (State::Down, State::Up, Operation::Up)]
        {
            fixture.set_caller(true);
            tun.set_state(present).unwrap();
            fixture.set_caller(false);
            tun.set_state(present).unwrap();
            says(&refused(tun.set_state(other)), operation, missing, 1, "as root");
        }
        says(&refused(tun.set_mtu(Mtu::new(1400).unwrap())), Operation::SetMtu, missing, 1, "as root");
        says(&refused(device.up(address("10.0.0.1/24"))), Operation::Up, missing, 1, "as root");
        let error = refused(tun.add_address(address("fd00::1/64")));
        says(&error, Operation::AddAddress, missing, 1, "as root");
        assert_eq!(error.interface().unwrap().to_string(), fixture.tun_name());
    }
}

#[test]
fn a_mac_address_is_a_taps_and_roots_to_set() {
    let mac = "02:00:5e:10:00:07".parse().unwrap();
    for system in BSDS {
        let fixture = Fixture::new(system);
        let (tun, tap) = (fixture.tun(), fixture.tap());
        let (error, calls) = fixture.calls_of(|| refused(tun.interface().set_mac(mac)));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::LayerMismatch, None), "{system:?}");
        assert!(error.to_string().contains("a tun has no MAC address. Create a tap."), "{error}");
        assert_eq!(calls, ["interfaces"], "{system:?}");
        fixture.fail("configure SIOC", 22);
        says(&refused(tap.interface().set_mac(mac)), Operation::SetMac, Cause::InvalidMac, 22, "");
        fixture.set_caller(false);
        let error = refused(tap.interface().set_mac(mac));
        says(&error, Operation::SetMac, Cause::MissingCapability, 1, "as root");
    }
}

#[test]
fn refused_configurations_have_causes_of_their_own() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let device = fixture.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let tun = device.interface();
        fixture.fail("configure SIOCSIFMTU", 22);
        says(&refused(tun.set_mtu(Mtu::new(9000).unwrap())), Operation::SetMtu, Cause::InvalidMtu, 22, "");
        fixture.fail("configure SIOCAIFADDR", 22);
        let error = refused(tun.add_address(address("10.9.0.1/24")));
        says(&error, Operation::AddAddress, Cause::InvalidAddress, 22, "");
        fixture.fail("configure SIOCAIFADDR", 17);
        let error = refused(tun.add_address(address("10.9.0.1/24")));
        says(&error, Operation::AddAddress, Cause::AddressExists, 17, "Remove the old one");
        fixture.fail("configure SIOCAIFADDR_IN6", 47);
        let error = refused(tun.add_address(address("fd00::1/64")));
        says(&error, Operation::AddAddress, Cause::NoIpv6, 47, "");
        fixture.fail("configure SIOCDIFADDR", 49);
        let error = refused(tun.remove_address(address("10.0.0.1/24")));
        says(&error, Operation::RemoveAddress, Cause::AddressNotFound, 49, "Prefix length and peer");
        let error = refused(tun.remove_address(address("10.0.0.1/25")));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::AddressNotFound, None), "{system:?}");
        let error = refused(tun.add_address(address("10.0.0.1/25")));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::AddressExists, None), "{system:?}");
    }
}

#[test]
fn what_nobody_has_heard_of_keeps_its_number() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        fixture.fail(if system == System::MacOs { "connect" } else { "open" }, 12);
        let error = create(&fixture, &CreateOptions::tun());
        says(&error, Operation::Create, Cause::Other, 12, "");
        assert!(error.to_string().contains("Cannot allocate memory (os error 12)"), "{error}");
    }
}

#[test]
fn errors_of_reading_and_writing_have_causes_of_their_own() {
    for (call, errno, cause) in [
        ("read", 6, Cause::Gone),
        ("read", 5, Cause::Gone),
        ("read", 64, Cause::Down),
        ("read", 35, Cause::WouldBlock),
        ("write", 6, Cause::Gone),
        ("write", 35, Cause::WouldBlock),
        ("write", 50, Cause::Down),
        ("write", 40, Cause::MalformedPacket),
        ("write", 47, Cause::MalformedPacket),
        ("write", 55, Cause::NoBuffers),
    ] {
        for system in SYSTEMS {
            let fixture = Fixture::new(system);
            let device = fixture.tun();
            device.up(address("10.0.0.1/24")).unwrap();
            fixture.fail(call, errno);
            let error = match call {
                "read" => refused(device.try_recv(&mut [0; 100])),
                _ => refused(device.try_send(&[0x45; 20])),
            };
            assert_eq!((error.cause(), error.raw_os_error()), (cause, Some(errno)), "{system:?} {call}");
        }
    }
}

#[test]
fn names_that_a_system_does_not_give_are_refused() {
    for system in [System::NetBsd, System::OpenBsd, System::MacOs] {
        let fixture = Fixture::new(system);
        for name in ["vpn0", "vpn%d", "tun01"] {
            let (error, calls) = fixture.calls_of(|| create(&fixture, &named_tun(name)));
            assert_eq!(error.cause(), Cause::InvalidName, "{system:?} {name}");
            assert!(error.remedy().unwrap().contains("tun%d"), "{error}");
            assert!(!calls.iter().any(|call| call.contains("open") || call.contains("connect")), "{calls:?}");
        }
    }
}
