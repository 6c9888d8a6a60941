//! Nothing is left behind: not by many devices, and not by a failure at any step.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use tunctl_core::{CreateOptions, TunBackend, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_testing::{Call, Case, OtherNamespace, Snapshot, Strace, addresses, case, ip, mark};

use super::support::{address, backend, driver_report, others, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(ten_thousand_devices_leave_nothing).limit(Duration::from_secs(240)),
        case!(a_failure_at_any_step_of_create_leaves_nothing).entry("run", create_once).needs_tool("strace"),
        case!(a_failure_at_any_step_of_create_and_up_leaves_nothing)
            .entry("run", create_and_up_once)
            .needs_tool("strace")
            .limit(Duration::from_secs(120)),
        case!(a_failure_at_any_step_of_open_leaves_the_interface_as_it_was)
            .entry("run", open_once)
            .needs_tool("strace"),
        case!(a_failure_at_any_step_of_a_busy_open_leaves_nothing)
            .entry("run", open_busy_once)
            .needs_tool("strace"),
        case!(a_failure_at_any_step_of_destroy_closes_or_gives_back)
            .entry("run", destroy_once)
            .needs_tool("strace"),
    ]
}

fn ten_thousand_devices_leave_nothing() {
    /// Side by side, because what deletion costs is waiting.
    const NAMESPACES: usize = 32;
    const EACH: usize = 313;
    let places: Vec<_> = (0..NAMESPACES).map(|_| OtherNamespace::new()).collect();
    let before = Snapshot::take();
    let made: usize = thread::scope(|scope| {
        let workers: Vec<_> = places
            .iter()
            .map(|place| scope.spawn(|| place.run(|| (0..EACH).map(|_| drop(tun("cycle%d"))).count())))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(made >= 10_000, "{made}");
    let after = Snapshot::take();
    assert_eq!(after.file_count(), before.file_count());
    assert_eq!(after, before);
    for place in places {
        assert_eq!(place.run(others), [""; 0]);
    }
}

/// Does something once, between marks, and then makes sure that nothing is left of it if it failed.
fn once<T>(attempt: impl FnOnce() -> tunctl_core::Result<T>) {
    let before = Snapshot::take();
    mark("from");
    let outcome = attempt();
    mark("to");
    match outcome {
        Ok(device) => {
            println!("succeeded");
            drop(device);
        }
        Err(error) => println!("{:?}: {error}", error.cause()),
    }
    let after = Snapshot::take();
    assert_eq!(after, before, "something was left behind");
}

fn options() -> CreateOptions {
    CreateOptions::tun().vnet_header(true).name("step0")
}

fn create_once() {
    once(|| backend().create(&options()));
}

fn create_and_up_once() {
    once(|| -> tunctl_core::Result<LinuxDevice> {
        let device = backend().create(&options())?;
        device.up(address("10.1.1.1/24"))?;
        Ok(device)
    });
}

fn open_once() {
    let before = tunctl_testing::link("step0");
    once(|| backend().open(&options()));
    assert_eq!(tunctl_testing::link("step0"), before);
}

fn open_busy_once() {
    once(|| match backend().open(&options()) {
        Ok(_) => panic!("it is held by this very process"),
        Err(error) => Err::<(), _>(error),
    });
}

fn destroy_once() {
    let device = backend().create(&options()).unwrap();
    device.set_persist(true).unwrap();
    mark("from");
    let outcome = device.destroy();
    mark("to");
    match outcome {
        Ok(()) => {
            println!("succeeded");
            assert_eq!(others(), [""; 0]);
        }
        Err(failed) => {
            println!("{:?}: {failed}", failed.error().cause());
            match failed.into_device().map(|device| device.name()) {
                // As it was: persistent, with a device that works.
                Some(Ok(name)) => {
                    assert_eq!(name.to_string(), "step0");
                    assert_eq!(driver_report("step0")["persist"], true);
                }
                // Only the kernel's answer was lost.
                Some(Err(error)) => assert!(error.is_gone() && others().is_empty(), "{error}"),
                None => {}
            }
        }
    }
    assert!(!tunctl_testing::open_files().values().any(|target| target == "/dev/net/tun"));
}

/// A plausible failure of a system call; `None` for one that cannot fail, or must not.
fn plausible(call: &Call) -> Option<&'static str> {
    Some(match call.name.as_str() {
        // Memory, signals, threads; and a close whose failure strace feigns would leak by strace's own doing.
        "close" | "mmap" | "munmap" | "mremap" | "brk" | "mprotect" | "madvise" | "futex" => return None,
        name if name.starts_with("rt_sig") || name.starts_with("exit") => return None,
        "openat" | "socket" | "dup" | "eventfd2" => "EMFILE",
        "sendto" | "sendmsg" | "recvfrom" | "recvmsg" => "ENOBUFS",
        "ioctl" => "EPERM",
        "fcntl" => "EINVAL",
        _ => "EIO",
    })
}

/// Runs the entry as it is; then once for each system call between the marks, which fails; and returns the
/// calls that failed with what the run printed. Of those that look for holders in `/proc`, it takes two of
/// each kind.
fn fail_each_step(prepare: impl Fn()) -> Vec<(Call, String)> {
    prepare();
    let healthy = Strace::new("run").run();
    let mut kinds = BTreeMap::<_, usize>::new();
    let mut runs = Vec::new();
    for (call, position) in healthy.numbered_between("from", "to") {
        let Some(errno) = plausible(&call) else {
            continue;
        };
        if call.arguments.contains("/proc") {
            let kind = kinds.entry((call.name.clone(), without_digits(&call))).or_default();
            *kind += 1;
            if *kind > 2 {
                continue;
            }
        }
        runs.extend(fail_step(&call, errno, position, &prepare));
    }
    println!("{} steps failed", runs.len());
    runs
}

fn without_digits(call: &Call) -> String {
    let head = call.arguments.chars().take(40);
    head.filter(|character| !character.is_ascii_digit()).collect()
}

fn fail_step(call: &Call, errno: &str, position: usize, prepare: impl Fn()) -> Option<(Call, String)> {
    // How often a call is made before the marks may differ from run to run, where the entry reads what a
    // program prints: then it was another's turn, and that run tells nothing.
    for _ in 0..4 {
        prepare();
        let trace = Strace::new("run").fail(&call.name, errno, position).attempt();
        let failed = trace
            .try_between("from", "to")
            .and_then(|window| window.iter().find(|call| call.result.contains("INJECTED")));
        if let Some(failed) = failed {
            assert!(trace.failure.is_none(), "when {failed:?}: {:?}", trace.failure);
            return Some((failed.clone(), trace.printed));
        }
    }
    // How many processes there are to look into, others decide.
    assert!(call.arguments.contains("/proc"), "it was never the turn of {call:?}");
    None
}

/// The steps that may fail without harm, because there is another way or nothing depends on them.
fn unharmed(runs: &[(Call, String)]) -> Vec<String> {
    runs.iter()
        .filter(|(_, printed)| printed.starts_with("succeeded"))
        .map(|(call, _)| format!("{}({})", call.name, call.arguments))
        .collect()
}

fn assert_mandatory_steps_fail(runs: &[(Call, String)]) {
    for (call, printed) in runs {
        let mandatory = call.arguments.contains("/dev/net/tun\"") || call.arguments.contains("TUNSETIFF");
        assert!(!(mandatory && printed.starts_with("succeeded")), "{call:?}: {printed}");
    }
    println!("without harm: {:#?}", unharmed(runs));
    assert!(runs.len() > unharmed(runs).len(), "no step mattered");
}

fn a_failure_at_any_step_of_create_leaves_nothing() {
    assert_mandatory_steps_fail(&fail_each_step(|| {}));
    assert_eq!(others(), [""; 0]);
}

fn a_failure_at_any_step_of_create_and_up_leaves_nothing() {
    assert_mandatory_steps_fail(&fail_each_step(|| {}));
    assert_eq!(others(), [""; 0]);
}

fn a_failure_at_any_step_of_open_leaves_the_interface_as_it_was() {
    ip("tuntap add dev step0 mode tun vnet_hdr");
    ip("address add 10.9.9.9/24 dev step0");
    assert_mandatory_steps_fail(&fail_each_step(|| {}));
    assert_eq!(driver_report("step0")["persist"], true);
    assert_eq!(addresses("step0").len(), 1);
}

fn a_failure_at_any_step_of_a_busy_open_leaves_nothing() {
    let _held = backend().create(&options()).unwrap();
    let runs = fail_each_step(|| {});
    assert!(unharmed(&runs).is_empty());
}

fn a_failure_at_any_step_of_destroy_closes_or_gives_back() {
    let runs = fail_each_step(|| {
        if !others().is_empty() {
            ip("link delete step0");
        }
    });
    assert!(!runs.is_empty());
}
