//! `tunctl up`, `down` and `set`.

use std::net::UdpSocket;

use tunctl_testing::{Case, Snapshot, case, ip, ip_json, link};

use super::process::{Running, tunctl, wait_until};
use super::support::{addresses_of, driver_report, exists, is_up, mtu};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(up_alone_sets_the_flag_only),
        case!(up_takes_netmask_and_broadcast_of_the_class),
        case!(up_takes_an_explicit_prefix),
        case!(up_gives_an_ipv6_address_64_bits),
        case!(up_knows_peers),
        case!(up_adds_another_and_repeats_the_same),
        case!(down_keeps_ipv4),
        case!(set_changes_the_mtu),
        case!(set_changes_the_mac_address_of_a_tap),
        case!(set_gives_another_name),
        case!(set_adds_removes_and_replaces_addresses),
        case!(set_changes_owner_and_group).needs_root(),
        case!(set_makes_persistent_and_not),
        case!(set_does_several_things_at_once),
        case!(set_does_all_or_nothing),
        case!(ipv6_is_given_up_only_if_that_is_said),
        case!(set_changes_the_queue_length),
        case!(set_switches_the_carrier),
        case!(set_makes_a_tap_the_port_of_a_bridge),
        case!(create_chooses_the_index),
        case!(an_address_is_usable_at_once_if_that_is_asked_for),
        case!(a_description_is_the_alias_and_is_shown),
        case!(an_mtu_that_is_refused_is_explained),
        case!(a_missing_address_is_explained),
        case!(an_interface_in_use_is_configured_all_the_same),
        case!(owner_of_an_interface_in_use_is_refused_with_its_holder),
        case!(interfaces_that_are_missing_or_of_another_kind_are_refused),
    ]
}

fn tun_and_tap() -> [&'static str; 2] {
    ip("tuntap add dev a mode tun");
    ip("tuntap add dev b mode tap");
    ["a", "b"]
}

fn set_does_all_or_nothing() {
    ip("tuntap add dev t0 mode tun");
    ip("address add 10.1.1.1/24 dev t0");
    ip("address add 10.1.1.2/24 dev t0");
    ip("address add fd77::1/64 dev t0");
    let before = (link("t0").unwrap(), addresses_of("t0"));
    for (words, why) in [
        ("--mtu 1450 --add 10.2.2.2/24 --remove 10.9.9.9/24", "does not have 10.9.9.9/24"),
        ("--mtu 1200 --add fd77::2/64", "IPv6 needs 1280"),
        ("--mtu 1200", "would lose fd77::1/64"),
        ("--mtu 1450 --remove 10.1.1.1/24 --add fd77::1/48", "another prefix"),
        (
            "--queue-length 9 --mtu 1450 --replace fd77::1/48 --replace 10.3.3.3/24 --mac 02:00:00:00:00:01",
            "tun",
        ),
    ] {
        tunctl(&format!("set t0 {words}")).failed(1, &["t0", why]);
        assert_eq!((link("t0").unwrap(), addresses_of("t0")), before, "{words}");
    }
}

fn ipv6_is_given_up_only_if_that_is_said() {
    ip("tuntap add dev t0 mode tun");
    ip("address add 10.1.1.1/24 dev t0");
    ip("address add fd77::1/64 dev t0");
    tunctl("set t0 --mtu 1200 --drop-ipv6").ok();
    assert_eq!(mtu("t0"), 1200);
    assert_eq!(addresses_of("t0").len(), 1);
}

fn set_changes_the_queue_length() {
    ip("tuntap add dev t0 mode tun");
    tunctl("set t0 --queue-length 9").ok();
    assert_eq!(link("t0").unwrap()["txqlen"], 9);
}

fn set_switches_the_carrier() {
    let mut holder = Running::start("create t0 --tun --hold --up");
    holder.line();
    let has_carrier = || !tunctl_testing::has_flag("t0", "NO-CARRIER");
    assert!(has_carrier());
    tunctl("set t0 --carrier off").ok();
    assert!(!has_carrier());
    assert!(tunctl("show t0").ok().lines().any(|line| line.contains("carrier") && line.ends_with("off")));
    let watching = tunctl("watch t0 --for 0.1");
    assert!(watching.stderr.contains("only packets from the program pass"), "{watching:?}");
    // All or nothing.
    tunctl("set t0 --carrier on --remove 10.9.9.9/24").failed(1, &["10.9.9.9"]);
    assert!(!has_carrier());
    tunctl("set t0 --carrier on").ok();
    assert!(has_carrier());
    tunctl("set t0 --carrier maybe").failed(2, &["expected on or off"]);
    // Nothing holds it, so there is nothing that it could be a link to.
    ip("tuntap add dev idle mode tun");
    tunctl("set idle --carrier on")
        .failed(1, &["set carrier of idle", "no queue of the interface is in service"]);
}

