//! Namespaces as values: by root, and by a user without any right. Either has several threads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use serde_json::Value;
use tunctl_core::{Cause, CreateOptions, Interface, Interrupter, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, LinuxDevice, Namespace, Observer};
use tunctl_packet::echo_reply;
use tunctl_testing::{Case, case, entry, finish, link, open_files};

use super::support::{address, backend, exists, name, others, refused};

/// The user that owns nothing, `nobody`.
pub(super) const NOBODY: u32 = 65534;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(root_works_in_namespaces_with_four_threads),
        case!(a_user_without_rights_works_in_namespaces_with_four_threads).entry("work", work).needs_root(),
        case!(a_program_that_became_another_user_works_in_namespaces)
            .entry("work", become_nobody_and_work)
            .needs_root(),
        case!(a_closure_runs_there_and_a_panic_comes_back),
        case!(a_namespace_is_found_by_path_and_process),
        case!(an_observer_and_a_survey_see_what_is_there),
        case!(a_device_says_where_its_interface_is),
        case!(a_program_there_is_root_of_one_user_namespace)
            .entry("ids", ids_in_a_new_namespace)
            .needs_root(),
        case!(a_program_that_ignores_its_children_works_in_namespaces)
            .entry("ignore", work_without_news_of_children)
            .needs_root()
            .needs_tool("env"),
    ]
}

/// What a program looks like from outside: where its threads are, its open files, its children.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outside {
    threads: BTreeMap<String, PathBuf>,
    files: BTreeMap<i32, String>,
    children: String,
}

impl Outside {
    pub(super) fn look() -> Self {
        let mut threads = BTreeMap::new();
        // The kernel lists those that have ended, too, until somebody waits for them.
        let mut children = fs::read_to_string("/proc/thread-self/children").unwrap();
        for task in fs::read_dir("/proc/self/task").unwrap() {
            let task = task.unwrap().path();
            // It may be a thread that has just ended.
            let Ok(namespace) = fs::read_link(task.join("ns/net")) else { continue };
            threads.insert(task.file_name().unwrap().to_str().unwrap().to_owned(), namespace);
            children += &fs::read_to_string(task.join("children")).unwrap_or_default();
        }
        Self { threads, files: open_files(), children }
    }

    /// A thread that was waited for stays visible for a moment.
    pub(super) fn assert_is_so_again(&self) {
        let started = Instant::now();
        while Self::look() != *self && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(Self::look(), *self);
    }
}

/// Does something while four more threads are running.
fn with_four_threads<T>(work: impl FnOnce() -> T) -> T {
    let barrier = Arc::new(Barrier::new(5));
    let threads = [(); 4].map(|()| {
        let barrier = barrier.clone();
        thread::spawn(move || {
            barrier.wait();
            barrier.wait();
        })
    });
    barrier.wait();
    let done = work();
    barrier.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    done
}

/// The kernel's name of a namespace.
fn link_of(ns: &Namespace) -> String {
    fs::read_link(format!("/proc/self/fd/{}", ns.as_fd().as_raw_fd())).unwrap().to_str().unwrap().to_owned()
}

