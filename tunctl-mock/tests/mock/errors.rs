//! What errors say beyond their cause: the particulars that a user needs.

use tunctl_core::{Cause, CreateOptions, Error, Gid, Holder, TunBackend, TunDevice, Uid};
use tunctl_mock::{Caller, MockBackend, MockDevice};

/// Another user opens a persistent interface.
fn refused(kernel: &MockBackend, device: MockDevice, options: CreateOptions) -> Error {
    let options = options.name(device.name().unwrap());
    device.set_persist(true).unwrap();
    drop(device);
    kernel.as_caller(Caller::user(1001, 100), || kernel.open(&options).unwrap_err())
}

#[track_caller]
fn assert_says(error: &Error, particulars: &str) {
    assert!(error.to_string().contains(particulars), "{error}");
}

#[test]
fn a_mismatch_says_what_the_interface_is() {
    let kernel = MockBackend::new();
    let error = refused(&kernel, crate::tun(&kernel, "tun0"), CreateOptions::tap());
    assert_says(&error, "the interface exists as a tun (IP packets)");
    let error = refused(&kernel, crate::tap(&kernel, "tap0"), CreateOptions::tun());
    assert_says(&error, "the interface exists as a tap (Ethernet frames)");
}

#[test]
fn a_stranger_is_told_whose_the_interface_is() {
    let kernel = MockBackend::new();
    let (owner, group) = (Uid::new(1000).unwrap(), Gid::new(50).unwrap());
    let [users, groups, boths] = ["users", "groups", "boths"].map(|name| crate::tun(&kernel, name));
    users.set_owner(owner).unwrap();
    groups.set_group(group).unwrap();
    boths.set_owner(owner).unwrap();
    boths.set_group(group).unwrap();
    for (device, whose) in [(users, "user 1000,"), (groups, "group 50,"), (boths, "user 1000 and group 50,")]
    {
        let error = refused(&kernel, device, CreateOptions::tun());
        assert_says(&error, &format!("the interface belongs to {whose} and this process runs as uid 1001"));
    }
}

#[test]
fn an_error_that_comes_with_every_empty_queue_has_no_particulars() {
    let kernel = MockBackend::new();
    let error = crate::tun(&kernel, "tun0").try_recv(&mut [0; 100]).unwrap_err();
    assert_eq!((error.cause(), error.interface()), (Cause::WouldBlock, None));
}

#[test]
fn an_interface_in_use_says_that_this_process_has_it() {
    let kernel = MockBackend::new();
    let held = crate::tun(&kernel, "held");
    let idle = crate::tun(&kernel, "idle");
    idle.set_persist(true).unwrap();
    drop(idle);
    let program = std::env::current_exe().unwrap();
    let us = Holder::new(std::process::id(), program.file_name().unwrap().as_encoded_bytes());
    let create = |name| kernel.create(&CreateOptions::tun().name(name)).unwrap_err();
    let open = |options: CreateOptions| kernel.open(&options.name("held")).unwrap_err();
    assert_eq!(create("held").holders(), std::slice::from_ref(&us));
    assert_eq!(open(CreateOptions::tun()).holders(), std::slice::from_ref(&us));
    assert_eq!(create("idle").holders(), []);
    assert_eq!(open(CreateOptions::tap()).holders(), [], "that is not why");
    let clone = held.try_clone().unwrap();
    let refused = kernel.as_caller(Caller::user(1001, 100), || clone.destroy().unwrap_err());
    assert_eq!(refused.error().holders(), [us]);
}

/// `tun_alloc_skb` has a buffer for no more (Linux 6.18 on x86-64, whose memory was in large pieces).
#[test]
fn the_longest_packet_is_the_one_that_the_kernel_has_a_buffer_for() {
    const LONGEST: usize = 4_750_976;
    let kernel = MockBackend::new();
    let device = kernel.create(&CreateOptions::tun().up()).unwrap();
    let packet = vec![0x45; LONGEST + 1];
    assert_eq!(device.send(&packet[..LONGEST]).unwrap(), LONGEST);
    assert_eq!(device.send(&packet).unwrap_err().cause(), Cause::NoBuffers);
}
