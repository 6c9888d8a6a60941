//! The MTU and its bounds.

use tunctl_core::{Cause, Interface, Mtu, TunDevice};
use tunctl_testing::{Case, case, link};

use super::support::{refused, tap, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(a_tun_takes_from_68_to_65535_bytes), case!(a_tap_takes_up_to_65521_bytes)]
}

fn held(name: &str) -> u64 {
    link(name).unwrap()["mtu"].as_u64().unwrap()
}

fn mtu(bytes: u32) -> Mtu {
    Mtu::new(bytes).unwrap()
}

fn a_tun_takes_from_68_to_65535_bytes() {
    let device = tun("tun0");
    assert_eq!(held("tun0"), 1500);
    for bytes in [68, 1280, 9000, 65535] {
        device.interface().set_mtu(mtu(bytes)).unwrap();
        assert_eq!(held("tun0"), u64::from(bytes));
        assert_eq!(device.interface().mtu().unwrap().get(), bytes);
    }
    assert!(Mtu::new(67).is_err() && Mtu::new(65536).is_err());
}

fn a_tap_takes_up_to_65521_bytes() {
    let device = tap("tap0");
    for bytes in [68, 65521] {
        device.interface().set_mtu(mtu(bytes)).unwrap();
        assert_eq!(held("tap0"), u64::from(bytes));
    }
    for bytes in [65522, 65535] {
        let error = refused(device.interface().set_mtu(mtu(bytes)));
        assert_eq!(error.cause(), Cause::InvalidMtu, "{error}");
        assert_eq!(error.raw_os_error(), Some(22));
        assert_eq!(error.interface().unwrap().to_string(), "tap0");
        assert_eq!(held("tap0"), 65521);
    }
}
