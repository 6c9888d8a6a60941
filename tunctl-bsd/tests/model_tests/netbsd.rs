//! NetBSD.

use tunctl_sys::bsd::Name;

use crate::fixture::{BROADCAST, FRAME, MULTICAST, POINTOPOINT, Rig, UP, V4, V6, name, peered};
use crate::models::numbers::{
    EACCES, EAFNOSUPPORT, EBUSY, EEXIST, EHOSTDOWN, EINVAL, EIO, ENOENT, ENXIO, EPERM,
};
use crate::models::{NodeMode, System};

fn rig() -> Rig {
    Rig::new(System::NetBsd)
}

#[test]
fn only_taps_have_a_clone_node() {
    let rig = rig();
    assert_eq!(rig.opens("/dev/tun"), Err(ENOENT));
    let tap = rig.open("/dev/tap");
    let answer = rig.ioctl(&tap, rig.abi.requests.tap_name.unwrap(), vec![0; 144]).unwrap();
    assert_eq!(Name::parse(&answer), Some(name("tap0")));
    drop(tap);
    assert!(rig.report("tap0").is_none());
}

#[test]
fn a_tap_of_a_number_is_created_and_stays() {
    let rig = rig();
    assert_eq!(rig.opens("/dev/tap3"), Err(ENXIO));
    assert_eq!(rig.create("tap"), Err(EINVAL));
    rig.create("tap3").unwrap();
    assert_eq!(rig.create("tap3"), Err(EEXIST));
    rig.set_flags("tap3", UP).unwrap();
    assert_eq!(rig.opens("/dev/tap3"), Ok(()));
    assert!(rig.report("tap3").is_some_and(|tap| tap.is_up));
    assert_eq!(rig.destroy("tap3"), Ok(()));
}

#[test]
fn a_tun_stays_with_its_addresses() {
    let rig = rig();
    let tun = rig.tun();
    rig.add_peer("tun0");
    assert!(rig.report("tun0").is_some_and(|tun| tun.is_up));
    assert_eq!(rig.opens("/dev/tun0"), Err(EBUSY));
    drop(tun);
    assert!(rig.report("tun0").is_some_and(|tun| !tun.is_up));
    assert_eq!(rig.addresses("tun0"), [peered("10.0.0.1", 32, "10.0.0.2")]);
}

#[test]
fn a_tun_carries_nothing_until_it_has_an_address() {
    let rig = rig();
    let tun = rig.tun();
    rig.set_flags("tun0", UP).unwrap();
    assert_eq!(rig.read(&tun), Err(EHOSTDOWN));
    assert_eq!(rig.write(&tun, &[], V4), Err(EHOSTDOWN));
    assert_eq!(rig.send("tun0", V4), Err(EHOSTDOWN));
    rig.add_v6("tun0", "fd00::1", 64, 0x20).unwrap();
    assert_eq!(rig.write(&tun, &[], V4), Ok(4));
    assert!(rig.inject("tun0", V4));
    assert_eq!(rig.read(&tun), Ok(V4.to_vec()));
}

#[test]
fn an_old_kernel_wants_the_address_twice() {
    let rig = rig();
    rig.set_additions_until_ready(2);
    let tun = rig.tun();
    rig.add_peer("tun0");
    assert_eq!(rig.write(&tun, &[], V4), Err(EHOSTDOWN));
    rig.add_peer("tun0");
    assert_eq!(rig.write(&tun, &[], V4), Ok(4));
    assert_eq!(rig.addresses("tun0").len(), 1);
}

#[test]
fn a_tap_carries_nothing_while_down() {
    let rig = rig();
    let tap = rig.open("/dev/tap");
    assert_eq!(rig.read(&tap), Err(EHOSTDOWN));
    rig.set_flags("tap0", UP).unwrap();
    assert_eq!(rig.write(&tap, &[], FRAME), Ok(60));
    assert_eq!(rig.taken("tap0"), Some(FRAME.to_vec()));
}

