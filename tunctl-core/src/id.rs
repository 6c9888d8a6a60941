//! Users, groups and interface indices, as numbers.

use std::fmt;
use std::num::NonZeroU32;

macro_rules! numeric_id {
    ($(#[$docs:meta])* $name:ident, $c:literal) => {
        $(#[$docs])*
        #[doc(alias = $c)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// `None` for -1 (`u32::MAX`), by which the kernel means nobody: it is no id.
            #[must_use]
            pub const fn new(id: u32) -> Option<Self> {
                if id == u32::MAX { None } else { Some(Self(id)) }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id! {
    /// A user, by number, as the caller's user namespace counts them.
    Uid, "uid_t"
}
numeric_id! {
    /// A group, by number, as the caller's user namespace counts them.
    Gid, "gid_t"
}

/// The number of an interface in its network namespace. It stays the same when the interface is renamed.
#[doc(alias = "ifindex")]
#[doc(alias = "if_nametoindex")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceIndex(NonZeroU32);

impl InterfaceIndex {
    /// An index that no interface has: that of an [adopted](crate::Adopt::adopt) device whose interface is
    /// not known.
    pub const UNKNOWN: Self = Self(NonZeroU32::MAX);

    /// `None` for 0, by which the kernel means no interface.
    #[must_use]
    pub const fn new(index: u32) -> Option<Self> {
        match NonZeroU32::new(index) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for InterfaceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
