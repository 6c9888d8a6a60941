//! A configuration that fails is undone: the kernel then holds what it held before, at whichever step it
//! fails.

use std::fs;

use serde_json::Value;
use tunctl_core::{CreateOptions, Interface, InterfaceConfig, Operation, Result, TunBackend};
use tunctl_linux::LinuxInterface;
use tunctl_testing::{Call, Case, Strace, addresses, case, ip, link, mark, others};

use super::support::{address, backend, name, refused};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_replacement_that_is_refused_keeps_every_address),
        case!(a_replacement_takes_along_no_address_that_it_keeps),
        case!(a_failure_at_any_step_of_a_replacement_is_undone)
            .entry("apply", apply_once)
            .needs_tool("strace"),
        case!(a_failure_at_any_step_of_a_configuration_is_undone)
            .entry("apply", apply_once)
            .needs_tool("strace"),
        case!(a_failure_around_one_request_for_several_changes_is_undone)
            .entry("apply", apply_once)
            .needs_tool("strace"),
        case!(one_request_of_which_the_last_change_is_refused_is_undone),
    ]
}

fn without_ipv6() {
    super::support::without_ipv6();
}

/// The addresses as iproute2 reports them, in the kernel's order, which decides what goes with what.
fn held() -> Vec<String> {
    let shown = addresses("tun0").into_iter().filter(|held| held["scope"] != "link");
    shown
        .map(|held| {
            let far = held.get("address").and_then(Value::as_str).unwrap_or("none");
            format!("{} peer {far}/{} {}", held["local"], held["prefixlen"], held["broadcast"])
        })
        .collect()
}

/// All that a configuration can change.
fn all() -> (Vec<String>, Value) {
    let link = link("tun0").unwrap();
    let flags: Vec<_> = link["flags"].as_array().unwrap().iter().filter(|flag| *flag == "UP").collect();
    (held(), serde_json::json!([link["mtu"], link["txqlen"], link["ifalias"], flags]))
}

/// A tun with three addresses of one network, of which the first has a peer. With that, the kernel takes the
/// others, which are its secondaries.
fn prepare() {
    for left in others() {
        ip(&format!("link delete {left}"));
    }
    ip("tuntap add dev tun0 mode tun");
    ip("address add 10.0.0.1 peer 10.0.0.9/24 dev tun0");
    ip("address add 10.0.0.2/24 brd + dev tun0");
    ip("address add 10.0.0.3/24 brd + dev tun0");
}

fn interface() -> LinuxInterface {
    backend().interface(&name("tun0")).unwrap()
}

fn replacement() -> InterfaceConfig {
    InterfaceConfig::new().replace_addresses(true).address("10.0.0.1/24").address("10.0.0.2/24")
}

fn a_replacement_that_is_refused_keeps_every_address() {
    without_ipv6();
    prepare();
    let before = held();
    assert_eq!(before.len(), 3);
    let wanted = ["10.0.0.1/24", "10.0.0.2/24", "fd77::1/64"].map(address);
    let error = refused(interface().replace_addresses(&wanted));
    assert_eq!(error.leftovers(), None, "{error}");
    assert_eq!(held(), before, "{error}");
}

fn a_replacement_takes_along_no_address_that_it_keeps() {
    without_ipv6();
    prepare();
    interface().apply(&replacement()).unwrap();
    let mut now = held();
    now.sort();
    assert_eq!(now, ["\"10.0.0.1\" peer none/24 \"10.0.0.255\"", "\"10.0.0.2\" peer none/24 \"10.0.0.255\""]);
}

fn in_one_request() -> InterfaceConfig {
    InterfaceConfig::new().mtu(1300).queue_length(99).address("10.7.7.7/16").up()
}

/// Applies the configuration that the environment names.
fn apply_once() {
    let config = match std::env::var("CONFIG").unwrap().as_str() {
        "replacement" => replacement(),
        "configuration" => in_one_request().description("a text"),
        _ => in_one_request(),
    };
    let interface = interface();
    mark("from");
    let outcome: Result<()> = interface.apply(&config);
    mark("to");
    match outcome {
        Ok(()) => println!("applied"),
        Err(error) => println!("{} left of {error}", error.leftovers().map_or("nothing", |_| "something")),
    }
}

/// `least`: the least number of failures that show. Others are made good by trying again.
fn a_failure_at_any_step_is_undone(config: &str, least: usize) {
    without_ipv6();
    let run = |strace: Strace| strace.env("CONFIG", config).run();
    prepare();
    let before = all();
    let healthy = run(Strace::new("apply"));
    assert_eq!(healthy.printed, "applied\n");
    let after = all();
    assert_ne!(after, before);
    let is_netlink = |call: &Call| call.name.starts_with("send") || call.name.starts_with("recv");
    let mut refusals = 0;
    for (call, position) in healthy.numbered_between("from", "to") {
        if !is_netlink(&call) {
            continue;
        }
        prepare();
        let printed = run(Strace::new("apply").fail(&call.name, "ENOBUFS", position)).printed;
        let what = format!("{config}, {printed} when {call:?}");
        if printed == "applied\n" {
            assert_eq!(all(), after, "{what}");
        } else {
            assert!(printed.starts_with("nothing left"), "{what}");
            assert_eq!(all(), before, "{what}");
            refusals += 1;
        }
    }
    assert!(refusals >= least, "{refusals}");
}

fn a_failure_at_any_step_of_a_replacement_is_undone() {
    a_failure_at_any_step_is_undone("replacement", 4);
    // The kernel then promotes the next address of a network, instead of removing all.
    for scope in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/promote_secondaries"), "1").unwrap();
    }
    a_failure_at_any_step_is_undone("replacement", 4);
}

fn a_failure_at_any_step_of_a_configuration_is_undone() {
    a_failure_at_any_step_is_undone("configuration", 4);
}

fn a_failure_around_one_request_for_several_changes_is_undone() {
    // To ask for the state, and for the addresses. What is refused together is made one by one.
    a_failure_at_any_step_is_undone("one request", 2);
}

fn one_request_of_which_the_last_change_is_refused_is_undone() {
    without_ipv6();
    prepare();
    let before = all();
    // The driver has no room for so many (`__ptr_ring_init_queue_alloc`, Linux 6.18), and says so after the
    // kernel has changed MTU and state.
    let options = CreateOptions::tun().name("tun0").mtu(1300).queue_length(1 << 20).up();
    let error = refused(backend().open(&options));
    assert_eq!(error.operation(), Operation::SetQueueLength, "{error}");
    assert_eq!(error.leftovers(), None, "{error}");
    assert_eq!(all(), before, "{error}");
    let error = refused(backend().create(&options.name("tun1")));
    assert_eq!(error.operation(), Operation::SetQueueLength, "{error}");
    assert_eq!(others(), ["tun0"]);
}
