//! Offloads, and the format of the virtio-net header.

use tunctl_core::{Cause, CreateFlags, CreateOptions, Interface, Offloads, TunBackend, TunDevice};
use tunctl_packet::header::{Endian, HeaderKind, VnetFormat, VnetLength};

use crate::case::{Case, suite};
use crate::expect::{
    create, errno, exists, frame, ipv4, name, named, not_applicable, open, persistent, received, refused,
    refused_with, report, uid, up,
};
use crate::queues::{assert_queues, several};
use crate::reading::inject;
use crate::writing::assert_sent;
use crate::{DeviceOf, Harness, Need};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let by_anyone = suite![Queues:
        offloads_are_reported_as_they_were_set,
        offloads_that_the_kernel_does_not_know_are_refused_and_change_nothing,
        offloads_of_new_options_are_those_of_the_interface,
        offloads_need_a_virtio_net_header,
        offloads_of_tunnels_need_a_long_header,
        all_queues_share_their_offloads,
        a_further_queue_takes_the_offloads_of_the_others_or_is_refused,
        offloads_left_behind_do_not_reach_the_next_opener,
        offloads_of_an_interface_that_is_gone_are_gone,
        a_virtio_net_header_has_the_length_that_was_asked_for,
        a_further_queue_has_the_same_virtio_net_header_or_is_refused,
        a_virtio_net_header_left_behind_does_not_reach_the_next_opener,
        a_virtio_net_header_may_be_little_endian,
        a_virtio_net_header_changes_while_the_device_is_open,
        flags_that_not_every_kernel_has_are_refused_or_are_there,
        fragments_are_for_a_tap_with_napi,
        a_device_that_asks_for_no_carrier_leaves_the_interface_without,
    ];
    let as_others = suite![Permission: fragments_take_the_capability_of_the_owner_too];
    let as_others = as_others.into_iter().map(|case| case.needs(Need::OtherUsers));
    by_anyone.into_iter().chain(as_others).collect()
}

/// Those that a program may ask for, the oldest first.
const SOME: [Offloads; 5] =
    [Offloads::NONE, Offloads::CHECKSUM, Offloads::TSO4, Offloads::TSO, Offloads::TSO_ECN];
/// Those that an old kernel does not know.
const NEW: [Offloads; 3] = [Offloads::USO, Offloads::UDP_TUNNEL, Offloads::UDP_TUNNEL_CHECKSUM];

fn with_header() -> CreateOptions {
    CreateOptions::tun().vnet_header(true)
}

/// With a header that has all fields.
fn with_room() -> CreateOptions {
    CreateOptions::tun().vnet_format(VnetFormat::new(VnetLength::Tunnel, Endian::Native))
}

fn twelve() -> VnetFormat {
    VnetFormat::new(VnetLength::Buffers, Endian::Little)
}

/// A device with these options; `None` if the system has no virtio-net header.
fn made<H: Harness>(harness: &H, options: CreateOptions, name: &str) -> Option<DeviceOf<H>> {
    match harness.backend().create(&named(options, name)) {
        Err(error) if error.cause() == Cause::Unsupported => {
            assert!(!exists(harness, name));
            not_applicable("there is no virtio-net header");
            None
        }
        device => Some(device.unwrap()),
    }
}

fn offloads_are_reported_as_they_were_set<H: Harness>(harness: &H) {
    let Some(device) = made(harness, with_room(), "tun0") else { return };
    assert_eq!(device.offloads().unwrap(), Offloads::NONE);
    for wanted in SOME.into_iter().chain(SOME) {
        device.set_offloads(wanted).unwrap();
        assert_eq!(device.offloads().unwrap(), wanted);
    }
    for wanted in NEW {
        if device.set_offloads(wanted).is_ok() {
            assert_eq!(device.offloads().unwrap(), wanted);
        }
    }
}

fn offloads_that_the_kernel_does_not_know_are_refused_and_change_nothing<H: Harness>(harness: &H) {
    let Some(device) = made(harness, with_room(), "tun0") else { return };
    device.set_offloads(Offloads::TSO4).unwrap();
    let unknown: Vec<_> = NEW.into_iter().filter(|new| device.set_offloads(*new).is_err()).collect();
    for wanted in unknown {
        device.set_offloads(Offloads::TSO4).unwrap();
        let error = refused_with(device.set_offloads(wanted), Cause::InvalidValue, errno::EINVAL);
        assert!(error.to_string().contains(&wanted.to_string()), "{error}");
        assert_eq!(device.offloads().unwrap(), Offloads::TSO4);
        let options = named(with_room().offloads(wanted), "new");
        refused_with(harness.backend().create(&options), Cause::InvalidValue, errno::EINVAL);
        assert!(!exists(harness, "new"));
    }
}

