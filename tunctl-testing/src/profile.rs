//! In what the running kernel differs from others.

use std::fs;

use tunctl_mock::KernelProfile;

/// The profile by which the mock stands for the running kernel: the suite judges both by it.
#[must_use]
pub(crate) fn running_kernel() -> KernelProfile {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel tells its version");
    KernelProfile::of_release(release.trim_end())
}
