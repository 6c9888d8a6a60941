//! Filters in front of a tap: MAC addresses.

use tunctl_core::{CreateOptions, MacFilter};

use crate::Harness;
use crate::case::{Case, suite};
use crate::expect::{name, open, up};
use crate::filtering::{filter, frames, keeping, mac_filter, passing, several, spread};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Filters:
        mac_addresses_let_frames_pass,
        a_mac_filter_drops_broadcasts_that_it_does_not_name,
        all_groups_pass_a_mac_filter_together,
        beyond_eight_addresses_groups_pass_by_their_hash,
        a_mac_filter_comes_before_the_program,
        a_mac_filter_is_all_queues_at_once,
    ]
}

/// A frame to this address.
fn to(destination: [u8; 6]) -> Vec<u8> {
    let mut frame = frames()[0].clone();
    frame[..6].copy_from_slice(&destination);
    frame
}

fn mac_addresses_let_frames_pass<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let (station, group) = ([2, 0, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 1]);
    let other = [2, 0, 0, 0, 0, 2];
    let sent = [station, other, group].map(to);
    if !mac_filter(harness, &device, Some(&MacFilter::of(station))) {
        return;
    }
    let before = harness.dropped(&name("tap0"));
    assert_eq!(passing(harness, "tap0", &[&device], &sent), [to(station)]);
    assert_eq!(harness.dropped(&name("tap0")), before + 2);
    mac_filter(harness, &device, Some(&MacFilter::of(group).and(other).unwrap()));
    assert_eq!(passing(harness, "tap0", &[&device], &sent), [to(other), to(group)]);
    for _ in 0..2 {
        mac_filter(harness, &device, None);
        assert_eq!(passing(harness, "tap0", &[&device], &sent), sent);
    }
}

fn a_mac_filter_drops_broadcasts_that_it_does_not_name<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let (station, broadcast) = (MacFilter::of([2; 6]), [0xff; 6]);
    if !mac_filter(harness, &device, Some(&station)) {
        return;
    }
    assert_eq!(passing(harness, "tap0", &[&device], &[to(broadcast)]).len(), 0);
    mac_filter(harness, &device, Some(&station.and(broadcast).unwrap()));
    assert_eq!(passing(harness, "tap0", &[&device], &[to(broadcast)]).len(), 1);
}

fn all_groups_pass_a_mac_filter_together<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let groups = [[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]].map(to);
    let station = [2, 0, 0, 0, 0, 1];
    let sent = [&groups[..], &[to(station), to([2; 6])]].concat();
    if !mac_filter(harness, &device, Some(&MacFilter::of_all_groups())) {
        return;
    }
    assert_eq!(passing(harness, "tap0", &[&device], &sent), groups);
    mac_filter(harness, &device, Some(&MacFilter::of(station).and_all_groups()));
    assert_eq!(passing(harness, "tap0", &[&device], &sent), sent[..4]);
}

fn beyond_eight_addresses_groups_pass_by_their_hash<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    let station = |number: u8| [2, 0, 0, 0, 0, number];
    let group = |number: u8| [1, 0, 0x5e, 0, 0, number];
    // Groups first, to which the order in which they are named must make no difference.
    let named = [group(1), group(2)].into_iter().chain((1..=8).map(station));
    let addresses = named.skip(1).try_fold(MacFilter::of(group(1)), MacFilter::and).unwrap();
    if !mac_filter(harness, &device, Some(&addresses)) {
        return;
    }
    let all: Vec<_> = (0..=255).map(group).chain((0..=9).map(station)).chain([[0xff; 6]]).collect();
    let expected: Vec<_> =
        all.iter().filter(|address| addresses.accepts(**address)).map(|a| to(*a)).collect();
    let sent: Vec<_> = all.into_iter().map(to).collect();
    assert!(expected.len() > 10, "some groups share their hash");
    assert_eq!(passing(harness, "tap0", &[&device], &sent), expected);
}

fn a_mac_filter_comes_before_the_program<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    if !filter(harness, &device, Some(&keeping(3))) {
        return;
    }
    mac_filter(harness, &device, Some(&MacFilter::of([2; 6])));
    // The program cuts what the addresses let pass.
    assert_eq!(passing(harness, "tap0", &[&device], &[to([4; 6]), to([2; 6])]), [[2, 2, 2]]);
}

fn a_mac_filter_is_all_queues_at_once<H: Harness>(harness: &H) {
    let first = up(harness, several(), "tap0");
    if !mac_filter(harness, &first, Some(&MacFilter::of([2; 6]))) {
        return;
    }
    let second = open(harness, several(), "tap0").unwrap();
    assert_eq!(spread(harness, &[&first, &second]), 0);
    harness.set_queue(&first, false).unwrap().unwrap();
    mac_filter(harness, &first, None);
    assert_eq!(spread(harness, &[&second]), 60);
}
