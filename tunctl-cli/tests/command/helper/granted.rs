//! Users without any right, and the helper as it is installed: what they create, and what is refused.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tunctl::{CreateOptions, TunBackend, TunDevice};
use tunctl_testing::{Case, built_helper, case, ip, ip_json, link};

use super::machine::{HELPER, Machine, POLICY};
use crate::cases::process::{PROGRAM, Run, Running, run, tunctl, wait_until};
use crate::cases::support::{addresses_of, exists, is_up};
use crate::cases::unprivileged::Program;

pub(super) fn cases() -> Vec<Case> {
    let cases = [
        case!(a_user_creates_what_the_policy_allows),
        case!(an_interface_that_is_held_goes_with_the_command),
        case!(what_the_policy_does_not_allow_is_refused),
        case!(what_the_check_says_is_what_the_helper_does),
        case!(without_a_helper_the_error_says_how_to_install_it),
        case!(the_helper_is_not_asked_in_vain),
        case!(no_route_comes_from_the_holder_of_a_device),
    ];
    cases.map(|case| case.needs_root().outside_namespace()).into()
}

const RULES: &str = r#"
[[rule]]
user = "alice"
names = ["vpn%d", "work0"]
layers = ["tun", "tap"]
devices = 2
addresses = ["10.8.0.0/16", "fd77::/48"]
"#;

const ALICE: u32 = 1000;

/// A machine with the helper that `cargo xtask helper` has built, and this policy.
fn enter() -> Machine {
    let program = fs::read(built_helper(Path::new(PROGRAM))).unwrap();
    let machine = Machine::enter();
    fs::write(machine.program(), program).unwrap();
    machine.install().ok();
    fs::write(POLICY, RULES).unwrap();
    machine
}

fn as_alice(program: &Program, words: &str) -> Run {
    run(program.command(ALICE, ALICE, words))
}

fn driver(name: &str) -> Value {
    link(name).unwrap()["linkinfo"]["info_data"].clone()
}

fn a_user_creates_what_the_policy_allows() {
    let _machine = enter();
    let program = Program::new();
    let words =
        "create vpn%d --tun --mtu 1400 --queue-length 7 --address 10.8.0.1/24 --address fd77::1/64 --up";
    assert_eq!(as_alice(&program, words).line(), "vpn0");
    assert_eq!(addresses_of("vpn0"), ["10.8.0.1/24 brd 10.8.0.255", "fd77::1/64"]);
    assert!(is_up("vpn0"));
    let vpn0 = link("vpn0").unwrap();
    assert_eq!((&vpn0["mtu"], &vpn0["txqlen"]), (&json!(1400), &json!(7)));
    assert_eq!(vpn0["ifalias"], "tunctl-helper uid 1000 name vpn%d");
    assert_eq!((&driver("vpn0")["persist"], &driver("vpn0")["user"]), (&json!(true), &json!("alice")));
    // It is alice's, as one that root has made for her.
    as_alice(&program, "show vpn0 --json").ok();
    as_alice(&program, "create vpn0 --tun").ok();
    as_alice(&program, "delete vpn0").ok();
    assert!(!exists("vpn0"));
    let tap = as_alice(&program, "create work0 --tap --mac 02:00:5e:10:00:01 --owner bob --group vpn --json");
    assert_eq!(tap.json()["mac"], "02:00:5e:10:00:01");
    assert_eq!((&driver("work0")["user"], &driver("work0")["group"]), (&json!("bob"), &json!("vpn")));
}

fn an_interface_that_is_held_goes_with_the_command() {
    let _machine = enter();
    let program = Program::new();
    let mut holder =
        Running::of(program.command(ALICE, ALICE, "create --tun --hold --address 10.8.0.1/24 --up"));
    // Without a name it gets the first one of the rule.
    assert_eq!(holder.line(), "vpn0");
    assert_eq!(driver("vpn0")["persist"], json!(false));
    assert!(holder.end_by(Signal::SIGTERM).status.success());
    wait_until("it is gone", || !exists("vpn0"));
}

fn what_the_policy_does_not_allow_is_refused() {
    let _machine = enter();
    let program = Program::new();
    let before = ip_json("link show");
    for words in [
        "create vpnx --tun",
        "create --tun --mtu 9000",
        "create --tun --queue-length 2000",
        "create --tun --address 10.9.0.1/24",
        "create vpn0 --hold --tun --address 192.0.2.1/24",
    ] {
        let said = as_alice(&program, words).failed(1, &["policy", "tunctl policy check"]);
        assert!(!said.contains("helper install"), "{said}");
    }
    run(program.command(1001, 1001, "create vpn0 --tun")).failed(1, &["policy", "tunctl policy check"]);
    assert_eq!(ip_json("link show"), before);
}

