//! How the helper is started: by whom, and in what state.

use std::env;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{Gid, Uid, chdir, chroot, close, execve, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};
use serde_json::{Value, json};
use tunctl_testing::entry;

use super::helper::{Answer, Helper};
use super::{HELPER, NOBODY};

/// In the environment of the process that becomes the helper.
const START: &str = "TUNCTL_ATTACK";

/// What a process does before it becomes the helper.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    program: String,
    arguments: Vec<String>,
    environment: Vec<String>,
    /// Each a word and its arguments: see [`take`].
    steps: Vec<Vec<String>>,
    /// Real and effective user, real and effective group.
    ids: [u32; 4],
    groups: Vec<u32>,
    /// The line that the new user namespace maps its users and groups by, if there is to be one.
    map: Option<String>,
}

impl Start {
    /// By an unprivileged user, without environment.
    pub(crate) fn new() -> Self {
        Self {
            program: HELPER.to_owned(),
            arguments: vec![HELPER.to_owned()],
            environment: Vec::new(),
            steps: Vec::new(),
            ids: [NOBODY; 4],
            groups: Vec::new(),
            map: None,
        }
    }

    pub(crate) fn program(mut self, path: &str) -> Self {
        path.clone_into(&mut self.program);
        self
    }

    /// The program's arguments, the first of which is its name.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    pub(crate) fn variable(mut self, variable: impl Into<String>) -> Self {
        self.environment.push(variable.into());
        self
    }

    pub(crate) fn user(self, uid: u32) -> Self {
        self.ids([uid; 4])
    }

    pub(crate) fn ids(mut self, ids: [u32; 4]) -> Self {
        self.ids = ids;
        self
    }

    pub(crate) fn group(mut self, gid: u32) -> Self {
        self.groups.push(gid);
        self
    }

    pub(crate) fn step(mut self, words: &[&str]) -> Self {
        self.steps.push(words.iter().map(|&word| word.to_owned()).collect());
        self
    }

    /// In a new user namespace, which maps its ids by this line. Everything else is done there.
    pub(crate) fn user_namespace(mut self, map: &str) -> Self {
        self.map = Some(map.to_owned());
        self
    }

    /// Starts it with one end of a socket pair as its standard input.
    pub(crate) fn run(self) -> Helper {
        let (ours, theirs) = Helper::pair();
        self.run_with(theirs, ours)
    }

    /// Starts it with this standard input, the other end of which is ours.
    pub(crate) fn run_with(self, input: OwnedFd, ours: OwnedFd) -> Helper {
        let start = json!([
            self.program,
            self.arguments,
            self.environment,
            self.steps,
            self.ids,
            self.groups,
            self.map.is_some(),
        ]);
        let mut command = entry("helper");
        command.env(START, start.to_string()).stdin(Stdio::from(input));
        let helper = Helper::spawn(command, ours);
        if let Some(map) = &self.map {
            write_maps(helper.pid(), map);
        }
        helper
    }

    /// Starts it, asks it for something, and waits for its end.
    pub(crate) fn ask(self, request: impl AsRef<[u8]>) -> Answer {
        let helper = self.run();
        helper.send(request.as_ref());
        helper.answer()
    }
}

/// The helper, started by an unprivileged user, is asked for something.
pub(crate) fn ask(request: impl AsRef<[u8]>) -> Answer {
    Start::new().ask(request)
}

/// Maps the ids of a process once it is in its new user namespace: only from outside can all be mapped.
fn write_maps(pid: u32, map: &str) {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let started = Instant::now();
    while namespace(&pid.to_string()) == namespace("self") {
        assert!(started.elapsed().as_secs() < 10, "the process has not entered its user namespace");
        thread::sleep(Duration::from_millis(1));
    }
    fs::write(format!("/proc/{pid}/gid_map"), map).unwrap();
    fs::write(format!("/proc/{pid}/uid_map"), map).unwrap();
}

