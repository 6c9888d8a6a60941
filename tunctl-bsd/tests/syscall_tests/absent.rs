//! What a system cannot do: it is not among its capabilities, and is refused without a call.

use tunctl_core::{Cause, CreateOptions, Error, Gid, Interface, Operation, TunBackend, TunDevice, Uid};

use crate::fixture::{Fixture, SYSTEMS, named_tap, named_tun, refused};
use crate::models::System;

/// Whether an operation is refused as one that there is not, and whether the backend has said so.
fn is_absent(fixture: &Fixture, operation: Operation, work: impl FnOnce() -> Result<(), Error>) -> bool {
    let (outcome, calls) = fixture.calls_of(work);
    let absent = !fixture.backend.capabilities().supports(operation);
    if absent {
        let error = refused(outcome);
        let of = (error.operation(), error.cause(), error.raw_os_error());
        assert_eq!(of, (operation, Cause::Unsupported, None));
        assert!(calls.is_empty(), "{operation} {calls:?}");
    } else {
        assert_ne!(outcome.err().map(|error| error.cause()), Some(Cause::Unsupported), "{operation}");
    }
    absent
}

#[test]
fn an_operation_that_is_absent_is_unsupported_and_no_other() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let (device, mac) = (fixture.tun(), "02:00:5e:10:00:07".parse().unwrap());
        let absent = [
            is_absent(&fixture, Operation::SetOwner, || device.set_owner(Uid::new(1000).unwrap())),
            is_absent(&fixture, Operation::SetGroup, || device.set_group(Gid::new(1000).unwrap())),
            is_absent(&fixture, Operation::SetPersist, || device.set_persist(true)),
            is_absent(&fixture, Operation::SetPersist, || device.set_persist(false)),
            is_absent(&fixture, Operation::Rename, || device.interface().rename(&"vpn0".parse().unwrap())),
            is_absent(&fixture, Operation::SetMac, || device.interface().set_mac(mac)),
            is_absent(&fixture, Operation::Delete, || device.interface().delete()),
        ];
        let expected = match system {
            System::FreeBsd | System::DragonFly => [true, true, false, false, false, false, false],
            System::NetBsd => [true, true, false, false, true, false, false],
            _ => [true, true, true, true, true, false, false],
        };
        assert_eq!(absent, expected, "{system:?}");
    }
}

#[test]
fn headers_and_queues_of_linux_are_unsupported() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        for options in [
            CreateOptions::tun().packet_information(true),
            CreateOptions::tun().vnet_header(true),
            CreateOptions::tun().multi_queue(true),
            CreateOptions::tun().one_queue(true),
        ] {
            let (error, calls) = fixture.calls_of(|| refused(fixture.backend.create(&options)));
            assert_eq!(
                (error.operation(), error.cause()),
                (Operation::Create, Cause::Unsupported),
                "{system:?}"
            );
            let also = refused(fixture.backend.open_or_create(&options));
            assert_eq!((also.operation(), also.cause()), (Operation::OpenOrCreate, Cause::Unsupported));
            assert!(calls.is_empty(), "{system:?} {calls:?}");
        }
    }
}

#[test]
fn packets_that_were_dropped_are_not_counted_where_the_system_does_not() {
    for system in [System::NetBsd, System::DragonFly, System::MacOs] {
        let fixture = Fixture::new(system);
        let error = refused(fixture.tun().interface().dropped());
        assert_eq!(
            (error.operation(), error.cause()),
            (Operation::Inspect, Cause::Unsupported),
            "{system:?}"
        );
    }
}

#[test]
fn what_is_no_tun_is_not_taken_for_one() {
    for system in SYSTEMS {
        let fixture = Fixture::new(system);
        let _device = fixture.tun();
        let cause = |outcome: Result<(), Error>| refused(outcome).cause();
        let lo0 = named_tun("lo0");
        assert_eq!(cause(fixture.backend.open(&lo0).map(drop)), Cause::NotATun, "{system:?}");
        assert_eq!(cause(fixture.backend.open_or_create(&lo0).map(drop)), Cause::NotATun);
        assert_eq!(cause(fixture.backend.interface(&"lo0".parse().unwrap()).map(drop)), Cause::NotATun);
        assert_eq!(cause(fixture.backend.open(&named_tun("tun99")).map(drop)), Cause::NotFound);
        if system != System::MacOs {
            let as_tap = named_tap(fixture.tun_name());
            assert_eq!(cause(fixture.backend.open(&as_tap).map(drop)), Cause::LayerMismatch, "{system:?}");
        }
        assert_eq!(
            fixture.backend.interfaces().unwrap().len(),
            crate::fixture::others(&fixture).len(),
            "{system:?}"
        );
    }
}
