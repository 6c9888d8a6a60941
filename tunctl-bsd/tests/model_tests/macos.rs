//! macOS.

use tunctl_bsd::Syscalls;
use tunctl_sys::bsd::macos::{self, UTUN_CONTROL_NAME};

use crate::fixture::{Answer, FRAME, Fixture, UP, V4, V6, errno, name};
use crate::models::numbers::{EACCES, EAGAIN, EBUSY, EINVAL, EIO, EMSGSIZE, ENETDOWN, ENOENT, ENXIO, EPERM};
use crate::models::{Handle, System};

fn fixture() -> Fixture {
    Fixture::new(System::MacOs)
}

fn connect(fixture: &Fixture, unit: u32) -> Answer<Handle> {
    fixture.model.connect(UTUN_CONTROL_NAME, unit).map_err(errno)
}

#[test]
fn a_unit_is_one_more_than_the_interface_s_number() {
    let fixture = fixture();
    let third = connect(&fixture, 3).unwrap();
    assert_eq!(fixture.socket_name(&third).unwrap(), name("utun2"));
    let any = connect(&fixture, 0).unwrap();
    assert_eq!(fixture.socket_name(&any).unwrap(), name("utun0"));
    assert_eq!(connect(&fixture, 3).map(drop), Err(EBUSY));
    drop(third);
    assert!(fixture.report("utun2").is_none() && fixture.report("utun0").is_some());
}

#[test]
fn only_root_connects() {
    let fixture = fixture();
    fixture.set_caller(false);
    assert_eq!(connect(&fixture, 0).map(drop), Err(EPERM));
    let other = fixture.model.connect("com.example.none", 0).map(drop).map_err(errno);
    assert_eq!(other, Err(ENOENT));
    assert_eq!([fixture.opens("/dev/tun0"), fixture.opens("/dev/tap0")], [Err(ENOENT); 2]);
}

#[test]
fn an_interface_is_up_from_the_start() {
    let fixture = fixture();
    let tun = connect(&fixture, 1).unwrap();
    assert!(fixture.report("utun0").unwrap().is_up);
    assert!(fixture.inject("utun0", V6));
    assert_eq!(fixture.read(&tun), Ok([&[0, 0, 0, 30], V6].concat()));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], V4), Ok(8));
    assert_eq!(fixture.taken("utun0"), Some(V4.to_vec()));
}

#[test]
fn a_utun_takes_what_it_then_drops() {
    let fixture = fixture();
    let tun = connect(&fixture, 1).unwrap();
    // Of no family, shorter than a family, longer than IP can be.
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 28], V6), Ok(8));
    assert_eq!(fixture.write(&tun, &[0, 0], &[]), Ok(2));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &[0x45; 65536]), Ok(65540));
    assert_eq!(fixture.taken("utun0"), None);
    // The room of its socket.
    let room = 512 * 1024;
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &vec![0x45; room - 4]), Ok(room));
    assert_eq!(fixture.write(&tun, &[0, 0, 0, 2], &vec![0x45; room - 3]), Err(EMSGSIZE));
}

#[test]
fn one_packet_waits_at_the_socket_and_the_others_go_with_a_change_of_state() {
    let fixture = fixture();
    let tun = connect(&fixture, 1).unwrap();
    let survivors = |fixture: &Fixture| {
        assert!((0..5).all(|_| fixture.inject("utun0", V4)));
        fixture.set_flags("utun0", 0).unwrap();
        fixture.set_flags("utun0", UP).unwrap();
        (0..).take_while(|_| fixture.read(&tun).is_ok()).count()
    };
    assert_eq!(survivors(&fixture), 1);
    let set = |packets| fixture.set_pending_packets(&tun, packets).map_err(errno);
    assert_eq!([set(0), set(3)], [Err(EINVAL), Ok(())]);
    assert_eq!(survivors(&fixture), 3);
}

#[test]
fn interfaces_are_neither_created_nor_destroyed_by_request() {
    let fixture = fixture();
    let _tun = connect(&fixture, 1).unwrap();
    assert_eq!([fixture.create("utun4").map(drop), fixture.destroy("utun0")], [Err(EINVAL); 2]);
    assert_eq!(fixture.destroy_by_another("utun0"), Err(EINVAL));
}

