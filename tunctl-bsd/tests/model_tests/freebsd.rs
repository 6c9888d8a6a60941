//! FreeBSD.

use std::ffi::{CStr, CString};

use tunctl_bsd::Syscalls;
use tunctl_sys::bsd::{Name, freebsd};

use crate::fixture::{BROADCAST, FRAME, Fixture, MULTICAST, POINTOPOINT, UP, V4, V6, errno, name, peered};
use crate::models::numbers::{
    EACCES, EAFNOSUPPORT, EBUSY, EEXIST, EINVAL, EIO, ENAMETOOLONG, ENOENT, ENOMSG, ENOTTY, ENXIO, EPERM,
    EPROTOTYPE,
};
use crate::models::{Made, NodeMode, System};

fn fixture() -> Fixture {
    Fixture::new(System::FreeBsd)
}

#[test]
fn clone_nodes_make_the_first_unit_that_is_free() {
    let fixture = fixture();
    let _first = fixture.open("/dev/tun");
    let _second = fixture.open("/dev/tun5");
    let _third = fixture.open("/dev/tun");
    let _tap = fixture.open("/dev/tap");
    let names: Vec<_> = fixture.reports().into_iter().map(|report| report.name).collect();
    assert_eq!(names, ["lo0", "tun0", "tun5", "tun1", "tap0"]);
    assert_eq!(fixture.opens("/dev/tun0"), Err(EBUSY));
    assert_eq!(fixture.opens("/dev/tun01"), Err(ENOENT));
}

#[test]
fn interfaces_stay_and_lose_their_addresses() {
    let fixture = fixture();
    let tun = fixture.open("/dev/tun0");
    fixture.add_peer("tun0");
    assert_eq!(fixture.addresses("tun0"), [peered("10.0.0.1", 32, "10.0.0.2")]);
    drop(tun);
    assert!(fixture.report("tun0").is_some_and(|tun| !tun.is_open && !tun.is_up));
    assert_eq!(fixture.addresses("tun0"), []);
}

#[test]
fn a_tap_loses_its_addresses_though_it_was_down() {
    let fixture = fixture();
    let tap = fixture.open("/dev/tap0");
    fixture.add("tap0", "10.0.0.1", None, "255.255.255.0").unwrap();
    fixture.set_flags("tap0", 0).unwrap();
    drop(tap);
    assert_eq!(fixture.addresses("tap0"), []);
}

#[test]
fn a_transient_interface_goes_with_its_last_descriptor() {
    let fixture = fixture();
    let tun = fixture.open("/dev/tun0");
    fixture.set(&tun, fixture.abi.requests.set_transient, 1).unwrap();
    let second = fixture.duplicate(&tun).unwrap();
    drop(tun);
    assert!(fixture.report("tun0").is_some());
    drop(second);
    assert!(fixture.report("tun0").is_none());
    assert_eq!(fixture.calls(), ["open /dev/tun0", "ioctl TUNSTRANSIENT 1", "duplicate tun0", "close tun0"]);
}

#[test]
#[should_panic(expected = "would hang")]
fn destroying_an_open_device_never_ends() {
    let fixture = fixture();
    let _tun = fixture.open("/dev/tun0");
    let _ = fixture.destroy("tun0");
}

#[test]
fn another_program_waits_to_destroy_until_the_device_is_closed() {
    let fixture = fixture();
    let tun = fixture.open("/dev/tun0");
    fixture.destroy_by_another("tun0").unwrap();
    assert!(fixture.report("tun0").is_some());
    drop(tun);
    assert!(fixture.report("tun0").is_none());
}

#[test]
fn create_fills_the_name_in() {
    let fixture = fixture();
    assert_eq!(fixture.create("tun"), Ok(b"tun0".to_vec()));
    assert_eq!(fixture.create("tun7"), Ok(b"tun7".to_vec()));
    assert_eq!(
        [fixture.create("tun7"), fixture.create("nope0"), fixture.create("tun07")],
        [Err(EEXIST), Err(EINVAL), Err(EINVAL)]
    );
    assert_eq!(fixture.report("tun7").unwrap().made, Made::Request);
    assert_eq!(fixture.destroy("tun7"), Ok(()));
    assert_eq!([fixture.destroy("tun7"), fixture.destroy("lo0")], [Err(ENXIO), Err(EINVAL)]);
}

#[test]
fn an_index_is_given_again_at_once() {
    let fixture = fixture();
    fixture.create("tun0").unwrap();
    let first = fixture.report("tun0").unwrap().index;
    fixture.destroy("tun0").unwrap();
    fixture.create("tap3").unwrap();
    assert_eq!(fixture.report("tap3").unwrap().index, first);
}

