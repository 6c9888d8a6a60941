//! What the helper makes of itself before it reads a byte of the request.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tunctl_testing::{Call, Case};

use super::support::helper::Helper;
use super::support::request::configured;
use super::support::start::Start;
use super::support::trace::Traced;
use super::support::{HELPER, NOBODY, USUAL, World, attacks};

/// No capability, and no signal.
const NONE: &str = "0000000000000000";

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        the_state_in_which_it_reads,
        the_rights_of_root_are_given_up,
        signals_that_its_starter_ignored,
        the_order_of_its_precautions,
        the_capability_is_effective_around_few_calls,
    ]
}

fn good() -> Vec<u8> {
    configured("vpn0").to_bytes().to_vec()
}

fn status(helper: &Helper) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{}/status", helper.pid())).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(":\t"));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// Started in a state that its caller chose, it waits in one that it chose.
fn the_state_in_which_it_reads(_: &World) {
    let start = Start::new()
        .step(&["umask", "0"])
        .step(&["block", "SIGALRM", "SIGTERM", "SIGPIPE", "SIGSEGV"])
        .step(&["go to", "/run"])
        .step(&["nice", "-5"])
        .step(&["open", "/dev/zero"])
        .step(&["limit", "CORE", "1000000", "1000000"]);
    let helper = start.run();
    helper.is_ready();
    let status = status(&helper);
    for (name, expected) in [
        ("CapInh", NONE),
        ("CapPrm", "0000000000001000"),
        ("CapEff", NONE),
        ("CapAmb", NONE),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("SigBlk", NONE),
        ("Threads", "1"),
        ("TracerPid", "0"),
    ] {
        assert_eq!(status[name], expected, "{name}: {status:?}");
    }
    assert!(["0077", "0022"].contains(&&*status["Umask"]), "{status:?}");
    let of = |file: &str| format!("/proc/{}/{file}", helper.pid());
    assert_eq!(fs::read_link(of("cwd")).unwrap().to_str(), Some("/"));
    let limits = fs::read_to_string(of("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // Behind the program's name come its state, and 15 numbers more.
    let stat = fs::read_to_string(of("stat")).unwrap();
    assert_eq!(stat.rsplit_once(") ").unwrap().1.split(' ').nth(16), Some("0"), "nice: {stat}");
    for stream in ["fd/1", "fd/2"] {
        assert_eq!(fs::read_link(of(stream)).unwrap().to_str(), Some("/dev/null"));
    }
    let files: Vec<_> =
        fs::read_dir(of("fd")).unwrap().map(|file| fs::read_link(file.unwrap().path()).unwrap()).collect();
    assert!(!files.iter().any(|file| file.ends_with("zero")), "{files:?}");
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

/// Root has all of them, and can empty the bounding set as well.
fn the_rights_of_root_are_given_up(world: &World) {
    world.policy(USUAL.replace("nobody", "root"));
    let helper = Start::new().user(0).run();
    helper.is_ready();
    let status = status(&helper);
    for (name, expected) in
        [("CapPrm", "0000000000001000"), ("CapEff", NONE), ("CapInh", NONE), ("CapBnd", NONE)]
    {
        assert_eq!(status[name], expected, "{name}: {status:?}");
    }
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn signals_that_its_starter_ignored(_: &World) {
    let (ours, theirs) = Helper::pair();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT QUIT USR1 USR2 ALRM TERM CHLD XCPU TSTP; exec \"$0\"", HELPER]);
    let helper = Helper::spawn(
        {
            shell.uid(NOBODY).gid(NOBODY).stdin(theirs);
            shell
        },
        ours,
    );
    helper.is_ready();
    let ignored = u64::from_str_radix(&status(&helper)["SigIgn"], 16).unwrap();
    // The C library keeps 32 and 33 to itself, and ignores them in what it spawns.
    assert_eq!(ignored & !(3 << 31), 0, "{ignored:#x}");
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn has(call: &Call, name: &str, words: &str) -> bool {
    call.name == name && call.arguments.contains(words)
}

/// Whether a call is the one by which a precaution is taken.
type Precaution = fn(&Call) -> bool;

/// Each of them is found, after the one before it.
fn the_order_of_its_precautions(_: &World) {
    let (answer, calls) = Traced::new().ask(good());
    answer.granted();
    let wanted: &[(&str, Precaution)] = &[
        ("descriptors are closed", |call| {
            call.name.starts_with("close") || has(call, "openat", "/proc/self/fd")
        }),
        ("timers are stopped", |call| {
            has(call, "setitimer", "ITIMER_PROF, {it_interval={tv_sec=0, tv_usec=0}")
        }),
        ("not dumpable", |call| has(call, "prctl", "PR_SET_DUMPABLE, SUID_DUMP_DISABLE")),
        ("the ambient set is cleared", |call| has(call, "prctl", "PR_CAP_AMBIENT_CLEAR_ALL")),
        ("capabilities are dropped", |call| call.name == "capset"),
        ("no new privileges", |call| has(call, "prctl", "PR_SET_NO_NEW_PRIVS, 1")),
        ("the policy is read", |call| {
            call.name.starts_with("open") && call.arguments.contains("policy.toml")
        }),
        ("the node is opened", |call| call.name.starts_with("open") && call.arguments.contains("tun")),
        ("system calls are filtered", |call| call.name == "seccomp" || has(call, "prctl", "PR_SET_SECCOMP")),
        ("the request is read", |call| {
            ["recvmsg", "recvfrom", "read"].contains(&&*call.name) && call.arguments.starts_with("0<")
        }),
        ("the lock is taken", |call| has(call, "ioctl", "TUNSETIFF")),
        ("the interface is created", |call| has(call, "ioctl", "TUNSETIFF")),
        ("it is the caller's", |call| has(call, "ioctl", "TUNSETOWNER")),
        ("the reply is sent", |call| call.name == "sendmsg" && call.arguments.starts_with("0<")),
    ];
    let mut from = 0;
    for (what, is) in wanted {
        let found = calls[from..].iter().position(is);
        from += found.unwrap_or_else(|| panic!("{what}, after the one before it: {calls:#?}")) + 1;
    }
    // Nothing is read from the socket earlier, not even in part.
    let reads = calls.iter().filter(|call| call.name.starts_with("recv") && call.arguments.starts_with("0<"));
    assert_eq!(reads.count(), 1);
    let limit = calls.iter().position(|call| ["alarm", "setitimer", "timer_settime"].contains(&&*call.name));
    let closed = calls.iter().position(|call| has(call, "openat", "policy.toml"));
    assert!(limit < closed && limit.is_some(), "the time limit begins before anything is waited for");
}

/// With the capability in effect it opens the netlink socket, makes interfaces, and changes them.
fn the_capability_is_effective_around_few_calls(_: &World) {
    let (answer, calls) = Traced::new().ask(good());
    answer.granted();
    let mut is_effective = false;
    let mut with_it = Vec::new();
    for call in calls.iter().skip_while(|call| call.name != "capset") {
        if call.name == "capset" {
            is_effective = call.arguments.contains("effective=1<<CAP_NET_ADMIN");
            assert!(!call.arguments.contains("inheritable=1"), "{call:?}");
        } else if is_effective {
            with_it.push(call);
        }
    }
    assert!(!is_effective, "it ends without it");
    for call in &with_it {
        let is_meant = match &*call.name {
            "socket" => call.arguments.starts_with("AF_NETLINK"),
            "ioctl" => call.arguments.contains("TUN") || call.arguments.contains("SIOC"),
            "bind" | "sendto" | "sendmsg" | "recvfrom" | "recvmsg" | "setsockopt" | "getsockname" => {
                call.arguments.contains("<NETLINK") || call.arguments.contains("socket:")
            }
            // Whether the interface heeds routers.
            "openat" | "write" | "close" => call.arguments.contains("</proc/sys/net/ipv6/conf"),
            // Memory for an answer.
            name => ["brk", "mmap", "munmap"].contains(&name),
        };
        assert!(is_meant && !call.arguments.starts_with("0<"), "{call:?}");
    }
    // Control: the first of them is refused without it.
    assert!(with_it.iter().any(|call| call.arguments.contains("TUNSETIFF")), "{with_it:?}");
}
