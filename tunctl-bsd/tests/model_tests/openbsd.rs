//! OpenBSD.

use std::ffi::{CStr, CString};

use crate::fixture::{BROADCAST, FRAME, Fixture, MULTICAST, POINTOPOINT, V4, V6, errno, name, peered};
use crate::models::numbers::{
    EACCES, EADDRNOTAVAIL, EBADF, EBUSY, EINVAL, EIO, EMSGSIZE, ENAMETOOLONG, ENOENT, ENOTTY, ENXIO,
};
use crate::models::{Made, NodeMode, System};
use tunctl_bsd::Syscalls;
use tunctl_sys::bsd::{TunInfo, openbsd};

fn fixture() -> Fixture {
    Fixture::new(System::OpenBsd)
}

#[test]
fn what_open_made_goes_with_its_device() {
    let fixture = fixture();
    assert_eq!(fixture.opens("/dev/tun"), Err(ENOENT));
    let tap = fixture.open("/dev/tap2");
    assert_eq!(fixture.report("tap2").unwrap().made, Made::Open);
    assert_eq!(fixture.opens("/dev/tap2"), Err(EBUSY));
    drop(tap);
    assert!(fixture.report("tap2").is_none());
}

#[test]
fn what_was_created_stays() {
    let fixture = fixture();
    assert_eq!(fixture.create("tun"), Err(EINVAL));
    fixture.create("tun0").unwrap();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    drop(tun);
    assert!(fixture.report("tun0").is_some_and(|tun| !tun.is_up));
    assert_eq!(fixture.addresses("tun0"), [peered("10.0.0.1", 32, "10.0.0.2")]);
    assert_eq!([fixture.destroy("tun0"), fixture.destroy("tun0")], [Ok(()), Err(ENXIO)]);
}

#[test]
fn an_interface_is_up_once_it_is_open() {
    let fixture = fixture();
    fixture.create("tun0").unwrap();
    assert!(!fixture.report("tun0").unwrap().is_up);
    let _tun = fixture.tun();
    assert!(fixture.report("tun0").unwrap().is_up);
}

#[test]
fn packets_always_have_their_family_in_front() {
    let fixture = fixture();
    assert!(fixture.abi.requests.tun_set_head.is_none());
    let tun = fixture.tun();
    assert!(fixture.inject("tun0", V4) && fixture.inject("tun0", V6));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 2], V4].concat()));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 24], V6].concat()));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 24], V6), Ok(8));
    assert_eq!(fixture.taken("tun0"), Some(V6.to_vec()));
}

#[test]
fn a_family_that_is_none_is_dropped_in_silence() {
    let fixture = fixture();
    let tun = fixture.tun();
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 28], V6), Ok(8));
    assert_eq!(fixture.write(&tun, &[], V4), Ok(4));
    assert_eq!(fixture.taken("tun0"), None);
}

#[test]
fn what_is_too_short_or_too_long_is_not_written() {
    let fixture = fixture();
    let tun = fixture.tun();
    assert_eq!(fixture.write(&tun, &[0, 0, 2], &[]), Err(EMSGSIZE));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 65536]), Ok(65540));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 65537]), Err(EMSGSIZE));
    let tap = fixture.open("/dev/tap0");
    assert_eq!(fixture.write(&tap, &[], &FRAME[..13]), Err(EMSGSIZE));
    let longest = [fixture.write(&tap, &[], &[0xff; 65550]), fixture.write(&tap, &[], &[0xff; 65551])];
    assert_eq!(longest, [Ok(65550), Err(EMSGSIZE)]);
    assert_eq!(fixture.write(&tap, &[], FRAME), Ok(60));
}

#[test]
fn an_mtu_is_16384_at_most() {
    let fixture = fixture();
    let _tun = fixture.tun();
    assert_eq!([fixture.set_mtu("tun0", 16384), fixture.set_mtu("tun0", 16385)], [Ok(()), Err(EINVAL)]);
}

#[test]
fn the_mode_never_changes() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.set(&tun, fixture.abi.requests.tun_set_mode, 0x8010).unwrap();
    assert_eq!(fixture.set(&tun, fixture.abi.requests.tun_set_mode, 0x8002), Err(EINVAL));
    let mode = BROADCAST | POINTOPOINT | MULTICAST;
    assert_eq!(fixture.flags("tun0").unwrap() & mode, POINTOPOINT | MULTICAST);
}

