//! A user without any privilege: no capability, no group. The device nodes are the case's own; see
//! [`Case::needs_root`].

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use nix::mount::{MsFlags, mount};
use nix::unistd::Uid;
use serde_json::json;
use tunctl_testing::{CLOSED_NODE, Case, OPEN_NODE, Snapshot, case, ip, skip};

use super::lab::assert_all_answered;
use super::process::{PROGRAM, Run, Running, run, tunctl};
use super::support::{exists, is_up, mtu, send, wait_for_packet_socket};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(lab_runs).needs_root(),
        case!(lab_runs_a_command).needs_root().needs_tool("ping"),
        case!(lab_is_refused_at_a_closed_node).needs_root(),
        case!(lab_is_refused_where_users_have_no_namespaces).needs_root(),
        case!(create_is_refused_with_a_remedy).needs_root(),
        case!(create_is_refused_at_a_closed_node).needs_root(),
        case!(delete_at_a_closed_node_says_what_is_missing).needs_root(),
        case!(changes_are_refused_with_a_remedy).needs_root(),
        case!(watch_is_refused_with_a_remedy).needs_root(),
        case!(interfaces_are_shown_all_the_same).needs_root(),
        case!(holders_that_are_not_visible_are_unknown).needs_root(),
        case!(the_owner_may_open_the_interface).needs_root(),
        case!(a_member_of_the_group_may_open_the_interface).needs_root(),
        case!(the_owner_may_delete_the_interface).needs_root(),
        case!(somebody_else_may_not).needs_root(),
        case!(the_node_of_the_machine_stays_as_it_is).outside_namespace(),
    ]
}

const NOBODY: u32 = 65534;

/// A copy of the program where everyone can run it: the build directory may be closed to others.
pub(crate) struct Program {
    directory: PathBuf,
}

impl Program {
    pub(crate) fn new() -> Self {
        let directory = env::temp_dir().join(format!("tunctl-command-{}", process::id()));
        fs::create_dir(&directory).unwrap();
        let program = Self { directory };
        fs::copy(PROGRAM, program.path()).unwrap();
        for path in [&program.directory, &program.path()] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        program
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("tunctl")
    }

    /// The program with these words, not started, for a user and a group without privilege.
    pub(crate) fn command(&self, user: u32, group: u32, words: &str) -> Command {
        let mut command = Command::new(self.path());
        command.args(words.split_whitespace()).current_dir("/").uid(user).gid(group);
        command
    }

