//! `tunctl lab -- COMMAND`.

use std::env;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tunctl_testing::{Case, Snapshot, case, ip_json, links};

use super::process::{Running, command, run, tunctl, tunctl_with, wait_until};
use super::support::{addresses_of, is_ignored_here, is_up, signals, wait_for_packet_socket, with_entry};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(ping_is_answered).needs_tool("ping"),
        case!(ping_of_any_other_host_is_answered).needs_tool("ping"),
        case!(ping_with_more_than_a_packet_holds_is_answered).needs_tool("ping"),
        case!(nobody_else_answers).needs_tool("ping"),
        case!(udp_to_port_7_comes_back).entry("echo", send_and_receive),
        case!(ping_with_a_recorded_route_or_timestamps_is_answered).needs_tool("ping"),
        case!(other_ports_are_closed).entry("refused", ask_closed_ports),
        case!(the_packets_can_be_watched_inside).entry("watch", watch_inside),
        case!(the_interface_is_as_documented).entry("look", look_around),
        case!(the_command_learns_the_interface),
        case!(the_command_has_the_standard_streams_to_itself),
        case!(the_commands_words_are_bytes),
        case!(the_exit_status_is_the_commands),
        case!(a_command_that_is_not_there_is_127),
        case!(a_signal_is_told_as_a_shell_does),
        case!(the_command_starts_without_blocked_signals),
        case!(signals_end_both),
        case!(the_network_outside_stays_as_it_is),
        case!(a_link_that_goes_down_does_not_end_the_answers).needs_tool("ping"),
    ]
}

fn ping(words: &str) {
    let printed = tunctl(&format!("lab -- ping -c3 -i 0.2 {words}")).ok();
    assert!(printed.contains("3 packets transmitted, 3 received, 0% packet loss"), "{printed}");
}

fn ping_is_answered() {
    ping("10.77.0.2");
    ping("fd77::2");
}

fn ping_of_any_other_host_is_answered() {
    for host in ["10.77.0.200", "10.77.0.254", "fd77::dead:beef", "fd77::ffff:ffff:ffff:ffff"] {
        ping(host);
    }
}

fn ping_with_more_than_a_packet_holds_is_answered() {
    ping("-s 4000 10.77.0.200");
    ping("-s 4000 fd77::200");
    // The most that IPv4 can carry.
    ping("-s 65507 10.77.0.200");
}

fn nobody_else_answers() {
    for host in ["10.78.0.2", "fd78::2", "10.77.0.255"] {
        // A shell, so that it is seen that ping ran, where it can't even send.
        let run = shell(&format!("ping -b -c1 -W1 {host} 2>&1; echo status $?"));
        let printed = run.ok();
        assert!(printed.contains("PING") || printed.contains("unreachable"), "{host}: {printed}");
        assert!(!printed.contains("1 received") && !printed.contains("status 0"), "{host}: {printed}");
    }
}

fn in_lab(entry: &str) {
    let mut lab = command("lab --");
    lab = with_entry(lab, entry);
    assert_eq!(run(lab).ok(), "done\n");
}

fn udp_to_port_7_comes_back() {
    in_lab("echo");
}

fn udp(own: &str, patience: Duration) -> UdpSocket {
    let socket = UdpSocket::bind(own).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket
}

fn send_and_receive() {
    let mut buffer = vec![0; 70_000];
    for (own, to) in [
        ("10.77.0.1:0", "10.77.0.2:7"),
        ("0.0.0.0:0", "10.77.0.99:7"),
        ("[fd77::1]:0", "[fd77::2]:7"),
        ("[::]:0", "[fd77::1:2:3]:7"),
    ] {
        let socket = udp(own, Duration::from_secs(10));
        for size in [0, 1, 1400, 3000] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            socket.send_to(&payload, to).unwrap();
            let (length, from) =
                socket.recv_from(&mut buffer).unwrap_or_else(|error| panic!("{to}, {size}: {error}"));
            assert_eq!((&buffer[..length], from), (&payload[..], to.parse().unwrap()));
        }
    }
    println!("done");
}

fn ping_with_a_recorded_route_or_timestamps_is_answered() {
    for option in ["-R", "-T tsonly", "-T tsandaddr"] {
        let printed = tunctl(&format!("lab -- ping -c2 -i 0.2 -W2 {option} 10.77.0.2")).ok();
        assert!(printed.contains("2 packets transmitted, 2 received"), "{option}: {printed}");
        if option == "-R" {
            assert!(printed.contains("10.77.0.1\n\t10.77.0.2\n\t10.77.0.1"), "{printed}");
        }
    }
}

fn other_ports_are_closed() {
    in_lab("refused");
}

fn ask_closed_ports() {
    for (own, to) in [("10.77.0.1:0", "10.77.0.2:8"), ("[fd77::1]:0", "[fd77::2]:9")] {
        let socket = udp(own, Duration::from_secs(10));
        socket.connect(to).unwrap();
        socket.send(b"anyone?").unwrap();
        let error = socket.recv(&mut [0; 100]).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}: {error}");
    }
    for to in ["10.77.0.2:7", "10.77.0.99:80", "[fd77::2]:443"] {
        let error = TcpStream::connect_timeout(&to.parse().unwrap(), Duration::from_secs(2))
            .expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{to}: {error}");
    }
    println!("done");
}

fn the_packets_can_be_watched_inside() {
    in_lab("watch");
}

