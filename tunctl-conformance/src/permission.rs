//! Who may do what.

use std::time::Duration;

use crate::case::{Case, suite};
use crate::expect::{
    address, bring_up, create, errno, exists, gid, given_back, ipv4, name, named, open, persistent,
    refused_with, report, tap, tun, uid,
};
use crate::{Harness, Need, refused};
use tunctl_core::{
    Cause, CreateOptions, Gid, Interface, Readiness, Result, State, TunBackend, TunDevice, Uid,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let cases = suite![Permission:
        without_the_capability_nothing_is_created,
        without_the_capability_root_is_no_different,
        without_the_capability_what_is_missing_is_still_told,
        the_owner_opens_what_is_his,
        another_user_does_not_open_what_is_an_owners,
        a_member_of_the_group_opens_what_is_the_groups,
        with_owner_and_group_both_must_fit,
        a_group_is_not_a_user_of_the_same_number,
        what_belongs_to_nobody_is_opened_as_the_system_permits,
        with_the_capability_ownership_does_not_matter,
        a_new_owner_counts_from_the_next_open_on,
        every_queue_is_asked_for_its_permission,
        an_attached_device_sets_owner_group_and_persistence_without_the_capability,
        an_attached_device_reads_and_writes_without_the_capability,
        without_the_capability_nothing_is_configured,
        without_the_capability_nothing_is_deleted,
        without_the_capability_everything_is_listed,
        the_owner_destroys_by_closing_what_only_he_holds,
        whoever_holds_the_only_device_destroys_by_closing_it,
        the_owner_does_not_destroy_under_another_queue,
        the_owner_does_not_destroy_under_a_clone,
        a_device_opened_without_the_capability_configures_with_it,
        a_handle_found_without_the_capability_configures_with_it,
        a_namesake_elsewhere_keeps_nobody_from_destroying_by_closing,
    ];
    cases.into_iter().map(|case| case.needs(Need::OtherUsers)).collect()
}

/// Does something without the capability.
pub(crate) fn as_user<H: Harness>(harness: &H, uid: u32, gid: u32, mut work: impl FnMut()) {
    harness.as_caller(uid, gid, false, &mut work);
}

/// A persistent interface of this owner and group to which no device is attached.
fn owned<H: Harness>(
    harness: &H,
    options: CreateOptions,
    name: &str,
    owner: Option<Uid>,
    group: Option<Gid>,
) {
    let device = create(harness, options, name);
    device.set_persist(true).unwrap();
    if let Some(owner) = owner {
        device.set_owner(owner).unwrap();
    }
    if let Some(group) = group {
        device.set_group(group).unwrap();
    }
}

/// A persistent tun of user 4001's.
pub(crate) fn mine<H: Harness>(harness: &H) {
    owned(harness, CreateOptions::tun(), "mine", Some(uid(4001)), None);
}

fn without_the_capability_nothing_is_created<H: Harness>(harness: &H) {
    as_user(harness, 4001, 4001, || {
        for options in [named(CreateOptions::tun(), "tun0"), CreateOptions::tap()] {
            let created = harness.backend().create(&options);
            refused_with(created, Cause::MissingCapability, errno::EPERM);
            let either = harness.backend().open_or_create(&options);
            refused_with(either, Cause::MissingCapability, errno::EPERM);
        }
    });
    assert!(harness.backend().interfaces().unwrap().is_empty());
    // It is the capability that is asked for.
    harness.as_caller(4001, 4001, true, &mut || drop(tun(harness, "tun0")));
}

fn without_the_capability_root_is_no_different<H: Harness>(harness: &H) {
    mine(harness);
    as_user(harness, 0, 0, || {
        let created = harness.backend().create(&CreateOptions::tun());
        refused_with(created, Cause::MissingCapability, errno::EPERM);
        refused_with(open(harness, CreateOptions::tun(), "mine"), Cause::NotOwner, errno::EPERM);
    });
    assert!(exists(harness, "mine"));
}

fn without_the_capability_what_is_missing_is_still_told<H: Harness>(harness: &H) {
    as_user(harness, 4001, 4001, || {
        refused(open(harness, CreateOptions::tun(), "none"), Cause::NotFound);
        refused(harness.backend().interface(&name("none")), Cause::NotFound);
        let other = CreateOptions::tun().name(harness.other_interface());
        refused(harness.backend().open(&other), Cause::NotATun);
    });
}