#[test]
fn without_the_header_ipv6_cannot_be_sent() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.add_peer("tun0");
    assert_eq!(fixture.send("tun0", V6), Err(EAFNOSUPPORT));
    assert!(fixture.inject("tun0", V4));
    assert_eq!(fixture.read(&tun), Ok(V4.to_vec()));
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    assert_eq!(fixture.get(&tun, fixture.abi.requests.tun_get_head), Ok(1));
    assert!(fixture.inject("tun0", V6) && fixture.inject("tun0", V4));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 28], V6].concat()));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 2], V4].concat()));
    // A link-level address takes its place.
    fixture.set(&tun, fixture.abi.requests.tun_set_link_mode, 0).unwrap();
    assert_eq!(fixture.get(&tun, fixture.abi.requests.tun_get_head), Ok(1));
    fixture.set(&tun, fixture.abi.requests.tun_set_link_mode, 1).unwrap();
    assert_eq!(fixture.get(&tun, fixture.abi.requests.tun_get_head), Ok(0));
}

#[test]
fn writes_need_the_right_family() {
    let fixture = fixture();
    let tun = fixture.tun();
    fixture.set_flags("tun0", UP).unwrap();
    fixture.set(&tun, fixture.abi.requests.tun_set_head, 1).unwrap();
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 28], V6), Ok(8));
    assert_eq!(fixture.taken("tun0"), Some(V6.to_vec()));
    // NetBSD's number; the other byte order.
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 24], V6), Err(EAFNOSUPPORT));
    assert_eq!(fixture.write(&tun, &[2, 0, 0, 0], V4), Err(EAFNOSUPPORT));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], V6), Ok(8));
    assert_eq!(fixture.taken("tun0"), None);
}

#[test]
fn a_write_while_down_says_0_and_sends_nothing() {
    let fixture = fixture();
    let tun = fixture.tun();
    assert_eq!(fixture.write(&tun, &[], V4), Ok(0));
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.taken("tun0"), None);
    assert_eq!(fixture.write(&tun, &[], V4), Ok(4));
    assert_eq!(fixture.write(&tun, &[], &[0x45; 65536]), Err(EIO));
    assert_eq!(fixture.write(&tun, &[], &[0x45; 65535]), Ok(65535));
}

#[test]
fn the_mode_changes_while_down_only() {
    let fixture = fixture();
    let tun = fixture.tun();
    assert_eq!(fixture.flags("tun0"), Ok(POINTOPOINT | MULTICAST));
    let mode = fixture.abi.requests.tun_set_mode;
    fixture.set(&tun, mode, 2).unwrap();
    assert_eq!(fixture.flags("tun0"), Ok(BROADCAST));
    assert_eq!(fixture.set(&tun, mode, 0x12), Err(EINVAL));
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!(fixture.set(&tun, mode, 0x10), Err(EBUSY));
}

#[test]
fn rename_leaves_device_and_unit() {
    let fixture = fixture();
    let rename = fixture.abi.rename.unwrap();
    let tun = fixture.tun();
    fixture.model.set_text(rename, &name("tun0"), c"vpn0").unwrap();
    fixture.model.set_text(rename, &name("vpn0"), c"vpn0").unwrap();
    let taken = fixture.model.set_text(rename, &name("vpn0"), c"lo0");
    let missing = fixture.model.set_text(rename, &name("tun0"), c"vpn1");
    assert_eq!([taken.map_err(errno), missing.map_err(errno)], [Err(EEXIST), Err(ENXIO)]);
    let answer = fixture.ioctl(&tun, fixture.abi.requests.tun_name.unwrap(), vec![0; 32]).unwrap();
    assert_eq!(Name::parse(&answer), Some(name("vpn0")));
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/vpn0")], [Err(EBUSY), Err(EBUSY)]);
    let _other = fixture.open("/dev/tun");
    assert!(fixture.report("tun1").is_some());
    drop(tun);
    assert_eq!(fixture.opens("/dev/vpn0"), Ok(()));
}

