//! What is wrong with a policy.

use std::fmt;
use std::path::PathBuf;

/// Why there is no policy to go by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is none.
    Missing,
    /// Somebody else than root could have written a file, or it is no file that can be trusted.
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The errno.
        errno: i32,
    },
    /// The policy makes no sense.
    Invalid {
        /// Where, and why.
        why: String,
    },
}

impl PolicyError {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid { why: why.into() }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => {
                write!(f, "there is no policy: write one to {} (`tunctl policy example`)", super::PATH)
            }
            Self::Unsafe { path, why } => write!(f, "{} {why}", path.display()),
            Self::Unreadable { path, errno } => {
                write!(f, "read {}: {}", path.display(), std::io::Error::from_raw_os_error(*errno))
            }
            Self::Invalid { why } => write!(f, "{}: {why}", super::PATH),
        }
    }
}

impl std::error::Error for PolicyError {}
