//! `tunctl create`: persistent interfaces.

use std::fs;
use std::process::{Command, Stdio};

use tunctl_testing::{Case, Snapshot, case, ip, ip_json, link};

use super::process::{PROGRAM, Running, command, run, tunctl, tunctl_with};
use super::support::{addresses_of, driver_report, exists, full, is_up, members, mtu, others, shown};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(by_default_it_is_a_persistent_tap_whose_name_the_kernel_chooses),
        case!(a_name_is_taken_and_printed),
        case!(a_pattern_takes_the_first_free_number),
        case!(tun_or_tap_is_as_asked),
        case!(headers_and_queues_are_as_asked),
        case!(a_queue_length_is_as_asked),
        case!(create_of_one_that_exists_changes_all_or_nothing),
        case!(owner_and_group_are_the_kernels_too).needs_root(),
        case!(owner_and_group_may_be_names).needs_root(),
        case!(several_addresses_are_given),
        case!(a_peer_makes_a_point_to_point_link),
        case!(a_peer_can_be_reached),
        case!(a_peer_belongs_to_the_address_of_its_family),
        case!(mtu_and_state_are_as_asked),
        case!(an_existing_interface_is_taken_and_adjusted),
        case!(an_existing_interface_is_left_alone_if_it_must_be_new),
        case!(an_existing_interface_of_the_other_layer_is_refused),
        case!(an_interface_of_another_kind_is_refused),
        case!(an_interface_in_use_is_refused_with_its_holder),
        case!(a_failing_step_leaves_no_interface),
        case!(a_failing_step_leaves_an_existing_interface_there),
        case!(a_name_that_cannot_be_printed_leaves_no_interface),
        case!(a_name_that_nobody_reads_leaves_no_interface_and_says_so),
        case!(an_interface_that_existed_and_cannot_be_printed_is_said_to_be_changed),
        case!(a_limit_of_file_sizes_leaves_no_interface),
        case!(json_has_the_fields_that_are_promised),
        case!(json_is_what_show_prints_then),
    ]
}

fn by_default_it_is_a_persistent_tap_whose_name_the_kernel_chooses() {
    let name = tunctl("create").line();
    assert_eq!(others(), [&*name]);
    let report = driver_report(&name);
    assert_eq!(report["type"], "tap");
    assert_eq!(report["persist"], true);
    assert_eq!(report["pi"], false);
    assert_eq!(report["vnet_hdr"], false);
    assert_eq!(report["multi_queue"], false);
    assert!(report.get("user").is_none() && report.get("group").is_none(), "{report}");
    assert!(!is_up(&name));
    // And another.
    assert_ne!(tunctl("create").line(), name);
    assert_eq!(others().len(), 2);
}

fn a_name_is_taken_and_printed() {
    assert_eq!(tunctl("create vpn7").line(), "vpn7");
    assert_eq!(others(), ["vpn7"]);
    // The longest, and one that is not ASCII.
    for name in ["abcdefghijklmno", "grün"] {
        assert_eq!(tunctl_with(["create", name]).line(), name);
        assert!(exists(name));
    }
}

fn a_pattern_takes_the_first_free_number() {
    assert_eq!(tunctl("create vpn%d").line(), "vpn0");
    assert_eq!(tunctl("create vpn%d --tun").line(), "vpn1");
    tunctl("delete vpn0").ok();
    assert_eq!(tunctl("create vpn%d").line(), "vpn0");
    assert_eq!(tunctl("create a%db").line(), "a0b");
    assert_eq!(others().len(), 3);
}

fn tun_or_tap_is_as_asked() {
    tunctl("create a --tun").ok();
    tunctl("create b --tap").ok();
    assert_eq!(driver_report("a")["type"], "tun");
    assert_eq!(driver_report("b")["type"], "tap");
}

fn a_queue_length_is_as_asked() {
    tunctl("create t0 --tun --queue-length 7").ok();
    assert_eq!(link("t0").unwrap()["txqlen"], 7);
}

fn create_of_one_that_exists_changes_all_or_nothing() {
    tunctl("create t0 --tun --address 10.1.1.1/24 --address fd01::1/64").ok();
    // For the first time up, even for a moment, the kernel gives it a queueing discipline, which is no
    // property of ours.
    let state = || (mtu("t0"), is_up("t0"), addresses_of("t0"));
    let before = state();
    // The address is there with another prefix.
    let failed = tunctl("create t0 --tun --mtu 1400 --address 10.2.2.2/24 --address fd01::1/48 --up");
    failed.failed(1, &["add an address to t0", "another prefix"]);
    assert_eq!(state(), before);
}

