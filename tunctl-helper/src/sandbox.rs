//! The few system calls that are left when the request is read.

// The machines that seccompiler knows. On another one the helper compiles, and refuses every request.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod filter;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub(crate) use filter::enter;

/// There is no filter for this machine.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(crate) fn enter(_settings: Option<std::os::fd::RawFd>) -> std::io::Result<()> {
    Err(nix::errno::Errno::ENOSYS.into())
}
