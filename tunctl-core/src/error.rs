//! The one error type: what was asked, of which interface, why it failed, and what to do.

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::{
    Cause, Holder, InterfaceName, InvalidAddress, InvalidMac, InvalidMtu, InvalidName, InvalidOptions,
    NamePattern, Operation,
};

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// It prints as three parts, *what*, *why* and *what to do*:
///
/// ```text
/// create vpn0: Operation not permitted (os error 1): CAP_NET_ADMIN is missing. Run it with sudo, or …
/// ```
///
/// For programs, [`cause`](Self::cause) is an enumeration, and the errno is kept: [`raw_os_error`](Self::raw_os_error)
/// returns it and the conversion to [`io::Error`] keeps its kind. Making an error allocates nothing unless it has
/// details of the moment to tell, so an event loop may meet [`Cause::WouldBlock`] as often as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    operation: Operation,
    cause: Cause,
    errno: Option<Errno>,
    name: Option<NamePattern>,
    // Boxed, so that a result is small; most errors of an event loop have none.
    particulars: Option<Box<Particulars>>,
}

/// An error number, and whose it is: the same number means another thing on another system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Errno {
    number: i32,
    /// What it means, where it is not the host's.
    text: Option<&'static str>,
}

/// What only this error has to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Particulars {
    detail: Option<Cow<'static, str>>,
    remedy: Option<Cow<'static, str>>,
    holders: Vec<Holder>,
}

impl Error {
    /// An error, for a backend to complete.
    #[must_use]
    pub const fn new(operation: Operation, cause: Cause) -> Self {
        Self { operation, cause, errno: None, name: None, particulars: None }
    }

    /// An error of the standard library, or of an event loop: for what is done with a device's descriptor beside the driver.
    ///
    /// Its cause is `TooManyOpenFiles` or `Other`.
    #[must_use]
    pub fn from_io(operation: Operation, error: &io::Error) -> Self {
        let of = |cause| Self::new(operation, cause);
        match error.raw_os_error() {
            // The standard library has no kind for them, and they are the same on every Unix system.
            Some(enfile @ 23) => of(Cause::TooManyOpenFiles)
                .with_errno(enfile)
                .with_remedy("Raise the system's limit of open files, or close some."),
            Some(emfile @ 24) => of(Cause::TooManyOpenFiles)
                .with_errno(emfile)
                .with_remedy("Raise the limit (ulimit -n), or close some."),
            Some(errno) => of(Cause::Other).with_errno(errno),
            None => of(Cause::Other).with_detail(error.to_string()),
        }
    }

    /// With the errno of the system call that failed.
    #[must_use]
    pub const fn with_errno(mut self, errno: i32) -> Self {
        self.errno = Some(Errno { number: errno, text: None });
        self
    }

    /// With an errno that need not be the host's, and what it means: that of a kernel model, or of another system.
    #[must_use]
    pub const fn with_foreign_errno(mut self, errno: i32, text: &'static str) -> Self {
        self.errno = Some(Errno { number: errno, text: Some(text) });
        self
    }

    /// The same, of another operation: the one that was asked for, where it failed at another that is a step of it.
    #[must_use]
    pub const fn in_the_course_of(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    /// With the name of the interface, or the pattern that was asked for.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<NamePattern>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// With the explanation for a person, where the cause's own is too general.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.particulars().detail = Some(detail.into());
        self
    }

