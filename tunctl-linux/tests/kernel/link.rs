//! What the kernel reports about an interface: counters, carrier, master, link type.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tunctl_core::{
    Cause, Counters, CreateOptions, Interface, Operation, State, Statistics, TunBackend, TunDevice,
};
use tunctl_linux::{LinkType, OperationalState};
use tunctl_packet::udp_packet;
use tunctl_testing::{Case, case, ip, ip_json, set_link_rate, tap_with_slow_link, wait_until_forwarding};

use super::support::{
    address, backend, create, open, quiet_tun, refused, tap, tun, udp_payload, without_ipv6,
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_snapshot_is_what_ip_shows),
        case!(counters_are_those_of_proc_net_dev),
        case!(ip_sees_the_carrier_go_and_come),
        case!(packets_cross_the_bridge_that_is_the_master),
        case!(a_master_that_is_refused_leaves_the_one_that_was),
        case!(a_send_waits_while_the_link_behind_a_bridge_is_slow).needs_tool("tc"),
        case!(a_send_buffer_belongs_to_a_queue),
        case!(a_link_type_changes_while_down),
        case!(an_address_without_duplicate_detection_is_usable_at_once),
    ]
}

fn shown(name: &str) -> Value {
    ip_json(&format!("-s -s address show dev {name}")).remove(0)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn a_snapshot_is_what_ip_shows() {
    without_ipv6();
    let device = tap("tap0");
    ip("link set tap0 alias uplink mtu 1400 promisc on up");
    ip("address add 10.1.1.1/24 dev tap0");
    ip("link add br0 type bridge");
    let found = device.interface();
    let frame = [0xff; 60];
    device.send(&frame).unwrap();

    let snapshot = found.snapshot().unwrap();
    let shown_now = shown("tap0");
    assert_eq!(snapshot.info, found.info().unwrap());
    assert_eq!(snapshot.description.to_str().unwrap(), shown_now["ifalias"]);
    assert!(snapshot.addresses[0].same_as(&address("10.1.1.1/24")) && snapshot.addresses.len() == 1);
    assert_eq!(snapshot.operational_state.to_string(), shown_now["operstate"]);
    assert_eq!(u64::from(snapshot.promiscuity), number(&shown_now["promiscuity"]));
    assert_eq!((snapshot.promiscuity, snapshot.master), (1, None));
    assert_eq!((snapshot.link_type, &shown_now["link_type"]), (LinkType::ETHERNET, &"ether".into()));
    assert_eq!(snapshot.statistics.from_program.bytes, 60);

    // A port of a bridge, which asks for all frames, too.
    ip("link set br0 up");
    ip("link set tap0 master br0");
    let snapshot = found.snapshot().unwrap();
    assert_eq!(snapshot.master, Some("br0".parse().unwrap()));
    assert_eq!(snapshot.promiscuity, 2);
    ip("link set tap0 down");
    assert_eq!(found.snapshot().unwrap().operational_state, OperationalState::Down);
    assert_eq!(tun("tun0").interface().snapshot().unwrap().link_type, LinkType::NONE);
}

/// The columns of `/proc/net/dev`: bytes, packets, errors and drops of each direction; in the received ones,
/// the sixth is what the driver calls frame errors.
fn proc_net_dev(name: &str) -> Statistics {
    let table = std::fs::read_to_string("/proc/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{name}:"))).unwrap();
    let columns: Vec<u64> = line.split_whitespace().map(|column| column.parse().unwrap()).collect();
    let counters = |first: usize| {
        let mut counters = Counters::default();
        counters.bytes = columns[first];
        counters.packets = columns[first + 1];
        counters.errors = columns[first + 2];
        counters.dropped = columns[first + 3];
        counters
    };
    let mut statistics = Statistics::default();
    (statistics.from_program, statistics.to_program) = (counters(0), counters(8));
    statistics.from_program.errors += columns[5];
    statistics
}

fn counters_are_those_of_proc_net_dev() {
    without_ipv6();
    let device = create(CreateOptions::tun().vnet_header(true).address("10.1.1.1/24").up(), "tun0");
    let interface = device.interface();
    let counted = || {
        let counted = interface.statistics().unwrap();
        assert_eq!(counted, proc_net_dev("tun0"));
        assert_eq!(counted, interface.snapshot().unwrap().statistics);
        counted
    };
    assert_eq!(counted(), Statistics::default());
    let packet = udp_packet("10.1.1.2:7".parse().unwrap(), "10.1.1.1:9".parse().unwrap(), b"hello").unwrap();
    device.send(&[&[0; 10][..], &packet].concat()).unwrap();
    // A kind of segments that nobody knows.
    device.send(&[&[0, 9][..], &[0; 8], &packet].concat()).unwrap_err();
    interface.set_state(State::Down).unwrap();
    device.send(&[&[0; 10][..], &packet].concat()).unwrap_err();
    let sent = counted().from_program;
    assert_eq!((sent.packets, sent.bytes), (1, u64::try_from(packet.len()).unwrap()));
    assert_eq!((sent.errors, sent.dropped), (1, 1));
    interface.set_state(State::Up).unwrap();
}

