//! A rule of the kernel that said no: with which number, why, and what a user does about it.

use std::borrow::Cow;

use tunctl_core::{Cause, Error, Holder, NamePattern, Operation};

use crate::Errno;

/// What a rule answers instead of doing what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    errno: Option<Errno>,
    cause: Cause,
    detail: Option<Cow<'static, str>>,
    holders: Vec<Holder>,
}

pub(crate) type Answer<T = ()> = Result<T, Refusal>;

impl Refusal {
    /// A system call answers so.
    pub(crate) const fn new(errno: Errno, cause: Cause) -> Self {
        Self { errno: Some(errno), cause, detail: None, holders: Vec::new() }
    }

    /// The library refuses, before or after it asked the kernel.
    pub(crate) const fn without_errno(cause: Cause) -> Self {
        Self { errno: None, cause, detail: None, holders: Vec::new() }
    }

    pub(crate) fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn held_by(mut self, holders: Vec<Holder>) -> Self {
        self.holders = holders;
        self
    }

    pub(crate) const fn cause(&self) -> Cause {
        self.cause
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let mut error = Error::new(operation, self.cause).with_holders(self.holders);
        if let Some(errno) = self.errno {
            error = error.with_foreign_errno(errno.number(), errno.text());
        }
        if let Some(detail) = self.detail {
            error = error.with_detail(detail);
        }
        match remedy(self.cause) {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }

    pub(crate) fn of(self, operation: Operation, name: impl Into<NamePattern>) -> Error {
        self.into_error(operation).with_name(name)
    }
}

/// The descriptor is attached to nothing any more.
pub(crate) const DETACHED: Refusal = Refusal::new(Errno::EBADFD, Cause::Gone);
/// No interface of the namespace has the index.
pub(crate) const NO_DEVICE: Refusal = Refusal::new(Errno::ENODEV, Cause::Gone);
/// Configuring takes the capability.
pub(crate) const INCAPABLE: Refusal = Refusal::new(Errno::EPERM, Cause::MissingCapability);

/// What is to be done, on the system that the model stands for.
const fn remedy(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::MissingCapability => {
            "Run it with sudo, or give the program the capability (here: let the mock's caller have it)."
        }
        Cause::NotOwner => "Run it as that user and group, or with sudo (here: set the mock's caller).",
        Cause::Busy => {
            "A single queue takes one open device at a time: close the other, or create the interface with multi_queue."
        }
        Cause::Exists => "Choose another name, open the one that exists, or delete it first.",
        Cause::NotFound => {
            "Each network namespace has interfaces of its own: create it, or look in the right one."
        }
        Cause::LayerMismatch => "Ask for the layer that it has, choose another name, or delete it first.",
        Cause::QueueMismatch => "Ask for what it was made with, choose another name, or delete it first.",
        Cause::HeaderMismatch => "Packet headers belong to all queues of an interface: ask for the same.",
        Cause::TooManyQueues => "A queue of yours that you no longer need makes room when it is closed.",
        Cause::InvalidQueue => "Queues come and go on an interface that was created with multi_queue.",
        Cause::NotATun => "It is of another kind: choose another name.",
        Cause::AddressExists => "Remove the old one first, or replace the addresses as a whole.",
        Cause::AddressNotFound => "Prefix length and peer must be those of the address that is there.",
        Cause::InvalidAddress => {
            "If it is an IPv6 address: IPv6 is off on an interface whose MTU is less than 1280 bytes."
        }
        Cause::InvalidMtu => "A tun takes 68 to 65535 bytes, a tap at most 65521.",
        Cause::NoIpv6 => "Switch it on (here: the mock's set_ipv6).",
        Cause::Down => "Bring it up first, with up().",
        Cause::TooShort => {
            "A packet begins with the headers that the device was created with; receive into a buffer that has room for them."
        }
        Cause::MalformedPacket => {
            "On a tun a packet begins with an IPv4 or IPv6 header, behind the headers that the device was created with."
        }
        Cause::Gone => {
            "It was deleted, or moved to another namespace: close this device and create a new one."
        }
        Cause::TooManyOpenFiles => "Close some, or raise the limit.",
        _ => return None,
    })
}
