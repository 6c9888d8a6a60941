//! How a test refers to an interface, and what it can ask.

use std::thread;
use std::time::Duration;

use tunctl_core::{Cause, InterfaceName, Operation, State, TunBackend, TunDevice};
use tunctl_mock::{Delivery, Errno, Fault, MockBackend};

use crate::{packet, tun};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_device_may_be_given_away_to_any_question() {
    let kernel = MockBackend::new();
    kernel.set_state(tun(&kernel, "a"), State::Down);
    kernel.delete(tun(&kernel, "a"));
    kernel.delete(Box::new(tun(&kernel, "a")));
    assert_eq!(kernel.dropped(tun(&kernel, "a")), 0);
    assert_eq!(kernel.inject(tun(&kernel, "a"), packet(2, 1, 0)), Delivery::Queued);
    assert_eq!(kernel.take(tun(&kernel, "a")), None);
    assert_eq!(kernel.take_within(tun(&kernel, "a"), Duration::ZERO), None);
    kernel.rename(tun(&kernel, "a"), "b".parse().unwrap()).unwrap();
    kernel.cable(tun(&kernel, "a"), tun(&kernel, "b")).unwrap();
    assert!(kernel.interfaces().unwrap().is_empty());
}

#[test]
fn a_switch_takes_ports_that_are_found_on_the_way() {
    let kernel = MockBackend::new();
    let tuns = ["tun1", "tun2"].map(|name| tun(&kernel, name));
    kernel.switch(tuns.iter().map(|tun| kernel.interface(&tun.name().unwrap()).unwrap())).unwrap();
    assert_eq!(kernel.inject(String::from("tun1"), packet(2, 1, 0)), Delivery::Queued);
}

#[test]
fn an_interface_is_remembered_under_the_name_that_it_had_last() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "a");
    device.send(&packet(1, 2, 1)).unwrap();
    kernel.rename(&device, "b".parse().unwrap()).unwrap();
    // Another lives and dies under the old name.
    let other = tun(&kernel, "a");
    other.send(&packet(1, 2, 2)).unwrap();
    kernel.delete("a");
    kernel.delete("b");
    assert_eq!((kernel.take("a"), kernel.take(&other)), (Some(packet(1, 2, 2)), None));
    assert_eq!(kernel.take(&device), Some(packet(1, 2, 1)));
    assert_eq!((kernel.missed("b"), kernel.dropped(&device), kernel.lost("b")), (0, 0, 0));
    // A third one takes the name, and is not confused with the one before.
    let third = tun(&kernel, "c");
    kernel.rename(&third, "b".parse().unwrap()).unwrap();
    third.send(&packet(1, 2, 3)).unwrap();
    third.destroy().unwrap();
    assert_eq!(kernel.packets("b"), [packet(1, 2, 3)]);
}

#[test]
fn a_test_waits_for_what_the_program_does() {
    let kernel = MockBackend::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            let device = tun(&kernel, "vpn0");
            let length = device.recv(&mut [0; 100]).unwrap();
            thread::sleep(Duration::from_millis(20));
            device.send(&packet(1, 2, u8::try_from(length).unwrap())).unwrap();
        });
        assert!(kernel.wait_until_up("vpn0", SOON));
        kernel.inject("vpn0", packet(2, 1, 0));
        assert_eq!(kernel.take_within("vpn0", SOON), Some(packet(1, 2, 21)));
    });
    assert!(!kernel.wait_until_up("vpn0", Duration::from_millis(1)));
}

#[test]
#[should_panic(expected = "never was")]
fn a_question_about_what_never_was_is_a_mistake_of_the_test() {
    let _ = MockBackend::new().dropped("vpn7");
}

#[test]
fn refusals_of_the_test_s_side_say_what_was_asked_of_whom() {
    let kernel = MockBackend::new();
    let (_a, _b) = (tun(&kernel, "a"), tun(&kernel, "b"));
    let error = kernel.rename("a", "b".parse().unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("rename a: an interface of that name exists"), "{error}");
    let error = kernel.cable("a", "x").unwrap_err();
    assert!(error.to_string().starts_with("connect x: there is no interface"), "{error}");
    assert!(kernel.cable("a", "a").is_err());
}

#[test]
fn a_fault_is_for_the_nth_call_however_long_that_waits() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.script(Fault::on(Operation::Receive).nth(2).errno(Errno::EFAULT));
    thread::scope(|scope| {
        let reader = scope.spawn(|| device.recv(&mut [0; 100]));
        thread::sleep(Duration::from_millis(30));
        kernel.inject("tun0", packet(2, 1, 0));
        assert_eq!(reader.join().unwrap().unwrap(), 21);
    });
    assert_eq!(kernel.pending_faults(), 1);
    assert_eq!(device.recv(&mut [0; 100]).unwrap_err().raw_os_error(), Some(14));
    assert_eq!(kernel.pending_faults(), 0);
}

#[test]
fn a_handle_of_another_system_means_nothing_here() {
    let (here, there) = (MockBackend::new(), MockBackend::new());
    let (_ours, theirs) = (tun(&here, "tun0"), tun(&there, "tun0"));
    assert_eq!(here.inject(&theirs, packet(2, 1, 0)), Delivery::Refused);
    assert_eq!(here.inject(theirs.interface(), packet(2, 1, 0)), Delivery::Refused);
    let wanted: InterfaceName = "tun7".parse().unwrap();
    for refused in [here.rename(&theirs, wanted), here.rename(theirs.interface(), wanted)] {
        let error = refused.unwrap_err();
        assert_eq!(error.cause(), Cause::NotFound);
        // The name of the handle, although there is one of that name here too.
        assert_eq!(error.interface(), Some("tun0".parse().unwrap()));
    }
    assert_eq!(there.inject(&theirs, packet(2, 1, 0)), Delivery::Queued);
}
