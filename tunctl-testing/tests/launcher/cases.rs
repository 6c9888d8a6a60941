//! The samples, and what is to be seen of their run.

use std::env;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use tunctl_testing::{Case, case, entry, finish, link, links, mark, open_files, skip};

const SAMPLES: &str = "TUNCTL_TESTING_SAMPLES";

fn passes() {
    assert_eq!(links().len(), 1, "a new namespace has only lo");
    assert!(link("lo").is_some() && link("eth0").is_none());
    assert_eq!(finish(&mut entry("says_hello")), "hello\n");
    mark("nothing comes of it without strace");
    assert!(open_files().len() >= 3);
}

fn says_hello() {
    println!("hello");
}

fn fails() {
    assert_eq!(1 + 1, 3, "arithmetic is as it was");
}

fn its_entry_fails() {
    finish(&mut entry("fails"));
}

fn skips() {
    skip("the moon is not full");
}

fn needs_what_is_not_there() {}

fn hangs() {
    thread::sleep(Duration::from_secs(600));
}

fn samples() -> Vec<Case> {
    vec![
        case!(passes).entry("says_hello", says_hello),
        case!(fails).outside_namespace(),
        case!(its_entry_fails).entry("fails", fails).outside_namespace(),
        case!(skips).outside_namespace(),
        case!(needs_what_is_not_there).needs_tool("no-such-tool-anywhere"),
        case!(hangs).limit(Duration::from_millis(500)).outside_namespace(),
    ]
}

pub(crate) fn main() -> ExitCode {
    if env::var_os(SAMPLES).is_some() {
        return tunctl_testing::main(samples());
    }
    tunctl_testing::main(vec![case!(tells_outcomes_apart).outside_namespace()])
}

fn tells_outcomes_apart() {
    let (success, printed) = run_samples(&[], false);
    assert!(!success, "{printed}");
    let line = |name: &str| {
        let start = format!("test {name} ");
        printed
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap_or_else(|| panic!("no line for {name}:\n{printed}"))
    };
    assert!(line("skips").contains("ignored (skipped: the moon is not full)"), "{printed}");
    assert!(line("needs_what_is_not_there").contains("skipped: no-such-tool-anywhere is not installed"));
    assert!(line("fails").ends_with("FAILED"), "{printed}");
    assert!(line("its_entry_fails").ends_with("FAILED"), "{printed}");
    assert!(line("hangs").ends_with("FAILED"), "{printed}");
    assert_eq!(printed.matches("arithmetic is as it was").count(), 2, "{printed}");
    assert!(printed.contains("still running after 500ms: killed"), "{printed}");
    assert!(printed.contains("\nskipped: skips: the moon is not full\n"), "{printed}");
    assert!(printed.contains("test result: FAILED. "), "{printed}");

    let (success, printed) = run_samples(&["skips", "--exact"], false);
    assert!(success && printed.contains("0 failed; 1 ignored"), "{printed}");
    let (success, printed) = run_samples(&["skips", "--exact"], true);
    assert!(!success && printed.contains("1 failed; 0 ignored"), "{printed}");
    let (_, printed) = run_samples(&["--list"], false);
    assert!(printed.contains("hangs: test\n"), "{printed}");

    // Where the machine allows no devices, this one is a skip.
    let (success, printed) = run_samples(&["passes", "--exact"], false);
    assert!(success, "{printed}");
}

fn run_samples(arguments: &[&str], require: bool) -> (bool, String) {
    let output = Command::new(env::current_exe().unwrap())
        .args(arguments)
        .env_remove("TUNCTL_TESTING_CASE")
        .env("RUST_BACKTRACE", "0")
        .env(SAMPLES, "1")
        .env("TUNCTL_REQUIRE_KERNEL", if require { "1" } else { "0" })
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), printed)
}
