//! `tunctl watch`.

use std::env;
use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tunctl::packet::udp_packet;
use tunctl::prelude::{CreateOptions, TunBackend, TunDevice};
use tunctl_testing::{Case, case, ip};

use super::process::{PROGRAM, Running, command, run, tunctl, wait_until};
use super::support::{full, held_tun, quiet_ipv6, send, wait_for_packet_socket};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(it_sees_both_directions_and_takes_nothing),
        case!(it_ends_after_a_number_of_packets),
        case!(it_ends_after_a_time),
        case!(an_interrupt_ends_it_with_totals),
        case!(an_interrupt_ends_it_also_when_packets_never_pause),
        case!(a_packet_is_a_line_of_text),
        case!(there_is_colour_on_a_terminal).needs_tool("script"),
        case!(there_is_no_colour_on_a_dumb_terminal).needs_tool("script"),
        case!(lines_fit_a_narrow_terminal).needs_tool("script"),
        case!(it_counts_every_packet_of_a_burst),
        case!(it_tells_at_once_that_packets_were_missed),
        case!(it_prints_when_no_more_packets_wait).needs_tool("strace"),
        case!(it_says_why_no_packet_will_pass),
        case!(it_survives_down_and_up),
        case!(a_deleted_interface_ends_it),
        case!(it_watches_a_tap),
        case!(it_watches_although_its_note_cannot_be_written),
        case!(interfaces_that_are_missing_or_of_another_kind_are_refused),
    ]
}

/// Starts it, and waits until it watches.
fn watch(words: &str) -> Running {
    let watcher = Running::start(&format!("watch {words}"));
    wait_for_packet_socket();
    watcher
}

pub(crate) fn objects(printed: &str) -> Vec<Value> {
    let lines = printed.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.inspect(|value: &Value| assert!(value.is_object(), "{value}")).collect()
}

/// The members of a packet's object that say where it went.
fn way(packet: &Value) -> String {
    let text =
        |key: &str| packet[key].as_str().unwrap_or_else(|| panic!("{key} is not in {packet}")).to_owned();
    let [direction, protocol] = ["direction", "protocol"].map(text);
    let [source, destination] = ["source", "destination"].map(text);
    let [from, to] = ["source_port", "destination_port"].map(|key| packet[key].clone());
    format!("{direction} {protocol} {source} {from} > {destination} {to}, {}", packet["length"])
}

fn it_sees_both_directions_and_takes_nothing() {
    quiet_ipv6();
    let device = tunctl::native().create(&CreateOptions::tun().name("t0")).unwrap();
    device.up("10.1.1.1/24".parse().unwrap()).unwrap();
    device.up("fd01::1/64".parse().unwrap()).unwrap();
    wait_until("its IPv6 address can be used", || {
        tunctl_testing::addresses("t0").iter().all(|address| address.get("tentative").is_none())
    });
    let watcher = watch("t0 --json --count 4");
    let mut expected = Vec::new();
    let mut packet = [0; 2000];
    for (own, other, headers) in [("10.1.1.1", "10.1.1.5", 28), ("[fd01::1]", "[fd01::5]", 48)] {
        let socket = UdpSocket::bind(format!("{own}:0")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let far = format!("{other}:9").parse().unwrap();
        socket.send_to(b"out", far).unwrap();
        let length = device.recv(&mut packet).unwrap();
        assert_eq!(length, headers + 3, "the packet is for who holds the device");
        device.send(&udp_packet(far, socket.local_addr().unwrap(), b"and in").unwrap()).unwrap();
        let length = socket.recv(&mut packet).unwrap();
        assert_eq!(&packet[..length], b"and in", "the answer is for the socket");
        let [own, other] = [own, other].map(|address| address.trim_matches(['[', ']']).to_owned());
        expected.push(format!("out UDP {own} {port} > {other} 9, {}", headers + 3));
        expected.push(format!("in UDP {other} 9 > {own} {port}, {}", headers + 6));
    }
    let printed = watcher.end().ok();
    let objects = objects(&printed);
    let (totals, packets) = objects.split_last().unwrap();
    assert_eq!(packets.iter().map(way).collect::<Vec<_>>(), expected);
    assert!(packets.iter().all(|packet| packet["time"].is_number() && packet["summary"].is_string()));
    let counts = ["packets", "outgoing", "incoming", "bytes", "missed"].map(|key| totals[key].as_u64());
    assert_eq!(counts, [4, 2, 2, 31 + 34 + 51 + 54, 0].map(Some), "{totals}");
}

fn it_ends_after_a_number_of_packets() {
    let _holder = held_tun("t0");
    let watcher = watch("t0 --count 2 --json");
    for _ in 0..5 {
        send(b"hello", "10.1.1.5:9");
    }
    let printed = watcher.end().ok();
    let objects = objects(&printed);
    assert_eq!(objects.len(), 3, "{printed}");
    assert_eq!(objects[2]["packets"], 2);
}

fn it_ends_after_a_time() {
    let _holder = held_tun("t0");
    let start = Instant::now();
    let run = tunctl("watch t0 --for 1");
    let took = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(8)).contains(&took), "{took:?}");
    assert!(run.ok().contains("0 packets"));
    // Whichever is first.
    let watcher = watch("t0 --for 300 --count 1");
    send(b"hello", "10.1.1.5:9");
    watcher.end().ok();
}