fn headers_and_queues_are_as_asked() {
    let options = [("--pi", "pi"), ("--vnet-hdr", "vnet_hdr"), ("--multi-queue", "multi_queue")];
    for (number, (option, _)) in options.iter().enumerate() {
        let name = format!("t{number}");
        tunctl(&format!("create {name} --tun {option}")).ok();
        let report = driver_report(&name);
        for (other, key) in &options {
            assert_eq!(report[key], other == option, "{option}: {report}");
        }
    }
    tunctl("create every --tap --pi --vnet-hdr --multi-queue").ok();
    let report = driver_report("every");
    assert!(options.iter().all(|(_, key)| report[key] == true), "{report}");
}

fn owner_and_group_are_the_kernels_too() {
    tunctl("create both --owner 4001 --group 4002").ok();
    let report = driver_report("both");
    assert_eq!((&report["user"], &report["group"]), (&4001.into(), &4002.into()));
    tunctl("create user --tun --owner 4001").ok();
    let report = driver_report("user");
    assert_eq!((&report["user"], report.get("group")), (&4001.into(), None));
    tunctl("create group --group 4003").ok();
    let report = driver_report("group");
    assert_eq!((report.get("user"), &report["group"]), (None, &4003.into()));
}

/// The last name in `/etc/passwd` or `/etc/group`.
fn last_of(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().rfind(|line| !line.is_empty()).unwrap();
    line.split(':').next().unwrap().to_owned()
}

fn owner_and_group_may_be_names() {
    // iproute2 turns the numbers into names again.
    let (user, group) = (last_of("/etc/passwd"), last_of("/etc/group"));
    tunctl_with(["create", "both", "--owner", &user, "--group", &group]).ok();
    let report = driver_report("both");
    assert_eq!((&report["user"], &report["group"]), (&user.into(), &group.into()));
}

fn several_addresses_are_given() {
    tunctl("create t0 --tun --address 10.1.1.1/24 --address 10.2.2.2 --address fd01::1/64 --address fd02::1")
        .ok();
    let mut given = addresses_of("t0");
    given.sort();
    let expected =
        ["10.1.1.1/24 brd 10.1.1.255", "10.2.2.2/8 brd 10.255.255.255", "fd01::1/64", "fd02::1/64"];
    assert_eq!(given, expected);
    assert!(!is_up("t0"), "nobody asked for it");
}

fn a_peer_makes_a_point_to_point_link() {
    tunctl("create t4 --tun --address 10.1.1.1 --peer 10.9.9.9").ok();
    assert_eq!(addresses_of("t4"), ["10.1.1.1 peer 10.9.9.9/32"]);
    tunctl("create t6 --tun --address fd01::1 --peer fd09::9").ok();
    assert_eq!(addresses_of("t6"), ["fd01::1 peer fd09::9/128"]);
}

fn a_peer_can_be_reached() {
    for (address, peer) in [("10.1.1.1", "10.9.9.9"), ("fd01::1", "fd09::9")] {
        tunctl(&format!("create t0 --tun --address {address} --peer {peer} --up")).ok();
        let family = if peer.contains(':') { "-6" } else { "-4" };
        let routes = ip_json(&format!("{family} route show dev t0"));
        assert!(routes.iter().any(|route| route["dst"] == peer), "no route to {peer}: {routes:#?}");
        tunctl("delete t0").ok();
        // The kernel forgets the route to an IPv6 peer if the address is there before the interface is up.
        tunctl("create t0 --tun").ok();
        tunctl(&format!("up t0 {address} --peer {peer}")).ok();
        let routes = ip_json(&format!("{family} route show dev t0"));
        assert!(routes.iter().any(|route| route["dst"] == peer), "no route to {peer}: {routes:#?}");
        tunctl("delete t0").ok();
    }
}

fn a_peer_belongs_to_the_address_of_its_family() {
    tunctl("create t0 --tun --address 10.1.1.1 --address fd01::1 --peer fd09::9").ok();
    assert_eq!(addresses_of("t0"), ["10.1.1.1/8 brd 10.255.255.255", "fd01::1 peer fd09::9/128"]);
}

