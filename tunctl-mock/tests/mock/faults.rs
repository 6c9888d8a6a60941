//! Scripted failures.

use tunctl_core::{Cause, CreateOptions, Interface, Operation, TunBackend, TunDevice};
use tunctl_mock::{Errno, Fault, MockBackend};

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
        let error = kernel.open_or_create(&CreateOptions::tun().name("vpn0").unwrap()).unwrap_err();
        assert_eq!(error.cause(), cause);
        assert!(error.to_string().starts_with("open or create vpn0: "), "{error}");
    }
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
