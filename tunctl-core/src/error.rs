//! The one error type: which operation failed, on which interface, why, and what to do.

use std::fmt;
use std::io;

use crate::reason::Errno;
use crate::{
    Cause, Holder, InterfaceName, InvalidAddress, InvalidMac, InvalidMtu, InvalidName, InvalidOptions,
    NamePattern, Operation, Reason,
};

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// It prints as three parts, *what*, *why* and *what to do*:
///
/// ```text
/// create vpn0: CAP_NET_ADMIN is missing (Operation not permitted, os error 1). Run it with sudo, or …
/// ```
///
/// [`Debug`](fmt::Debug) prints the same sentence, since `fn main() -> Result<()>` and `unwrap()` use it;
/// `{:#?}` shows the fields.
///
/// For programs, [`cause`](Self::cause) is an enumeration, and the errno is kept:
/// [`raw_os_error`](Self::raw_os_error) returns it and the conversion to [`io::Error`] keeps its kind. An
/// error allocates only for details that vary, so [`Cause::WouldBlock`] costs an event loop no allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    operation: Operation,
    name: Option<NamePattern>,
    reason: Reason,
}

impl Error {
    /// The error of an operation that failed for this reason. A bare [`Cause`] is a reason too.
    #[must_use]
    pub fn new(operation: Operation, reason: impl Into<Reason>) -> Self {
        Self { operation, name: None, reason: reason.into() }
    }

    /// Reports the error under the operation that the caller asked for, rather than the step that failed.
    #[must_use]
    pub const fn with_operation(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }

    /// Adds the name of the interface, or the pattern that the caller asked for.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<NamePattern>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A text that is not what it should be, which the error quotes.
    pub(crate) fn refused_text(text: &impl fmt::Debug, invalid: impl Into<Self> + fmt::Display) -> Self {
        let detail = format!("{text:?} is refused: {invalid}");
        let mut error = invalid.into();
        error.reason = error.reason.with_detail(detail);
        error
    }

    /// Adds what the undoing of a change could not restore.
    pub(crate) fn with_leftovers(mut self, leftovers: Option<String>) -> Self {
        self.reason.set_leftovers(leftovers);
        self
    }

