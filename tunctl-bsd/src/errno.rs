//! The errnos of these systems, which are the same on all five but where it is said.
//!
//! The models of the drivers run on Linux, whose numbers differ: so neither libc's constants nor the standard library's kinds are of
//! use here.

use std::io;

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(
            #[allow(dead_code, reason = "some are only told")]
            pub(crate) const $name: i32 = $number;
        )*

        /// What the system calls it.
        pub(crate) const fn text(errno: i32) -> &'static str {
            match errno {
                $($number => $text,)*
                _ => "Unknown error",
            }
        }
    };
}

errnos! {
    EPERM = 1, "Operation not permitted";
    ENOENT = 2, "No such file or directory";
    EINTR = 4, "Interrupted system call";
    EIO = 5, "Input/output error";
    ENXIO = 6, "Device not configured";
    EBADF = 9, "Bad file descriptor";
    ENOMEM = 12, "Cannot allocate memory";
    EACCES = 13, "Permission denied";
    EBUSY = 16, "Device busy";
    EEXIST = 17, "File exists";
    ENODEV = 19, "Operation not supported by device";
    EINVAL = 22, "Invalid argument";
    ENFILE = 23, "Too many open files in system";
    EMFILE = 24, "Too many open files";
    ENOTTY = 25, "Inappropriate ioctl for device";
    EAGAIN = 35, "Resource temporarily unavailable";
    EMSGSIZE = 40, "Message too long";
    EOPNOTSUPP = 45, "Operation not supported";
    EAFNOSUPPORT = 47, "Address family not supported by protocol family";
    EADDRNOTAVAIL = 49, "Can't assign requested address";
    ENETDOWN = 50, "Network is down";
    ENOBUFS = 55, "No buffer space available";
    EHOSTDOWN = 64, "Host is down";
}

/// The number of an error; 0 if it has none, which is no errno.
pub(crate) fn of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// An error of the system that a model, or this crate itself, answers with.
pub(crate) fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