fn set_makes_a_tap_the_port_of_a_bridge() {
    ip("link add br0 type bridge");
    ip("link add br1 type bridge");
    tunctl("create t0 --tap").ok();
    let master = || link("t0").unwrap()["master"].clone();
    tunctl("set t0 --master br0").ok();
    assert_eq!(master(), "br0");
    // All or nothing.
    tunctl("set t0 --master br1 --remove 10.9.9.9/24").failed(1, &["10.9.9.9"]);
    assert_eq!(master(), "br0");
    tunctl("set t0 --master lo --mtu 1400").failed(1, &["set master of t0", "no bridge"]);
    assert_eq!((master(), mtu("t0")), ("br0".into(), 1500.into()));
    tunctl("set t0 --master br1 --queue-length 9").ok();
    assert_eq!((master(), &link("t0").unwrap()["txqlen"]), ("br1".into(), &9.into()));
    tunctl("set t0 --no-master --persist on").failed(2, &["two commands"]);
    tunctl("set t0 --no-master").ok();
    assert!(master().is_null());
    tunctl("create t1 --tun").ok();
    tunctl("set t1 --master br0").failed(1, &["this is a tun", "Create a tap."]);
}

fn create_chooses_the_index() {
    tunctl("create t0 --index 4077").ok();
    assert_eq!(link("t0").unwrap()["ifindex"], 4077);
    tunctl("create t1 --index 4077").failed(1, &["another interface has the index 4077"]);
    assert!(!exists("t1"));
    tunctl("create t0 --index 4078").failed(1, &["exists with the index 4077"]);
    tunctl("create t1 --index 0").failed(2, &["a number from 1"]);
}

fn an_address_is_usable_at_once_if_that_is_asked_for() {
    let mut holder = Running::start("create t0 --tap --hold --up --no-dad --address fd77::1/64");
    holder.line();
    UdpSocket::bind("[fd77::1]:0").unwrap();
    tunctl("set t0 --no-dad --add fd78::1/64").ok();
    UdpSocket::bind("[fd78::1]:0").unwrap();
    tunctl("set t0 --add fd79::1/64").ok();
    UdpSocket::bind("[fd79::1]:0").unwrap_err();
}

fn a_description_is_the_alias_and_is_shown() {
    tunctl("create t0 --tun --description uplink").ok();
    assert_eq!(link("t0").unwrap()["ifalias"], "uplink");
    assert!(tunctl("show t0").ok().contains("  description  uplink\n"));
    assert!(tunctl("show t0 --json").ok().contains("\"description\":\"uplink\""));
    tunctl(&format!("set t0 --description {}", "x".repeat(256))).failed(1, &["describe t0", "refuses"]);
    tunctl("set t0 --description other --add 10.1.1.1/24 --remove 10.9.9.9/24").failed(1, &["10.9.9.9/24"]);
    assert_eq!(link("t0").unwrap()["ifalias"], "uplink");
    tunctl("set t0 --description a\u{1b}[31m\u{202e}\u{e9}").ok();
    assert!(tunctl("show t0").ok().contains("  description  a\\u{1b}[31m\\u{202e}\u{e9}\n"));
    tunctl("set t0 --description=").ok();
    assert!(link("t0").unwrap().get("ifalias").is_none());
    assert!(tunctl("show t0").ok().contains("  description  none\n"));
}

fn up_alone_sets_the_flag_only() {
    for name in tun_and_tap() {
        assert!(!is_up(name));
        assert_eq!(tunctl(&format!("up {name}")).ok(), "");
        assert!(is_up(name) && addresses_of(name).is_empty());
        tunctl(&format!("up {name}")).ok();
        assert!(is_up(name));
    }
}

fn up_takes_netmask_and_broadcast_of_the_class() {
    for name in tun_and_tap() {
        for address in ["10.1.1.1", "172.16.1.1", "192.168.1.1"] {
            tunctl(&format!("up {name} {address}")).ok();
        }
        assert!(is_up(name));
        let mut given = addresses_of(name);
        given.sort();
        let expected = [
            "10.1.1.1/8 brd 10.255.255.255",
            "172.16.1.1/16 brd 172.16.255.255",
            "192.168.1.1/24 brd 192.168.1.255",
        ];
        assert_eq!(given, expected, "{name}");
    }
}

