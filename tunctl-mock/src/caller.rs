//! The credentials of the program under test.

use tunctl_core::{Gid, Uid};

/// The credentials of the program under test: its effective user and groups, and whether it has
/// `CAP_NET_ADMIN`.
///
/// As on a real system, they belong to the whole process, whichever handle it uses.
///
/// ```
/// use tunctl_mock::Caller;
///
/// let alice = Caller::user(1000, 1000);
/// assert!(!alice.is_capable() && Caller::root().is_capable());
/// assert!(alice.with_group(50).is_member(50));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    capable: bool,
}

impl Caller {
    /// Root, with `CAP_NET_ADMIN`.
    #[must_use]
    pub const fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), capable: true }
    }

    /// A user without privilege, and in no other group than this one.
    #[must_use]
    pub const fn user(uid: u32, gid: u32) -> Self {
        Self { uid, gid, groups: Vec::new(), capable: false }
    }

    /// Sets whether it has `CAP_NET_ADMIN`, the capability to configure networks.
    #[doc(alias = "CAP_NET_ADMIN")]
    #[must_use]
    pub const fn capable(mut self, capable: bool) -> Self {
        self.capable = capable;
        self
    }

    /// Adds a group.
    #[must_use]
    pub fn with_group(mut self, gid: u32) -> Self {
        self.groups.push(gid);
        self
    }

    /// The effective user id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether it has `CAP_NET_ADMIN`.
    #[must_use]
    pub const fn is_capable(&self) -> bool {
        self.capable
    }

    /// Whether it is a member of a group.
    #[must_use]
    pub fn is_member(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    pub(crate) fn is(&self, owner: Uid) -> bool {
        self.uid == owner.get()
    }

    pub(crate) fn is_in(&self, group: Gid) -> bool {
        self.is_member(group.get())
    }
}

impl Default for Caller {
    /// Root.
    fn default() -> Self {
        Self::root()
    }
}
