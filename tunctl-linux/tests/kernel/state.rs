//! Up and down.

use tunctl_core::{Interface, State, TunDevice};
use tunctl_testing::{Case, Strace, addresses, case, ip, mark};

use super::support::{address, has_flag, tap, tun, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(up_and_down_change_one_flag),
        case!(down_keeps_ipv4_addresses_and_loses_ipv6_ones),
        case!(down_leaves_the_other_flags_alone),
        case!(an_address_is_taken_back_when_the_interface_does_not_come_up)
            .entry("up", up_that_may_fail)
            .needs_tool("strace"),
        case!(a_lost_answer_of_the_kernels_does_not_matter)
            .entry("up", up_that_may_fail)
            .needs_tool("strace"),
        case!(an_address_that_was_there_before_stays_when_the_interface_does_not_come_up)
            .entry("up again", up_again_that_may_fail)
            .needs_tool("strace"),
    ]
}

fn up_and_down_change_one_flag() {
    without_ipv6();
    for device in [tun("tun0"), tap("tap0")] {
        let name = device.name().unwrap().to_string();
        assert!(!has_flag(&name, "UP"));
        device.interface().set_state(State::Up).unwrap();
        assert!(has_flag(&name, "UP"));
        assert!(addresses(&name).is_empty());
        assert_eq!(device.interface().state().unwrap(), State::Up);
        device.interface().set_state(State::Up).unwrap();
        device.down().unwrap();
        assert!(!has_flag(&name, "UP"));
        assert_eq!(device.interface().state().unwrap(), State::Down);
        device.down().unwrap();
    }
}

fn down_keeps_ipv4_addresses_and_loses_ipv6_ones() {
    let device = tun("tun0");
    device.up(address("10.1.1.1/24")).unwrap();
    device.up(address("fd77::1")).unwrap();
    assert!(addresses("tun0").len() >= 2);
    device.down().unwrap();
    let left = addresses("tun0");
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0]["local"], &left[0]["prefixlen"]), (&"10.1.1.1".into(), &24.into()));
    device.interface().set_state(State::Up).unwrap();
    assert!(!addresses("tun0").iter().any(|address| address["local"] == "fd77::1"));
}

fn down_leaves_the_other_flags_alone() {
    let device = tap("tap0");
    ip("link set tap0 up promisc on arp off");
    let flags = |name| tunctl_testing::link(name).unwrap()["flags"].clone();
    let before = flags("tap0");
    for set in ["PROMISC", "NOARP", "UP"] {
        assert!(has_flag("tap0", set), "{set}");
    }
    device.down().unwrap();
    for (flag, expected) in [("PROMISC", true), ("NOARP", true), ("UP", false)] {
        assert_eq!(has_flag("tap0", flag), expected, "{flag}");
    }
    device.interface().set_state(State::Up).unwrap();
    assert!(has_flag("tap0", "PROMISC") && has_flag("tap0", "NOARP") && has_flag("tap0", "UP"), "{before}");
}

/// Brings an interface up, and says how that went; only the call itself stands between the marks.
fn up_and_report(before: &[&str]) {
    let device = tun("tun0");
    for text in before {
        device.interface().add_address(address(text)).unwrap();
    }
    mark("up");
    let outcome = device.up(address("10.1.1.1"));
    mark("done");
    // Without the link-local one, which the kernel makes when the interface is up.
    let held = addresses("tun0").into_iter().filter(|address| address["scope"] != "link");
    let held: Vec<_> = held.map(|address| address["local"].to_string()).collect();
    println!("addresses: {}", held.join(" "));
    println!("up: {}", has_flag("tun0", "UP"));
    match outcome {
        Ok(()) => println!("succeeded"),
        Err(error) => println!("{:?} {:?} {:?}", error.operation(), error.cause(), error.raw_os_error()),
    }
}

fn up_that_may_fail() {
    up_and_report(&[]);
}

fn up_again_that_may_fail() {
    up_and_report(&["10.1.1.1", "10.2.2.2"]);
}

/// Runs the entry once as it is, then once for each system call in `up` whose name starts so, which fails as
/// `fail` says; returns what those runs printed, in order.
fn fail_each(entry: &str, start: &str, fail: impl Fn(Strace, &str, usize) -> Strace) -> Vec<String> {
    let healthy = Strace::new(entry).run();
    assert!(healthy.printed.ends_with("up: true\nsucceeded\n"), "{}", healthy.printed);
    let steps = healthy.numbered_between("up", "done").into_iter();
    let steps: Vec<_> = steps.filter(|(call, _)| call.name.starts_with(start)).collect();
    assert!(steps.len() >= 2, "what there is, and what is to be, are two requests");
    steps
        .into_iter()
        .map(|(call, position)| fail(Strace::new(entry), &call.name, position).run().printed)
        .collect()
}

/// One alone does not matter: what is refused together is asked for again one by one.
fn refuse_from(strace: Strace, call: &str, position: usize) -> Strace {
    strace.fail_from(call, "EPERM", position)
}

fn lose_one(strace: Strace, call: &str, position: usize) -> Strace {
    strace.fail(call, "ENOBUFS", position)
}

fn an_address_is_taken_back_when_the_interface_does_not_come_up() {
    let runs = fail_each("up", "send", refuse_from);
    for printed in &runs {
        // Whichever request it was, nothing of it is left.
        assert!(printed.starts_with("addresses: \nup: false\n"), "{printed}");
    }
    let state_failed = |printed: &String| printed.contains("\nUp ") && printed.ends_with(" Some(1)\n");
    assert!(runs.iter().any(state_failed), "{runs:?}");
}

fn an_address_that_was_there_before_stays_when_the_interface_does_not_come_up() {
    for printed in fail_each("up again", "send", refuse_from) {
        let expected = "addresses: \"10.1.1.1\" \"10.2.2.2\"\nup: false\n";
        assert!(printed.starts_with(expected), "{printed}");
    }
}

fn a_lost_answer_of_the_kernels_does_not_matter() {
    for printed in fail_each("up", "recv", lose_one) {
        assert_eq!(printed, "addresses: \"10.1.1.1\"\nup: true\nsucceeded\n");
    }
}
