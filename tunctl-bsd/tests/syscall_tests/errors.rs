//! From the errno of a system to a cause, and to what can be done about it.

use tunctl_core::{Cause, CreateOptions, Error, Interface, Mtu, Operation, State, TunBackend, TunDevice};

use crate::fixture::{BSDS, Rig, SYSTEMS, address, named_tap, named_tun, refused};
use crate::models::{NodeMode, System};

#[track_caller]
fn says(error: &Error, operation: Operation, cause: Cause, errno: i32, remedy: &str) {
    assert_eq!((error.operation(), error.cause()), (operation, cause), "{error}");
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
    assert!(error.to_string().contains(remedy), "{error}");
    assert_eq!(error.remedy().is_some(), !remedy.is_empty(), "{error}");
}

fn create(rig: &Rig, options: &CreateOptions) -> Error {
    refused(rig.backend.create(options))
}

#[test]
fn without_its_driver_freebsd_has_no_node() {
    let rig = Rig::new(System::FreeBsd);
    rig.set_loaded(false);
    for options in [CreateOptions::tun(), CreateOptions::tap(), named_tun("tun3")] {
        let error = create(&rig, &options);
        says(&error, Operation::Create, Cause::MissingNode, 2, "kldload if_tuntap");
        // In a jail the driver may be loaded, and the node hidden.
        assert!(error.to_string().contains("devfs rule"), "{error}");
    }
}

#[test]
fn freebsd_has_no_node_for_a_caller_who_may_not_create_interfaces() {
    let rig = Rig::new(System::FreeBsd);
    rig.set_caller(false);
    says(&create(&rig, &CreateOptions::tun()), Operation::Create, Cause::MissingNode, 2, "Run it as root");
}

#[test]
fn without_its_driver_netbsd_has_a_node_with_nothing_behind() {
    let rig = Rig::new(System::NetBsd);
    rig.set_loaded(false);
    let error = create(&rig, &CreateOptions::tun());
    says(&error, Operation::Create, Cause::MissingDriver, 6, "modload if_tun");
    // It is made by request, which fails first.
    let error = create(&rig, &CreateOptions::tap());
    says(&error, Operation::Create, Cause::MissingDriver, 22, "modload if_tap");
}

#[test]
fn without_its_driver_dragonfly_makes_none() {
    let rig = Rig::new(System::DragonFly);
    rig.set_loaded(false);
    for (options, remedy) in
        [(CreateOptions::tun(), "kldload if_tun"), (CreateOptions::tap(), "kldload if_tap")]
    {
        says(&create(&rig, &options), Operation::Create, Cause::MissingDriver, 22, remedy);
    }
    let error = refused(rig.backend.open(&named_tap("tap1")));
    says(&error, Operation::Open, Cause::MissingNode, 2, "kldload if_tap");
}

#[test]
fn a_node_of_openbsd_is_made_by_hand() {
    let rig = Rig::new(System::OpenBsd);
    rig.set_node("/dev/tun7", NodeMode::Missing);
    let error = create(&rig, &named_tun("tun7"));
    says(&error, Operation::Create, Cause::MissingNode, 2, "MAKEDEV");
    assert_eq!(error.interface().unwrap().to_string(), "tun7");
}

#[test]
fn a_node_of_netbsd_is_made_by_hand() {
    let rig = Rig::new(System::NetBsd);
    rig.set_nodes(NodeMode::Missing);
    says(&create(&rig, &CreateOptions::tun()), Operation::Create, Cause::MissingNode, 2, "MAKEDEV");
    says(&create(&rig, &CreateOptions::tap()), Operation::Create, Cause::MissingNode, 2, "MAKEDEV");
}

#[test]
fn a_closed_node_of_freebsd_is_opened_by_devfs() {
    let rig = Rig::new(System::FreeBsd);
    rig.made_by_another("tun3");
    rig.set_caller(false);
    let error = refused(rig.backend.open(&named_tun("tun3")));
    says(&error, Operation::Open, Cause::ClosedNode, 13, "/etc/devfs.conf");
}

