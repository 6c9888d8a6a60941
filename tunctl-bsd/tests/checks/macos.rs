//! macOS.

use tunctl_bsd::Calls;
use tunctl_sys::bsd::macos::{self, UTUN_CONTROL_NAME};

use crate::models::numbers::{EAFNOSUPPORT, EBUSY, EINVAL, EMSGSIZE, ENOENT, EPERM};
use crate::models::{Handle, System};
use crate::rig::{Answer, Rig, V4, V6, errno, name};

fn rig() -> Rig {
    Rig::new(System::MacOs)
}

fn connect(rig: &Rig, unit: u32) -> Answer<Handle> {
    rig.model.connect(UTUN_CONTROL_NAME, unit).map_err(errno)
}

#[test]
fn a_unit_is_one_more_than_the_interface_s_number() {
    let rig = rig();
    let third = connect(&rig, 3).unwrap();
    assert_eq!(rig.socket_name(&third).unwrap(), name("utun2"));
    let any = connect(&rig, 0).unwrap();
    assert_eq!(rig.socket_name(&any).unwrap(), name("utun0"));
    assert_eq!(connect(&rig, 3).map(drop), Err(EBUSY));
    drop(third);
    assert!(rig.report("utun2").is_none() && rig.report("utun0").is_some());
}

#[test]
fn only_root_connects() {
    let rig = rig();
    rig.set_caller(false);
    assert_eq!(connect(&rig, 0).map(drop), Err(EPERM));
    let other = rig.model.connect("com.example.none", 0).map(drop).map_err(errno);
    assert_eq!(other, Err(ENOENT));
    assert_eq!([rig.opens("/dev/tun0"), rig.opens("/dev/tap0")], [Err(ENOENT); 2]);
}

#[test]
fn an_interface_is_up_from_the_start() {
    let rig = rig();
    let tun = connect(&rig, 1).unwrap();
    assert!(rig.report("utun0").unwrap().is_up);
    assert!(rig.inject("utun0", V6));
    assert_eq!(rig.read(&tun), Ok([&[0, 0, 0, 30], V6].concat()));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 2], V4), Ok(8));
    assert_eq!(rig.taken("utun0"), Some(V4.to_vec()));
    assert_eq!(rig.write(&tun, &[0, 0, 0, 28], V6), Err(EAFNOSUPPORT));
    assert_eq!(rig.write(&tun, &[0, 0], &[]), Err(EMSGSIZE));
}

#[test]
fn interfaces_are_neither_created_nor_destroyed_by_request() {
    let rig = rig();
    let _tun = connect(&rig, 1).unwrap();
    assert_eq!([rig.create("utun4").map(drop), rig.destroy("utun0")], [Err(EINVAL); 2]);
    assert_eq!(rig.destroy_by_another("utun0"), Err(EINVAL));
}

#[test]
fn a_control_is_found_by_its_name() {
    let rig = rig();
    let tun = connect(&rig, 1).unwrap();
    let request = rig.abi.requests.control_info.unwrap();
    let answer = rig.ioctl(&tun, request, macos::control_info().to_vec()).unwrap();
    assert_ne!(answer[..4], [0; 4]);
    assert_eq!(rig.ioctl(&tun, request, vec![0; 100]), Err(ENOENT));
}
