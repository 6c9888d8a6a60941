//! Names, patterns and flags.

use crate::case::{Case, suite};
use crate::expect::{
    create, errno, exists, listed, name, named, open, persistent, refused, refused_with, report, tap, tun,
};
use crate::{DeviceOf, Harness};
use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Error, Interface, InterfaceName, Layer, Operation, TunBackend,
    TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Names:
        a_tun_without_a_name_gets_the_first_free_one_of_tuns,
        a_tap_without_a_name_gets_the_first_free_one_of_taps,
        a_pattern_takes_the_first_free_number,
        a_pattern_fills_the_first_gap,
        a_pattern_may_have_its_number_in_the_middle,
        a_pattern_may_be_nothing_but_a_number,
        a_pattern_counts_only_the_names_that_it_would_make,
        a_pattern_of_fifteen_bytes_has_room_for_two_digits,
        a_pattern_is_never_opened,
        names_of_one_byte_and_of_fifteen_are_kept_whole,
        names_of_any_script_and_punctuation_are_taken_as_they_are,
        names_that_differ_in_case_are_two,
        the_kernel_refuses_names_with_separators_or_whitespace,
        the_kernel_refuses_the_names_of_its_general_settings,
        the_kernel_refuses_a_percent_sign_outside_of_one_pattern,
        the_kernel_accepts_control_bytes,
        a_name_that_exists_is_refused_and_the_interface_left_alone,
        the_name_of_another_kind_of_interface_is_not_created,
        the_name_of_another_kind_of_interface_is_not_opened,
        the_default_is_a_tap_without_packet_information,
        a_created_device_reports_the_flags_that_it_was_given,
        an_opened_device_reports_the_flags_that_it_was_given,
        the_name_follows_a_rename,
        a_renamed_interface_keeps_its_index,
        a_renamed_interface_leaves_its_old_name_free,
        an_interface_that_is_up_is_renamed_as_the_system_permits,
        a_clone_has_the_name_and_flags_of_its_device,
        an_error_names_the_interface_or_the_pattern,
        an_error_names_the_interface_as_it_is_called_now,
    ]
}

fn called<H: Harness>(device: &DeviceOf<H>) -> String {
    device.name().unwrap().to_string()
}

/// A name that no user can write, but that a kernel could have reported.
fn raw(bytes: &[u8]) -> CreateOptions {
    CreateOptions::tun().name(InterfaceName::from_kernel(bytes).unwrap())
}

fn a_tun_without_a_name_gets_the_first_free_one_of_tuns<H: Harness>(harness: &H) {
    let unnamed = || harness.backend().create(&CreateOptions::tun()).unwrap();
    let devices = [unnamed(), unnamed()];
    assert_eq!(devices.each_ref().map(called::<H>), ["tun0", "tun1"]);
    assert_eq!(["tun0", "tun1"].map(|name| report(harness, name).layer), [Layer::Tun; 2]);
    let third = harness.backend().open_or_create(&CreateOptions::tun()).unwrap();
    assert_eq!(called::<H>(&third), "tun2");
}

fn a_tap_without_a_name_gets_the_first_free_one_of_taps<H: Harness>(harness: &H) {
    let _tun = harness.backend().create(&CreateOptions::tun()).unwrap();
    let unnamed = || harness.backend().create(&CreateOptions::tap()).unwrap();
    let devices = [unnamed(), unnamed()];
    assert_eq!(devices.each_ref().map(called::<H>), ["tap0", "tap1"]);
    assert_eq!(["tap0", "tap1"].map(|name| report(harness, name).layer), [Layer::Tap; 2]);
}

fn a_pattern_takes_the_first_free_number<H: Harness>(harness: &H) {
    let first = tun(harness, "vpn%d");
    let second = tap(harness, "vpn%d");
    assert_eq!((called::<H>(&first), called::<H>(&second)), ("vpn0".into(), "vpn1".into()));
    assert_eq!(report(harness, "vpn0").layer, Layer::Tun);
    assert_eq!(report(harness, "vpn1").layer, Layer::Tap);
}

fn a_pattern_fills_the_first_gap<H: Harness>(harness: &H) {
    let _others = ["vpn0", "vpn1", "vpn3"].map(|name| tun(harness, name));
    let (second, fourth) = (tun(harness, "vpn%d"), tun(harness, "vpn%d"));
    assert_eq!((called::<H>(&second), called::<H>(&fourth)), ("vpn2".into(), "vpn4".into()));
    drop(second);
    assert_eq!(called::<H>(&tap(harness, "vpn%d")), "vpn2");
}