    /// The operation that failed.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Why it failed.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.reason.cause()
    }

    /// The errno of the system call that failed, if one did. The errno of a mock or a model is that of the
    /// system that it stands for, not of the host.
    #[doc(alias = "errno")]
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        match self.reason.errno() {
            Some(errno) => Some(errno.number),
            None => None,
        }
    }

    /// The interface, if there is one.
    #[must_use]
    pub fn interface(&self) -> Option<InterfaceName> {
        self.name.as_ref().and_then(NamePattern::exact)
    }

    /// What to do about it, if there is advice.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.reason.remedy()
    }

    /// For [`Cause::Busy`], the processes that hold the interface, as far as the caller may see them.
    #[must_use]
    pub fn holders(&self) -> &[Holder] {
        self.reason.holders()
    }

    /// What could not be restored after a configuration failed half-way: a phrase for each property that has
    /// changed.
    #[must_use]
    pub fn leftovers(&self) -> Option<&str> {
        self.reason.leftovers()
    }

    /// Only this packet is lost, and nothing else is wrong: the device was down, the packet was too short or
    /// malformed, or the system had no buffers for it. A loop that forwards packets counts it and goes on.
    #[must_use]
    pub const fn is_packet_lost(&self) -> bool {
        matches!(self.cause(), Cause::Down | Cause::TooShort | Cause::MalformedPacket | Cause::NoBuffers)
    }

    /// The interface was deleted: stop, rather than try again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.cause() == Cause::Gone
    }

    /// There is no packet, or no room, yet: wait, then try again.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.cause() == Cause::WouldBlock
    }

    /// No packet arrived in time: [`TunDevice::recv_timeout`](crate::TunDevice::recv_timeout) timed out.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.cause() == Cause::TimedOut
    }

    /// An [`Interrupter`](crate::Interrupter) was used: stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.cause() == Cause::Interrupted
    }

    /// The I/O error kind of the errno. It is the cause's kind where the standard library has none for the
    /// errno, or the errno is not the host's.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        let kind_of = |errno| io::Error::from_raw_os_error(errno).kind();
        // `ErrorKind::Uncategorized` cannot be named on stable Rust.
        let unknown = kind_of(i32::MAX);
        let own = self.reason.errno().filter(|errno| errno.text.is_none());
        own.map(|errno| kind_of(errno.number))
            .filter(|&kind| kind != unknown)
            .unwrap_or(self.cause().io_kind())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} {name}", self.operation)?,
            None => f.write_str(self.operation.alone())?,
        }
        let explanation = self.reason.explanation();
        let errno = self.reason.errno().map(Errno::meaning);
        match (explanation.is_empty(), errno) {
            (true, None) => {}
            (true, Some((meaning, number))) => write!(f, ": {meaning} (os error {number})")?,
            (false, None) => write!(f, ": {explanation}")?,
            // First what is known: the errno alone often says something else.
            (false, Some((meaning, number))) => write!(f, ": {explanation} ({meaning}, os error {number})")?,
        }
        for (position, holder) in self.holders().iter().enumerate() {
            write!(f, "{}{holder}", if position == 0 { ", held by " } else { ", " })?;
        }
        if let Some(leftovers) = self.leftovers() {
            write!(f, ". Not undone: {leftovers}")?;
        }
        match self.remedy() {
            Some(remedy) => write!(f, ". {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    /// The message; with `{:#?}`, the fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let mut parts = f.debug_struct("Error");
        parts.field("operation", &format_args!("{:?}", self.operation));
        parts.field("cause", &format_args!("{:?}", self.cause()));
        if let Some(name) = &self.name {
            parts.field("name", name);
        }
        if let Some(errno) = self.raw_os_error() {
            parts.field("errno", &errno);
        }
        parts.field("explanation", &self.reason.explanation());
        if !self.holders().is_empty() {
            parts.field("holders", &self.holders());
        }
        if let Some(leftovers) = self.leftovers() {
            parts.field("leftovers", &leftovers);
        }
        if let Some(remedy) = self.remedy() {
            parts.field("remedy", &remedy);
        }
        parts.finish()
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// The kind is kept, and the error itself inside; only [`io::Error::raw_os_error`] is lost, since an
    /// `io::Error` has room for one of the two.
    fn from(error: Error) -> Self {
        match error.reason.errno() {
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
                Reason::new(Cause::$cause).with_detail(invalid.to_string()).of(Operation::Parse)
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

impl From<std::convert::Infallible> for Error {
    /// For setters that take a value or a text: a value cannot be wrong.
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_capability() -> Error {
        Reason::new(Cause::MissingCapability)
            .with_errno(1)
            .with_remedy("Run it with sudo.")
            .of(Operation::Create)
            .with_name(NamePattern::new("vpn%d").unwrap())
    }

    #[test]
    fn an_error_of_a_library_says_what_it_can() {
        let of = |errno| Reason::from_io(&io::Error::from_raw_os_error(errno)).of(Operation::Wait);
        assert_eq!((of(24).cause(), of(24).raw_os_error()), (Cause::TooManyOpenFiles, Some(24)));
        assert_eq!((of(23).cause(), of(12).cause()), (Cause::TooManyOpenFiles, Cause::Other));
        assert!(of(24).remedy().is_some_and(|remedy| remedy.contains("ulimit -n")));
        let other = Reason::from_io(&io::Error::other("the loop is closed")).of(Operation::Wait);
        assert_eq!((other.cause(), other.raw_os_error()), (Cause::Other, None));
        assert!(other.to_string().ends_with("the loop is closed"), "{other}");
    }

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        assert_eq!(
            missing_capability().to_string(),
            "create vpn%d: the privilege to configure networks is missing (Operation not permitted, os error 1). \
             Run it with sudo."
        );
        let holder = Holder::new;
        let busy = Reason::new(Cause::Busy).with_holders(vec![holder(7, "qemu"), holder(9, "sh")]);
        let busy = busy.with_remedy("Stop it.").of(Operation::Open);
        assert_eq!(
            busy.with_name(InterfaceName::new("tap0").unwrap()).to_string(),
            "open tap0: the interface is in use, held by qemu (pid 7), sh (pid 9). Stop it."
        );
        let parsed = Error::from(InvalidName::Dots);
        assert_eq!(parsed.to_string(), "parse: an interface cannot be called \".\" or \"..\"");
    }

    #[test]
    fn what_a_newcomer_sees_of_an_unwrapped_error_is_the_sentence() {
        let error = missing_capability();
        assert_eq!(format!("{error:?}"), error.to_string());
        let parts = format!("{error:#?}");
        for part in [
            "operation: Create",
            "cause: MissingCapability",
            "name: \"vpn%d\"",
            "errno: 1",
            "remedy: \"Run it",
        ] {
            assert!(parts.contains(part), "{parts}");
        }
    }

    #[test]
    fn what_was_not_undone_stands_before_the_remedy() {
        let error = missing_capability().with_leftovers(Some("its MTU is 1200, and was 1500".into()));
        let text = error.to_string();
        assert!(text.contains("os error 1). Not undone: its MTU is 1200, and was 1500. Run it"), "{text}");
        assert_eq!(error.with_leftovers(None), missing_capability());
    }

    #[test]
    fn a_lost_packet_is_no_reason_to_stop() {
        let lost = [Cause::Down, Cause::TooShort, Cause::MalformedPacket, Cause::NoBuffers];
        for &cause in Cause::ALL {
            let error = Error::new(Operation::Send, cause);
            assert_eq!(error.is_packet_lost(), lost.contains(&cause), "{cause:?}");
        }
    }

    #[test]
    fn the_conversion_to_an_io_error_keeps_kind_and_errno() {
        let error = io::Error::from(missing_capability());
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let inside = error.get_ref().and_then(|inside| inside.downcast_ref::<Error>()).unwrap();
        assert_eq!(inside.raw_os_error(), Some(1));
        let waiting = Reason::new(Cause::WouldBlock).with_errno(11).of(Operation::Receive);
        assert_eq!(io::Error::from(waiting).kind(), io::ErrorKind::WouldBlock);
        // EBADFD, for which the standard library has no kind.
        let gone = io::Error::from(Reason::new(Cause::Gone).with_errno(77).of(Operation::Receive));
        assert_eq!(gone.kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn a_foreign_errno_is_shown_in_its_own_systems_words() {
        // 35 is EAGAIN on the BSDs, and EDEADLK on Linux.
        let reason =
            Reason::new(Cause::WouldBlock).with_foreign_errno(35, "Resource temporarily unavailable");
        let error = reason.of(Operation::Receive);
        assert_eq!(error.raw_os_error(), Some(35));
        assert_eq!(
            error.to_string(),
            "receive: the operation would have to wait (Resource temporarily unavailable, os error 35)"
        );
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::WouldBlock);
    }
}
