//! Owner and group, as the kernel reports them: two other libraries set half of a pointer as the uid.

use std::os::unix::process::CommandExt;

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use tunctl_core::{Cause, CreateOptions, Gid, Interface, Operation, TunDevice, Uid};
use tunctl_testing::{Case, case, entry, finish};

use super::support::{create, driver_report, open, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(owner_and_group_are_the_numbers_that_were_given).needs_root(),
        case!(an_id_that_means_nothing_here_is_refused).entry("unmapped", set_unmapped_ids),
        case!(the_owner_may_open_and_no_one_else).entry("open", open_as_told).needs_root(),
        case!(a_member_of_the_group_may_open_and_no_one_else).entry("open", open_as_told).needs_root(),
        case!(with_owner_and_group_both_must_fit).entry("open", open_as_told).needs_root(),
    ]
}

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

fn gid(number: u32) -> Gid {
    Gid::new(number).unwrap()
}

/// iproute2 shows a name where the id has one; 4001 and 4002 have none.
fn shown(report: &Value, key: &str) -> Option<String> {
    report.get(key).map(|value| value.to_string().trim_matches('"').to_owned())
}

fn owner_and_group_are_the_numbers_that_were_given() {
    let device = tun("tun0");
    let report = driver_report("tun0");
    assert_eq!((shown(&report, "user"), shown(&report, "group")), (None, None));
    assert_eq!(device.interface().info().unwrap().owner, None);
    device.set_owner(uid(4001)).unwrap();
    device.set_group(gid(4002)).unwrap();
    let report = driver_report("tun0");
    assert_eq!(shown(&report, "user").as_deref(), Some("4001"), "{report}");
    assert_eq!(shown(&report, "group").as_deref(), Some("4002"), "{report}");
    let info = device.interface().info().unwrap();
    assert_eq!((info.owner, info.group), (Some(uid(4001)), Some(gid(4002))));
    device.set_owner(uid(70_001)).unwrap();
    device.set_group(gid(0)).unwrap();
    let report = driver_report("tun0");
    assert_eq!(shown(&report, "user").as_deref(), Some("70001"), "{report}");
    assert!(matches!(shown(&report, "group").as_deref(), Some("0" | "root")), "{report}");
}

/// In a user namespace that maps root alone, in a network namespace of its own.
fn set_unmapped_ids() {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).unwrap();
    std::fs::write("/proc/self/uid_map", "0 0 1").unwrap();
    let device = tun("tun0");
    for (error, operation) in [
        (refused(device.set_owner(uid(4001))), Operation::SetOwner),
        (refused(device.set_group(gid(4002))), Operation::SetGroup),
    ] {
        assert_eq!(error.cause(), Cause::UnmappedId, "{error}");
        assert_eq!(error.operation(), operation);
        assert_eq!(error.raw_os_error(), Some(22));
    }
    let report = driver_report("tun0");
    assert_eq!((shown(&report, "user"), shown(&report, "group")), (None, None));
    device.set_owner(uid(0)).unwrap();
    assert!(matches!(shown(&driver_report("tun0"), "user").as_deref(), Some("0" | "root")));
}

fn an_id_that_means_nothing_here_is_refused() {
    assert!(Uid::new(u32::MAX).is_none() && Gid::new(u32::MAX).is_none());
    finish(&mut entry("unmapped"));
}

/// Opens the interface that `NAME` says, and prints the outcome.
fn open_as_told() {
    let name = std::env::var("NAME").unwrap();
    match open(CreateOptions::tun(), &name) {
        Ok(device) => {
            use std::os::fd::{AsFd, AsRawFd};
            let number = device.as_fd().as_raw_fd();
            let report = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
            assert!(report.contains(&format!("iff:\t{name}\n")), "{report}");
            println!("attached");
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(1), "{error}");
            assert!(error.remedy().is_some(), "{error}");
            println!("{:?}", error.cause());
        }
    }
}

fn attempt(name: &str, user: u32, group: u32) -> String {
    let printed = finish(entry("open").env("NAME", name).uid(user).gid(group));
    printed.trim_end().to_owned()
}

fn prepare(name: &str, owner: Option<u32>, group: Option<u32>) {
    let device = create(CreateOptions::tun(), name);
    device.set_persist(true).unwrap();
    if let Some(owner) = owner {
        device.set_owner(uid(owner)).unwrap();
    }
    if let Some(group) = group {
        device.set_group(gid(group)).unwrap();
    }
}

fn the_owner_may_open_and_no_one_else() {
    prepare("mine", Some(4001), None);
    assert_eq!(attempt("mine", 4001, 4009), "attached");
    assert_eq!(attempt("mine", 4003, 4001), "NotOwner");
    assert_eq!(attempt("mine", 0, 0), "attached");
}

fn a_member_of_the_group_may_open_and_no_one_else() {
    prepare("ours", None, Some(4002));
    assert_eq!(attempt("ours", 4003, 4002), "attached");
    assert_eq!(attempt("ours", 4002, 4003), "NotOwner");
}

fn with_owner_and_group_both_must_fit() {
    prepare("both", Some(4001), Some(4002));
    assert_eq!(attempt("both", 4001, 4002), "attached");
    assert_eq!(attempt("both", 4001, 4003), "NotOwner");
    assert_eq!(attempt("both", 4003, 4002), "NotOwner");
}
