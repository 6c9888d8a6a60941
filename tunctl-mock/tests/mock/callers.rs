//! The credentials of the program under test.

use tunctl_core::{Cause, CreateOptions, Interface, Offloads, TunBackend, TunDevice, Uid};
use tunctl_mock::{Caller, KernelProfile, MockBackend};
use tunctl_packet::header::{Endian, VnetFormat, VnetLength};

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
    let long = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
    let (tunnel, both) = (Offloads::UDP_TUNNEL, Offloads::UDP_TUNNEL_CHECKSUM);
    for (profile, unknown) in [
        (KernelProfile::LINUX_6_1, vec![Offloads::USO, tunnel, both]),
        (KernelProfile::LINUX_6_12, vec![tunnel, both]),
        (KernelProfile::LINUX_6_18, vec![]),
    ] {
        let kernel = MockBackend::with_profile(profile);
        let device = kernel.create(&CreateOptions::tun().vnet_format(long)).unwrap();
        for mask in [Offloads::NONE, Offloads::CHECKSUM, Offloads::TSO_ECN, Offloads::USO, tunnel, both] {
            let outcome = device.set_offloads(mask).map_err(|error| error.raw_os_error());
            let expected = if unknown.contains(&mask) { Err(Some(22)) } else { Ok(()) };
            assert_eq!(outcome, expected, "{profile}: {mask}");
        }
    }
}

#[test]
fn a_flag_that_the_model_does_not_have_is_refused_and_leaves_nothing() {
    let kernel = MockBackend::new();
    let error = kernel.create(&CreateOptions::tun().backpressure(true)).unwrap_err();
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::Unsupported, None));
    assert!(error.to_string().contains("backpressure"), "{error}");
    assert!(kernel.interfaces().unwrap().is_empty());
}
