//! How the caller starts the helper: its name, environment, limits, folder, and file.

use std::fs;
use std::os::fd::AsFd;

use nix::mount::{MsFlags, mount};
use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_testing::{Call, Case, link, others};

use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::trace::Traced;
use super::support::{HELPER, NOBODY, World, attacks, give_to, grant, revoke, set_mode};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        no_arguments_not_even_a_name,
        arguments,
        a_hostile_environment,
        a_huge_environment,
        small_limits,
        limits_that_the_helper_can_raise,
        a_copy_of_the_helper,
        a_hard_linked_copy,
        a_helper_without_its_capability,
        a_relative_path,
        a_deleted_folder,
        a_deleted_program,
        log_injection_by_its_name,
        log_injection_by_a_name_of_an_interface,
        modules_that_are_loaded_by_name,
    ]
}

fn good() -> Vec<u8> {
    configured("vpn0").to_bytes().to_vec()
}

/// The kernel gives it an empty name since 5.18.
fn no_arguments_not_even_a_name(_: &World) {
    assert_eq!(Start::new().arguments(&[]).ask(good()).granted(), "vpn0");
}

fn arguments(_: &World) {
    for arguments in [
        &[HELPER, "--help"][..],
        &[HELPER, "--policy", "/run/policy.toml"],
        &[HELPER, "vpn7"],
        &["/bin/sh", "-c", "id"],
        &[""],
        &["-"],
    ] {
        let answer = Start::new().arguments(arguments).ask(good());
        match answer.reply() {
            Some(Reply::Granted(_)) => assert_eq!(answer.granted(), "vpn0", "{arguments:?}"),
            // It may as well refuse them.
            other => assert_eq!((other, answer.datagrams.len()), (None, 0), "{answer:?}"),
        }
    }
}

const VARIABLES: &[&str] = &[
    "LD_PRELOAD=/run/evil.so",
    "LD_LIBRARY_PATH=/run/evil",
    "LD_AUDIT=/run/evil.so",
    "LD_DEBUG=all",
    "LD_DEBUG_OUTPUT=/run/evil",
    "LD_PROFILE=libc.so.6",
    "LD_SHOW_AUXV=1",
    "LD_BIND_NOW=1",
    "GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.rtld.nns=1000000:glibc.malloc.check=3",
    "MALLOC_TRACE=/run/evil",
    "GCONV_PATH=/run/evil",
    "LOCPATH=/run/evil",
    "NLSPATH=/run/evil",
    "LANG=evil_EVIL.UTF-8",
    "LC_ALL=evil_EVIL.UTF-8",
    "LANGUAGE=evil",
    "TZ=/run/evil",
    "TZDIR=/run/evil",
    "HOSTALIASES=/run/evil",
    "RES_OPTIONS=debug",
    "TMPDIR=/run/evil",
    "HOME=/run/evil",
    "IFS=/",
    "RUST_BACKTRACE=full",
    "RUST_MIN_STACK=18446744073709551615",
    "RUST_LOG=trace",
    "TUNCTL_HELPER=/run/evil",
];

/// The helper makes the same system calls as without these variables.
fn a_hostile_environment(_: &World) {
    let names = |calls: Vec<Call>| calls.into_iter().map(|call| call.name).collect::<Vec<_>>();
    let (answer, usual) = Traced::new().ask(good());
    answer.granted();
    drop(answer);
    let variables = VARIABLES.iter().chain(&["PATH=/run/evil"]);
    let start = variables.clone().fold(Start::new(), |start, variable| start.variable(*variable));
    assert_eq!(start.ask(good()).granted(), "vpn0");
    let traced = variables.fold(Traced::new(), |traced, variable| traced.variable(variable));
    let (answer, calls) = traced.ask(good());
    assert_eq!(answer.granted(), "vpn0");
    for call in &calls[1..] {
        assert!(!call.arguments.contains("evil"), "{call:?}");
    }
    assert_eq!(names(calls), names(usual));
    // Control: a program without a capability opens what the variable says.
    let preloaded = std::process::Command::new("strace")
        .args(["-o", "/run/trace-true", "-E", VARIABLES[0], "true"])
        .stderr(std::process::Stdio::null())
        .status();
    assert!(preloaded.unwrap().success());
    assert!(fs::read_to_string("/run/trace-true").unwrap().contains("/run/evil.so"));
}

