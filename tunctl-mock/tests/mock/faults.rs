//! Scripted failures.

use tunctl_core::{
    Cause, CreateOptions, Error, Gid, Interface, Operation, Queues, Readiness, Result, TunBackend, TunDevice,
    Uid,
};
use tunctl_mock::{Errno, Fault, MockBackend, MockDevice};

use crate::{packet, tun};

#[test]
fn any_operation_fails_as_scripted_and_changes_nothing() {
    let kernel = MockBackend::new();
    for errno in [Errno::ENOENT, Errno::EACCES, Errno::EMFILE, Errno::ENOMEM] {
        kernel.script(Fault::on(Operation::Create).errno(errno));
        let error = kernel.create(&CreateOptions::tun()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(errno.number()));
        assert!(kernel.interfaces().unwrap().is_empty());
    }
    let device = tun(&kernel, "tun0");
    kernel.script(Fault::on(Operation::SetMtu).errno(Errno::EPERM));
    let error = device.interface().set_mtu("1400".parse().unwrap()).unwrap_err();
    assert_eq!(error.cause(), Cause::MissingCapability);
    assert_eq!(device.interface().mtu().unwrap().get(), 1500);
    device.interface().set_mtu("1400".parse().unwrap()).unwrap();
}

#[test]
fn each_cause_of_a_closed_system_can_be_had() {
    let kernel = MockBackend::new();
    for (errno, cause) in [
        (Errno::ENOENT, Cause::MissingNode),
        (Errno::ENODEV, Cause::MissingDriver),
        (Errno::EACCES, Cause::ClosedNode),
        (Errno::EPERM, Cause::MissingCapability),
        (Errno::ENFILE, Cause::TooManyOpenFiles),
    ] {
        kernel.script(Fault::on(Operation::OpenOrCreate).errno(errno));
        let error = kernel.open_or_create(&CreateOptions::tun().name("vpn0")).unwrap_err();
        assert_eq!(error.cause(), cause);
        assert!(error.to_string().starts_with("open or create vpn0: "), "{error}");
    }
}

/// Calls an operation with any arguments, since it fails.
fn failure(kernel: &MockBackend, device: &MockDevice, operation: Operation) -> Error {
    let (options, interface) = (CreateOptions::tun().name("tun0"), device.interface());
    let address = "10.1.1.1/24".parse().unwrap();
    let outcome: Result<()> = match operation {
        Operation::Create => kernel.create(&options).map(drop),
        Operation::Open => kernel.open(&options).map(drop),
        Operation::Lookup => kernel.interface(&"tun0".parse().unwrap()).map(drop),
        Operation::List => kernel.interfaces().map(drop),
        Operation::Receive => device.try_recv(&mut [0; 100]).map(drop),
        Operation::Send => device.try_send(&packet(1, 2, 0)).map(drop),
        Operation::Wait => device.wait(Readiness::Writable, None).map(drop),
        Operation::SetOwner => device.set_owner(Uid::new(0).unwrap()),
        Operation::SetGroup => device.set_group(Gid::new(0).unwrap()),
        Operation::AttachQueue => device.attach_queue(),
        Operation::DetachQueue => device.detach_queue(),
        Operation::SetMtu => interface.set_mtu("1400".parse().unwrap()),
        Operation::SetMac => interface.set_mac("02:00:00:00:00:01".parse().unwrap()),
        Operation::AddAddress => interface.add_address("10.2.2.2/24".parse().unwrap()).map(drop),
        Operation::RemoveAddress => interface.remove_address(address),
        Operation::Rename => interface.rename(&"vpn".parse().unwrap()),
        _ => panic!("{operation:?} is not in the table"),
    };
    outcome.unwrap_err()
}

