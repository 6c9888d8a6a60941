//! What cases expect, in their words.

use std::cell::RefCell;

use crate::names_and_errnos::{self, native};
use crate::{DeviceOf, Harness};
use tunctl_core::{
    Cause, CreateOptions, DestroyError, Error, Gid, Interface, InterfaceAddress, InterfaceInfo,
    InterfaceName, MacAddress, Operation, TunBackend, TunDevice, Uid,
};

/// A refusal that a case asked for, and got: the operation, and why.
pub type Refusal = (Operation, Cause);

/// What a case that did not panic has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The refusals that it asked for, and got.
    pub refusals: Vec<Refusal>,
    /// Why it has shown nothing: the backend has no such thing.
    pub not_applicable: Option<&'static str>,
}

thread_local! {
    // Where the standard library keeps these with the threads of POSIX, clippy does not see that it is
    // constant.
    #[allow(clippy::missing_const_for_thread_local, reason = "it is one")]
    static OUTCOME: RefCell<Outcome> = const {
        RefCell::new(Outcome { refusals: Vec::new(), not_applicable: None })
    };
}

/// Runs a case, and returns what it has told of itself.
pub(crate) fn recorded(case: impl FnOnce()) -> Outcome {
    OUTCOME.take();
    case();
    OUTCOME.take()
}

/// The case does not concern this backend, for a reason that ends a sentence: "it has no …".
pub(crate) fn not_applicable(why: &'static str) {
    OUTCOME.with_borrow_mut(|outcome| outcome.not_applicable = Some(why));
}

/// Why a case of queues does not concern a backend.
pub(crate) const NO_QUEUES: &str = "it has no queues that come and go";

/// Asserts that an operation was refused for this cause, and returns the error.
#[track_caller]
pub fn refused<T, E: Into<Error>>(outcome: Result<T, E>, cause: Cause) -> Error {
    let Err(error) = outcome.map_err(Into::into) else { panic!("it succeeded, and {cause:?} was expected") };
    assert_eq!(error.cause(), cause, "{error}");
    OUTCOME.with_borrow_mut(|outcome| outcome.refusals.push((error.operation(), cause)));
    error
}

/// As [`refused`], with the errno of the system call.
#[track_caller]
pub(crate) fn refused_with<T, E: Into<Error>>(outcome: Result<T, E>, cause: Cause, errno: i32) -> Error {
    let error = refused(outcome, cause);
    if names_and_errnos::has_linux_errnos() {
        assert_eq!(error.raw_os_error(), Some(errno), "{error}");
    }
    error
}

/// Asserts that a device was not destroyed, because others keep its interface alive, and returns it.
#[track_caller]
pub(crate) fn given_back<D>(outcome: Result<(), DestroyError<D>>) -> D {
    let Err(failed) = outcome else { panic!("it was destroyed, while others have it open") };
    refused::<(), _>(Err(failed.error().clone()), Cause::Busy);
    failed.into_device().expect("the device comes back")
}

/// Linux's numbers, which a backend that stands for it answers with on every host.
pub(crate) mod errno {
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const ERANGE: i32 = 34;
    pub(crate) const EIO: i32 = 5;
    pub(crate) const E2BIG: i32 = 7;
    pub(crate) const EAGAIN: i32 = 11;
    pub(crate) const EBUSY: i32 = 16;
    pub(crate) const EEXIST: i32 = 17;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const EBADFD: i32 = 77;
    pub(crate) const EMSGSIZE: i32 = 90;
    pub(crate) const EOPNOTSUPP: i32 = 95;
    pub(crate) const EADDRNOTAVAIL: i32 = 99;
    pub(crate) const ENOBUFS: i32 = 105;
}

pub(crate) fn name(text: &str) -> InterfaceName {
    native(text, None).parse().expect("the suite's names are names")
}

/// Options with that name, or pattern.
pub(crate) fn named(options: CreateOptions, text: &str) -> CreateOptions {
    let name = native(text, Some(options.get_layer()));
    options.name(name)
}

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).expect("the suite's ids are ids")
}

pub(crate) fn gid(number: u32) -> Gid {
    Gid::new(number).expect("the suite's ids are ids")
}

pub(crate) fn address(text: &str) -> InterfaceAddress {
    text.parse().expect("the suite's addresses are addresses")
}