fn mtu_and_state_are_as_asked() {
    for (name, bytes, more) in [("a", 68, "--tun --up"), ("b", 65535, "--tun"), ("c", 9000, "--tap --up")] {
        tunctl(&format!("create {name} --mtu {bytes} {more}")).ok();
        assert_eq!((mtu(name), is_up(name)), (bytes.into(), more.contains("--up")), "{name}");
    }
    tunctl("create d --up").ok();
    assert!(is_up("d") && mtu("d") == 1500);
}

fn an_existing_interface_is_taken_and_adjusted() {
    ip("tuntap add dev t0 mode tun");
    ip("address add 10.7.7.7/24 dev t0");
    let before = link("t0").unwrap()["ifindex"].clone();
    assert_eq!(tunctl("create t0 --tun --mtu 1400 --address 10.1.1.1/24 --vnet-hdr --up").line(), "t0");
    let after = link("t0").unwrap();
    assert_eq!(after["ifindex"], before, "it is the same interface");
    assert_eq!(addresses_of("t0"), ["10.7.7.7/24", "10.1.1.1/24 brd 10.1.1.255"]);
    assert!(is_up("t0") && mtu("t0") == 1400);
    let report = driver_report("t0");
    assert!(report["vnet_hdr"] == true && report["persist"] == true, "{report}");
    // Once more, with what it has already.
    assert_eq!(tunctl("create t0 --tun --vnet-hdr --address 10.1.1.1/24 --up").line(), "t0");
    assert_eq!(others(), ["t0"]);
    assert_eq!(addresses_of("t0"), ["10.7.7.7/24", "10.1.1.1/24 brd 10.1.1.255"]);
}

fn an_existing_interface_is_left_alone_if_it_must_be_new() {
    ip("tuntap add dev t0 mode tun");
    let before = Snapshot::take();
    let report = driver_report("t0");
    tunctl("create t0 --tun --exclusive --pi --mtu 1400 --up").failed(1, &["t0", "exists"]);
    assert_eq!((mtu("t0"), is_up("t0"), driver_report("t0")), (1500.into(), false, report));
    assert_eq!(Snapshot::take(), before);
    // Where there is none, it is made.
    assert_eq!(tunctl("create t1 --exclusive").line(), "t1");
    assert!(exists("t1"));
}

fn an_existing_interface_of_the_other_layer_is_refused() {
    ip("tuntap add dev t0 mode tun");
    tunctl("create t0 --tap --up").failed(1, &["t0", "tun", "tap", "delete"]);
    assert!(driver_report("t0")["type"] == "tun" && !is_up("t0"));
    tunctl("create t0 --tun --multi-queue").failed(1, &["t0", "queue"]);
}

fn an_interface_of_another_kind_is_refused() {
    let before = link("lo");
    for more in ["", "--exclusive", "--tun", "--hold"] {
        tunctl(&format!("create lo {more}")).failed(1, &["lo"]);
    }
    assert_eq!(link("lo"), before);
}

fn an_interface_in_use_is_refused_with_its_holder() {
    let mut holder = Running::start("create t0 --tun --hold");
    holder.line();
    tunctl("create t0 --tun").failed(1, &["t0", "use", "tunctl", &holder.pid().to_string()]);
}

/// A tap can't have it, a tun can.
const TOO_MUCH_FOR_A_TAP: &str = "--mtu 65535";

fn a_failing_step_leaves_no_interface() {
    let before = Snapshot::take();
    for words in ["", "t0", "vpn%d", "t0 --hold", "t0 --exclusive", "t0 --address 10.1.1.1/24 --up"] {
        let said = tunctl(&format!("create {words} {TOO_MUCH_FOR_A_TAP}")).failed(1, &["MTU", "65521"]);
        assert_eq!(Snapshot::take(), before, "create {words}: {said}");
    }
    // The words would otherwise do.
    tunctl(&format!("create t0 --tun {TOO_MUCH_FOR_A_TAP}")).ok();
    assert_ne!(Snapshot::take(), before);
}

