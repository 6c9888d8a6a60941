//! Events, beside other programs and in other namespaces.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tunctl_core::{
    Cause, EventWatcher, Events, Interface, InterfaceChange, InterfaceEvent, Mtu, Operation, TunBackend,
    TunDevice,
};
use tunctl_linux::LinuxWatcher;
use tunctl_testing::{Case, OtherNamespace, case, ip, is_close_on_exec, open_files};

use super::support::{backend, name, refused, tap, tun, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_tap_that_leaves_a_bridge_is_not_deleted).needs_tool("ip"),
        case!(interfaces_of_other_kinds_are_not_reported).needs_tool("ip"),
        case!(an_interface_that_moves_here_is_created).needs_tool("ip"),
        case!(no_change_falls_between_the_state_and_the_events),
        case!(a_watcher_stays_in_its_namespace),
        case!(a_watcher_begins_in_the_namespace_of_its_interface),
        case!(a_watcher_takes_one_descriptor_and_gives_it_back),
    ]
}

/// What has been reported by now.
fn lines(watcher: &mut LinuxWatcher) -> Vec<String> {
    let next = || match watcher.try_next() {
        Err(error) if error.is_would_block() => None,
        event => event.unwrap(),
    };
    std::iter::from_fn(next).map(|event| event.to_string()).collect()
}

/// The bridge itself reports that its port is gone.
fn a_tap_that_leaves_a_bridge_is_not_deleted() {
    without_ipv6();
    let device = tap("tap0");
    let mut own = device.interface().events().unwrap();
    let mut all = backend().events().unwrap();
    ip("link add br0 type bridge");
    ip("link set tap0 master br0");
    ip("link set tap0 up");
    ip("link set tap0 nomaster");
    ip("link set tap0 mtu 1400");
    for watcher in [&mut own, &mut all] {
        assert_eq!(lines(watcher), ["tap0: up", "tap0: MTU 1400"]);
    }
}

fn interfaces_of_other_kinds_are_not_reported() {
    let mut watcher = backend().events().unwrap();
    ip("link set lo up");
    ip("address add 10.9.9.9/32 dev lo");
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("link del br0");
    assert_eq!(lines(&mut watcher), [""; 0]);
    let _device = tun("tun0");
    assert_eq!(lines(&mut watcher), ["tun0: created"]);
}

fn an_interface_that_moves_here_is_created() {
    without_ipv6();
    let other = OtherNamespace::new();
    let device = other.run(|| tun("tun0"));
    let mut here = backend().events().unwrap();
    let mut there = other.run(|| device.interface().events().unwrap());
    let back = format!("/proc/{}/ns/net", std::process::id());
    other.run(|| ip(&format!("link set tun0 netns {back}")));
    assert_eq!(lines(&mut here), ["tun0: created"]);
    assert_eq!(lines(&mut there), ["tun0: moved to another namespace"]);
    assert!(there.next().is_none());
    ip("link set tun0 up");
    assert_eq!(lines(&mut here), ["tun0: up"]);
}

/// A thread sets one MTU after the other. A watcher that begins meanwhile reports each one from then on.
fn no_change_falls_between_the_state_and_the_events() {
    const WATCHERS: usize = 200;
    let device = tun("tun0");
    let interface = device.interface();
    let is_over = AtomicBool::new(false);
    // `None`: this thread was not run for so long that events were lost.
    let mtus = |watcher: &mut LinuxWatcher, last: u32| {
        let mut seen = Vec::new();
        while seen.last() != Some(&last) {
            match watcher.next().unwrap().unwrap() {
                InterfaceEvent::Changed { change: InterfaceChange::Mtu(mtu), .. } => seen.push(mtu.get()),
                InterfaceEvent::Overrun(_) => return None,
                event => panic!("{event}"),
            }
        }
        Some(seen)
    };
    let mut checked = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for mtu in (1300..60_000).cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                interface.set_mtu(Mtu::new(mtu).unwrap()).unwrap();
            }
        });
        for number in 0..WATCHERS {
            let mut watcher = match number % 2 {
                0 => interface.events().unwrap(),
                _ => backend().events().unwrap(),
            };
            let present = interface.mtu().unwrap().get();
            if present > 59_000 {
                continue;
            }
            // The MTU when it began is that one, or one before it.
            let Some(seen) = mtus(&mut watcher, present + 10) else { continue };
            checked += 1;
            assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{number}: {seen:?}");
            assert!(seen[0] <= present + 1, "{number}: {present} was read, and then came {seen:?}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(checked > WATCHERS / 4, "{checked} were checked");
}

fn a_watcher_stays_in_its_namespace() {
    let mut here = backend().events().unwrap();
    let other = OtherNamespace::new();
    let _stranger = other.run(|| tun("tun0"));
    assert_eq!(lines(&mut here), [""; 0]);
    let device = tun("tun0");
    // Its reader may be anywhere.
    let seen = other.run(|| lines(&mut here));
    assert_eq!(seen, ["tun0: created"]);
    drop(device);
}

fn a_watcher_begins_in_the_namespace_of_its_interface() {
    let device = tun("tun0");
    let other = OtherNamespace::new();
    let error = refused(other.run(|| device.interface().events().map(drop)));
    assert_eq!((error.operation(), error.cause()), (Operation::Watch, Cause::NotFound));
    assert_eq!(error.interface(), Some(name("tun0")));
    assert!(error.to_string().contains("from a thread in the interface's namespace"), "{error}");
}

fn a_watcher_takes_one_descriptor_and_gives_it_back() {
    let device = tun("tun0");
    let interface = backend().interface(&name("tun0")).unwrap();
    let before = open_files();
    let watchers = [interface.events().unwrap(), backend().events().unwrap()];
    assert_eq!(open_files().len(), before.len() + 2);
    assert!(watchers.iter().all(is_close_on_exec));
    drop(watchers);
    assert_eq!(open_files(), before);
    device.interface().delete().unwrap();
    assert_eq!(refused(interface.events()).cause(), Cause::Gone);
    assert_eq!(open_files(), before);
}