/// A MAC address that somebody chose, with this number.
pub(crate) fn mac(number: u8) -> MacAddress {
    MacAddress::new([0x02, 0, 0x5e, 0x10, 0, number]).expect("the suite's addresses are addresses")
}

/// A new tun of that name, without packet information.
pub(crate) fn tun<H: Harness>(harness: &H, name: &str) -> DeviceOf<H> {
    create(harness, CreateOptions::tun(), name)
}

/// A new tap of that name, without packet information.
pub(crate) fn tap<H: Harness>(harness: &H, name: &str) -> DeviceOf<H> {
    create(harness, CreateOptions::tap(), name)
}

pub(crate) fn create<H: Harness>(harness: &H, options: CreateOptions, name: &str) -> DeviceOf<H> {
    harness.backend().create(&named(options, name)).unwrap_or_else(|error| panic!("{error}"))
}

/// A new interface that another program has brought up, and a device of it.
pub(crate) fn up<H: Harness>(harness: &H, options: CreateOptions, text: &str) -> DeviceOf<H> {
    let device = create(harness, options, text);
    harness.set_up(&name(text), true);
    device
}

/// Brings the interface of a device up with an address, where a case is about something else: by the backend,
/// or by another program if the backend cannot.
#[track_caller]
pub(crate) fn bring_up<H: Harness>(harness: &H, device: &DeviceOf<H>, address: InterfaceAddress) {
    let capabilities = harness.backend().capabilities();
    if capabilities.supports(Operation::Up) && capabilities.supports(Operation::AddAddress) {
        return device.up(address).unwrap_or_else(|error| panic!("{error}"));
    }
    let name = device.name().unwrap_or_else(|error| panic!("{error}"));
    harness.set_up(&name, true);
    harness.add_address(&name, address);
}

pub(crate) fn open<H: Harness>(
    harness: &H,
    options: CreateOptions,
    name: &str,
) -> tunctl_core::Result<DeviceOf<H>> {
    harness.backend().open(&named(options, name))
}

/// A new persistent interface to which no device is attached.
pub(crate) fn persistent<H: Harness>(harness: &H, options: CreateOptions, name: &str) {
    let device = create(harness, options, name);
    device.set_persist(true).unwrap_or_else(|error| panic!("{error}"));
}

/// Whether the system has an interface of that name.
pub(crate) fn exists<H: Harness>(harness: &H, text: &str) -> bool {
    harness.report(&name(text)).is_some()
}

/// What the system reports of an interface that is there.
#[track_caller]
pub(crate) fn report<H: Harness>(harness: &H, text: &str) -> InterfaceInfo {
    harness.report(&name(text)).unwrap_or_else(|| panic!("there is no {text}"))
}

/// An IPv4 packet of `length` bytes, 20 at least, whose payload counts from 0.
pub(crate) fn ipv4(length: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend((20..length).map(|position| position.to_le_bytes()[0]));
    packet
}

/// An Ethernet frame around a packet, from a station to all others.
pub(crate) fn frame(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv6 packet of `length` bytes, 40 at least, whose payload counts from 0.
pub(crate) fn ipv6(length: u16) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&(length - 40).to_be_bytes());
    packet[6..8].copy_from_slice(&[17, 64]);
    packet[8..10].copy_from_slice(&[0xfd, 0x77]);
    packet[24..26].copy_from_slice(&[0xfd, 0x77]);
    (packet[23], packet[39]) = (2, 1);
    packet.extend((40..length).map(|position| position.to_le_bytes()[0]));
    packet
}

/// The names on the backend's list.
#[track_caller]
pub(crate) fn listed<H: Harness>(harness: &H) -> Vec<String> {
    let found = harness.backend().interfaces().unwrap();
    found.iter().map(|interface| interface.name().unwrap().to_string()).collect()
}

/// The packet that waits, with the headers of the device.
#[track_caller]
pub(crate) fn received<D: TunDevice>(device: &D) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let length = device.try_recv(&mut buffer).unwrap_or_else(|error| panic!("{error}"));
    buffer.truncate(length);
    buffer
}

/// Asserts that no packet waits.
#[track_caller]
pub(crate) fn assert_empty<D: TunDevice>(device: &D) {
    refused_with(device.try_recv(&mut [0; 100]), Cause::WouldBlock, errno::EAGAIN);
}
