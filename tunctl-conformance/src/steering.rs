//! Which queue the system sends a flow's packets to: the one by which the program last sent in it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::case::{Case, suite};
use crate::expect::{frame, ipv4, ipv6, name, open, up};
use crate::queues::{join, several, switched};
use crate::{DeviceOf, Harness};
use tunctl_core::{CreateOptions, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Queues:
        a_flow_goes_to_the_queue_that_sent_in_it_last,
        a_flow_is_the_same_both_ways_and_in_any_form,
        what_has_no_ports_is_one_flow_between_two_hosts,
        another_flow_stays_where_it_is,
        frames_are_steered_too,
        a_flow_is_the_same_behind_a_tag_and_in_a_session,
        packet_information_says_of_which_protocol_a_flow_is,
        what_is_refused_steers_nothing,
        a_queue_alone_in_service_steers_nothing,
        a_detached_queue_steers_nothing,
        the_last_queue_takes_the_flows_of_one_that_goes,
        the_flows_of_the_last_queue_go_to_the_first_when_it_moves,
        the_flows_of_a_queue_are_kept_while_it_is_gone,
        the_flows_of_a_queue_that_is_gone_are_forgotten_when_the_next_goes,
        a_flow_is_forgotten_five_seconds_later,
    ]
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A packet from one host and port to another, without checksums.
fn packet(protocol: u8, from: (u8, u16), to: (u8, u16)) -> Vec<u8> {
    let mut packet = ipv4(40);
    (packet[9], packet[15], packet[19]) = (protocol, from.0, to.0);
    packet[20..22].copy_from_slice(&from.1.to_be_bytes());
    packet[22..24].copy_from_slice(&to.1.to_be_bytes());
    packet
}

/// A packet of a flow from the program, and one to it.
fn pair(flow: u16) -> [Vec<u8>; 2] {
    let (near, far) = ((1, 53), (2, 4000 + flow));
    [packet(UDP, near, far), packet(UDP, far, near)]
}

/// Queues of an interface that is up.
fn queues<H: Harness, const N: usize>(harness: &H) -> [DeviceOf<H>; N] {
    let mut first = Some(up(harness, several(), "many"));
    [(); N].map(|()| first.take().unwrap_or_else(|| join(harness)))
}

/// The queue at which a packet from the system arrives.
#[track_caller]
fn queue_of<'a, H: Harness>(
    harness: &H,
    devices: impl IntoIterator<Item = &'a DeviceOf<H>>,
    packet: &[u8],
) -> usize
where
    DeviceOf<H>: 'a,
{
    assert!(harness.inject(&name("many"), packet));
    let mut buffer = [0; 100];
    let received = |device: &DeviceOf<H>| device.try_recv(&mut buffer).is_ok();
    let mut arrived = devices.into_iter().map(received).enumerate().filter(|(_, is_here)| *is_here);
    let (queue, _) = arrived.next().expect("it arrives at a queue");
    assert_eq!(arrived.next(), None);
    queue
}

/// Asserts that an answer goes to whichever queue sends.
#[track_caller]
fn assert_follows<H: Harness>(harness: &H, devices: &[DeviceOf<H>], sent: &[u8], answer: &[u8]) {
    for (queue, device) in devices.iter().enumerate() {
        device.send(sent).unwrap();
        assert_eq!(queue_of(harness, devices, answer), queue);
    }
}

fn a_flow_goes_to_the_queue_that_sent_in_it_last<H: Harness>(harness: &H) {
    let devices: [_; 4] = queues(harness);
    for flow in 0..16 {
        let [sent, answer] = pair(flow);
        assert_follows(harness, &devices, &sent, &answer);
    }
    // All of them are still where they were.
    for flow in 0..16 {
        assert_eq!(queue_of(harness, &devices, &pair(flow)[1]), 3);
    }
}

fn a_flow_is_the_same_both_ways_and_in_any_form<H: Harness>(harness: &H) {
    let devices: [_; 4] = queues(harness);
    let [sent, answer] = pair(0);
    assert_follows(harness, &devices, &sent, &sent);
    // Addresses and ports are put in order each by itself.
    assert_follows(harness, &devices, &sent, &packet(UDP, (2, 53), (1, 4000)));
    let mut other_form = answer.clone();
    (other_form[1], other_form[5], other_form[8]) = (0x10, 7, 3);
    assert_follows(harness, &devices, &sent, &other_form);
    let (sent, mut answer) = (ipv6(60), ipv6(60));
    answer.splice(8..40, [&sent[24..40], &sent[8..24]].concat());
    let ports = [&sent[42..44], &sent[40..42]].concat();
    answer.splice(40..44, ports);
    assert_follows(harness, &devices, &sent, &answer);
}

