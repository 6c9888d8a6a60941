//! Filters in front of a tap: programs.

use crate::case::{Case, suite};
use crate::expect::{
    assert_empty, create, errno, frame, ipv4, ipv6, name, named, not_applicable, open, received,
    refused_with, tap, tun, up,
};
use crate::{DeviceOf, Harness, refused};
use tunctl_core::{Cause, CreateOptions, Layer, MacFilter, TunBackend, TunDevice};
use tunctl_packet::Filter;
use tunctl_packet::bpf::{Instruction, Program};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Filters:
        a_program_drops_frames_and_they_are_counted,
        a_program_cuts_frames,
        packet_information_names_what_a_frame_was_before_a_program_cut_it,
        a_program_is_replaced_and_removed,
        a_program_sees_no_header_of_the_device,
        a_program_that_loads_past_the_end_drops_the_frame,
        a_program_looks_behind_the_vlan_tag_that_a_sender_wrote,
        a_program_leaves_frames_that_wait_already,
        a_program_is_all_queues_in_service,
        a_queue_that_is_opened_later_has_no_program,
        a_queue_out_of_service_keeps_its_program,
        a_queue_out_of_service_gets_no_program,
        a_queue_with_a_program_is_attached_again,
        without_a_queue_in_service_there_is_nothing_to_filter,
        opening_an_interface_removes_its_filters,
        a_further_queue_leaves_the_filters_of_others,
        a_filter_stays_with_an_interface_that_goes_down,
        a_tun_has_no_filters,
        what_is_gone_has_no_filters_to_set,
    ]
}

const NO_FILTERS: &str = "it has no filters";

/// The frames that the cases send: one of IPv4, and one of IPv6.
pub(crate) fn frames() -> [Vec<u8>; 2] {
    [frame(0x0800, &ipv4(60)), frame(0x86dd, &ipv6(60))]
}

fn program(expression: &str) -> Program {
    Filter::parse(Layer::Tap, expression).expect("it is written here").program().clone()
}

/// A program that keeps so many bytes of every frame.
pub(crate) fn keeping(bytes: u32) -> Program {
    Program::new(vec![Instruction { code: 0x06, jt: 0, jf: 0, k: bytes }]).expect("it is one")
}

/// Sets or removes the program; false if the backend has no such thing, and the case no point.
#[track_caller]
pub(crate) fn filter<H: Harness>(harness: &H, device: &DeviceOf<H>, program: Option<&Program>) -> bool {
    let Some(outcome) = harness.set_filter(device, program) else {
        not_applicable(NO_FILTERS);
        return false;
    };
    outcome.map(|()| true).unwrap_or_else(|error| panic!("{error}"))
}

/// The same for MAC addresses.
#[track_caller]
pub(crate) fn mac_filter<H: Harness>(
    harness: &H,
    device: &DeviceOf<H>,
    addresses: Option<&MacFilter>,
) -> bool {
    let Some(outcome) = harness.set_mac_filter(device, addresses) else {
        not_applicable(NO_FILTERS);
        return false;
    };
    outcome.map(|()| true).unwrap_or_else(|error| panic!("{error}"))
}

/// The whole frames that reach the devices, of all of which the system sends.
pub(crate) fn passing<H: Harness>(
    harness: &H,
    text: &str,
    devices: &[&DeviceOf<H>],
    sent: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    let mut passed = Vec::new();
    for frame in sent {
        harness.inject(&name(text), frame);
        for device in devices {
            let mut buffer = [0; 2000];
            passed.extend(device.try_recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()));
        }
    }
    passed
}

/// Frames of many flows, which a system spreads over the queues as it likes.
fn flows() -> Vec<Vec<u8>> {
    let flow = |number: u8| {
        let mut packet = ipv4(28);
        packet[15] = number;
        frame(0x0800, &packet)
    };
    (0..60).map(flow).collect()
}

/// How many of the frames of many flows reach the devices.
pub(crate) fn spread<H: Harness>(harness: &H, devices: &[&DeviceOf<H>]) -> usize {
    passing(harness, "tap0", devices, &flows()).len()
}

pub(crate) fn several() -> CreateOptions {
    CreateOptions::tap().multi_queue(true)
}

fn a_program_drops_frames_and_they_are_counted<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    if !filter(harness, &device, Some(&program("ip6"))) {
        return;
    }
    let [v4, v6] = frames();
    let before = harness.dropped(&name("tap0"));
    assert!(!harness.inject(&name("tap0"), &v4));
    assert_empty(&device);
    assert_eq!(harness.dropped(&name("tap0")), before + 1);
    assert!(harness.inject(&name("tap0"), &v6));
    assert_eq!(received(&device), v6);
    assert_eq!(harness.dropped(&name("tap0")), before + 1);
}

fn a_program_cuts_frames<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let [v4, _] = frames();
    // Also to less than an Ethernet header, and to more than there is.
    for kept in [20, 14, 13, 1, 74, 75, u32::MAX] {
        if !filter(harness, &device, Some(&keeping(kept))) {
            return;
        }
        assert!(harness.inject(&name("tap0"), &v4));
        let kept = usize::try_from(kept).unwrap_or(usize::MAX).min(v4.len());
        assert_eq!(received(&device), v4[..kept]);
    }
}

