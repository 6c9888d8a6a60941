//! DragonFly.

use crate::fixture::{BROADCAST, FRAME, Fixture, MULTICAST, UP, V4, V6, peered};
use crate::models::numbers::{
    EACCES, EAFNOSUPPORT, EAGAIN, EBUSY, EEXIST, EHOSTDOWN, EINVAL, EIO, ENOBUFS, ENOENT, ENXIO, EPERM,
};
use crate::models::{Made, NodeMode, System};

fn fixture() -> Fixture {
    Fixture::new(System::DragonFly)
}

#[test]
fn units_0_to_3_have_nodes_and_stay_once_they_were_opened() {
    let fixture = fixture();
    assert_eq!(fixture.reports().len(), 1);
    let tun = fixture.open("/dev/tun3");
    assert_eq!(fixture.report("tun3").unwrap().made, Made::Open);
    fixture.add_peer("tun3");
    assert_eq!(fixture.opens("/dev/tun3"), Err(EBUSY));
    drop(tun);
    assert!(fixture.report("tun3").is_some_and(|tun| !tun.is_up));
    assert_eq!(fixture.addresses("tun3"), []);
    assert_eq!([fixture.destroy("tun3"), fixture.create("tun3").map(drop)], [Err(ENXIO), Err(EEXIST)]);
}

#[test]
fn a_clone_node_makes_unit_4_and_it_goes() {
    let fixture = fixture();
    let tun = fixture.open("/dev/tun");
    let tap = fixture.open("/dev/tap");
    assert!(fixture.report("tun4").is_some() && fixture.report("tap4").is_some());
    assert_eq!(fixture.destroy("tun4"), Err(ENXIO));
    drop((tun, tap));
    assert!(fixture.report("tun4").is_none() && fixture.report("tap4").is_none());
}

#[test]
fn another_unit_has_no_node_until_it_is_created() {
    let fixture = fixture();
    assert_eq!(fixture.opens("/dev/tun7"), Err(ENOENT));
    assert_eq!(fixture.create("tun7"), Ok(b"tun7".to_vec()));
    let tun = fixture.open("/dev/tun7");
    fixture.add_peer("tun7");
    drop(tun);
    assert_eq!(fixture.addresses("tun7"), [peered("10.0.0.1", 32, "10.0.0.2")]);
    assert_eq!([fixture.destroy("tun7"), fixture.destroy("tun7")], [Ok(()), Err(ENXIO)]);
}

#[test]
fn a_created_tap_stays() {
    let fixture = fixture();
    assert_eq!(fixture.create("tap"), Ok(b"tap0".to_vec()));
    assert_eq!(fixture.opens("/dev/tap0"), Ok(()));
    assert!(fixture.report("tap0").is_some());
}

#[test]
fn an_open_interface_is_not_destroyed() {
    let fixture = fixture();
    for (name, node) in [("tun4", "/dev/tun4"), ("tap4", "/dev/tap4")] {
        fixture.create(name).unwrap();
        let device = fixture.open(node);
        assert_eq!(fixture.destroy(name), Err(EBUSY));
        drop(device);
        assert_eq!(fixture.destroy(name), Ok(()));
    }
}

#[test]
fn an_mtu_is_1500_at_most_for_a_tap() {
    let fixture = fixture();
    for name in ["tun0", "tap0"] {
        fixture.create(name).unwrap();
    }
    assert_eq!([fixture.set_mtu("tap0", 1500), fixture.set_mtu("tap0", 1501)], [Ok(()), Err(EINVAL)]);
    assert_eq!(fixture.set_mtu("tun0", 65535), Ok(()));
}

#[test]
fn packets_have_a_header_if_asked_for() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.send("tun0", V6), Err(EAFNOSUPPORT));
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    assert!(fixture.inject("tun0", V6));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 28], V6].concat()));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 24], V6), Err(EAFNOSUPPORT));
    assert_eq!(fixture.write(&tun, &[0, 0], &[]), Err(ENOBUFS));
}

#[test]
fn what_is_longer_than_16384_is_not_written() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.set_flags("tun0", UP).unwrap();
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    // The header does not count.
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 16384]), Ok(16388));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 16385]), Err(EIO));
    let tap = fixture.open("/dev/tap0");
    fixture.set_flags("tap0", UP).unwrap();
    assert_eq!(fixture.write(&tap, &[], &[0xff; 16385]), Err(EIO));
    assert_eq!(fixture.write(&tap, &[], FRAME), Ok(60));
}

#[test]
fn a_kernel_may_want_an_address_first() {
    let fixture = fixture();
    fixture.set_additions_until_ready(1);
    let tun = fixture.tun();
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.read(&tun), Err(EHOSTDOWN));
    assert_eq!(fixture.write(&tun, &[], V4), Ok(4));
    fixture.add_peer("tun0");
    assert_eq!(fixture.read(&tun), Err(EAGAIN));
}

#[test]
fn multicast_is_never_taken_away() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.set(&tun, fixture.abi.requests.tun_set_mode, 2).unwrap();
    assert_eq!(fixture.flags("tun0"), Ok(BROADCAST | MULTICAST));
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.set(&tun, fixture.abi.requests.tun_set_mode, 0x10), Err(EBUSY));
}

#[test]
fn only_root_opens_a_tun() {
    let fixture = fixture();
    fixture.set_caller(false);
    assert_eq!(fixture.opens("/dev/tun0"), Err(EACCES));
    fixture.set_nodes(NodeMode::All);
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tap0")], [Err(EPERM); 2]);
    fixture.set_user_open(true);
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tap0")], [Err(EPERM), Ok(())]);
}

#[test]
fn a_renamed_interface_keeps_its_node() {
    let fixture = fixture();
    fixture.create("tun0").unwrap();
    assert!(fixture.rename_by_another("tun0", "vpn0"));
    assert_eq!(fixture.opens("/dev/vpn0"), Err(ENOENT));
    let _tun = fixture.tun();
    assert!(fixture.report("vpn0").is_some_and(|tun| tun.is_open));
}
