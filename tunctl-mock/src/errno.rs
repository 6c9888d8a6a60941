//! Linux's error numbers, on every host.

use std::fmt;

use tunctl_core::{Cause, Reason};

macro_rules! errnos {
    ($($(#[$docs:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// An error number of Linux, whatever system the program runs on.
        ///
        /// Those that a TUN/TAP program may meet have a name; any other is made [from its number](Self::new).
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct Errno(i32);

        impl Errno {
            $($(#[$docs])* pub const $name: Self = Self($number);)*

            /// All that have a name.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it means, in Linux's words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "Unknown error",
                }
            }

            /// Why a rule refuses: a system call that answers with this number.
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
    /// A signal came in between.
    EINTR = 4, "Interrupted system call";
    /// The interface is down.
    EIO = 5, "Input/output error";
    /// The interface has as many queues as it may.
    E2BIG = 7, "Argument list too long";
    /// There is no such device behind the node.
    ENXIO = 6, "No such device or address";
    /// The descriptor is closed.
    EBADF = 9, "Bad file descriptor";
    /// Nothing is there, or there is no room.
    EAGAIN = 11, "Resource temporarily unavailable";
    /// No memory.
    ENOMEM = 12, "Cannot allocate memory";
    /// The device node is closed to the caller; or IPv6 is switched off.
    EACCES = 13, "Permission denied";
    /// Memory that cannot be reached; also how a read that was blocked ends on deletion.
    EFAULT = 14, "Bad address";
    /// The interface, or its only queue, is taken.
    EBUSY = 16, "Device or resource busy";
    /// It is there already.
    EEXIST = 17, "File exists";
    /// There is no such interface, or no driver.
    ENODEV = 19, "No such device";
    /// The request makes no sense.
    EINVAL = 22, "Invalid argument";
    /// The system has as many files open as it may, or no number is left for a pattern.
    ENFILE = 23, "Too many open files in system";
    /// The process has as many files open as it may.
    EMFILE = 24, "Too many open files";
    /// The descriptor is not the driver's.
    ENOTTY = 25, "Inappropriate ioctl for device";
    /// No room on a device, or a limit is reached.
    ENOSPC = 28, "No space left on device";
    /// The other end is gone.
    EPIPE = 32, "Broken pipe";
    /// A number is out of range.
    ERANGE = 34, "Numerical result out of range";
    /// The kernel has no such call.
    ENOSYS = 38, "Function not implemented";
    /// The descriptor is attached to nothing.
    EBADFD = 77, "File descriptor in bad state";
    /// The packet is too long.
    EMSGSIZE = 90, "Message too long";
    /// It is not supported.
    EOPNOTSUPP = 95, "Operation not supported";
    /// There is no such address.
    EADDRNOTAVAIL = 99, "Cannot assign requested address";
    /// The network is down.
    ENETDOWN = 100, "Network is down";
    /// No room in the kernel's buffers.
    ENOBUFS = 105, "No buffer space available";
}

impl Errno {
    /// Any number.
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