fn what_has_no_ports_is_one_flow_between_two_hosts<H: Harness>(harness: &H) {
    let devices: [_; 4] = queues(harness);
    const ICMP: u8 = 1;
    assert_follows(harness, &devices, &packet(ICMP, (1, 8), (2, 1)), &packet(ICMP, (2, 0), (1, 7)));
    // Each fragment, since only the first has ports.
    let fragment = |field: u16, from, to| {
        let mut packet = packet(UDP, from, to);
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        packet
    };
    let later = fragment(5, (2, 9), (1, 9));
    assert_follows(harness, &devices, &fragment(0x2000, (1, 53), (2, 4000)), &later);
    assert_follows(harness, &devices, &later, &fragment(0x2000, (2, 7), (1, 8)));
}

fn another_flow_stays_where_it_is<H: Harness>(harness: &H) {
    let devices: [_; 4] = queues(harness);
    let [sent, _] = pair(0);
    for other in [pair(1)[1].clone(), packet(TCP, (2, 4000), (1, 53)), packet(UDP, (3, 4000), (1, 53))] {
        let before = queue_of(harness, &devices, &other);
        for device in &devices {
            device.send(&sent).unwrap();
            assert_eq!(queue_of(harness, &devices, &other), before);
        }
    }
}

fn frames_are_steered_too<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().multi_queue(true);
    let first = up(harness, options.clone(), "many");
    let devices = [first, open(harness, options, "many").unwrap()];
    for flow in 0..8 {
        let [sent, answer] = pair(flow).map(|packet| frame(0x0800, &packet));
        assert_follows(harness, &devices, &sent, &answer);
    }
}

fn a_flow_is_the_same_behind_a_tag_and_in_a_session<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().multi_queue(true);
    let first = up(harness, options.clone(), "many");
    let devices = [first, open(harness, options, "many").unwrap()];
    let [sent, answer] = pair(0);
    let tagged = frame(0x8100, &[&[0, 5, 8, 0][..], &sent].concat());
    // A session, with the length of its packets and the number of IPv4.
    let in_session = |packet: &[u8]| frame(0x8864, &[&[0x11, 0, 0, 7, 0, 42, 0, 0x21][..], packet].concat());
    for form in [tagged, in_session(&sent)] {
        assert_follows(harness, &devices, &form, &frame(0x0800, &answer));
    }
    assert_follows(harness, &devices, &frame(0x0800, &sent), &in_session(&answer));
    // Of another protocol, all is one flow: also behind labels.
    assert_follows(harness, &devices, &frame(0x0806, &[0; 28]), &frame(0x0806, &[1; 28]));
    let labelled = |packet: &[u8]| frame(0x8847, &[&[0, 1, 1, 64][..], packet].concat());
    assert_follows(harness, &devices, &labelled(&sent), &labelled(&pair(1)[1]));
}

/// The system believes it, and not the packet.
fn packet_information_says_of_which_protocol_a_flow_is<H: Harness>(harness: &H) {
    let first = up(harness, several().packet_information(true), "many");
    let second = open(harness, several().packet_information(true), "many").unwrap();
    let devices = [first, second];
    let [sent, answer] = pair(7);
    let goes_to = |ether_type: [u8; 2], queue: usize| {
        let packet = [&[0, 0], &ether_type[..], &sent].concat();
        devices[queue].send(&packet).unwrap();
        assert!(harness.inject(&name("many"), &answer));
        let mut buffer = [0; 1500];
        devices.iter().position(|device| device.try_recv(&mut buffer).is_ok())
    };
    assert_eq!([0, 1, 0].map(|queue| goes_to([0x08, 0x00], queue)), [Some(0), Some(1), Some(0)]);
    // Of another protocol, it is another flow: the answer stays where it went before.
    assert_eq!([1, 0, 1].map(|queue| goes_to([0x88, 0xb5], queue)), [Some(0); 3]);
}

fn what_is_refused_steers_nothing<H: Harness>(harness: &H) {
    let devices: [_; 2] = queues(harness);
    let [sent, answer] = pair(0);
    devices[1].send(&sent).unwrap();
    harness.set_up(&name("many"), false);
    assert!(devices[0].try_send(&sent).is_err());
    harness.set_up(&name("many"), true);
    assert_eq!(queue_of(harness, &devices, &answer), 1);
}

