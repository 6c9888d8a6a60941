//! iproute2's view of the interfaces in the calling thread's network namespace.

use std::io::ErrorKind;
use std::process::Command;

use serde_json::Value;

use crate::skip::skip;

/// Runs `ip` with these words. If it fails, so does the case; if it is not installed, the case is skipped.
pub fn ip(words: &str) {
    let _ = report(words);
}

fn report(words: &str) -> String {
    match attempt(words) {
        Ok(printed) => printed,
        Err(complaint) => panic!("ip {words}: {complaint}"),
    }
}

fn attempt(words: &str) -> Result<String, String> {
    let output = match Command::new("ip").args(words.split_whitespace()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => skip("ip (iproute2) is not installed"),
        output => output.expect("ip starts"),
    };
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// As [`ip`], with `-d -j` in front: what it reports, with all details.
#[must_use]
pub fn ip_json(words: &str) -> Vec<Value> {
    parse(&report(&format!("-d -j {words}")))
}

fn parse(printed: &str) -> Vec<Value> {
    // Where there is nothing to list, some versions print nothing, and some an object without members.
    if printed.trim().is_empty() {
        return Vec::new();
    }
    let list: Vec<Value> = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    list.into_iter().filter(|object| object.as_object().is_some_and(|members| !members.is_empty())).collect()
}

/// `ip -d -j link`: all interfaces.
#[must_use]
pub fn links() -> Vec<Value> {
    ip_json("link show")
}

/// `ip -d -j link show dev NAME`, if there is an interface of that name.
#[must_use]
pub fn link(name: &str) -> Option<Value> {
    match attempt(&format!("-d -j link show dev {name}")) {
        Ok(printed) => parse(&printed).into_iter().next(),
        Err(complaint) if complaint.contains("does not exist") => None,
        Err(complaint) => panic!("ip link show {name}: {complaint}"),
    }
}

/// The addresses of an interface, each as `ip -j address` reports it: `local`, `prefixlen`, `broadcast`,
/// `address` (the peer), `scope`, ….
#[must_use]
pub fn addresses(name: &str) -> Vec<Value> {
    ip_json(&format!("address show dev {name}"))
        .iter()
        .filter_map(|interface| interface["addr_info"].as_array())
        .flatten()
        .filter(|address| address.get("local").is_some())
        .cloned()
        .collect()
}

/// Whether there is an interface of that name.
#[must_use]
pub fn exists(name: &str) -> bool {
    link(name).is_some()
}

/// The names of all interfaces but the loopback one.
#[must_use]
pub fn others() -> Vec<String> {
    let names = links().into_iter().filter_map(|link| link["ifname"].as_str().map(str::to_owned));
    names.filter(|name| name != "lo").collect()
}

/// What the tun driver reports of an interface through netlink: `type`, `pi`, `vnet_hdr`, `multi_queue`,
/// `persist`, `user`, `group`, …
#[must_use]
pub fn driver_report(name: &str) -> Value {
    let link = link(name).unwrap_or_else(|| panic!("{name} exists"));
    assert_eq!(link["linkinfo"]["info_kind"], "tun");
    link["linkinfo"]["info_data"].clone()
}

/// Whether an interface has a flag such as `UP`.
#[must_use]
pub fn has_flag(name: &str, flag: &str) -> bool {
    let link = link(name).unwrap_or_else(|| panic!("{name} exists"));
    link["flags"].as_array().is_some_and(|flags| flags.iter().any(|set| set == flag))
}
