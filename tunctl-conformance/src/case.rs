//! What a case is.

use std::fmt;

use crate::{Harness, Outcome, expect, names_and_errnos};

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Names, patterns and flags.
    Names,
    /// Receiving packets.
    Reading,
    /// Sending packets.
    Writing,
    /// Interfaces and devices come and go.
    Lifetime,
    /// What outlives the last device.
    Persistence,
    /// Who may do what.
    Permission,
    /// Several devices at one interface.
    Queues,
    /// Filters of taps.
    Filters,
    /// Waiting, waking, and poll bits.
    Readiness,
    /// State, MTU and addresses.
    Configuration,
    /// What is reported when an interface changes.
    Events,
    /// What is counted.
    Statistics,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Names => "names",
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Lifetime => "lifetime",
            Self::Persistence => "persistence",
            Self::Permission => "permission",
            Self::Queues => "queues",
            Self::Filters => "filters",
            Self::Readiness => "readiness",
            Self::Configuration => "configuration",
            Self::Events => "events",
            Self::Statistics => "statistics",
        })
    }
}

/// What a case needs that not every machine grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// A namespace of one's own.
    Namespace,
    /// Other users, so root of the machine.
    OtherUsers,
    /// A capability that counts in the first user namespace alone, so root of the machine, and there.
    FirstUserNamespace,
}

/// One behaviour that every backend must show.
pub struct Case<H> {
    subject: Subject,
    name: &'static str,
    need: Need,
    request: Option<&'static str>,
    body: fn(&H),
}

impl<H: Harness> Case<H> {
    /// A case, called as the function that is its body.
    pub(crate) const fn new(subject: Subject, name: &'static str, body: fn(&H)) -> Self {
        Self { subject, name, need: Need::Namespace, request: None, body }
    }

    pub(crate) const fn about(mut self, request: &'static str) -> Self {
        self.request = Some(request);
        self
    }

    pub(crate) const fn needs(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// The behaviour, in words joined by underscores.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it needs.
    #[must_use]
    pub const fn need(&self) -> Need {
        self.need
    }

    /// The request that it is about, by its name in the headers of BSD systems, if not every system has it:
    /// `SIOCSIFNAME`. The case does not concern a system without.
    #[must_use]
    pub const fn request(&self) -> Option<&'static str> {
        self.request
    }

    /// Runs it over a harness that nothing has used yet.
    #[must_use]
    pub fn run(&self, harness: &H) -> Outcome {
        names_and_errnos::speak(harness.profile());
        expect::recorded(|| (self.body)(harness))
    }
}

impl<H> Clone for Case<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Case<H> {}

impl<H> fmt::Debug for Case<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.subject, self.name)
    }
}

/// The cases of a subject, from functions that are generic over the harness.
macro_rules! suite {
    ($subject:ident: $($body:ident),* $(,)?) => {
        vec![$($crate::case::Case::new(
            $crate::Subject::$subject, stringify!($body), $body::<H>,
        )),*]
    };
}
pub(crate) use suite;
