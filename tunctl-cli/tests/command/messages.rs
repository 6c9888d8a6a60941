//! What the program says when it fails, and where its output can't go.

use std::fs::OpenOptions;
use std::io::pipe;
use std::process::Stdio;

use tunctl_testing::{Case, case, ip};

use super::process::{Running, command, tunctl};
use super::support::{addresses_of, exists, held_tun, is_up, send, wait_for_packet_socket};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_failure_says_what_and_why_and_what_next),
        case!(advice_is_in_the_words_of_the_command),
        case!(a_failed_create_says_what_it_left),
        case!(a_holder_that_is_about_to_end_is_waited_for),
        case!(wrong_usage_says_where_help_is),
        case!(a_wrong_subcommand_suggests_the_one_that_was_meant),
        case!(a_reader_that_has_enough_is_no_crash),
        case!(a_reader_that_has_enough_ends_a_stream),
        case!(a_full_disk_is_a_failure),
        case!(a_held_interface_whose_name_cannot_be_told_is_gone),
    ]
}

fn a_failure_says_what_and_why_and_what_next() {
    let _holder = held_tun("busy");
    ip("tuntap add dev t0 mode tun");
    ip("tuntap add dev t1 mode tap");
    // What was asked, of which interface, why not, and a word of the remedy.
    for (words, parts) in [
        ("show nope", ["nope", "no interface of that name", "ip link"]),
        ("up nope", ["nope", "no interface of that name", "ip link"]),
        ("delete lo", ["lo", "not a TUN/TAP interface", "another name"]),
        ("create t0", ["t0", "exists as a tun", "another name"]),
        ("create t0 --tun --exclusive", ["t0", "exists already", "another name"]),
        ("create t0 --tun --multi-queue", ["t0", "queue", "another name"]),
        ("create busy --tun", ["busy", "in use", "stop the program"]),
        ("watch busy --attach", ["busy", "in use", "stop the program"]),
        ("set t1 --mtu 65535", ["set MTU of t1", "(Invalid argument, os error 22)", "65521"]),
        ("set t0 --remove 10.9.9.9/24", ["remove", "does not have", "Prefix length"]),
    ] {
        let said = tunctl(words).failed(1, &parts);
        assert!(said.starts_with("tunctl: ") && said.ends_with('\n'), "{said:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains("Error {") && !said.contains("Cause::") && !said.contains('\x1b'), "{said}");
    }
}

fn advice_is_in_the_words_of_the_command() {
    ip("tuntap add dev t0 mode tap");
    ip("tuntap add dev many mode tun multi_queue");
    ip("tuntap add dev t6 mode tun");
    ip("address add fd01::1/64 dev t6");
    let _holder = held_tun("busy");
    let mut queue = Running::start("watch many --attach");
    queue.complaint();
    for (words, advice) in [
        ("create t0 --multi-queue", "Leave out --multi-queue"),
        ("create many --tun", "Add --multi-queue"),
        ("create many --tun --multi-queue --vnet-hdr", "(--pi, --vnet-hdr)"),
        ("create t0 --tun", "--tun or --tap"),
        ("create t0 --exclusive", "leave out --exclusive"),
        ("create t0 --tun --exclusive", "Choose another name, or delete it first."),
        ("create busy --tun", "with --multi-queue"),
        ("set t6 --mtu 1000", "permit their loss (--drop-ipv6)"),
    ] {
        let said = tunctl(words).failed(1, &[advice]);
        let foreign = ["multi_queue", "drop_ipv6,", "open the existing", "nly root"];
        assert!(!foreign.iter().any(|word| said.contains(word)), "{words}: {said}");
    }
}

fn a_failed_create_says_what_it_left() {
    for scope in ["all", "default"] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1").unwrap();
    }
    for hold in ["", "--hold"] {
        let words = format!("create t0 --tun --address 10.1.1.1/24 --address fd77::1/64 --up {hold}");
        tunctl(&words).failed(1, &["IPv6 is switched off", ". No interface was left behind."]);
        assert!(!exists("t0"));
    }
    ip("tuntap add dev t0 mode tun");
    let words = "create t0 --tun --address 10.1.1.1/24 --address fd77::1/64 --up";
    tunctl(words).failed(1, &["IPv6 is switched off", ". The interface is as it was."]);
    assert!(!is_up("t0") && addresses_of("t0").is_empty());
}

fn a_holder_that_is_about_to_end_is_waited_for() {
    ip("tuntap add dev t0 mode tun");
    for words in ["create t0 --tun --mtu 1400", "set t0 --persist on", "watch t0 --attach --for 0.1"] {
        let mut holder = Running::start("watch t0 --attach --for 0.1");
        holder.complaint();
        tunctl(words).ok();
    }
}

fn wrong_usage_says_where_help_is() {
    for words in
        ["frobnicate", "create a/b", "create --tun --tap", "create t1 --mtu 67", "create t1 --peer 10.9.9.9"]
    {
        let said = tunctl(words).failed(2, &["--help"]);
        assert!(!said.contains('\x1b'), "no colour in a pipe: {said:?}");
    }
}

fn a_wrong_subcommand_suggests_the_one_that_was_meant() {
    for (wrong, meant) in [("shwo", "show"), ("add", "create"), ("rm", "delete"), ("del", "delete")] {
        let said = tunctl(&format!("{wrong} t0")).failed(2, &[&format!("'{meant}'")]);
        assert!(!said.contains("'help'"), "{said}");
    }
}

fn a_reader_that_has_enough_is_no_crash() {
    for number in 0..50 {
        ip(&format!("tuntap add dev t{number} mode tun"));
    }
    for words in
        ["list", "list --json", "show t0", "show t0 --json", "--help", "create --help", "lab --count 1"]
    {
        // To a reader, each has something to say.
        assert!(tunctl(words).ok().len() > 100, "{words}");
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = command(words);
        command.stdout(writer).stderr(Stdio::piped());
        let running = Running::spawn(command);
        let run = running.end();
        assert!(!run.stderr.contains("panicked"), "{words}: {run:#?}");
        // As a shell tells a broken pipe, or quietly.
        assert!([0, 1, 141].contains(&run.shell_status()), "{words}: {run:#?}");
    }
}

fn a_reader_that_has_enough_ends_a_stream() {
    let _holder = held_tun("t0");
    for words in ["watch t0", "watch t0 --json"] {
        let (reader, writer) = pipe().unwrap();
        let mut command = command(words);
        command.stdout(writer).stderr(Stdio::piped());
        let watcher = Running::spawn(command);
        wait_for_packet_socket();
        drop(reader);
        send(b"hello", "10.1.1.5:9");
        send(b"hello", "10.1.1.5:9");
        let run = watcher.end();
        assert!(!run.stderr.contains("panicked"), "{words}: {run:#?}");
        assert!([0, 1, 141].contains(&run.shell_status()), "{words}: {run:#?}");
    }
}

/// Starts it with a standard output that takes nothing.
fn to_a_full_disk(words: &str) -> Running {
    let mut command = command(words);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.stdout(full).stderr(Stdio::piped());
    Running::spawn(command)
}

fn a_full_disk_is_a_failure() {
    ip("tuntap add dev t0 mode tun");
    for words in ["list", "list --json", "show t0", "show t0 --json", "lab --count 1", "lab --count 1 --json"]
    {
        let said = to_a_full_disk(words).end().failed(1, &["No space left on device"]);
        assert!(said.starts_with("tunctl: "), "{words}: {said}");
    }
    let watcher = to_a_full_disk("watch t0 --for 1");
    watcher.end().failed(1, &["No space left on device"]);
}

fn a_held_interface_whose_name_cannot_be_told_is_gone() {
    to_a_full_disk("create t0 --tun --hold").end().failed(1, &["No space left on device"]);
    assert!(!exists("t0"));
}