/// The entry that becomes the helper.
pub(crate) fn become_helper() {
    let start: Value = serde_json::from_str(&env::var(START).unwrap()).unwrap();
    let strings = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let program: String = serde_json::from_value(start[0].clone()).unwrap();
    if start[6] == true {
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
        while fs::read_to_string("/proc/self/uid_map").unwrap().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let (arguments, environment) = (strings(&start[1]), strings(&start[2]));
    let steps: Vec<Vec<String>> = serde_json::from_value(start[3].clone()).unwrap();
    let (limits, others): (Vec<_>, Vec<_>) = steps.into_iter().partition(|words| words[0] == "limit");
    let take_all = |steps: &[Vec<String>]| {
        for words in steps {
            take(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    };
    take_all(&others);
    let groups: Vec<u32> = serde_json::from_value(start[5].clone()).unwrap();
    setgroups(&groups.into_iter().map(Gid::from_raw).collect::<Vec<_>>()).unwrap();
    let [uid, euid, gid, egid]: [u32; 4] = serde_json::from_value(start[4].clone()).unwrap();
    let (gid, egid) = (Gid::from_raw(gid), Gid::from_raw(egid));
    setresgid(gid, egid, egid).unwrap();
    let (uid, euid) = (Uid::from_raw(uid), Uid::from_raw(euid));
    setresuid(uid, euid, euid).unwrap();
    // Last, so that they leave this process alone.
    take_all(&limits);
    exec(&program, &arguments, &environment);
}

/// The standard library gives SIGPIPE its default again, but it starts no program without a name.
fn exec(program: &str, arguments: &[String], environment: &[String]) -> ! {
    let Some((name, rest)) = arguments.split_first() else {
        let environment: Vec<_> =
            environment.iter().map(|text| CString::new(text.as_str()).unwrap()).collect();
        let none: [CString; 0] = [];
        panic!("{:?}", execve(&CString::new(program).unwrap(), &none, &environment));
    };
    let variables = environment.iter().map(|text| text.split_once('=').unwrap());
    let mut command = Command::new(program);
    command.arg0(name).args(rest).env_clear().envs(variables);
    panic!("{program}: {}", command.exec())
}

fn take(words: &[&str]) {
    match words {
        ["limit", name, soft, hard] => {
            let limit = |text: &str| text.parse().unwrap();
            setrlimit(resource(name), limit(soft), limit(hard)).unwrap();
        }
        ["block", signals @ ..] => {
            let set: SigSet = signals.iter().map(|name| name.parse::<Signal>().unwrap()).collect();
            sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).unwrap();
        }
        ["nice", value] => drop(rustix::process::nice(value.parse().unwrap()).unwrap()),
        ["umask", mode] => {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mode));
        }
        ["alarm", seconds] => drop(nix::unistd::alarm::set(seconds.parse().unwrap())),
        ["close", number] => close(number.parse::<i32>().unwrap()).unwrap(),
        // Full up to this limit, which then stays.
        ["full table", limit] => {
            let limit = limit.parse().unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
            fill();
        }
        ["open", path] => leak(File::open(path).unwrap()),
        ["no new privileges"] => set_no_new_privs(true).unwrap(),
        ["unbound", number] => {
            let capability = CapabilitySet::from_bits_retain(1 << number.parse::<u32>().unwrap());
            remove_capability_from_bounding_set(capability).unwrap();
        }
        ["join", path] => setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap(),
        ["new network"] => unshare(CloneFlags::CLONE_NEWNET).unwrap(),
        ["chroot", path] => chroot(*path).unwrap(),
        ["go to", path] => chdir(*path).unwrap(),
        ["go to deleted", path] => {
            fs::create_dir(path).unwrap();
            chdir(*path).unwrap();
            fs::remove_dir(path).unwrap();
        }
        _ => panic!("{words:?}"),
    }
}

fn resource(name: &str) -> Resource {
    match name {
        "NOFILE" => Resource::RLIMIT_NOFILE,
        "NPROC" => Resource::RLIMIT_NPROC,
        "FSIZE" => Resource::RLIMIT_FSIZE,
        "CPU" => Resource::RLIMIT_CPU,
        "STACK" => Resource::RLIMIT_STACK,
        "AS" => Resource::RLIMIT_AS,
        "CORE" => Resource::RLIMIT_CORE,
        "DATA" => Resource::RLIMIT_DATA,
        "MEMLOCK" => Resource::RLIMIT_MEMLOCK,
        _ => panic!("{name}"),
    }
}

/// Leaves no descriptor free below the limit; all stay open across execve.
fn fill() {
    while let Ok(file) = File::open("/dev/null") {
        leak(file);
    }
}

fn leak(file: File) {
    fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    std::mem::forget(file);
}

/// The entry of another process of the same user, which tries what its environment says on a process, and
/// prints the errno of each attempt.
pub(crate) fn be_a_stranger() {
    use nix::sys::ptrace;
    use nix::unistd::Pid;

    let pid: i32 = env::var("VICTIM").unwrap().parse().unwrap();
    let open = |name: &str| File::open(format!("/proc/{pid}/{name}")).map(drop);
    let attached = ptrace::attach(Pid::from_raw(pid));
    if attached.is_ok() {
        nix::sys::wait::waitpid(Pid::from_raw(pid), None).unwrap();
        ptrace::detach(Pid::from_raw(pid), None).unwrap();
    }
    println!("attach {attached:?}");
    for name in ["mem", "environ", "maps", "auxv"] {
        println!("{name} {}", open(name).is_ok());
    }
    let victim = rustix::process::Pid::from_raw(pid).unwrap();
    let handle = rustix::process::pidfd_open(victim, rustix::process::PidfdFlags::empty()).unwrap();
    let taken = rustix::process::pidfd_getfd(handle, 0, rustix::process::PidfdGetfdFlags::empty());
    println!("taken {}", taken.is_ok());
    println!("descriptors {}", fs::read_dir(format!("/proc/{pid}/fd")).is_ok());
}