fn the_owner_opens_what_is_his<H: Harness>(harness: &H) {
    mine(harness);
    let index = report(harness, "mine").index;
    let options = named(CreateOptions::tun(), "mine");
    as_user(harness, 4001, 4009, || {
        let device = harness.backend().open(&options).unwrap();
        assert_eq!(device.interface().index(), index);
        drop(device);
        let device = harness.backend().open_or_create(&options).unwrap();
        assert_eq!(device.interface().index(), index);
    });
}

fn another_user_does_not_open_what_is_an_owners<H: Harness>(harness: &H) {
    mine(harness);
    let before = report(harness, "mine");
    // Nor does one in the group of the same number.
    as_user(harness, 4003, 4001, || {
        refused_with(open(harness, CreateOptions::tun(), "mine"), Cause::NotOwner, errno::EPERM);
        let either = harness.backend().open_or_create(&named(CreateOptions::tun(), "mine"));
        refused_with(either, Cause::NotOwner, errno::EPERM);
    });
    assert_eq!(report(harness, "mine"), before);
}

fn a_member_of_the_group_opens_what_is_the_groups<H: Harness>(harness: &H) {
    owned(harness, CreateOptions::tap(), "ours", None, Some(gid(4002)));
    as_user(harness, 4003, 4002, || {
        let device = open(harness, CreateOptions::tap(), "ours").unwrap();
        assert_eq!(device.name().unwrap(), name("ours"));
    });
    as_user(harness, 4003, 4003, || {
        refused_with(open(harness, CreateOptions::tap(), "ours"), Cause::NotOwner, errno::EPERM);
    });
}

fn with_owner_and_group_both_must_fit<H: Harness>(harness: &H) {
    owned(harness, CreateOptions::tun(), "both", Some(uid(4001)), Some(gid(4002)));
    for (user, group) in [(4001, 4003), (4003, 4002), (4003, 4003)] {
        as_user(harness, user, group, || {
            refused_with(open(harness, CreateOptions::tun(), "both"), Cause::NotOwner, errno::EPERM);
        });
    }
    as_user(harness, 4001, 4002, || drop(open(harness, CreateOptions::tun(), "both").unwrap()));
}

fn a_group_is_not_a_user_of_the_same_number<H: Harness>(harness: &H) {
    owned(harness, CreateOptions::tun(), "ours", None, Some(gid(4002)));
    as_user(harness, 4002, 4003, || {
        refused_with(open(harness, CreateOptions::tun(), "ours"), Cause::NotOwner, errno::EPERM);
    });
}

fn what_belongs_to_nobody_is_opened_as_the_system_permits<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "free");
    as_user(harness, 4001, 4001, || {
        let opened = open(harness, CreateOptions::tun(), "free");
        if harness.profile().ownerless_attach {
            assert_eq!(opened.unwrap().name().unwrap(), name("free"));
        } else {
            refused_with(opened, Cause::MissingCapability, errno::EPERM);
        }
    });
    assert_eq!(report(harness, "free").owner, None);
}

fn with_the_capability_ownership_does_not_matter<H: Harness>(harness: &H) {
    owned(harness, CreateOptions::tun(), "both", Some(uid(4001)), Some(gid(4002)));
    harness.as_caller(4003, 4003, true, &mut || {
        let device = open(harness, CreateOptions::tun(), "both").unwrap();
        assert_eq!(device.name().unwrap(), name("both"));
    });
    let left = report(harness, "both");
    assert_eq!((left.owner, left.group), (Some(uid(4001)), Some(gid(4002))));
}

fn a_new_owner_counts_from_the_next_open_on<H: Harness>(harness: &H) {
    mine(harness);
    as_user(harness, 4001, 4001, || {
        let device = open(harness, CreateOptions::tun(), "mine").unwrap();
        device.set_owner(uid(4003)).unwrap();
        // It is still attached.
        assert_eq!(device.name().unwrap(), name("mine"));
        drop(device);
        refused_with(open(harness, CreateOptions::tun(), "mine"), Cause::NotOwner, errno::EPERM);
    });
    as_user(harness, 4003, 4003, || drop(open(harness, CreateOptions::tun(), "mine").unwrap()));
    assert_eq!(report(harness, "mine").owner, Some(uid(4003)));
}