fn offloads_of_new_options_are_those_of_the_interface<H: Harness>(harness: &H) {
    for layer in [CreateOptions::tun(), CreateOptions::tap()] {
        for wanted in SOME {
            let options = layer.clone().vnet_header(true).offloads(wanted);
            let Some(device) = made(harness, options, "new") else { return };
            assert_eq!(device.offloads().unwrap(), wanted);
        }
    }
}

fn offloads_need_a_virtio_net_header<H: Harness>(harness: &H) {
    let options = CreateOptions::tun().offloads(Offloads::TSO);
    for options in [options.clone(), options.packet_information(true)] {
        let error = refused(harness.backend().create(&named(options, "tun0")), Cause::InvalidOptions);
        assert_eq!(error.interface(), Some(name("tun0")));
        assert!(!exists(harness, "tun0"));
    }
    // None are what such a device has.
    let mut device = create(harness, CreateOptions::tun().offloads(Offloads::NONE), "bare");
    let outcome = device.set_offloads(Offloads::CHECKSUM);
    if outcome.as_ref().is_err_and(|error| error.cause() == Cause::Unsupported) {
        return not_applicable("there are no offloads");
    }
    refused(outcome, Cause::NoVnetHeader);
    refused(device.set_vnet_format(twelve()), Cause::NoVnetHeader);
    assert_eq!((device.offloads().unwrap(), device.header_kind()), (Offloads::NONE, HeaderKind::Bare));
}

/// Linux accepts them with a shorter header, and then fails each receive.
fn offloads_of_tunnels_need_a_long_header<H: Harness>(harness: &H) {
    let Some(mut device) = made(harness, with_header().up(), "tun0") else { return };
    for offloads in [Offloads::UDP_TUNNEL, Offloads::UDP_TUNNEL_CHECKSUM] {
        refused(device.set_offloads(offloads), Cause::InvalidValue);
        let options = named(CreateOptions::tun().vnet_format(twelve()).offloads(offloads), "new");
        refused(harness.backend().create(&options), Cause::InvalidOptions);
        assert!(!exists(harness, "new"));
    }
    let long = VnetFormat::new(VnetLength::Tunnel, Endian::Native);
    device.set_vnet_format(long).unwrap();
    if device.set_offloads(Offloads::UDP_TUNNEL).is_err() {
        // Before Linux 6.17.
        return;
    }
    refused(device.set_vnet_format(twelve()), Cause::InvalidValue);
    inject(harness, "tun0", &ipv4(60));
    assert_eq!(received(&device), [&[0; 24][..], &ipv4(60)].concat());
    device.set_offloads(Offloads::NONE).unwrap();
    device.set_vnet_format(twelve()).unwrap();
}

fn all_queues_share_their_offloads<H: Harness>(harness: &H) {
    let Some(first) = made(harness, several().vnet_header(true), "many") else { return };
    let second = open(harness, several().vnet_header(true), "many").unwrap();
    first.set_offloads(Offloads::TSO4).unwrap();
    assert_eq!(second.offloads().unwrap(), Offloads::TSO4);
    second.set_offloads(Offloads::TSO).unwrap();
    assert_eq!(first.offloads().unwrap(), Offloads::TSO);
}

fn a_further_queue_takes_the_offloads_of_the_others_or_is_refused<H: Harness>(harness: &H) {
    let options = several().vnet_header(true);
    let Some(first) = made(harness, options.clone().offloads(Offloads::TSO4), "many") else { return };
    for other in [Offloads::NONE, Offloads::CHECKSUM, Offloads::TSO] {
        let error = refused(open(harness, options.clone().offloads(other), "many"), Cause::Busy);
        assert!(error.to_string().contains("csum, tso4"), "{error}");
        assert_eq!((error.raw_os_error(), first.offloads().unwrap()), (None, Offloads::TSO4));
    }
    assert_queues(harness, "many", 1);
    let _same = open(harness, options.clone().offloads(Offloads::TSO4), "many").unwrap();
    let _any = open(harness, options, "many").unwrap();
    assert_eq!(first.offloads().unwrap(), Offloads::TSO4);
    assert_queues(harness, "many", 3);
}

fn offloads_left_behind_do_not_reach_the_next_opener<H: Harness>(harness: &H) {
    let options = with_header().offloads(Offloads::TSO).persistent(true);
    let Some(first) = made(harness, options, "tun0") else { return };
    drop(first);
    let second = open(harness, with_header(), "tun0").unwrap();
    assert_eq!(second.offloads().unwrap(), Offloads::NONE);
    drop(second);
    let third = open(harness, with_header().offloads(Offloads::TSO4), "tun0").unwrap();
    assert_eq!(third.offloads().unwrap(), Offloads::TSO4);
    drop(third);
    let bare = open(harness, CreateOptions::tun(), "tun0").unwrap();
    assert_eq!(bare.offloads().unwrap(), Offloads::NONE);
}