#[test]
fn a_closed_node_elsewhere_is_opened_by_root() {
    for system in [System::NetBsd, System::OpenBsd] {
        let rig = Rig::new(system);
        rig.set_caller(false);
        let error = create(&rig, &CreateOptions::tun());
        says(&error, Operation::Create, Cause::ClosedNode, 13, "owner or mode");
    }
    let rig = Rig::new(System::DragonFly);
    rig.set_caller(false);
    let error = refused(rig.backend.open(&named_tun("tun1")));
    says(&error, Operation::Open, Cause::ClosedNode, 13, "as root");
}

#[test]
fn a_tap_of_dragonfly_is_opened_by_all_if_the_sysctl_says_so() {
    let rig = Rig::new(System::DragonFly);
    rig.set_nodes(NodeMode::All);
    rig.set_caller(false);
    let error = refused(rig.backend.open(&named_tap("tap1")));
    says(&error, Operation::Open, Cause::MissingCapability, 1, "net.link.tap.user_open=1");
    rig.set_user_open(true);
    assert_eq!(rig.backend.open(&named_tap("tap1")).map(drop), Ok(()));
}

#[test]
fn a_refused_tap_of_freebsd_names_the_sysctl() {
    let rig = Rig::new(System::FreeBsd);
    rig.fail("open", 1);
    let error = create(&rig, &CreateOptions::tap());
    says(&error, Operation::Create, Cause::MissingCapability, 1, "net.link.tap.user_open=1");
}

#[test]
fn requests_take_root() {
    for (system, options) in [
        (System::NetBsd, CreateOptions::tap()),
        (System::DragonFly, CreateOptions::tun()),
        (System::DragonFly, CreateOptions::tap()),
    ] {
        let rig = Rig::new(system);
        rig.set_nodes(NodeMode::All);
        rig.set_caller(false);
        says(&create(&rig, &options), Operation::Create, Cause::MissingCapability, 1, "as root");
    }
    let rig = Rig::new(System::NetBsd);
    rig.set_nodes(NodeMode::All);
    rig.set_caller(false);
    says(&create(&rig, &CreateOptions::tun()), Operation::Create, Cause::MissingCapability, 1, "as root");
}

#[test]
fn a_utun_takes_root() {
    let rig = Rig::new(System::MacOs);
    rig.set_caller(false);
    for options in [CreateOptions::tun(), named_tun("utun4")] {
        says(&create(&rig, &options), Operation::Create, Cause::MissingCapability, 1, "sudo");
    }
}

#[test]
fn an_error_of_macos_without_the_control_mentions_no_nodes() {
    let rig = Rig::new(System::MacOs);
    rig.fail("connect", 2);
    let error = create(&rig, &CreateOptions::tun());
    says(&error, Operation::Create, Cause::MissingDriver, 2, "");
    assert!(!error.to_string().contains("node"), "{error}");
}

#[test]
fn a_unit_of_macos_that_is_taken_exists() {
    let rig = Rig::new(System::MacOs);
    let _device = rig.tun();
    let error = create(&rig, &named_tun("utun0"));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Exists, None));
    // Another was faster.
    rig.fail("connect", 16);
    says(&create(&rig, &named_tun("utun5")), Operation::Create, Cause::Exists, 16, "another name");
    let error = refused(rig.backend.open(&named_tun("utun0")));
    assert_eq!(error.cause(), Cause::Busy);
}

#[test]
fn a_device_opens_for_one_only() {
    for system in BSDS {
        let rig = Rig::new(system);
        let _device = rig.tun();
        let error = refused(rig.backend.open(&named_tun(rig.tun_name())));
        says(&error, Operation::Open, Cause::Busy, 16, "Close it there");
    }
}

#[test]
fn open_files_have_a_limit() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        for (errno, remedy) in [(24, "ulimit -n"), (23, "kern.maxfiles")] {
            rig.fail(if system == System::MacOs { "connect" } else { "open" }, errno);
            says(
                &create(&rig, &CreateOptions::tun()),
                Operation::Create,
                Cause::TooManyOpenFiles,
                errno,
                remedy,
            );
        }
        let device = rig.tun();
        rig.fail("duplicate", 24);
        let error = refused(device.try_clone());
        says(&error, Operation::Duplicate, Cause::TooManyOpenFiles, 24, "ulimit -n");
    }
}

