//! What `tunctl list` costs: system calls, counted by strace where there are no other processes.

use std::env;
use std::fs::{self, File};
use std::process::Command;

use tunctl::{CreateOptions, TunBackend};
use tunctl_testing::{Case, case};

use super::process::{PROGRAM, run};
use super::support::with_entry;

/// How many interfaces, and how many other descriptors, the holder has.
const HELD: &str = "TUNCTL_TEST_HELD";

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(list_takes_few_system_calls).entry("hold", hold_and_count).needs_tool("strace")]
}

fn list_takes_few_system_calls() {
    let none = calls(50, 0);
    let interface = (calls(150, 0) - none) / 100.0;
    let descriptor = (calls(50, 400) - none) / 400.0;
    assert!(interface <= 8.0 && descriptor <= 3.0, "{interface} an interface, {descriptor} a descriptor");
}

/// The system calls of `tunctl list`, while a process holds that many interfaces and other files.
fn calls(interfaces: u32, others: u32) -> f64 {
    let mut alone = Command::new("unshare");
    alone.args(["--pid", "--fork", "--mount-proc"]).env(HELD, format!("{interfaces} {others}"));
    run(with_entry(alone, "hold")).line().parse().unwrap()
}

fn hold_and_count() {
    let held = env::var(HELD).unwrap();
    let (interfaces, others) = held.split_once(' ').unwrap();
    let (interfaces, others): (u32, u32) = (interfaces.parse().unwrap(), others.parse().unwrap());
    let device = |number| tunctl::native().create(&CreateOptions::tun().name(format!("held{number}")));
    let devices: Vec<_> = (0..interfaces).map(|number| device(number).unwrap()).collect();
    let files: Vec<_> = (0..others).map(|_| File::open(PROGRAM).unwrap()).collect();
    let trace = env::temp_dir().join(format!("tunctl-list-{interfaces}-{others}"));
    let mut list = Command::new("strace");
    // A debug build asks before each close whether the descriptor is open.
    list.args(["-f", "-q", "-e", "trace=!fcntl", "-o"]).arg(&trace).args([PROGRAM, "list"]);
    assert_eq!(run(list).ok().lines().count(), 1 + devices.len());
    println!("{}", fs::read_to_string(&trace).unwrap().lines().count());
    fs::remove_file(trace).unwrap();
    drop(files);
}
