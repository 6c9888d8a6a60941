//! `tunctl helper`, on a machine whose `/etc` and `/usr/local` are the case's own.

mod faults;
mod granted;
mod machine;
mod refused;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;
use tunctl_testing::{Case, case};

use super::process::{command, run, tunctl};
use super::unprivileged::Program;
pub(crate) use machine::{HELPER, Machine, POLICY};
use machine::{RIGHTS, capabilities, listing};

pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        case!(a_new_helper_has_one_right_and_a_policy_that_allows_nothing),
        case!(the_umask_of_the_caller_does_not_matter),
        case!(another_name_of_a_replaced_helper_has_no_right),
        case!(a_policy_is_installed_if_there_is_none),
        case!(a_removed_helper_leaves_no_right_behind),
        case!(what_a_killed_installation_left_is_removed),
        case!(the_status_says_what_is_wrong),
        case!(without_root_nothing_is_changed),
    ];
    let cases = cases.map(|case| case.needs_root().outside_namespace());
    [&cases[..], &refused::cases(), &faults::cases(), &granted::cases()].concat()
}

fn mode(path: &str) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn a_new_helper_has_one_right_and_a_policy_that_allows_nothing() {
    let machine = Machine::enter();
    let printed = machine.install().ok();
    for words in [HELPER, POLICY, "cap_net_admin=p", "allows nothing yet", "tunctl policy check"] {
        assert!(printed.contains(words), "{words} is not in: {printed}");
    }
    assert_eq!(capabilities(HELPER), Some(RIGHTS));
    assert_eq!(fs::read(HELPER).unwrap(), fs::read(machine.program()).unwrap());
    assert_eq!(fs::read_to_string(POLICY).unwrap(), tunctl("policy example").ok());
    for (path, expected) in
        [("/usr/local/libexec", 0o755), (HELPER, 0o755), ("/etc/tunctl", 0o755), (POLICY, 0o644)]
    {
        let found = fs::symlink_metadata(path).unwrap();
        assert_eq!((found.uid(), found.gid(), mode(path)), (0, 0, expected), "{path}");
    }
    assert_eq!(listing("/usr/local"), ["/usr/local/libexec", HELPER]);
    assert_eq!(listing("/etc/tunctl"), [POLICY]);
    tunctl("helper status").ok();
}

fn the_umask_of_the_caller_does_not_matter() {
    let machine = Machine::enter();
    for umask in ["000", "777"] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
        let install = machine.install_command("");
        shell.arg(install.get_program()).args(install.get_args());
        run(shell).ok();
        assert_eq!([HELPER, POLICY, "/etc/tunctl"].map(mode), [0o755, 0o644, 0o755], "{umask}");
        tunctl("helper uninstall --policy").ok();
    }
}

fn another_name_of_a_replaced_helper_has_no_right() {
    let machine = Machine::enter();
    machine.install().ok();
    // A user can make one where protected_hardlinks is off.
    fs::hard_link(HELPER, "/usr/local/copy").unwrap();
    fs::write(POLICY, "# mine\n").unwrap();
    assert_eq!(capabilities("/usr/local/copy"), Some(RIGHTS));
    let printed = machine.install().ok();
    assert!(printed.contains("stays as it is"), "{printed}");
    assert_eq!((capabilities("/usr/local/copy"), capabilities(HELPER)), (None, Some(RIGHTS)));
    let inode = |path| fs::metadata(path).unwrap().ino();
    assert_ne!(inode("/usr/local/copy"), inode(HELPER));
    assert_eq!(fs::read_to_string(POLICY).unwrap(), "# mine\n");
    assert_eq!(listing("/usr/local/libexec"), [HELPER]);
}

fn a_policy_is_installed_if_there_is_none() {
    let machine = Machine::enter();
    let text = "[[rule]]\nuser = \"alice\"\nnames = [\"vpn%d\"]\n";
    fs::write("/etc/mine.toml", text).unwrap();
    let printed = machine.install_with("--policy /etc/mine.toml").ok();
    assert!(printed.contains("/etc/mine.toml"), "{printed}");
    assert_eq!(fs::read_to_string(POLICY).unwrap(), text);
    assert_eq!(fs::metadata(POLICY).unwrap().nlink(), 1);
    tunctl("policy check alice").ok();
}

