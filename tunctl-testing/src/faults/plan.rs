//! Which faults are injected.

use std::collections::BTreeMap;
use std::fmt;

/// How many calls of each name a program made.
pub(crate) type Calls = BTreeMap<String, usize>;

/// A fault, as strace's `inject=` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    call: String,
    fault: String,
    /// Which of the calls: a number, or `1+2`, which is every other one.
    when: String,
}

impl Injection {
    pub(crate) fn parse(words: &str) -> Self {
        let mut parts = words.splitn(3, ':').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (call, fault, when) = (part(), part(), part());
        Self { call, fault, when: when.trim_start_matches("when=").to_owned() }
    }

    /// Whether the program is killed.
    pub(crate) fn kills(&self) -> bool {
        self.fault == "signal=KILL"
    }

    /// Whether the word about a failure may be what fails.
    pub(crate) fn silences(&self) -> bool {
        self.call == "write"
    }

    /// Whether calls are only interrupted, so that a program which tries again succeeds.
    pub(crate) fn interrupts(&self) -> bool {
        self.when == STORM
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:when={}", self.call, self.fault, self.when)
    }
}

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
            |fault: String, when: String| all.push(Injection { call: call.to_owned(), fault, when });
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
