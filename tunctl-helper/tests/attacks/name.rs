//! Names that a rule doesn't mean, and interfaces that take its names.

use tunctl_helper::protocol::Refusal;
use tunctl_testing::{Case, OtherNamespace, exists, ip, others};

use super::support::request::{NAME, configured, tun, with_name_field};
use super::support::start::{Start, ask};
use super::support::steps::{own_steps, stopped_after};
use super::support::{ALICE, World, attacks, facts, interfaces};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_name_longer_than_15_bytes,
        a_nul_in_a_name,
        look_alikes_and_another_case,
        a_pattern_that_escapes_the_prefix,
        a_number_that_is_no_plain_decimal,
        a_longer_prefix,
        alternative_names_and_descriptions_of_other_interfaces,
        squatting_before_a_service_starts,
        a_rename_while_it_configures,
        a_rename_race_while_it_configures,
        a_move_while_it_configures,
    ]
}

/// None of these names is granted, and none leaves an interface.
fn are_refused(names: &[&str]) {
    let before = interfaces();
    for name in names {
        ask(tun(name).to_bytes()).is_refused(Refusal::Name);
        assert_eq!(interfaces(), before, "{name}");
    }
}

#[track_caller]
fn is_granted(name: &str, expected: &str) {
    assert_eq!(ask(tun(name).to_bytes()).granted(), expected);
}

