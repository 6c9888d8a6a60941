//! NetBSD.

use std::io::IoSliceMut;

use tunctl_bsd::Syscalls;
use tunctl_sys::bsd::Name;

use crate::fixture::{BROADCAST, FRAME, Fixture, MULTICAST, POINTOPOINT, UP, V4, V6, errno, name, peered};
use crate::models::numbers::{
    EACCES, EAFNOSUPPORT, EAGAIN, EBUSY, EEXIST, EHOSTDOWN, EINVAL, EIO, ENOENT, ENXIO, EPERM,
};
use crate::models::{NodeMode, System};

fn fixture() -> Fixture {
    Fixture::new(System::NetBsd)
}

#[test]
fn only_taps_have_a_clone_node() {
    let fixture = fixture();
    assert_eq!(fixture.opens("/dev/tun"), Err(ENOENT));
    let tap = fixture.open("/dev/tap");
    let answer = fixture.ioctl(&tap, fixture.abi.requests.tap_name.unwrap(), vec![0; 144]).unwrap();
    assert_eq!(Name::parse(&answer), Some(name("tap0")));
    drop(tap);
    assert!(fixture.report("tap0").is_none());
}

#[test]
fn a_tap_of_a_number_is_created_and_stays() {
    let fixture = fixture();
    assert_eq!(fixture.opens("/dev/tap3"), Err(ENXIO));
    assert_eq!(fixture.create("tap"), Err(EINVAL));
    fixture.create("tap3").unwrap();
    assert_eq!(fixture.create("tap3"), Err(EEXIST));
    fixture.set_flags("tap3", UP).unwrap();
    assert_eq!(fixture.opens("/dev/tap3"), Ok(()));
    assert!(fixture.report("tap3").is_some_and(|tap| tap.is_up));
    assert_eq!(fixture.destroy("tap3"), Ok(()));
}

#[test]
fn a_tun_stays_with_its_addresses() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    assert!(fixture.report("tun0").is_some_and(|tun| tun.is_up));
    assert_eq!(fixture.opens("/dev/tun0"), Err(EBUSY));
    drop(tun);
    assert!(fixture.report("tun0").is_some_and(|tun| !tun.is_up));
    assert_eq!(fixture.addresses("tun0"), [peered("10.0.0.1", 32, "10.0.0.2")]);
}

#[test]
fn an_ipv6_address_has_no_flag_to_do_without_detection_and_is_not_added_again() {
    let fixture = fixture();
    let _tun = fixture.tun();
    assert_eq!(fixture.add_v6("tun0", "fd00::1", 64, 0x20), Err(EINVAL));
    fixture.add_v6("tun0", "fd00::1", 64, 0).unwrap();
    // Another prefix of the same address is refused.
    assert_eq!(fixture.add_v6("tun0", "fd00::1", 96, 0), Err(EINVAL));
    assert_eq!(fixture.add_v6("tun0", "fd00::1", 64, 0), Ok(()));
}

#[test]
fn a_tun_carries_nothing_until_it_has_an_address() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.read(&tun), Err(EHOSTDOWN));
    assert_eq!(fixture.write(&tun, &[], V4), Ok(4));
    assert_eq!(fixture.send("tun0", V4), Err(EHOSTDOWN));
    fixture.add_v6("tun0", "fd00::1", 64, 0).unwrap();
    assert_eq!(fixture.write(&tun, &[], V4), Ok(4));
    assert!(fixture.inject("tun0", V4));
    assert_eq!(fixture.read(&tun), Ok(V4.to_vec()));
}

#[test]
fn an_old_kernel_wants_the_address_twice() {
    let fixture = fixture();
    fixture.set_additions_until_ready(2);
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    assert_eq!(fixture.read(&tun), Err(EHOSTDOWN));
    fixture.add_peer("tun0");
    assert_eq!(fixture.read(&tun), Err(EAGAIN));
    assert_eq!(fixture.addresses("tun0").len(), 1);
}

#[test]
fn a_tap_carries_nothing_while_down() {
    let fixture = fixture();
    let tap = fixture.open("/dev/tap");
    assert_eq!(fixture.read(&tap), Err(EHOSTDOWN));
    assert_eq!(fixture.write(&tap, &[], FRAME), Ok(60));
    assert_eq!(fixture.taken("tap0"), None);
    fixture.set_flags("tap0", UP).unwrap();
    assert_eq!(fixture.write(&tap, &[], FRAME), Ok(60));
    assert_eq!(fixture.taken("tap0"), Some(FRAME.to_vec()));
}

