//! Wrong usage: exit status 2, a message that says why, and nothing done. And help.

use tunctl_testing::{Case, Snapshot, case, ip};

use super::process::{tunctl, tunctl_with};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(names_that_are_none_are_refused),
        case!(contradictions_are_refused),
        case!(addresses_that_are_none_are_refused),
        case!(numbers_out_of_range_are_refused),
        case!(users_and_groups_that_do_not_exist_are_refused),
        case!(peers_without_an_address_of_their_family_are_refused),
        case!(what_is_missing_is_named),
        case!(unknown_words_are_refused),
        case!(help_is_there_for_everything),
        case!(help_names_the_options_of_the_specification),
        case!(the_options_in_the_table_of_linux_exist),
        case!(the_version_is_that_of_the_package),
    ]
}

/// Asserts that these words are wrong, each with what its message must say.
fn assert_refused(wrong: &[(&str, &str)]) {
    ip("tuntap add dev t0 mode tun");
    let before = Snapshot::take();
    for (words, reason) in wrong {
        tunctl(words).failed(2, &[reason]);
        assert_eq!(Snapshot::take(), before, "{words}");
    }
}

fn names_that_are_none_are_refused() {
    let before = Snapshot::take();
    for (name, reason) in [
        ("a/b", "'/'"),
        ("a:b", "':'"),
        ("abcdefghijklmnop", "15 bytes"),
        ("ääääääää", "15 bytes"),
        (".", "\".\""),
        ("..", "\"..\""),
        ("%s", "%d"),
        ("100%", "%d"),
        ("a%d%d", "%d"),
        ("two words", "whitespace"),
        ("tab\there", "whitespace"),
        ("new\nline", "whitespace"),
        ("", "at least one byte"),
    ] {
        for verb in ["create", "delete", "up", "down", "show", "watch"] {
            tunctl_with([verb, name]).failed(2, &[reason, "an interface"]);
        }
        tunctl_with(["set", name, "--mtu", "1400"]).failed(2, &[reason, "an interface"]);
    }
    // Who has chosen such a name must be able to delete it; but this program gives none.
    tunctl_with(["create", "bell\x07"]).failed(2, &["control", "an interface"]);
    tunctl_with(["set", "t0", "--name", "bell\x07"]).failed(2, &["control", "an interface"]);
    tunctl_with(["delete", "bell\x07"]).failed(1, &["no interface of that name"]);
    // A pattern is for what is to be created.
    for words in ["delete t%d", "up t%d", "down t%d", "show t%d", "watch t%d", "set t%d --mtu 1400"] {
        tunctl(words).failed(2, &["%d"]);
    }
    assert_eq!(Snapshot::take(), before);
}

fn contradictions_are_refused() {
    assert_refused(&[
        ("create t1 --tun --tap", "'--tun' cannot be used with '--tap'"),
        ("create t1 --mtu 1400 --mtu 1500", "'--mtu <BYTES>' cannot be used multiple times"),
        ("create t1 --tun --mac 02:00:5e:10:00:01", "'--tun' cannot be used with '--mac <MAC>'"),
        ("create t1 t2", "unexpected argument 't2'"),
        ("set t0", "--mtu"),
    ]);
}

fn addresses_that_are_none_are_refused() {
    let wrong = [
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "class E"),
        ("255.255.255.255", "255.255.255.255"),
        ("0.1.2.3", "0.0.0.0/8"),
        ("10.1.1.1/33", "33"),
        ("10.1.1.1/-1", "10.1.1.1/-1"),
        ("10.1.1.1/", "10.1.1.1/"),
        ("10.1.1.1/24/24", "10.1.1.1/24/24"),
        ("10.1.1", "10.1.1.1/24"),
        ("10.1.1.256", "10.1.1.256"),
        ("fd01::1/129", "129"),
        ("ff02::1", "multicast"),
        ("::", "::"),
        ("fd01:::1", "fd01:::1"),
        ("host.example", "host.example"),
    ];
    ip("tuntap add dev t0 mode tun");
    let before = Snapshot::take();
    for (address, reason) in wrong {
        for words in ["create t1 --address", "up t0", "set t0 --add", "set t0 --remove", "set t0 --replace"] {
            tunctl(&format!("{words} {address}")).failed(2, &[address, reason]);
        }
    }
    assert_eq!(Snapshot::take(), before);
}

fn numbers_out_of_range_are_refused() {
    assert_refused(&[
        ("create t1 --mtu 67", "from 68 to 65535"),
        ("create t1 --mtu 65536", "from 68 to 65535"),
        ("create t1 --mtu many", "from 68 to 65535"),
        ("create t1 --mac 02:00:5e:10:00", "six bytes in hexadecimal"),
        ("set t0 --mac 00:00:00:00:00:00", "all-zero"),
        ("set t0 --mac 01:00:5e:00:00:01", "a group MAC address"),
        ("set t0 --mtu 67", "from 68 to 65535"),
        ("set t0 --persist perhaps", "on or off"),
        ("watch t0 --count 0", "0"),
        ("watch t0 --count x", "'x'"),
        ("watch t0 --for 0", "0"),
        ("watch t0 --for soon", "'soon'"),
        ("lab --count 0", "0"),
        ("lab --for 0", "0"),
        ("lab --backend imagination", "kernel"),
    ]);
}

