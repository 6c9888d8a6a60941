//! `tunctl lab` where the system has no more threads, processes, memory or descriptors for it.

use std::process::Command;

use tunctl_testing::{Case, case};

use super::process::{PROGRAM, Run, run};
use super::support::exists;
use super::unprivileged::Program;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(without_threads_the_command_is_not_run).needs_root(),
        case!(without_memory_it_does_not_panic),
        case!(without_descriptors_the_message_is_about_descriptors),
        case!(the_status_is_known_where_the_caller_ignores_its_children),
        case!(the_command_gets_the_file_size_signal_as_the_caller_had_it),
    ]
}

/// A user of whom nothing else runs, so that a limit of processes counts these alone.
const LIMITED: u32 = 4099;

/// How the lab may end where it lacks something: it says what, and does not blame the command.
fn assert_orderly(run: &Run, what: &str) {
    assert!(!run.stderr.contains("panicked"), "{what}: {run:#?}");
    assert!(!run.stderr.contains("Is it a program"), "{what}: {run:#?}");
    if !run.status.success() {
        assert_eq!(run.status.code(), Some(1), "{what}: {run:#?}");
        assert!(!run.stdout.contains("ran"), "{what}, the command was left alone: {run:#?}");
    }
}

fn limited(limit: &str, script: &str) -> Run {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit {limit}; exec \"$0\" lab -- sh -c '{script}'"), PROGRAM]);
    run(shell)
}

fn without_threads_the_command_is_not_run() {
    let program = Program::new();
    let mut failures = 0;
    for processes in 1..8 {
        // The shell's own limit: one process, and as many threads as are left.
        let words = "lab --backend kernel -- echo ran";
        let lab = program.command(LIMITED, LIMITED, words);
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nproc={processes}")).arg("setpriv");
        limited.args(["--clear-groups", "--reuid", "4099", "--regid", "4099"]);
        limited.arg(lab.get_program()).args(lab.get_args()).current_dir("/");
        let run = run(limited);
        assert_orderly(&run, &format!("{processes} processes"));
        failures += usize::from(!run.status.success());
    }
    assert!((1..7).contains(&failures), "some limits suffice, and some don't: {failures}");
}

fn without_memory_it_does_not_panic() {
    let mut failures = 0;
    for kibibytes in (4096..20_480).step_by(512) {
        let run = limited(&format!("-v {kibibytes}"), "echo ran");
        // The loader, and an allocation that fails, end a program otherwise than by a message.
        if !matches!(run.status.code(), Some(127) | None) {
            assert_orderly(&run, &format!("{kibibytes} KiB"));
        }
        failures += usize::from(!run.status.success());
    }
    assert!(failures > 0);
}

fn without_descriptors_the_message_is_about_descriptors() {
    let mut failures = 0;
    for descriptors in 3..16 {
        let run = limited(&format!("-n {descriptors}"), "echo ran");
        if run.stderr.contains("error while loading shared libraries") {
            continue;
        }
        assert_orderly(&run, &format!("{descriptors} descriptors"));
        if !run.status.success() {
            failures += 1;
            assert!(run.stderr.contains("files are open") || run.stderr.contains("open files"), "{run:#?}");
        }
    }
    assert!(failures > 3, "{failures}");
    assert!(!exists("lab0"));
}

fn the_command_gets_the_file_size_signal_as_the_caller_had_it() {
    // 24 + 128: a shell says so of a command that SIGXFSZ ended.
    let file = std::env::temp_dir().join(format!("tunctl-lab-limit-{}", std::process::id()));
    let run = limited("-f 0", &format!("echo x | dd of={} 2>/dev/null", file.display()));
    let _ = std::fs::remove_file(file);
    assert_eq!(run.shell_status(), 128 + 25, "{run:#?}");
}

fn the_status_is_known_where_the_caller_ignores_its_children() {
    let mut lab = Command::new("env");
    lab.args(["--ignore-signal=CHLD", PROGRAM, "lab", "--", "sh", "-c", "exit 3"]);
    let run = run(lab);
    assert_eq!(run.status.code(), Some(3), "{run:#?}");
}