#[test]
fn a_control_is_found_by_its_name() {
    let fixture = fixture();
    let tun = connect(&fixture, 1).unwrap();
    let request = fixture.abi.requests.control_info.unwrap();
    let answer = fixture.ioctl(&tun, request, macos::control_info().to_vec()).unwrap();
    assert_ne!(answer[..4], [0; 4]);
    assert_eq!(fixture.ioctl(&tun, request, vec![0; 100]), Err(ENOENT));
}

fn pair(fixture: &Fixture, one: &str, other: &str) -> Answer {
    let request = fixture.abi.pair.expect("a request of this system");
    fixture.model.pair(request, &name(one), &name(other)).map_err(errno)
}

/// Two Ethernets that are connected, both up, and a filter at the second.
fn paired() -> (Fixture, Handle) {
    let fixture = fixture();
    for ethernet in ["feth0", "feth1"] {
        fixture.create(ethernet).expect("an Ethernet");
        fixture.set_flags(ethernet, UP).expect("it goes up");
    }
    pair(&fixture, "feth0", "feth1").expect("a pair");
    let filter = fixture.open("/dev/bpf0");
    fixture
        .ioctl(&filter, fixture.abi.bpf.set_interface, fixture.abi.ifreq(&name("feth1")))
        .expect("the filter takes it");
    fixture.set(&filter, Some(fixture.abi.bpf.set_immediate), 1).expect("the filter takes it");
    fixture.set(&filter, Some(fixture.abi.bpf.set_header_complete), 1).expect("the filter takes it");
    (fixture, filter)
}

