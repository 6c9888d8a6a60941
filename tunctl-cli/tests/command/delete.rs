//! `tunctl delete`.

use tunctl_testing::{Case, Snapshot, case, ip, link};

use super::process::{Running, tunctl};
use super::support::{exists, others};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_persistent_interface_is_gone),
        case!(a_held_interface_is_gone_too),
        case!(a_missing_interface_is_an_error),
        case!(an_interface_of_another_kind_stays),
        case!(only_the_one_that_is_named_is_gone),
        case!(several_are_gone_and_each_failure_is_told),
    ]
}

fn a_persistent_interface_is_gone() {
    for mode in ["tun", "tap", "tun multi_queue", "tap pi vnet_hdr"] {
        ip(&format!("tuntap add dev t0 mode {mode}"));
        assert_eq!(tunctl("delete t0").ok(), "", "{mode}");
        assert!(!exists("t0"), "{mode}");
    }
}

fn a_held_interface_is_gone_too() {
    // Persistent or not, whoever has it open.
    let mut holder = Running::start("create t0 --tun --up --hold");
    holder.line();
    tunctl("delete t0").ok();
    assert!(!exists("t0"));
    ip("tuntap add dev t1 mode tap");
    let mut reader = Running::start("watch t1 --attach");
    reader.complaint();
    tunctl("delete t1").ok();
    assert!(!exists("t1"));
}

fn a_missing_interface_is_an_error() {
    tunctl("delete nope").failed(1, &["nope", "no interface of that name"]);
    ip("tuntap add dev t0 mode tun");
    tunctl("delete t0").ok();
    tunctl("delete t0").failed(1, &["t0", "no interface of that name"]);
}

fn an_interface_of_another_kind_stays() {
    let before = Snapshot::take();
    tunctl("delete lo").failed(1, &["lo", "not a TUN/TAP interface"]);
    assert!(link("lo").is_some());
    assert_eq!(Snapshot::take(), before);
}

fn only_the_one_that_is_named_is_gone() {
    for name in ["t1", "t10", "t100"] {
        ip(&format!("tuntap add dev {name} mode tun"));
    }
    tunctl("delete t10").ok();
    assert_eq!(others(), ["t1", "t100"]);
}

fn several_are_gone_and_each_failure_is_told() {
    for name in ["t1", "t2", "t3"] {
        ip(&format!("tuntap add dev {name} mode tun"));
    }
    let said = tunctl("delete t1 nope t2 lo").failed(1, &["nope", "lo"]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(others(), ["t3"]);
}
