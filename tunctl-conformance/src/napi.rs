//! Sending with NAPI: from a queue out of service, and in fragments.

use std::io::IoSlice;

use crate::case::{Case, suite};
use crate::expect::{errno, frame, ipv4, name, named, not_applicable, received, refused_with};
use crate::{DeviceOf, Harness, Need};
use tunctl_core::{Cause, CreateOptions, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let by_anyone = suite![Writing: with_napi_a_queue_out_of_service_sends_nothing];
    let fragments = suite![Writing:
        a_frame_in_fragments_is_sent_whole,
        a_frame_in_fragments_has_few_short_pieces,
        fragments_begin_behind_the_headers,
    ];
    let by_root = fragments.into_iter().map(|case| case.needs(Need::FirstUserNamespace));
    by_anyone.into_iter().chain(by_root).collect()
}

/// A device that is up; `None` if the system knows no such flag, or keeps it from this program.
fn up<H: Harness>(harness: &H, options: CreateOptions) -> Option<DeviceOf<H>> {
    match harness.backend().create(&named(options, "napi0")) {
        Err(error)
            if matches!(
                error.cause(),
                Cause::Unsupported | Cause::MissingCapability | Cause::ForeignNamespace
            ) =>
        {
            not_applicable("there is no such flag here");
            None
        }
        device => {
            harness.set_up(&name("napi0"), true);
            Some(device.unwrap())
        }
    }
}

/// Sends the pieces; what the system receives.
fn sent<H: Harness>(harness: &H, device: &DeviceOf<H>, pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut seen = harness.observe(&name("napi0"));
    let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let length = device.try_send_vectored(&pieces).unwrap();
    assert_eq!(length, pieces.iter().map(|piece| piece.len()).sum::<usize>());
    seen.take()
}

fn with_napi_a_queue_out_of_service_sends_nothing<H: Harness>(harness: &H) {
    for options in [CreateOptions::tun(), CreateOptions::tap()] {
        let is_tap = options.get_layer() == tunctl_core::Layer::Tap;
        let packet = if is_tap { frame(0x0800, &ipv4(60)) } else { ipv4(60) };
        let Some(device) = up(harness, options.multi_queue(true).napi(true)) else { return };
        assert_eq!(sent(harness, &device, &[&packet]), Some(packet.clone()));
        harness.set_queue(&device, false).unwrap().unwrap();
        let mut seen = harness.observe(&name("napi0"));
        let error = refused_with(device.try_send(&packet), Cause::NoQueue, errno::EBUSY);
        assert_eq!(error.interface(), Some(name("napi0")));
        assert_eq!(seen.take(), None);
        // What is wrong with the packet, or that the interface is down, is said first.
        refused_with(device.try_send(&[]), Cause::TooShort, errno::EINVAL);
        harness.set_up(&name("napi0"), false);
        refused_with(device.try_send(&packet), Cause::Down, errno::EIO);
        harness.set_up(&name("napi0"), true);
        harness.set_queue(&device, true).unwrap().unwrap();
        assert_eq!(sent(harness, &device, &[&packet]), Some(packet));
        harness.delete(&name("napi0"));
    }
}

fn fragments() -> CreateOptions {
    CreateOptions::tap().napi_fragments(true)
}

fn a_frame_in_fragments_is_sent_whole<H: Harness>(harness: &H) {
    let Some(device) = up(harness, fragments()) else { return };
    let frame = frame(0x0800, &ipv4(1000));
    let (first, rest) = frame.split_at(14);
    let pieces: Vec<_> = rest.chunks(60).collect();
    for pieces in
        [vec![&frame[..]], vec![first, rest], [&[first][..], &pieces].concat(), vec![&[][..], &frame[..]]]
    {
        assert_eq!(sent(harness, &device, &pieces).as_ref(), Some(&frame), "{} pieces", pieces.len());
    }
    assert!(harness.inject(&name("napi0"), &frame));
    assert_eq!(received(&device), frame);
}

fn a_frame_in_fragments_has_few_short_pieces<H: Harness>(harness: &H) {
    let Some(device) = up(harness, fragments()) else { return };
    let frame = frame(0x0800, &ipv4(9000));
    let (first, rest) = frame.split_at(14);
    let before = harness.statistics(&name("napi0")).map(|counted| counted.from_program.dropped);
    let refused = |pieces: &[&[u8]], cause, number| {
        let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        refused_with(device.try_send_vectored(&pieces), cause, number);
    };
    let bytes = [0; 65_472];
    refused(&[&bytes], Cause::Other, errno::EMSGSIZE);
    refused(&[first, &bytes], Cause::Other, errno::EMSGSIZE);
    refused(&[&[first][..], &[&[0; 10][..]; 18]].concat(), Cause::Other, errno::EMSGSIZE);
    refused(&[first, &rest[..4097]], Cause::MalformedPacket, errno::EINVAL);
    refused(&[first, &[], &rest[..40]], Cause::MalformedPacket, errno::EINVAL);
    let after = harness.statistics(&name("napi0")).map(|counted| counted.from_program.dropped);
    assert_eq!(after, before.map(|before| before + 5));
    assert!(sent(harness, &device, &[first, &rest[..4096], &rest[4096..8192]]).is_some());
    let longest = [first, &vec![0; 65_471 - 14]].concat();
    assert_eq!(sent(harness, &device, &[&longest]), Some(longest));
}

fn fragments_begin_behind_the_headers<H: Harness>(harness: &H) {
    let frame = frame(0x0800, &ipv4(60));
    let (first, rest) = frame.split_at(14);
    for (information, vnet) in [(4, 0), (0, 10), (4, 10)] {
        let options = fragments().packet_information(information > 0).vnet_header(vnet > 0);
        let Some(device) = up(harness, options) else { return };
        let header = [&[0, 0, 8, 0][..information], &[0; 10][..vnet]].concat();
        let joined = [&header[..], &frame].concat();
        let with_first = [&header[..], first].concat();
        let (header, whole) = (&header[..], &frame[..]);
        for pieces in
            [vec![&joined[..]], vec![header, whole], vec![&with_first[..], rest], vec![header, &[], whole]]
        {
            assert_eq!(sent(harness, &device, &pieces).as_ref(), Some(&frame));
        }
        harness.delete(&name("napi0"));
    }
}
