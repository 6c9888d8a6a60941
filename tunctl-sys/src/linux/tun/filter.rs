//! The requests about filters, and about the program that chooses a queue.
#![allow(unsafe_code, reason = "the ioctl requests are declared here, each with the proof of its argument")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{ByValue, Setter, TunDriver};
use crate::ioctl::DriverFd;
use crate::linux::filter::{FilterInstruction, FilterProgram, MacFilterRequest};
use crate::linux::{TUNATTACHFILTER, TUNDETACHFILTER, TUNSETFILTEREBPF, TUNSETSTEERINGEBPF, TUNSETTXFILTER};

// SAFETY: `update_filter` copies in the four bytes of `struct tun_filter` that precede its addresses, then as
// many addresses of six bytes as they count. A `MacFilterRequest` counts no more than it has. The driver
// writes nothing.
const SET_TX_FILTER: Setter<MacFilterRequest> = unsafe { Setter::new(TUNSETTXFILTER) };
// SAFETY: `__tun_chr_ioctl` ignores the argument.
const DETACH_FILTER: ByValue = unsafe { ByValue::new(TUNDETACHFILTER) };
// SAFETY: the opcode says that the driver writes, but `tun_set_ebpf` copies one `int` in and writes nothing.
const SET_STEERING: Setter<c_int> = unsafe { Setter::new(TUNSETSTEERINGEBPF) };
// SAFETY: as for the steering program: `tun_set_ebpf` copies one `int` in and writes nothing.
const SET_FILTER: Setter<c_int> = unsafe { Setter::new(TUNSETFILTEREBPF) };

/// Removes the filters by which a tap drops frames: the MAC filter and the classic BPF program.
///
/// # Errors
///
/// `EINVAL`: the interface is a tun, which has no such filters. `EBADFD`: as
/// [`set_persist`](super::set_persist).
pub fn set_tap_filters_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    set_mac_filter_off(fd)?;
    detach_filter(fd)
}

/// Sets the filter by which a tap drops frames to other MAC addresses. Returns how many addresses it compares
/// exactly; without any, there is no filter.
///
/// Of the addresses, the driver (`update_filter`, Linux 6.18) compares the first eight exactly. Of those that
/// follow, it keeps a hash of 64 bits, if all of them are groups; otherwise it removes the filter.
///
/// # Errors
///
/// As [`set_tap_filters_off`].
#[doc(alias = "TUNSETTXFILTER")]
pub fn set_mac_filter(fd: impl DriverFd<TunDriver>, filter: &MacFilterRequest) -> io::Result<c_int> {
    SET_TX_FILTER.call(fd, filter)
}

/// Removes the filter by which a tap drops frames to other MAC addresses.
///
/// # Errors
///
/// As [`set_tap_filters_off`].
#[doc(alias = "TUNSETTXFILTER")]
pub fn set_mac_filter_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    set_mac_filter(fd, &MacFilterRequest::NONE).map(drop)
}

/// Has a classic BPF program drop or cut the frames to the queues that are in service, in place of the one
/// that they had. Returns whether there is any such queue.
///
/// The driver keeps the program's address, to read the program again when a queue is attached. If it then
/// reads one, it reports success and attaches no queue (`tun_attach`, Linux 6.18). So a second request
/// follows here, which is refused. It leaves the programs where they are, and makes the driver forget that
/// there is one (`tun_attach_filter`, `tun_detach_filter`).
///
/// # Errors
///
/// `EINVAL`: the interface is a tun; or the kernel does not accept the program. `ENOMEM`: the program is
/// longer than the sysctl `net.core.optmem_max` permits. `EBADFD`: as [`set_persist`](super::set_persist).
#[doc(alias = "TUNATTACHFILTER")]
pub fn attach_filter(fd: impl DriverFd<TunDriver>, program: &[FilterInstruction]) -> io::Result<bool> {
    let too_long = || io::Error::from_raw_os_error(libc::EINVAL);
    let program = FilterProgram::new(program).ok_or_else(too_long)?;
    // SAFETY: `__tun_chr_ioctl` copies a `struct sock_fprog` in, which `FilterProgram` is, without padding.
    // `sk_attach_filter` copies as many instructions as it says from the address in it, which are borrowed
    // until the second request has returned; that replaces the address by a null pointer, which it refuses.
    // Nothing is written.
    let attach = unsafe { Setter::<FilterProgram<'_>>::new(TUNATTACHFILTER) };
    attach.call(fd, &program)?;
    match attach.call(fd, &FilterProgram::NONE) {
        // Without a queue, there is none that could refuse it, and the driver would offer it to the next one:
        // attaching that queue would then report an error, although it is attached (`tun_attach`).
        Ok(_) => detach_filter(fd).map(|()| false),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(true),
        // The driver has not forgotten the program. Without one, there is nothing to read again.
        Err(error) => detach_filter(fd).and(Err(error)),
    }
}

/// Removes the classic BPF program by which a tap drops or cuts frames, from the queues that are in service.
///
/// # Errors
///
/// As [`set_tap_filters_off`].
#[doc(alias = "TUNDETACHFILTER")]
pub fn detach_filter(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    DETACH_FILTER.call(fd, 0).map(drop)
}

/// Removes the eBPF programs that choose a packet's queue and that cut or drop packets.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`](super::set_persist). `EINVAL`: the kernel is older than these programs.
pub fn set_programs_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    set_steering_program_off(fd)?;
    set_filter_program_off(fd)
}

/// Has an eBPF program, of the type for socket filters, choose the queue of each packet.
///
/// # Errors
///
/// `EBADF`, `EINVAL`: the descriptor is not one of such a program. Otherwise as [`set_programs_off`].
#[doc(alias = "TUNSETSTEERINGEBPF")]
pub fn set_steering_program(fd: impl DriverFd<TunDriver>, program: BorrowedFd<'_>) -> io::Result<()> {
    SET_STEERING.call(fd, &program.as_raw_fd()).map(drop)
}

/// Removes the eBPF program that chooses a packet's queue.
///
/// # Errors
///
/// As [`set_programs_off`].
#[doc(alias = "TUNSETSTEERINGEBPF")]
pub fn set_steering_program_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    SET_STEERING.call(fd, &-1).map(drop)
}

/// Has an eBPF program, of the type for socket filters, cut or drop packets.
///
/// # Errors
///
/// As [`set_steering_program`].
#[doc(alias = "TUNSETFILTEREBPF")]
pub fn set_filter_program(fd: impl DriverFd<TunDriver>, program: BorrowedFd<'_>) -> io::Result<()> {
    SET_FILTER.call(fd, &program.as_raw_fd()).map(drop)
}

/// Removes the eBPF program that cuts or drops packets.
///
/// # Errors
///
/// As [`set_programs_off`].
#[doc(alias = "TUNSETFILTEREBPF")]
pub fn set_filter_program_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    SET_FILTER.call(fd, &-1).map(drop)
}
