//! How devices and interfaces end, and what becomes of one when the other does.

use std::io::IoSliceMut;
use std::time::{Duration, Instant};
use std::{fs, thread};

use tunctl_core::{Cause, CreateOptions, Interface, Readiness, TunBackend, TunDevice};
use tunctl_testing::{Case, OtherNamespace, case, ip, open_files};

use super::support::{address, backend, create, exists, name, open, others, quiet_tun, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(dropping_a_device_closes_it_and_the_interface_goes),
        case!(destroying_removes_a_persistent_interface),
        case!(destroying_removes_an_interface_that_is_not_persistent),
        case!(root_destroys_under_another_queue_which_is_gone_then),
        case!(destroying_what_is_gone_already_succeeds_or_says_so),
        case!(an_interface_can_be_deleted_without_attaching),
        case!(a_deleted_interface_is_gone_for_every_operation),
        case!(a_blocked_receive_wakes_when_the_interface_is_deleted),
        case!(a_wait_ends_when_the_interface_is_deleted),
        case!(a_successor_of_the_same_name_is_not_taken_for_the_deleted_interface),
        case!(the_name_follows_a_rename),
        case!(a_device_works_on_after_its_interface_moved_to_another_namespace),
        case!(a_moved_interface_is_destroyed_where_it_is),
        case!(a_moved_persistent_interface_is_destroyed_where_it_is),
    ]
}

fn dropping_a_device_closes_it_and_the_interface_goes() {
    let before = open_files();
    let device = tun("tun0");
    assert!(exists("tun0") && open_files() != before);
    drop(device);
    assert!(!exists("tun0"));
    assert_eq!(open_files(), before);
}

fn destroying_removes_a_persistent_interface() {
    let before = open_files();
    let device = tun("keep");
    device.set_persist(true).unwrap();
    device.destroy().unwrap();
    assert!(!exists("keep"));
    ip("tuntap add dev made mode tap");
    open(CreateOptions::tap(), "made").unwrap().destroy().unwrap();
    assert!(!exists("made"));
    assert_eq!(open_files(), before);
}

fn destroying_removes_an_interface_that_is_not_persistent() {
    tun("tun0").destroy().unwrap();
    assert_eq!(others(), [""; 0]);
}

fn root_destroys_under_another_queue_which_is_gone_then() {
    let options = CreateOptions::tun().multi_queue(true);
    let first = create(options.clone(), "mq0");
    let second = open(options, "mq0").unwrap();
    first.destroy().unwrap();
    assert!(!exists("mq0"));
    let error = refused(second.recv(&mut [0; 100]));
    assert_eq!(error.cause(), Cause::Gone, "{error}");
    drop(second);
}

fn destroying_what_is_gone_already_succeeds_or_says_so() {
    let device = tun("tun0");
    ip("link delete tun0");
    match device.destroy() {
        Ok(()) => {}
        Err(failed) => assert_eq!(failed.error().cause(), Cause::Gone, "{failed}"),
    }
    assert_eq!(others(), [""; 0]);
}

fn an_interface_can_be_deleted_without_attaching() {
    ip("tuntap add dev made mode tun");
    let held = tun("held");
    for text in ["made", "held"] {
        let interface = backend().interface(&name(text)).unwrap();
        interface.delete().unwrap();
        assert!(!exists(text));
        let error = refused(interface.delete());
        assert_eq!(error.cause(), Cause::Gone, "{error}");
    }
    assert!(refused(held.name()).is_gone());
}

fn a_deleted_interface_is_gone_for_every_operation() {
    let device = tun("tun0");
    device.up(address("10.77.0.1/24")).unwrap();
    ip("link delete tun0");
    let interface = device.interface();
    let errors = [
        ("recv", refused(device.recv(&mut [0; 100]))),
        ("try_recv", refused(device.try_recv(&mut [0; 100]))),
        ("recv_vectored", refused(device.recv_vectored(&mut [IoSliceMut::new(&mut [0; 100])]))),
        ("send", refused(device.send(&[0x45; 20]))),
        ("try_send", refused(device.try_send(&[0x45; 20]))),
        ("name", refused(device.name())),
        ("set_persist", refused(device.set_persist(true))),
        ("info", refused(interface.info())),
        ("addresses", refused(interface.addresses())),
        ("up", refused(device.up(address("10.77.0.1/24")))),
        ("down", refused(device.down())),
        ("set_mtu", refused(interface.set_mtu("1400".parse().unwrap()))),
        ("remove_address", refused(interface.remove_address(address("10.77.0.1/24")))),
    ];
    for (operation, error) in errors {
        assert!(error.is_gone(), "{operation}: {error} ({:?})", error.cause());
    }
    // The kernel's readiness says "error" alone; the caller must be sent to the call that tells.
    let at_once = Some(Duration::from_millis(100));
    assert!(device.wait(Readiness::Readable, at_once).unwrap());
    assert!(device.wait(Readiness::Writable, at_once).unwrap());
}