fn users_and_groups_that_do_not_exist_are_refused() {
    assert_refused(&[
        ("create t1 --owner no-such-user", "'no-such-user'"),
        ("create t1 --group no-such-group", "'no-such-group'"),
        ("create t1 --owner 4294967295", "4294967295"),
        ("create t1 --group 4294967296", "4294967296"),
        ("set t0 --owner no-such-user", "'no-such-user'"),
        ("set t0 --group no-such-group", "'no-such-group'"),
    ]);
}

fn peers_without_an_address_of_their_family_are_refused() {
    assert_refused(&[
        ("create t1 --peer 10.9.9.9", "--address"),
        ("create t1 --address fd01::1 --peer 10.9.9.9", "family"),
        ("create t1 --address 10.1.1.1 --address 10.2.2.2 --peer 10.9.9.9", "--peer"),
        ("create t1 --address 10.1.1.1 --peer 10.9.9.9/24", "10.9.9.9/24"),
        ("up t0 --peer 10.9.9.9", "ADDRESS"),
        ("up t0 10.1.1.1 --peer fd09::9", "IPv4"),
    ]);
}

fn what_is_missing_is_named() {
    assert_refused(&[
        ("delete", "<NAME>"),
        ("up", "<NAME>"),
        ("down", "<NAME>"),
        ("set --mtu 1400", "<NAME>"),
        ("show", "<NAME>"),
        ("watch", "<NAME>"),
        ("create t1 --mtu", "--mtu"),
    ]);
    // Alone, it explains itself.
    let run = tunctl("");
    assert_eq!(run.status.code(), Some(2));
    assert!(run.stderr.contains("Usage: tunctl") && run.stderr.contains("lab"), "{run:#?}");
}

fn unknown_words_are_refused() {
    assert_refused(&[
        ("frobnicate", "'frobnicate'"),
        ("crate t1", "'create'"),
        ("create t1 --frobnicate", "'--frobnicate'"),
        ("create t1 --excl", "--exclusive"),
        ("list t0", "'t0'"),
        ("lab ping 10.77.0.2", "--"),
        ("helper", "install"),
        ("helper remove", "'uninstall'"),
        ("helper install t0", "'t0'"),
        ("policy", "example"),
        ("policy show", "'check'"),
        ("policy check alice bob", "'bob'"),
        ("policy example --json", "'--json'"),
    ]);
}

fn help_is_there_for_everything() {
    for verb in [
        "create", "delete", "up", "down", "set", "show", "list", "doctor", "features", "watch", "lab",
        "pump", "helper", "policy",
    ] {
        for words in [format!("{verb} --help"), format!("{verb} -h"), format!("help {verb}")] {
            let printed = tunctl(&words).ok();
            assert!(printed.contains(&format!("Usage: tunctl {verb}")), "{words}: {printed}");
        }
        let all = tunctl("--help").ok();
        assert!(all.lines().any(|line| line.trim_start().starts_with(verb)), "{verb} is not in: {all}");
    }
}

fn help_names_the_options_of_the_specification() {
    for (verb, options) in [
        (
            "create",
            "--tun --tap --pi --vnet-hdr --multi-queue --exclusive --owner --group --address --peer --mtu \
             --mac --up --hold --json",
        ),
        ("show", "--json"),
        ("list", "--json"),
        ("doctor", "--json"),
        ("features", "--json"),
        ("watch", "--filter --count --for --attach --json"),
        ("pump", "--tun --tap --mtu --address-a --address-b --netns-b --offload --queues --loss --reorder"),
        ("pump", "--corrupt --delay --rate --seed --for --json packets passthrough off"),
        ("helper", "install status uninstall"),
        ("helper install", "--program --policy /usr/local/libexec /etc/tunctl/policy.toml"),
        ("helper status", "--json"),
        ("helper uninstall", "--policy"),
        ("policy", "check example"),
        ("policy check", "[USER] --json"),
        ("lab", "--count --for --backend --json auto kernel mock"),
    ] {
        let printed = tunctl(&format!("{verb} --help")).ok();
        for option in options.split_whitespace() {
            assert!(printed.contains(option), "{option} is not in: {printed}");
        }
    }
}

fn the_options_in_the_table_of_linux_exist() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/linux.md");
    let document = std::fs::read_to_string(path).unwrap();
    // Of six cells the fifth; the line begins with the edge of the first.
    let cells = document.lines().filter_map(|line| line.split('|').nth(5));
    let commands = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let commands: Vec<_> = commands.filter_map(|command| command.strip_prefix("tunctl ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        let mut words = command.split(' ');
        let printed = tunctl(&format!("{} --help", words.next().unwrap())).ok();
        for option in words {
            let exists = printed.split_whitespace().any(|word| word.trim_end_matches(',') == option);
            assert!(exists, "{command}: {option} is not in: {printed}");
        }
    }
}

fn the_version_is_that_of_the_package() {
    assert_eq!(tunctl("--version").line(), format!("tunctl {}", env!("CARGO_PKG_VERSION")));
}
