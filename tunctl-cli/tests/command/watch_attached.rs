//! `tunctl watch --attach`.

use serde_json::Value;
use tunctl_testing::{Case, case, ip, ip_json};

use super::process::{Running, tunctl, wait_until};
use super::support::{exists, held_tun, quiet_ipv6, send};
use super::watch::objects;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(attached_it_says_so_and_takes_the_packets),
        case!(attached_it_leaves_headers_out_of_the_packets),
        case!(attached_it_fails_when_the_interface_is_deleted),
        case!(attached_it_fails_when_another_program_is),
    ]
}

/// Starts it, and waits until it has said that it is attached.
fn attach(words: &str) -> Running {
    let mut reader = Running::start(&format!("watch {words} --attach"));
    let said = reader.complaint();
    assert!(said.contains("attach") && said.contains("t0"), "{said}");
    reader
}

/// A persistent interface that nobody has open.
fn free_interface(mode: &str) {
    quiet_ipv6();
    ip(&format!("tuntap add dev t0 mode {mode}"));
    ip("address add 10.1.1.1/24 dev t0");
    ip("link set dev t0 up");
}

fn has_carrier() -> bool {
    let links = ip_json("link show dev t0");
    links[0]["flags"].as_array().unwrap().iter().any(|flag| flag == "LOWER_UP")
}

fn attached_it_says_so_and_takes_the_packets() {
    free_interface("tun");
    assert!(!has_carrier(), "nobody has it open");
    let mut reader = attach("t0 --json --count 2");
    wait_until("someone has it open", has_carrier);
    send(b"hello", "10.1.1.5:9");
    let packet: Value = serde_json::from_str(&reader.line()).unwrap();
    assert_eq!((&packet["direction"], &packet["length"]), (&"out".into(), &33.into()));
    assert_eq!((&packet["destination"], &packet["destination_port"]), (&"10.1.1.5".into(), &9.into()));
    send(b"hello", "10.1.1.5:9");
    reader.end().ok();
    assert!(exists("t0"), "it is persistent");
}

fn attached_it_leaves_headers_out_of_the_packets() {
    // As the interface was made, so it is opened.
    for mode in ["tun pi", "tun vnet_hdr", "tun pi vnet_hdr multi_queue"] {
        free_interface(mode);
        let reader = attach("t0 --json --count 1");
        wait_until("someone has it open", has_carrier);
        send(b"hello", "10.1.1.5:9");
        let objects = objects(&reader.end().ok());
        assert_eq!((&objects[0]["protocol"], &objects[0]["length"]), (&"UDP".into(), &33.into()), "{mode}");
        ip("link delete dev t0");
    }
}

fn attached_it_fails_when_the_interface_is_deleted() {
    free_interface("tun");
    let mut reader = attach("t0");
    wait_until("someone has it open", has_carrier);
    send(b"hello", "10.1.1.5:9");
    reader.line();
    ip("link delete dev t0");
    let run = reader.end();
    assert_eq!(run.status.code(), Some(1), "{run:#?}");
    assert!(run.stderr.contains("t0") && run.stderr.contains("gone"), "{run:#?}");
}

fn attached_it_fails_when_another_program_is() {
    let holder = held_tun("t0");
    tunctl("watch t0 --attach --for 1").failed(1, &["t0", "use", &holder.pid().to_string()]);
}
