//! How kernels differ: data, so that each rule is written once.

use std::fmt;

use tunctl_core::CreateFlags;
use tunctl_packet::header::VnetRules;

use crate::Errno;

/// How the kernel that a [`MockBackend`](crate::MockBackend) models differs from others.
///
/// A profile is [proved](Self::is_proved) if the conformance suite was run on that kernel, or on a later one
/// of its series, and the model under this profile agreed. The other profiles are put together from what is
/// known about their kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelProfile {
    release: &'static str,
    /// The last release of the series on which the suite was run; `None` if it was run on none.
    proved_until: Option<[u32; 3]>,
    ownerless_attach: bool,
    rename_while_up: bool,
    vnet_rules: VnetRules,
    exhausted: Errno,
    flags: CreateFlags,
    offloads: u32,
    longest_queue: u32,
    few_pages: bool,
}

impl KernelProfile {
    /// Linux 6.1, as in Debian 12.
    pub const LINUX_6_1: Self = Self {
        release: "6.1",
        proved_until: Some(SERIES_OF_6_1),
        ownerless_attach: true,
        rename_while_up: false,
        vnet_rules: VnetRules::LINUX_6_1,
        exhausted: Errno::ENFILE,
        flags: CreateFlags::NAPI.union(CreateFlags::NAPI_FRAGS).union(CreateFlags::NO_CARRIER),
        offloads: 0x1f,
        longest_queue: u32::MAX,
        few_pages: true,
    };
    /// Linux 6.12, as in Debian 13: up to 6.12.107 at least.
    pub const LINUX_6_12: Self = Self {
        release: "6.12",
        proved_until: Some([6, 12, 107]),
        rename_while_up: true,
        vnet_rules: VnetRules::LINUX_6_12,
        exhausted: Errno::EEXIST,
        offloads: 0x7f,
        few_pages: false,
        ..Self::LINUX_6_1
    };
    /// Linux 6.12.117. At some release up to this one, a caller without privilege could no longer attach to
    /// an interface without an owner, and netlink began to refuse long queues.
    pub const LINUX_6_12_117: Self = Self {
        release: "6.12.117",
        proved_until: Some([6, 12, 117]),
        ownerless_attach: false,
        longest_queue: 32_767,
        ..Self::LINUX_6_12
    };
    /// Linux 6.17, the first with offloads of UDP tunnels.
    pub const LINUX_6_17: Self = Self {
        release: "6.17",
        proved_until: None,
        vnet_rules: VnetRules::LINUX_6_18,
        offloads: 0x1ff,
        ..Self::LINUX_6_12
    };
    /// Linux 6.18: up to 6.18.44 at least.
    pub const LINUX_6_18: Self =
        Self { release: "6.18", proved_until: Some([6, 18, 44]), ..Self::LINUX_6_17 };
    /// Linux 7.3: up to 7.3.4 at least. It decodes a packet to be segmented whose checksum is not left to it.
    pub const LINUX_7_3: Self = Self {
        release: "7.3",
        proved_until: Some([7, 3, 4]),
        ownerless_attach: false,
        vnet_rules: VnetRules::LINUX_7_3,
        longest_queue: 32_767,
        ..Self::LINUX_6_18
    };

    /// All profiles, oldest first.
    pub const ALL: &[Self] = &[
        Self::LINUX_6_1,
        Self::LINUX_6_12,
        Self::LINUX_6_12_117,
        Self::LINUX_6_17,
        Self::LINUX_6_18,
        Self::LINUX_7_3,
    ];