fn every_queue_is_asked_for_its_permission<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    owned(harness, several.clone(), "mine", Some(uid(4001)), None);
    let _first = open(harness, several.clone(), "mine").unwrap();
    as_user(harness, 4003, 4003, || {
        refused_with(open(harness, several.clone(), "mine"), Cause::NotOwner, errno::EPERM);
    });
    as_user(harness, 4001, 4001, || drop(open(harness, several.clone(), "mine").unwrap()));
}

fn an_attached_device_sets_owner_group_and_persistence_without_the_capability<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    as_user(harness, 4001, 4001, || {
        device.set_owner(uid(4005)).unwrap();
        device.set_group(gid(4006)).unwrap();
        device.set_persist(true).unwrap();
    });
    let set = report(harness, "tun0");
    assert_eq!((set.owner, set.group, set.persistent), (Some(uid(4005)), Some(gid(4006)), true));
    as_user(harness, 4001, 4001, || device.set_persist(false).unwrap());
    assert!(!report(harness, "tun0").persistent);
}

fn an_attached_device_reads_and_writes_without_the_capability<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.set_up(&name("tun0"), true);
    let mut seen = harness.observe(&name("tun0"));
    assert!(harness.inject(&name("tun0"), &ipv4(30)));
    as_user(harness, 4001, 4001, || {
        assert!(device.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap());
        assert_eq!(device.recv(&mut [0; 100]).unwrap(), 30);
        let clone = device.try_clone().unwrap();
        assert_eq!(clone.send(&ipv4(28)).unwrap(), 28);
        assert_eq!(clone.name().unwrap(), name("tun0"));
    });
    assert_eq!(seen.take(), Some(ipv4(28)));
}

fn without_the_capability_nothing_is_configured<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().add_address(address("10.77.0.1/24")).unwrap();
    let before = (report(harness, "tun0"), harness.reported_addresses(&name("tun0")));
    as_user(harness, 4001, 4001, || {
        let found = harness.backend().interface(&name("tun0")).unwrap();
        for interface in [device.interface(), &found] {
            for outcome in [
                interface.set_state(State::Up),
                interface.set_mtu("1400".parse().unwrap()),
                interface.add_address(address("10.78.0.1/24")).map(drop),
                interface.add_address(address("fd77::1/64")).map(drop),
                interface.remove_address(address("10.77.0.1/24")),
            ] {
                refused_with(outcome, Cause::MissingCapability, errno::EPERM);
            }
        }
        refused_with(device.up(address("10.78.0.1/24")), Cause::MissingCapability, errno::EPERM);
    });
    assert_eq!((report(harness, "tun0"), harness.reported_addresses(&name("tun0"))), before);
}

fn without_the_capability_nothing_is_deleted<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    mine(harness);
    as_user(harness, 4001, 4001, || {
        for text in ["tun0", "mine"] {
            let found = harness.backend().interface(&name(text)).unwrap();
            refused_with(found.delete(), Cause::MissingCapability, errno::EPERM);
        }
        refused_with(device.interface().delete(), Cause::MissingCapability, errno::EPERM);
    });
    assert!(exists(harness, "tun0") && exists(harness, "mine"));
}

fn without_the_capability_everything_is_listed<H: Harness>(harness: &H) {
    mine(harness);
    let held = tap(harness, "held");
    bring_up(harness, &held, address("10.77.0.1/24"));
    as_user(harness, 4003, 4003, || {
        let listed = harness.backend().interfaces().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].info().unwrap().owner, Some(uid(4001)));
        assert_eq!(listed[1].info().unwrap().state, State::Up);
        assert!(listed[1].addresses().unwrap()[0].same_as(&address("10.77.0.1/24")));
        let found = harness.backend().interface(&name("mine")).unwrap();
        assert_eq!(found.index(), listed[0].index());
    });
}

