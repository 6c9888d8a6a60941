//! Namespaces as values: what is refused, with cause and remedy, and leaves nothing behind.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};
use tunctl_core::{Cause, CreateOptions, Error, Interface, TunBackend, TunDevice};
use tunctl_linux::Namespace;
use tunctl_testing::{Case, case, entry, finish};

use super::namespace_values::{NOBODY, Outside, as_nobody, here, seen, there, tun_in};
use super::namespaces::forbid_namespaces;
use super::support::{backend, name, others, refused};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_closure_cannot_run_where_no_thread_can_enter).entry("run", run_without_rights).needs_root(),
        case!(what_is_no_namespace_is_refused),
        case!(a_foreign_process_is_closed_to_a_user).entry("look", look_into_root).needs_root(),
        case!(a_user_may_not_enter_roots_namespace).entry("enter", enter_roots_namespace).needs_root(),
        case!(an_interface_does_not_move_to_a_namespace_that_has_its_name),
        case!(an_interface_does_not_leave_for_a_namespace_of_root).entry("move", move_out).needs_root(),
        case!(too_many_open_files_are_told).entry("full", make_with_all_files_open).needs_root(),
        case!(too_many_processes_are_told).entry("full", make_without_processes).needs_root(),
        case!(refused_namespaces_are_told)
            .entry("make", make_or_be_refused)
            .needs_root()
            .needs_tool("strace"),
    ]
}

fn what_is_no_namespace_is_refused() {
    let error = refused(Namespace::open("/run/netns/no-such-name"));
    assert_explained(&error, Cause::NotFound, Some(2), &["/run/netns/no-such-name", "ip netns list"]);
    for path in ["/proc/self/comm", "/proc/self/ns/user", "/dev/null", "/proc"] {
        let error = refused(Namespace::open(path));
        assert_explained(&error, Cause::NotANamespace, None, &[path]);
    }
    let error = refused(Namespace::of_process(u32::MAX));
    assert_explained(&error, Cause::NotFound, Some(2), &["there is no process 4294967295"]);
}

fn look_into_root() {
    let error = refused(Namespace::of_process(std::os::unix::process::parent_id()));
    assert_explained(&error, Cause::MissingCapability, Some(13), &["sudo"]);
}

fn a_foreign_process_is_closed_to_a_user() {
    as_nobody("look");
}

/// The descriptor is inherited, so that only the entering is refused.
fn enter_roots_namespace() {
    let ns = Namespace::open("/proc/self/fd/0").unwrap();
    assert_ne!(ns, Namespace::current().unwrap());
    for error in [refused(backend().in_namespace(&ns)), refused(ns.run(|| ()))] {
        assert_explained(&error, Cause::MissingCapability, Some(1), &["CAP_SYS_ADMIN", "sudo"]);
    }
    assert_eq!(ns.command("true").status().unwrap_err().raw_os_error(), Some(1));
}

fn a_user_may_not_enter_roots_namespace() {
    let ns = Namespace::new().unwrap();
    let path = format!("/proc/self/fd/{}", ns.as_fd().as_raw_fd());
    finish(entry("enter").uid(NOBODY).gid(NOBODY).stdin(fs::File::open(path).unwrap()));
}

