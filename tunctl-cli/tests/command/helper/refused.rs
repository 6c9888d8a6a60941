//! What `tunctl helper install` refuses, after which the machine is as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use nix::mount::{MsFlags, mount};
use tunctl_testing::{Case, case};

use super::machine::{self, HELPER, Machine, POLICY, state};
use crate::cases::process::{PROGRAM, run};

pub(super) fn cases() -> Vec<Case> {
    let cases = [
        case!(programs_that_are_not_the_helper),
        case!(folders_that_others_may_write_to),
        case!(file_systems_where_no_program_gains_rights),
        case!(policies_that_make_no_sense),
        case!(a_place_that_is_taken),
    ];
    cases.map(|case| case.needs_root().outside_namespace()).into()
}

/// Asserts that an installation is refused with these words, and changes nothing.
#[track_caller]
fn assert_refused(machine: &Machine, options: &str, words: &[&str]) {
    let before = state();
    let said = machine.install_with(options).failed(1, words);
    assert!(said.contains("Nothing was changed") || said.contains("Undone: "), "{said}");
    assert_eq!(state(), before, "{said}");
}

fn programs_that_are_not_the_helper() {
    let machine = Machine::enter();
    let mut library = machine::program(2);
    library[24..32].fill(0);
    let mut dynamic = machine::program(2);
    dynamic[64] = 3;
    let mut foreign = machine::program(2);
    foreign[18] ^= 1;
    let mut oddly_long = machine::program(2);
    oddly_long[54] += 1;
    for (bytes, words) in [
        (Vec::new(), ["no program", "xtask helper"]),
        (b"#!/bin/sh\nexit 2\n".to_vec(), ["no program", "xtask helper"]),
        (machine::program(2)[..100].to_vec(), ["no program", "xtask helper"]),
        (library, ["a library", "xtask helper"]),
        (dynamic, ["linked dynamically", "xtask helper"]),
        (foreign, ["another machine", "xtask helper"]),
        (machine::program(0), ["not behave as tunctl-helper", "status: 0"]),
        (machine::saying("usage: busybox [FUNCTION]\n", 2), ["not behave as tunctl-helper", "status: 2"]),
        // The kernel refuses it, and a shell takes it for a script.
        (oddly_long, ["not behave as tunctl-helper", "status"]),
        (machine::endless(), ["not end by itself", "not tunctl-helper"]),
    ] {
        fs::write(machine.program(), bytes).unwrap();
        assert_refused(&machine, "", &words);
    }
    fs::remove_file(machine.program()).unwrap();
    assert_refused(&machine, "", &["No such file"]);
    fs::create_dir(machine.program()).unwrap();
    assert_refused(&machine, "", &["it is no file"]);
    // As it is built without more: as dynamic as this program.
    fs::copy(PROGRAM, "/etc/tunctl").unwrap();
    fs::copy(PROGRAM, "/etc/tunctl-helper").unwrap();
    let mut beside = std::process::Command::new("/etc/tunctl");
    beside.args(["helper", "install"]);
    run(beside).failed(1, &["/etc/tunctl-helper: it is linked dynamically", "cargo xtask helper"]);
    fs::remove_file("/etc/tunctl-helper").unwrap();
    let mut alone = std::process::Command::new("/etc/tunctl");
    alone.args(["helper", "install"]);
    run(alone).failed(1, &["/etc/tunctl-helper does not exist", "cargo xtask helper"]);
}

fn folders_that_others_may_write_to() {
    let machine = Machine::enter();
    let chmod = |path: &str, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    fs::create_dir("/usr/local/libexec").unwrap();
    fs::create_dir("/etc/tunctl").unwrap();
    for folder in ["/usr/local", "/usr/local/libexec", "/etc", "/etc/tunctl"] {
        for mode in [0o775, 0o757, 0o1777] {
            chmod(folder, mode);
            assert_refused(&machine, "", &[folder, "others than root", "chmod go-w"]);
        }
        chmod(folder, 0o700);
        assert_refused(&machine, "", &[folder, "users cannot reach", "chmod a+x"]);
        chmod(folder, 0o755);
        chown(folder, Some(1000), None).unwrap();
        assert_refused(&machine, "", &[folder, "user 1000", "chown root"]);
        chown(folder, Some(0), None).unwrap();
    }
    for folder in ["/usr/local/libexec", "/etc/tunctl"] {
        let elsewhere = format!("{folder}.elsewhere");
        fs::rename(folder, &elsewhere).unwrap();
        symlink(&elsewhere, folder).unwrap();
        assert_refused(&machine, "", &[folder, "symbolic link"]);
        fs::remove_file(folder).unwrap();
        fs::write(folder, "").unwrap();
        assert_refused(&machine, "", &[folder, "no folder"]);
        fs::remove_file(folder).unwrap();
        fs::rename(&elsewhere, folder).unwrap();
    }
    machine.install().ok();
}

fn file_systems_where_no_program_gains_rights() {
    let machine = Machine::enter();
    for (flag, words) in [
        (MsFlags::MS_NOSUID, ["nosuid", "docs/privileges.md"]),
        (MsFlags::MS_NOEXEC, ["cannot start", "Permission denied"]),
        (MsFlags::MS_RDONLY, ["Read-only file system", "/usr/local"]),
    ] {
        let remount = |flags| {
            mount(None::<&str>, "/usr/local", None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>)
                .unwrap();
        };
        remount(flag);
        assert_refused(&machine, "", &words);
        remount(MsFlags::empty());
    }
    // An installed one is found to be there.
    machine.install().ok();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID;
    mount(None::<&str>, "/usr/local", None::<&str>, flags, None::<&str>).unwrap();
    let status = crate::cases::process::tunctl("helper status");
    assert!(status.stdout.contains("mounted with nosuid"), "{status:#?}");
}

fn policies_that_make_no_sense() {
    let machine = Machine::enter();
    let offered = "/etc/offered.toml";
    for (text, words) in [
        ("[[rule]]\nuser = \"carol\"\nnames = [\"vpn%d\"]\n", [offered, "carol"]),
        ("[[rule]]\nusers = \"alice\"\nnames = [\"vpn%d\"]\n", [offered, "users"]),
        ("[[rule]\n", [offered, "line 1"]),
    ] {
        fs::write(offered, text).unwrap();
        assert_refused(&machine, "--policy /etc/offered.toml", &words);
    }
    assert_refused(&machine, "--policy /etc/none", &["/etc/none", "No such file"]);
    // It would be accepted, and there is one.
    fs::write(offered, "").unwrap();
    machine.install().ok();
    assert_refused(&machine, "--policy /etc/offered.toml", &["none is overwritten", POLICY]);
    // The helper would refuse everybody.
    fs::write(POLICY, "nonsense").unwrap();
    assert_refused(&machine, "", &[POLICY]);
    fs::write(POLICY, "").unwrap();
    fs::hard_link(POLICY, "/etc/other-name").unwrap();
    assert_refused(&machine, "", &[POLICY, "hard link"]);
}

fn a_place_that_is_taken() {
    let machine = Machine::enter();
    fs::create_dir("/usr/local/libexec").unwrap();
    fs::create_dir(HELPER).unwrap();
    assert_refused(&machine, "", &[HELPER, "no file"]);
    fs::remove_dir(HELPER).unwrap();
    symlink("/bin/true", HELPER).unwrap();
    assert_refused(&machine, "", &[HELPER]);
    let remove = crate::cases::process::tunctl("helper uninstall");
    remove.failed(1, &[HELPER]);
    assert!(fs::symlink_metadata(HELPER).unwrap().is_symlink());
}