fn the_owner_destroys_by_closing_what_only_he_holds<H: Harness>(harness: &H) {
    for options in [CreateOptions::tun(), CreateOptions::tap().multi_queue(true)] {
        owned(harness, options.clone(), "mine", Some(uid(4001)), None);
        as_user(harness, 4001, 4001, || {
            open(harness, options.clone(), "mine").unwrap().destroy().unwrap();
        });
        assert!(!exists(harness, "mine"));
    }
}

fn whoever_holds_the_only_device_destroys_by_closing_it<H: Harness>(harness: &H) {
    for persistent in [false, true] {
        let device = tun(harness, "tun0");
        device.set_persist(persistent).unwrap();
        let mut device = Some(device);
        as_user(harness, 4003, 4003, || device.take().unwrap().destroy().unwrap());
        assert!(!exists(harness, "tun0"));
    }
}

fn the_owner_does_not_destroy_under_another_queue<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    owned(harness, several.clone(), "mine", Some(uid(4001)), None);
    harness.set_up(&name("mine"), true);
    as_user(harness, 4001, 4001, || {
        let first = open(harness, several.clone(), "mine").unwrap();
        let second = open(harness, several.clone(), "mine").unwrap();
        let first = given_back(first.destroy());
        // As usable as before, and as persistent.
        assert!(report(harness, "mine").persistent);
        assert_eq!(first.try_send(&ipv4(28)).unwrap(), 28);
        drop(second);
        first.destroy().unwrap();
    });
    assert!(!exists(harness, "mine"));
}

fn the_owner_does_not_destroy_under_a_clone<H: Harness>(harness: &H) {
    mine(harness);
    as_user(harness, 4001, 4001, || {
        let first = open(harness, CreateOptions::tun(), "mine").unwrap();
        let second = first.try_clone().unwrap();
        let first = given_back(first.destroy());
        assert_eq!(first.name().unwrap(), name("mine"));
        drop(second);
        first.destroy().unwrap();
    });
    assert!(!exists(harness, "mine"));
}

/// Does something as the owner of `mine`, who has no privilege, and keeps what it made.
fn as_owner<H: Harness, T>(harness: &H, mut work: impl FnMut() -> Result<T>) -> T {
    let device = create(harness, CreateOptions::tun(), "mine");
    device.set_persist(true).unwrap();
    device.set_owner(uid(4001)).unwrap();
    drop(device);
    let mut made = None;
    harness.as_caller(4001, 4001, false, &mut || made = Some(work().unwrap()));
    made.expect("the work was done")
}

fn a_device_opened_without_the_capability_configures_with_it<H: Harness>(harness: &H) {
    let device = as_owner(harness, || open(harness, CreateOptions::tun(), "mine"));
    harness.as_caller(4001, 4001, false, &mut || {
        refused_with(device.up(address("10.77.0.1/24")), Cause::MissingCapability, errno::EPERM);
        assert_eq!(report(harness, "mine").state, State::Down);
        // What the device itself sets takes no capability.
        device.set_persist(false).unwrap();
    });
    // Who asks must have it, whoever opened the device.
    device.up(address("10.77.0.1/24")).unwrap();
    assert_eq!(report(harness, "mine").state, State::Up);
    drop(device);
    assert!(harness.report(&name("mine")).is_none());
}

fn a_handle_found_without_the_capability_configures_with_it<H: Harness>(harness: &H) {
    let found = as_owner(harness, || harness.backend().interface(&name("mine")));
    harness.as_caller(4001, 4001, false, &mut || {
        refused_with(found.set_mtu("1400".parse().unwrap()), Cause::MissingCapability, errno::EPERM);
        refused_with(found.delete(), Cause::MissingCapability, errno::EPERM);
    });
    found.set_mtu("1400".parse().unwrap()).unwrap();
    assert_eq!(report(harness, "mine").mtu.get(), 1400);
    found.delete().unwrap();
}

fn a_namesake_elsewhere_keeps_nobody_from_destroying_by_closing<H: Harness>(harness: &H) {
    let _moved = create(harness, CreateOptions::tun(), "mine");
    harness.move_to_namespace(&name("mine"));
    let mut here = Some(create(harness, CreateOptions::tun(), "mine"));
    harness.as_caller(4001, 4001, false, &mut || here.take().unwrap().destroy().unwrap());
    assert!(harness.report(&name("mine")).is_none());
    assert!(harness.report_elsewhere(&name("mine")).is_some());
}