pub(super) fn here() -> String {
    fs::read_link("/proc/thread-self/ns/net").unwrap().to_str().unwrap().to_owned()
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a program prints that starts in the namespace.
pub(super) fn there(
    ns: &Namespace,
    program: &str,
    words: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> String {
    let mut command = ns.command(program);
    command.args(words);
    printed(command)
}

/// An interface of the namespace, as iproute2 reports it there.
pub(super) fn seen(ns: &Namespace, interface: &str) -> Value {
    let all: Value = serde_json::from_str(&there(ns, "ip", ["-j", "address"])).unwrap();
    let found = all.as_array().unwrap().iter().find(|one| one["ifname"] == interface);
    found.cloned().unwrap_or_default()
}

fn flags(interface: &Value) -> Vec<&str> {
    interface["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(super) fn tun_in(ns: &Namespace, options: CreateOptions) -> LinuxDevice {
    backend().in_namespace(ns).unwrap().create(&options.name("tun0")).unwrap()
}

/// Everything that a program does with namespaces. Afterwards nothing of it is left.
fn work() {
    with_four_threads(|| {
        let before = Outside::look();
        assert_eq!(before.threads.len(), 5, "{before:?}");
        let (ns, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        before_and_after(&ns, &other);
        drop((ns, other));
        before.assert_is_so_again();
    });
}

fn before_and_after(ns: &Namespace, other: &Namespace) {
    assert_ne!(ns, other);
    for ns in [ns, other] {
        assert_ne!(link_of(ns), here());
        assert_eq!(there(ns, "readlink", ["/proc/self/ns/net"]), link_of(ns));
        assert!(flags(&seen(ns, "lo")).contains(&"UP"), "{}", seen(ns, "lo"));
        assert_eq!(there(ns, "ls", ["/sys/class/net"]), "lo");
    }

    // A device of the namespace, from whichever thread.
    let tun = tun_in(ns, CreateOptions::tun().address("10.0.0.1/24").mtu(1400).up());
    let report = seen(ns, "tun0");
    assert_eq!((&report["mtu"], &report["addr_info"][0]["local"]), (&1400.into(), &"10.0.0.1".into()));
    assert!(flags(&report).contains(&"UP"));
    assert_eq!(seen(other, "tun0"), Value::Null);
    assert!(!exists("tun0"));
    assert_eq!(there(ns, "ls", ["/sys/class/net"]), "lo\ntun0");
    thread::scope(|scope| {
        scope.spawn(|| tun.interface().set_mtu("1300".parse().unwrap()).unwrap());
    });
    assert_eq!(seen(ns, "tun0")["mtu"], 1300);
    ping_through(ns, &tun);
    let found = backend().in_namespace(ns).unwrap().interface(&name("tun0")).unwrap();
    assert_eq!(found.index(), tun.interface().index());
    assert_eq!(refused(backend().interface(&name("tun0"))).cause(), Cause::NotFound);

    // It moves, and its device with it.
    let index = report["ifindex"].clone();
    tun.interface().move_to(other).unwrap();
    let moved = backend().in_namespace(other).unwrap().interface(&tun.name().unwrap()).unwrap();
    assert_eq!(seen(ns, "tun0"), Value::Null);
    let report = seen(other, "tun0");
    assert_eq!((&report["ifindex"], report["addr_info"].as_array().unwrap().len()), (&index, 0));
    assert!(!flags(&report).contains(&"UP"));
    assert!(refused(tun.interface().info()).is_gone());
    assert!(refused(found.set_mtu("1280".parse().unwrap())).is_gone());
    moved.up(address("10.0.0.1/24")).unwrap();
    assert!(flags(&seen(other, "tun0")).contains(&"UP"));
    ping_through(other, &tun);
    assert_eq!(&tun.namespace().unwrap(), other);
    assert_eq!(&moved.namespace().unwrap(), other);
    assert_eq!(&tun.interface().namespace().unwrap(), ns);

    // What is deleted there is gone.
    moved.delete().unwrap();
    assert_eq!(seen(other, "tun0"), Value::Null);
}

/// A program in the namespace pings 10.0.0.2, and the device answers.
fn ping_through(ns: &Namespace, tun: &LinuxDevice) {
    let stop = Interrupter::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut request, mut reply) = ([0; 1500], [0; 1500]);
            while let Ok(length) = tun.recv_interruptible(&mut request, &stop) {
                if let Ok(length) = echo_reply(&request[..length], &mut reply) {
                    tun.send(&reply[..length]).unwrap();
                }
            }
        });
        let answered = ns.command("ping").args(["-c1", "-W10", "10.0.0.2"]).output();
        stop.interrupt();
        let answered = answered.unwrap();
        assert!(answered.status.success(), "{}", String::from_utf8_lossy(&answered.stdout));
    });
}

fn root_works_in_namespaces_with_four_threads() {
    work();
}

pub(super) fn as_nobody(entry_name: &str) -> String {
    finish(entry(entry_name).uid(NOBODY).gid(NOBODY))
}

fn a_user_without_rights_works_in_namespaces_with_four_threads() {
    as_nobody("work");
    assert_eq!(others(), [""; 0]);
}

fn become_nobody_and_work() {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setgroups(&[]).unwrap();
    setresgid(gid, gid, gid).unwrap();
    setresuid(uid, uid, uid).unwrap();
    // The kernel now protects the process from inspection, also its own entries in /proc.
    assert!(!nix::sys::prctl::get_dumpable().unwrap());
    with_four_threads(|| {
        let (ns, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        before_and_after(&ns, &other);
    });
    assert!(!nix::sys::prctl::get_dumpable().unwrap());
}

fn a_program_that_became_another_user_works_in_namespaces() {
    finish(&mut entry("work"));
}

fn a_closure_runs_there_and_a_panic_comes_back() {
    let before = Outside::look();
    let ns = Namespace::new().unwrap();
    let thread = thread::current().id();
    let mut ran = false;
    let (link, runner) = ns
        .run(|| {
            ran = true;
            (here(), thread::current().id())
        })
        .unwrap();
    assert!(ran);
    assert_eq!(link, link_of(&ns));
    assert_ne!(runner, thread);
    assert_ne!(here(), link);
    let panicked = catch_unwind(AssertUnwindSafe(|| ns.run(|| panic!("over there"))));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"over there"));
    // A backend that looks around where it is finds what is there.
    let tun = tun_in(&ns, CreateOptions::tun());
    let found = ns.run(|| backend().interface(&name("tun0"))).unwrap().unwrap();
    assert_eq!(found.index(), tun.interface().index());
    // It is of another thread's namespace: only the socket knows it.
    assert_eq!(found.namespace().unwrap(), ns);
    drop((tun, found, ns));
    before.assert_is_so_again();
    // The calling thread's own needs no entering.
    assert_eq!(Namespace::current().unwrap().run(here).unwrap(), here());
}

