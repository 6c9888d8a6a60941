//! Network namespaces as values.

mod making;

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::fstat;
use tunctl_core::{Cause, Operation, Reason, Result};
use tunctl_sys::linux::elsewhere::{self, Kind, Step};
use tunctl_sys::linux::namespace;
use tunctl_sys::linux::process::CAP_SYS_ADMIN;

use crate::opener::{Opener, current_namespace};
use crate::{diagnose, errno, netns, remedy, visit};

/// A network namespace, which this value keeps alive: with interfaces, addresses and routes of its own.
///
/// It is reached from where the program is, without entering it for good: a [backend](crate::LinuxBackend)
/// [in the namespace](crate::LinuxBackend::in_namespace) makes devices there that any thread can use, an
/// interface [moves](crate::LinuxInterface::move_to) there, a program [starts](Self::command) there, and a
/// closure [runs](Self::run) there, on a thread of its own.
///
/// ```no_run
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// use tunctl_linux::{LinuxBackend, Namespace};
///
/// let ns = Namespace::new()?;
/// let options = CreateOptions::tap().name("tap0").address("10.0.0.1/24").up();
/// let tap = LinuxBackend::new().in_namespace(&ns)?.create(&options)?;
/// let mut frame = [0; 1514];
/// std::thread::scope(|scope| {
///     scope.spawn(|| ns.command("ping").args(["-c1", "10.0.0.2"]).status());
///     tap.recv(&mut frame) // it asks who has 10.0.0.2
/// })?;
/// # Ok::<(), tunctl_core::Error>(())
/// ```
///
/// # Without privilege
///
/// [`new`](Self::new) needs none, if the system permits user namespaces: the namespace then belongs to a user
/// namespace that the program's user owns, and has every right over, without being in it. All namespaces that
/// a program makes so belong to the same one, so that interfaces can move between them. Nobody can enter a
/// user namespace but a process with a single thread; so a child is started for a moment, which opens what is
/// asked for and passes it on. It sends no `SIGCHLD`.
///
/// The rights are those of the effective user: a program that becomes another one loses them.
///
/// # Platform
///
/// Linux only: `network_namespaces(7)`, `user_namespaces(7)`.
#[derive(Clone)]
pub struct Namespace {
    net: Arc<OwnedFd>,
    /// The user namespace that owns it, if it is one below that of the process that made this.
    user: Option<Arc<OwnedFd>>,
    link: Arc<Path>,
}

/// Why nothing was opened.
pub(crate) enum Refusal {
    /// The namespace cannot be entered.
    OfEntry(Reason),
    OfStep(io::Error),
}

/// How this process gets to a namespace.
enum Entry<'a> {
    /// The calling thread is there.
    None,
    /// By a thread, which enters it.
    ByThread,
    /// By a child, which enters this user namespace first.
    ByChild(&'a Arc<OwnedFd>),
}

impl Namespace {
    /// Makes a new network namespace. It has nothing but a loopback interface, which is up.
    ///
    /// It goes, with the interfaces in it, when this value and its clones are dropped and nothing else uses
    /// it: no backend, device or interface that was made in it, and no process.
    ///
    /// # Errors
    ///
    /// `NamespacesRefused`, with the settings that may have switched them off; `TooManyOpenFiles`; `Other`
    /// where no thread or process may be started.
    ///
    /// # Platform
    ///
    /// With `CAP_SYS_ADMIN` it belongs to the program's own user namespace. Otherwise the caller's user and
    /// group are 0 in it, and there are no others. A program that has become another user since it started is
    /// protected from inspection by other programs of that user (`PR_SET_DUMPABLE`); while the ids are
    /// written, the child is not.
    #[doc(alias = "CLONE_NEWNET")]
    #[doc(alias = "unshare")]
    #[doc(alias = "ip netns add")]
    pub fn new() -> Result<Self> {
        let made = Self::make().and_then(|namespace| {
            netns::bring_loopback_up(&Opener::There(namespace.clone()))?;
            Ok(namespace)
        });
        made.map_err(failed)
    }

    /// As [`new`](Self::new), with the loopback interface down.
    pub(crate) fn make() -> std::result::Result<Self, Reason> {
        making::make()
    }

