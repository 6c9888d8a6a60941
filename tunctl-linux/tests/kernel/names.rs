//! Names: what the kernel refuses or cuts, the types refuse; and what the kernel accepts.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tunctl_core::{InvalidName, NamePattern, TunDevice};
use tunctl_sys::linux::iff;
use tunctl_testing::{Case, case, ip_json};

use super::support::{ask_kernel, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(every_name_that_the_kernel_refuses_is_refused_by_the_type),
        case!(a_name_too_long_is_refused_where_the_kernel_would_cut_it),
        case!(control_bytes_are_refused_though_the_kernel_accepts_them),
        case!(what_the_type_accepts_the_kernel_takes_as_it_is),
        case!(a_percent_sign_stands_only_in_one_pattern),
    ]
}

const TUN: u16 = iff::TUN | iff::NO_PI;

fn every_name_that_the_kernel_refuses_is_refused_by_the_type() {
    let whitespace = |byte| InvalidName::Whitespace { byte };
    let separator = |character| InvalidName::Separator { character };
    let refused = [
        ("a/b", separator('/')),
        ("a:b", separator(':')),
        ("a b", whitespace(b' ')),
        ("a\tb", whitespace(b'\t')),
        ("a\nb", whitespace(b'\n')),
        ("a\u{b}b", whitespace(0x0b)),
        ("a\u{c}b", whitespace(0x0c)),
        ("a\rb", whitespace(b'\r')),
        // à is 0xC3 0xA0 in UTF-8, and 0xA0 is whitespace to the kernel.
        ("a\u{e0}b", whitespace(0xa0)),
        (".", InvalidName::Dots),
        ("..", InvalidName::Dots),
        ("a%d%d", InvalidName::StrayPercent),
        ("a%s", InvalidName::StrayPercent),
        ("a%", InvalidName::StrayPercent),
        ("%%d", InvalidName::StrayPercent),
        ("a%5d", InvalidName::StrayPercent),
    ];
    for (name, why) in refused {
        let kernel = ask_kernel(name.as_bytes(), TUN).map(|(_, name)| name);
        let errno = kernel.unwrap_err().raw_os_error();
        assert_eq!(errno, Some(22), "the kernel's answer to {name:?}");
        // A control byte that is whitespace may be called either.
        let ours = NamePattern::new(name).unwrap_err();
        match ours {
            InvalidName::Control { byte } => assert!(matches!(why, InvalidName::Whitespace { .. }), "{byte}"),
            ours => assert_eq!(ours, why, "{name:?}"),
        }
        assert!(name.parse::<tunctl_core::InterfaceName>().is_err(), "{name:?}");
    }
}

fn a_name_too_long_is_refused_where_the_kernel_would_cut_it() {
    // iproute2 would refuse it too; that the kernel cuts is in the facts page, and cannot be asked without
    // unsafe code.
    for length in [16, 17, 255] {
        let name = "n".repeat(length);
        assert_eq!(NamePattern::new(&name), Err(InvalidName::TooLong { length }));
    }
    // Bytes count, not characters.
    assert_eq!(NamePattern::new("äöüäöüäö"), Err(InvalidName::TooLong { length: 16 }));
    assert_eq!(NamePattern::new(""), Err(InvalidName::Empty));
}

fn control_bytes_are_refused_though_the_kernel_accepts_them() {
    for byte in [0x01, 0x07, 0x1b, 0x7f] {
        let name = [b'a', byte, b'b'];
        let (_file, given) = ask_kernel(&name, TUN).unwrap();
        assert_eq!(given, name);
        let text = std::str::from_utf8(&name).unwrap();
        assert_eq!(NamePattern::new(text), Err(InvalidName::Control { byte }));
    }
    assert_eq!(NamePattern::new("a\0b"), Err(InvalidName::Control { byte: 0 }));
}

fn what_the_type_accepts_the_kernel_takes_as_it_is() {
    for name in [
        "...",
        "-x",
        "é",
        "日本語",
        "a\"b",
        "a'b",
        "a\\b",
        "a.b",
        "a,b",
        "a@b",
        "~",
        "0",
        "lo0",
        "a=b",
        "(a)",
        "$a",
    ] {
        let device = tun(name);
        let listed = ip_json("link show");
        assert!(listed.iter().any(|link| link["ifname"] == name), "{name}: {listed:?}");
        // And by the file system, where the fresh mount is.
        let entry = Path::new("/sys/class/net").join(std::ffi::OsStr::from_bytes(name.as_bytes()));
        assert!(entry.exists() || !Path::new("/sys/class/net/lo").exists(), "{name}");
        assert_eq!(device.name().unwrap().as_bytes(), name.as_bytes());
    }
}

fn a_percent_sign_stands_only_in_one_pattern() {
    for (pattern, first) in [("%d", "0"), ("x%d", "x0"), ("x%dy", "x0y")] {
        let (_file, given) = ask_kernel(pattern.as_bytes(), TUN).unwrap();
        assert_eq!(given, first.as_bytes());
        assert_eq!(NamePattern::new(pattern).unwrap().exact(), None);
        assert!(pattern.parse::<tunctl_core::InterfaceName>().is_err());
    }
    // With a pattern of 15 bytes the number would not fit: 14 bytes and one digit do.
    let device = tun("abcdefghijklm%d");
    assert_eq!(device.name().unwrap().to_string(), "abcdefghijklm0");
    assert_eq!(super::support::others(), ["abcdefghijklm0"]);
}