fn a_failing_step_leaves_an_existing_interface_there() {
    ip("tuntap add dev t0 mode tap");
    ip("address add 10.7.7.7/24 dev t0");
    let before = Snapshot::take();
    tunctl(&format!("create t0 --address 10.1.1.1/24 --up {TOO_MUCH_FOR_A_TAP}")).failed(1, &["t0", "MTU"]);
    assert_eq!(Snapshot::take(), before);
    assert_eq!(driver_report("t0")["persist"], true);
    assert!(!is_up("t0"));
}

fn a_name_that_cannot_be_printed_leaves_no_interface() {
    let before = Snapshot::take();
    let mut create = command("create vpn%d --tun");
    create.stdout(full()).stderr(Stdio::piped());
    Running::spawn(create).end().failed(1, &["No space left"]);
    assert_eq!(Snapshot::take(), before, "who didn't learn the name can't delete it");
}

fn a_name_that_nobody_reads_leaves_no_interface_and_says_so() {
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$0\" create t0 --tun | true; exit ${PIPESTATUS[0]}", PROGRAM]);
    let run = run(shell);
    assert!(!exists("t0"), "{run:#?}");
    run.failed(1, &["t0", "Broken pipe", "removed"]);
    // One that existed stays, and its name was known.
    ip("tuntap add dev t0 mode tun");
    let mut shell = Command::new("bash");
    shell.args(["-c", "\"$0\" create t0 --tun --mtu 1400 | true; exit ${PIPESTATUS[0]}", PROGRAM]);
    super::process::run(shell).ok();
    assert_eq!(mtu("t0"), 1400);
}

fn an_interface_that_existed_and_cannot_be_printed_is_said_to_be_changed() {
    ip("tuntap add dev t0 mode tun");
    let mut create = command("create t0 --tun --mtu 1400");
    create.stdout(full()).stderr(Stdio::piped());
    Running::spawn(create).end().failed(1, &["No space left", "Not undone: t0"]);
    assert_eq!(mtu("t0"), 1400);
}

fn a_limit_of_file_sizes_leaves_no_interface() {
    let file = std::env::temp_dir().join(format!("tunctl-limit-{}", std::process::id()));
    let script = format!("ulimit -f 0; exec \"$0\" create t0 --tun >{}", file.display());
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, PROGRAM]);
    let run = run(shell);
    fs::remove_file(file).unwrap();
    assert!(!exists("t0"), "it was left behind: {run:#?}");
    run.failed(1, &["t0", "File too large"]);
}

fn json_has_the_fields_that_are_promised() {
    let made = tunctl("create t0 --tun --pi --multi-queue --mtu 1400 --address 10.1.1.1 --json").json();
    let promised = [
        "addresses",
        "carrier",
        "description",
        "detached_queues",
        "flags",
        "group",
        "holders",
        "index",
        "layer",
        "mac",
        "master",
        "mtu",
        "name",
        "owner",
        "persistent",
        "queue_length",
        "queues",
        "state",
    ];
    assert_eq!(members(&made), promised);
    let link = link("t0").unwrap();
    assert_eq!(made["name"], "t0");
    assert_eq!(made["index"], link["ifindex"]);
    assert_eq!(made["layer"], "tun");
    assert_eq!(made["mtu"], link["mtu"]);
    assert_eq!(made["queue_length"], link["txqlen"]);
    assert_eq!(made["state"], "down");
    assert_eq!(made["persistent"], true);
    assert!(made["owner"].is_null() && made["group"].is_null(), "{made}");
    assert_eq!(made["addresses"], serde_json::json!(["10.1.1.1/8"]));
    assert!(made["queues"].is_u64() && made["holders"].is_array(), "{made}");
    let flags = made["flags"].as_array().unwrap();
    let has = |flag: &str| flags.iter().any(|member| member == flag);
    assert!(has("tun") && has("multi_queue") && !has("tap") && !has("no_pi"), "{made}");
    assert!(made["mac"].is_null(), "{made}");
    let made = tunctl("create t1 --vnet-hdr --up --mac 02:00:5e:10:00:01 --json").json();
    assert_eq!(made["mac"], "02:00:5e:10:00:01");
    assert_eq!(made["mac"], tunctl_testing::link("t1").unwrap()["address"]);
    assert_eq!((&made["layer"], &made["state"]), (&"tap".into(), &"up".into()));
}

fn json_is_what_show_prints_then() {
    // So says its help; the program that made a persistent interface doesn't hold it afterwards.
    let made = tunctl("create t0 --json --owner 0").json();
    assert_eq!(made, shown("t0"));
}
