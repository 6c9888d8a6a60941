//! Creation flags: what the kernel would swallow without a word, the options refuse.

use tunctl_core::{CreateFlags, CreateOptions, InvalidOptions};
use tunctl_sys::linux::iff;
use tunctl_testing::{Case, case};

use super::support::{ask_kernel, driver_report, others};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(tun_and_tap_together_make_a_tun_to_the_kernel_and_are_refused_here),
        case!(neither_tun_nor_tap_is_refused_by_both),
        case!(unknown_bits_are_ignored_by_the_kernel_and_refused_here),
        case!(every_known_bit_is_accepted_by_the_kernel),
    ]
}

fn tun_and_tap_together_make_a_tun_to_the_kernel_and_are_refused_here() {
    let (_file, name) = ask_kernel(b"both", iff::TUN | iff::TAP | iff::NO_PI).unwrap();
    assert_eq!(name, b"both");
    assert_eq!(driver_report("both")["type"], "tun");
    assert_eq!(CreateOptions::from_bits(0x1003), Err(InvalidOptions::BothLayers));
}

fn neither_tun_nor_tap_is_refused_by_both() {
    for bits in [0, iff::NO_PI, iff::MULTI_QUEUE | iff::VNET_HDR] {
        let error = ask_kernel(b"none", bits).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(22));
        assert_eq!(CreateOptions::from_bits(bits), Err(InvalidOptions::NoLayer));
    }
    assert_eq!(others(), [""; 0]);
}

fn unknown_bits_are_ignored_by_the_kernel_and_refused_here() {
    // PERSIST (0x800) has a meaning, which these options do not offer.
    for bits in [0x0004_u16, 0x0008, 0x0200, 0x0400, 0x0800] {
        let (file, _) = ask_kernel(b"odd", bits | iff::TUN | iff::NO_PI).unwrap();
        assert_eq!(others(), ["odd"]);
        assert_eq!(driver_report("odd")["persist"], false, "{bits:#x}");
        drop(file);
        assert_eq!(CreateOptions::from_bits(bits | 0x1001), Err(InvalidOptions::UnknownBits { bits }));
    }
}

fn every_known_bit_is_accepted_by_the_kernel() {
    // Fragments take a right in the first user namespace.
    for flag in (CreateFlags::all() - CreateFlags::NAPI_FRAGS).iter() {
        let rest = if flag == CreateFlags::TAP { CreateFlags::empty() } else { CreateFlags::TUN };
        let bits = (flag | rest).bits();
        let (_file, _) = ask_kernel(b"known", bits).unwrap_or_else(|error| panic!("{bits:#x}: {error}"));
        assert!(CreateOptions::from_bits(bits).is_ok());
    }
}
