//! What keeps a program from creating interfaces, on each kernel on which the suite runs: the same as
//! `create` meets, and nobody notices the question.

use nix::libc::{AF_NETLINK, EPERM};
use nix::sched::{CloneFlags, unshare};
use tunctl_conformance::Harness;
use tunctl_core::{Cause, CreateOptions, Error, Interface, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, Namespace};
use tunctl_sys::linux::seccomp::refuse_sockets;
use tunctl_testing::{CLOSED_NODE, Case, LinuxHarness, OPEN_NODE, case, entry, finish, open_files};

use super::features::Ears;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(root_of_a_namespace_meets_none_and_leaves_no_trace),
        case!(a_user_meets_what_create_meets_and_what_is_behind_it).needs_root(),
        case!(a_right_of_another_user_namespace_is_none).entry("foreign", foreign),
        case!(a_sandbox_without_netlink_is_an_obstacle).entry("sandboxed", sandboxed),
        case!(a_node_that_cannot_be_used_is_the_only_obstacle_of_root),
        case!(whoever_made_a_namespace_meets_none_there).needs_root(),
    ]
}

fn causes(node: &str) -> Vec<Cause> {
    LinuxBackend::with_node(node).obstacles().iter().map(Error::cause).collect()
}

/// The error of `create` is the first obstacle.
fn assert_create_agrees(node: &str) {
    let backend = LinuxBackend::with_node(node);
    let met = backend.create(&CreateOptions::tun()).map(drop).err();
    assert_eq!(met, backend.obstacles().into_iter().next());
}

fn root_of_a_namespace_meets_none_and_leaves_no_trace() {
    let index = || {
        let device = LinuxBackend::new().create(&CreateOptions::tun()).unwrap();
        device.interface().index().get()
    };
    let (before, files) = (index(), open_files());
    let ears = Ears::open();
    assert_eq!(LinuxBackend::new().obstacles(), []);
    assert_eq!(ears.heard(), [0, 0]);
    assert_eq!(index(), before + 1);
    assert!(ears.heard().iter().all(|&count| count > 0));
    drop(ears);
    assert_eq!(open_files(), files);
}

fn a_user_meets_what_create_meets_and_what_is_behind_it() {
    let harness = LinuxHarness::new();
    let none: [Cause; 0] = [];
    for (uid, capable, node, expected) in [
        (65534, true, OPEN_NODE, &none[..]),
        (65534, false, OPEN_NODE, &[Cause::MissingCapability]),
        (65534, true, CLOSED_NODE, &[Cause::ClosedNode]),
        (65534, false, CLOSED_NODE, &[Cause::ClosedNode, Cause::MissingCapability]),
        (65534, false, "/dev/net/none", &[Cause::MissingNode, Cause::MissingCapability]),
        (0, false, OPEN_NODE, &[Cause::MissingCapability]),
        (0, true, CLOSED_NODE, &none),
    ] {
        harness.as_caller(uid, uid, capable, &mut || {
            assert_eq!(causes(node), expected, "uid {uid}, {node}");
            assert_create_agrees(node);
        });
    }
}

fn foreign() {
    unshare(CloneFlags::CLONE_NEWUSER).unwrap();
    assert_eq!(causes(OPEN_NODE), [Cause::ForeignNamespace]);
    assert_eq!(causes("/dev/net/none"), [Cause::MissingNode, Cause::ForeignNamespace]);
    assert_create_agrees(OPEN_NODE);
}

fn a_right_of_another_user_namespace_is_none() {
    finish(&mut entry("foreign"));
}

fn sandboxed() {
    refuse_sockets(AF_NETLINK, EPERM).unwrap();
    assert_eq!(causes(OPEN_NODE), [Cause::Sandboxed]);
    assert_create_agrees(OPEN_NODE);
}

fn a_sandbox_without_netlink_is_an_obstacle() {
    finish(&mut entry("sandboxed"));
}

fn a_node_that_cannot_be_used_is_the_only_obstacle_of_root() {
    for (node, cause) in [("/dev/no-such-node", Cause::MissingNode), ("/dev/null", Cause::MissingDriver)] {
        assert_eq!(causes(node), [cause], "{node}");
        assert_create_agrees(node);
    }
}

fn whoever_made_a_namespace_meets_none_there() {
    let harness = LinuxHarness::new();
    harness.as_caller(65534, 65534, false, &mut || {
        let namespace = Namespace::new().unwrap();
        let there = LinuxBackend::new().in_namespace(&namespace).unwrap();
        assert_eq!(there.obstacles(), []);
        assert_eq!(causes(OPEN_NODE), [Cause::MissingCapability]);
    });
}
