//! What the cases ask of iproute2 and the kernel, and how they make packets.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;

use serde_json::Value;
use tunctl_testing::{addresses, entry, has_flag, link};
pub(crate) use tunctl_testing::{driver_report, exists, others};

use super::process::{Running, tunctl, wait_until};

pub(crate) fn is_up(name: &str) -> bool {
    has_flag(name, "UP")
}

pub(crate) fn mtu(name: &str) -> Value {
    link(name).unwrap_or_else(|| panic!("{name} exists"))["mtu"].clone()
}

/// The addresses, without those of IPv6 that the kernel gives by itself, in iproute2's words: `10.1.1.1/8 brd
/// 10.255.255.255`, `10.1.1.1 peer 10.9.9.9/32`.
pub(crate) fn addresses_of(name: &str) -> Vec<String> {
    let all = addresses(name).into_iter().filter(|address| address["scope"] != "link");
    all.map(|address| {
        let word = |key: &str, before: &str| match address[key].as_str() {
            Some(text) => format!("{before}{text}"),
            None => String::new(),
        };
        let local = word("local", "");
        format!("{local}{}/{}{}", word("address", " peer "), address["prefixlen"], word("broadcast", " brd "))
    })
    .collect()
}

/// Keeps the kernel from sending anything of its own, and from giving addresses, on interfaces made from now
/// on.
pub(crate) fn quiet_ipv6() {
    for (setting, value) in [("router_solicitations", "0"), ("addr_gen_mode", "1"), ("accept_dad", "0")] {
        fs::write(format!("/proc/sys/net/ipv6/conf/default/{setting}"), value).unwrap();
    }
}

/// A tun that is up as 10.1.1.1/24 and `fd01::1/64`, held by a program that doesn't read its packets.
pub(crate) fn held_tun(name: &str) -> Running {
    quiet_ipv6();
    let words = format!("create {name} --tun --hold --up --address 10.1.1.1/24 --address fd01::1/64");
    let mut holder = Running::start(&words);
    assert_eq!(holder.line(), name);
    wait_until("its IPv6 address can be used", || {
        addresses(name).iter().all(|address| address.get("tentative").is_none())
    });
    holder
}

/// Sends a datagram from this system to another host.
pub(crate) fn send(payload: &[u8], to: &str) {
    let own = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    UdpSocket::bind(own).unwrap().send_to(payload, to).unwrap();
}

/// Waits until a program has a packet socket open in this network namespace.
pub(crate) fn wait_for_packet_socket() {
    wait_until("a packet socket is open", || {
        // Before it is bound, its protocol is 0, and it receives nothing.
        let sockets = fs::read_to_string("/proc/net/packet").unwrap();
        sockets.lines().skip(1).any(|line| line.split_whitespace().nth(3) == Some("0003"))
    });
}

/// The command line of an entry of this case, to be run by the program under test.
pub(crate) fn with_entry(mut command: Command, name: &str) -> Command {
    let entry = entry(name);
    command.arg(std::env::current_exe().unwrap());
    command.envs(entry.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command
}

/// A stream that takes nothing: each write fails, as on a disk that is full.
pub(crate) fn full() -> fs::File {
    fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A set of signals of a process, from its status file.
pub(crate) fn signals(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

/// Whether who started the tests ignores a signal, as `nohup` does: then each command that they start does,
/// too.
pub(crate) fn is_ignored_here(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    signals(&status, "SigIgn:") >> (number - 1) & 1 == 1
}

/// The members of a JSON object, sorted.
pub(crate) fn members(object: &Value) -> Vec<&str> {
    let mut members: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

/// `show NAME --json`.
pub(crate) fn shown(name: &str) -> Value {
    tunctl(&format!("show {name} --json")).json()
}
