//! A policy file that somebody else than root could have written, or that is no plain file.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use rustix::fs::{XattrFlags, setxattr};
use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_testing::{Case, others};

use super::support::request::{configured, tun};
use super::support::start::{Start, ask};
use super::support::steps::{own_steps, stopped_after};
use super::support::{ALICE, FOLDER, NOBODY, POLICY, USUAL, World, attacks, give_to, set_mode};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_missing_policy,
        a_symbolic_link,
        a_folder_that_is_a_symbolic_link,
        a_hard_link,
        a_policy_that_others_may_write,
        a_folder_that_others_may_write,
        the_root_folder_that_others_may_write,
        an_access_list,
        a_fifo,
        a_device,
        a_folder_in_its_place,
        a_fuse_file_that_never_answers,
        a_huge_file,
        a_policy_changed_while_it_is_read,
    ]
}

#[track_caller]
fn is_unsafe() {
    let answer = ask(tun("vpn0").to_bytes());
    answer.is_refused(Refusal::UnsafePolicy);
    assert!(answer.took.as_secs() < 5, "{answer:?}");
    assert!(others().is_empty());
}

/// The control of each of these attacks: the policy, once it is safe, is accepted.
#[track_caller]
fn is_accepted() {
    assert_eq!(ask(tun("vpn0").to_bytes()).granted(), "vpn0");
}

fn a_missing_policy(world: &World) {
    fs::remove_file(POLICY).unwrap();
    ask(tun("vpn0").to_bytes()).is_refused(Refusal::NoPolicy);
    fs::remove_dir(FOLDER).unwrap();
    ask(tun("vpn0").to_bytes()).is_refused(Refusal::NoPolicy);
    fs::create_dir(FOLDER).unwrap();
    set_mode(FOLDER, 0o755);
    world.policy("");
    ask(tun("vpn0").to_bytes()).is_refused(Refusal::NoRule);
    world.policy(USUAL);
    is_accepted();
}

fn a_symbolic_link(world: &World) {
    let real = "/etc/tunctl/real.toml";
    fs::rename(POLICY, real).unwrap();
    for target in [real, "real.toml", "/proc/self/fd/0", "/nowhere", POLICY] {
        symlink(target, POLICY).unwrap();
        is_unsafe();
        fs::remove_file(POLICY).unwrap();
    }
    world.policy(USUAL);
    is_accepted();
}

fn a_folder_that_is_a_symbolic_link(_: &World) {
    fs::rename(FOLDER, "/etc/real").unwrap();
    symlink("/etc/real", FOLDER).unwrap();
    is_unsafe();
    fs::remove_file(FOLDER).unwrap();
    fs::rename("/etc/real", FOLDER).unwrap();
    is_accepted();
}

fn a_hard_link(_: &World) {
    fs::hard_link(POLICY, "/etc/other.toml").unwrap();
    is_unsafe();
    fs::remove_file("/etc/other.toml").unwrap();
    is_accepted();
}

fn a_policy_that_others_may_write(_: &World) {
    for mode in [0o664, 0o646, 0o666, 0o620, 0o602, 0o777] {
        set_mode(POLICY, mode);
        is_unsafe();
    }
    set_mode(POLICY, 0o644);
    for uid in [NOBODY, ALICE] {
        give_to(POLICY, uid);
        is_unsafe();
    }
    give_to(POLICY, 0);
    is_accepted();
}

fn a_folder_that_others_may_write(_: &World) {
    for folder in [FOLDER, "/etc"] {
        for mode in [0o775, 0o757, 0o777, 0o1777] {
            set_mode(folder, mode);
            is_unsafe();
        }
        set_mode(folder, 0o755);
        give_to(folder, ALICE);
        is_unsafe();
        give_to(folder, 0);
        is_accepted();
    }
}

/// In a root of its own, which holds what the program needs.
fn the_root_folder_that_others_may_write(_: &World) {
    let root = "/run/root";
    fs::create_dir(root).unwrap();
    mount(Some("attack"), root, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    for folder in ["etc", "usr", "lib", "lib64", "proc", "dev", "run"] {
        let (from, to) = (format!("/{folder}"), format!("{root}/{folder}"));
        fs::create_dir(&to).unwrap();
        if fs::exists(&from).unwrap() {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(&*from), &*to, None::<&str>, flags, None::<&str>).unwrap();
        }
    }
    let there = || Start::new().step(&["chroot", root]).step(&["go to", "/"]).ask(tun("vpn0").to_bytes());
    for mode in [0o775, 0o757, 0o1777] {
        set_mode(root, mode);
        there().is_refused(Refusal::UnsafePolicy);
    }
    set_mode(root, 0o755);
    give_to(root, NOBODY);
    there().is_refused(Refusal::UnsafePolicy);
    give_to(root, 0);
    assert_eq!(there().granted(), "vpn0");
    umount2(root, MntFlags::MNT_DETACH).unwrap();
}

