//! Errors as a person reads them: what, why, what next; and as a program does.

use std::io;

use tunctl_core::{Cause, CreateOptions, Error, Interface, Operation, TunBackend, TunDevice};
use tunctl_testing::{Case, case, ip};

use super::support::{backend, create, name, open, refused, tap, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(each_cause_comes_with_its_operation_name_errno_and_remedy),
        case!(the_conversion_to_an_io_error_keeps_the_kind),
    ]
}

/// An error of each cause that can be provoked without other identities or nodes.
fn provoke() -> Vec<(Error, Operation, Cause, Option<i32>)> {
    let multi = CreateOptions::tun().multi_queue(true);
    let _held = tun("held");
    let tap = tap("frames");
    let _queues = create(multi.clone(), "queues");
    let gone = tun("gone");
    ip("link delete gone");
    vec![
        (
            refused(backend().create(&CreateOptions::tun().name("held"))),
            Operation::Create,
            Cause::Exists,
            None,
        ),
        (refused(open(CreateOptions::tun(), "none")), Operation::Open, Cause::NotFound, None),
        (refused(open(CreateOptions::tun(), "lo")), Operation::Open, Cause::NotATun, None),
        (refused(open(CreateOptions::tap(), "held")), Operation::Open, Cause::LayerMismatch, Some(22)),
        (refused(open(multi.clone(), "held")), Operation::Open, Cause::QueueMismatch, Some(22)),
        (refused(open(CreateOptions::tun(), "held")), Operation::Open, Cause::Busy, Some(16)),
        (
            refused(backend().open_or_create(&CreateOptions::tun().name("held"))),
            Operation::OpenOrCreate,
            Cause::Busy,
            Some(16),
        ),
        (refused(open(multi.vnet_header(true), "queues")), Operation::Open, Cause::HeaderMismatch, None),
        (refused(gone.recv(&mut [0; 9])), Operation::Receive, Cause::Gone, Some(77)),
        (refused(gone.send(&[0x45; 20])), Operation::Send, Cause::Gone, Some(77)),
        (refused(tap.send(&[0; 60])), Operation::Send, Cause::Down, Some(5)),
        (refused(tap.send(&[0; 13])), Operation::Send, Cause::TooShort, Some(22)),
        (
            refused(tap.interface().set_mtu("65535".parse().unwrap())),
            Operation::SetMtu,
            Cause::InvalidMtu,
            Some(22),
        ),
        (refused(backend().interface(&name("lo"))), Operation::Lookup, Cause::NotATun, None),
        (refused(backend().interface(&name("none"))), Operation::Lookup, Cause::NotFound, None),
    ]
}

fn each_cause_comes_with_its_operation_name_errno_and_remedy() {
    for (error, operation, cause, errno) in provoke() {
        let printed = error.to_string();
        assert_eq!((error.operation(), error.cause()), (operation, cause), "{printed}");
        if errno.is_some() {
            assert_eq!(error.raw_os_error(), errno, "{printed}");
        }
        let interface = error.interface().unwrap_or_else(|| panic!("no name in: {printed}"));
        assert!(printed.starts_with(&format!("{operation} {interface}: ")), "{printed}");
        // Between the name and the remedy stands why.
        let rest = error.remedy().unwrap_or_default().len() + format!("{operation} {interface}: . ").len();
        assert!(printed.len() > rest, "{printed}");
        // What to do about a packet that is wrong, the sender knows best.
        if !matches!(cause, Cause::TooShort) {
            assert!(error.remedy().is_some(), "no remedy in: {printed}");
        }
    }
}

fn the_conversion_to_an_io_error_keeps_the_kind() {
    let device = tun("tun0");
    let waiting = refused(device.try_recv(&mut [0; 9]));
    assert_eq!(io::Error::from(waiting).kind(), io::ErrorKind::WouldBlock);
    for (error, ..) in provoke() {
        let of_errno = error.raw_os_error().map(|errno| io::Error::from_raw_os_error(errno).kind());
        // For EBADFD and EIO, the standard library has no kind that says anything.
        let kind = match of_errno.filter(|kind| kind.to_string() != "uncategorized error") {
            Some(kind) => kind,
            None => error.cause().io_kind(),
        };
        let converted = io::Error::from(error.clone());
        assert_eq!(converted.kind(), kind, "{error}");
        let inside = converted.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(inside.raw_os_error(), error.raw_os_error());
    }
}