#[test]
fn the_header_is_asked_for_and_answered_with_any_number() {
    let rig = rig();
    let tun = rig.tun();
    rig.add_peer("tun0");
    assert_eq!(rig.send("tun0", V6), Err(EAFNOSUPPORT));
    rig.set(&tun, rig.abi.requests.tun_set_head, 1).unwrap();
    let af_header = rig.get(&tun, rig.abi.requests.tun_get_head).unwrap();
    assert!(af_header != 0 && af_header != 1);
    assert!(rig.inject("tun0", V6));
    assert_eq!(rig.read(&tun), Ok([&[0, 0, 0, 24], V6].concat()));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 28], V6), Err(EAFNOSUPPORT));
    assert_eq!(rig.write(&tun, &[0, 0], &[]), Err(EIO));
}

#[test]
fn what_is_longer_than_1500_is_not_written() {
    let rig = rig();
    let tun = rig.tun();
    rig.add_peer("tun0");
    rig.set(&tun, rig.abi.requests.tun_set_head, 1).unwrap();
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], &[0x45; 1500]), Ok(1504));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], &[0x45; 1501]), Err(EIO));
}

#[test]
fn a_tun_has_an_mtu_of_576_to_1500() {
    let rig = rig();
    let _tun = rig.tun();
    let _tap = rig.open("/dev/tap");
    assert_eq!([rig.set_mtu("tun0", 576), rig.set_mtu("tun0", 1500)], [Ok(()); 2]);
    assert_eq!([rig.set_mtu("tun0", 575), rig.set_mtu("tun0", 1501)], [Err(EINVAL); 2]);
    assert_eq!([rig.set_mtu("tap0", 9000), rig.set_mtu("tap0", 9001)], [Ok(()), Err(EINVAL)]);
    assert_eq!(rig.report("tun0").unwrap().mtu, 1500);
}

#[test]
fn the_mode_changes_while_down_only() {
    let rig = rig();
    let tun = rig.tun();
    assert_eq!(rig.flags("tun0"), Ok(POINTOPOINT));
    rig.set(&tun, rig.abi.requests.tun_set_mode, 0x8002).unwrap();
    assert_eq!(rig.flags("tun0"), Ok(BROADCAST | MULTICAST));
    rig.set_flags("tun0", UP).unwrap();
    assert_eq!(rig.set(&tun, rig.abi.requests.tun_set_mode, 0x10), Err(EBUSY));
}

#[test]
fn an_open_interface_is_destroyed_under_its_device() {
    let rig = rig();
    let tun = rig.tun();
    rig.add_peer("tun0");
    assert_eq!(rig.destroy_by_another("tun0"), Ok(()));
    assert_eq!(rig.read(&tun), Err(ENXIO));
    assert_eq!(rig.write(&tun, &[], V4), Err(ENXIO));
    assert_eq!(rig.set(&tun, rig.abi.requests.tun_set_head, 1), Err(ENXIO));
    drop(tun);
    assert_eq!(rig.calls().last().map(String::as_str), Some("close /dev/tun0"));
}

#[test]
fn opening_a_tun_is_checked_behind_the_node() {
    let rig = rig();
    rig.set_caller(false);
    assert_eq!([rig.opens("/dev/tun0"), rig.opens("/dev/tap")], [Err(EACCES); 2]);
    rig.set_nodes(NodeMode::All);
    assert_eq!([rig.opens("/dev/tun0"), rig.opens("/dev/tap")], [Err(EPERM), Ok(())]);
    rig.set_node("/dev/tun4", NodeMode::Missing);
    rig.set_caller(true);
    assert_eq!(rig.opens("/dev/tun4"), Err(ENOENT));
    rig.set_loaded(false);
    assert_eq!(rig.opens("/dev/tun0"), Err(ENXIO));
}

#[test]
fn interfaces_are_not_renamed() {
    let rig = rig();
    let _tun = rig.tun();
    assert!(rig.abi.rename.is_none());
    assert!(!rig.rename_by_another("tun0", "vpn0"));
}