fn a_namespace_is_found_by_path_and_process() {
    let ns = Namespace::new().unwrap();
    let path = format!("/proc/{}/fd/{}", process::id(), ns.as_fd().as_raw_fd());
    assert_eq!(Namespace::open(&path).unwrap(), ns);
    let mut child = ns.command("sleep").arg("60").spawn().unwrap();
    let found = Namespace::of_process(child.id()).unwrap();
    assert_eq!(found, ns);
    assert_eq!(link_of(&found), link_of(&ns));
    assert_ne!(Namespace::of_process(process::id()).unwrap(), ns);
    assert_eq!(Namespace::of_process(process::id()).unwrap(), Namespace::current().unwrap());
    // It is kept alive by the value alone.
    let tun = tun_in(&found, CreateOptions::tun().persistent(true));
    drop((ns, tun));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen(&found, "tun0")["ifname"], "tun0");
    assert_eq!(format!("{found:?}"), format!("Namespace({})", link_of(&found)));
}

fn an_observer_and_a_survey_see_what_is_there() {
    let ns = Namespace::new().unwrap();
    let tun = tun_in(&ns, CreateOptions::tun().address("10.0.0.1/24").up());
    let there = backend().in_namespace(&ns).unwrap();
    let observer = Observer::new(tun.interface()).unwrap();
    ping_through(&ns, &tun);
    let mut buffer = [0; 1500];
    let mut echoes = 0;
    while let Ok(observed) = observer.try_next(&mut buffer) {
        echoes += usize::from(observed.packet.get(9) == Some(&1));
    }
    assert_eq!(echoes, 2, "the question and the answer");
    let survey = there.survey().unwrap();
    assert_eq!(survey.len(), 1);
    assert_eq!(survey[0].holders.seen[0].pid, process::id());
    assert_eq!(there.interfaces().unwrap().len(), 1);
    assert!(backend().survey().unwrap().is_empty());
    assert_eq!(there, LinuxBackend::new().in_namespace(&ns).unwrap());
    assert_ne!(there, backend());
}

fn a_device_says_where_its_interface_is() {
    let tun = super::support::tun("tun0");
    let (outside, ns) = (Namespace::current().unwrap(), Namespace::new().unwrap());
    assert_eq!(tun.namespace().unwrap(), outside);
    assert_eq!(tun.interface().namespace().unwrap(), outside);
    assert_eq!(ns.run(|| tun.interface().namespace()).unwrap().unwrap(), outside);
    // Another program moves it.
    tunctl_testing::ip(&format!("link set tun0 netns /proc/{}/fd/{}", process::id(), ns.as_fd().as_raw_fd()));
    assert_eq!(tun.namespace().unwrap(), ns);
    assert!(link("tun0").is_none());
    let back = backend().in_namespace(&ns).unwrap().interface(&name("tun0")).unwrap();
    back.move_to(&outside).unwrap();
    assert!(exists("tun0"));
    assert_eq!(tun.namespace().unwrap(), outside);
    tunctl_testing::ip("link delete tun0");
    assert!(refused(tun.namespace()).is_gone());
}

fn ids_in_a_new_namespace() {
    let ns = Namespace::new().unwrap();
    assert_eq!(there(&ns, "id", ["-u"]), "0");
    assert_eq!(there(&ns, "id", ["-g"]), "0");
    let map = there(&ns, "cat", ["/proc/self/uid_map"]);
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "65534", "1"]);
    // Namespaces that one program makes lie in one user namespace; it goes with the last.
    let user = |ns: &Namespace| there(ns, "readlink", ["/proc/self/ns/user"]);
    let first = user(&ns);
    assert_eq!(user(&Namespace::new().unwrap()), first);
    assert_ne!(fs::read_link("/proc/self/ns/user").unwrap().to_str(), Some(first.as_str()));
}

fn a_program_there_is_root_of_one_user_namespace() {
    as_nobody("ids");
    let ns = Namespace::new().unwrap();
    let started = ns.command("true").uid(NOBODY).status();
    assert_eq!(started.unwrap_err().raw_os_error(), Some(1));
}

/// As [`work`], without a program, for which the standard library would wait in vain.
fn work_without_news_of_children() {
    assert!(tunctl_sys::signal::is_ignored(nix::sys::signal::Signal::SIGCHLD as i32).unwrap());
    let before = Outside::look();
    let (ns, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let tun = tun_in(&ns, CreateOptions::tun().address("10.0.0.1/24").up());
    tun.interface().move_to(&other).unwrap();
    let there = backend().in_namespace(&other).unwrap();
    there.interface(&name("tun0")).unwrap().up(address("10.0.0.1/24")).unwrap();
    assert_eq!(tun.namespace().unwrap(), other);
    drop((tun, there, ns, other));
    before.assert_is_so_again();
}

fn a_program_that_ignores_its_children_works_in_namespaces() {
    // A program inherits what its caller ignores.
    let program = entry("ignore");
    for user in [0, NOBODY] {
        let mut ignoring = Command::new("env");
        // By its descriptor: another user may not be able to walk to its path.
        ignoring.args(["--ignore-signal=CHLD", "/proc/self/fd/0"]);
        ignoring.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        finish(ignoring.uid(user).gid(user).stdin(fs::File::open("/proc/self/exe").unwrap()));
    }
}
