//! More devices than a rule allows.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::{io, thread};

use nix::sys::signal::Signal;

use tunctl_helper::protocol::{Refusal, Reply, Request};
use tunctl_sys::linux::{InterfaceRequest, iff, tun as driver};
use tunctl_testing::{Case, OPEN_NODE, OtherNamespace, caller, driver_report, exists, ip, others};

use super::support::helper::Answer;
use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::steps::{own_steps, stopped_after};
use super::support::{ALICE, NOBODY, USUAL, World, attacks, signal_to};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_hundred_in_parallel_for_a_quota_of_3,
        a_request_between_count_and_creation,
        one_more_than_the_quota,
        a_persistent_interface_without_a_descriptor,
        an_owner_that_was_changed,
        a_description_that_somebody_wrote,
        a_second_queue_before_the_description,
        a_queue_that_another_user_attaches,
        a_renamed_interface,
        a_lock_of_the_same_name,
    ]
}

fn any() -> Vec<u8> {
    tun("vpn%d").to_bytes().to_vec()
}

fn many(count: usize) -> Vec<Answer> {
    let helpers: Vec<_> = (0..count).map(|_| Start::new().run()).collect();
    for helper in &helpers {
        helper.send(&any());
    }
    thread::scope(|scope| {
        let waiting: Vec<_> = helpers.into_iter().map(|helper| scope.spawn(|| helper.answer())).collect();
        waiting.into_iter().map(|answer| answer.join().unwrap()).collect()
    })
}

fn granted(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| matches!(answer.reply(), Some(Reply::Granted(_)))).count()
}

fn a_hundred_in_parallel_for_a_quota_of_3(world: &World) {
    let answers = many(100);
    for answer in &answers {
        match answer.reply() {
            Some(Reply::Granted(_)) => drop(answer.granted()),
            _ => assert!([Refusal::TooMany { limit: 3 }, Refusal::Busy].contains(&answer.refusal())),
        }
    }
    assert_eq!((granted(&answers), others().len()), (3, 3));
    drop(answers);
    world.is_as_before();
    // Control: with a quota of 100, a hundred come through, if not all in the time that a lock is waited for.
    world.policy(USUAL.replace("devices = 3", "devices = 100"));
    let mut all = Vec::new();
    while granted(&all) < 100 {
        let answers = many(100 - granted(&all));
        assert!(granted(&answers) > 3, "{answers:?}");
        all.extend(answers.into_iter().filter(|answer| !answer.descriptors.is_empty()));
    }
    ask(any()).is_refused(Refusal::TooMany { limit: 100 });
    assert_eq!(others().len(), 100);
}

/// The user has two, and stops a helper that has counted them. The next one must not count before the first
/// has created the third.
fn a_request_between_count_and_creation(world: &World) {
    let steps = own_steps(&any());
    let creation = steps.iter().rposition(|step| step.call.arguments.contains("TUNSETIFF"));
    let before = &steps[..creation.expect("it creates an interface")];
    let counts: Vec<_> = before.iter().filter(|step| step.call.arguments.contains("RTM_GETLINK")).collect();
    assert!(!counts.is_empty(), "{before:?}");
    for step in counts {
        let held = [ask(any()), ask(any())];
        let running = stopped_after(step, &any());
        assert!(running.is_stopped(), "{step}");
        let between = ask(any());
        running.go_on();
        let last = running.helper.answer();
        assert_eq!(granted(&held) + granted(&[between]) + granted(&[last]), 3, "{step}");
        drop(held);
        world.is_as_before();
    }
}

fn one_more_than_the_quota(world: &World) {
    let mut answers: Vec<_> = (0..3).map(|_| ask(any())).collect();
    assert_eq!(granted(&answers), 3);
    ask(any()).is_refused(Refusal::TooMany { limit: 3 });
    ask(tun("vpn9").to_bytes()).is_refused(Refusal::TooMany { limit: 3 });
    // Each entry of the list has a count of its own, each user, and each namespace.
    assert_eq!(ask(tun("work0").to_bytes()).granted(), "work0");
    let elsewhere = OtherNamespace::new();
    let other = elsewhere.run(|| ask(any()));
    assert!(matches!(other.reply(), Some(Reply::Granted(_))));
    world.policy(USUAL.to_owned() + &USUAL.replace("nobody", "alice"));
    assert_eq!(Start::new().user(ALICE).ask(any()).granted(), "vpn3");
    // Control: one less.
    answers.pop();
    assert_eq!(ask(any()).granted(), "vpn2");
}

fn a_persistent_interface_without_a_descriptor(_: &World) {
    for _ in 0..3 {
        let answer = ask(any());
        driver::set_persist(answer.device(), true).unwrap();
    }
    assert_eq!(others().len(), 3);
    ask(any()).is_refused(Refusal::TooMany { limit: 3 });
    ip("link delete vpn1");
    assert_eq!(ask(any()).granted(), "vpn1");
    ip("link delete vpn0");
    ip("link delete vpn2");
}

/// Whoever has the descriptor changes the owner; the count is not by the owner.
fn an_owner_that_was_changed(_: &World) {
    let answers = [0, 1, 2].map(|_| ask(any()));
    for answer in &answers {
        driver::set_owner(answer.device(), ALICE).unwrap();
        driver::set_group(answer.device(), ALICE).unwrap();
    }
    assert_ne!(driver_report("vpn0")["user"], "nobody");
    ask(any()).is_refused(Refusal::TooMany { limit: 3 });
}