/// Deletes an interface, in a while.
fn delete_soon(name: &'static str) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        ip(&format!("link delete {name}"));
    })
}

fn a_blocked_receive_wakes_when_the_interface_is_deleted() {
    let (device, _socket) = quiet_tun(CreateOptions::tun());
    let deleting = delete_soon("tun0");
    let started = Instant::now();
    let error = refused(device.recv(&mut [0; 100]));
    assert!(error.is_gone(), "{error}");
    assert!(started.elapsed() >= Duration::from_millis(100));
    deleting.join().unwrap();
}

fn a_wait_ends_when_the_interface_is_deleted() {
    let (device, _socket) = quiet_tun(CreateOptions::tun());
    let deleting = delete_soon("tun0");
    let started = Instant::now();
    assert!(device.wait(Readiness::Readable, Some(Duration::from_secs(20))).unwrap());
    assert!(started.elapsed() < Duration::from_secs(10));
    deleting.join().unwrap();
}

fn a_successor_of_the_same_name_is_not_taken_for_the_deleted_interface() {
    let device = tun("tun0");
    ip("link delete tun0");
    ip("tuntap add dev tun0 mode tun");
    let before = tunctl_testing::link("tun0").unwrap();
    let error = refused(device.up(address("10.77.0.1/24")));
    assert!(error.is_gone(), "{error}");
    assert!(refused(device.name()).is_gone());
    if let Err(failed) = device.destroy() {
        assert_eq!(failed.error().cause(), Cause::Gone, "{failed}");
    }
    assert_eq!(tunctl_testing::link("tun0").unwrap(), before);
    assert!(tunctl_testing::addresses("tun0").is_empty());
}

fn the_name_follows_a_rename() {
    let device = tun("before");
    ip("link set before name after");
    assert_eq!(device.name().unwrap(), name("after"));
    assert_eq!(device.interface().name().unwrap(), name("after"));
    device.up(address("10.77.0.1/24")).unwrap();
    assert_eq!(tunctl_testing::addresses("after")[0]["local"], "10.77.0.1");
    // Errors, too, speak of the interface by a name that one can look up.
    let error = refused(device.try_send(&[]));
    assert_eq!(error.interface(), Some(name("after")), "{error}");
    device.destroy().unwrap();
    assert_eq!(others(), [""; 0]);
}

/// Moves the interface into a new namespace, gives it an address there, and brings it up.
fn move_away(interface: &str) -> OtherNamespace {
    let there = OtherNamespace::new();
    ip(&format!("link set {interface} netns {}", there.path()));
    there.run(|| {
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        ip(&format!("address add 10.77.0.1/24 dev {interface}"));
        ip(&format!("link set {interface} up"));
    });
    there
}

fn a_device_works_on_after_its_interface_moved_to_another_namespace() {
    let device = tun("mover");
    let there = move_away("mover");
    assert!(!exists("mover"));
    let socket = there.run(|| super::support::socket("10.77.0.1:0"));
    socket.send_to(b"still here?", "10.77.0.2:9").unwrap();
    let mut packet = [0; 1500];
    // The kernel's own IPv6 packets may come first, from before the switch.
    loop {
        let length = device.recv(&mut packet).unwrap();
        if packet[0] >> 4 == 4 {
            assert_eq!(super::support::udp_payload(&packet[..length]), b"still here?");
            break;
        }
    }
    assert_eq!(device.name().unwrap(), name("mover"));
    // But it is not to be configured from where it has left.
    let error = refused(device.interface().info());
    assert!(error.is_gone(), "{error}");
}

fn a_moved_interface_is_destroyed_where_it_is() {
    let device = tun("mover");
    let there = move_away("mover");
    device.destroy().unwrap();
    assert!(!there.run(|| exists("mover")));
}

fn a_moved_persistent_interface_is_destroyed_where_it_is() {
    let device = tun("mover");
    device.set_persist(true).unwrap();
    let there = move_away("mover");
    // A stranger of the same name, and perhaps of the same index, where the device was opened.
    let stranger = tun("mover");
    device.destroy().unwrap();
    assert!(!there.run(|| exists("mover")));
    assert!(exists("mover"));
    drop(stranger);
}