#[test]
fn a_number_means_for_each_operation_what_the_kernel_means_by_it() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    for (operation, errno, cause) in [
        (Operation::Receive, Errno::EAGAIN, Cause::WouldBlock),
        (Operation::Lookup, Errno::EMFILE, Cause::TooManyOpenFiles),
        (Operation::List, Errno::EPERM, Cause::MissingCapability),
        (Operation::Create, Errno::EBUSY, Cause::Exists),
        (Operation::Open, Errno::EBUSY, Cause::Busy),
        (Operation::Open, Errno::E2BIG, Cause::TooManyQueues),
        (Operation::Wait, Errno::EBADFD, Cause::Gone),
        (Operation::SetMtu, Errno::ENODEV, Cause::Gone),
        (Operation::Send, Errno::EIO, Cause::Down),
        (Operation::Send, Errno::EINVAL, Cause::MalformedPacket),
        (Operation::Receive, Errno::EINVAL, Cause::TooShort),
        (Operation::SetMtu, Errno::EINVAL, Cause::InvalidMtu),
        (Operation::SetMac, Errno::EADDRNOTAVAIL, Cause::InvalidMac),
        (Operation::SetMac, Errno::EOPNOTSUPP, Cause::LayerMismatch),
        (Operation::Rename, Errno::EEXIST, Cause::Exists),
        (Operation::Rename, Errno::EINVAL, Cause::InvalidName),
        (Operation::SetOwner, Errno::EINVAL, Cause::UnmappedId),
        (Operation::SetGroup, Errno::EINVAL, Cause::UnmappedId),
        (Operation::AttachQueue, Errno::EINVAL, Cause::InvalidQueue),
        (Operation::DetachQueue, Errno::EINVAL, Cause::InvalidQueue),
        (Operation::AddAddress, Errno::EINVAL, Cause::InvalidAddress),
        (Operation::AddAddress, Errno::EADDRNOTAVAIL, Cause::InvalidAddress),
        (Operation::AddAddress, Errno::EACCES, Cause::NoIpv6),
        (Operation::AddAddress, Errno::EEXIST, Cause::AddressExists),
        (Operation::RemoveAddress, Errno::EADDRNOTAVAIL, Cause::AddressNotFound),
        // What a number means for one operation, it does not mean for another.
        (Operation::Lookup, Errno::ENOENT, Cause::Other),
        (Operation::Receive, Errno::EIO, Cause::Other),
        (Operation::Send, Errno::ENOMEM, Cause::Other),
    ] {
        kernel.script(Fault::on(operation).errno(errno));
        let error = failure(&kernel, &device, operation);
        assert_eq!((error.operation(), error.cause()), (operation, cause), "{error}");
        assert_eq!(error.raw_os_error(), Some(errno.number()));
    }
}

#[test]
fn an_address_goes_in_the_middle_of_its_removal() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    let address = "fd77::1/64".parse().unwrap();
    device.interface().add_address(address).unwrap();
    kernel.script(Fault::on(Operation::RemoveAddress).takes_down());
    let error = device.interface().remove_address(address).unwrap_err();
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::AddressNotFound, Some(99)));
}

#[test]
fn the_nth_receive_fails_and_loses_no_packet() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.script(Fault::on(Operation::Receive).nth(2).errno(Errno::EINTR));
    kernel.inject(&device, packet(2, 1, 0));
    kernel.inject(&device, packet(2, 1, 1));
    let mut buffer = [0; 100];
    assert_eq!(device.try_recv(&mut buffer).unwrap(), 21);
    assert_eq!(device.try_recv(&mut buffer).unwrap_err().raw_os_error(), Some(4));
    assert_eq!(device.try_recv(&mut buffer).unwrap(), 21);
    assert_eq!(buffer[20], 1);
}

#[test]
fn an_interface_is_deleted_in_the_middle_of_a_read() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.inject(&device, packet(2, 1, 0));
    kernel.script(Fault::on(Operation::Receive).deletes());
    assert!(device.recv(&mut [0; 100]).unwrap_err().is_gone());
    assert!(kernel.interfaces().unwrap().is_empty());
}

#[test]
fn an_interface_goes_down_in_the_middle_of_a_send() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.script(Fault::on(Operation::Send).takes_down());
    assert_eq!(device.send(&packet(1, 2, 0)).unwrap_err().cause(), Cause::Down);
    assert_eq!(kernel.take(&device), None);
}

#[test]
fn a_blocking_receive_waits_through_a_scripted_would_block() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.inject(&device, packet(2, 1, 0));
    kernel.script(Fault::on(Operation::Receive).errno(Errno::EAGAIN));
    let mut buffer = [0; 100];
    assert_eq!(device.recv(&mut buffer).unwrap(), 21);
}
