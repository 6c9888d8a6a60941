//! What a backend can do.

use std::fmt;

use crate::Operation;

/// The operations that a backend supports.
///
/// Asking first is an alternative to trying: an operation that is not in the set answers with
/// [`Cause::Unsupported`](crate::Cause::Unsupported), always.
///
/// ```
/// use tunctl_core::{Capabilities, Operation};
///
/// let capabilities = Capabilities::of(&[Operation::Create, Operation::SetPersist]);
/// assert!(capabilities.supports(Operation::SetPersist));
/// assert!(!capabilities.supports(Operation::SetOwner));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

const _: () = assert!(Operation::ALL.len() <= 64);

impl Capabilities {
    /// Every operation. A backend that names what it lacks is asked about each new operation by the
    /// conformance suite; [`REQUIRED`](Self::REQUIRED) is for one that promises nothing for the future.
    pub const ALL: Self = Self::of(Operation::ALL);

    /// The operations listed.
    #[must_use]
    pub const fn of(operations: &[Operation]) -> Self {
        let mut set = 0;
        let mut rest = operations;
        while let [first, others @ ..] = rest {
            set |= bit(*first);
            rest = others;
        }
        Self(set)
    }

    /// What every backend has: the operations that are made of required methods.
    pub const REQUIRED: Self = Self::of(&[
        Operation::Create,
        Operation::Open,
        Operation::OpenOrCreate,
        Operation::Lookup,
        Operation::List,
        Operation::Destroy,
        Operation::Duplicate,
        Operation::Receive,
        Operation::Send,
        Operation::Wait,
        Operation::Name,
        Operation::Inspect,
        Operation::Up,
        Operation::Down,
        Operation::Configure,
        Operation::SetMtu,
        Operation::SetMac,
        Operation::ListAddresses,
        Operation::AddAddress,
        Operation::RemoveAddress,
        Operation::Delete,
    ]);

    /// The same set with these as well.
    #[must_use]
    pub const fn with(self, operations: &[Operation]) -> Self {
        Self(self.0 | Self::of(operations).0)
    }

    /// The same set without these.
    #[must_use]
    pub const fn without(self, operations: &[Operation]) -> Self {
        Self(self.0 & !Self::of(operations).0)
    }

    /// Whether the backend can do it at all. Whether it may is another question.
    #[must_use]
    pub const fn supports(self, operation: Operation) -> bool {
        self.0 & bit(operation) != 0
    }

    /// The supported operations.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL.iter().copied().filter(move |&operation| self.supports(operation))
    }
}

const fn bit(operation: Operation) -> u64 {
    1 << operation as u64
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_one_away_leaves_the_others() {
        for &absent in Operation::ALL {
            let rest: Vec<_> = Capabilities::ALL.without(&[absent]).iter().collect();
            assert_eq!(rest.len(), Operation::ALL.len() - 1);
            assert!(!rest.contains(&absent));
        }
    }
}