    /// The network namespace behind a path: of one that `ip netns add NAME` has made, `/run/netns/NAME`; of a
    /// process, `/proc/PID/ns/net`.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such file; `NotANamespace`; `MissingCapability` if the file is closed to the
    /// caller.
    #[doc(alias = "ip netns")]
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::found(
            Self::at(path),
            |errno| remedy::no_namespace_at(path, errno),
            || remedy::not_a_namespace(path),
        )
    }

    /// The network namespace of a process.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such process; `MissingCapability` if it is another user's.
    pub fn of_process(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        let opened = Self::at(Path::new(&path));
        Self::found(opened, |errno| remedy::no_namespace_of(pid, errno), || Cause::NotANamespace.into())
    }

    /// The network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`; `Other` where `/proc` is not mounted.
    pub fn current() -> Result<Self> {
        Self::found(own(Kind::Network).open(), remedy::from_errno, || Cause::NotANamespace.into())
    }

    /// The namespace of a file, or why there is none.
    fn found(
        opened: io::Result<OwnedFd>,
        refused: impl FnOnce(Errno) -> Reason,
        of_another_kind: impl FnOnce() -> Reason,
    ) -> Result<Self> {
        let file = opened.map_err(|error| {
            let errno = errno::of(&error);
            failed(refused(errno).with_errno(errno as i32))
        })?;
        Self::from_file(file).map_err(failed)?.ok_or_else(|| failed(of_another_kind()))
    }

    /// Runs a closure in the namespace, on a thread of its own that has ended when this returns. A panic goes
    /// on in the caller.
    ///
    /// Sockets that the closure opens, and threads that it starts, stay in the namespace. `/sys` is not
    /// mounted anew: `/sys/class/net` shows the interfaces of the namespace outside.
    ///
    /// # Errors
    ///
    /// `SeveralThreads` if the user namespace that owns this one would have to be entered, which a thread
    /// cannot: so it is of each namespace that was made [without privilege](Self#without-privilege). A
    /// backend [in the namespace](crate::LinuxBackend::in_namespace) and [`command`](Self::command) need no
    /// entering. `MissingCapability` without `CAP_SYS_ADMIN`; `Other` where no thread may be started.
    #[doc(alias = "setns")]
    #[doc(alias = "ip netns exec")]
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.visit(work).map_err(failed)
    }

    /// A command that starts in the namespace. It is an ordinary one otherwise; the program is found as
    /// always, among the same files.
    ///
    /// The program gets a `/sys` that shows the interfaces of the namespace, where the system permits that
    /// (in a mount namespace of its own, as by `ip netns exec`). In a namespace made [without
    /// privilege](Self#without-privilege) it is root of the user namespace.
    ///
    /// The namespace is entered as the user that the command is given, so do not give it
    /// [another one](std::os::unix::process::CommandExt::uid): start `setpriv` in it. Starting the program
    /// fails with `EPERM` where the caller may not enter.
    #[doc(alias = "ip netns exec")]
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let mut steps = match self.entry() {
            Entry::None => return command,
            Entry::ByThread => Vec::new(),
            Entry::ByChild(user) => vec![Step::Enter(Kind::User, user.clone())],
        };
        steps.extend([self.enter(), Step::MountSysfs]);
        elsewhere::before_exec(&mut command, steps);
        command
    }

    /// As `/proc/PID/ns/net` links to it.
    pub(crate) fn link(&self) -> &Path {
        &self.link
    }

    /// Whether the calling thread's capabilities count there. Where the system does not say, they do.
    pub(crate) fn is_governed(&self) -> bool {
        namespace::is_governed(self.net.as_fd()).unwrap_or(true)
    }

    /// `None`: the file is no network namespace.
    pub(crate) fn from_file(file: OwnedFd) -> std::result::Result<Option<Self>, Reason> {
        let failed = |error: &io::Error| diagnose::reason(error);
        if !namespace::is_network(file.as_fd()).map_err(|error| failed(&error))? {
            return Ok(None);
        }
        let owner = namespace::owner(file.as_fd()).map_err(|error| failed(&error))?;
        let outside = own(Kind::User).open().map_err(|error| failed(&error))?;
        let number = |file: &OwnedFd| fstat(file).map(|status| status.st_ino);
        let below = match &owner {
            Some(owner) => number(owner) != number(&outside),
            None => false,
        };
        let inode = number(&file).map_err(|errno| failed(&errno.into()))?;
        let link = PathBuf::from(format!("net:[{inode}]")).into();
        Ok(Some(Self { net: Arc::new(file), user: owner.filter(|_| below).map(Arc::new), link }))
    }

    fn at(path: &Path) -> io::Result<OwnedFd> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::ENOENT)?;
        Step::Open { path, write: false }.open()
    }

    fn enter(&self) -> Step {
        Step::Enter(Kind::Network, self.net.clone())
    }

    fn entry(&self) -> Entry<'_> {
        match &self.user {
            _ if current_namespace() == *self.link => Entry::None,
            Some(user) if !diagnose::has_capability(CAP_SYS_ADMIN) => Entry::ByChild(user),
            _ => Entry::ByThread,
        }
    }

    fn visit<T: Send>(&self, work: impl FnOnce() -> T + Send) -> std::result::Result<T, Reason> {
        let entry = (current_namespace() != *self.link).then(|| self.enter());
        visit::on_a_fresh_thread(|| {
            entry
                .map_or(Ok(None), |entry| entry.take())
                .map_err(|error| self.not_entered(&error, self.user.is_some()))?;
            Ok(work())
        })?
    }

    /// Fails if nothing can be opened in the namespace.
    pub(crate) fn check_access(&self) -> std::result::Result<(), Reason> {
        match self.entry() {
            Entry::None => Ok(()),
            Entry::ByThread => self.visit(|| ()),
            Entry::ByChild(user) => match self.in_child(user, None) {
                Ok(_) => Ok(()),
                Err(Refusal::OfEntry(reason)) => Err(reason),
                Err(Refusal::OfStep(error)) => Err(diagnose::reason(&error)),
            },
        }
    }

    /// Opens something in the namespace.
    pub(crate) fn open_there(&self, step: &Step) -> std::result::Result<OwnedFd, Refusal> {
        let opened = match self.entry() {
            Entry::None => step.open(),
            Entry::ByThread => self.visit(|| step.open()).map_err(Refusal::OfEntry)?,
            Entry::ByChild(user) => {
                let fd = self.in_child(user, Some(step))?.pop();
                return fd.ok_or_else(|| Refusal::OfStep(io::ErrorKind::InvalidInput.into()));
            }
        };
        opened.map_err(Refusal::OfStep)
    }

    fn in_child(
        &self,
        user: &Arc<OwnedFd>,
        step: Option<&Step>,
    ) -> std::result::Result<Vec<OwnedFd>, Refusal> {
        const ENTRY: usize = 2;
        let mut steps = vec![Step::Enter(Kind::User, user.clone()), self.enter()];
        steps.extend(step.cloned());
        elsewhere::in_child(&steps).map_err(|failure| match failure.step {
            Some(ENTRY..) => Refusal::OfStep(failure.error),
            Some(_) => Refusal::OfEntry(self.not_entered(&failure.error, false)),
            None => Refusal::OfEntry(visit::not_started(&failure.error)),
        })
    }

    /// `for_its_threads`: a process with a single thread could have entered.
    fn not_entered(&self, error: &io::Error, for_its_threads: bool) -> Reason {
        let errno = errno::of(error);
        let reason = match errno {
            Errno::EPERM if for_its_threads => remedy::no_thread_enters(),
            Errno::EPERM => remedy::may_not_enter(&diagnose::caller()),
            errno => remedy::from_errno(errno),
        };
        reason.with_errno(errno as i32)
    }
}

/// The step that opens a namespace of the thread that takes it.
fn own(kind: Kind) -> Step {
    let path = match kind {
        Kind::User => c"/proc/thread-self/ns/user",
        Kind::Network => c"/proc/thread-self/ns/net",
    };
    Step::Open { path: path.to_owned(), write: false }
}

fn failed(reason: Reason) -> tunctl_core::Error {
    reason.of(Operation::Namespace)
}

/// Lends the namespace's descriptor, for `setns(2)` or a netlink message.
impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.net.as_fd()
    }
}

/// Two values are equal if they are the same namespace, however they were found.
impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.link == other.link
    }
}

impl Eq for Namespace {}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.link.display())
    }
}
