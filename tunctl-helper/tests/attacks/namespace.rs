//! Network namespaces that are none of the caller's.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_testing::{Case, OtherNamespace, others};

use super::support::helper::{Answer, Helper};
use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::steps::{own_steps, stopped_after};
use super::support::{FOLDER, NOBODY, POLICY, USUAL, World, attacks, give_to, interfaces, set_mode};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_namespace_of_another_user_namespace,
        another_namespace_than_the_policy_names,
        a_namespace_in_a_folder_of_others,
        a_foreign_namespace_that_root_has_bound,
        a_path_that_is_no_namespace,
        a_namespace_that_vanishes,
        the_hosts_namespace_from_a_container,
        root_of_a_child_user_namespace_with_a_policy_of_its_own,
        a_socket_of_another_namespace,
        an_abstract_socket_across,
    ]
}

const LAB: &str = "/run/netns/lab";

/// The usual policy, for the namespace at [`LAB`] alone.
fn lab_policy(namespaces: &str) -> String {
    format!("{USUAL}namespaces = [{namespaces}]\n")
}

/// A network namespace that another user namespace owns.
fn foreign() -> File {
    // One process throughout: a child of its own could outlive it, if that is killed before the child asks to
    // hear of its parent's death.
    let mut child = Command::new("unshare")
        .args(["--user", "--net", "sleep", "60"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let path = format!("/proc/{}/ns/net", child.id());
    while fs::read_link(&path).unwrap() == own {
        thread::yield_now();
    }
    let file = File::open(path).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    file
}

/// Does something in a namespace.
fn within<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        visitor.join().unwrap()
    })
}