#[test]
fn the_header_is_asked_for_and_answered_with_any_number() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    assert_eq!(fixture.send("tun0", V6), Err(EAFNOSUPPORT));
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    let af_header = fixture.get(&tun, fixture.abi.requests.tun_get_head).unwrap();
    assert!(af_header != 0 && af_header != 1);
    assert!(fixture.inject("tun0", V6));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 24], V6].concat()));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 28], V6), Err(EAFNOSUPPORT));
    assert_eq!(fixture.write(&tun, &[0, 0], &[]), Err(EIO));
}

#[test]
fn what_is_longer_than_1500_is_not_written() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 1500]), Ok(1504));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 1501]), Err(EIO));
}

#[test]
fn a_tun_has_an_mtu_of_576_to_1500() {
    let fixture = fixture();
    let _tun = fixture.tun();
    let _tap = fixture.open("/dev/tap");
    assert_eq!([fixture.set_mtu("tun0", 576), fixture.set_mtu("tun0", 1500)], [Ok(()); 2]);
    assert_eq!([fixture.set_mtu("tun0", 575), fixture.set_mtu("tun0", 1501)], [Err(EINVAL); 2]);
    assert_eq!([fixture.set_mtu("tap0", 9000), fixture.set_mtu("tap0", 9001)], [Ok(()), Err(EINVAL)]);
    assert_eq!(fixture.report("tun0").unwrap().mtu, 1500);
}

#[test]
fn the_mode_changes_while_down_only() {
    let fixture = fixture();
    let tun = fixture.tun();
    assert_eq!(fixture.flags("tun0"), Ok(POINTOPOINT));
    fixture.set(&tun, fixture.abi.requests.tun_set_mode, 0x8002).unwrap();
    assert_eq!(fixture.flags("tun0"), Ok(BROADCAST | MULTICAST));
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.set(&tun, fixture.abi.requests.tun_set_mode, 0x10), Err(EBUSY));
}

#[test]
fn an_open_interface_is_destroyed_under_its_device() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    assert_eq!(fixture.destroy_by_another("tun0"), Ok(()));
    assert_eq!(fixture.read(&tun), Err(ENXIO));
    assert_eq!(fixture.write(&tun, &[], V4), Err(ENXIO));
    assert_eq!(fixture.set(&tun, fixture.abi.requests.tun_set_head, 1), Err(ENXIO));
    drop(tun);
    assert_eq!(fixture.calls().last().map(String::as_str), Some("close /dev/tun0"));
}

#[test]
fn opening_a_tun_is_checked_behind_the_node() {
    let fixture = fixture();
    fixture.set_caller(false);
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tap")], [Err(EACCES); 2]);
    fixture.set_nodes(NodeMode::All);
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tap")], [Err(EPERM), Ok(())]);
    fixture.set_node("/dev/tun4", NodeMode::Missing);
    fixture.set_caller(true);
    assert_eq!(fixture.opens("/dev/tun4"), Err(ENOENT));
    fixture.set_loaded(false);
    assert_eq!(fixture.opens("/dev/tun0"), Err(ENXIO));
}

#[test]
fn interfaces_are_not_renamed() {
    let fixture = fixture();
    let _tun = fixture.tun();
    assert!(fixture.abi.rename.is_none());
    assert!(!fixture.rename_by_another("tun0", "vpn0"));
}

#[test]
fn a_tun_that_was_deleted_comes_back_when_its_unit_is_opened_and_is_the_old_device_s() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.destroy_by_another("tun0").unwrap();
    assert_eq!(fixture.opens("/dev/tun0"), Err(EBUSY));
    assert!(fixture.report("tun0").is_some_and(|tun| tun.is_open));
    assert_eq!(fixture.write(&tun, &[], V4), Ok(4));
}

#[test]
fn a_tap_that_is_made_again_is_the_old_device_s() {
    let fixture = fixture();
    fixture.create("tap3").unwrap();
    let tap = fixture.open("/dev/tap3");
    fixture.destroy_by_another("tap3").unwrap();
    assert_eq!(fixture.write(&tap, &[], FRAME), Err(ENXIO));
    fixture.create("tap3").unwrap();
    assert_eq!((fixture.write(&tap, &[], FRAME), fixture.opens("/dev/tap3")), (Ok(60), Err(EBUSY)));
}

#[test]
fn whether_reads_wait_outlives_the_close() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    fixture.model.set_nonblocking(&tun).unwrap();
    drop(tun);
    let again = fixture.tun();
    let read = fixture.model.read(&again, &mut [IoSliceMut::new(&mut [0; 100])]);
    assert_eq!(read.map_err(errno), Err(EAGAIN));
}
