//! The programs, and what there is before they run.

/// A program to disturb.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What `ip -batch` makes first.
    pub(crate) before: &'static [&'static str],
    pub(crate) program: Program,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// The command, with these words.
    Command(&'static str),
    /// An operation of the library, by the name that `subject.rs` has for it.
    Library(&'static str),
}

/// What belongs to somebody else, in every scenario: a veth with an address, and a tap.
pub(crate) const STRANGERS: &[&str] = &[
    "link add stranger type veth peer name other",
    "address add 10.9.9.9/24 dev stranger",
    "tuntap add dev theirs mode tap user 4001",
    "link set theirs mtu 1444 alias theirs up",
];

/// A persistent tun with addresses of both families, that is up.
const TUN: &[&str] = &[
    "tuntap add dev t0 mode tun",
    "address add 10.1.1.1/24 dev t0",
    "address add 10.1.1.2/24 dev t0",
    "link set t0 up",
    "address add fd77::1/64 dev t0",
];
const TAP: &[&str] = &["tuntap add dev t0 mode tap", "link set t0 address 02:00:5e:10:00:01"];
/// A persistent tap with packet information, so that `TUNGETIFF` says whether it has a filter.
const TAP_WITH_INFO: &[&str] = &["tuntap add dev t0 mode tap pi"];
const NOTHING: &[&str] = &[];

const fn command(name: &'static str, before: &'static [&'static str], words: &'static str) -> Scenario {
    Scenario { name, before, program: Program::Command(words) }
}

const fn library(name: &'static str, before: &'static [&'static str]) -> Scenario {
    Scenario { name, before, program: Program::Library(name) }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    command(
        "create",
        NOTHING,
        "create t0 --tun --mtu 1400 --address 10.1.1.1/24 --address fd77::1/64 --owner 4001 --description mine --up",
    ),
    command("create-unnamed", NOTHING, "create --mac 02:00:5e:10:00:02 --json"),
    command("create-existing", TUN, "create t0 --tun --mtu 1400 --address 10.2.2.2/24 --owner 4001"),
    command("set", TUN, "set t0 --mtu 1400 --add 10.2.2.2/24 --remove 10.1.1.1/24 --queue-length 9"),
    command("set-replace", TUN, "set t0 --replace 10.1.1.2/24 --replace fd77::2/64 --description mine"),
    command("set-rename", TAP, "set t0 --name t9 --mac 02:00:5e:10:00:03 --mtu 1300"),
    command("set-owner", TUN, "set t0 --owner 4001 --group 4002 --mtu 1400"),
    command("set-transient", TUN, "set t0 --persist off"),
    command("up", TAP, "up t0 10.1.1.1/24"),
    command("down", TUN, "down t0"),
    command("delete", TUN, "delete t0"),
    command("show", TUN, "show t0"),
    command("list", TUN, "list --json"),
    command("lab", NOTHING, "lab -- true"),
    command("doctor", TUN, "doctor t0"),
    library("create-queues", NOTHING),
    library("open-and-configure", TUN),
    library("device-settings", TUN),
    library("packets", TUN),
    library("handle-properties", TUN),
    library("handle-addresses", TUN),
    library("handle-delete", TUN),
    library("filters", TAP_WITH_INFO),
    library("adopt", TUN),
    library("destroy", TUN),
    library("observe", TUN),
    library("events", TUN),
    library("enter-namespace", NOTHING),
    library("namespace", NOTHING),
    library("handle-move", TUN),
];