fn a_name_longer_than_15_bytes(world: &World) {
    world.policy(RULE.replace("NAMES", r#""vpn3456789abcdef""#));
    ask(tun("vpn0").to_bytes()).is_refused(Refusal::InvalidPolicy);
    world.policy(RULE.replace("NAMES", r#""vpn3456789abcde", "vpn456789abcd%d""#));
    ask(with_name_field(*b"vpn3456789abcdef")).is_refused(Refusal::Malformed);
    ask(with_name_field(*b"vpn3456789abcde\xff")).is_refused(Refusal::Malformed);
    // The kernel's name for the eleventh would have 16 bytes.
    are_refused(&["vpn3456789abcd", "vpn456789abcd"]);
    // Control: 15 bytes fit.
    is_granted("vpn3456789abcde", "vpn3456789abcde");
    is_granted("vpn456789abcd%d", "vpn456789abcd0");
    is_granted("vpn456789abcd99", "vpn456789abcd99");
}

const RULE: &str = "[[rule]]\nuser = \"nobody\"\nnames = [NAMES]\n";

fn a_nul_in_a_name(_: &World) {
    for name in
        [*b"vpn0\0x\0\0\0\0\0\0\0\0\0\0", *b"vpn0\0\0\0\0\0\0\0\0\0\0\0x", *b"\0vpn0\0\0\0\0\0\0\0\0\0\0\0"]
    {
        ask(with_name_field(name)).is_refused(Refusal::Malformed);
    }
    assert!(others().is_empty());
    is_granted("vpn0", "vpn0");
}

fn look_alikes_and_another_case(_: &World) {
    are_refused(&[
        "VPN0",
        "Vpn0",
        "WORK0",
        "Work0",
        "vpN0",
        "vpn\u{ff10}",
        "\u{3bd}pn0",
        "v\u{440}n0",
        "vpn0\u{200b}",
        "vpn\u{661}",
        "vpn0 ",
        " vpn0",
        "vpn0\t",
        "vpn0\n",
        "vpn0\r",
        "vpn0/",
        "../vpn0",
        "vpn0:",
        "vpn0@",
        "work0\u{301}",
    ]);
    // Bytes that are no UTF-8.
    let mut bytes = tun("vpn0").to_bytes();
    bytes[NAME + 3] = 0xff;
    ask(bytes).is_refused(Refusal::Name);
    is_granted("vpn0", "vpn0");
}

fn a_pattern_that_escapes_the_prefix(_: &World) {
    are_refused(&[
        "%d", "v%d", "vp%d", "vpnx%d", "vpn1%d", "vpn%dx", "vpn%d%d", "%dvpn", "vpn%s", "vpn%n", "vpn%D",
        "vpn%%d", "vpn%", "vpn%x", "vpn%2d", "work%d", "work0%d", "vpn", "lo", "lo%d",
    ]);
    is_granted("vpn%d", "vpn0");
}

fn a_number_that_is_no_plain_decimal(_: &World) {
    are_refused(&[
        "vpn00", "vpn01", "vpn-1", "vpn+1", "vpn1x", "vpn0x1", "vpn1e1", "vpn1.0", "vpn1_0", "vpn 1",
    ]);
    for name in ["vpn0", "vpn1", "vpn10", "vpn2147483647"] {
        is_granted(name, name);
    }
}

fn a_longer_prefix(world: &World) {
    are_refused(&["vpnx0", "vpnx", "vpn_0", "vpn0x0", "vp0", "vpm0", "work00", "work01", "work"]);
    world.policy(RULE.replace("NAMES", r#""vpnx%d""#));
    are_refused(&["vpn0", "vpn%d"]);
    is_granted("vpnx0", "vpnx0");
}

fn alternative_names_and_descriptions_of_other_interfaces(_: &World) {
    ip("tuntap add dev other0 mode tun");
    ip("link property add dev other0 altname vpn0 altname work0");
    ip("link set dev other0 alias vpn1");
    let other = facts("other0");
    // The kernel finds an interface by either name, and creates no second one.
    for name in ["vpn0", "work0"] {
        ask(configured(name).to_bytes()).is_refused(Refusal::Exists);
        assert_eq!(facts("other0"), other);
    }
    // A description is no name.
    let answer = ask(configured("vpn1").to_bytes());
    assert_eq!((answer.granted(), facts("other0")), ("vpn1".to_owned(), other.clone()));
    drop(answer);
    // A pattern gets a name that nobody has, and other0 none of the configuration.
    let answer = ask(configured("vpn%d").to_bytes());
    assert!(["vpn0", "vpn1"].contains(&&*answer.granted()) && facts("other0") == other);
    drop(answer);
    // Control: without the alternative name, the name is free.
    ip("link property del dev other0 altname vpn0");
    is_granted("vpn0", "vpn0");
    ip("link delete other0");
}

fn squatting_before_a_service_starts(world: &World) {
    let service = "\n[[rule]]\nuser = \"alice\"\nnames = [\"svc0\"]\n";
    // A name of a rule of its own waits for its user, because nobody else gets it.
    world.policy(RULE.replace("NAMES", r#""vpn%d""#) + service);
    are_refused(&["svc0", "svc%d"]);
    let answer = Start::new().user(ALICE).ask(tun("svc0").to_bytes());
    assert_eq!(answer.granted(), "svc0");
    drop(answer);
    // Control: where two users may have a name, it belongs to the first, and the other is refused.
    world.policy(RULE.replace("NAMES", r#""vpn%d", "svc%d""#) + service);
    let squatter = ask(tun("svc0").to_bytes());
    assert_eq!(squatter.granted(), "svc0");
    let before = facts("svc0");
    Start::new().user(ALICE).ask(tun("svc0").to_bytes()).is_refused(Refusal::Exists);
    assert_eq!(facts("svc0"), before);
}

/// Root, or a rule of udev, renames the new interface at each step. If it is granted, it is configured as it
/// would have been.
fn a_rename_while_it_configures(world: &World) {
    moved_at_each_step(world, "name moved0", None);
}

/// Another interface of the user's takes its name, and must stay as it is.
fn a_rename_race_while_it_configures(world: &World) {
    moved_at_each_step(world, "name moved0", Some("tuntap add dev vpn0 mode tun user nobody"));
}

/// The new interface goes to another namespace, where it keeps its name, and one of root's takes its place.
fn a_move_while_it_configures(world: &World) {
    let elsewhere = OtherNamespace::new();
    let path = elsewhere.path();
    moved_at_each_step(world, &format!("netns {path}"), Some("tuntap add dev vpn0 mode tun"));
}

fn moved_at_each_step(world: &World, movement: &str, stranger: Option<&str>) {
    let request = configured("vpn0").to_bytes();
    let mut moved = 0;
    for step in own_steps(&request) {
        let running = stopped_after(&step, &request);
        assert!(running.is_stopped(), "{step}");
        let is_there = exists("vpn0");
        if is_there {
            // The kernel does not rename an interface that is up.
            ip("link set vpn0 down");
            ip(&format!("link set vpn0 {movement}"));
            moved += 1;
        }
        let before = stranger.filter(|_| is_there).map(|made| {
            ip(made);
            facts("vpn0")
        });
        running.go_on();
        let answer = running.helper.answer();
        if let Some(before) = before {
            assert_eq!(
                facts("vpn0"),
                before,
                "another interface was changed, which took the name after {step}"
            );
            ip("link delete vpn0");
        }
        assert!(answer.signal().is_none() && answer.status.code() == Some(0), "{step}: {answer:?}");
        if exists("moved0") {
            let facts = facts("moved0");
            assert_eq!(facts["settings"][0], "0\n", "accept_ra, after {step}");
            assert_eq!(facts["link"]["ifalias"], "tunctl-helper uid 65534 name vpn%d", "after {step}");
        }
        drop(answer);
        world.is_as_before();
    }
    assert!(moved > 5, "the interface was there at {moved} steps");
}
