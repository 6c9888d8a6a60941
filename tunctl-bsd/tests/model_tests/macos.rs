//! macOS.

use tunctl_bsd::Syscalls;
use tunctl_sys::bsd::macos::{self, UTUN_CONTROL_NAME};

use crate::fixture::{Answer, FRAME, Rig, UP, V4, V6, errno, name};
use crate::models::numbers::{
    EACCES, EAFNOSUPPORT, EAGAIN, EBUSY, EINVAL, EIO, EMSGSIZE, ENETDOWN, ENOENT, ENXIO, EPERM,
};
use crate::models::{Handle, System};

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

fn pair(rig: &Rig, one: &str, other: &str) -> Answer {
    let request = rig.abi.pair.expect("a request of this system");
    rig.model.pair(request, &name(one), &name(other)).map_err(errno)
}

/// Two Ethernets that are connected, both up, and a filter at the second.
fn paired() -> (Rig, Handle) {
    let rig = rig();
    for ethernet in ["feth0", "feth1"] {
        rig.create(ethernet).expect("an Ethernet");
        rig.set_flags(ethernet, UP).expect("it goes up");
    }
    pair(&rig, "feth0", "feth1").expect("a pair");
    let filter = rig.open("/dev/bpf0");
    rig.ioctl(&filter, rig.abi.bpf.set_interface, rig.abi.ifreq(&name("feth1")))
        .expect("the filter takes it");
    rig.set(&filter, Some(rig.abi.bpf.set_immediate), 1).expect("the filter takes it");
    rig.set(&filter, Some(rig.abi.bpf.set_header_complete), 1).expect("the filter takes it");
    (rig, filter)
}

