//! OpenBSD.

use crate::fixture::{BROADCAST, FRAME, MULTICAST, POINTOPOINT, Rig, UP, V4, V6, name, peered};
use crate::models::numbers::{
    EACCES, EADDRNOTAVAIL, EBADF, EBUSY, EINVAL, EIO, EMSGSIZE, ENOENT, ENOTTY, ENXIO,
};
use crate::models::{Made, NodeMode, System};
use tunctl_sys::bsd::{TunInfo, openbsd};

fn rig() -> Rig {
    Rig::new(System::OpenBsd)
}

#[test]
fn what_open_made_goes_with_its_device() {
    let rig = rig();
    assert_eq!(rig.opens("/dev/tun"), Err(ENOENT));
    let tap = rig.open("/dev/tap2");
    assert_eq!(rig.report("tap2").unwrap().made, Made::Open);
    assert_eq!(rig.opens("/dev/tap2"), Err(EBUSY));
    drop(tap);
    assert!(rig.report("tap2").is_none());
}

#[test]
fn what_was_created_stays() {
    let rig = rig();
    assert_eq!(rig.create("tun"), Err(EINVAL));
    rig.create("tun0").unwrap();
    let tun = rig.tun();
    rig.add_peer("tun0");
    drop(tun);
    assert!(rig.report("tun0").is_some_and(|tun| !tun.is_up));
    assert_eq!(rig.addresses("tun0"), [peered("10.0.0.1", 32, "10.0.0.2")]);
    assert_eq!([rig.destroy("tun0"), rig.destroy("tun0")], [Ok(()), Err(ENXIO)]);
}

#[test]
fn an_interface_is_up_once_it_is_open() {
    let rig = rig();
    rig.create("tun0").unwrap();
    assert!(!rig.report("tun0").unwrap().is_up);
    let _tun = rig.tun();
    assert!(rig.report("tun0").unwrap().is_up);
}

#[test]
fn packets_always_have_their_family_in_front() {
    let rig = rig();
    assert!(rig.abi.requests.tun_set_head.is_none());
    let tun = rig.tun();
    assert!(rig.inject("tun0", V4) && rig.inject("tun0", V6));
    assert_eq!(rig.read(&tun), Ok([&[0, 0, 0, 2], V4].concat()));
    assert_eq!(rig.read(&tun), Ok([&[0, 0, 0, 24], V6].concat()));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 24], V6), Ok(8));
    assert_eq!(rig.taken("tun0"), Some(V6.to_vec()));
}

#[test]
fn a_family_that_is_none_is_dropped_in_silence() {
    let rig = rig();
    let tun = rig.tun();
    assert_eq!(rig.write(&tun, &[0, 0, 0, 28], V6), Ok(8));
    assert_eq!(rig.write(&tun, &[], V4), Ok(4));
    assert_eq!(rig.taken("tun0"), None);
}

#[test]
fn what_is_too_short_or_too_long_is_not_written() {
    let rig = rig();
    let tun = rig.tun();
    assert_eq!(rig.write(&tun, &[0, 0, 2], &[]), Err(EMSGSIZE));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], &[0x45; 16384]), Ok(16388));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], &[0x45; 16385]), Err(EMSGSIZE));
    let tap = rig.open("/dev/tap0");
    assert_eq!(rig.write(&tap, &[], &FRAME[..13]), Err(EMSGSIZE));
    assert_eq!(rig.write(&tap, &[], FRAME), Ok(60));
}

#[test]
fn an_mtu_is_16384_at_most() {
    let rig = rig();
    let _tun = rig.tun();
    assert_eq!([rig.set_mtu("tun0", 16384), rig.set_mtu("tun0", 16385)], [Ok(()), Err(EINVAL)]);
}

#[test]
fn the_mode_changes_at_any_time() {
    let rig = rig();
    let tun = rig.tun();
    rig.set(&tun, rig.abi.requests.tun_set_mode, 0x8002).unwrap();
    assert_eq!(rig.flags("tun0").unwrap() & (BROADCAST | POINTOPOINT | MULTICAST), BROADCAST | MULTICAST);
    assert_eq!(rig.set(&tun, rig.abi.requests.tun_set_mode, 0x12), Err(EINVAL));
}

#[test]
fn tuninfo_is_read_and_written() {
    let rig = rig();
    let tun = rig.tun();
    let requests = rig.abi.requests;
    let answer = rig.ioctl(&tun, requests.tun_get_info.unwrap(), vec![0; 12]).unwrap();
    let info = rig.abi.parse_tun_info(&answer).unwrap();
    assert_eq!((info.mtu, info.kind, u32::from(info.flags) & POINTOPOINT), (1500, 0x83, POINTOPOINT));
    let new = TunInfo { mtu: 1280, flags: 0x8002, baudrate: 9600, ..info };
    rig.ioctl(&tun, requests.tun_set_info.unwrap(), rig.abi.tun_info(&new).unwrap()).unwrap();
    assert_eq!(rig.report("tun0").unwrap().mtu, 1280);
    assert_eq!(rig.flags("tun0").unwrap() & (UP | BROADCAST | POINTOPOINT), UP | BROADCAST);
    let other = rig.abi.tun_info(&TunInfo { kind: 6, ..new }).unwrap();
    assert_eq!(rig.ioctl(&tun, requests.tun_set_info.unwrap(), other), Err(EINVAL));
}

#[test]
fn a_destroyed_interface_takes_the_descriptor_along() {
    let rig = rig();
    let tun = rig.tun();
    assert_eq!(rig.destroy_by_another("tun0"), Ok(()));
    assert_eq!(
        [rig.read(&tun).map(drop), rig.write(&tun, &[0, 0, 0, 2], V4).map(drop)],
        [Err(EIO), Err(EIO)]
    );
    assert_eq!(rig.set(&tun, rig.abi.requests.tun_set_mode, 2), Err(EBADF));
    assert_eq!(rig.opens("/dev/tun0"), Ok(()));
}

#[test]
fn the_node_s_mode_is_all_that_is_asked() {
    let rig = rig();
    rig.set_caller(false);
    assert_eq!(rig.opens("/dev/tun0"), Err(EACCES));
    rig.set_node("/dev/tun0", NodeMode::All);
    assert_eq!([rig.opens("/dev/tun0"), rig.opens("/dev/tun1")], [Ok(()), Err(EACCES)]);
}

#[test]
fn ipv6_is_attached_by_a_request() {
    let rig = rig();
    let _tun = rig.tun();
    let argument = openbsd::attach_v6(&name("tun0")).to_vec();
    rig.request(rig.abi.requests.attach_family.unwrap(), argument).unwrap();
    // It has no way to ask for no duplicate detection.
    assert_eq!(rig.add_v6("tun0", "fd00::1", 64, 0x20), Err(EINVAL));
    assert_eq!(rig.add_v6("tun0", "fd00::1", 64, 0), Ok(()));
    assert_eq!(rig.delete("tun0", "10.0.0.1"), Err(EADDRNOTAVAIL));
}

#[test]
fn a_tap_has_no_request_of_a_tun_s_header() {
    let rig = rig();
    let tap = rig.open("/dev/tap0");
    assert_eq!(rig.set(&tap, Rig::new(System::FreeBsd).abi.requests.tun_set_head, 1), Err(ENOTTY));
    assert!(rig.inject("tap0", FRAME));
    assert_eq!(rig.read(&tap), Ok(FRAME.to_vec()));
}
