//! What the driver can do, on each kernel on which the suite runs; and that nobody notices the question.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use nix::sys::wait::{WaitPidFlag, waitpid};
use tunctl_conformance::Harness;
use tunctl_core::{Cause, CreateOptions, Interface, Operation, TunBackend, TunDevice};
use tunctl_linux::{Feature, Features, LinuxBackend, Presence};
use tunctl_sys::linux::process;
use tunctl_testing::{Case, LinuxHarness, case, open_files};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(each_kernel_has_the_features_of_its_series),
        case!(asking_leaves_no_trace),
        case!(asking_works_beside_other_threads),
        case!(without_a_namespace_the_rest_is_unknown),
        case!(an_unprivileged_user_learns_all_where_namespaces_are_permitted).needs_root(),
        case!(a_node_that_cannot_be_asked_is_an_error),
    ]
}

fn features() -> Features {
    LinuxBackend::new().features().unwrap()
}

/// The first series of the kernel that has it; `None` if the kernel's configuration decides. The oldest that
/// is looked at here is 6.1.
fn since(feature: Feature) -> Option<[u32; 2]> {
    Some(match feature {
        Feature::Uso => [6, 2],
        Feature::UdpTunnel | Feature::UdpTunnelChecksum => [6, 17],
        Feature::Backpressure => [7, 3],
        // CONFIG_TUN_VNET_CROSS_LE.
        Feature::BigEndian => return None,
        _ => [6, 1],
    })
}

fn series() -> [u32; 2] {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse);
    [(); 2].map(|()| numbers.next().unwrap().unwrap())
}

fn each_kernel_has_the_features_of_its_series() {
    for (feature, presence) in features().iter() {
        match since(feature) {
            Some(first) if first <= series() => assert_eq!(presence, Presence::Present, "{feature}"),
            Some(_) => assert_eq!(presence, Presence::Absent, "{feature}"),
            None => assert_ne!(presence, Presence::Unknown, "{feature}"),
        }
    }
}

/// All that the kernel tells programs in this network namespace.
pub(super) struct Ears(Vec<OwnedFd>);

impl Ears {
    pub(super) fn open() -> Self {
        // Links, neighbours, addresses and routes of both families; and what udev listens to.
        let ears = [(SockProtocol::NetlinkRoute, !0), (SockProtocol::NetlinkKObjectUEvent, 1)];
        Self(
            ears.map(|(protocol, groups)| {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let ear = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).unwrap();
                bind(ear.as_raw_fd(), &NetlinkAddr::new(0, groups)).unwrap();
                ear
            })
            .into(),
        )
    }

    /// How many messages have come to each.
    pub(super) fn heard(&self) -> Vec<usize> {
        let count = |ear: &OwnedFd| {
            let hears = || recv(ear.as_raw_fd(), &mut [0; 1 << 14], MsgFlags::empty()).is_ok();
            std::iter::from_fn(|| hears().then_some(())).count()
        };
        self.0.iter().map(count).collect()
    }
}

/// Whether a child has ended of which nobody took notice yet.
fn was_told_of_a_child() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
    u64::from_str_radix(pending.trim(), 16).unwrap() & 1 << (Signal::SIGCHLD as u32 - 1) != 0
}

fn has_child() -> bool {
    let any = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
    waitpid(None, Some(any)) != Err(Errno::ECHILD)
}

fn asking_leaves_no_trace() {
    let harness = LinuxHarness::new();
    let index = || {
        let device = harness.backend().create(&CreateOptions::tun()).unwrap();
        device.interface().index().get()
    };
    SigSet::from(Signal::SIGCHLD).thread_block().unwrap();
    let (before, files) = (index(), open_files());
    let threads = || fs::read_dir("/proc/self/task").unwrap().count();
    let running = threads();
    let ears = Ears::open();
    assert!(features().has(Feature::Checksum));
    assert_eq!(ears.heard(), [0, 0]);
    assert!(!was_told_of_a_child() && !has_child());
    // Whoever looks closely sees what is there to be seen.
    assert_eq!(index(), before + 1);
    assert!(ears.heard().iter().all(|&count| count > 0));
    drop(ears);
    assert_eq!(open_files(), files);
    assert_eq!(threads(), running);
    let child = process::in_copy(|| 0).unwrap();
    while !was_told_of_a_child() {
        thread::yield_now();
    }
    assert!(has_child(), "{child} was waited for");
}

fn asking_works_beside_other_threads() {
    let expected = features();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            // Each allocates, and so holds the allocator's lock now and then.
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::black_box(vec![0_u8; 4096]);
                }
            });
        }
        let ask = || (0..4).all(|_| features() == expected);
        let askers: Vec<_> = (0..2).map(|_| scope.spawn(ask)).collect();
        assert!(askers.into_iter().all(|asker| asker.join().unwrap()));
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(!has_child());
}

/// The features that an unattached descriptor answers.
fn is_known_without_an_interface(feature: Feature) -> bool {
    matches!(
        feature,
        Feature::MultiQueue
            | Feature::VnetHeader
            | Feature::Napi
            | Feature::NapiFragments
            | Feature::NoCarrier
            | Feature::Backpressure
            | Feature::Index
    )
}

fn without_a_namespace_the_rest_is_unknown() {
    let all = features();
    for (limit, at) in [("net", 0), ("user", 0)] {
        fs::write(format!("/proc/sys/user/max_{limit}_namespaces"), at.to_string()).unwrap();
    }
    let files = open_files();
    let some = features();
    for ((feature, presence), (_, known)) in some.iter().zip(all.iter()) {
        let expected = if is_known_without_an_interface(feature) { known } else { Presence::Unknown };
        assert_eq!(presence, expected, "{feature}");
    }
    assert_eq!(open_files(), files);
    assert!(!has_child());
    // It is no matter of rights: the caller may still create interfaces.
    LinuxBackend::new().create(&CreateOptions::tun()).unwrap();
}

fn an_unprivileged_user_learns_all_where_namespaces_are_permitted() {
    let harness = LinuxHarness::new();
    let all = features();
    let ask = || {
        let mut found = None;
        harness.as_caller(65534, 65534, false, &mut || found = Some(features()));
        found.unwrap()
    };
    assert_eq!(ask(), all);
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    let some = ask();
    assert!(some.iter().all(|(feature, presence)| {
        is_known_without_an_interface(feature) == (presence != Presence::Unknown)
    }));
    // Root needs no user namespace.
    assert_eq!(features(), all);
}

fn a_node_that_cannot_be_asked_is_an_error() {
    for (node, cause) in [("/dev/no-such-node", Cause::MissingNode), ("/dev/null", Cause::MissingDriver)] {
        let backend = LinuxBackend::with_node(node);
        let error = backend.features().unwrap_err();
        assert_eq!((error.operation(), error.cause()), (Operation::Probe, cause), "{error}");
        assert!(error.remedy().is_some(), "{error}");
        // Nothing is known to be missing.
        assert_eq!(backend.capabilities(), LinuxBackend::new().capabilities());
    }
}