/// Reads as many bytes as a filter gives.
fn read(rig: &Rig, filter: &Handle, room: usize) -> Answer<Vec<u8>> {
    let mut buffer = vec![0; room];
    let length = rig.model.read(filter, &mut [std::io::IoSliceMut::new(&mut buffer)]).map_err(errno)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[test]
fn what_leaves_an_ethernet_arrives_at_its_peer() {
    let (rig, filter) = paired();
    assert_eq!(read(&rig, &filter, 4096), Err(EAGAIN));
    assert!(rig.inject("feth0", FRAME) && rig.inject("feth0", FRAME));
    let given = read(&rig, &filter, 4096).unwrap();
    // Each behind 18 bytes, and the second at a multiple of four.
    assert_eq!(given.len(), 80 + 18 + FRAME.len());
    assert_eq!((&given[18..78], &given[98..]), (FRAME, FRAME));
    assert_eq!([given[8], given[12], given[16]], [60, 60, 18]);
    assert_eq!(rig.write(&filter, &FRAME[..14], &FRAME[14..]), Ok(60));
    assert_eq!(rig.taken("feth0"), Some(FRAME.to_vec()));
}

#[test]
fn a_filter_wants_the_room_that_it_said() {
    let (rig, filter) = paired();
    assert_eq!(rig.get(&filter, Some(rig.abi.bpf.buffer_length)), Ok(4096));
    assert_eq!([read(&rig, &filter, 4095), read(&rig, &filter, 8192)], [Err(EINVAL), Err(EINVAL)]);
    // Not once it is bound.
    assert_eq!(rig.set(&filter, Some(rig.abi.bpf.set_buffer_length), 8192), Err(EINVAL));
    let other = rig.open("/dev/bpf1");
    let set = rig.ioctl(&other, rig.abi.bpf.set_buffer_length, (1_i32 << 30).to_ne_bytes().to_vec());
    assert_eq!(set, Ok(524_288_i32.to_ne_bytes().to_vec()));
    assert_eq!(read(&rig, &other, 524_288), Err(ENXIO));
}

#[test]
fn a_full_filter_drops_what_comes() {
    let (rig, filter) = paired();
    let sent = (0..1000).take_while(|_| rig.inject("feth0", &[0xff; 1000])).count();
    // 4 frames in a buffer of 4096 bytes, and two of these.
    assert_eq!((sent, rig.dropped("feth0")), (8, 1));
    assert_eq!(read(&rig, &filter, 4096).map(|given| given.len()), Ok(3 * 1020 + 1018));
    assert!(rig.inject("feth0", FRAME));
}

#[test]
fn a_filter_sends_no_more_than_its_ethernet_does() {
    let (rig, filter) = paired();
    assert_eq!(rig.write(&filter, &[], &[0xff; 1515]), Err(EMSGSIZE));
    assert_eq!(rig.write(&filter, &[], &[0xff; 13]), Err(EINVAL));
    rig.set_flags("feth1", 0).unwrap();
    assert_eq!(rig.write(&filter, &[], FRAME), Err(ENETDOWN));
    rig.set_flags("feth1", UP).unwrap();
    rig.set_flags("feth0", 0).unwrap();
    assert_eq!((rig.write(&filter, &[], FRAME), rig.taken("feth0")), (Ok(60), None));
}

#[test]
fn an_ethernet_has_one_peer_and_loses_it_with_that() {
    let (rig, filter) = paired();
    rig.create("feth2").unwrap();
    assert_eq!([pair(&rig, "feth0", "feth2"), pair(&rig, "feth2", "feth1")], [Err(EBUSY); 2]);
    assert_eq!([pair(&rig, "feth2", "feth7"), pair(&rig, "feth2", "lo0")], [Err(ENXIO), Err(EINVAL)]);
    rig.destroy("feth0").unwrap();
    assert_eq!(rig.write(&filter, &[], FRAME), Ok(60));
    assert_eq!(pair(&rig, "feth2", "feth1"), Ok(()));
    rig.destroy("feth1").unwrap();
    assert_eq!((rig.write(&filter, &[], FRAME), read(&rig, &filter, 4096)), (Err(ENXIO), Err(ENXIO)));
}

#[test]
fn filters_are_roots_and_each_opens_once() {
    let (rig, _filter) = paired();
    assert_eq!(
        [rig.opens("/dev/bpf0"), rig.opens("/dev/bpf1"), rig.opens("/dev/bpf999")],
        [Err(EBUSY), Ok(()), Err(ENOENT)]
    );
    rig.set_caller(false);
    assert_eq!((rig.opens("/dev/bpf1"), pair(&rig, "feth0", "feth1")), (Err(EACCES), Err(EPERM)));
}

/// A Mac with the extension.
fn third_party() -> Rig {
    Rig { model: crate::models::Model::with_third_party_driver(), ..rig() }
}

#[test]
fn the_third_party_driver_has_sixteen_nodes_and_each_opens_once() {
    let rig = third_party();
    let (_tun, tap) = (rig.open("/dev/tun15"), rig.open("/dev/tap0"));
    assert_eq!(
        [rig.opens("/dev/tun15"), rig.opens("/dev/tun16"), rig.opens("/dev/tun")],
        [Err(EBUSY), Err(ENOENT), Err(ENOENT)]
    );
    assert_eq!([rig.create("tap3").map(drop), rig.destroy("tap0")], [Err(EINVAL); 2]);
    drop(tap);
    assert!(rig.report("tap0").is_none() && !rig.report("tun15").unwrap().is_up);
}

#[test]
fn the_third_party_driver_neither_reads_nor_writes_while_down() {
    let rig = third_party();
    let tun = rig.open("/dev/tun0");
    rig.add_peer("tun0");
    assert_eq!((rig.read(&tun), rig.write(&tun, &[], V4)), (Err(EIO), Err(EIO)));
    rig.set_flags("tun0", UP).unwrap();
    assert_eq!((rig.read(&tun), rig.write(&tun, &[], V4)), (Err(EAGAIN), Ok(4)));
    assert!(rig.inject("tun0", V6));
    assert_eq!(rig.read(&tun), Ok(V6.to_vec()));
}

#[test]
fn the_third_party_driver_cuts_what_is_longer_than_the_mtu() {
    let rig = third_party();
    let tap = rig.open("/dev/tap0");
    rig.set_flags("tap0", UP).unwrap();
    assert_eq!(rig.write(&tap, &[], &[0xff; 1514]), Ok(1514));
    let taken = rig.write(&tap, &[], &[0xff; 4000]).unwrap();
    assert!((1500..4000).contains(&taken), "{taken}");
}