#[test]
fn configuring_takes_root() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        rig.set_caller(false);
        let tun = device.interface();
        let missing = Cause::MissingCapability;
        says(&refused(tun.set_state(State::Up)), Operation::Up, missing, 1, "as root");
        says(&refused(tun.set_state(State::Down)), Operation::Down, missing, 1, "as root");
        says(&refused(tun.set_mtu(Mtu::new(1400).unwrap())), Operation::SetMtu, missing, 1, "as root");
        says(&refused(device.up(address("10.0.0.1/24"))), Operation::Up, missing, 1, "as root");
        let error = refused(tun.add_address(address("fd00::1/64")));
        says(&error, Operation::AddAddress, missing, 1, "as root");
        assert_eq!(error.interface().unwrap().to_string(), rig.tun_name());
    }
}

#[test]
fn a_mac_address_is_a_taps_and_roots_to_set() {
    let mac = "02:00:5e:10:00:07".parse().unwrap();
    for system in BSDS {
        let rig = Rig::new(system);
        let (tun, tap) = (rig.tun(), rig.tap());
        let (error, calls) = rig.calls_of(|| refused(tun.interface().set_mac(mac)));
        assert_eq!((error.cause(), error.raw_os_error()), (Cause::LayerMismatch, None), "{system:?}");
        assert!(error.to_string().contains("a tun has no MAC address. Create a tap."), "{error}");
        assert_eq!(calls, ["interfaces"], "{system:?}");
        rig.fail("configure SIOC", 22);
        says(&refused(tap.interface().set_mac(mac)), Operation::SetMac, Cause::InvalidMac, 22, "");
        rig.set_caller(false);
        let error = refused(tap.interface().set_mac(mac));
        says(&error, Operation::SetMac, Cause::MissingCapability, 1, "as root");
    }
}

#[test]
fn refused_configurations_have_causes_of_their_own() {
    for system in SYSTEMS {
        let rig = Rig::new(system);
        let device = rig.tun();
        device.up(address("10.0.0.1/24")).unwrap();
        let tun = device.interface();
        rig.fail("configure SIOCSIFMTU", 22);
        says(&refused(tun.set_mtu(Mtu::new(9000).unwrap())), Operation::SetMtu, Cause::InvalidMtu, 22, "");
        rig.fail("configure SIOCAIFADDR", 22);
        let error = refused(tun.add_address(address("10.9.0.1/24")));
        says(&error, Operation::AddAddress, Cause::InvalidAddress, 22, "");
        rig.fail("configure SIOCAIFADDR", 17);
        let error = refused(tun.add_address(address("10.9.0.1/24")));
        says(&error, Operation::AddAddress, Cause::AddressExists, 17, "Remove the old one");
        rig.fail("configure SIOCAIFADDR_IN6", 47);
        let error = refused(tun.add_address(address("fd00::1/64")));
        says(&error, Operation::AddAddress, Cause::NoIpv6, 47, "");
        rig.fail("configure SIOCDIFADDR", 49);
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
        let rig = Rig::new(system);
        rig.fail(if system == System::MacOs { "connect" } else { "open" }, 12);
        let error = create(&rig, &CreateOptions::tun());
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
            let rig = Rig::new(system);
            let device = rig.tun();
            device.up(address("10.0.0.1/24")).unwrap();
            rig.fail(call, errno);
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
        let rig = Rig::new(system);
        for name in ["vpn0", "vpn%d", "tun01"] {
            let (error, calls) = rig.calls_of(|| create(&rig, &named_tun(name)));
            assert_eq!(error.cause(), Cause::InvalidName, "{system:?} {name}");
            assert!(error.remedy().unwrap().contains("tun%d"), "{error}");
            assert!(!calls.iter().any(|call| call.contains("open") || call.contains("connect")), "{calls:?}");
        }
    }
}
