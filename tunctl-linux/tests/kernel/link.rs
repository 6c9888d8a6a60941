//! What the kernel reports about an interface: counters, carrier, master, link type.

use serde_json::Value;
use tunctl_core::{
    Counters, CreateOptions, Interface, InterfaceIndex, State, Statistics, TunBackend, TunDevice,
};
use tunctl_linux::{LinkType, OperationalState};
use tunctl_packet::udp_packet;
use tunctl_testing::{Case, case, ip, ip_json};

use super::support::{address, backend, create, quiet_tun, tap, tun, udp_payload, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_snapshot_is_what_ip_shows),
        case!(counters_are_those_of_proc_net_dev),
        case!(ip_sees_the_carrier_go_and_come),
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
    let bridge = u32::try_from(number(&ip_json("link show br0")[0]["ifindex"])).unwrap();
    assert_eq!(snapshot.master.map(InterfaceIndex::get), Some(bridge));
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