fn what_the_check_says_is_what_the_helper_does() {
    let _machine = enter();
    let program = Program::new();
    let check = |words: &str| {
        let run = as_alice(&program, &format!("policy check {words} --json"));
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    fs::write(POLICY, RULES.replace(", \"work0\"", "")).unwrap();
    assert_eq!(check("")["allowed"], true);
    for name in ["vpn0", "vpn1"] {
        assert_eq!(as_alice(&program, "create vpn%d --tun").line(), name);
    }
    assert_eq!(check("")["rules"][0]["names"][0]["present"], json!(["vpn0", "vpn1"]));
    assert_eq!(check("alice")["allowed"], false);
    as_alice(&program, "create vpn%d --tun").failed(1, &["2"]);
    // A route that it warns of is one that the helper refuses.
    as_alice(&program, "delete vpn0").ok();
    ip("link add lan type bridge");
    ip("link set lan up");
    ip("address add 10.8.3.1/24 dev lan");
    assert_eq!(check("")["rules"][0]["addresses"][0]["routes"][0]["destination"], "10.8.3.0/24");
    as_alice(&program, "create vpn%d --tun --address 10.8.3.7/32").failed(1, &["route"]);
    as_alice(&program, "create vpn%d --tun --address 10.8.4.7/32").ok();
}

fn without_a_helper_the_error_says_how_to_install_it() {
    let _machine = enter();
    let program = Program::new();
    tunctl("helper uninstall").ok();
    for words in ["create vpn0 --tun", "create vpn0 --tun --hold"] {
        as_alice(&program, words).failed(1, &["CAP_NET_ADMIN is missing", "sudo tunctl helper install"]);
    }
}

fn the_helper_is_not_asked_in_vain() {
    let _machine = enter();
    let program = Program::new();
    // Root needs none.
    assert_eq!(tunctl("create any0 --tun --description mine --owner bob").line(), "any0");
    assert_eq!(link("any0").unwrap()["ifalias"], "mine");
    // An interface that exists, and is another's, is opened or not, as without one.
    as_alice(&program, "create any0 --tun").failed(1, &["any0", "belongs to user 1001"]);
    // A helper works in its own namespace alone.
    let own = std::process::id().to_string();
    let said = as_alice(&program, &format!("create vpn0 --tun --netns {own}")).failed(1, &[]);
    assert!(!said.contains("helper"), "{said}");
    // One that cannot work says why.
    fs::write(HELPER, fs::read(HELPER).unwrap()).unwrap();
    let said = as_alice(&program, "create vpn0 --tun").failed(1, &["helper"]);
    assert!(said.contains("capability") || said.contains("CAP_NET_ADMIN"), "{said}");
    assert!(!exists("vpn0"));
}

/// A router's announcement: use me for everything, and this prefix is here (RFC 4861).
fn advertisement() -> Vec<u8> {
    let (router, all): (Ipv6Addr, Ipv6Addr) = ("fe80::bad".parse().unwrap(), "ff02::1".parse().unwrap());
    let prefix: Ipv6Addr = "2001:db8:bad::".parse().unwrap();
    let mut body = vec![134, 0, 0, 0, 64, 8, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    body.extend([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0]);
    body.extend(prefix.octets());
    let length = u8::try_from(body.len()).unwrap();
    let ends = [router.octets(), all.octets()].concat();
    let sum: u32 = [&ends[..], &[0, 0, 0, length, 0, 0, 0, 58], &body]
        .concat()
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    body[2..4].copy_from_slice(&checksum.to_be_bytes());
    [&[0x60, 0, 0, 0, 0, length, 58, 255][..], &ends, &body].concat()
}

/// Whether the system takes a default route from whoever holds this interface.
fn takes_a_route_from(name: &str) -> bool {
    let device = tunctl::native().open(&CreateOptions::tun().name(name)).unwrap();
    let has_route = || !ip_json("-6 route show default").is_empty();
    assert!(!has_route());
    device.send(&advertisement()).unwrap();
    let counters = format!("/proc/net/dev_snmp6/{name}");
    wait_until("it has arrived", || {
        let report = fs::read_to_string(&counters).unwrap();
        let count = report.lines().find_map(|line| line.strip_prefix("Icmp6InType134"));
        count.is_some_and(|count| count.trim() == "1")
    });
    // It is counted before it is processed.
    thread::sleep(Duration::from_millis(50));
    has_route()
}

fn no_route_comes_from_the_holder_of_a_device() {
    let _machine = enter();
    let program = Program::new();
    as_alice(&program, "create vpn0 --tun --address 10.8.0.1/24 --up").ok();
    let setting = "/proc/sys/net/ipv6/conf/vpn0/accept_ra";
    assert_eq!(fs::read_to_string(setting).unwrap().trim(), "0");
    assert!(!takes_a_route_from("vpn0"));
    // The control: an interface that root made takes one.
    tunctl("create other0 --tun --up").ok();
    assert!(takes_a_route_from("other0"));
}
