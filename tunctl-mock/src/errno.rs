//! Linux's error numbers, on every host.

use std::fmt;

use tunctl_core::{Cause, Reason};

macro_rules! errnos {
    ($($(#[$docs:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// An errno of Linux, whatever system the program runs on.
        ///
        /// Those that a TUN/TAP program may meet have a name; any other is made [from a number](Self::new).
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct Errno(i32);

        impl Errno {
            $($(#[$docs])* pub const $name: Self = Self($number);)*

            /// All errnos that have a name here.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Linux's text for it.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "Unknown error",
                }
            }

            /// The reason for a refusal: a system call that fails with this errno.
            pub(crate) const fn reason(self, cause: Cause) -> Reason {
                Reason::new(cause).with_foreign_errno(self.0, self.text())
            }

            const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    /// The caller lacks a privilege, or ownership.
    EPERM = 1, "Operation not permitted";
    /// The device node does not exist.
    ENOENT = 2, "No such file or directory";
    /// A signal interrupted the call.
    EINTR = 4, "Interrupted system call";
    /// The interface is down.
    EIO = 5, "Input/output error";
    /// The interface has as many queues as it can have.
    E2BIG = 7, "Argument list too long";
    /// There is no such device behind the node.
    ENXIO = 6, "No such device or address";
    /// The descriptor is closed.
    EBADF = 9, "Bad file descriptor";
    /// There is no packet, or no room for one.
    EAGAIN = 11, "Resource temporarily unavailable";
    /// No memory.
    ENOMEM = 12, "Cannot allocate memory";
    /// The caller may not open the device node, or IPv6 is switched off.
    EACCES = 13, "Permission denied";
    /// Memory cannot be accessed; also the end of a blocked read when the interface is deleted.
    EFAULT = 14, "Bad address";
    /// The interface, or its only queue, is in use.
    EBUSY = 16, "Device or resource busy";
    /// It exists already.
    EEXIST = 17, "File exists";
    /// There is no such interface, or no driver.
    ENODEV = 19, "No such device";
    /// The request is invalid.
    EINVAL = 22, "Invalid argument";
    /// The system has too many files open, or a pattern has no number left.
    ENFILE = 23, "Too many open files in system";
    /// The process has too many files open.
    EMFILE = 24, "Too many open files";
    /// The descriptor does not belong to the driver.
    ENOTTY = 25, "Inappropriate ioctl for device";
    /// A device has no room, or a limit is reached.
    ENOSPC = 28, "No space left on device";
    /// The other end is closed.
    EPIPE = 32, "Broken pipe";
    /// A number is out of range.
    ERANGE = 34, "Numerical result out of range";
    /// The kernel does not have the system call.
    ENOSYS = 38, "Function not implemented";
    /// The descriptor is not attached to an interface.
    EBADFD = 77, "File descriptor in bad state";
    /// The packet is too long.
    EMSGSIZE = 90, "Message too long";
    /// It is not supported.
    EOPNOTSUPP = 95, "Operation not supported";
    /// There is no such address.
    EADDRNOTAVAIL = 99, "Cannot assign requested address";
    /// The network is down.
    ENETDOWN = 100, "Network is down";
    /// The kernel's buffers have no room.
    ENOBUFS = 105, "No buffer space available";
}

impl Errno {
    /// An errno from its number.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (os error {})", self.text(), self.number())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_those_of_linux() {
        for errno in Errno::ALL {
            let host = std::io::Error::from_raw_os_error(errno.number());
            assert_eq!(errno.to_string(), host.to_string());
        }
        assert_eq!(Errno::new(4095).to_string(), "Unknown error (os error 4095)");
        assert_eq!(format!("{:?} {:?}", Errno::EIO, Errno::new(4095)), "EIO Errno(4095)");
    }
}