fn an_interrupt_ends_it_with_totals() {
    let _holder = held_tun("t0");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut watcher = watch("t0");
        send(b"hello", "10.1.1.5:9");
        watcher.line();
        let printed = watcher.end_by(signal).ok();
        let last = printed.lines().last().unwrap();
        assert!(last.contains("1 packet") && last.contains("33 bytes"), "{signal}: {printed}");
        let watcher = watch("t0 --json");
        let totals = objects(&watcher.end_by(signal).ok());
        assert_eq!((totals.len(), &totals[0]["packets"]), (1, &0.into()), "{signal}");
    }
}

fn an_interrupt_ends_it_also_when_packets_never_pause() {
    let _holder = held_tun("t0");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let socket = UdpSocket::bind("10.1.1.1:0").unwrap();
            while !over.load(Ordering::Relaxed) {
                socket.send_to(b"flood", "10.1.1.5:9").unwrap();
            }
        });
        let mut watcher = watch("t0");
        for _ in 0..100 {
            watcher.line();
        }
        let asked = Instant::now();
        let run = watcher.end_by(Signal::SIGINT);
        over.store(true, Ordering::Relaxed);
        assert!(run.ok().contains(" out, "), "no totals");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    });
}

fn a_packet_is_a_line_of_text() {
    let _holder = held_tun("t0");
    let watcher = watch("t0 --count 2");
    send(b"hello", "10.1.1.5:9");
    send(b"hello", "[fd01::5]:9");
    let run = watcher.end();
    assert!(!run.stderr.contains('\x1b'), "{run:#?}");
    let printed = run.ok();
    assert!(!printed.contains('\x1b'), "no colour in a pipe: {printed}");
    let [first, second, totals] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("two packets and the totals: {printed}")
    };
    for word in ["out", "UDP", "10.1.1.1:", " > 10.1.1.5:9 ", " 33 B"] {
        assert!(first.contains(word), "{word} is not in: {first}");
    }
    for word in ["out", "UDP", "[fd01::1]:", " > [fd01::5]:9 ", " 53 B"] {
        assert!(second.contains(word), "{word} is not in: {second}");
    }
    // The columns are columns.
    assert_eq!(first.find(" B "), second.find(" B "), "{printed}");
    for word in ["2 packets", "2 out", "0 in", "86 bytes"] {
        assert!(totals.contains(word), "{word} is not in: {totals}");
    }
}

/// What is printed on a terminal of this type.
fn on_a_terminal(kind: &str) -> String {
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{PROGRAM} watch t0 --count 1"), "/dev/null"]);
    terminal.env_remove("NO_COLOR").env("TERM", kind);
    let watcher = Running::of(terminal);
    wait_for_packet_socket();
    send(b"hello", "10.1.1.5:9");
    watcher.end().ok()
}

