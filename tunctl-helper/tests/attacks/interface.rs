//! Interfaces that the helper did not create: it neither attaches to them nor changes them.

use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_testing::{Case, exists, ip, others};

use super::support::request::{configured, tun};
use super::support::start::ask;
use super::support::steps::{own_steps, stopped_after};
use super::support::{World, attacks, facts};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        an_existing_interface,
        an_interface_of_another_user,
        an_interface_of_the_caller,
        the_loopback_interface,
        a_persistent_interface_of_nobody,
        an_interface_with_room_for_another_queue,
        an_interface_created_between_check_and_use,
    ]
}

/// An interface that root has made in this way is refused, and stays as it is; once it is gone, the same
/// request is granted.
fn stays_as_it_is(made: &str) {
    ip(made);
    let before = facts("vpn0");
    for request in [tun("vpn0"), configured("vpn0")] {
        ask(request.to_bytes()).is_refused(Refusal::Exists);
        assert_eq!(facts("vpn0"), before);
    }
    // A pattern passes it over.
    let answer = ask(configured("vpn%d").to_bytes());
    assert_eq!((answer.granted(), facts("vpn0")), ("vpn1".to_owned(), before));
    drop(answer);
    ip("link delete vpn0");
    assert_eq!(ask(tun("vpn0").to_bytes()).granted(), "vpn0");
}

fn an_existing_interface(_: &World) {
    stays_as_it_is("link add vpn0 type veth peer name other0");
}

fn an_interface_of_another_user(_: &World) {
    stays_as_it_is("tuntap add dev vpn0 mode tun user alice");
}

/// The caller could attach to it without any right; the helper still doesn't.
fn an_interface_of_the_caller(_: &World) {
    stays_as_it_is("tuntap add dev vpn0 mode tun user nobody");
}

fn the_loopback_interface(world: &World) {
    let lo = facts("lo");
    ask(configured("lo").to_bytes()).is_refused(Refusal::Name);
    // No policy can name it.
    world.policy("[[rule]]\nuser = \"nobody\"\nnames = [\"lo\"]\n");
    ask(configured("lo").to_bytes()).is_refused(Refusal::InvalidPolicy);
    assert_eq!((facts("lo"), others().len()), (lo, 0));
    // Control: another name of two letters is one.
    world.policy("[[rule]]\nuser = \"nobody\"\nnames = [\"lp\"]\n");
    assert_eq!(ask(tun("lp").to_bytes()).granted(), "lp");
}

/// Such an interface is anybody's to attach to, without any right.
fn a_persistent_interface_of_nobody(_: &World) {
    stays_as_it_is("tuntap add dev vpn0 mode tun");
}

fn an_interface_with_room_for_another_queue(_: &World) {
    stays_as_it_is("tuntap add dev vpn0 mode tun multi_queue user nobody");
}

/// At each step, root makes an interface of that name, until the helper has made its own.
fn an_interface_created_between_check_and_use(world: &World) {
    let request = configured("vpn0").to_bytes();
    let (mut before_it, mut after_it) = (0, 0);
    for step in own_steps(&request) {
        let running = stopped_after(&step, &request);
        assert!(running.is_stopped(), "{step}");
        let is_first = !exists("vpn0");
        if is_first {
            ip("tuntap add dev vpn0 mode tun user nobody");
        }
        let stranger = is_first.then(|| facts("vpn0"));
        running.go_on();
        let answer = running.helper.answer();
        match stranger {
            Some(stranger) => {
                assert_eq!(facts("vpn0"), stranger, "{step}");
                // After the last step its own interface may have gone already.
                answer.is_refused(Refusal::Exists);
                ip("link delete vpn0");
                before_it += 1;
            }
            // Control: the request is granted where nobody came first.
            None => {
                assert!(matches!(answer.reply(), Some(Reply::Granted(_))), "{step}: {answer:?}");
                after_it += 1;
            }
        }
        drop(answer);
        world.is_as_before();
    }
    assert!(before_it > 5 && after_it > 5, "{before_it} steps before it, {after_it} after it");
}