fn ip_sees_the_carrier_go_and_come() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let interface = device.interface();
    let seen = || {
        let shown = shown("tun0");
        let flags: Vec<_> = shown["flags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        (flags.contains(&"LOWER_UP"), flags.contains(&"NO-CARRIER"), shown["operstate"].clone())
    };
    assert_eq!(seen(), (true, false, "UNKNOWN".into()));
    for _ in 0..2 {
        interface.set_carrier(false).unwrap();
        // At once: what the kernel does in the background is done when set_carrier returns.
        let dropped = interface.dropped().unwrap();
        socket.send_to(b"lost", "10.77.0.2:9").unwrap();
        assert_eq!(interface.dropped().unwrap(), dropped + 1);
        assert_eq!(seen(), (false, true, "DOWN".into()));
        assert_eq!(interface.snapshot().unwrap().operational_state, OperationalState::Down);
        interface.set_carrier(true).unwrap();
        socket.send_to(b"hello", "10.77.0.2:9").unwrap();
        let mut packet = [0; 100];
        let length = device.recv(&mut packet).unwrap();
        assert_eq!(udp_payload(&packet[..length]), b"hello");
        assert_eq!(seen(), (true, false, "UP".into()));
    }
    // Another program's switch is seen, and netlink is another way to the same.
    ip("link set tun0 carrier off");
    assert_eq!(interface.info().unwrap().carrier, Some(false));
    let found = backend().interface(&"tun0".parse().unwrap()).unwrap();
    found.set_carrier(true).unwrap();
    assert_eq!(seen(), (true, false, "UP".into()));
}

/// A frame from one station to another, of an experimental protocol.
fn frame(to: u8, from: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5];
    frame.resize(length, 0);
    frame
}

fn port_of(name: &str) -> Value {
    tunctl_testing::link(name).unwrap()["master"].clone()
}

fn packets_cross_the_bridge_that_is_the_master() {
    without_ipv6();
    ip("link add br0 type bridge");
    ip("link set br0 up");
    let [one, other] = ["tap0", "tap1"].map(|name| create(CreateOptions::tap().up(), name));
    assert_eq!(one.interface().master().unwrap(), None);
    for device in [&one, &other] {
        device.interface().set_master("br0").unwrap();
        device.interface().set_master("br0").unwrap();
        assert_eq!(device.interface().master().unwrap(), Some("br0".parse().unwrap()));
    }
    assert_eq!((port_of("tap0"), port_of("tap1")), ("br0".into(), "br0".into()));
    ["tap0", "tap1"].into_iter().for_each(wait_until_forwarding);
    let sent = frame(9, 1, 60);
    one.send(&sent).unwrap();
    // The kernel also reports to multicast routers.
    let mut buffer = [0; 2000];
    loop {
        let length = other.recv_timeout(&mut buffer, Duration::from_secs(10)).unwrap();
        if buffer[..length] == sent {
            break;
        }
    }

    one.interface().clear_master().unwrap();
    one.interface().clear_master().unwrap();
    assert_eq!((port_of("tap0"), one.interface().master().unwrap()), (Value::Null, None));
    one.send(&sent).unwrap();
    while let Ok(length) = other.try_recv(&mut buffer) {
        assert_ne!(buffer[..length], sent);
    }
}

fn a_master_that_is_refused_leaves_the_one_that_was() {
    ip("link add br0 type bridge");
    ip("link add veth0 type veth peer name veth1");
    let (tap, tun) = (tap("tap0"), tun("tun0"));
    let interface = tap.interface();
    interface.set_master("br0").unwrap();
    for (master, cause, words) in [
        ("veth0", Cause::InvalidValue, "veth0: it is no bridge, bond or VRF"),
        ("lo", Cause::InvalidValue, "lo: it is no bridge"),
        ("nothing", Cause::NotFound, "ip link add nothing type bridge"),
        ("a/b", Cause::InvalidName, ""),
    ] {
        let error = refused(interface.set_master(master));
        assert_eq!((error.operation(), error.cause()), (Operation::SetMaster, cause), "{error}");
        assert!(error.to_string().contains(words) && !error.to_string().contains("not undone"), "{error}");
        // The kernel itself takes it from its old master first.
        assert_eq!(port_of("tap0"), "br0");
    }
    let error = refused(tun.interface().set_master("br0"));
    assert_eq!(error.cause(), Cause::LayerMismatch, "{error}");
    assert!(error.to_string().ends_with("Create a tap."), "{error}");
    ip("link delete tap0");
    assert!(refused(interface.set_master("br0")).is_gone());
    assert!(refused(interface.clear_master()).is_gone());
    assert!(refused(interface.master()).is_gone());
}