fn a_huge_environment(_: &World) {
    let long = format!("A={}", "a".repeat(60_000));
    let many = (0..3000).map(|number| format!("LD_{number}=="));
    let start = many.fold(Start::new().variable(long), Start::variable);
    assert_eq!(start.ask(good()).granted(), "vpn0");
}

/// Whatever it may have, it answers or ends, and nothing is left.
fn small_limits(world: &World) {
    let limits = [
        ("NOFILE", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16][..]),
        ("NPROC", &[0, 1]),
        ("FSIZE", &[0, 1]),
        ("CPU", &[0, 1]),
        ("MEMLOCK", &[0]),
        ("DATA", &[0, 4096, 1 << 16, 1 << 18, 1 << 20]),
        ("STACK", &[0, 4096, 1 << 14, 1 << 16, 1 << 18]),
        ("AS", &[0, 1 << 16, 1 << 20, 3 << 19, 1 << 21, 3 << 20, 1 << 22, 1 << 23, 1 << 24]),
    ];
    for (name, values) in limits {
        let mut outcomes = Vec::new();
        for value in values {
            let value = value.to_string();
            let answer = Start::new().step(&["limit", name, &value, &value]).ask(good());
            let reply = answer.reply();
            match reply {
                Some(Reply::Granted(_)) => assert_eq!(answer.granted(), "vpn0", "{name} {value}"),
                // Without room for a descriptor, even the policy cannot be read.
                Some(Reply::Refused(_)) | None => {}
            }
            outcomes.push(format!("{value}: {reply:?}, {}", answer.status));
            drop(answer);
            world.is_as_before();
        }
        println!("{name}: {outcomes:#?}");
    }
    // They have cost nothing of what the user may have.
    assert_eq!(ask(good()).granted(), "vpn0");
}

/// Where the caller lowers only the soft limit, the helper does with the hard one.
fn limits_that_the_helper_can_raise(_: &World) {
    for (name, soft, hard) in [("NOFILE", "4", "1024"), ("FSIZE", "0", "1000000"), ("CPU", "1", "60")] {
        let answer = Start::new().step(&["limit", name, soft, hard]).ask(good());
        assert_eq!(answer.granted(), "vpn0", "{name}");
    }
}

/// The copy has no capability, whoever made it.
fn a_copy_of_the_helper(_: &World) {
    fs::copy(HELPER, "/run/copy").unwrap();
    set_mode("/run/copy", 0o755);
    give_to("/run/copy", NOBODY);
    Start::new().program("/run/copy").ask(good()).is_refused(Refusal::NotGranted);
    assert!(others().is_empty());
    grant("/run/copy");
    assert_eq!(Start::new().program("/run/copy").ask(good()).granted(), "vpn0");
}

