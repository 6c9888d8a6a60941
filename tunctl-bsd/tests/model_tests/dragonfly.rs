//! DragonFly.

use crate::fixture::{BROADCAST, FRAME, MULTICAST, Rig, UP, V4, V6, peered};
use crate::models::numbers::{
    EACCES, EAFNOSUPPORT, EBUSY, EEXIST, EHOSTDOWN, EIO, ENOBUFS, ENOENT, ENXIO, EPERM,
};
use crate::models::{Made, NodeMode, System};

fn rig() -> Rig {
    Rig::new(System::DragonFly)
}

#[test]
fn units_0_to_3_are_there_and_stay() {
    let rig = rig();
    for of in ["tun0", "tun3", "tap0", "tap3"] {
        assert_eq!(rig.report(of).unwrap().made, Made::Start, "{of}");
    }
    let tun = rig.open("/dev/tun3");
    rig.add_peer("tun3");
    assert_eq!(rig.opens("/dev/tun3"), Err(EBUSY));
    drop(tun);
    assert!(rig.report("tun3").is_some_and(|tun| !tun.is_up));
    assert_eq!(rig.addresses("tun3"), []);
    assert_eq!([rig.destroy("tun3"), rig.create("tun3").map(drop)], [Err(ENXIO), Err(EEXIST)]);
}

#[test]
fn a_clone_node_makes_unit_4_and_it_goes() {
    let rig = rig();
    let tun = rig.open("/dev/tun");
    let tap = rig.open("/dev/tap");
    assert!(rig.report("tun4").is_some() && rig.report("tap4").is_some());
    assert_eq!(rig.destroy("tun4"), Err(ENXIO));
    drop((tun, tap));
    assert!(rig.report("tun4").is_none() && rig.report("tap4").is_none());
}

#[test]
fn another_unit_has_no_node_until_it_is_created() {
    let rig = rig();
    assert_eq!(rig.opens("/dev/tun7"), Err(ENOENT));
    assert_eq!(rig.create("tun7"), Ok(b"tun7".to_vec()));
    let tun = rig.open("/dev/tun7");
    rig.add_peer("tun7");
    drop(tun);
    assert_eq!(rig.addresses("tun7"), [peered("10.0.0.1", 32, "10.0.0.2")]);
    assert_eq!([rig.destroy("tun7"), rig.destroy("tun7")], [Ok(()), Err(ENXIO)]);
}

#[test]
fn a_created_tap_goes_all_the_same() {
    let rig = rig();
    assert_eq!(rig.create("tap"), Ok(b"tap4".to_vec()));
    assert_eq!(rig.opens("/dev/tap4"), Ok(()));
    assert!(rig.report("tap4").is_none());
}

#[test]
#[should_panic(expected = "it is open")]
fn an_open_interface_must_not_be_destroyed() {
    let rig = rig();
    rig.create("tun4").unwrap();
    let _tun = rig.open("/dev/tun4");
    let _ = rig.destroy("tun4");
}

#[test]
fn packets_have_a_header_if_asked_for() {
    let rig = rig();
    let tun = rig.tun();
    rig.set_flags("tun0", UP).unwrap();
    assert_eq!(rig.send("tun0", V6), Err(EAFNOSUPPORT));
    rig.set(&tun, rig.abi.requests.tun_set_head, 1).unwrap();
    assert!(rig.inject("tun0", V6));
    assert_eq!(rig.read(&tun), Ok([&[0, 0, 0, 28], V6].concat()));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 24], V6), Err(EAFNOSUPPORT));
    assert_eq!(rig.write(&tun, &[0, 0], &[]), Err(ENOBUFS));
}

#[test]
fn what_is_longer_than_16384_is_not_written() {
    let rig = rig();
    let tun = rig.tun();
    rig.set_flags("tun0", UP).unwrap();
    rig.set(&tun, rig.abi.requests.tun_set_head, 1).unwrap();
    // The header counts.
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], &[0x45; 16380]), Ok(16384));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], &[0x45; 16381]), Err(EIO));
    let tap = rig.open("/dev/tap0");
    rig.set_flags("tap0", UP).unwrap();
    assert_eq!(rig.write(&tap, &[], &[0xff; 16385]), Err(EIO));
    assert_eq!(rig.write(&tap, &[], FRAME), Ok(60));
}

#[test]
fn a_kernel_may_want_an_address_first() {
    let rig = rig();
    rig.set_additions_until_ready(1);
    let tun = rig.tun();
    rig.set_flags("tun0", UP).unwrap();
    assert_eq!(rig.read(&tun), Err(EHOSTDOWN));
    assert_eq!(rig.write(&tun, &[], V4), Err(EHOSTDOWN));
    rig.add_peer("tun0");
    assert_eq!(rig.write(&tun, &[], V4), Ok(4));
}

#[test]
fn multicast_is_never_taken_away() {
    let rig = rig();
    let tun = rig.tun();
    rig.set(&tun, rig.abi.requests.tun_set_mode, 2).unwrap();
    assert_eq!(rig.flags("tun0"), Ok(BROADCAST | MULTICAST));
    rig.set_flags("tun0", UP).unwrap();
    assert_eq!(rig.set(&tun, rig.abi.requests.tun_set_mode, 0x10), Err(EBUSY));
}

#[test]
fn only_root_opens_a_tun() {
    let rig = rig();
    rig.set_caller(false);
    assert_eq!(rig.opens("/dev/tun0"), Err(EACCES));
    rig.set_nodes(NodeMode::All);
    assert_eq!([rig.opens("/dev/tun0"), rig.opens("/dev/tap0")], [Err(EPERM); 2]);
    rig.set_user_open(true);
    assert_eq!([rig.opens("/dev/tun0"), rig.opens("/dev/tap0")], [Err(EPERM), Ok(())]);
}

#[test]
fn a_renamed_interface_keeps_its_node() {
    let rig = rig();
    assert!(rig.rename_by_another("tun0", "vpn0"));
    assert_eq!(rig.opens("/dev/vpn0"), Err(ENOENT));
    let _tun = rig.tun();
    assert!(rig.report("vpn0").is_some_and(|tun| tun.is_open));
}
