//! Scripted faults: a call fails that would succeed, or something happens to the interface at it.

use tunctl_core::{Cause, Operation, Reason};

use crate::Errno;

/// A fault at a certain call of an operation, whatever its arguments.
///
/// Calls of the traits' methods are counted: a `recv` is one call however long it waits, and each call that a
/// provided method makes is one too (`up` inspects the interface, lists its addresses, brings it up and adds
/// one). A fault is applied when its call begins, so it does not disturb a `recv` that already waits: for
/// that, [delete](crate::MockBackend::delete) the interface.
/// [`pending_faults`](crate::MockBackend::pending_faults) returns how many were not applied yet. A fault for
/// an operation that the mock does not have stays pending. One that deletes an interface does nothing at a
/// call that has no interface yet.
///
/// ```
/// use tunctl_core::{CreateOptions, Operation, TunBackend, TunDevice};
/// use tunctl_mock::{Errno, Fault, MockBackend};
///
/// let kernel = MockBackend::new();
/// let tun = kernel.create(&CreateOptions::tun())?;
/// kernel.script(Fault::on(Operation::Send).nth(2).errno(Errno::ENOBUFS));
/// kernel.script(Fault::on(Operation::Receive).deletes());
/// tun.up("10.1.1.1/24".parse()?)?;
/// assert!(tun.send(&[0x45; 20]).is_ok());
/// assert_eq!(tun.send(&[0x45; 20]).unwrap_err().raw_os_error(), Some(105));
/// assert!(tun.recv(&mut [0; 1500]).unwrap_err().is_gone());
/// # Ok::<(), tunctl_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    operation: Operation,
    /// How many calls pass before it is applied.
    passes: u32,
    effect: Effect,
}

/// What a fault does to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The call fails, and nothing else happens.
    Fails(Errno, Cause),
    /// The interface is deleted, then the call continues.
    Deletes,
    /// The interface goes down, then the call continues.
    TakesDown,
}

impl Fault {
    /// A fault at the next call of the operation. The call fails with `EIO` unless another effect is chosen.
    #[must_use]
    pub const fn on(operation: Operation) -> Self {
        Self { operation, passes: 0, effect: Effect::Fails(Errno::EIO, Cause::Other) }
    }

    /// Applies the fault at a later call: 1 is the next one, and so is 0.
    #[must_use]
    pub const fn nth(mut self, call: u32) -> Self {
        self.passes = call.saturating_sub(1);
        self
    }

    /// The call fails with this errno, and with the cause that the errno has for this operation.
    #[must_use]
    pub const fn errno(mut self, errno: Errno) -> Self {
        self.effect = Effect::Fails(errno, cause(self.operation, errno));
        self
    }

    /// The interface is deleted as the call begins, as if another program did it.
    #[must_use]
    pub const fn deletes(mut self) -> Self {
        self.effect = Effect::Deletes;
        self
    }

    /// The interface goes down as the call begins.
    #[must_use]
    pub const fn takes_down(mut self) -> Self {
        self.effect = Effect::TakesDown;
        self
    }
}