/// It is the same program with the same policy, and can do no more, under whichever name it is called.
fn a_hard_linked_copy(world: &World) {
    fs::create_dir("/usr/local/mine").unwrap();
    fs::create_dir("/usr/local/mine/etc").unwrap();
    give_to("/usr/local/mine", NOBODY);
    let copy = "/usr/local/mine/tunctl-helper";
    fs::hard_link(HELPER, copy).unwrap();
    let start = || Start::new().program(copy).step(&["go to", "/usr/local/mine"]);
    start().ask(tun("work1").to_bytes()).is_refused(Refusal::Name);
    assert_eq!(start().ask(good()).granted(), "vpn0");
    // Once root takes the capability from the file, all its names lack it.
    revoke(HELPER);
    start().ask(good()).is_refused(Refusal::NotGranted);
    world.install();
    start().ask(good()).is_refused(Refusal::NotGranted);
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn a_helper_without_its_capability(_: &World) {
    revoke(HELPER);
    ask(good()).is_refused(Refusal::NotGranted);
    assert!(others().is_empty());
    grant(HELPER);
    assert_eq!(ask(good()).granted(), "vpn0");
    // Mounted so, the kernel ignores the capability.
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID;
    mount(None::<&str>, "/usr/local", None::<&str>, flags, None::<&str>).unwrap();
    ask(good()).is_refused(Refusal::NosuidMount);
    assert!(others().is_empty());
    mount(None::<&str>, "/usr/local", None::<&str>, MsFlags::MS_REMOUNT, None::<&str>).unwrap();
    assert_eq!(ask(good()).granted(), "vpn0");
}

fn a_relative_path(_: &World) {
    let start = Start::new().program("./tunctl-helper").arguments(&["./tunctl-helper"]);
    assert_eq!(start.step(&["go to", "/usr/local/libexec"]).ask(good()).granted(), "vpn0");
    // A folder of the caller's, with the same folders in it.
    for folder in ["/run/mine", "/run/mine/etc", "/run/mine/etc/tunctl", "/run/mine/dev", "/run/mine/proc"] {
        fs::create_dir(folder).unwrap();
        give_to(folder, NOBODY);
    }
    fs::write("/run/mine/etc/tunctl/policy.toml", "[[rule]]\nuser = \"nobody\"\nnames = [\"evil0\"]\n")
        .unwrap();
    let start =
        || Start::new().program("../../usr/local/libexec/tunctl-helper").step(&["go to", "/run/mine"]);
    start().ask(tun("evil0").to_bytes()).is_refused(Refusal::Name);
    assert_eq!(start().ask(good()).granted(), "vpn0");
}

fn a_deleted_folder(_: &World) {
    let start = Start::new().step(&["go to deleted", "/run/gone"]);
    let helper = start.run();
    helper.is_ready();
    let folder = fs::read_link(format!("/proc/{}/cwd", helper.pid())).unwrap();
    assert_eq!(folder.to_str(), Some("/"));
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn a_deleted_program(world: &World) {
    let helper = Start::new().run();
    helper.is_ready();
    fs::remove_file(HELPER).unwrap();
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
    world.install();
    assert_eq!(ask(good()).granted(), "vpn0");
}

const HOSTILE: &str = "\u{1b}[31mroot\r\nNov 29 00:00:00 host kernel: all is well %s%n\u{7}";

/// What it writes is a constant, whoever calls it what.
fn log_injection_by_its_name(_: &World) {
    let complaint = |start: Start| {
        let (ours, _) = super::support::helper::Helper::pair();
        let input = fs::File::open("/dev/null").unwrap();
        let answer = start.run_with(input.as_fd().try_clone_to_owned().unwrap(), ours).answer();
        answer.is_not_spoken_to();
        answer.complaint
    };
    let usual = complaint(Start::new());
    fs::hard_link(HELPER, format!("/usr/local/libexec/{}", HOSTILE.replace('/', ""))).unwrap();
    let hostile = Start::new().program(&format!("/usr/local/libexec/{HOSTILE}"));
    assert_eq!(complaint(hostile.clone().arguments(&[HOSTILE, HOSTILE])), usual);
    assert!(usual.starts_with("tunctl-helper is started by programs"), "{usual}");
    // Whoever called it what, it writes nothing but that; `granted` compares.
    let answer = hostile.arguments(&[HOSTILE]).ask(good());
    answer.granted();
    assert_eq!(link("vpn0").unwrap()["ifalias"], "tunctl-helper uid 65534 name vpn%d");
}

fn log_injection_by_a_name_of_an_interface(_: &World) {
    for name in ["vpn0\nroot", "vpn\u{1b}[31m", "vpn%s%n", "vpn0\r", "\u{202e}0npv"] {
        // Its standard error is empty.
        ask(tun(name).to_bytes()).is_refused(Refusal::Name);
    }
    // The description is the rule's word, and none of the request's.
    let answer = ask(tun("vpn7").to_bytes());
    answer.granted();
    assert_eq!(link("vpn7").unwrap()["ifalias"], "tunctl-helper uid 65534 name vpn%d");
}

/// A process with the right has the kernel load a module when it asks for an interface by name with an ioctl
/// on a socket (`dev_load`): the helper asks for none.
fn modules_that_are_loaded_by_name(_: &World) {
    for request in [configured("vpn0"), tun("vpn%d"), tun("tun-evil")] {
        let (answer, calls) = Traced::new().ask(request.to_bytes());
        assert_eq!(answer.status.code(), Some(0));
        for call in &calls {
            let file = call.arguments.split_once('<').map_or("", |(_, file)| file);
            let is_known = match &*call.name {
                "ioctl" => {
                    file.starts_with("/dev/net/tun") || file.starts_with("net:[") || file.contains("/ns/")
                }
                "socket" => call.arguments.starts_with("AF_NETLINK"),
                "open" | "openat" => !["vhost", "\"/sys/", "modules", "/dev/kvm"]
                    .iter()
                    .any(|word| call.arguments.contains(word)),
                "execve" => call == &calls[0],
                name => !["clone", "clone3", "fork", "vfork", "finit_module", "init_module", "execveat"]
                    .contains(&name),
            };
            assert!(is_known, "{call:?}");
        }
    }
}