fn a_send_waits_while_the_link_behind_a_bridge_is_slow() {
    let device = tap_with_slow_link(CreateOptions::tap());
    let frame = frame(9, 1, 1000);
    assert_eq!(device.send_buffer().unwrap(), i32::MAX.unsigned_abs());
    device.set_send_buffer(20_000).unwrap();
    assert_eq!(device.send_buffer().unwrap(), 20_000);
    let dropped = || device.interface().statistics().unwrap().from_program.dropped;
    let before = dropped();
    let mut sent = 0;
    let error = loop {
        match device.try_send(&frame) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000, "the send buffer bounds nothing");
    };
    assert!(error.is_would_block(), "{error}");
    assert_eq!(error.raw_os_error(), Some(11));
    // Nothing is lost, and the poll says so, too.
    assert_eq!(dropped(), before);
    assert!(!tunctl_testing::poll_state(&device).writable);
    // A send that waits goes on once the link has taken half.
    let started = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| device.send(&frame));
        thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        set_link_rate("80kbit");
        waiting.join().unwrap().unwrap();
    });
    let waited = started.elapsed();
    // A larger buffer makes room at once.
    while device.try_send(&frame).is_ok() {}
    device.set_send_buffer(1 << 20).unwrap();
    device.try_send(&frame).unwrap();
    println!("{sent} frames of 1000 bytes in 20000 bytes; then one waited {waited:?}");
}

fn a_send_buffer_belongs_to_a_queue() {
    let several = CreateOptions::tun().multi_queue(true);
    let first = create(several.clone(), "many");
    let second = open(several.clone(), "many").unwrap();
    first.set_send_buffer(4000).unwrap();
    let third = open(several, "many").unwrap();
    let buffers = [&first, &second, &third].map(|device| device.send_buffer().unwrap());
    assert_eq!(buffers, [4000, 4000, i32::MAX.unsigned_abs()]);
    for bytes in [0, 1, 1 << 31] {
        let error = refused(first.set_send_buffer(bytes));
        assert_eq!((error.operation(), error.cause()), (Operation::SetSendBuffer, Cause::InvalidValue));
        assert_eq!(first.send_buffer().unwrap(), 4000);
    }
    ip("link delete many");
    assert!(refused(first.set_send_buffer(4000)).is_gone());
    assert!(refused(first.send_buffer()).is_gone());
}

fn a_link_type_changes_while_down() {
    let device = tun("tun0");
    let shown = || tunctl_testing::link("tun0").unwrap()["link_type"].clone();
    assert_eq!(shown(), "none");
    device.set_link_type(LinkType::RADIOTAP).unwrap();
    assert_eq!(shown(), "ieee802.11/radiotap");
    assert_eq!(device.interface().snapshot().unwrap().link_type, LinkType::RADIOTAP);
    ip("link set tun0 up");
    let error = refused(device.set_link_type(LinkType::NONE));
    assert_eq!((error.operation(), error.cause()), (Operation::SetLinkType, Cause::Busy), "{error}");
    assert_eq!(shown(), "ieee802.11/radiotap");
    ip("link delete tun0");
    assert!(refused(device.set_link_type(LinkType::NONE)).is_gone());
}

/// How long it takes until a socket can be bound to an address that is added now.
fn time_to_bind(add: impl FnOnce(), address: &str) -> Duration {
    let started = Instant::now();
    add();
    let _socket = super::support::socket(address);
    started.elapsed()
}

fn an_address_without_duplicate_detection_is_usable_at_once() {
    let device = create(CreateOptions::tap().up(), "tap0");
    let interface = device.interface();
    let flagged = |text: &str, flag: &str| {
        let found = tunctl_testing::addresses("tap0").into_iter().find(|one| one["local"] == text).unwrap();
        found.get(flag).is_some_and(|set| *set == true)
    };
    assert!(interface.add_address_without_dad(address("fd77::1/64")).unwrap());
    assert!(flagged("fd77::1", "nodad") && !flagged("fd77::1", "tentative"));
    std::net::UdpSocket::bind("[fd77::1]:0").unwrap();
    assert!(!interface.add_address_without_dad(address("fd77::1/64")).unwrap());
    assert!(interface.add_address_without_dad(address("10.1.1.1/24")).unwrap());
    let without = time_to_bind(
        || assert!(interface.add_address_without_dad(address("fd78::1/64")).unwrap()),
        "[fd78::1]:0",
    );
    interface.add_address(address("fd79::1/64")).unwrap();
    assert!(flagged("fd79::1", "tentative"));
    let with = time_to_bind(|| assert!(interface.add_address(address("fd7a::1/64")).unwrap()), "[fd7a::1]:0");
    assert!(with > Duration::from_millis(500) && without < with / 2, "{with:?}, {without:?}");
    println!("bound after {with:?}, and without duplicate detection after {without:?}");
    // While it is down, an address is added as well, and without a wait.
    let down = create(CreateOptions::tap(), "tap1");
    let started = Instant::now();
    down.interface().add_address_without_dad(address("fd7b::1/64")).unwrap();
    println!("added while down in {:?}", started.elapsed());
    let options = CreateOptions::tap().address("fd7c::1/64").without_dad(true).up();
    let _new = create(options, "tap2");
    std::net::UdpSocket::bind("[fd7c::1]:0").unwrap();
}