    /// With what to do about it: a sentence, or several.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.particulars().remedy = Some(remedy.into());
        self
    }

    /// With the processes that hold the interface.
    #[must_use]
    pub fn with_holders(mut self, holders: Vec<Holder>) -> Self {
        if !holders.is_empty() {
            self.particulars().holders = holders;
        }
        self
    }

    fn particulars(&mut self) -> &mut Particulars {
        self.particulars.get_or_insert_default()
    }

    /// What was asked.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Why it failed.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// The errno of the system call that failed, if one did: of the system that the backend stands for, which in tests may
    /// be another than the one that the program runs on.
    #[doc(alias = "errno")]
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        match self.errno {
            Some(errno) => Some(errno.number),
            None => None,
        }
    }

    /// The interface it was asked of, if there is one.
    #[must_use]
    pub fn interface(&self) -> Option<InterfaceName> {
        self.name.as_ref().and_then(NamePattern::exact)
    }

    /// What to do about it, if anything can be said.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.particulars.as_ref()?.remedy.as_deref()
    }

    /// The processes that hold the interface, for [`Cause::Busy`]; those that the caller may see.
    #[must_use]
    pub fn holders(&self) -> &[Holder] {
        self.particulars.as_ref().map_or(&[], |particulars| &particulars.holders)
    }

    /// The interface was deleted: stop, rather than try again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.cause == Cause::Gone
    }

    /// Nothing is there yet: wait, then try again.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.cause == Cause::WouldBlock
    }

    /// Nothing came in the time given: [`TunDevice::recv_timeout`](crate::TunDevice::recv_timeout) says so.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.cause == Cause::TimedOut
    }

    /// An [`Interrupter`](crate::Interrupter) was used: stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.cause == Cause::Interrupted
    }

    /// The kind of I/O error that this is: the errno's, or where the standard library has no kind for the errno, or the
    /// errno is not the host's, the cause's.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        let kind_of = |errno| io::Error::from_raw_os_error(errno).kind();
        // That kind has no name of its own to compare with.
        let unknown = kind_of(i32::MAX);
        let own = self.errno.filter(|errno| errno.text.is_none());
        own.map(|errno| kind_of(errno.number)).filter(|&kind| kind != unknown).unwrap_or(self.cause.io_kind())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        match self.errno {
            Some(Errno { number, text: Some(text) }) => write!(f, ": {text} (os error {number})")?,
            Some(Errno { number, text: None }) => write!(f, ": {}", io::Error::from_raw_os_error(number))?,
            None => {}
        }
        let detail = self.particulars.as_ref().and_then(|particulars| particulars.detail.as_deref());
        let explanation = detail.unwrap_or(self.cause.explanation());
        if !explanation.is_empty() {
            write!(f, ": {explanation}")?;
        }
        for (position, holder) in self.holders().iter().enumerate() {
            write!(f, "{}{holder}", if position == 0 { ", held by " } else { ", " })?;
        }
        match self.remedy() {
            Some(remedy) => write!(f, ". {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// The kind is kept, and the error itself inside; only [`io::Error::raw_os_error`] is lost, since an `io::Error`
    /// has room for one of the two.
    fn from(error: Error) -> Self {
        match error.errno {
            // The adapters' every-day case: no allocation.
            Some(Errno { number, text: None }) if error.is_would_block() => Self::from_raw_os_error(number),
            Some(_) if error.is_would_block() => io::ErrorKind::WouldBlock.into(),
            _ => Self::new(error.kind(), error),
        }
    }
}

macro_rules! from_parse_error {
    ($($invalid:ty => $cause:ident,)*) => {$(
        impl From<$invalid> for Error {
            fn from(invalid: $invalid) -> Self {
                Self::new(Operation::Parse, Cause::$cause).with_detail(invalid.to_string())
            }
        }
    )*};
}
from_parse_error! {
    InvalidName => InvalidName,
    InvalidOptions => InvalidOptions,
    InvalidAddress => InvalidAddress,
    InvalidMac => InvalidMac,
    InvalidMtu => InvalidMtu,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_capability() -> Error {
        Error::new(Operation::Create, Cause::MissingCapability)
            .with_errno(1)
            .with_name(NamePattern::new("vpn%d").unwrap())
            .with_remedy("Run it with sudo.")
    }

    #[test]
    fn an_error_of_a_library_tells_what_it_can() {
        let of = |errno| Error::from_io(Operation::Wait, &io::Error::from_raw_os_error(errno));
        assert_eq!((of(24).cause(), of(24).raw_os_error()), (Cause::TooManyOpenFiles, Some(24)));
        assert_eq!((of(23).cause(), of(12).cause()), (Cause::TooManyOpenFiles, Cause::Other));
        assert!(of(24).remedy().is_some_and(|remedy| remedy.contains("ulimit -n")));
        let told = Error::from_io(Operation::Wait, &io::Error::other("the loop is closed"));
        assert_eq!((told.cause(), told.raw_os_error()), (Cause::Other, None));
        assert!(told.to_string().ends_with("the loop is closed"), "{told}");
    }

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        assert_eq!(
            missing_capability().to_string(),
            "create vpn%d: Operation not permitted (os error 1): CAP_NET_ADMIN is missing. Run it with sudo."
        );
        let holder = Holder::new;
        let busy = Error::new(Operation::Open, Cause::Busy)
            .with_name(InterfaceName::new("tap0").unwrap())
            .with_holders(vec![holder(7, "qemu"), holder(9, "sh")]);
        assert_eq!(busy.to_string(), "open tap0: the interface is in use, held by qemu (pid 7), sh (pid 9)");
        let parsed = Error::from(InvalidName::Dots);
        assert_eq!(parsed.to_string(), "parse: an interface cannot be called \".\" or \"..\"");
    }

    #[test]
    fn the_conversion_to_an_io_error_keeps_kind_and_errno() {
        let error = io::Error::from(missing_capability());
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<Error>()).unwrap();
        assert_eq!(inside.raw_os_error(), Some(1));
        let waiting = Error::new(Operation::Receive, Cause::WouldBlock).with_errno(11);
        assert_eq!(io::Error::from(waiting).kind(), io::ErrorKind::WouldBlock);
        // EBADFD, for which the standard library has no kind.
        let gone = io::Error::from(Error::new(Operation::Receive, Cause::Gone).with_errno(77));
        assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn a_foreign_errno_is_told_in_its_own_system_s_words() {
        // 35 is EAGAIN on the BSDs, and EDEADLK on Linux.
        let error = Error::new(Operation::Receive, Cause::WouldBlock)
            .with_foreign_errno(35, "Resource temporarily unavailable");
        assert_eq!(error.raw_os_error(), Some(35));
        assert_eq!(
            error.to_string(),
            "receive from: Resource temporarily unavailable (os error 35): the operation would have to wait"
        );
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::WouldBlock);
    }
}