fn there_is_colour_on_a_terminal() {
    let _holder = held_tun("t0");
    let printed = on_a_terminal("xterm");
    assert!(printed.contains("\x1b["), "{printed:?}");
    assert!(printed.contains("\x1b[0m") || printed.contains("\x1b[m"), "and it is taken back: {printed:?}");
}

fn there_is_no_colour_on_a_dumb_terminal() {
    let _holder = held_tun("t0");
    let printed = on_a_terminal("dumb");
    assert!(printed.contains("UDP") && !printed.contains('\x1b'), "{printed:?}");
}

fn lines_fit_a_narrow_terminal() {
    let _holder = held_tun("t0");
    ip("address add fd01:1111:2222:3333::1/64 dev t0");
    let words = "list; $T show t0; $T lab --count 1; $T --help".replace("$T", PROGRAM);
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("stty rows 24 cols 40; {PROGRAM} {words}"), "/dev/null"]);
    terminal.env("NO_COLOR", "1").env("TERM", "xterm");
    let printed = run(terminal).ok();
    assert!(printed.contains("fd01:1111:2222:3333::1/64") && printed.contains("echo reply"), "{printed}");
    // But for the lab's table at its end.
    let packets = printed.lines().filter(|line| !line.contains("µs") && !line.contains("round trip"));
    for line in packets.filter(|line| !line.contains("packets of the kernel's own")) {
        let shown =
            line.trim_end_matches('\r').replace("\x1b[1m", "").replace("\x1b[4m", "").replace("\x1b[0m", "");
        assert!(shown.chars().count() <= 40, "{shown:?} in {printed}");
    }
}

fn it_counts_every_packet_of_a_burst() {
    let _holder = held_tun("t0");
    let watcher = watch("t0 --json");
    let socket = UdpSocket::bind("10.1.1.1:0").unwrap();
    for _ in 0..300 {
        socket.send_to(&[0; 100], "10.1.1.5:9").unwrap();
    }
    wait_until("it has read all that its socket has got", || !packets_wait());
    let printed = watcher.end_by(Signal::SIGINT).ok();
    let mut objects = objects(&printed);
    let totals = objects.pop().unwrap();
    let [seen, missed] = ["packets", "missed"].map(|key| totals[key].as_u64().unwrap());
    // On a busy machine the socket may overflow, but not in silence.
    assert_eq!(seen + missed, 300, "{totals}");
    assert_eq!(totals["bytes"], seen * 128, "{totals}");
    let packets = objects.iter().filter(|object| object["event"] == "packet").count();
    assert_eq!(u64::try_from(packets).unwrap(), seen);
}