fn up_takes_an_explicit_prefix() {
    let [name, _] = tun_and_tap();
    tunctl("up a 10.1.1.1/24").ok();
    tunctl("up a 10.3.3.3/32").ok();
    assert_eq!(addresses_of(name), ["10.1.1.1/24 brd 10.1.1.255", "10.3.3.3/32"]);
}

fn up_gives_an_ipv6_address_64_bits() {
    for name in tun_and_tap() {
        tunctl(&format!("up {name} fd01::1")).ok();
        tunctl(&format!("up {name} fd02::1/48")).ok();
        let mut given = addresses_of(name);
        given.sort();
        assert_eq!(given, ["fd01::1/64", "fd02::1/48"]);
        assert!(is_up(name));
    }
}

fn up_knows_peers() {
    tun_and_tap();
    tunctl("up a 10.1.1.1 --peer 10.9.9.9").ok();
    tunctl("up a fd01::1 --peer fd09::9").ok();
    assert_eq!(addresses_of("a"), ["10.1.1.1 peer 10.9.9.9/32", "fd01::1 peer fd09::9/128"]);
    assert_eq!(ip_json("route get 10.9.9.9")[0]["dev"], "a");
}

fn up_adds_another_and_repeats_the_same() {
    tun_and_tap();
    for address in ["10.1.1.1/24", "10.1.1.1/24", "10.2.2.2/24", "fd01::1", "fd01::1", "10.1.1.1/24"] {
        tunctl(&format!("up b {address}")).ok();
    }
    let expected = ["10.1.1.1/24 brd 10.1.1.255", "10.2.2.2/24 brd 10.2.2.255", "fd01::1/64"];
    assert_eq!(addresses_of("b"), expected);
}

fn down_keeps_ipv4() {
    tun_and_tap();
    tunctl("up a 10.1.1.1/24").ok();
    tunctl("up a fd01::1").ok();
    assert_eq!(tunctl("down a").ok(), "");
    assert!(!is_up("a"));
    // As Linux does, and its help says.
    assert_eq!(addresses_of("a"), ["10.1.1.1/24 brd 10.1.1.255"]);
    tunctl("down a").ok();
    tunctl("up a").ok();
    assert!(is_up("a"));
    assert_eq!(addresses_of("a"), ["10.1.1.1/24 brd 10.1.1.255"]);
}

fn set_gives_another_name() {
    tun_and_tap();
    tunctl("up a 10.1.1.1/24").ok();
    assert_eq!(tunctl("set a --name vpn --mtu 1400").ok(), "");
    assert!(!exists("a") && is_up("vpn"));
    assert_eq!(mtu("vpn"), 1400);
    tunctl("set b --name vpn").failed(1, &["rename b: ", "an interface of that name exists already"]);
    assert!(exists("b"));
}

fn set_changes_the_mtu() {
    for name in tun_and_tap() {
        assert_eq!(tunctl(&format!("set {name} --mtu 1400")).ok(), "");
        assert_eq!(mtu(name), 1400);
        // The options may stand in front, too.
        tunctl(&format!("set --mtu 68 {name}")).ok();
        assert_eq!(mtu(name), 68);
    }
}

fn set_adds_removes_and_replaces_addresses() {
    tun_and_tap();
    tunctl("set a --add 10.1.1.1 --add 10.2.2.2/24 --add fd01::1").ok();
    let all = ["10.1.1.1/8 brd 10.255.255.255", "10.2.2.2/24 brd 10.2.2.255", "fd01::1/64"];
    assert_eq!(addresses_of("a"), all);
    assert!(!is_up("a"), "adding is not up");
    tunctl("set a --remove 10.1.1.1/8 --remove fd01::1/64").ok();
    assert_eq!(addresses_of("a"), ["10.2.2.2/24 brd 10.2.2.255"]);
    tunctl("set --replace 10.3.3.3/24 --replace fd03::3/64 a").ok();
    assert_eq!(addresses_of("a"), ["10.3.3.3/24 brd 10.3.3.255", "fd03::3/64"]);
    tunctl("set a --replace 10.3.3.3/24").ok();
    assert_eq!(addresses_of("a"), ["10.3.3.3/24 brd 10.3.3.255"]);
    tunctl("set a --add fd04::4/64").ok();
    tunctl("set a --replace fd04::4/48").ok();
    assert_eq!(addresses_of("a"), ["fd04::4/48"], "another prefix of an address that stays");
}

