//! Why an operation failed, independent of the operation.

use std::borrow::Cow;
use std::io;

use crate::{Cause, Error, Holder, Operation};

/// Why something failed: a cause, and details for a person to read.
///
/// A backend, or a model of a kernel, states the reason once, at the rule that it enforces. [`of`](Self::of)
/// turns it into an [`Error`] where the operation is known:
///
/// ```
/// use tunctl_core::{Cause, Operation, Reason};
///
/// let down = Reason::new(Cause::Down).with_errno(5);
/// let error = down.of(Operation::Send).with_name("vpn0".parse::<tunctl_core::InterfaceName>()?);
/// assert_eq!(
///     error.to_string(),
///     "send to vpn0: the interface is down (Input/output error, os error 5). Bring it up first."
/// );
/// # Ok::<(), tunctl_core::InvalidName>(())
/// ```
///
/// It allocates only for details that vary.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Reason {
    cause: Cause,
    errno: Option<Errno>,
    // Boxed to keep results small: most errors of an event loop have none.
    particulars: Option<Box<Particulars>>,
}

/// An error number. The meaning of a number differs between systems, so a foreign one carries its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno {
    pub(crate) number: i32,
    /// The meaning of a foreign number; `None` for the host's own.
    pub(crate) text: Option<&'static str>,
}

impl Errno {
    /// What the number means, and the number.
    pub(crate) fn meaning(self) -> (Cow<'static, str>, i32) {
        let number = self.number;
        let Some(text) = self.text else {
            let text = io::Error::from_raw_os_error(number).to_string();
            let meaning = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
            return (meaning.to_owned().into(), number);
        };
        (text.into(), number)
    }
}

/// Details of a single error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Particulars {
    detail: Option<Cow<'static, str>>,
    remedy: Option<Cow<'static, str>>,
    holders: Vec<Holder>,
    leftovers: Option<String>,
}

impl Reason {
    /// A cause with its general explanation and remedy.
    pub const fn new(cause: Cause) -> Self {
        Self { cause, errno: None, particulars: None }
    }

    /// The reason for an I/O error about a descriptor, from the standard library or an event loop.
    ///
    /// Its cause is `WouldBlock`, `TooManyOpenFiles` or `Other`.
    pub fn from_io(error: &io::Error) -> Self {
        match error.raw_os_error() {
            // The standard library has no kind for these, and the numbers are the same on every Unix system.
            Some(enfile @ 23) => Self::new(Cause::TooManyOpenFiles)
                .with_errno(enfile)
                .with_remedy("Raise the system's limit of open files, or close some files."),
            Some(emfile @ 24) => Self::new(Cause::TooManyOpenFiles).with_errno(emfile),
            Some(errno) if error.kind() == io::ErrorKind::WouldBlock => {
                Self::new(Cause::WouldBlock).with_errno(errno)
            }
            Some(errno) => Self::new(Cause::Other).with_errno(errno),
            None => Self::new(Cause::Other).with_detail(error.to_string()),
        }
    }

    /// Adds the errno of the system call that failed.
    pub const fn with_errno(mut self, errno: i32) -> Self {
        self.errno = Some(Errno { number: errno, text: None });
        self
    }

    /// Adds an errno of another system, or of a model of one, and its meaning there.
    pub const fn with_foreign_errno(mut self, errno: i32, text: &'static str) -> Self {
        self.errno = Some(Errno { number: errno, text: Some(text) });
        self
    }

    /// Replaces the cause's explanation by a more specific one.
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.particulars_mut().detail = Some(detail.into());
        self
    }

    /// Replaces the cause's remedy by more specific advice: one or more sentences.
    pub fn with_remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.particulars_mut().remedy = Some(remedy.into());
        self
    }

    /// Adds the processes that hold the interface.
    pub fn with_holders(mut self, holders: Vec<Holder>) -> Self {
        if !holders.is_empty() {
            self.particulars_mut().holders = holders;
        }
        self
    }

    pub(crate) fn set_leftovers(&mut self, leftovers: Option<String>) {
        if leftovers.is_some() || self.leftovers().is_some() {
            self.particulars_mut().leftovers = leftovers;
        }
    }

    /// The error of an operation that failed for this reason.
    #[must_use]
    pub fn of(self, operation: Operation) -> Error {
        Error::new(operation, self)
    }

    /// The cause.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    pub(crate) const fn errno(&self) -> Option<Errno> {
        self.errno
    }

    pub(crate) fn explanation(&self) -> &str {
        let detail = self.particulars.as_ref().and_then(|particulars| particulars.detail.as_deref());
        detail.unwrap_or(self.cause.explanation())
    }

    pub(crate) fn remedy(&self) -> Option<&str> {
        let own = self.particulars.as_ref().and_then(|particulars| particulars.remedy.as_deref());
        own.or(self.cause.remedy())
    }

    pub(crate) fn holders(&self) -> &[Holder] {
        self.particulars.as_ref().map_or(&[], |particulars| &particulars.holders)
    }

    pub(crate) fn leftovers(&self) -> Option<&str> {
        self.particulars.as_ref()?.leftovers.as_deref()
    }

    fn particulars_mut(&mut self) -> &mut Particulars {
        self.particulars.get_or_insert_default()
    }
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self::new(cause)
    }
}