#[test]
fn a_description_is_a_text_or_an_errno() {
    let fixture = fixture();
    let description = fixture.abi.description.unwrap();
    let _tun = fixture.tun();
    let set = |text: &CStr| fixture.model.set_text(description.set, &name("tun0"), text).map_err(errno);
    let get = || fixture.model.text(description.get, &name("tun0")).map_err(errno);
    assert_eq!(get(), Err(ENOMSG));
    set(c"uplink \xf0\x9f\x9a\x80").unwrap();
    assert_eq!(get(), Ok("uplink \u{1f680}".into()));
    let long = |length| CString::new(vec![b'x'; length]).unwrap();
    assert_eq!([set(&long(1024)), set(&long(1023))], [Err(ENAMETOOLONG), Ok(())]);
    set(c"").unwrap();
    assert_eq!(get(), Err(ENOMSG));
    fixture.model.set_caller(false);
    assert_eq!(set(c"other"), Err(EPERM));
}

#[test]
fn a_caller_who_may_not_create_interfaces_finds_no_node() {
    let fixture = fixture();
    fixture.create("tun3").unwrap();
    fixture.set_caller(false);
    assert_eq!([fixture.opens("/dev/tun"), fixture.opens("/dev/tap")], [Err(ENOENT), Err(ENOENT)]);
    assert_eq!(fixture.opens("/dev/tun3"), Err(EACCES));
    fixture.set_nodes(NodeMode::All);
    fixture.set_user_open(true);
    assert_eq!([fixture.opens("/dev/tun"), fixture.opens("/dev/tap")], [Err(ENOENT), Ok(())]);
    assert_eq!(fixture.opens("/dev/tun3"), Ok(()));
    assert_eq!(
        [fixture.create("tun").map(drop), fixture.destroy("tun3"), fixture.set_flags("tun3", UP)],
        [Err(EPERM); 3]
    );
    assert_eq!(fixture.flags("tun3"), Ok(POINTOPOINT | MULTICAST));
}

#[test]
fn without_the_driver_there_is_nothing() {
    let fixture = fixture();
    fixture.set_loaded(false);
    assert_eq!([fixture.opens("/dev/tun"), fixture.opens("/dev/tap0")], [Err(ENOENT), Err(ENOENT)]);
    assert_eq!(fixture.create("tun0"), Err(EINVAL));
}

#[test]
fn one_number_is_two_requests_by_its_size() {
    let fixture = fixture();
    let tap = fixture.open("/dev/tap0");
    let requests = fixture.abi.requests;
    fixture.set(&tap, requests.tap_set_vnet_header, 12).unwrap();
    assert_eq!(fixture.get(&tap, requests.tap_get_vnet_header), Ok(12));
    assert_eq!(fixture.set(&tap, requests.tap_set_vnet_header, 11), Err(EINVAL));
    fixture.set_flags("tap0", UP).unwrap();
    assert!(fixture.inject("tap0", FRAME));
    assert_eq!(fixture.read(&tap), Ok([&[0; 12], FRAME].concat()));
    assert_eq!(fixture.write(&tap, &[0; 12], FRAME), Ok(72));
    assert_eq!(fixture.taken("tap0"), Some(FRAME.to_vec()));
    let info = [0, 0, 0, 0, 0xb0, 4, 6, 0].to_vec();
    fixture.ioctl(&tap, requests.tap_set_info.unwrap(), info.clone()).unwrap();
    assert_eq!(fixture.report("tap0").unwrap().mtu, 1200);
    fixture.set_caller(false);
    let (same, larger) = (info.clone(), [0, 0, 0, 0, 0xb1, 4, 6, 0].to_vec());
    let answers =
        [same, larger].map(|info| fixture.ioctl(&tap, requests.tap_set_info.unwrap(), info).map(drop));
    assert_eq!(answers, [Ok(()), Err(EPERM)]);
    fixture.set_caller(true);
    // A tap's kind is not a tun's, nor are its requests.
    let tun = fixture.tun();
    assert_eq!(fixture.ioctl(&tun, requests.tun_set_info.unwrap(), info), Err(EPROTOTYPE));
    assert_eq!(fixture.set(&tun, requests.tap_set_vnet_header, 12), Err(ENOTTY));
    assert_eq!(fixture.set(&tap, requests.tun_set_head, 1), Err(ENOTTY));
    drop(tap);
    let tap = fixture.open("/dev/tap0");
    assert_eq!(fixture.get(&tap, requests.tap_get_vnet_header), Ok(0));
}

#[test]
fn adding_an_address_has_an_argument_of_its_own_length() {
    let fixture = fixture();
    let _tun = fixture.tun();
    let short = Fixture::new(System::OpenBsd).abi.alias_v4(
        &name("tun0"),
        [10, 0, 0, 1].into(),
        None,
        [255; 4].into(),
    );
    assert_eq!(short.len() + 4, freebsd::ABI.alias.size);
    assert_eq!(fixture.request(fixture.abi.requests.add_address, short), Err(EINVAL));
}