    /// The profile for a kernel release, as `uname -r` prints it: the newest profile that is not newer than
    /// the release, or the oldest one.
    ///
    /// ```
    /// use tunctl_mock::KernelProfile;
    ///
    /// assert_eq!(KernelProfile::of_release("6.12.107+deb13-cloud-amd64"), KernelProfile::LINUX_6_12);
    /// assert_eq!(KernelProfile::of_release("6.12.117"), KernelProfile::LINUX_6_12_117);
    /// assert!(!KernelProfile::of_release("6.12.120").is_proved());
    /// ```
    #[must_use]
    pub fn of_release(release: &str) -> Self {
        let wanted = version(release);
        let older = Self::ALL.iter().rev().find(|profile| version(profile.release) <= wanted);
        let profile = *older.unwrap_or(&Self::LINUX_6_1);
        // A run on one release proves nothing about a later one.
        Self { proved_until: profile.proved_until.filter(|&last| wanted <= last), ..profile }
    }

    /// The kernel series.
    #[must_use]
    pub const fn release(&self) -> &'static str {
        self.release
    }

    /// Whether the suite was run on that kernel and the model agreed.
    #[must_use]
    pub const fn is_proved(&self) -> bool {
        self.proved_until.is_some()
    }

    /// Whether a caller without privilege may attach to a persistent interface that has neither owner nor
    /// group.
    #[must_use]
    pub const fn ownerless_attach(&self) -> bool {
        self.ownerless_attach
    }

    /// Whether an interface may be renamed while it is up.
    #[must_use]
    pub const fn rename_while_up(&self) -> bool {
        self.rename_while_up
    }

    /// What the kernel demands of a virtio-net header in front of a packet that a program sends.
    #[must_use]
    pub const fn vnet_rules(&self) -> VnetRules {
        self.vnet_rules
    }

    /// The errno for a pattern whose next number would make the name too long.
    #[must_use]
    pub const fn exhausted(&self) -> Errno {
        self.exhausted
    }

    /// The creation flags of [`CreateFlags::OPTIONAL`] that the model has. It has no queueing discipline, in
    /// which packets would wait (`BACKPRESSURE`).
    #[must_use]
    pub const fn flags(&self) -> CreateFlags {
        self.flags
    }

    /// The offloads that a reader may set, as a mask of `TUN_F_` bits.
    #[doc(alias = "TUNSETOFFLOAD")]
    #[must_use]
    pub const fn offloads(&self) -> u32 {
        self.offloads
    }

    /// The longest queue that netlink lets a program ask for (`ifla_policy`), in packets.
    #[must_use]
    pub const fn longest_queue(&self) -> u32 {
        self.longest_queue
    }

    /// Whether a packet whose virtio-net header states the length of its headers has room for 17 pages behind
    /// these (`tun_alloc_skb`, Linux 6.1). Since Linux 6.6, more of it is in one piece.
    #[must_use]
    pub const fn few_pages(&self) -> bool {
        self.few_pages
    }

    /// The same differences, for the conformance suite.
    #[cfg(feature = "conformance")]
    #[must_use]
    pub const fn conformance(&self) -> tunctl_conformance::Profile {
        tunctl_conformance::Profile::LINUX_6_18
            .with_ownerless_attach(self.ownerless_attach)
            .with_rename_while_up(self.rename_while_up)
            .with_vnet_rules(self.vnet_rules)
            .with_exhausted_errno(self.exhausted.number())
            .with_longest_queue(self.longest_queue)
            .with_few_pages(self.few_pages)
    }

    /// The same profile with another rule for interfaces that have neither owner nor group.
    #[must_use]
    pub const fn with_ownerless_attach(self, permitted: bool) -> Self {
        Self { ownerless_attach: permitted, proved_until: None, ..self }
    }
}

impl Default for KernelProfile {
    fn default() -> Self {
        Self::LINUX_6_18
    }
}

impl fmt::Display for KernelProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}{}", self.release, if self.is_proved() { "" } else { " (unproved)" })
    }
}

/// In Debian's releases of this series (`6.1.0-50`), the third number is always 0.
const SERIES_OF_6_1: [u32; 3] = [6, 1, 0];