fn watch_inside() {
    let mut watcher = Running::start("watch lab0 --json --for 10");
    wait_for_packet_socket();
    let socket = udp("10.77.0.1:0", Duration::from_secs(10));
    socket.send_to(b"hello", "10.77.0.9:7").unwrap();
    socket.recv(&mut [0; 100]).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let packet: Value = serde_json::from_str(&watcher.line()).unwrap();
        if packet["protocol"] == "UDP" {
            seen.push(format!("{} {} > {}", packet["direction"], packet["source"], packet["destination"]));
        }
    }
    let expected = [r#""out" "10.77.0.1" > "10.77.0.9""#, r#""in" "10.77.0.9" > "10.77.0.1""#];
    assert_eq!(seen, expected);
    watcher.end_by(Signal::SIGINT).ok();
    println!("done");
}

fn the_interface_is_as_documented() {
    in_lab("look");
}

fn look_around() {
    let names: Vec<_> = links().iter().map(|link| link["ifname"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["lo", "lab0"]);
    assert!(is_up("lo") && is_up("lab0"));
    assert_eq!(super::support::driver_report("lab0")["type"], "tun");
    assert_eq!(addresses_of("lab0"), ["10.77.0.1/24 brd 10.77.0.255", "fd77::1/64"]);
    // At once, or a command that binds to it would fail now and then.
    UdpSocket::bind("[fd77::1]:0").unwrap();
    assert_eq!(ip_json("route get 10.77.0.200")[0]["dev"], "lab0");
    println!("done");
}

fn the_command_learns_the_interface() {
    assert_eq!(tunctl("lab -- printenv TUNCTL_DEVICE").line(), "lab0");
    assert!(env::var_os("TUNCTL_DEVICE").is_none());
}

fn the_command_has_the_standard_streams_to_itself() {
    let run = tunctl_with(["lab", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\n", "err\n"));
    let mut lab = command("lab -- tr a-z A-Z");
    let mut child = lab.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through\n").unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(printed, "THROUGH\n");
    // Its words are its own, too.
    assert_eq!(
        tunctl_with(["lab", "--", "printf", "%s|", "a b", "--json", "--", ""]).ok(),
        "a b|--json|--||"
    );
}

fn the_commands_words_are_bytes() {
    let words = [&b"lab"[..], b"--", b"sh", b"-c", b"printf %s \"$1\" | od -An -tx1", b"sh", b"a\xff\xfeb"];
    let printed = tunctl_with(words.map(OsStr::from_bytes)).ok();
    assert_eq!(printed.split_whitespace().collect::<Vec<_>>(), ["61", "ff", "fe", "62"]);
}

fn shell(script: &str) -> super::process::Run {
    tunctl_with(["lab", "--", "sh", "-c", script])
}

fn the_exit_status_is_the_commands() {
    for status in [0, 1, 2, 42, 255] {
        assert_eq!(shell(&format!("exit {status}")).status.code(), Some(status));
    }
    shell("exit 42").failed(42, &[]);
}

fn a_command_that_is_not_there_is_127() {
    let mut lab = command("lab -- no-such-command-anywhere");
    // A directory that this user can't read would be another story.
    lab.env("PATH", "/usr/bin:/bin");
    run(lab).failed(127, &["no-such-command-anywhere", "PATH"]);
    tunctl("lab -- /no/such/command").failed(127, &["/no/such/command"]);
}

fn a_signal_is_told_as_a_shell_does() {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("INT", 2), ("HUP", 1), ("USR1", 10)] {
        if is_ignored_here(number) {
            continue;
        }
        let run = shell(&format!("kill -{name} $$; exit 3"));
        assert_eq!(run.status.code(), Some(128 + number), "SIG{name}: {run:#?}");
    }
}

fn the_command_starts_without_blocked_signals() {
    // Or neither Ctrl-C nor timeout would end it.
    let printed = tunctl("lab -- grep -E ^Sig(Blk|Ign): /proc/self/status").ok();
    assert_eq!(signals(&printed, "SigBlk:"), 0, "{printed}");
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGPIPE, Signal::SIGTERM] {
        // The tests' own program ignores SIGPIPE, as each of Rust's does, and hands that on to none.
        let is_inherited = signal != Signal::SIGPIPE && is_ignored_here(signal as i32);
        let is_ignored = signals(&printed, "SigIgn:") >> (signal as i32 - 1) & 1 == 1;
        assert_eq!(is_ignored, is_inherited, "{signal}: {printed}");
    }
}

fn signals_end_both() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        if is_ignored_here(signal as i32) {
            continue;
        }
        let mut lab = Running::of({
            let mut lab = command("lab --");
            lab.args(["sh", "-c", "echo $$; exec sleep 30"]);
            lab
        });
        let child = lab.line();
        let proc = format!("/proc/{child}");
        assert!(Path::new(&proc).exists());
        wait_until("it sleeps", || {
            std::fs::read_to_string(format!("{proc}/comm")).is_ok_and(|name| name == "sleep\n")
        });
        let run = lab.end_by(signal);
        wait_until("the command has ended, too", || !Path::new(&proc).exists());
        assert_eq!(run.shell_status(), 128 + signal as i32, "{signal}: {run:#?}");
    }
}

fn the_network_outside_stays_as_it_is() {
    let before = (Snapshot::take(), links());
    let made = shell("ip tuntap add dev extra mode tun && ip link set lo down && ip -br link").ok();
    assert!(made.contains("extra"), "{made}");
    shell("exit 1").failed(1, &[]);
    assert_eq!((Snapshot::take(), links()), before);
}

fn a_link_that_goes_down_does_not_end_the_answers() {
    // With packets under way, one of them is most likely being answered when the link goes down.
    let script = "ping -q -i 0.002 10.77.0.2 >/dev/null & \
                  for n in 1 2 3 4 5 6 7 8 9 10; do ip link set lab0 down; ip link set lab0 up; sleep \
                  0.02; done; kill $!; ping -c1 -W2 10.77.0.3";
    let printed = shell(script).ok();
    assert!(printed.contains("1 packets transmitted, 1 received"), "{printed}");
}
