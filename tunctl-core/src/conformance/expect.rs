//! What cases expect, in their words.

use std::cell::RefCell;

use super::{DeviceOf, Harness};
use crate::{Cause, CreateOptions, Error, InterfaceAddress, InterfaceName, Operation, TunBackend};

/// A refusal that a case asked for, and got: the operation, and why.
pub type Refusal = (Operation, Cause);

thread_local! {
    static REFUSALS: RefCell<Vec<Refusal>> = const { RefCell::new(Vec::new()) };
}

/// Runs a case, and returns the refusals that it expected.
pub(super) fn recorded(case: impl FnOnce()) -> Vec<Refusal> {
    REFUSALS.take();
    case();
    REFUSALS.take()
}

/// Asserts that an operation was refused for this cause, and returns the error.
#[track_caller]
pub fn refused<T, E: Into<Error>>(outcome: Result<T, E>, cause: Cause) -> Error {
    let Err(error) = outcome.map_err(Into::into) else { panic!("it succeeded, and {cause:?} was expected") };
    assert_eq!(error.cause(), cause, "{error}");
    REFUSALS.with_borrow_mut(|refusals| refusals.push((error.operation(), cause)));
    error
}

/// As [`refused`], with the errno of the system call.
#[track_caller]
pub(super) fn refused_with<T, E: Into<Error>>(outcome: Result<T, E>, cause: Cause, errno: i32) -> Error {
    let error = refused(outcome, cause);
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
    error
}

/// Linux's numbers, which a backend that stands for it answers with on every host.
pub(super) mod errno {
    pub(in super::super) const EPERM: i32 = 1;
    pub(in super::super) const EIO: i32 = 5;
    pub(in super::super) const E2BIG: i32 = 7;
    pub(in super::super) const EAGAIN: i32 = 11;
    pub(in super::super) const EBUSY: i32 = 16;
    pub(in super::super) const EEXIST: i32 = 17;
    pub(in super::super) const EINVAL: i32 = 22;
    pub(in super::super) const EBADFD: i32 = 77;
}

pub(super) fn name(text: &str) -> InterfaceName {
    text.parse().expect("the suite's names are names")
}

pub(super) fn address(text: &str) -> InterfaceAddress {
    text.parse().expect("the suite's addresses are addresses")
}

/// A new tun of that name, without packet information.
pub(super) fn tun<H: Harness>(harness: &H, name: &str) -> DeviceOf<H> {
    create(harness, CreateOptions::tun(), name)
}

/// A new tap of that name, without packet information.
pub(super) fn tap<H: Harness>(harness: &H, name: &str) -> DeviceOf<H> {
    create(harness, CreateOptions::tap(), name)
}

pub(super) fn create<H: Harness>(harness: &H, options: CreateOptions, name: &str) -> DeviceOf<H> {
    let options = options.name(name).expect("the suite's names are names");
    harness.backend().create(&options).unwrap_or_else(|error| panic!("{error}"))
}

pub(super) fn open<H: Harness>(
    harness: &H,
    options: CreateOptions,
    name: &str,
) -> crate::Result<DeviceOf<H>> {
    harness.backend().open(&options.name(name).expect("the suite's names are names"))
}

/// An IPv4 packet of `length` bytes, 20 at least, whose payload counts from 0.
pub(super) fn ipv4(length: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend((20..length).map(|position| position.to_le_bytes()[0]));
    packet
}

/// An Ethernet frame around a packet, from a station to all others.
pub(super) fn frame(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}