/// A POSIX access list that lets one more user write, in the kernel's form (`<linux/posix_acl_xattr.h>`).
fn an_access_list(_: &World) {
    let nobody_else = u32::MAX;
    let (user_obj, user, group_obj, mask, other): (u16, u16, u16, u16, u16) = (1, 2, 4, 16, 32);
    let entries = [
        (user_obj, 6, nobody_else),
        (user, 6, NOBODY),
        (group_obj, 4, nobody_else),
        (mask, 6, nobody_else),
        (other, 4, nobody_else),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        let permissions: u16 = permissions;
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    for path in [POLICY, FOLDER] {
        let before = fs::metadata(path).unwrap().permissions();
        if let Err(errno) = setxattr(path, "system.posix_acl_access", &list, XattrFlags::empty()) {
            tunctl_testing::skip(&format!("the file system has no access lists: {errno}"));
        }
        is_unsafe();
        rustix::fs::removexattr(path, "system.posix_acl_access").unwrap();
        fs::set_permissions(path, before).unwrap();
        is_accepted();
    }
}

fn replaced(by: impl FnOnce()) {
    fs::remove_file(POLICY).unwrap();
    by();
    is_unsafe();
}

/// Nobody ever writes into it: a reader that opens it and waits, waits for ever.
fn a_fifo(world: &World) {
    for mode in [0o644, 0o666] {
        replaced(|| mkfifo(POLICY, Mode::from_bits_truncate(mode)).unwrap());
    }
    world.policy(USUAL);
    is_accepted();
}

fn a_device(world: &World) {
    // /dev/null, which is empty; /dev/zero, which never ends; the console's tty; a block device.
    for (kind, major, minor) in
        [(SFlag::S_IFCHR, 1, 3), (SFlag::S_IFCHR, 1, 5), (SFlag::S_IFCHR, 5, 0), (SFlag::S_IFBLK, 7, 0)]
    {
        let mode = Mode::from_bits_truncate(0o644);
        replaced(|| mknod(POLICY, kind, mode, makedev(major, minor)).unwrap());
    }
    world.policy(USUAL);
    is_accepted();
}

fn a_folder_in_its_place(world: &World) {
    replaced(|| fs::create_dir(POLICY).unwrap());
    fs::remove_dir(POLICY).unwrap();
    world.policy(USUAL);
    is_accepted();
}

/// The time limit ends a helper that the file system keeps waiting.
fn a_fuse_file_that_never_answers(_: &World) {
    let Ok(server) = File::options().read(true).write(true).open("/dev/fuse") else {
        tunctl_testing::skip("/dev/fuse cannot be opened");
    };
    let options = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", server.as_raw_fd());
    mount(Some("fuse"), FOLDER, Some("fuse"), MsFlags::empty(), Some(&*options)).unwrap();
    let answer = ask(tun("vpn0").to_bytes());
    assert_eq!((answer.reply(), answer.signal()), (None, Some(Signal::SIGALRM)), "{answer:?}");
    assert!(answer.took.as_secs() < 13, "{answer:?}");
    assert!(others().is_empty());
    umount2(FOLDER, MntFlags::MNT_DETACH | MntFlags::MNT_FORCE).unwrap();
    drop(server);
    is_accepted();
}

fn a_huge_file(world: &World) {
    const LIMIT: usize = 64 << 10;
    let padded = |length: usize| format!("{USUAL}#{}", " ".repeat(length - USUAL.len() - 1));
    for length in [LIMIT + 1, 1 << 20] {
        world.policy(padded(length));
        is_unsafe();
    }
    // Sparse, so that it takes no room.
    File::options().write(true).open(POLICY).unwrap().set_len(1 << 40).unwrap();
    is_unsafe();
    world.policy(padded(LIMIT));
    is_accepted();
}

/// A shell, which is another process, changes the file while the helper is stopped at each step. Whatever the
/// helper says comes from one of the two policies as a whole: the old one has `vpn%d` for nobody, the new one
/// has `vpn%d` for alice, and no mixture of them is without a trace.
fn a_policy_changed_while_it_is_read(world: &World) {
    // The rule about nobody moves past what has been read, and would be read twice: a doubled name.
    let new = USUAL.replace("nobody", "alice");
    let request = configured("vpn0").to_bytes();
    let steps = own_steps(&request);
    let changes = [
        format!("cat > {POLICY} < /run/new"),
        format!("printf '' > {POLICY}"),
        format!("printf 'x' >> {POLICY}"),
        format!("cp /run/new {FOLDER}/next && mv {FOLDER}/next {POLICY}"),
        format!("chmod 666 {POLICY}"),
        format!("rm {POLICY}"),
    ];
    fs::write("/run/new", &new).unwrap();
    let mut appended_and_seen = 0;
    for step in &steps {
        for change in &changes {
            let running = stopped_after(step, &request);
            assert!(running.is_stopped(), "{step}");
            let status = Command::new("sh").args(["-c", change]).stdin(Stdio::null()).status().unwrap();
            assert!(status.success(), "{change}");
            running.go_on();
            let answer = running.helper.answer();
            match answer.reply() {
                Some(Reply::Granted(_)) => {}
                Some(Reply::Refused(Refusal::UnsafePolicy)) => {
                    appended_and_seen += usize::from(change.ends_with(&format!(">> {POLICY}")));
                }
                Some(Reply::Refused(Refusal::NoRule | Refusal::NoPolicy | Refusal::InvalidPolicy)) => {}
                other => panic!("{step}, {change}: {other:?}"),
            }
            drop(answer);
            world.policy(USUAL);
            if step.call.name == "close" && step.call.arguments.contains(POLICY) {
                break;
            }
        }
        // What happens to the file afterwards changes nothing.
        if step.call.name == "close" && step.call.arguments.contains(POLICY) {
            break;
        }
    }
    // An `x` at the end makes it invalid, if it is read, and changes nothing if it isn't: unsafe is what only
    // the comparison finds.
    assert!(appended_and_seen > 1, "the helper saw {appended_and_seen} changes");
    world.is_as_before();
    is_accepted();
}