fn packet_information_names_what_a_frame_was_before_a_program_cut_it<H: Harness>(harness: &H) {
    let device = match harness.backend().create(&named(CreateOptions::tap().packet_information(true), "tap0"))
    {
        Err(error) if error.cause() == Cause::Unsupported => return not_applicable(NO_FILTERS),
        device => device.unwrap(),
    };
    harness.set_up(&name("tap0"), true);
    if !filter(harness, &device, Some(&keeping(1))) {
        return;
    }
    let [v4, v6] = frames();
    for (frame, ether_type) in [(v4, [0x08, 0x00]), (v6, [0x86, 0xdd])] {
        assert!(harness.inject(&name("tap0"), &frame));
        assert_eq!(received(&device), [&[0, 0], &ether_type[..], &frame[..1]].concat());
    }
}

fn a_program_is_replaced_and_removed<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let [v4, v6] = frames();
    if !filter(harness, &device, None) {
        return;
    }
    for (expression, expected) in [("ip", [v4.clone()]), ("ip6", [v6]), ("ip", [v4])] {
        filter(harness, &device, Some(&program(expression)));
        assert_eq!(passing(harness, "tap0", &[&device], &frames()), expected);
    }
    for _ in 0..2 {
        filter(harness, &device, None);
        assert_eq!(passing(harness, "tap0", &[&device], &frames()), frames());
    }
}

fn a_program_sees_no_header_of_the_device<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().packet_information(true).vnet_header(true);
    let device = up(harness, options, "tap0");
    if !filter(harness, &device, Some(&program("ip and less 74"))) {
        return;
    }
    let [v4, v6] = frames();
    assert_eq!(v4.len(), 74);
    assert!(!harness.inject(&name("tap0"), &v6) && harness.inject(&name("tap0"), &v4));
    assert!(received(&device).ends_with(&v4));
    // What it keeps is the frame's bytes, and the headers come in front.
    filter(harness, &device, Some(&keeping(20)));
    assert!(harness.inject(&name("tap0"), &v4));
    let cut = received(&device);
    assert!(cut.len() > 20 && cut.ends_with(&v4[..20]), "{cut:?}");
}

fn a_program_that_loads_past_the_end_drops_the_frame<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    // The ports of a datagram, or neither; no frame that is cut off in front of them.
    if !filter(harness, &device, Some(&program("not port 53"))) {
        return;
    }
    let [v4, v6] = frames();
    let cut = v4[..36].to_vec();
    assert_eq!(passing(harness, "tap0", &[&device], &[v4.clone(), cut, v6.clone()]), [v4, v6]);
}

fn a_program_looks_behind_the_vlan_tag_that_a_sender_wrote<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    if !filter(harness, &device, Some(&program("vlan 5 and ip"))) {
        return;
    }
    let in_vlan = |frame: &[u8], number| [&frame[..12], &[0x81, 0, 0, number], &frame[12..]].concat();
    let [v4, v6] = frames();
    let tagged = in_vlan(&v4, 5);
    let sent = [v4.clone(), tagged.clone(), in_vlan(&v4, 6), in_vlan(&v6, 5)];
    assert_eq!(passing(harness, "tap0", &[&device], &sent), [tagged]);
}

fn a_program_leaves_frames_that_wait_already<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let [v4, v6] = frames();
    assert!(harness.inject(&name("tap0"), &v4));
    if !filter(harness, &device, Some(&program("ip6"))) {
        return;
    }
    assert!(harness.inject(&name("tap0"), &v6));
    assert_eq!([received(&device), received(&device)], [v4, v6]);
}

fn a_program_is_all_queues_in_service<H: Harness>(harness: &H) {
    let first = up(harness, several(), "tap0");
    let second = open(harness, several(), "tap0").unwrap();
    if !filter(harness, &second, Some(&program("ip6"))) {
        return;
    }
    assert_eq!(spread(harness, &[&first, &second]), 0);
    filter(harness, &first, None);
    assert_eq!(spread(harness, &[&first, &second]), 60);
}

fn a_queue_that_is_opened_later_has_no_program<H: Harness>(harness: &H) {
    for options in [several(), several().packet_information(true)] {
        let first = up(harness, options.clone(), "tap0");
        if !filter(harness, &first, Some(&program("ip6"))) {
            return;
        }
        let second = open(harness, options, "tap0").unwrap();
        let passed = spread(harness, &[&first, &second]);
        assert_eq!(spread(harness, &[&first]), 0);
        // Which flows go to which queue is the system's choice.
        assert!((1..60).contains(&passed), "{passed}");
        harness.delete(&name("tap0"));
    }
}

