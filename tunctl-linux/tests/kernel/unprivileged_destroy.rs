//! Destroying as the owner, without the capability to delete: only the last close can do it.

use std::io::stdin;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tunctl_core::{Cause, CreateOptions, Readiness, TunDevice, Uid};
use tunctl_sys::linux::{iff, tun as kernel};
use tunctl_testing::{Background, Case, case, entry, finish};

use super::support::{create, driver_report, exists, open};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(an_owner_destroys_an_interface_that_only_he_holds).entry("destroy", destroy).needs_root(),
        case!(an_owner_who_cannot_delete_gets_his_device_back_and_the_holder_named)
            .entry("hold", hold)
            .entry("fail", fail_to_destroy)
            .needs_root(),
        case!(a_second_queue_of_the_same_process_holds_it_too)
            .entry("twice", destroy_with_two_queues)
            .needs_root(),
        case!(a_holder_that_the_owner_may_not_see_keeps_the_interface_as_it_was)
            .entry("unseen", fail_to_destroy_unseen)
            .needs_root(),
    ]
}

const OWNER: u32 = 4001;

fn multi() -> CreateOptions {
    CreateOptions::tun().multi_queue(true)
}

/// A persistent interface of the owner's.
fn prepare(persistent: bool) -> tunctl_linux::LinuxDevice {
    let device = create(multi(), "mine");
    device.set_owner(Uid::new(OWNER).unwrap()).unwrap();
    device.set_persist(persistent).unwrap();
    device
}

fn as_owner(name: &str) -> Command {
    let mut command = entry(name);
    command.uid(OWNER).gid(OWNER);
    command
}

fn destroy() {
    open(multi(), "mine").unwrap().destroy().unwrap();
}

fn an_owner_destroys_an_interface_that_only_he_holds() {
    drop(prepare(true));
    assert!(exists("mine"));
    finish(&mut as_owner("destroy"));
    assert!(!exists("mine"));
}

fn hold() {
    let _device = open(multi(), "mine").unwrap();
    println!("held");
    stdin().read_line(&mut String::new()).unwrap();
}

/// Whether the interface is persistent, by the attached descriptor.
fn is_persistent(device: &impl AsFd) -> bool {
    kernel::iff(device.as_fd()).unwrap().flags() & iff::PERSIST != 0
}

fn fail_to_destroy() {
    let holder: u32 = std::env::var("HOLDER").unwrap().parse().unwrap();
    let device = open(multi(), "mine").unwrap();
    let before = is_persistent(&device);
    let failed = device.destroy().unwrap_err();
    assert_eq!(failed.error().cause(), Cause::Busy, "{failed}");
    let pids: Vec<_> = failed.error().holders().iter().map(|holder| holder.pid).collect();
    assert_eq!(pids, [holder], "{failed}");
    let device = failed.into_device().expect("the device comes back");
    assert_eq!(is_persistent(&device), before);
    // It is usable: it still has its interface, and takes packets.
    assert_eq!(device.name().unwrap().to_string(), "mine");
    assert!(device.wait(Readiness::Writable, None).unwrap());
    assert_eq!(device.try_send(&[0x45; 20]).unwrap(), 20);
    if let Err(error) = device.try_recv(&mut [0; 100]) {
        assert!(error.is_would_block(), "{error}");
    }
}

fn an_owner_who_cannot_delete_gets_his_device_back_and_the_holder_named() {
    for persistent in [true, false] {
        let device = prepare(persistent);
        tunctl_testing::ip("link set mine up");
        let mut holder = Background::start(as_owner("hold"));
        assert_eq!(holder.line(), "held");
        // From now on only the owner's own processes have it open.
        drop(device);
        finish(as_owner("fail").env("HOLDER", holder.pid().to_string()));
        assert_eq!(driver_report("mine")["persist"], persistent);
        assert_eq!(driver_report("mine")["numqueues"], 1);
        holder.end();
        assert_eq!(exists("mine"), persistent);
        if persistent {
            tunctl_testing::ip("link delete mine");
        }
    }
}

fn destroy_with_two_queues() {
    let first = open(multi(), "mine").unwrap();
    let second = open(multi(), "mine").unwrap();
    let failed = first.destroy().unwrap_err();
    assert_eq!(failed.error().cause(), Cause::Busy, "{failed}");
    let first = failed.into_device().expect("the device comes back");
    assert_eq!(first.name().unwrap(), second.name().unwrap());
    drop(second);
    first.destroy().unwrap();
}

fn a_second_queue_of_the_same_process_holds_it_too() {
    drop(prepare(true));
    finish(&mut as_owner("twice"));
    assert!(!exists("mine"));
}

fn fail_to_destroy_unseen() {
    let device = open(multi(), "mine").unwrap();
    let failed = device.destroy().unwrap_err();
    assert_eq!(failed.error().cause(), Cause::Busy, "{failed}");
    match failed.into_device() {
        Some(device) => println!("given back: {}", device.name().unwrap()),
        None => println!("closed"),
    }
}

fn a_holder_that_the_owner_may_not_see_keeps_the_interface_as_it_was() {
    for persistent in [true, false] {
        // Root's own process is the one that holds it.
        let device = prepare(persistent);
        let fate = finish(&mut as_owner("unseen"));
        assert!(exists("mine"), "{fate}");
        assert_eq!(driver_report("mine")["persist"], persistent, "{fate}");
        assert_eq!(driver_report("mine")["numqueues"], 1);
        device.destroy().unwrap();
        assert!(!exists("mine"));
    }
}
