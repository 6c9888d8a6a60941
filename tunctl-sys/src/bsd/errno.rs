//! The errnos of these systems. They are the same on all five, except where a comment says otherwise.
//!
//! The models of the drivers run on Linux, whose numbers differ. So neither libc's constants nor the standard
//! library's error kinds serve them. The texts are FreeBSD's.

use super::table::Row;

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        $(
            #[doc = concat!($text, ".")]
            pub const $name: i32 = $number;
        )*

        /// The text of an errno.
        #[must_use]
        pub const fn text(errno: i32) -> &'static str {
            match errno {
                $($number => $text,)*
                EOPNOTSUPP => "Operation not supported",
                ENOMSG => "No message of desired type",
                EOPNOTSUPP_OF_MACOS => "Operation not supported on socket",
                _ => "Unknown error",
            }
        }

        /// The errnos that are the same on all five systems.
        pub const TABLE: &[Row] = &[$((stringify!($name), $number)),*];
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
    ENOTSOCK = 38, "Socket operation on non-socket";
    EMSGSIZE = 40, "Message too long";
    ENOPROTOOPT = 42, "Protocol not available";
    EAFNOSUPPORT = 47, "Address family not supported by protocol family";
    EADDRNOTAVAIL = 49, "Can't assign requested address";
    ENETDOWN = 50, "Network is down";
    ENOBUFS = 55, "No buffer space available";
    ENAMETOOLONG = 63, "File name too long";
    EHOSTDOWN = 64, "Host is down";
}

/// Operation not supported. macOS calls this number `ENOTSUP`.
pub const EOPNOTSUPP: i32 = 45;
/// No message of the desired type, on FreeBSD: an interface has no description.
pub const ENOMSG: i32 = 83;
/// Operation not supported on socket: `EOPNOTSUPP` of macOS.
pub const EOPNOTSUPP_OF_MACOS: i32 = 102;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_has_its_text() {
        assert_eq!(text(EPERM), "Operation not permitted");
        assert_eq!(text(EHOSTDOWN), "Host is down");
        assert_eq!(text(EOPNOTSUPP), "Operation not supported");
        assert_eq!(text(0), "Unknown error");
    }
}
