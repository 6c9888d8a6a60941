//! What nobody would think of: each was found by comparing long random sequences of operations, or by chance.

use std::iter;

use crate::Harness;
use crate::case::{Case, suite};
use crate::expect::{
    NO_QUEUES, create, errno, ipv4, name, named, not_applicable, received, refused_with, tun, up,
};
use tunctl_core::{Cause, CreateOptions, Interface, InterfaceName, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    [
        suite![Names: a_pattern_is_exhausted_when_its_next_number_would_be_cut],
        suite![Lifetime:
            a_name_that_is_refused_late_uses_up_an_index,
            an_exhausted_pattern_uses_up_an_index_where_it_is_found_late,
        ],
        suite![Reading:
            a_packet_shorter_than_its_ip_header_has_no_protocol,
            room_in_a_full_queue_comes_back_in_batches,
        ],
        suite![Queues: a_deleted_interface_has_no_queue_to_change],
    ]
    .concat()
}

fn a_pattern_is_exhausted_when_its_next_number_would_be_cut<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tun(), "abcdefghijklm%d");
    let _all: Vec<_> = (0..100).map(|_| harness.backend().create(&options).unwrap()).collect();
    // 100 would make 16 bytes; what is left of them, "abcdefghijklm10", is there.
    refused_with(harness.backend().create(&options), Cause::Exists, harness.profile().exhausted_errno);
}

/// Where the number that is cut is found taken late, each attempt uses up an index.
fn an_exhausted_pattern_uses_up_an_index_where_it_is_found_late<H: Harness>(harness: &H) {
    let index = |text| tun(harness, text).interface().index().get();
    let options = named(CreateOptions::tun(), "abcdefghijklm%d");
    let all: Vec<_> = (0..100).map(|_| harness.backend().create(&options).unwrap()).collect();
    let before = index("tun0");
    for _ in 0..2 {
        refused_with(harness.backend().create(&options), Cause::Exists, harness.profile().exhausted_errno);
    }
    if harness.profile().exhausted_errno != errno::EEXIST {
        assert_eq!(index("tun0"), before + 1);
        return;
    }
    assert_eq!(index("tun0"), before + 3);
    // A new name of an interface that is there uses up none.
    let pattern = InterfaceName::from_kernel(b"abcdefghijklm%d").unwrap();
    refused_with(all[0].interface().rename(&pattern), Cause::Exists, errno::EEXIST);
    assert_eq!(index("tun0"), before + 4);
}

fn a_name_that_is_refused_late_uses_up_an_index<H: Harness>(harness: &H) {
    let index = |device: &crate::DeviceOf<H>| device.interface().index().get();
    let before = index(&tun(harness, "tun0"));
    for late in ["all", "default"] {
        let pattern = InterfaceName::from_kernel(late.as_bytes()).unwrap();
        let options = CreateOptions::tun().name(pattern);
        refused_with(harness.backend().create(&options), Cause::InvalidName, errno::EINVAL);
    }
    let early = CreateOptions::tun().name(InterfaceName::from_kernel(b"a:b").unwrap());
    refused_with(harness.backend().create(&early), Cause::InvalidName, errno::EINVAL);
    assert_eq!(index(&tun(harness, "tun0")), before + 3);
}

fn a_packet_shorter_than_its_ip_header_has_no_protocol<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().packet_information(true), "tun0");
    for (version, length, protocol) in
        [(0x45, 19, [0, 0]), (0x45, 20, [8, 0]), (0x60, 39, [0, 0]), (0x60, 40, [0x86, 0xdd])]
    {
        assert!(harness.inject(&name("tun0"), &vec![version; length]));
        assert_eq!(received(&device)[2..4], protocol, "{length} bytes");
    }
}

fn room_in_a_full_queue_comes_back_in_batches<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let fill = || {
        iter::repeat_with(|| harness.inject(&name("tun0"), &ipv4(20))).take_while(|&queued| queued).count()
    };
    assert_eq!(fill(), harness.profile().tun_queue_length);
    for _ in 1..harness.profile().queue_batch {
        received(&device);
        assert_eq!(fill(), 0);
    }
    received(&device);
    assert_eq!(fill(), harness.profile().queue_batch);
}

fn a_deleted_interface_has_no_queue_to_change<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun().multi_queue(true), "tun0");
    harness.delete(&name("tun0"));
    for attached in [true, false] {
        let Some(outcome) = harness.set_queue(&device, attached) else { return not_applicable(NO_QUEUES) };
        refused_with(outcome, Cause::Gone, errno::EINVAL);
    }
}