/// Reads as many bytes as a filter gives.
fn read(fixture: &Fixture, filter: &Handle, room: usize) -> Answer<Vec<u8>> {
    let mut buffer = vec![0; room];
    let length = fixture.model.read(filter, &mut [std::io::IoSliceMut::new(&mut buffer)]).map_err(errno)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[test]
fn what_leaves_an_ethernet_arrives_at_its_peer() {
    let (fixture, filter) = paired();
    assert_eq!(read(&fixture, &filter, 4096), Err(EAGAIN));
    assert!(fixture.inject("feth0", FRAME) && fixture.inject("feth0", FRAME));
    let given = read(&fixture, &filter, 4096).unwrap();
    // Each behind 18 bytes, and the second at a multiple of four.
    assert_eq!(given.len(), 80 + 18 + FRAME.len());
    assert_eq!((&given[18..78], &given[98..]), (FRAME, FRAME));
    assert_eq!([given[8], given[12], given[16]], [60, 60, 18]);
    assert_eq!(fixture.write(&filter, &FRAME[..14], &FRAME[14..]), Ok(60));
    assert_eq!(fixture.taken("feth0"), Some(FRAME.to_vec()));
}

#[test]
fn a_filter_wants_the_room_that_it_said() {
    let (fixture, filter) = paired();
    assert_eq!(fixture.get(&filter, Some(fixture.abi.bpf.buffer_length)), Ok(4096));
    assert_eq!([read(&fixture, &filter, 4095), read(&fixture, &filter, 8192)], [Err(EINVAL), Err(EINVAL)]);
    // Not once it is bound.
    assert_eq!(fixture.set(&filter, Some(fixture.abi.bpf.set_buffer_length), 8192), Err(EINVAL));
    let other = fixture.open("/dev/bpf1");
    let set = fixture.ioctl(&other, fixture.abi.bpf.set_buffer_length, (1_i32 << 30).to_ne_bytes().to_vec());
    assert_eq!(set, Ok(524_288_i32.to_ne_bytes().to_vec()));
    assert_eq!(read(&fixture, &other, 524_288), Err(ENXIO));
}

#[test]
fn a_full_filter_drops_what_comes() {
    let (fixture, filter) = paired();
    let sent = (0..1000).take_while(|_| fixture.inject("feth0", &[0xff; 1000])).count();
    // 4 frames in a buffer of 4096 bytes, and two of these.
    assert_eq!((sent, fixture.dropped("feth0")), (8, 1));
    assert_eq!(read(&fixture, &filter, 4096).map(|given| given.len()), Ok(3 * 1020 + 1018));
    assert!(fixture.inject("feth0", FRAME));
}

#[test]
fn a_filter_sends_no_more_than_its_ethernet_does() {
    let (fixture, filter) = paired();
    let tagged = [fixture.write(&filter, &[], &[0xff; 1518]), fixture.write(&filter, &[], &[0xff; 1519])];
    assert_eq!((tagged, fixture.taken("feth0").is_some()), ([Ok(1518), Err(EMSGSIZE)], true));
    assert_eq!((fixture.write(&filter, &[], &[0xff; 13]), fixture.taken("feth0")), (Ok(13), None));
    fixture.set_flags("feth1", 0).unwrap();
    assert_eq!(fixture.write(&filter, &[], FRAME), Err(ENETDOWN));
    fixture.set_flags("feth1", UP).unwrap();
    fixture.set_flags("feth0", 0).unwrap();
    assert_eq!((fixture.write(&filter, &[], FRAME), fixture.taken("feth0")), (Ok(60), None));
}

#[test]
fn an_ethernet_has_one_peer_and_loses_it_with_that() {
    let (fixture, filter) = paired();
    fixture.create("feth2").unwrap();
    assert_eq!([pair(&fixture, "feth0", "feth2"), pair(&fixture, "feth2", "feth1")], [Err(EBUSY); 2]);
    assert_eq!([pair(&fixture, "feth2", "feth7"), pair(&fixture, "feth2", "lo0")], [Err(ENXIO), Err(EINVAL)]);
    fixture.destroy("feth0").unwrap();
    assert_eq!(fixture.write(&filter, &[], FRAME), Ok(60));
    assert_eq!(pair(&fixture, "feth2", "feth1"), Ok(()));
    fixture.destroy("feth1").unwrap();
    assert_eq!((fixture.write(&filter, &[], FRAME), read(&fixture, &filter, 4096)), (Err(ENXIO), Err(ENXIO)));
}

#[test]
fn filters_are_roots_and_each_opens_once() {
    let (fixture, _filter) = paired();
    assert_eq!(
        [fixture.opens("/dev/bpf0"), fixture.opens("/dev/bpf1"), fixture.opens("/dev/bpf999")],
        [Err(EBUSY), Ok(()), Err(ENOENT)]
    );
    fixture.set_caller(false);
    assert_eq!((fixture.opens("/dev/bpf1"), pair(&fixture, "feth0", "feth1")), (Err(EACCES), Err(EPERM)));
}

/// A Mac with the extension.
fn third_party() -> Fixture {
    Fixture { model: crate::models::Model::with_third_party_driver(), ..fixture() }
}

#[test]
fn the_third_party_driver_has_sixteen_nodes_and_each_opens_once() {
    let fixture = third_party();
    let (_tun, tap) = (fixture.open("/dev/tun15"), fixture.open("/dev/tap0"));
    assert_eq!(
        [fixture.opens("/dev/tun15"), fixture.opens("/dev/tun16"), fixture.opens("/dev/tun")],
        [Err(EBUSY), Err(ENOENT), Err(ENOENT)]
    );
    assert_eq!([fixture.create("tap3").map(drop), fixture.destroy("tap0")], [Err(EINVAL); 2]);
    drop(tap);
    assert!(fixture.report("tap0").is_none() && !fixture.report("tun15").unwrap().is_up);
}

#[test]
fn the_third_party_driver_neither_reads_nor_writes_while_down() {
    let fixture = third_party();
    let tun = fixture.open("/dev/tun0");
    fixture.add_peer("tun0");
    assert_eq!((fixture.read(&tun), fixture.write(&tun, &[], V4)), (Err(EIO), Err(EIO)));
    fixture.set_flags("tun0", UP).unwrap();
    assert_eq!((fixture.read(&tun), fixture.write(&tun, &[], V4)), (Err(EAGAIN), Ok(4)));
    assert!(fixture.inject("tun0", V6));
    assert_eq!(fixture.read(&tun), Ok(V6.to_vec()));
}

#[test]
fn the_third_party_driver_cuts_what_is_longer_than_the_mtu() {
    let fixture = third_party();
    let tap = fixture.open("/dev/tap0");
    fixture.set_flags("tap0", UP).unwrap();
    assert_eq!(fixture.write(&tap, &[], &[0xff; 1514]), Ok(1514));
    let taken = fixture.write(&tap, &[], &[0xff; 4000]).unwrap();
    assert!((1500..4000).contains(&taken), "{taken}");
}