fn a_removed_helper_leaves_no_right_behind() {
    let machine = Machine::enter();
    machine.install().ok();
    fs::hard_link(HELPER, "/usr/local/copy").unwrap();
    let printed = tunctl("helper uninstall").ok();
    assert!(printed.contains("--policy removes it, too"), "{printed}");
    assert_eq!(capabilities("/usr/local/copy"), None);
    assert!(!Path::new(HELPER).exists() && Path::new(POLICY).exists());
    tunctl("helper uninstall").failed(1, &["not installed"]);
    assert!(Path::new(POLICY).exists());
    tunctl("helper uninstall --policy").ok();
    assert!(!Path::new("/etc/tunctl").exists());
    tunctl("helper uninstall --policy").failed(1, &["not installed"]);
    // A folder with files of others stays.
    machine.install().ok();
    fs::write("/etc/tunctl/notes", "").unwrap();
    tunctl("helper uninstall --policy").ok();
    assert_eq!(listing("/etc/tunctl"), ["/etc/tunctl/notes"]);
}

fn what_a_killed_installation_left_is_removed() {
    let machine = Machine::enter();
    machine.install().ok();
    // No process has that number, and this one has its own.
    let (stale, own) = ("new.4194305", format!("new.{}", std::process::id()));
    for name in [stale, &own, "else"] {
        fs::write(format!("/usr/local/libexec/.tunctl-helper.{name}"), "").unwrap();
    }
    machine.install().ok();
    let left = listing("/usr/local/libexec");
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(!left.iter().any(|path| path.ends_with(stale)), "{left:?}");
}

/// What the status says, of the helper and of the policy.
fn status() -> [String; 2] {
    let run = tunctl("helper status --json");
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let problems = ["helper", "policy"].map(|one| printed[one]["problem"].as_str().unwrap_or("").to_owned());
    let is_sound = problems.iter().all(String::is_empty);
    assert_eq!(run.status.code(), Some(i32::from(!is_sound)), "{run:#?}");
    assert_eq!(run.stderr.contains("does not work here"), !is_sound, "{run:#?}");
    problems
}

fn the_status_says_what_is_wrong() {
    let machine = Machine::enter();
    let [helper, policy] = status();
    assert!(helper.contains("sudo tunctl helper install") && policy.contains("there is no policy"));
    machine.install().ok();
    assert_eq!(status(), ["", ""]);
    assert_eq!(
        tunctl("helper status --json").json(),
        json!({
            "helper": { "path": HELPER, "problem": null },
            "policy": { "path": POLICY, "rules": 0, "problem": null },
        })
    );
    let chmod = |path: &str, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    for (path, wrong, right, said) in [
        (HELPER, 0o4755, 0o755, "set-user-ID"),
        (HELPER, 0o2755, 0o755, "set-group-ID"),
        (HELPER, 0o775, 0o755, "changed by others"),
        (HELPER, 0o744, 0o755, "started by everybody"),
        ("/usr/local", 0o775, 0o755, "/usr/local (mode 0775)"),
        ("/usr/local/libexec", 0o1777, 0o755, "/usr/local/libexec (mode 1777)"),
    ] {
        chmod(path, wrong);
        let [problem, _] = status();
        assert!(problem.contains(said), "{said} is not in: {problem}");
        chmod(path, right);
        assert_eq!(status(), ["", ""], "{path}");
    }
    chmod("/etc/tunctl", 0o777);
    assert!(status()[1].contains("/etc/tunctl"));
    chmod("/etc/tunctl", 0o755);
    // A write takes the capability away.
    fs::write(HELPER, "").unwrap();
    assert!(status()[0].contains("has no capability"));
    machine.install().ok();
    machine.give(HELPER, 1 << 12 | 1 << 21);
    assert!(status()[0].contains("other capabilities"));
    machine.install().ok();
    std::os::unix::fs::chown(HELPER, Some(1000), None).unwrap();
    assert!(status()[0].contains("user 1000"));
}

fn without_root_nothing_is_changed() {
    let machine = Machine::enter();
    let program = Program::new();
    for words in ["install", "uninstall", "uninstall --policy"] {
        let words = format!("helper {words}");
        program.run(&words).failed(1, &["this takes root", "sudo"]);
    }
    assert_eq!(listing("/usr/local"), [""; 0]);
    machine.install().ok();
    // Everybody may look.
    assert!(program.run("helper status").ok().contains("in order"));
    program.run("helper uninstall").failed(1, &["this takes root"]);
    assert_eq!(capabilities(HELPER), Some(RIGHTS));
    run(command("--netns 1 helper status")).failed(2, &["--netns"]);
}