    pub(crate) fn run(&self, words: &str) -> Run {
        run(self.command(NOBODY, NOBODY, words))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn lab_runs() {
    let program = Program::new();
    // So little may it do.
    let mut status = Command::new("grep");
    status.args(["-E", "^(Uid|Groups|CapPrm|CapEff|CapAmb):", "/proc/self/status"]).uid(NOBODY).gid(NOBODY);
    let status = run(status).ok();
    let fields: Vec<Vec<&str>> =
        status.lines().map(|line| line.split_whitespace().skip(1).collect()).collect();
    let none = vec!["0000000000000000"];
    assert_eq!(fields, [vec!["65534"; 4], vec![], none.clone(), none.clone(), none]);
    let before = Snapshot::take();
    assert_all_answered(&program.run("lab --count 2 --json").ok(), 2);
    assert_eq!(Snapshot::take(), before);
}

fn lab_runs_a_command() {
    let program = Program::new();
    for host in ["10.77.0.2", "fd77::2"] {
        let printed = program.run(&format!("lab -- ping -c3 -i 0.2 {host}")).ok();
        assert!(printed.contains("3 packets transmitted, 3 received, 0% packet loss"), "{printed}");
    }
    assert_eq!(program.run("lab -- printenv TUNCTL_DEVICE").line(), "lab0");
}

/// Puts the node that only root can open in the place of the device node, in this case's mount namespace.
fn close_the_node() {
    mount(Some(CLOSED_NODE), OPEN_NODE, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    assert_eq!(fs::metadata(OPEN_NODE).unwrap().mode() & 0o777, 0o600);
}

/// What a message must have besides the reason: something to do, on a machine or in a container.
fn assert_remedy(said: &str) {
    assert!(["sudo", "--cap-add", "--device"].iter().any(|word| said.contains(word)), "no remedy: {said}");
}

fn lab_is_refused_at_a_closed_node() {
    let program = Program::new();
    program.run("lab --count 1 --json").ok();
    close_the_node();
    for words in ["lab --backend kernel --count 1", "lab --backend kernel --count 1 --json", "lab -- true"] {
        let said = program.run(words).failed(1, &[OPEN_NODE, "Permission denied"]);
        assert_remedy(&said);
    }
}

fn lab_is_refused_where_users_have_no_namespaces() {
    let program = Program::new();
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    for words in ["lab --backend kernel --count 1", "lab -- true"] {
        let said = program.run(words).failed(1, &["max_user_namespaces", "user namespace"]);
        assert_remedy(&said);
    }
}

fn create_is_refused_with_a_remedy() {
    let program = Program::new();
    let before = Snapshot::take();
    for words in
        ["create", "create t0", "create t0 --tun --hold", "create t0 --exclusive", "create vpn%d --json"]
    {
        let said = program.run(words).failed(1, &["create", "CAP_NET_ADMIN", "Operation not permitted"]);
        assert_remedy(&said);
    }
    assert_eq!(Snapshot::take(), before);
}

fn delete_at_a_closed_node_says_what_is_missing() {
    let program = Program::new();
    ip("tuntap add dev t0 mode tun");
    close_the_node();
    let said = program.run("delete t0").failed(1, &["delete t0", "CAP_NET_ADMIN is missing"]);
    assert!(!said.contains(OPEN_NODE), "{said}");
    assert_remedy(&said);
    assert!(exists("t0"));
}

fn create_is_refused_at_a_closed_node() {
    let program = Program::new();
    close_the_node();
    let said = program.run("create t0").failed(1, &["t0", OPEN_NODE, "Permission denied"]);
    assert_remedy(&said);
}

fn changes_are_refused_with_a_remedy() {
    let program = Program::new();
    ip("tuntap add dev t0 mode tun user 4001");
    let before = Snapshot::take();
    for words in
        ["up t0", "up t0 10.1.1.1", "set t0 --mtu 1400", "set t0 --add 10.1.1.1", "set t0 --replace fd01::1"]
    {
        let said = program.run(words).failed(1, &["t0", "CAP_NET_ADMIN"]);
        assert_remedy(&said);
    }
    assert_eq!(Snapshot::take(), before);
    assert!(!is_up("t0") && mtu("t0") == 1500);
    ip("link set dev t0 up");
    program.run("down t0").failed(1, &["t0", "CAP_NET_ADMIN"]);
    assert!(is_up("t0"));
}

fn watch_is_refused_with_a_remedy() {
    let program = Program::new();
    ip("tuntap add dev t0 mode tun");
    let said = program.run("watch t0 --for 5").failed(1, &["t0", "CAP_NET_RAW"]);
    assert_remedy(&said);
}

fn interfaces_are_shown_all_the_same() {
    let program = Program::new();
    ip("tuntap add dev t0 mode tun user 4001");
    ip("address add 10.1.1.1/24 dev t0");
    for words in ["show t0 --json", "list --json"] {
        let printed = program.run(words).ok();
        assert!(printed.contains("10.1.1.1/24") && printed.contains("4001"), "{printed}");
    }
    assert!(program.run("list").ok().contains("10.1.1.1/24"));
}

fn holders_that_are_not_visible_are_unknown() {
    let program = Program::new();
    ip("tuntap add dev free mode tun");
    let mut holder = Running::start("create t0 --tun --hold");
    holder.line();
    let holders = |name: &str| {
        let shown = program.run(&format!("show {name} --json")).json();
        (shown["holders"].clone(), program.run(&format!("show {name}")).ok())
    };
    let (shown, text) = holders("t0");
    assert!(shown.is_null() && text.contains("holders      unknown"), "{shown} {text}");
    let (shown, text) = holders("free");
    assert!(shown == json!([]) && text.contains("holders      none"), "{shown} {text}");
    let list = program.run("list").ok();
    let holder_of = |name: &str| {
        let line = list.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(4).unwrap().to_owned()
    };
    assert_eq!((holder_of("t0"), holder_of("free")), ("?".into(), "-".into()), "{list}");
    // Nobody sees anything without /proc, not even root.
    mount(Some("none"), "/proc", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert!(tunctl("show t0").ok().contains("holders      unknown"));
}

/// An interface that is up and belongs to someone.
fn owned_by(whom: &str) {
    ip(&format!("tuntap add dev t0 mode tun {whom}"));
    ip("address add 10.1.1.1/24 dev t0");
    ip("link set dev t0 up");
}

fn takes_packets(mut command: Command) {
    command.args("watch t0 --attach --json --count 1".split_whitespace());
    let mut reader = Running::of(command);
    reader.complaint();
    send(b"hello", "10.1.1.5:9");
    assert!(reader.end().ok().contains("\"packet\""));
}

fn the_owner_may_open_the_interface() {
    let program = Program::new();
    owned_by("user 4001");
    takes_packets(program.command(4001, NOBODY, ""));
    // Observing is another matter.
    run(program.command(4001, NOBODY, "watch t0 --for 5")).failed(1, &["CAP_NET_RAW"]);
}

fn a_member_of_the_group_may_open_the_interface() {
    let program = Program::new();
    owned_by("group 4002");
    takes_packets(program.command(NOBODY, 4002, ""));
}

fn the_owner_may_delete_the_interface() {
    // So says the help: while no program has it open.
    let program = Program::new();
    owned_by("user 4001");
    assert_eq!(run(program.command(4001, NOBODY, "delete t0")).ok(), "");
    assert!(!exists("t0"));
    owned_by("user 4001");
    let watcher = Running::start("watch t0");
    wait_for_packet_socket();
    let mut reader = Running::start("watch t0 --attach");
    reader.complaint();
    run(program.command(4001, NOBODY, "delete t0")).failed(1, &["t0"]);
    assert!(exists("t0"));
    drop(watcher);
}

fn somebody_else_may_not() {
    let program = Program::new();
    owned_by("user 4001");
    for words in ["delete t0", "watch t0 --attach --for 5", "create t0 --tun"] {
        let said = run(program.command(4003, NOBODY, words)).failed(1, &["t0", "Operation not permitted"]);
        assert!(said.contains("belongs to user 4001"), "{said}");
    }
    assert!(exists("t0"));
}

/// What distinguishes a file, and tells whether someone has changed it.
fn identity(path: &Path) -> [u64; 5] {
    let file = fs::metadata(path).unwrap();
    [file.ino(), file.rdev(), file.mode().into(), file.uid().into(), file.gid().into()]
}

fn the_node_of_the_machine_stays_as_it_is() {
    if !Uid::effective().is_root() {
        skip("it needs root");
    }
    let node = Path::new(OPEN_NODE);
    let before = identity(node);
    let listing = || {
        let mut names: Vec<_> =
            fs::read_dir("/dev/net").unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let files = listing();
    for case in ["lab_runs", "lab_is_refused_at_a_closed_node"] {
        let mut launcher = Command::new(env::current_exe().unwrap());
        launcher.args(["--exact", &format!("unprivileged::{case}")]).env_remove("TUNCTL_TESTING_CASE");
        let printed = run(launcher).ok();
        assert!(printed.contains("1 passed; 0 failed; 0 ignored"), "{printed}");
        assert_eq!((identity(node), listing()), (before, files.clone()), "{case}");
    }
}
