//! Other programs that delete an interface while it is being opened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{CreateOptions, Interface, TunBackend};
use tunctl_testing::{Case, Strace, case, ip, mark};

use super::support::{backend, name};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(open_or_create_wins_against_a_rival_that_deletes),
        case!(an_interface_that_goes_at_any_step_of_an_open_is_looked_up_again)
            .entry("open", open_once)
            .needs_tool("strace"),
    ]
}

fn options() -> CreateOptions {
    CreateOptions::tap().name("either").mtu(1400)
}

fn open_or_create_wins_against_a_rival_that_deletes() {
    let is_over = AtomicBool::new(false);
    let (opened, refused) = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(interface) = backend().interface(&name("either")) {
                    let _ = interface.delete();
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(4);
        let mut outcomes = (0, Vec::new());
        while Instant::now() < until {
            match backend().open_or_create(&options()) {
                Ok(_) => outcomes.0 += 1,
                Err(error) => outcomes.1.push(error.to_string()),
            }
        }
        is_over.store(true, Ordering::Relaxed);
        outcomes
    });
    assert!(refused.is_empty(), "{} of {}, such as: {}", refused.len(), refused.len() + opened, refused[0]);
    assert!(opened > 0);
}

fn open_once() {
    mark("from");
    let outcome = backend().open_or_create(&options());
    mark("to");
    match outcome {
        Ok(_) => println!("opened"),
        Err(error) => println!("{:?}: {error}", error.cause()),
    }
}

/// What the driver answers on a device whose interface is deleted is made here without a deletion.
fn an_interface_that_goes_at_any_step_of_an_open_is_looked_up_again() {
    let prepare = || {
        ip("tuntap del dev either mode tap");
        ip("tuntap add dev either mode tap");
    };
    ip("tuntap add dev either mode tap");
    let healthy = Strace::new("open").run();
    let asks = |arguments: &str| arguments.contains("TUN") && !arguments.contains("TUNSETIFF");
    let steps: Vec<_> = healthy
        .numbered_between("from", "to")
        .into_iter()
        .filter(|(call, _)| call.name == "ioctl" && asks(&call.arguments))
        .collect();
    assert!(steps.len() > 5, "{steps:#?}");
    for (call, position) in steps {
        prepare();
        let trace = Strace::new("open").fail("ioctl", "EBADFD", position).run();
        assert_eq!(trace.printed, "opened\n", "when {call:?}");
    }
}