fn a_queue_out_of_service_keeps_its_program<H: Harness>(harness: &H) {
    let first = up(harness, several(), "tap0");
    let second = open(harness, several(), "tap0").unwrap();
    if !filter(harness, &first, Some(&program("ip6"))) {
        return;
    }
    harness.set_queue(&second, false).unwrap().unwrap();
    filter(harness, &first, None);
    assert_eq!(spread(harness, &[&first]), 60);
    harness.set_queue(&second, true).unwrap().unwrap();
    let passed = spread(harness, &[&first]);
    assert!((1..60).contains(&passed), "{passed}");
    assert_empty(&second);
    filter(harness, &first, None);
    assert_eq!(spread(harness, &[&first, &second]), 60);
}

fn a_queue_out_of_service_gets_no_program<H: Harness>(harness: &H) {
    let first = up(harness, several(), "tap0");
    let second = open(harness, several(), "tap0").unwrap();
    if harness.set_filter(&first, None).is_none() {
        return not_applicable(NO_FILTERS);
    }
    harness.set_queue(&second, false).unwrap().unwrap();
    filter(harness, &second, Some(&program("ip6")));
    assert_eq!(spread(harness, &[&first]), 0);
    harness.set_queue(&second, true).unwrap().unwrap();
    let passed = spread(harness, &[&second]);
    assert!((1..60).contains(&passed), "{passed}");
    assert_empty(&first);
}

fn a_queue_with_a_program_is_attached_again<H: Harness>(harness: &H) {
    for options in [several(), several().packet_information(true)] {
        let device = up(harness, options, "tap0");
        if !filter(harness, &device, Some(&program("ip"))) {
            return;
        }
        for _ in 0..2 {
            harness.set_queue(&device, false).unwrap().unwrap();
            harness.set_queue(&device, true).unwrap().unwrap();
            let passed = passing(harness, "tap0", &[&device], &frames());
            assert_eq!(passed.len(), 1);
            assert!(passed[0].ends_with(&frames()[0]));
        }
        harness.delete(&name("tap0"));
    }
}

fn without_a_queue_in_service_there_is_nothing_to_filter<H: Harness>(harness: &H) {
    let device = up(harness, several(), "tap0");
    if harness.set_filter(&device, None).is_none() {
        return not_applicable(NO_FILTERS);
    }
    harness.set_queue(&device, false).unwrap().unwrap();
    let error = refused(harness.set_filter(&device, Some(&program("ip"))).unwrap(), Cause::NoQueue);
    assert_eq!(error.interface(), Some(name("tap0")));
    harness.set_queue(&device, true).unwrap().unwrap();
    assert_eq!(passing(harness, "tap0", &[&device], &frames()), frames());
}

fn opening_an_interface_removes_its_filters<H: Harness>(harness: &H) {
    for options in [CreateOptions::tap(), CreateOptions::tap().packet_information(true)] {
        let device = up(harness, options.clone(), "tap0");
        if !filter(harness, &device, Some(&keeping(0))) {
            return;
        }
        mac_filter(harness, &device, Some(&MacFilter::of([2; 6])));
        device.set_persist(true).unwrap();
        drop(device);
        let device = open(harness, options, "tap0").unwrap();
        assert_eq!(passing(harness, "tap0", &[&device], &frames()).len(), 2);
        harness.delete(&name("tap0"));
    }
}

fn a_further_queue_leaves_the_filters_of_others<H: Harness>(harness: &H) {
    let first = up(harness, several(), "tap0");
    if !filter(harness, &first, Some(&program("ip6"))) {
        return;
    }
    mac_filter(harness, &first, Some(&MacFilter::of([2; 6])));
    let second = open(harness, several(), "tap0").unwrap();
    assert_eq!(spread(harness, &[&first, &second]), 0);
    mac_filter(harness, &second, None);
    assert_eq!(spread(harness, &[&first]), 0);
}

fn a_filter_stays_with_an_interface_that_goes_down<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    if !filter(harness, &device, Some(&program("ip6"))) {
        return;
    }
    for up in [false, true] {
        harness.set_up(&name("tap0"), up);
    }
    assert_eq!(passing(harness, "tap0", &[&device], &frames()), [frames()[1].clone()]);
}

fn a_tun_has_no_filters<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let program = program("ip");
    let mac = MacFilter::of([2; 6]);
    let outcomes = [
        harness.set_filter(&device, Some(&program)),
        harness.set_filter(&device, None),
        harness.set_mac_filter(&device, Some(&mac)),
        harness.set_mac_filter(&device, None),
    ];
    for outcome in outcomes {
        let Some(outcome) = outcome else { return not_applicable(NO_FILTERS) };
        let error = refused_with(outcome, Cause::LayerMismatch, errno::EINVAL);
        assert_eq!(error.interface(), Some(name("tun0")));
    }
}

fn what_is_gone_has_no_filters_to_set<H: Harness>(harness: &H) {
    for device in [tap(harness, "tap0"), create(harness, CreateOptions::tun(), "tun0")] {
        harness.delete(&device.name().unwrap());
        let outcomes = [
            harness.set_filter(&device, Some(&program("ip"))),
            harness.set_filter(&device, None),
            harness.set_mac_filter(&device, None),
        ];
        for outcome in outcomes {
            let Some(outcome) = outcome else { return not_applicable(NO_FILTERS) };
            refused_with(outcome, Cause::Gone, errno::EBADFD);
        }
    }
}