fn a_queue_alone_in_service_steers_nothing<H: Harness>(harness: &H) {
    let devices: [_; 2] = queues(harness);
    // A flow that the system has chosen the second queue for.
    let mut flows = (0..100).map(pair);
    let of_second = flows.find(|[_, answer]| queue_of(harness, &devices, answer) == 1);
    let [sent, answer] = of_second.expect("flows are spread over both");
    if !switched(harness, &devices[1], false) {
        return;
    }
    devices[0].send(&sent).unwrap();
    switched(harness, &devices[1], true);
    assert_eq!(queue_of(harness, &devices, &answer), 1);
}

fn a_detached_queue_steers_nothing<H: Harness>(harness: &H) {
    let devices: [_; 3] = queues(harness);
    let [sent, answer] = pair(0);
    devices[1].send(&sent).unwrap();
    if !switched(harness, &devices[0], false) {
        return;
    }
    devices[0].send(&sent).unwrap();
    assert_eq!(queue_of(harness, &devices, &answer), 1);
}

fn the_last_queue_takes_the_flows_of_one_that_goes<H: Harness>(harness: &H) {
    let [first, second, third, fourth] = queues(harness);
    let answers = [&first, &second, &third, &fourth].into_iter().zip(0..).map(|(device, flow)| {
        let [sent, answer] = pair(flow);
        device.send(&sent).unwrap();
        answer
    });
    let [of_first, of_second, of_third, _] = answers.collect::<Vec<_>>().try_into().unwrap();
    drop(second);
    let left = [&first, &third, &fourth];
    assert_eq!(queue_of(harness, left, &of_first), 0);
    assert_eq!(queue_of(harness, left, &of_third), 1);
    assert_eq!(queue_of(harness, left, &of_second), 2);
}

/// The system goes by the number that the last queue had, and there is none with it any more.
fn the_flows_of_the_last_queue_go_to_the_first_when_it_moves<H: Harness>(harness: &H) {
    let [first, second, third] = queues(harness);
    let [sent, answer] = pair(0);
    third.send(&sent).unwrap();
    drop(second);
    assert_eq!(queue_of(harness, [&first, &third], &answer), 0);
    // A new queue gets the number, and the flow with it.
    let fourth = join(harness);
    assert_eq!(queue_of(harness, [&first, &third, &fourth], &answer), 2);
}

/// Many flows that the fourth of four queues sends in, which then goes, and others with it. The queues that
/// their packets reach when there are four again.
fn queues_after_others_went<H: Harness>(harness: &H, others: usize) -> BTreeSet<usize> {
    let mut devices: Vec<_> = queues::<H, 4>(harness).into();
    for flow in 0..40 {
        devices[3].send(&pair(flow)[0]).unwrap();
    }
    for _ in 0..=others {
        devices.pop();
    }
    while devices.len() < 4 {
        devices.push(join(harness));
    }
    (0..40).map(|flow| queue_of(harness, &devices, &pair(flow)[1])).collect()
}

fn the_flows_of_a_queue_are_kept_while_it_is_gone<H: Harness>(harness: &H) {
    assert_eq!(queues_after_others_went(harness, 0), BTreeSet::from([3]));
}

/// Linux forgets the flows of the queue that went before (`__tun_detach`, 6.18): it counts one too many.
fn the_flows_of_a_queue_that_is_gone_are_forgotten_when_the_next_goes<H: Harness>(harness: &H) {
    assert!(queues_after_others_went(harness, 1).len() > 1);
}

fn a_flow_is_forgotten_five_seconds_later<H: Harness>(harness: &H) {
    let devices: [_; 4] = queues(harness);
    let [sent, answer] = pair(0);
    let before = queue_of(harness, &devices, &answer);
    let other = (before + 1) % 4;
    devices[other].send(&sent).unwrap();
    for _ in 0..2 {
        // What the system sends does not keep it.
        assert_eq!(queue_of(harness, &devices, &answer), other);
        harness.pass_time(Duration::from_secs(1));
    }
    devices[other].send(&sent).unwrap();
    harness.pass_time(Duration::from_secs(2));
    assert_eq!(queue_of(harness, &devices, &answer), other);
    harness.pass_time(Duration::from_secs(3));
    assert_eq!(queue_of(harness, &devices, &answer), before);
}
