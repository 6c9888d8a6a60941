//! The credentials of the program under test.

use tunctl_core::{Cause, CreateOptions, Interface, TunBackend, TunDevice, Uid};
use tunctl_mock::{Caller, KernelProfile, MockBackend};

use crate::tun;

#[test]
fn the_caller_is_whoever_the_test_says() {
    let kernel = MockBackend::new();
    kernel.set_caller(Caller::user(1000, 1000));
    let error = kernel.create(&CreateOptions::tun()).unwrap_err();
    assert_eq!(error.cause(), Cause::MissingCapability);
    assert_eq!(
        error.to_string().split(". ").next(),
        Some("create: CAP_NET_ADMIN is missing (Operation not permitted, os error 1)")
    );
    kernel.set_caller(Caller::user(1000, 1000).capable(true));
    kernel.create(&CreateOptions::tun()).unwrap();
}

#[test]
fn somebody_else_is_somebody_else_only_meanwhile() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    let failed = kernel.as_caller(Caller::user(1000, 1000), || device.down());
    assert_eq!(failed.unwrap_err().cause(), Cause::MissingCapability);
    device.down().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        kernel.as_caller(Caller::user(1000, 1000), || panic!("in between"))
    }));
    assert!(panicked.is_err());
    device.interface().set_mtu("1400".parse().unwrap()).unwrap();
}

#[test]
fn a_group_is_had_in_several_ways() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    device.set_persist(true).unwrap();
    device.set_owner(Uid::new(1000).unwrap()).unwrap();
    device.set_group(tunctl_core::Gid::new(50).unwrap()).unwrap();
    drop(device);
    let options = CreateOptions::tun().name("tun0");
    let open_as =
        |caller| kernel.as_caller(caller, || kernel.open(&options).map(drop).map_err(|error| error.cause()));
    assert_eq!(open_as(Caller::user(1000, 50)), Ok(()));
    assert_eq!(open_as(Caller::user(1000, 100).with_group(50)), Ok(()));
    assert_eq!(open_as(Caller::user(1000, 100)), Err(Cause::NotOwner));
    assert_eq!(open_as(Caller::user(1001, 50)), Err(Cause::NotOwner));
    assert_eq!(open_as(Caller::user(1001, 100).with_group(50)), Err(Cause::NotOwner));
}

#[test]
fn kernels_differ_in_interfaces_of_nobody() {
    for profile in KernelProfile::ALL {
        let kernel = MockBackend::with_profile(*profile);
        tun(&kernel, "tun0").set_persist(true).unwrap();
        kernel.set_caller(Caller::user(1000, 1000));
        let opened = kernel.open(&CreateOptions::tun().name("tun0"));
        assert_eq!(opened.is_ok(), profile.ownerless_attach(), "{profile}");
    }
}

#[test]
fn offloads_are_those_of_the_kernel() {
    // Checksums alone, and with each kind of segments; ECN goes with TCP.
    let old: &[u32] = &[0x0, 0x1, 0x3, 0x5, 0x7, 0xb, 0x11, 0x1f];
    // Both halves of USO.
    let since_6_12: &[u32] = &[0x61, 0x6b];
    // Tunnels go with TCP or USO, and their checksums with tunnels.
    let since_6_18: &[u32] = &[0x83, 0xe1, 0x183, 0x1e1, 0x1ff];
    let no_checksums: &[u32] = &[0x2, 0x8, 0x10, 0x20, 0x60, 0x80, 0x100];
    let alone: &[u32] = &[0x9, 0x21, 0x41, 0x69, 0x81, 0x91, 0x101, 0x103, 0x161, 0x181];
    let unknown: &[u32] = &[0x200, 0x201, 0x3ff];
    for (profile, accepted) in [
        (KernelProfile::LINUX_6_1, vec![old]),
        (KernelProfile::LINUX_6_12, vec![old, since_6_12]),
        (KernelProfile::LINUX_6_18, vec![old, since_6_12, since_6_18]),
    ] {
        let device = tun(&MockBackend::with_profile(profile), "tun0");
        for masks in [old, since_6_12, since_6_18, no_checksums, alone, unknown] {
            for &mask in masks {
                let outcome = device.set_offloads(mask).map_err(|error| error.raw_os_error());
                let expected = if accepted.contains(&masks) { Ok(()) } else { Err(Some(22)) };
                assert_eq!(outcome, expected, "{profile}: {mask:#x}");
            }
        }
    }
}
