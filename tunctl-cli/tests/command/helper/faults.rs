//! An installation in which a system call fails, or which is killed: either everything is as it was, or the
//! new helper is installed. A user never finds a helper that is half installed.

use std::fs;
use std::process::Command;

use tunctl_testing::{Case, case};

use super::machine::{self, HELPER, Machine, POLICY, RIGHTS, capabilities, listing, state};
use crate::cases::process::{PROGRAM, Run, run, tunctl};

pub(super) fn cases() -> Vec<Case> {
    let cases = [
        case!(a_first_installation_that_fails_leaves_nothing),
        case!(an_installation_that_fails_leaves_the_old_helper),
        case!(an_installation_that_is_killed_can_be_repeated),
    ];
    cases.map(|case| case.needs_root().outside_namespace().needs_tool("strace")).into()
}

/// The calls that change something, as regular expressions of strace: machines differ in which of them they
/// have.
const CALLS: [&str; 9] = [
    "^fsetxattr$",
    "^fremovexattr$",
    "^f?sync",
    "^rename",
    "^link",
    "^unlink",
    "^fchown",
    "^fchmod",
    "^mkdir",
];

/// Installs under strace, with options of its own.
fn traced(machine: &Machine, options: &[&str]) -> Run {
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-e", "signal=none"]).args(options);
    let install = machine.install_command("");
    strace.arg(install.get_program()).args(install.get_args());
    run(strace)
}

/// How often an undisturbed installation calls one of these. Afterwards it is removed, or not, as before.
fn count(machine: &Machine, call: &str, restore: impl Fn()) -> usize {
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/net/trace", "-e", &format!("trace=/{call}")]);
    let install = machine.install_command("");
    strace.arg(install.get_program()).args(install.get_args());
    run(strace).ok();
    restore();
    let trace = fs::read_to_string("/dev/net/trace").unwrap();
    trace.lines().filter(|line| line.contains('(')).count()
}

/// Fails each call in turn, and asserts that the installation is then as it was before.
fn fail_each(machine: &Machine, restore: impl Fn()) {
    let mut failed = 0;
    for call in CALLS {
        for number in 1..=count(machine, call, &restore) {
            let before = state();
            let run = traced(machine, &["-e", &format!("inject=/{call}:error=EIO:when={number}")]);
            if run.status.success() {
                // A file that is no longer needed may stay.
                assert_eq!(call, "^unlink", "{number}: {run:#?}");
                restore();
                continue;
            }
            let said = run.failed(1, &["Input/output error"]);
            assert!(
                said.contains("Undone: ") || said.contains("Nothing was changed"),
                "{call} {number}: {said}"
            );
            assert_eq!(state(), before, "{call} {number}: {said}");
            failed += 1;
        }
    }
    assert!(failed >= CALLS.len(), "{failed}");
}

fn a_first_installation_that_fails_leaves_nothing() {
    let machine = Machine::enter();
    fail_each(&machine, || {
        tunctl("helper uninstall --policy").ok();
        fs::remove_dir("/usr/local/libexec").unwrap();
    });
    assert_eq!(listing("/usr/local"), [""; 0]);
}

fn an_installation_that_fails_leaves_the_old_helper() {
    let machine = Machine::enter();
    machine.install().ok();
    fs::write(POLICY, "# mine\n").unwrap();
    // It is another one than the new: one byte longer.
    let old = [machine::program(machine::UNASKED), vec![0]].concat();
    let restore = || {
        fs::write(HELPER, &old).unwrap();
        machine.give(HELPER, RIGHTS.permitted);
        for path in listing("/usr/local/libexec").iter().filter(|path| *path != HELPER) {
            fs::remove_file(path).unwrap();
        }
    };
    restore();
    fail_each(&machine, restore);
    assert_eq!(fs::read(HELPER).unwrap(), old);
    assert_eq!(capabilities(HELPER), Some(RIGHTS));
}

fn an_installation_that_is_killed_can_be_repeated() {
    let machine = Machine::enter();
    let clear = || {
        let mut uninstall = Command::new(PROGRAM);
        uninstall.args(["helper", "uninstall", "--policy"]);
        run(uninstall);
        let _ = fs::remove_dir_all("/usr/local/libexec");
        let _ = fs::remove_dir_all("/etc/tunctl");
    };
    for call in CALLS {
        for number in 1..=count(&machine, call, clear) {
            let run = traced(&machine, &["-e", &format!("inject=/{call}:signal=KILL:when={number}")]);
            assert!(!run.status.success(), "{call} {number}: {run:#?}");
            // Whoever finds a helper finds a whole one, whose policy allows nothing yet.
            if fs::exists(HELPER).unwrap() {
                assert_eq!(
                    fs::read(HELPER).unwrap(),
                    fs::read(machine.program()).unwrap(),
                    "{call} {number}"
                );
            }
            machine.install().ok();
            assert_eq!(listing("/usr/local"), ["/usr/local/libexec", HELPER], "{call} {number}");
            assert_eq!(listing("/etc/tunctl"), [POLICY], "{call} {number}");
            tunctl("helper status").ok();
            clear();
        }
    }
}