/// The cause that the Linux backend would derive from an errno, for failures that no rule of the model
/// decides.
const fn cause(operation: Operation, errno: Errno) -> Cause {
    match (errno, operation) {
        (Errno::EAGAIN, _) => Cause::WouldBlock,
        (Errno::EMFILE | Errno::ENFILE, _) => Cause::TooManyOpenFiles,
        (Errno::EPERM, _) => Cause::MissingCapability,
        (Errno::ENOENT, Operation::Create | Operation::Open | Operation::OpenOrCreate) => Cause::MissingNode,
        (Errno::ENODEV, Operation::Create | Operation::Open | Operation::OpenOrCreate) => {
            Cause::MissingDriver
        }
        (Errno::EACCES, Operation::Create | Operation::Open | Operation::OpenOrCreate) => Cause::ClosedNode,
        (Errno::EBUSY, Operation::Create) => Cause::Exists,
        (Errno::EBUSY, _) => Cause::Busy,
        (Errno::E2BIG, _) => Cause::TooManyQueues,
        (Errno::EBADFD | Errno::ENODEV, _) => Cause::Gone,
        (Errno::EIO, Operation::Send) => Cause::Down,
        (Errno::ENOBUFS, Operation::Send) => Cause::NoBuffers,
        (Errno::EINVAL, Operation::Send) => Cause::MalformedPacket,
        (Errno::EINVAL, Operation::Receive) => Cause::TooShort,
        (Errno::EINVAL, Operation::SetMtu) => Cause::InvalidMtu,
        (Errno::EOPNOTSUPP, Operation::SetMac) => Cause::LayerMismatch,
        (Errno::EADDRNOTAVAIL, Operation::SetMac) => Cause::InvalidMac,
        (Errno::EINVAL, Operation::SetOwner | Operation::SetGroup) => Cause::UnmappedId,
        (Errno::EINVAL, Operation::AttachQueue | Operation::DetachQueue) => Cause::InvalidQueue,
        (Errno::EINVAL | Errno::EADDRNOTAVAIL, Operation::AddAddress) => Cause::InvalidAddress,
        (Errno::EACCES, Operation::AddAddress) => Cause::NoIpv6,
        (Errno::EEXIST, Operation::AddAddress) => Cause::AddressExists,
        (Errno::EADDRNOTAVAIL, Operation::RemoveAddress) => Cause::AddressNotFound,
        (Errno::EEXIST, Operation::Rename) => Cause::Exists,
        (Errno::EINVAL, Operation::Rename) => Cause::InvalidName,
        _ => Cause::Other,
    }
}

/// The faults that were not applied yet.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    scripted: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.scripted.push(fault);
    }

    /// Counts one call of an operation, and takes the effect that is due at it. Of several faults for the
    /// same call, the one that was scripted first is due; the others follow at the next calls.
    pub(crate) fn take_due(&mut self, operation: Operation) -> Option<Effect> {
        let due = self.scripted.iter().position(|fault| fault.operation == operation && fault.passes == 0);
        for fault in self.scripted.iter_mut().filter(|fault| fault.operation == operation) {
            fault.passes = fault.passes.saturating_sub(1);
        }
        due.map(|position| self.scripted.remove(position).effect)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scripted.is_empty()
    }

    pub(crate) fn pending(&self) -> usize {
        self.scripted.len()
    }
}

impl Effect {
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Self::Fails(errno, cause) => {
                Some(errno.reason(cause).with_detail("a fault that the test scripted"))
            }
            Self::Deletes | Self::TakesDown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_comes_at_its_own_call() {
        let mut faults = Faults::default();
        let fails = |errno| Fault::on(Operation::Send).errno(errno);
        faults.add(fails(Errno::ENOMEM).nth(3));
        faults.add(fails(Errno::EAGAIN));
        faults.add(Fault::on(Operation::Receive).deletes());
        let met: Vec<_> = (0..4).map(|_| faults.take_due(Operation::Send)).collect();
        let would_block = Some(Effect::Fails(Errno::EAGAIN, Cause::WouldBlock));
        assert_eq!(met, [would_block, None, Some(Effect::Fails(Errno::ENOMEM, Cause::Other)), None]);
        assert_eq!(faults.take_due(Operation::Receive), Some(Effect::Deletes));
        assert!(faults.is_empty());
    }

    #[test]
    fn of_two_at_the_same_call_the_second_comes_next() {
        let mut faults = Faults::default();
        faults.add(Fault::on(Operation::Send).takes_down());
        faults.add(Fault::on(Operation::Send).deletes());
        assert_eq!(faults.take_due(Operation::Send), Some(Effect::TakesDown));
        assert_eq!(faults.take_due(Operation::Send), Some(Effect::Deletes));
    }
}
