//! Cables and switches.

use tunctl_core::{Cause, Interface, State, TunDevice};
use tunctl_mock::{Delivery, MockBackend};

use crate::{frame, packet, received, tap, tun};

#[test]
fn what_one_end_of_a_cable_sends_the_other_receives() {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    left.send(&packet(1, 2, 7)).unwrap();
    right.send(&packet(2, 1, 8)).unwrap();
    assert_eq!(received(&right), [packet(1, 2, 7)]);
    assert_eq!(received(&left), [packet(2, 1, 8)]);
    assert_eq!((kernel.take(&left), kernel.take(&right)), (None, None), "the system sees nothing of it");
}

#[test]
fn an_unplugged_cable_gives_both_ends_back_to_the_system() {
    let kernel = MockBackend::new();
    let (left, right) = (tap(&kernel, "left"), tap(&kernel, "right"));
    kernel.cable("left", "right").unwrap();
    kernel.unplug(&right);
    left.send(&frame(1, 2, 7)).unwrap();
    assert_eq!(received(&right), [[0; 0]; 0]);
    assert_eq!(kernel.packets(&left), [frame(1, 2, 7)]);
}

#[test]
fn packets_and_frames_do_not_mix() {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tap(&kernel, "right"));
    assert_eq!(kernel.cable(&left, &right).unwrap_err().cause(), Cause::LayerMismatch);
    assert_eq!(kernel.switch([&left, &right]).unwrap_err().cause(), Cause::LayerMismatch);
    assert_eq!(kernel.cable(&left, "nobody").unwrap_err().cause(), Cause::NotFound);
}

#[test]
fn what_reaches_an_end_that_is_down_is_counted_as_lost() {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    right.down().unwrap();
    left.send(&packet(1, 2, 7)).unwrap();
    assert_eq!((kernel.lost(&right), kernel.dropped(&right)), (1, 0));
}

#[test]
fn a_full_queue_at_the_other_end_drops_and_counts() {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    right.interface().set_queue_length(3).unwrap();
    for number in 0..5 {
        left.send(&packet(1, 2, number)).unwrap();
    }
    assert_eq!(received(&right), [packet(1, 2, 0), packet(1, 2, 1), packet(1, 2, 2)]);
    assert_eq!(kernel.dropped(&right), 2);
}

#[test]
fn a_switch_learns_where_stations_are() {
    let kernel = MockBackend::new();
    let taps = ["tap1", "tap2", "tap3"].map(|name| tap(&kernel, name));
    kernel.switch(&taps).unwrap();
    // 2 has not sent anything yet.
    taps[0].send(&frame(1, 2, 0)).unwrap();
    assert_eq!([received(&taps[1]).len(), received(&taps[2]).len()], [1, 1]);
    taps[1].send(&frame(2, 1, 1)).unwrap();
    assert_eq!(received(&taps[0]), [frame(2, 1, 1)]);
    assert_eq!(received(&taps[2]), [[0; 0]; 0]);
    taps[0].send(&frame(1, 2, 2)).unwrap();
    assert_eq!([received(&taps[1]).len(), received(&taps[2]).len()], [1, 0]);
    // A station that moves is heard at its new place.
    taps[2].send(&frame(2, 9, 3)).unwrap();
    taps.iter().for_each(|tap| drop(received(tap)));
    taps[0].send(&frame(1, 2, 4)).unwrap();
    assert_eq!([received(&taps[1]).len(), received(&taps[2]).len()], [0, 1]);
}

#[test]
fn a_switch_of_tuns_learns_addresses() {
    let kernel = MockBackend::new();
    let tuns = ["tun1", "tun2", "tun3"].map(|name| tun(&kernel, name));
    kernel.switch(&tuns).unwrap();
    tuns[1].send(&packet(2, 9, 0)).unwrap();
    assert_eq!([received(&tuns[0]).len(), received(&tuns[2]).len()], [1, 1]);
    tuns[0].send(&packet(1, 2, 1)).unwrap();
    assert_eq!([received(&tuns[1]).len(), received(&tuns[2]).len()], [1, 0]);
}

#[test]
fn a_switch_of_tuns_learns_ipv6_addresses() {
    let kernel = MockBackend::new();
    let tuns = ["tun1", "tun2", "tun3"].map(|name| tun(&kernel, name));
    kernel.switch(&tuns).unwrap();
    let packet = |from: u8, to: u8| {
        let mut packet = vec![0; 40];
        (packet[0], packet[23], packet[39]) = (0x60, from, to);
        packet
    };
    tuns[1].send(&packet(2, 9)).unwrap();
    tuns[0].send(&packet(1, 2)).unwrap();
    assert_eq!(received(&tuns[1]), [packet(1, 2)]);
    assert_eq!(received(&tuns[2]), [packet(2, 9)]);
}

#[test]
fn what_is_for_a_station_at_the_same_port_goes_nowhere() {
    let kernel = MockBackend::new();
    let taps = ["tap1", "tap2"].map(|name| tap(&kernel, name));
    kernel.switch(&taps).unwrap();
    for (from, to, arrives) in [(1, 9, 1), (5, 1, 0), (5, 9, 1)] {
        taps[0].send(&frame(from, to, 0)).unwrap();
        assert_eq!([received(&taps[0]).len(), received(&taps[1]).len()], [0, arrives]);
    }
}

