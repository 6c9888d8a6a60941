//! Whom the kernel takes the caller for.

use tunctl_core::{Gid, Uid};

/// Whom the kernel takes the program for: its effective user and groups, and whether it may configure networks.
///
/// As on a real system this is the whole program's, whichever handle it calls through.
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

    /// A user of no other group than this one, without privilege.
    #[must_use]
    pub const fn user(uid: u32, gid: u32) -> Self {
        Self { uid, gid, groups: Vec::new(), capable: false }
    }

    /// With or without the capability to configure networks.
    #[doc(alias = "CAP_NET_ADMIN")]
    #[must_use]
    pub const fn capable(mut self, capable: bool) -> Self {
        self.capable = capable;
        self
    }

    /// As a member of one more group.
    #[must_use]
    pub fn with_group(mut self, gid: u32) -> Self {
        self.groups.push(gid);
        self
    }

    /// The effective user.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether it has `CAP_NET_ADMIN`.
    #[must_use]
    pub const fn is_capable(&self) -> bool {
        self.capable
    }

    /// Whether it is in a group.
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