/// Sends datagrams of that size while a process stands still.
fn send_while_stopped(pid: u32, count: usize, payload: &[u8]) {
    let pid = Pid::from_raw(pid.cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    let socket = UdpSocket::bind("10.1.1.1:0").unwrap();
    for _ in 0..count {
        socket.send_to(payload, "10.1.1.5:9").unwrap();
    }
    kill(pid, Signal::SIGCONT).unwrap();
}

fn it_tells_at_once_that_packets_were_missed() {
    let _holder = held_tun("t0");
    let mut watcher = watch("t0 --json");
    // Much more than its socket has room for.
    send_while_stopped(watcher.pid(), 20_000, &[0; 1400]);
    let mut missed = None;
    let mut packets = 0;
    while missed.is_none() {
        let object: Value = serde_json::from_str(&watcher.line()).unwrap();
        match object["event"].as_str() {
            Some("missed") => missed = object["packets"].as_u64(),
            _ => packets += 1,
        }
        assert!(packets < 20_000);
    }
    wait_until("it has read all that its socket has got", || !packets_wait());
    let printed = watcher.end_by(Signal::SIGINT).ok();
    let totals = objects(&printed).pop().unwrap();
    let [seen, all] = ["packets", "missed"].map(|key| totals[key].as_u64().unwrap());
    assert_eq!((seen + all, all), (20_000, missed.unwrap()), "{totals}");
}

fn it_prints_when_no_more_packets_wait() {
    let _holder = held_tun("t0");
    let trace = env::temp_dir().join(format!("tunctl-watch-{}", std::process::id()));
    let mut strace = Command::new("strace");
    strace.args(["-q", "-e", "trace=write", "-e", "signal=none", "-o"]).arg(&trace);
    strace.args([PROGRAM, "watch", "t0", "--count", "150"]);
    let watcher = Running::of(strace);
    wait_for_packet_socket();
    let children = format!("/proc/{0}/task/{0}/children", watcher.pid());
    let watching = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    // As many as fit the socket of a user who may not make its buffer larger.
    send_while_stopped(watching, 150, b"hello");
    assert_eq!(watcher.end().ok().lines().count(), 151);
    let trace = fs::read_to_string(&trace).unwrap();
    let writes = trace.lines().filter(|line| line.starts_with("write(1,")).count();
    assert!(writes < 15, "150 packets that waited took {writes} writes");
}

fn it_says_why_no_packet_will_pass() {
    ip("tuntap add dev t0 mode tun");
    for (words, said) in [
        ("", "t0 is down, and no program has it open"),
        ("--json", "t0 is down, and no program has it open"),
        ("--attach", "t0 is down: no packet passes until it is up"),
    ] {
        let run = tunctl(&format!("watch t0 --for 0.1 {words}"));
        assert!(run.stderr.contains(said), "{words}: {run:#?}");
    }
    ip("link set dev t0 up");
    let run = tunctl("watch t0 --for 0.1");
    assert!(run.stderr.contains("no program has t0 open"), "{run:#?}");
    let _holder = held_tun("t1");
    let run = tunctl("watch t1 --for 0.1");
    assert_eq!(run.stderr, "watching t1 in both directions (Ctrl-C stops)\n");
}

/// Whether a packet socket of this network namespace holds packets.
fn packets_wait() -> bool {
    let sockets = fs::read_to_string("/proc/net/packet").unwrap();
    let column = sockets.split_whitespace().position(|heading| heading == "Rmem").unwrap();
    sockets.lines().skip(1).any(|line| line.split_whitespace().nth(column) != Some("0"))
}

fn it_survives_down_and_up() {
    let _holder = held_tun("t0");
    let watcher = watch("t0 --count 2 --json");
    send(b"before", "10.1.1.5:9");
    ip("link set dev t0 down");
    ip("link set dev t0 up");
    send(b"after", "10.1.1.5:9");
    let objects = objects(&watcher.end().ok());
    assert_eq!((&objects[0]["length"], &objects[1]["length"]), (&34.into(), &33.into()));
}

fn a_deleted_interface_ends_it() {
    let _holder = held_tun("t0");
    let mut watcher = watch("t0");
    send(b"hello", "10.1.1.5:9");
    watcher.line();
    ip("link delete dev t0");
    let run = watcher.end();
    assert_eq!(run.status.code(), Some(1), "{run:#?}");
    assert!(run.stderr.contains("t0") && run.stderr.contains("gone"), "{run:#?}");
}

fn it_watches_although_its_note_cannot_be_written() {
    let _holder = held_tun("t0");
    let mut watch = command("watch t0 --for 0.2");
    watch.stdout(Stdio::piped()).stderr(full());
    let run = Running::spawn(watch).end();
    assert!(run.status.success() && run.stdout.starts_with("0 packets"), "{run:#?}");
}

fn it_watches_a_tap() {
    quiet_ipv6();
    let mut holder = Running::start("create t0 --hold --up --address 10.1.1.1/24");
    holder.line();
    let watcher = watch("t0 --count 1 --json");
    send(b"who has it?", "10.1.1.5:9");
    let objects = objects(&watcher.end().ok());
    assert_eq!((&objects[0]["direction"], &objects[0]["protocol"]), (&"out".into(), &"ARP".into()));
    let summary = objects[0]["summary"].as_str().unwrap();
    assert!(summary.contains("10.1.1.5"), "{summary}");
}

fn interfaces_that_are_missing_or_of_another_kind_are_refused() {
    for attach in ["", "--attach"] {
        let mut command = command(&format!("watch nope --for 5 {attach}"));
        run(command).failed(1, &["nope", "no interface of that name"]);
        command = super::process::command(&format!("watch lo --for 5 {attach}"));
        run(command).failed(1, &["lo", "not a TUN/TAP interface"]);
    }
}