fn offloads_of_an_interface_that_is_gone_are_gone<H: Harness>(harness: &H) {
    let Some(mut device) = made(harness, with_header(), "tun0") else { return };
    harness.delete(&name("tun0"));
    refused(device.set_offloads(Offloads::CHECKSUM), Cause::Gone);
    refused(device.offloads(), Cause::Gone);
    refused(device.set_vnet_format(twelve()), Cause::Gone);
    assert_eq!(device.header_kind(), HeaderKind::Vnet(VnetFormat::default()));
}

fn a_virtio_net_header_has_the_length_that_was_asked_for<H: Harness>(harness: &H) {
    for length in VnetLength::ALL {
        let format = VnetFormat::new(length, Endian::Native);
        let Some(tun) = made(harness, CreateOptions::tun().vnet_format(format).up(), "tun0") else { return };
        assert_eq!(tun.header_kind(), HeaderKind::Vnet(format));
        inject(harness, "tun0", &ipv4(60));
        assert_eq!(received(&tun), [&vec![0; length.bytes()], &ipv4(60)[..]].concat());
        assert_sent(harness, &tun, &vec![0; length.bytes()], &ipv4(60));
        refused_with(tun.try_send(&vec![0; length.bytes() - 1]), Cause::TooShort, errno::EINVAL);
        let both = CreateOptions::tap().packet_information(true).vnet_format(format);
        let tap = up(harness, both, "tap0");
        let frame = frame(0x0806, &[0; 46]);
        inject(harness, "tap0", &frame);
        let expected = [&[0, 0, 8, 6][..], &vec![0; length.bytes()], &frame].concat();
        assert_eq!(received(&tap), expected);
        assert_eq!(tap.header_kind(), HeaderKind::PacketInfoAndVnet(format));
    }
}

fn a_further_queue_has_the_same_virtio_net_header_or_is_refused<H: Harness>(harness: &H) {
    let Some(first) = made(harness, several().vnet_format(twelve()), "many") else { return };
    for length in [VnetLength::Basic, VnetLength::Hash] {
        let other = VnetFormat { length, ..twelve() };
        let error = refused(open(harness, several().vnet_format(other), "many"), Cause::HeaderMismatch);
        assert!(error.to_string().contains("12 bytes"), "{error}");
    }
    refused(open(harness, several().vnet_header(true), "many"), Cause::HeaderMismatch);
    let second = open(harness, several().vnet_format(twelve()), "many").unwrap();
    assert_eq!(second.header_kind(), first.header_kind());
    // On most machines the same bytes.
    let native =
        open(harness, several().vnet_format(VnetFormat { endian: Endian::Native, ..twelve() }), "many");
    assert_eq!(native.is_ok(), cfg!(target_endian = "little"));
    drop((first, second, native));
    let queues = harness.backend().create_queues(&named(several().vnet_format(twelve()), "four"), 4).unwrap();
    assert!(queues.iter().all(|queue| queue.header_kind() == HeaderKind::Vnet(twelve())));
    assert_queues(harness, "four", 4);
}

fn a_virtio_net_header_left_behind_does_not_reach_the_next_opener<H: Harness>(harness: &H) {
    let Some(first) = made(harness, CreateOptions::tun().vnet_format(twelve()).persistent(true), "tun0")
    else {
        return;
    };
    drop(first);
    harness.set_up(&name("tun0"), true);
    let second = open(harness, with_header(), "tun0").unwrap();
    inject(harness, "tun0", &ipv4(60));
    assert_eq!(received(&second), [&[0; 10][..], &ipv4(60)].concat());
    drop(second);
    persistent(harness, CreateOptions::tun(), "bare");
    harness.set_up(&name("bare"), true);
    let device = open(harness, CreateOptions::tun().vnet_format(twelve()), "bare").unwrap();
    inject(harness, "bare", &ipv4(60));
    assert_eq!(received(&device), [&[0; 12][..], &ipv4(60)].concat());
    assert_eq!(report(harness, "bare").flags, device.flags());
}