/// The first three numbers of a release; 0 for a missing one.
fn version(release: &str) -> [u32; 3] {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    [(); 3].map(|()| numbers.next().and_then(Result::ok).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was observed on each kernel, written a second time, so that a slip in either place fails.
    #[test]
    fn each_kernel_is_as_it_was_found() {
        type Row = (KernelProfile, &'static str, bool, bool, bool, Errno, u32);
        const ROWS: [Row; 6] = [
            (KernelProfile::LINUX_6_1, "Linux 6.1", true, false, false, Errno::ENFILE, 0x1f),
            (KernelProfile::LINUX_6_12, "Linux 6.12", true, true, true, Errno::EEXIST, 0x7f),
            (KernelProfile::LINUX_6_12_117, "Linux 6.12.117", false, true, true, Errno::EEXIST, 0x7f),
            (KernelProfile::LINUX_6_17, "Linux 6.17 (unproved)", true, true, true, Errno::EEXIST, 0x1ff),
            (KernelProfile::LINUX_6_18, "Linux 6.18", true, true, true, Errno::EEXIST, 0x1ff),
            (KernelProfile::LINUX_7_3, "Linux 7.3", false, true, true, Errno::EEXIST, 0x1ff),
        ];
        assert_eq!(ROWS.map(|row| row.0), KernelProfile::ALL);
        for (profile, text, ownerless, rename, checksum, exhausted, offloads) in ROWS {
            assert_eq!(profile.to_string(), text);
            assert_eq!(profile.is_proved(), !text.ends_with("(unproved)"), "{text}");
            assert_eq!(profile.ownerless_attach(), ownerless, "{text}");
            assert_eq!(profile.rename_while_up(), rename, "{text}");
            assert_eq!(profile.vnet_rules().checksum_behind_ip(), checksum, "{text}");
            assert_eq!(profile.exhausted(), exhausted, "{text}");
            assert_eq!(profile.offloads(), offloads, "{text}");
            assert_eq!(profile.vnet_rules().tunnels(), offloads == 0x1ff, "{text}");
            let bounded = [KernelProfile::LINUX_6_12_117, KernelProfile::LINUX_7_3].contains(&profile);
            let decodes = profile == KernelProfile::LINUX_7_3;
            assert_eq!(profile.vnet_rules().decodes_segments(), decodes, "{text}");
            assert_eq!(profile.few_pages(), profile == KernelProfile::LINUX_6_1, "{text}");
            assert_eq!(profile.longest_queue(), if bounded { 32_767 } else { u32::MAX }, "{text}");
        }
    }

    #[test]
    fn a_run_proves_no_later_release() {
        for (release, proved) in [
            ("6.1.0-50-cloud-amd64", true),
            ("6.1.1", false),
            ("6.12.90", true),
            ("6.12.107", true),
            ("6.12.108", false),
            ("6.12.117+deb13-cloud-amd64", true),
            ("6.12.118", false),
            ("6.17.1", false),
            ("6.18.44", true),
            ("6.18.45", false),
            ("7.3.4+deb13-cloud-amd64", true),
            ("7.3.5", false),
            ("7.4.1", false),
        ] {
            assert_eq!(KernelProfile::of_release(release).is_proved(), proved, "{release}");
        }
    }

    #[test]
    fn what_is_made_up_is_unproved() {
        let known = KernelProfile::LINUX_6_18;
        let made_up = known.with_ownerless_attach(false);
        assert!(known.is_proved() && !made_up.is_proved());
        assert!(!made_up.ownerless_attach());
        assert_eq!(made_up.release(), known.release());
    }

    #[test]
    fn a_release_finds_its_series_or_the_one_before() {
        for (release, series) in [
            ("5.10.0-28-amd64", "6.1"),
            ("6.1.0-18-amd64", "6.1"),
            ("6.12.107+deb13-cloud-amd64", "6.12"),
            ("6.16.9", "6.12.117"),
            ("6.17.2", "6.17"),
            ("6.18.44", "6.18"),
            ("7.3.4", "7.3"),
            ("9", "7.3"),
        ] {
            assert_eq!(KernelProfile::of_release(release).release(), series, "{release}");
        }
    }
}