fn an_interface_does_not_move_to_a_namespace_that_has_its_name() {
    let (ns, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let (tun, stranger) = (tun_in(&ns, CreateOptions::tun()), tun_in(&other, CreateOptions::tun()));
    let error = refused(tun.interface().move_to(&other));
    assert_explained(&error, Cause::Exists, Some(17), &["move tun0", "Rename one of the two"]);
    assert_eq!(seen(&ns, "tun0")["ifname"], "tun0");
    // To where it is, it need not move.
    tun.interface().move_to(&ns).unwrap();
    tun.interface().info().unwrap();
    // An index that is taken is another one there.
    let third = backend().in_namespace(&ns).unwrap().create(&CreateOptions::tap().name("tap0")).unwrap();
    let second = backend().in_namespace(&other).unwrap().create(&CreateOptions::tap().name("tap1")).unwrap();
    assert_eq!(third.interface().index(), second.interface().index());
    third.interface().move_to(&other).unwrap();
    let moved = backend().in_namespace(&other).unwrap().interface(&name("tap0")).unwrap();
    assert_ne!(moved.index(), second.interface().index());
    assert_eq!(seen(&other, "tap0")["ifindex"], moved.index().get());
    assert_eq!(moved.info().unwrap().name, name("tap0"));
    drop(stranger);
}

fn move_out() {
    let outside = Namespace::current().unwrap();
    let ns = Namespace::new().unwrap();
    let tun = tun_in(&ns, CreateOptions::tun());
    let error = refused(tun.interface().move_to(&outside));
    assert_explained(&error, Cause::MissingCapability, Some(1), &["both namespaces"]);
    assert_eq!(seen(&ns, "tun0")["ifname"], "tun0");
    tun.interface().info().unwrap();
}

fn an_interface_does_not_leave_for_a_namespace_of_root() {
    as_nobody("move");
    assert_eq!(others(), [""; 0]);
}

fn make_with_all_files_open() {
    let before = Outside::look();
    let mut files = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        files.push(file);
    }
    let mut refusals = 0;
    // With room for one descriptor more each time, until there is room for all.
    let made = loop {
        match Namespace::new() {
            Ok(made) => break made,
            Err(error) => assert_explained(&error, Cause::TooManyOpenFiles, Some(24), &["ulimit -n"]),
        }
        refusals += 1;
        let room = files.len();
        assert!(fs::File::open("/dev/null").is_err() || refusals > 1);
        files.truncate(room - 1);
    };
    assert!(refusals > 1, "{refusals}");
    drop((files, made));
    before.assert_is_so_again();
}

fn too_many_open_files_are_told() {
    // By a child; and by a thread.
    as_nobody("full");
    finish(&mut entry("full"));
}

fn make_without_processes() {
    let before = Outside::look();
    setrlimit(Resource::RLIMIT_NPROC, 1, 1).unwrap();
    let error = refused(Namespace::new());
    assert_explained(&error, Cause::Other, Some(11), &["ulimit -u"]);
    before.assert_is_so_again();
}

fn too_many_processes_are_told() {
    as_nobody("full");
}

fn make_or_be_refused() {
    let before = Outside::look();
    match Namespace::new().map(drop) {
        Ok(()) => println!("made"),
        Err(error) => println!("{:?} {error}", error.cause()),
    }
    before.assert_is_so_again();
}

fn refused_namespaces_are_told() {
    assert_eq!(as_nobody("make"), "made\n");
    assert_eq!(finish(&mut entry("make")), "made\n");
    // What a security module or a seccomp filter does.
    let program = entry("make");
    let mut filtered = Command::new("strace");
    filtered.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=unshare:error=EPERM"]);
    filtered.arg(std::env::current_exe().unwrap());
    filtered.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let printed = finish(&mut filtered);
    assert!(printed.starts_with("NamespacesRefused"), "{printed}");
    // The limits are those of the case's user namespace, and of what is below it; never the machine's.
    forbid_namespaces("net");
    for printed in [as_nobody("make"), finish(&mut entry("make"))] {
        assert!(printed.starts_with("NamespacesRefused") && printed.contains("0 network"), "{printed}");
    }
    forbid_namespaces("user");
    let printed = as_nobody("make");
    assert!(printed.starts_with("NamespacesRefused") && printed.contains("permits 0 user"), "{printed}");
}

fn run_without_rights() {
    let ns = Namespace::new().unwrap();
    let error = refused(ns.run(|| panic!("it ran")));
    assert_explained(&error, Cause::SeveralThreads, Some(1), &["in_namespace", "Namespace::command"]);
    // The thread's own namespace takes no right.
    assert_eq!(Namespace::current().unwrap().run(here).unwrap(), here());
    assert_eq!(there(&Namespace::current().unwrap(), "readlink", ["/proc/self/ns/net"]), here());
}

fn a_closure_cannot_run_where_no_thread_can_enter() {
    as_nobody("run");
}

fn assert_explained(error: &Error, cause: Cause, errno: Option<i32>, words: &[&str]) {
    assert_eq!((error.cause(), error.raw_os_error()), (cause, errno), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word} is not in: {error}");
    }
}
