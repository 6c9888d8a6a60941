//! The requests about filters, and about the program that chooses a queue.
#![allow(unsafe_code, reason = "the ioctl requests are declared here, each with the proof of its argument")]

use std::ffi::c_int;
use std::io;

use super::{ByValue, Setter, TunDriver};
use crate::ioctl::DriverFd;
use crate::linux::{NoMacFilter, TUNDETACHFILTER, TUNSETFILTEREBPF, TUNSETSTEERINGEBPF, TUNSETTXFILTER};

// SAFETY: `update_filter` copies in the four bytes of `struct tun_filter` that precede its addresses, then as
// many addresses of six bytes as they count, which is none in the only `NoMacFilter` that exists. It writes
// nothing.
const SET_TX_FILTER: Setter<NoMacFilter> = unsafe { Setter::new(TUNSETTXFILTER) };
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

/// Removes the filter by which a tap drops frames to other MAC addresses.
///
/// # Errors
///
/// As [`set_tap_filters_off`].
#[doc(alias = "TUNSETTXFILTER")]
pub fn set_mac_filter_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    SET_TX_FILTER.call(fd, &NoMacFilter::ARGUMENT).map(drop)
}

/// Removes the classic BPF program by which a tap drops or cuts frames.
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

/// Removes the eBPF program that chooses a packet's queue.
///
/// # Errors
///
/// As [`set_programs_off`].
#[doc(alias = "TUNSETSTEERINGEBPF")]
pub fn set_steering_program_off(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    SET_STEERING.call(fd, &-1).map(drop)
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