#[test]
fn tuninfo_is_read_and_written() {
    let fixture = fixture();
    let tun = fixture.tun();
    let requests = fixture.abi.requests;
    let answer = fixture.ioctl(&tun, requests.tun_get_info.unwrap(), vec![0; 12]).unwrap();
    let info = fixture.abi.parse_tun_info(&answer).unwrap();
    // Of the flags, those of its mode alone.
    assert_eq!((info.mtu, info.kind, u32::from(info.flags)), (1500, 0x83, POINTOPOINT | MULTICAST));
    let new = TunInfo { mtu: 1280, baudrate: 9600, ..info };
    let set = |info: &TunInfo| {
        fixture.ioctl(&tun, requests.tun_set_info.unwrap(), fixture.abi.tun_info(info).unwrap()).map(drop)
    };
    assert_eq!(set(&new), Ok(()));
    assert_eq!(fixture.report("tun0").unwrap().mtu, 1280);
    let others = [TunInfo { kind: 6, ..new }, TunInfo { flags: 0x8002, ..new }];
    assert_eq!(others.map(|other| set(&other)), [Err(EINVAL); 2]);
}

#[test]
fn a_destroyed_interface_takes_the_descriptor_along() {
    let fixture = fixture();
    let tun = fixture.tun();
    assert_eq!(fixture.destroy_by_another("tun0"), Ok(()));
    assert_eq!(
        [fixture.read(&tun).map(drop), fixture.write(&tun, &[0, 0, 0, 2], V4).map(drop)],
        [Err(EIO), Err(EIO)]
    );
    assert_eq!(fixture.set(&tun, fixture.abi.requests.tun_set_mode, 2), Err(EBADF));
    assert_eq!(fixture.opens("/dev/tun0"), Ok(()));
}

#[test]
fn the_node_s_mode_is_all_that_is_asked() {
    let fixture = fixture();
    fixture.set_caller(false);
    assert_eq!(fixture.opens("/dev/tun0"), Err(EACCES));
    fixture.set_node("/dev/tun0", NodeMode::All);
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tun1")], [Ok(()), Err(EACCES)]);
}

#[test]
fn ipv6_is_attached_by_a_request() {
    let fixture = fixture();
    let _tun = fixture.tun();
    let argument = openbsd::attach_v6(&name("tun0")).to_vec();
    fixture.request(fixture.abi.requests.attach_family.unwrap(), argument).unwrap();
    // It has no way to ask for no duplicate detection.
    assert_eq!(fixture.add_v6("tun0", "fd00::1", 64, 0x20), Err(EINVAL));
    assert_eq!(fixture.add_v6("tun0", "fd00::1", 64, 0), Ok(()));
    assert_eq!(fixture.delete("tun0", "10.0.0.1"), Err(EADDRNOTAVAIL));
}

#[test]
fn a_tap_has_no_request_of_a_tun_s_header() {
    let fixture = fixture();
    let tap = fixture.open("/dev/tap0");
    assert_eq!(fixture.set(&tap, Fixture::new(System::FreeBsd).abi.requests.tun_set_head, 1), Err(ENOTTY));
    assert!(fixture.inject("tap0", FRAME));
    assert_eq!(fixture.read(&tap), Ok(FRAME.to_vec()));
}

#[test]
fn a_description_is_a_text_of_63_bytes_at_most() {
    let fixture = fixture();
    let description = fixture.abi.description.unwrap();
    fixture.create("tun0").unwrap();
    let set = |text: &CStr| fixture.model.set_text(description.set, &name("tun0"), text).map_err(errno);
    let get = || fixture.model.text(description.get, &name("tun0")).map_err(errno);
    assert_eq!(get(), Ok(vec![]));
    let long = |length| CString::new(vec![b'x'; length]).unwrap();
    assert_eq!([set(&long(64)), set(&long(63))], [Err(ENAMETOOLONG), Ok(())]);
    assert_eq!(get(), Ok(vec![b'x'; 63]));
    set(c"").unwrap();
    assert_eq!(get(), Ok(vec![]));
}