fn set_changes_owner_and_group() {
    tun_and_tap();
    tunctl("set a --owner 4001 --group 4002").ok();
    let report = driver_report("a");
    assert_eq!((&report["user"], &report["group"]), (&4001.into(), &4002.into()));
    tunctl("set a --owner root").ok();
    let report = driver_report("a");
    assert_eq!((&report["user"], &report["group"]), (&"root".into(), &4002.into()));
    assert_eq!((&report["type"], &report["persist"]), (&"tun".into(), &true.into()));
}

fn set_makes_persistent_and_not() {
    ip("tuntap add dev a mode tun multi_queue");
    let mut holder = Running::start("create b --multi-queue --hold");
    holder.line();
    assert_eq!(driver_report("b")["persist"], false);
    tunctl("set b --persist on").ok();
    assert_eq!(driver_report("b")["persist"], true);
    drop(holder);
    assert!(exists("b"), "it is persistent now");
    // Nobody has it open: so it goes.
    tunctl("set b --persist off").ok();
    assert!(!exists("b"));
    // Somebody has it open: it goes with him.
    let mut reader = Running::start("watch a --attach");
    reader.complaint();
    tunctl("set a --persist off").ok();
    assert_eq!(driver_report("a")["persist"], false);
    drop(reader);
    wait_until("the kernel has removed it", || !exists("a"));
}

fn set_does_several_things_at_once() {
    tun_and_tap();
    tunctl("set b --mtu 9000 --owner 0 --add 10.1.1.1/24").ok();
    assert_eq!(mtu("b"), 9000);
    assert_eq!(driver_report("b")["user"], "root");
    assert_eq!(addresses_of("b"), ["10.1.1.1/24 brd 10.1.1.255"]);
}

fn set_changes_the_mac_address_of_a_tap() {
    let [tun, tap] = tun_and_tap();
    assert_eq!(tunctl(&format!("set {tap} --mac 02-00-5E-10-00-01")).ok(), "");
    assert_eq!(link(tap).unwrap()["address"], "02:00:5e:10:00:01");
    tunctl(&format!("set {tun} --mac 02:00:5e:10:00:01"))
        .failed(1, &[tun, "a tun has no MAC address", "tap"]);
}

fn an_mtu_that_is_refused_is_explained() {
    tun_and_tap();
    tunctl("set b --mtu 65535").failed(1, &["b", "MTU", "65521"]);
    assert_eq!(mtu("b"), 1500);
    tunctl("set a --mtu 65535").ok();
    assert_eq!(mtu("a"), 65535);
}

fn a_missing_address_is_explained() {
    tun_and_tap();
    tunctl("up a 10.1.1.1/24").ok();
    let before = Snapshot::take();
    for address in ["10.1.1.2/24", "10.1.1.1/25", "fd01::1"] {
        tunctl(&format!("set a --remove {address}")).failed(1, &["remove", "a", "does not have"]);
    }
    assert_eq!(Snapshot::take(), before);
}

fn an_interface_in_use_is_configured_all_the_same() {
    let mut holder = Running::start("create t0 --tun --hold");
    holder.line();
    tunctl("up t0 10.1.1.1").ok();
    tunctl("set t0 --mtu 1300 --add 10.2.2.2/24").ok();
    assert!(is_up("t0") && mtu("t0") == 1300);
    tunctl("down t0").ok();
    assert!(!is_up("t0"));
    assert_eq!(addresses_of("t0"), ["10.1.1.1/8 brd 10.255.255.255", "10.2.2.2/24 brd 10.2.2.255"]);
}

fn owner_of_an_interface_in_use_is_refused_with_its_holder() {
    let mut holder = Running::start("create t0 --tun --hold");
    holder.line();
    tunctl("set t0 --owner 0").failed(1, &["t0", "use", "tunctl", &holder.pid().to_string()]);
    assert!(driver_report("t0").get("user").is_none());
}

fn interfaces_that_are_missing_or_of_another_kind_are_refused() {
    let lo = link("lo");
    let before = Snapshot::take();
    for verb in ["up {}", "up {} 10.1.1.1", "down {}", "set {} --mtu 1400", "set {} --add 10.1.1.1/24"] {
        tunctl(&verb.replace("{}", "nope")).failed(1, &["nope", "no interface of that name"]);
        tunctl(&verb.replace("{}", "lo")).failed(1, &["lo", "not a TUN/TAP interface"]);
    }
    assert_eq!(link("lo"), lo);
    assert_eq!(Snapshot::take(), before);
}
