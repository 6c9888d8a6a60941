//! Names that other programs chose: what they do to a terminal, and how they are typed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use tunctl::{Interface, InterfaceName, TunBackend};
use tunctl_testing::{Case, case, ip};

use super::process::{Run, tunctl, tunctl_with};
use super::support::others;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(a_name_is_printed_harmlessly_and_taken_as_printed), case!(a_wrong_name_is_quoted_harmlessly)]
}

/// Not UTF-8; a colour; a text turned around; what looks like an escape.
const NAMES: [&[u8]; 4] = [b"a\xff\xfe", b"a\x1b[31mb", b"a\xe2\x80\xaeb", br"a\xff"];

#[track_caller]
fn assert_harmless(run: &Run) {
    let printed = [&*run.stdout, &run.stderr].concat();
    let is_harmless = |byte: u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
    assert!(printed.bytes().all(is_harmless), "{run:#?}");
}

fn with_name(words: &[&str], name: &[u8]) -> Run {
    let words =
        words.iter().map(|&word| if word == "NAME" { OsStr::from_bytes(name) } else { OsStr::new(word) });
    let run = tunctl_with(words);
    assert_harmless(&run);
    run
}

fn a_name_is_printed_harmlessly_and_taken_as_printed() {
    for name in NAMES {
        ip("tuntap add dev t0 mode tun");
        let interface = tunctl::native().interface(&"t0".parse().unwrap()).unwrap();
        interface.rename(&InterfaceName::from_kernel(name).unwrap()).unwrap();
        let listed = with_name(&["list", "--json"], b"").json();
        let printed = listed[0]["name"].as_str().unwrap();
        assert_eq!(with_name(&["show", "NAME", "--json"], printed.as_bytes()).json(), listed[0]);
        for words in
            [&["list"][..], &["list", "--json"], &["show", "NAME"], &["set", "NAME", "--mtu", "1400"]]
        {
            assert!(with_name(words, printed.as_bytes()).status.success(), "{words:?} {printed}");
        }
        // As it is, too, unless that looks like an escape.
        let typed = if name.contains(&b'\\') { printed.as_bytes() } else { name };
        with_name(&["up", "NAME"], typed).ok();
        let refused = with_name(&["create", "new", "--mac", "NAME"], name);
        assert_eq!(refused.status.code(), Some(2), "{refused:#?}");
        with_name(&["delete", "NAME"], printed.as_bytes()).ok();
        assert_eq!(others(), [""; 0]);
    }
}

fn a_wrong_name_is_quoted_harmlessly() {
    for name in NAMES {
        with_name(&["show", "NAME"], name).failed(1, &["look up a", "no interface of that name"]);
    }
    for name in [&b"a\x1b[31mb"[..], b"a\x07\xe2\x80\xaeb"] {
        with_name(&["create", "NAME"], name).failed(2, &["control byte", "--help"]);
        with_name(&["NAME"], name).failed(2, &["subcommand 'a", "--help"]);
    }
    tunctl("show a/b").failed(2, &["cannot contain '/'", "--help"]);
}
