//! The examples that answer pings, on the running kernel: the system's own `ping` asks, and the interface is
//! deleted in the end.
#![allow(dead_code, reason = "of an example, the part for the mock is not used here")]

#[path = "../../examples/active.rs"]
mod active;
#[path = "../../examples/handover/programs.rs"]
mod handover;
#[path = "../../examples/mio_echo.rs"]
mod mio_echo;
#[path = "../../examples/queue_threads.rs"]
mod queue_threads;
#[path = "../../examples/three_namespaces.rs"]
mod three_namespaces;
#[path = "../../examples/tokio_echo.rs"]
mod tokio_echo;
#[path = "../../examples/vmm_tap/programs.rs"]
mod vmm_tap;
#[path = "../../examples/wait_for_up.rs"]
mod wait_for_up;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tunctl_testing::{Case, addresses, case, entry, exists, finish, ip, others};
use wait_for_up::Account;

/// Runs an example until its host has answered five pings, and deletes its interface; what it tells.
fn running<T: Debug>(interface: &str, example: fn() -> Result<T, Box<dyn Error>>) -> String {
    thread::scope(|scope| {
        let host = scope.spawn(|| format!("{:?}", example()));
        let has_address = |address: &Value| address["local"] == "10.78.0.1";
        while !exists(interface) || !addresses(interface).iter().any(has_address) {
            assert!(!host.is_finished(), "it ended by itself: {}", host.join().unwrap());
            thread::sleep(Duration::from_millis(10));
        }
        let ping = Command::new("ping").args(["-c5", "-i0.01", "-W5", "10.78.0.2"]).output().unwrap();
        let told = String::from_utf8_lossy(&ping.stdout);
        ip(&format!("link delete {interface}"));
        assert!(told.contains("5 received, 0% packet loss"), "{told}");
        host.join().unwrap()
    })
}

fn mio_echo_answers() {
    assert_eq!(running("echo0", mio_echo::on_the_kernel), "Ok(5)");
}

fn tokio_echo_answers() {
    assert_eq!(running("echo0", tokio_echo::on_the_kernel), "Ok(5)");
}

fn active_answers() {
    let account = "Ok(Account { answered: 5, portions: 0, dropped: 0 })";
    assert_eq!(running("active0", active::on_the_kernel), account);
}

/// The processor time that this process has used.
fn process_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let used = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(|thread| used(thread.unwrap())).sum())
}

/// A thousand flows of ten datagrams each. No flow is seen by two queues, and each comes back in order.
fn each_flow_keeps_its_queue_and_its_order() {
    const SOCKETS: usize = 20;
    const PORTS: u16 = 50;
    // All that wait have room in one queue.
    const AT_ONCE: u16 = 2;
    thread::scope(|scope| {
        let program = scope.spawn(|| queue_threads::on_the_kernel(4));
        while !exists("flow0") || !addresses("flow0").iter().any(|address| address["local"] == "10.78.0.1") {
            assert!(!program.is_finished(), "it ended by itself: {:?}", program.join());
            thread::sleep(Duration::from_millis(10));
        }
        let bound = || UdpSocket::bind("10.78.0.1:0").unwrap();
        let sockets: Vec<_> = std::iter::repeat_with(bound).take(SOCKETS).collect();
        for first in (0..PORTS).step_by(AT_ONCE.into()) {
            for number in 0..10_u8 {
                for socket in &sockets {
                    for port in first..first + AT_ONCE {
                        socket.send_to(&[number], ("10.78.0.2", 7000 + port)).unwrap();
                    }
                }
            }
            for socket in &sockets {
                socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut next = BTreeMap::new();
                for _ in 0..10 * AT_ONCE {
                    let mut number = [0];
                    let (_, from) = socket.recv_from(&mut number).unwrap();
                    let expected = next.entry(from.port()).or_insert(0);
                    assert_eq!(number[0], *expected, "of {from}");
                    *expected += 1;
                }
            }
        }
        ip("link delete flow0");
        let flows = program.join().unwrap().unwrap();
        assert_eq!(flows.iter().sum::<usize>(), SOCKETS * usize::from(PORTS), "{flows:?}");
        assert!(flows.iter().all(|flows| *flows > 100), "{flows:?}");
    });
}

/// The sender waits while the interface is down, and uses next to no processor time.
fn a_sender_waits_for_up() {
    let is_there = |what: &str, is_so: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < end, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    };
    thread::scope(|scope| {
        let program = scope.spawn(|| wait_for_up::run(&tunctl::native(), 3));
        is_there("the interface is made", &|| exists("wait0"));
        let before = process_time();
        thread::sleep(Duration::from_millis(500));
        let used = process_time() - before;
        assert!(used < Duration::from_millis(100), "waiting took {used:?} of processor time");
        ip("link set wait0 up");
        is_there("three packets arrive", &|| {
            let shown = Command::new("ip").args(["-json", "-stats", "link", "show", "wait0"]).output();
            let shown: Value = serde_json::from_slice(&shown.unwrap().stdout).unwrap();
            shown[0]["stats64"]["rx"]["packets"].as_u64() >= Some(3)
        });
        ip("link delete wait0");
        assert_eq!(program.join().unwrap().unwrap(), Account { sent: 3, refused: 1 });
    });
}

fn run_three_namespaces() {
    three_namespaces::main().unwrap();
}

fn three_namespaces_reach_each_other_without_any_right() {
    const NOBODY: u32 = 65534;
    let told = finish(entry("run").uid(NOBODY).gid(NOBODY));
    assert!(told.contains("1 packets transmitted, 1 received"), "{told}");
    assert_eq!(others(), [""; 0]);
}

fn answer_as_worker() {
    assert_eq!(handover::work().unwrap(), 5);
}

fn a_worker_without_any_right_answers() {
    let supervise = || handover::supervise(&mut entry("worker")).map_err(|error| error.to_string().into());
    assert_eq!(running("hand0", supervise), "Ok(())");
}

fn monitor_a_machine() {
    vmm_tap::monitor().unwrap();
}

/// The supervisor has the rights of the namespace that it makes, and the monitor none.
fn a_monitor_without_any_right_has_four_queues_on_a_bridge() {
    assert!(vmm_tap::supervise(&mut entry("monitor")).unwrap());
}

pub(crate) fn main() -> ExitCode {
    let unprivileged = case!(three_namespaces_reach_each_other_without_any_right)
        .entry("run", run_three_namespaces)
        .needs_root();
    let cases = [
        case!(mio_echo_answers),
        case!(tokio_echo_answers),
        case!(active_answers),
        case!(a_sender_waits_for_up),
        case!(each_flow_keeps_its_queue_and_its_order),
        unprivileged,
        case!(a_monitor_without_any_right_has_four_queues_on_a_bridge)
            .entry("monitor", monitor_a_machine)
            .needs_root(),
        case!(a_worker_without_any_right_answers).entry("worker", answer_as_worker).needs_root(),
    ];
    tunctl_testing::main(cases.map(|case: Case| case.needs_tool("ip").needs_tool("ping")).into())
}