/// The other order is one that few kernels know, and then a new interface is not left half made.
fn a_virtio_net_header_may_be_little_endian<H: Harness>(harness: &H) {
    let format = |endian| VnetFormat::new(VnetLength::Buffers, endian);
    let options = CreateOptions::tun().vnet_format(format(Endian::Little)).up();
    let Some(device) = made(harness, options, "little") else { return };
    // A checksum that begins at byte 20, and in the other order at byte 5120, which is behind the packet.
    let checksum = [1, 0, 0, 0, 0, 0, 20, 0, 2, 0, 0, 0];
    assert_sent(harness, &device, &checksum, &ipv4(60));
    let swapped = [1, 0, 0, 0, 0, 0, 0, 20, 0, 2, 0, 0];
    let refusal = device.try_send(&[&swapped[..], &ipv4(60)].concat());
    refused_with(refusal, Cause::MalformedPacket, errno::EINVAL);
    let big = CreateOptions::tun().vnet_format(format(Endian::Big)).up();
    match harness.backend().create(&named(big, "big")) {
        Ok(device) => assert_sent(harness, &device, &swapped, &ipv4(60)),
        Err(error) => {
            refused_with::<(), _>(Err(error), Cause::InvalidValue, errno::EINVAL);
            assert!(!exists(harness, "big"));
        }
    }
}

fn a_virtio_net_header_changes_while_the_device_is_open<H: Harness>(harness: &H) {
    let Some(mut device) = made(harness, with_header().up(), "tun0") else { return };
    for format in [twelve(), VnetFormat::new(VnetLength::Tunnel, Endian::Native), VnetFormat::default()] {
        device.set_vnet_format(format).unwrap();
        assert_eq!(device.header_kind(), HeaderKind::Vnet(format));
        inject(harness, "tun0", &ipv4(60));
        assert_eq!(received(&device).len(), format.length.bytes() + 60);
    }
    if let Err(error) = device.set_vnet_format(VnetFormat::new(VnetLength::Hash, Endian::Big)) {
        refused_with::<(), _>(Err(error), Cause::InvalidValue, errno::EINVAL);
        assert_eq!(device.header_kind(), HeaderKind::Vnet(VnetFormat::default()));
        inject(harness, "tun0", &ipv4(60));
        assert_eq!(received(&device).len(), 10 + 60);
    }
}

/// A kernel would pass over a flag that it does not know.
fn flags_that_not_every_kernel_has_are_refused_or_are_there<H: Harness>(harness: &H) {
    let tap = CreateOptions::tap;
    let choices =
        [tap().napi(true), tap().no_carrier(true), tap().backpressure(true), tap().napi_fragments(true)];
    for options in choices {
        let flags = options.get_flags();
        match harness.backend().create(&named(options, "tap0")) {
            Ok(device) => {
                assert_eq!(device.flags(), flags);
                if !flags.contains(CreateFlags::NO_CARRIER) {
                    harness.set_up(&name("tap0"), true);
                    let frame = frame(0x0806, &[0; 46]);
                    inject(harness, "tap0", &frame);
                    assert_eq!(received(&device), frame);
                    assert_sent(harness, &device, &[], &frame);
                }
            }
            // Where fragments are known, they take a right that this program may not have.
            Err(error) if flags.contains(CreateFlags::NAPI_FRAGS) && error.cause() != Cause::Unsupported => {
                assert!(
                    matches!(error.cause(), Cause::MissingCapability | Cause::ForeignNamespace),
                    "{error}"
                );
            }
            Err(error) => {
                assert_eq!((error.cause(), error.raw_os_error()), (Cause::Unsupported, None), "{error}");
            }
        }
        assert!(!exists(harness, "tap0"));
    }
}

fn fragments_are_for_a_tap_with_napi<H: Harness>(harness: &H) {
    for options in
        [CreateOptions::tun().napi_fragments(true), CreateOptions::tap().napi_fragments(true).napi(false)]
    {
        refused(harness.backend().create(&named(options, "new")), Cause::InvalidOptions);
        assert!(!exists(harness, "new"));
    }
}

fn a_device_that_asks_for_no_carrier_leaves_the_interface_without<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tun().no_carrier(true).up(), "tun0");
    let device = match harness.backend().create(&options) {
        Err(error) if error.cause() == Cause::Unsupported => return not_applicable("there is no such flag"),
        device => device.unwrap(),
    };
    assert_eq!(report(harness, "tun0").carrier, Some(false));
    device.interface().set_carrier(true).unwrap();
    assert_eq!(report(harness, "tun0").carrier, Some(true));
    inject(harness, "tun0", &ipv4(60));
    assert_eq!(received(&device), ipv4(60));
}

fn fragments_take_the_capability_of_the_owner_too<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tap().persistent(true).owner(uid(4001)), "mine");
    match harness.backend().create(&options) {
        Err(error) if error.cause() == Cause::Unsupported => return not_applicable("there are no owners"),
        device => drop(device.unwrap()),
    }
    let mut refusal = None;
    harness.as_caller(4001, 4001, false, &mut || {
        drop(open(harness, CreateOptions::tap().napi(true), "mine").unwrap());
        refusal = Some(open(harness, CreateOptions::tap().napi_fragments(true), "mine").map(drop));
    });
    refused_with(refusal.unwrap(), Cause::MissingCapability, errno::EPERM);
    harness.delete(&name("mine"));
}
