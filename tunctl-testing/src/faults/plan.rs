//! Which faults are injected.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::differential::random::Random;

/// How many calls of each name a program made.
pub(crate) type Calls = BTreeMap<String, usize>;

/// What happens to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Injection {
    /// A fault, as strace's `inject=` takes it.
    Fault {
        call: String,
        fault: String,
        /// Which of the calls: a number, or `1+2`, which is every other one.
        when: String,
    },
    /// The program is killed, wherever it is then.
    Kill { after: Duration },
}

impl Injection {
    pub(crate) fn parse(words: &str) -> Self {
        if let Some(after) = words.strip_prefix(KILL).and_then(|micros| micros.parse().ok()) {
            return Self::Kill { after: Duration::from_micros(after) };
        }
        let mut parts = words.splitn(3, ':').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (call, fault, when) = (part(), part(), part());
        Self::Fault { call, fault, when: when.trim_start_matches("when=").to_owned() }
    }

    /// Whether the program is killed.
    pub(crate) fn kills(&self) -> bool {
        match self {
            Self::Fault { fault, .. } => fault == "signal=KILL",
            Self::Kill { .. } => true,
        }
    }

    /// Whether the word about a failure may be what fails.
    pub(crate) fn silences(&self) -> bool {
        matches!(self, Self::Fault { call, .. } if call == "write")
    }

    /// Whether calls are only interrupted, so that a program which tries again succeeds.
    pub(crate) fn interrupts(&self) -> bool {
        matches!(self, Self::Fault { when, .. } if when == STORM)
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault { call, fault, when } => write!(f, "{call}:{fault}:when={when}"),
            Self::Kill { after } => write!(f, "{KILL}{}", after.as_micros()),
        }
    }
}

/// In front of the microseconds after which a program is killed.
const KILL: &str = "kill:after=";

/// Every other call, so that the second try succeeds.
const STORM: &str = "1+2";

/// The system calls that the library and the command make for a reason of their own, with the errnos that
/// each can give. Memory and threads of the language's runtime are not among them.
///
/// `ENODEV` and `EBADFD` are left out: they say that the interface is gone, and here it is not. So is `EINTR`
/// where nothing waits: devices, packet sockets and standard output.
const FAULTS: &[(&str, &[&str])] = &[
    ("openat", &["EACCES", "EMFILE", "ENOENT", "ENOMEM"]),
    ("ioctl", &["EPERM", "EBUSY", "EINVAL", "ENOMEM"]),
    ("socket", &["EMFILE", "EAFNOSUPPORT", "EPERM", "ENOBUFS"]),
    ("socketpair", &["EMFILE"]),
    ("bind", &["EADDRINUSE", "ENOMEM"]),
    ("connect", &["ENOMEM"]),
    ("getsockname", &["ENOBUFS"]),
    ("setsockopt", &["ENOPROTOOPT", "ENOMEM"]),
    ("sendto", &["ENOBUFS", "ENOMEM", "EINTR"]),
    ("sendmsg", &["ENOBUFS", "ENOMEM"]),
    ("recvfrom", &["ENOBUFS", "ENOMEM", "EINTR"]),
    ("recvmsg", &["ENOBUFS", "ENOMEM"]),
    ("poll", &["ENOMEM", "EINTR"]),
    ("ppoll", &["ENOMEM", "EINTR"]),
    ("read", &["EIO", "EINTR"]),
    ("readv", &["EIO", "EINTR"]),
    ("write", &["EPIPE", "ENOSPC", "EIO"]),
    ("writev", &["EIO", "ENOBUFS"]),
    ("fcntl", &["EMFILE"]),
    ("fstat", &["ENOMEM"]),
    ("statx", &["EACCES"]),
    ("readlink", &["EACCES", "ENOENT"]),
    ("getdents64", &["ENOENT"]),
    ("unshare", &["EPERM", "ENOSPC"]),
    ("pipe2", &["EMFILE"]),
    ("clone", &["EAGAIN", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("wait4", &["ECHILD", "EINTR"]),
    ("waitid", &["ECHILD", "EINTR"]),
    ("kill", &["EPERM"]),
    ("prctl", &["EPERM"]),
    ("capget", &["EPERM"]),
];

/// The names, for strace.
pub(crate) fn names() -> String {
    FAULTS.iter().map(|(call, _)| *call).collect::<Vec<_>>().join(",")
}

/// Which calls of a name are disturbed: the first ones, and then ever fewer. A search of `/proc` makes
/// hundreds that are alike.
fn positions(count: usize) -> impl Iterator<Item = usize> {
    const ALL: usize = 40;
    let step = |position: usize| (position / ALL).max(1);
    std::iter::successors(Some(1), move |&position| Some(position + step(position)))
        .take_while(move |&position| position <= count)
}

/// Every fault at every call, or, of calls that are alike, at some.
pub(crate) fn all(calls: &Calls) -> Vec<Injection> {
    let mut all = Vec::new();
    for &(call, errnos) in FAULTS {
        let count = calls.get(call).copied().unwrap_or(0);
        let mut push =
            |fault: String, when: String| all.push(Injection::Fault { call: call.to_owned(), fault, when });
        for position in positions(count) {
            for errno in errnos {
                push(format!("error={errno}"), position.to_string());
            }
            push("signal=KILL".to_owned(), position.to_string());
        }
        if count > 0 && errnos.contains(&"EINTR") {
            push("error=EINTR".to_owned(), STORM.to_owned());
        }
    }
    all
}

/// Kills at random moments of a run that takes so long, and a little later.
pub(crate) fn kills(count: usize, whole: Duration, mut random: Random) -> Vec<Injection> {
    let bound = usize::try_from(whole.as_micros()).unwrap_or(usize::MAX) * 11 / 10 + 1;
    let mut micros = || u64::try_from(random.below(bound)).unwrap_or(0);
    (0..count).map(|_| Injection::Kill { after: Duration::from_micros(micros()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injection_is_read_as_it_is_printed() {
        for words in ["sendto:error=ENOBUFS:when=3", "poll:error=EINTR:when=1+2", "kill:after=1234"] {
            assert_eq!(Injection::parse(words).to_string(), words);
        }
        assert!(Injection::parse("kill:after=1234").kills());
    }
}
