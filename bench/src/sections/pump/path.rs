//! Two network namespaces, and what is known of that which joins them.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tunctl_core::{Interface, InterfaceName, Statistics, TunBackend};
use tunctl_linux::{LinuxBackend, Namespace};

/// The addresses of the two ends.
pub(in crate::sections) const HOSTS: [Ipv4Addr; 2] =
    [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
pub(super) const MTU: u16 = 1500;
/// The interface at each end.
pub(super) const DEVICE: &str = "end0";
/// Threads that forward have started by then.
const START: Duration = Duration::from_secs(10);

/// Packets that a program was given of the first end's, and in how many calls.
pub(super) type Calls = Box<dyn Fn() -> (u64, u64) + Send + Sync>;

/// Two namespaces that are joined. What forwards between them does so until the process ends: without
/// packets, it waits.
pub(in crate::sections) struct Path {
    /// The threads that forward have this name, too.
    pub(in crate::sections) name: &'static str,
    pub(in crate::sections) namespaces: [Namespace; 2],
    pub(in crate::sections) hosts: [Ipv4Addr; 2],
    /// How many threads forward.
    pub(super) threads: usize,
    /// The kernel sees packets that stand for many.
    pub(super) is_large: bool,
    /// The program sees the packets that these are cut into.
    pub(super) calls: Option<Calls>,
}

impl Path {
    /// That no program is known to forward.
    pub(super) const fn new(name: &'static str, namespaces: [Namespace; 2]) -> Self {
        Self { name, namespaces, hosts: HOSTS, threads: 0, is_large: false, calls: None }
    }

    /// By other addresses of the two ends.
    pub(in crate::sections) fn with_hosts(self, hosts: [Ipv4Addr; 2]) -> Self {
        Self { hosts, ..self }
    }

    /// What happens in the namespace of one end.
    pub(super) fn at<T: Send>(
        &self,
        end: usize,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, String> {
        let done = self.namespaces[end].run(work).map_err(|error| error.to_string())?;
        done.map_err(|error| format!("in namespace {end}: {error}"))
    }

    /// What the kernel has counted of the interfaces.
    pub(super) fn statistics(&self) -> Result<[Statistics; 2], String> {
        let of = |end: usize| {
            let interface = InterfaceName::new(DEVICE)?;
            LinuxBackend::new().in_namespace(&self.namespaces[end])?.interface(&interface)?.statistics()
        };
        let both = || Ok([of(0)?, of(1)?]);
        both().map_err(|error: tunctl_core::Error| error.to_string())
    }

    /// The threads that forward. A thread has the name of the one that started it.
    pub(super) fn forwarders(&self) -> Result<Vec<PathBuf>, String> {
        let start = Instant::now();
        loop {
            let named = threads_of(self.name).map_err(|error| format!("list threads: {error}"))?;
            if named.len() >= self.threads {
                return Ok(named);
            }
            if start.elapsed() > START {
                return Err(format!("{} threads forward, and not {}", named.len(), self.threads));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn threads_of(name: &str) -> io::Result<Vec<PathBuf>> {
    let mut named = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // One that has ended in the meantime has no name.
        if fs::read_to_string(task.join("comm")).is_ok_and(|own| own.trim_end() == name) {
            named.push(task.join("schedstat"));
        }
    }
    Ok(named)
}

/// Makes the two namespaces.
pub(super) fn namespaces() -> Result<[Namespace; 2], String> {
    let new = || Namespace::new().map_err(|error| error.to_string());
    Ok([new()?, new()?])
}

/// What the kernel itself joins.
pub(in crate::sections) fn veth(name: &'static str) -> Result<Path, String> {
    let namespaces = namespaces()?;
    let there = format!("/proc/{}/fd/{}", std::process::id(), namespaces[1].as_fd().as_raw_fd());
    let kind = "type veth peer name";
    ip(&namespaces[0], &format!("link add {DEVICE} mtu {MTU} {kind} {DEVICE} mtu {MTU} netns {there}"))?;
    for (namespace, host) in namespaces.iter().zip(HOSTS) {
        ip(namespace, &format!("address add {host}/24 dev {DEVICE}"))?;
        ip(namespace, &format!("link set {DEVICE} up"))?;
    }
    Ok(Path::new(name, namespaces))
}

/// Has the two ends speak through a VXLAN on top.
pub(super) fn with_vxlan(path: Path) -> Result<Path, String> {
    let hosts = [Ipv4Addr::new(10, 88, 0, 1), Ipv4Addr::new(10, 88, 0, 2)];
    for (end, namespace) in path.namespaces.iter().enumerate() {
        let far = path.hosts[1 - end];
        ip(namespace, &format!("link add vx0 type vxlan id 5 remote {far} dstport 4789 dev {DEVICE}"))?;
        ip(namespace, &format!("address add {}/24 dev vx0", hosts[end]))?;
        ip(namespace, "link set vx0 up")?;
    }
    Ok(path.with_hosts(hosts))
}

/// Runs `ip` in a namespace.
pub(in crate::sections) fn ip(namespace: &Namespace, arguments: &str) -> Result<(), String> {
    let output = namespace.command("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip {arguments}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim_end()))
}