fn a_pattern_may_have_its_number_in_the_middle<H: Harness>(harness: &H) {
    let devices = [tun(harness, "foo%dbar"), tun(harness, "foo%dbar")];
    assert_eq!(devices.each_ref().map(called::<H>), ["foo0bar", "foo1bar"]);
    assert!(exists(harness, "foo0bar") && exists(harness, "foo1bar"));
}

fn a_pattern_may_be_nothing_but_a_number<H: Harness>(harness: &H) {
    let devices = [tun(harness, "%d"), tap(harness, "%d")];
    assert_eq!(devices.each_ref().map(called::<H>), ["0", "1"]);
    assert!(exists(harness, "0") && exists(harness, "1"));
}

fn a_pattern_counts_only_the_names_that_it_would_make<H: Harness>(harness: &H) {
    let _others = ["vpn00", "vpn0x", "xvpn0", "vpn-1", "foo0baz"].map(|name| tun(harness, name));
    assert_eq!(called::<H>(&tun(harness, "vpn%d")), "vpn0");
    assert_eq!(called::<H>(&tun(harness, "foo%dbar")), "foo0bar");
}

fn a_pattern_of_fifteen_bytes_has_room_for_two_digits<H: Harness>(harness: &H) {
    let devices: Vec<_> = (0..11).map(|_| tun(harness, "abcdefghijklm%d")).collect();
    assert_eq!(called::<H>(&devices[0]), "abcdefghijklm0");
    assert_eq!(called::<H>(&devices[10]), "abcdefghijklm10");
    assert!(exists(harness, "abcdefghijklm10"));
}

fn a_pattern_is_never_opened<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "vpn0");
    refused(open(harness, CreateOptions::tun(), "vpn%d"), Cause::InvalidOptions);
    let options = named(CreateOptions::tun(), "vpn%d");
    let device = harness.backend().open_or_create(&options).unwrap();
    assert_eq!(called::<H>(&device), "vpn1");
    assert!(report(harness, "vpn0").persistent && !report(harness, "vpn1").persistent);
}

fn names_of_one_byte_and_of_fifteen_are_kept_whole<H: Harness>(harness: &H) {
    for text in ["x", "abcdefghijklmno"] {
        let device = tun(harness, text);
        assert_eq!(report(harness, text).name, name(text));
        assert_eq!(called::<H>(&device), text);
    }
}

fn names_of_any_script_and_punctuation_are_taken_as_they_are<H: Harness>(harness: &H) {
    for text in ["é", "日本語", "...", "-x", "a\"b", "a'b", "a\\b", "a,b=c@d", "~", "$a", "(a)", "all0"] {
        let device = tun(harness, text);
        assert_eq!(report(harness, text).name, name(text));
        assert_eq!(device.name().unwrap(), name(text));
    }
}

fn names_that_differ_in_case_are_two<H: Harness>(harness: &H) {
    let _devices = [tun(harness, "vpn0"), tun(harness, "VPN0")];
    assert_ne!(report(harness, "vpn0").index, report(harness, "VPN0").index);
    refused(harness.backend().interface(&name("Vpn0")), Cause::NotFound);
}

fn the_kernel_refuses_names_with_separators_or_whitespace<H: Harness>(harness: &H) {
    let before = listed(harness);
    let names: [&[u8]; 10] =
        [b"a/b", b"a:b", b"a b", b"a\tb", b"a\nb", b"a\x0bb", b"a\x0cb", b"a\rb", b"a\xa0b", b".."];
    for name in names {
        let error = refused_with(harness.backend().create(&raw(name)), Cause::InvalidName, errno::EINVAL);
        assert_eq!(error.interface(), InterfaceName::from_kernel(name).ok());
        let either = harness.backend().open_or_create(&raw(name));
        refused_with(either, Cause::InvalidName, errno::EINVAL);
        refused(harness.backend().open(&raw(name)), Cause::NotFound);
    }
    refused_with(harness.backend().create(&raw(b".")), Cause::InvalidName, errno::EINVAL);
    assert_eq!(listed(harness), before);
}