/// Keeps a namespace at a path, as `ip netns add` does.
fn keep(namespace: &str, path: &str) {
    File::create(path).unwrap();
    mount(Some(namespace), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

fn forget(path: &str) {
    umount2(path, MntFlags::MNT_DETACH).unwrap();
    fs::remove_file(path).unwrap();
}

fn ask_in(namespace: &OtherNamespace) -> Answer {
    namespace.run(|| ask(configured("vpn0").to_bytes()))
}

fn a_namespace_of_another_user_namespace(_: &World) {
    let foreign = foreign();
    let before = within(&foreign, interfaces);
    within(&foreign, || ask(configured("vpn0").to_bytes())).is_refused(Refusal::Namespace);
    assert!(within(&foreign, interfaces) == before && others().is_empty());
    // Control: a namespace that the caller's own user namespace owns.
    assert_eq!(ask(configured("vpn0").to_bytes()).granted(), "vpn0");
    let sibling = OtherNamespace::new();
    let answer = ask_in(&sibling);
    assert_eq!(sibling.run(|| answer.granted()), "vpn0");
    assert!(others().is_empty());
}

fn another_namespace_than_the_policy_names(world: &World) {
    let (lab, other) = (OtherNamespace::new(), OtherNamespace::new());
    keep(&lab.path(), LAB);
    world.policy(lab_policy(&format!("\"{LAB}\"")));
    for answer in [ask(tun("vpn0").to_bytes()), ask_in(&other)] {
        answer.is_refused(Refusal::Namespace);
    }
    assert!(others().is_empty() && other.run(others).is_empty());
    // Control: in the one that it names, and in the caller's own once it is allowed.
    let answer = ask_in(&lab);
    assert_eq!(lab.run(|| answer.granted()), "vpn0");
    drop(answer);
    world.policy(lab_policy(&format!("\"{LAB}\", \"own\"")));
    assert_eq!(ask(tun("vpn0").to_bytes()).granted(), "vpn0");
    forget(LAB);
}

/// Whoever may write in the folder decides which namespace is there.
fn a_namespace_in_a_folder_of_others(world: &World) {
    keep("/proc/self/ns/net", LAB);
    world.policy(lab_policy(&format!("\"{LAB}\"")));
    for folder in ["/run/netns", "/run"] {
        set_mode(folder, 0o777);
        ask(tun("vpn0").to_bytes()).is_refused(Refusal::Namespace);
        set_mode(folder, 0o755);
        give_to(folder, NOBODY);
        ask(tun("vpn0").to_bytes()).is_refused(Refusal::Namespace);
        give_to(folder, 0);
        assert_eq!(ask(tun("vpn0").to_bytes()).granted(), "vpn0");
    }
    assert!(others().is_empty());
    forget(LAB);
}

/// Root may name a namespace that another user namespace owns, and nobody else's word makes it one.
fn a_foreign_namespace_that_root_has_bound(world: &World) {
    let foreign = foreign();
    let ask_there = || within(&foreign, || ask(configured("vpn0").to_bytes()));
    ask_there().is_refused(Refusal::Namespace);
    keep(&format!("/proc/self/fd/{}", foreign.as_raw_fd()), LAB);
    ask_there().is_refused(Refusal::Namespace);
    // Control: the policy names it.
    world.policy(lab_policy(&format!("\"{LAB}\"")));
    let answer = ask_there();
    assert_eq!((within(&foreign, || answer.granted()), others().len()), ("vpn0".to_owned(), 0));
    drop(answer);
    forget(LAB);
}

fn a_path_that_is_no_namespace(world: &World) {
    world.policy(lab_policy(&format!("\"{LAB}\"")));
    let refused = || {
        let answer = ask(tun("vpn0").to_bytes());
        answer.is_refused(Refusal::Namespace);
        assert!(answer.took.as_secs() < 5, "{answer:?}");
    };
    // Missing; a file; a folder; a pipe that nobody writes to; another kind of namespace; a link.
    refused();
    fs::write(LAB, "").unwrap();
    refused();
    give_to(LAB, NOBODY);
    refused();
    fs::remove_file(LAB).unwrap();
    fs::create_dir(LAB).unwrap();
    refused();
    fs::remove_dir(LAB).unwrap();
    nix::unistd::mkfifo(LAB, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    refused();
    fs::remove_file(LAB).unwrap();
    keep("/proc/self/ns/uts", LAB);
    refused();
    forget(LAB);
    // Control: the caller's own namespace, bound there.
    keep("/proc/self/ns/net", LAB);
    assert_eq!(ask(tun("vpn0").to_bytes()).granted(), "vpn0");
    forget(LAB);
}

/// The file that the policy names goes at each step: it is granted or refused, and nothing is left.
fn a_namespace_that_vanishes(world: &World) {
    world.policy(lab_policy(&format!("\"{LAB}\"")));
    keep("/proc/self/ns/net", LAB);
    let request = configured("vpn0").to_bytes();
    let steps = own_steps(&request);
    let (mut granted, mut refused) = (0, 0);
    for step in steps {
        let running = stopped_after(&step, &request);
        assert!(running.is_stopped(), "{step}");
        forget(LAB);
        running.go_on();
        let answer = running.helper.answer();
        match answer.reply() {
            Some(Reply::Granted(_)) => granted += 1,
            Some(Reply::Refused(Refusal::Namespace)) => refused += 1,
            other => panic!("{step}: {other:?} {answer:?}"),
        }
        drop(answer);
        world.is_as_before();
        keep("/proc/self/ns/net", LAB);
    }
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused");
    forget(LAB);
}

/// Its root has all ids, and the capability in its own user namespace; the network namespace is the host's.
fn the_hosts_namespace_from_a_container(world: &World) {
    world.policy(USUAL.to_owned() + &USUAL.replace("nobody", "root"));
    let all = "0 0 4294967295";
    for uid in [NOBODY, 0] {
        let answer = Start::new().user_namespace(all).user(uid).ask(configured("vpn0").to_bytes());
        let refusal = answer.refusal();
        let no_right = [Refusal::Namespace, Refusal::NotGranted, Refusal::BoundingSet];
        assert!(no_right.contains(&refusal), "{uid}: {refusal:?}");
        assert!(others().is_empty());
    }
    // Control: the container's own network namespace.
    let start = Start::new().user_namespace(all).step(&["new network"]);
    assert!(matches!(start.ask(configured("vpn0").to_bytes()).reply(), Some(Reply::Granted(_))));
}

/// There, an unprivileged user is root, and writes the policy. The interface that he gets is one that he
/// could create without the helper.
fn root_of_a_child_user_namespace_with_a_policy_of_its_own(world: &World) {
    let mine = format!("0 {NOBODY} 1");
    world.policy(USUAL.replace("nobody", "root"));
    // The real policy is not root's there.
    let start = || Start::new().user_namespace(&mine).user(0);
    let refusal = start().ask(configured("vpn0").to_bytes()).refusal();
    assert!([Refusal::UnsafePolicy, Refusal::Namespace].contains(&refusal), "{refusal:?}");
    assert!(others().is_empty());
    // His own policy is, but the network namespace is still the host's.
    for path in [FOLDER, POLICY] {
        give_to(path, NOBODY);
    }
    let refusal = start().ask(configured("vpn0").to_bytes()).refusal();
    let not_there = [Refusal::UnsafePolicy, Refusal::Namespace, Refusal::NotGranted];
    assert!(not_there.contains(&refusal), "{refusal:?}");
    assert!(others().is_empty());
    // Outside, that policy is not root's.
    ask(configured("vpn0").to_bytes()).is_refused(Refusal::UnsafePolicy);
    give_to(FOLDER, 0);
    world.policy(USUAL);
    assert_eq!(ask(configured("vpn0").to_bytes()).granted(), "vpn0");
}

/// The socket belongs to a namespace, too, which says nothing about the caller.
fn a_socket_of_another_namespace(world: &World) {
    let other = OtherNamespace::new();
    keep(&other.path(), LAB);
    world.policy(lab_policy(&format!("\"{LAB}\"")));
    let crossed = || {
        let (ours, theirs) = other.run(Helper::pair);
        let helper = Start::new().run_with(theirs, ours);
        helper.send(&configured("vpn0").to_bytes());
        helper.answer()
    };
    crossed().is_refused(Refusal::Namespace);
    assert!(others().is_empty() && other.run(others).is_empty());
    // Control: the helper's own namespace decides.
    world.policy(USUAL);
    let answer = crossed();
    assert_eq!((answer.granted(), other.run(others).len()), ("vpn0".to_owned(), 0));
    forget(LAB);
}

/// A connection to a name that exists in one network namespace alone, carried into another one by a
/// descriptor.
fn an_abstract_socket_across(_: &World) {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
        socket_with,
    };
    let other = OtherNamespace::new();
    let (ours, theirs) = other.run(|| {
        let new =
            || socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (listener, client) = (new(), new());
        let name = SocketAddrUnix::new_abstract_name(b"tunctl-attack").unwrap();
        bind(&listener, &name).unwrap();
        listen(&listener, 1).unwrap();
        connect(&client, &name).unwrap();
        (client, accept_with(&listener, SocketFlags::CLOEXEC).unwrap())
    });
    let helper = Start::new().run_with(theirs, ours);
    helper.send(&configured("vpn0").to_bytes());
    let answer = helper.answer();
    // What is granted is an interface where the helper was started, by whom it was started.
    assert_eq!((answer.granted(), other.run(others).len()), ("vpn0".to_owned(), 0));
    drop(answer);
    let foreign = foreign();
    let (ours, theirs) = Helper::pair();
    let helper = within(&foreign, || Start::new().run_with(theirs, ours));
    helper.send(&configured("vpn0").to_bytes());
    helper.answer().is_refused(Refusal::Namespace);
}
