//! Which devices share a netlink socket, by the open files of the process.

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tunctl_core::{Cause, CreateOptions, Events, Interface, TunBackend, TunDevice};
use tunctl_linux::Namespace;
use tunctl_sys::linux::process::in_copy;
use tunctl_testing::caller::as_caller;
use tunctl_testing::{Case, case, ip, link, open_files};

use super::support::{backend, name, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(devices_share_a_socket_by_namespace),
        case!(a_socket_is_shared_whoever_opened_it).needs_root(),
        case!(a_copy_of_the_process_shares_no_socket_of_the_original),
    ]
}

/// The socket files that are open.
fn sockets() -> Vec<String> {
    open_files().into_values().filter(|file| file.starts_with("socket:")).collect()
}

fn devices_share_a_socket_by_namespace() {
    let before = sockets().len();
    let [namespace, other] = [(); 2].map(|()| Namespace::new().unwrap());
    let there = backend().in_namespace(&namespace).unwrap();
    let elsewhere = backend().in_namespace(&other).unwrap();
    assert_eq!(sockets().len(), before, "a namespace keeps no socket");
    let options = CreateOptions::tun().name("vpn%d").address("10.1.1.1/24").up();
    let mut devices = Vec::new();
    for _ in 0..3 {
        for backend in [&backend(), &there, &elsewhere] {
            devices.push(backend.create(&options).unwrap());
        }
    }
    assert_eq!(sockets().len(), before + 3, "one for each namespace");
    for namespace in [&namespace, &other] {
        let shown = namespace.command("ip").args(["-o", "link", "show", "up"]).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert_eq!(shown.matches(": vpn").count(), 3, "{shown}");
    }
    let events = devices[0].interface().events().unwrap();
    assert_eq!(sockets().len(), before + 4, "a watcher has its own");
    let here = backend().in_namespace(&Namespace::current().unwrap()).unwrap();
    let visitor = here.create(&options).unwrap();
    assert_eq!(sockets().len(), before + 5, "its handles stay usable from any thread, also to watch");
    drop((devices, events, visitor));
    assert_eq!(sockets().len(), before, "none is left");
}

/// The kernel asks for the right of the opener only where a request names no destination
/// (`__netlink_ns_capable`, Linux 6.18).
fn a_socket_is_shared_whoever_opened_it() {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let before = sockets().len();
    let mtu = "1400".parse().unwrap();
    let mut opened = None;
    ip("tuntap add dev mine mode tun");
    as_caller(uid, gid, false, &mut || {
        let without = backend().interface(&name("mine")).unwrap();
        assert_eq!(refused(without.set_mtu(mtu)).cause(), Cause::MissingCapability);
        opened = Some(without);
    });
    let found = backend().interface(&name("mine")).unwrap();
    assert_eq!(sockets().len(), before + 1);
    found.set_mtu(mtu).unwrap();
    assert_eq!(link("mine").unwrap()["mtu"], 1400);
    opened.unwrap().set_mtu("1300".parse().unwrap()).unwrap();
    as_caller(uid, gid, false, &mut || {
        assert_eq!(refused(found.set_mtu(mtu)).cause(), Cause::MissingCapability);
    });
    assert_eq!(link("mine").unwrap()["mtu"], 1300);
}

fn a_copy_of_the_process_shares_no_socket_of_the_original() {
    let device = tun("mine");
    let originals = sockets();
    let child = in_copy(|| {
        let _found = backend().interface(&name("mine")).unwrap();
        let after = sockets();
        assert_eq!(after.len(), originals.len() + 1, "{after:?}");
        0
    });
    let child = Pid::from_raw(child.unwrap());
    assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
    device.interface().info().unwrap();
}