fn the_kernel_refuses_the_names_of_its_general_settings<H: Harness>(harness: &H) {
    let before = listed(harness);
    for name in ["all", "default"] {
        let options = raw(name.as_bytes());
        refused_with(harness.backend().create(&options), Cause::InvalidName, errno::EINVAL);
    }
    assert_eq!(listed(harness), before);
}

fn the_kernel_refuses_a_percent_sign_outside_of_one_pattern<H: Harness>(harness: &H) {
    let before = listed(harness);
    let names: [&[u8]; 6] = [b"a%", b"a%s", b"%%d", b"a%5d", b"a%d%d", b"a%d%"];
    for name in names {
        refused_with(harness.backend().create(&raw(name)), Cause::InvalidName, errno::EINVAL);
    }
    assert_eq!(listed(harness), before);
}

fn the_kernel_accepts_control_bytes<H: Harness>(harness: &H) {
    let names: [&[u8]; 5] = [b"a\x01b", b"a\x07b", b"a\x1bb", b"a\x7fb", b"a\xff\xfe"];
    for bytes in names {
        let device = harness.backend().create(&raw(bytes)).unwrap();
        assert_eq!(device.name().unwrap().as_bytes(), bytes);
        assert!(harness.report(&device.name().unwrap()).is_some(), "{}", bytes.escape_ascii());
    }
}

fn a_name_that_exists_is_refused_and_the_interface_left_alone<H: Harness>(harness: &H) {
    let _held = tun(harness, "held");
    persistent(harness, CreateOptions::tap(), "idle");
    for text in ["held", "idle"] {
        let before = report(harness, text);
        for options in [CreateOptions::tun(), CreateOptions::tap(), CreateOptions::tun().multi_queue(true)] {
            let options = named(options, text);
            let error = refused_with(harness.backend().create(&options), Cause::Exists, errno::EBUSY);
            assert_eq!(error.interface(), Some(name(text)));
            let exclusive = harness.backend().open_or_create(&options.exclusive(true));
            refused_with(exclusive, Cause::Exists, errno::EBUSY);
        }
        assert_eq!(report(harness, text), before);
    }
}

fn the_name_of_another_kind_of_interface_is_not_created<H: Harness>(harness: &H) {
    for options in [CreateOptions::tun(), CreateOptions::tap()] {
        let options = options.name(harness.other_interface());
        refused_with(harness.backend().create(&options), Cause::NotATun, errno::EBUSY);
        let exclusive = harness.backend().open_or_create(&options.exclusive(true));
        refused_with(exclusive, Cause::NotATun, errno::EBUSY);
    }
}

fn the_name_of_another_kind_of_interface_is_not_opened<H: Harness>(harness: &H) {
    for options in [CreateOptions::tun(), CreateOptions::tap()] {
        let options = options.name(harness.other_interface());
        let error = refused(harness.backend().open(&options), Cause::NotATun);
        assert_eq!(error.interface(), Some(harness.other_interface()));
        let either = refused(harness.backend().open_or_create(&options), Cause::NotATun);
        assert_eq!([error.raw_os_error(), either.raw_os_error()], [None; 2], "no system call failed");
    }
}

fn the_default_is_a_tap_without_packet_information<H: Harness>(harness: &H) {
    let device = harness.backend().create(&CreateOptions::default()).unwrap();
    assert_eq!(report(harness, "tap0").flags, CreateFlags::TAP | CreateFlags::NO_PI);
    assert_eq!(device.flags().bits(), 0x1002);
    assert_eq!(device.layer(), Layer::Tap);
}

/// Every sense that flags make that each kernel has.
fn all_options() -> impl Iterator<Item = CreateOptions> {
    let options = (0..=u16::MAX).filter_map(|bits| CreateOptions::from_bits(bits).ok());
    options.filter(|options| !options.get_flags().intersects(CreateFlags::OPTIONAL))
}

/// The flags that are an interface's; the others are gone once it is made.
const KEPT: CreateFlags = CreateFlags::all().difference(CreateFlags::ONE_QUEUE.union(CreateFlags::TUN_EXCL));

fn a_created_device_reports_the_flags_that_it_was_given<H: Harness>(harness: &H) {
    assert_eq!(all_options().count(), 64);
    for options in all_options() {
        let flags = options.get_flags();
        let device = create(harness, options, "tun0");
        assert_eq!(device.flags(), flags);
        assert_eq!(report(harness, "tun0").flags, flags & KEPT, "{flags}");
        assert_eq!(report(harness, "tun0").layer, device.layer());
    }
}