/// Only root describes an interface. Its words count, to the letter.
fn a_description_that_somebody_wrote(_: &World) {
    let count = |words: &[&str]| {
        for (number, words) in words.iter().enumerate() {
            let name = format!("host{number}");
            ip(&format!("tuntap add dev {name} mode tun"));
            let set = ["link", "set", "dev", &name, "alias", words];
            assert!(std::process::Command::new("ip").args(set).status().unwrap().success());
        }
        let answer = ask(any());
        for number in 0..words.len() {
            ip(&format!("link delete host{number}"));
        }
        answer
    };
    let own = "tunctl-helper uid 65534 name vpn%d";
    count(&[own, own, own]).is_refused(Refusal::TooMany { limit: 3 });
    let alike = [
        "tunctl-helper uid 65534 name vpn%d ",
        "tunctl-helper uid 65534 name vpn%d2",
        "tunctl-helper uid 65534 name vpn%d3",
        "tunctl-helper uid 65534 name vpn%dx",
        "Tunctl-helper uid 65534 name vpn%d",
        "tunctl-helper uid 6553 name vpn%d",
        "tunctl-helper uid 065534 name vpn%d",
        "tunctl-helper uid 65534 name work0",
    ];
    assert!(matches!(count(&alike).reply(), Some(Reply::Granted(_))));
}

/// The flags of devices with one queue, and of those with several, if such are granted.
fn kinds() -> Vec<u16> {
    let one = iff::TUN | iff::NO_PI;
    let several = one | iff::MULTI_QUEUE;
    let answer = ask(Request { flags: several, ..tun("vpn0") }.to_bytes());
    if answer.descriptors.is_empty() {
        answer.is_refused(Refusal::Malformed);
        return vec![one];
    }
    vec![one, several]
}

/// The user attaches a second queue to the interface while the helper is about to configure it, and kills the
/// helper. If the interface stays, it must be counted.
fn a_second_queue_before_the_description(world: &World) {
    let mut kept = Vec::new();
    let mut tried = 0;
    for flags in kinds() {
        let request = Request { flags, ..configured("vpn0") }.to_bytes();
        for step in own_steps(&request) {
            let running = stopped_after(&step, &request);
            assert!(running.is_stopped(), "{step}");
            let mut queue = None;
            if exists("vpn0") {
                caller::as_caller(NOBODY, NOBODY, false, &mut || queue = attach("vpn0", flags).ok());
                tried += 1;
            }
            signal_to(running.pid(), Signal::SIGKILL);
            drop(running.helper.answer());
            if let Some(queue) = queue {
                let more: Vec<_> = (0..4).map(|_| ask(any())).collect();
                if granted(&more) > 2 {
                    kept.push(format!("{flags:#x}, after {step}: {} more", granted(&more)));
                }
                drop((more, queue));
            }
            world.is_as_before();
        }
    }
    assert!(tried > 5, "{tried}");
    assert!(kept.is_empty(), "the quota is 3, and one was there already: {kept:#?}");
}

/// Another user attaches to the interface before it has an owner, and would get a share of its packets.
fn a_queue_that_another_user_attaches(world: &World) {
    let mut attached = Vec::new();
    let mut tried = 0;
    for flags in kinds() {
        let request = Request { flags, ..tun("vpn0") }.to_bytes();
        for step in own_steps(&request) {
            let running = stopped_after(&step, &request);
            assert!(running.is_stopped(), "{step}");
            let mut queue = None;
            if exists("vpn0") {
                caller::as_caller(ALICE, ALICE, false, &mut || queue = attach("vpn0", flags).ok());
                tried += 1;
            }
            running.go_on();
            let answer = running.helper.answer();
            // Who is refused loses nothing.
            if queue.is_some() && matches!(answer.reply(), Some(Reply::Granted(_))) {
                attached.push(format!("{flags:#x}, after {step}"));
            }
            drop((queue, answer));
            world.is_as_before();
        }
    }
    assert!(tried > 5, "{tried}");
    assert!(attached.is_empty(), "alice has a queue of nobody's interface: {attached:#?}");
}

/// A further queue of an interface, as anybody can ask the driver for it.
fn attach(name: &str, flags: u16) -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).open(OPEN_NODE)?;
    let mut request = InterfaceRequest::new(name.as_bytes(), flags).unwrap();
    driver::set_iff(file.as_fd(), &mut request)?;
    Ok(file.into())
}

/// The user can neither rename nor describe; a name that root changes counts all the same.
fn a_renamed_interface(_: &World) {
    let answers = [0, 1, 2].map(|_| ask(any()));
    assert_eq!(granted(&answers), 3);
    for number in 0..3 {
        ip(&format!("link set vpn{number} name moved{number}"));
    }
    ask(any()).is_refused(Refusal::TooMany { limit: 3 });
}

/// No request gets the name of a lock, and an interface that has it is only waited for.
fn a_lock_of_the_same_name(world: &World) {
    let name = "tunlock0000fffe";
    for name in [name, "tunlock0", "tunlock%d"] {
        ask(tun(name).to_bytes()).is_refused(Refusal::Name);
    }
    ip(&format!("tuntap add dev {name} mode tun user nobody"));
    ask(any()).is_refused(Refusal::Busy);
    assert_eq!(others(), [name]);
    // Another user's lock is another one.
    world.policy(USUAL.to_owned() + &USUAL.replace("nobody", "alice"));
    let answer = Start::new().user(ALICE).ask(any());
    assert_eq!(answer.granted(), "vpn0");
    drop(answer);
    ip(&format!("link delete {name}"));
    assert_eq!(ask(any()).granted(), "vpn0");
    assert_eq!(format!("tunlock{NOBODY:08x}"), name);
}