#[test]
fn two_switches_have_nothing_to_do_with_each_other() {
    let kernel = MockBackend::new();
    let taps = ["tap1", "tap2", "tap3", "tap4"].map(|name| tap(&kernel, name));
    kernel.switch(&taps[..2]).unwrap();
    kernel.switch(&taps[2..]).unwrap();
    taps[0].send(&frame(1, 9, 0)).unwrap();
    taps[2].send(&frame(1, 9, 1)).unwrap();
    let arrived = taps.each_ref().map(received);
    assert_eq!(arrived, [vec![], vec![frame(1, 9, 0)], vec![], vec![frame(1, 9, 1)]]);
}

#[test]
fn what_is_unplugged_from_a_switch_is_forgotten_there_and_the_rest_goes_on() {
    let kernel = MockBackend::new();
    let taps = ["tap1", "tap2", "tap3"].map(|name| tap(&kernel, name));
    kernel.switch(&taps).unwrap();
    for (number, tap) in (1..).zip(&taps) {
        tap.send(&frame(number, 9, 0)).unwrap();
    }
    taps.iter().for_each(|tap| drop(received(tap)));
    kernel.unplug(&taps[1]);
    taps[1].send(&frame(2, 1, 1)).unwrap();
    assert_eq!(kernel.packets(&taps[1]), [frame(2, 1, 1)], "the system has it");
    // 2 was heard at the port that is gone, 3 is where it was.
    taps[0].send(&frame(1, 2, 2)).unwrap();
    taps[0].send(&frame(1, 3, 3)).unwrap();
    assert_eq!(received(&taps[2]), [frame(1, 2, 2), frame(1, 3, 3)]);
    assert_eq!(received(&taps[1]), [[0; 0]; 0]);
    // 1 is still known: a frame for it leaves by its port alone.
    kernel.switch([&taps[1]]).unwrap();
    taps[2].send(&frame(3, 1, 4)).unwrap();
    assert_eq!([received(&taps[0]).len(), received(&taps[1]).len()], [1, 0]);
}

#[test]
fn a_deleted_end_leaves_the_other_to_the_system() {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    kernel.delete(&right);
    left.send(&packet(1, 2, 7)).unwrap();
    assert_eq!(kernel.packets(&left), [packet(1, 2, 7)]);
    assert_eq!(kernel.inject("right", packet(1, 2, 7)), Delivery::Refused);
}

#[test]
fn no_system_would_send_what_is_longer_than_the_mtu() {
    let kernel = MockBackend::new();
    let (tun, tap) = (tun(&kernel, "tun0"), tap(&kernel, "tap0"));
    assert_eq!(kernel.inject(&tun, vec![0x45; 1500]), Delivery::Queued);
    assert_eq!(kernel.inject(&tun, vec![0x45; 1501]), Delivery::Refused);
    assert_eq!(kernel.inject(&tap, vec![0; 1514]), Delivery::Queued);
    assert_eq!(kernel.inject(&tap, vec![0; 1515]), Delivery::Refused);
    assert_eq!(kernel.inject(&tap, vec![0; 13]), Delivery::Refused);
    // A VLAN tag comes on top.
    let tagged = |length: usize| [&frame(1, 2, 0)[..12], &[0x81, 0x00], &vec![0; length - 14]].concat();
    assert_eq!(kernel.inject(&tap, tagged(1518)), Delivery::Queued);
    assert_eq!(kernel.inject(&tap, tagged(1519)), Delivery::Refused);
}

#[test]
fn no_system_sends_a_packet_of_no_bytes() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    assert_eq!(kernel.inject(&device, []), Delivery::Refused);
    assert_eq!((kernel.dropped(&device), received(&device)), (0, Vec::new()));
    kernel.set_state(&device, State::Down);
    assert_eq!(kernel.inject(&device, []), Delivery::Down);
}

#[test]
fn an_unsolicited_packet_is_there_when_asked_for() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    assert_eq!(received(&device), [[0; 0]; 0]);
    assert_eq!(kernel.solicit_routers(&device), Delivery::Queued);
    let solicitation = received(&device).remove(0);
    assert_eq!((solicitation[0] >> 4, solicitation[6], solicitation[40]), (6, 58, 133));
    let device = tap(&kernel, "tap0");
    assert_eq!(kernel.solicit_routers(&device), Delivery::Queued);
    let lengths: Vec<_> = received(&device).iter().map(Vec::len).collect();
    assert_eq!(lengths, [90, 86, 90, 70]);
    kernel.set_ipv6(false);
    assert_eq!(kernel.solicit_routers(&device), Delivery::Refused);
    assert_eq!(kernel.solicit_routers("nobody"), Delivery::Refused);
}

#[test]
fn what_was_sent_before_a_deletion_can_be_taken_after_it() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    device.send(&packet(1, 2, 7)).unwrap();
    device.destroy().unwrap();
    assert_eq!(kernel.packets("tun0"), [packet(1, 2, 7)]);
    let device = tun(&kernel, "tun0");
    device.send(&packet(1, 2, 8)).unwrap();
    kernel.delete("tun0");
    assert_eq!(kernel.take(&device), Some(packet(1, 2, 8)));
    device.name().unwrap_err();
    // Another of the name is another.
    let last = tun(&kernel, "tun1");
    last.send(&packet(1, 2, 9)).unwrap();
    last.destroy().unwrap();
    let _next = tun(&kernel, "tun1");
    assert_eq!(kernel.take("tun1"), None);
}
