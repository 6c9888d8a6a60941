//! What a case is, and what it needs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tunctl_mock::conformance::MockHarness;

use crate::LinuxHarness;

/// One test: a name that states the behaviour, a function that panics if it is not so, and what the function
/// needs.
#[derive(Clone)]
pub struct Case {
    pub(crate) name: String,
    pub(crate) body: Arc<dyn Fn() + Send + Sync>,
    pub(crate) entries: Vec<(&'static str, fn())>,
    pub(crate) root: bool,
    pub(crate) tools: Vec<&'static str>,
    pub(crate) inside: bool,
    pub(crate) limit: Duration,
}

impl Case {
    /// A case that starts in a namespace of its own, as root there, and has 60 seconds.
    #[must_use]
    pub fn new(name: impl Into<String>, body: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            body: Arc::new(body),
            entries: Vec::new(),
            root: false,
            tools: Vec::new(),
            inside: true,
            limit: Duration::from_secs(60),
        }
    }

    /// A function that the case runs in another process, by this name: see [`entry`](crate::entry) and
    /// [`Strace`](crate::Strace).
    #[must_use]
    pub fn entry(mut self, name: &'static str, body: fn()) -> Self {
        self.entries.push((name, body));
        self
    }

    /// It needs to be root of the machine: then all user and group ids exist inside, and `/dev/net` holds
    /// nodes of the case's own, [`OPEN_NODE`](crate::OPEN_NODE) and [`CLOSED_NODE`](crate::CLOSED_NODE).
    #[must_use]
    pub const fn needs_root(mut self) -> Self {
        self.root = true;
        self
    }

    /// It needs a program.
    #[must_use]
    pub fn needs_tool(mut self, program: &'static str) -> Self {
        self.tools.push(program);
        self
    }

    /// It starts where the launcher is, and must enter a namespace by itself before it touches an interface.
    #[must_use]
    pub const fn outside_namespace(mut self) -> Self {
        self.inside = false;
        self
    }

    /// It may take longer, or must take less, than 60 seconds. After that time it is killed, and has failed.
    #[must_use]
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a case is called whose function has this path: without its crate, and the module of all cases, which
/// only some systems have.
#[must_use]
pub fn name(path: &str) -> &str {
    let name = path.split_once("::").map_or(path, |(_, name)| name);
    name.strip_prefix("cases::").unwrap_or(name)
}

/// A [`Case`] from a function, called `module::function`.
#[macro_export]
macro_rules! case {
    ($body:ident) => {
        $crate::Case::new($crate::name(concat!(module_path!(), "::", stringify!($body))), $body)
    };
}

/// A [`Case`] of each function for each system: `on_both![first, second]`. The functions are generic over a
/// [`Harness`](tunctl_conformance::Harness), and run once on the driver in memory, where nothing is needed,
/// and once on the kernel.
#[macro_export]
macro_rules! on_both {
    ($($body:ident),* $(,)?) => {
        [$($crate::on_both($crate::name(concat!(module_path!(), "::", stringify!($body))), $body, $body)),*]
        .concat()
    };
}

/// See the macro [`on_both!`](crate::on_both!), which names the function twice: it is one function for each
/// system.
#[must_use]
pub fn on_both(name: &str, memory: fn(&MockHarness), kernel: fn(&LinuxHarness)) -> Vec<Case> {
    vec![
        Case::new(format!("memory::{name}"), move || memory(&MockHarness::default())).outside_namespace(),
        Case::new(format!("kernel::{name}"), move || kernel(&LinuxHarness::new())),
    ]
}
