//! Descriptors outside the model: a file is open as long as one of them is.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use tunctl_core::{Adopt, Cause, CreateOptions, Interface, Operation, State, TunBackend, TunDevice};
use tunctl_mock::{Errno, Fault, MockBackend, MockDevice};

fn tun(kernel: &MockBackend) -> MockDevice {
    kernel.create(&CreateOptions::tun().name("tun0")).unwrap()
}

fn exists(kernel: &MockBackend) -> bool {
    kernel.interface(&"tun0".parse().unwrap()).is_ok()
}

#[test]
fn a_duplicate_that_nobody_handed_over_keeps_the_file_open() {
    let kernel = MockBackend::new();
    let device = tun(&kernel);
    let outside = device.as_fd().try_clone_to_owned().unwrap();
    drop(device);
    assert!(exists(&kernel));
    let again = outside.try_clone().unwrap();
    let device = kernel.adopt(outside).unwrap();
    // It is the same file, whichever of them it is made of.
    let second = kernel.adopt(again).unwrap();
    device.set_persist(true).unwrap();
    drop(device);
    second.set_persist(false).unwrap();
    drop(OwnedFd::from(second));
    assert!(!exists(&kernel));
}

#[test]
fn of_several_devices_of_a_file_each_can_be_handed_over() {
    let kernel = MockBackend::new();
    let device = tun(&kernel);
    let adopted = kernel.adopt(device.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let clone = adopted.try_clone().unwrap();
    let fds = [device, adopted, clone].map(OwnedFd::from);
    assert!(exists(&kernel));
    let devices = fds.map(|fd| kernel.adopt(fd).unwrap());
    for device in devices {
        assert!(exists(&kernel));
        drop(device);
    }
    assert!(!exists(&kernel));
}

#[test]
fn a_descriptor_of_another_system_is_foreign() {
    let (one, other) = (MockBackend::new(), MockBackend::new());
    let fd = OwnedFd::from(tun(&one));
    let failed = other.adopt(fd).unwrap_err();
    assert_eq!(failed.error().cause(), Cause::ForeignDescriptor);
    assert_eq!(one.adopt(failed.into_fd()).unwrap().name().unwrap().to_string(), "tun0");
}

#[test]
fn a_scripted_fault_gives_the_descriptor_back() {
    let kernel = MockBackend::new();
    let fd = OwnedFd::from(tun(&kernel));
    kernel.script(Fault::on(Operation::Adopt).errno(Errno::EMFILE));
    let failed = kernel.adopt(fd).unwrap_err();
    assert_eq!(failed.error().cause(), Cause::TooManyOpenFiles);
    kernel.adopt(failed.into_fd()).unwrap();
    assert!(!exists(&kernel));
}

#[test]
fn an_interface_goes_down_and_is_deleted_while_its_descriptor_is_nobodys() {
    let kernel = MockBackend::new();
    let device = tun(&kernel);
    device.interface().set_state(State::Up).unwrap();
    let fd = OwnedFd::from(device);
    kernel.inject("tun0", [0x45; 20]);
    kernel.set_state("tun0", State::Down);
    let device = kernel.adopt(fd).unwrap();
    assert_eq!(device.try_send(&[0x45; 20]).unwrap_err().cause(), Cause::Down);
    assert_eq!(device.recv(&mut [0; 100]).unwrap(), 20);
    let fd = OwnedFd::from(device);
    kernel.delete("tun0");
    assert_eq!(kernel.adopt(fd).unwrap_err().error().cause(), Cause::NotAttached);
}

#[test]
fn threads_hand_a_device_over_and_over() {
    const THREADS: usize = 4;
    let kernel = MockBackend::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let kernel = &kernel;
            scope.spawn(move || {
                let name = format!("tun{thread}");
                let mut device = kernel.create(&CreateOptions::tun().name(&*name)).unwrap();
                for _ in 0..500 {
                    let clone = device.try_clone().unwrap();
                    device = kernel.adopt(device.into()).unwrap();
                    drop(clone);
                }
                assert_eq!(device.name().unwrap().to_string(), name);
            });
        }
    });
    assert!(kernel.interfaces().unwrap().is_empty());
}