fn an_opened_device_reports_the_flags_that_it_was_given<H: Harness>(harness: &H) {
    for layer in [CreateOptions::tun(), CreateOptions::tap()] {
        for several in [false, true] {
            let made = layer.clone().multi_queue(several);
            persistent(harness, made.clone(), "tun0");
            let fixed =
                CreateFlags::TUN | CreateFlags::TAP | CreateFlags::MULTI_QUEUE | CreateFlags::TUN_EXCL;
            for options in all_options().filter(|one| one.get_flags() & fixed == made.get_flags() & fixed) {
                let flags = options.get_flags();
                let device = open(harness, options, "tun0").unwrap();
                assert_eq!(device.flags(), flags);
                assert_eq!(report(harness, "tun0").flags, flags & KEPT, "{flags}");
            }
            harness.delete(&name("tun0"));
        }
    }
}

fn the_name_follows_a_rename<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    assert!(harness.rename(&name("before"), &name("after")));
    assert_eq!(called::<H>(&device), "after");
    assert!(exists(harness, "after") && !exists(harness, "before"));
}

fn a_renamed_interface_keeps_its_index<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    let before = report(harness, "before");
    assert!(harness.rename(&name("before"), &name("after")));
    assert_eq!(report(harness, "after").index, before.index);
    assert_eq!(device.interface().index(), before.index);
    assert_eq!(device.interface().name().unwrap(), name("after"));
}

fn a_renamed_interface_leaves_its_old_name_free<H: Harness>(harness: &H) {
    let first = tun(harness, "vpn0");
    assert!(harness.rename(&name("vpn0"), &name("other")));
    refused(open(harness, CreateOptions::tun(), "vpn0"), Cause::NotFound);
    let second = tun(harness, "vpn%d");
    assert_eq!(called::<H>(&second), "vpn0");
    assert_eq!(called::<H>(&first), "other");
    assert_ne!(report(harness, "vpn0").index, report(harness, "other").index);
}

fn an_interface_that_is_up_is_renamed_as_the_system_permits<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    harness.set_up(&name("before"), true);
    let permitted = harness.profile().rename_while_up;
    assert_eq!(harness.rename(&name("before"), &name("after")), permitted);
    assert_eq!(called::<H>(&device), if permitted { "after" } else { "before" });
}

fn a_clone_has_the_name_and_flags_of_its_device<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().packet_information(true).one_queue(true);
    let device = create(harness, options, "before");
    let clone = device.try_clone().unwrap();
    assert_eq!(clone.flags(), device.flags());
    assert!(harness.rename(&name("before"), &name("after")));
    assert_eq!((called::<H>(&device), called::<H>(&clone)), ("after".into(), "after".into()));
}

fn an_error_names_the_interface_or_the_pattern<H: Harness>(harness: &H) {
    let _held = tun(harness, "held");
    let told = |error: &Error, operation: Operation, name: &str| {
        let text = error.to_string();
        assert!(text.starts_with(&format!("{operation} {name}: ")), "{text}");
    };
    let pattern = open(harness, CreateOptions::tun(), "held%d");
    let pattern = refused(pattern, Cause::InvalidOptions);
    told(&pattern, Operation::Open, "held%d");
    assert_eq!(pattern.interface(), None);
    let busy = refused_with(open(harness, CreateOptions::tun(), "held"), Cause::Busy, errno::EBUSY);
    told(&busy, Operation::Open, "held");
    told(&refused(open(harness, CreateOptions::tun(), "none"), Cause::NotFound), Operation::Open, "none");
    let missing = refused(harness.backend().interface(&name("none")), Cause::NotFound);
    told(&missing, Operation::Lookup, "none");
    assert_eq!(missing.interface(), Some(name("none")));
}

fn an_error_names_the_interface_as_it_is_called_now<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    assert!(harness.rename(&name("before"), &name("after")));
    let error = refused_with(device.try_send(&[0x45; 20]), Cause::Down, errno::EIO);
    assert_eq!(error.interface(), Some(name("after")));
    harness.delete(&name("after"));
    // What has no name any more is told by the one under which it was opened.
    let error = refused_with(device.name(), Cause::Gone, errno::EBADFD);
    assert_eq!(error.interface(), Some(name("before")));
}
