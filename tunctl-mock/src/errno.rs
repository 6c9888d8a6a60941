//! Linux's error numbers, on every host.

use std::fmt;

macro_rules! errnos {
    ($($(#[$docs:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// An error number of Linux, whatever system the program runs on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Errno {
            $($(#[$docs])* $name = $number,)*
        }

        impl Errno {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it means, in Linux's words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
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
    /// Nothing is there, or there is no room.
    EAGAIN = 11, "Resource temporarily unavailable";
    /// No memory.
    ENOMEM = 12, "Cannot allocate memory";
    /// The device node is closed to the caller; or IPv6 is switched off.
    EACCES = 13, "Permission denied";
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
    /// The descriptor is attached to nothing.
    EBADFD = 77, "File descriptor in bad state";
    /// There is no such address.
    EADDRNOTAVAIL = 99, "Cannot assign requested address";
    /// No room in the kernel's buffers.
    ENOBUFS = 105, "No buffer space available";
}

impl Errno {
    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
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
    }
}
