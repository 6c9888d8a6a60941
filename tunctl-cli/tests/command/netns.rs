//! `--netns`: each verb in another network namespace, by name and by process.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tunctl_testing::{Case, Snapshot, case, entry, finish, ip, skip};

use super::process::{Running, tunctl, wait_until};
use super::support::others;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(every_verb_works_in_a_named_namespace).needs_tool("ip"),
        case!(every_verb_works_in_the_namespace_of_a_process).needs_tool("unshare"),
        case!(a_namespace_that_is_not_there_is_refused).needs_tool("ip"),
        case!(a_user_without_rights_is_told_so).entry("list", list_without_rights).needs_root(),
        case!(lab_has_a_namespace_of_its_own),
    ]
}

/// A directory for names, of this case's own.
fn own_names() {
    fs::create_dir_all("/run/netns").unwrap_or_else(|error| skip(&format!("/run/netns: {error}")));
    let mounted = Command::new("mount").args(["-t", "tmpfs", "names", "/run/netns"]).status();
    if !mounted.is_ok_and(|status| status.success()) {
        skip("nothing can be mounted on /run/netns");
    }
}

/// All verbs. `seen` asks iproute2 in that namespace.
fn work_there(netns: &str, seen: &dyn Fn(&str) -> Value) {
    let before = Snapshot::take();
    let run = |words: &str| tunctl(&format!("--netns {netns} {words}")).ok();
    assert_eq!(run("create t0 --tap --address 10.1.1.1/24").trim(), "t0");
    assert_eq!(seen("t0")["addr_info"][0]["local"], "10.1.1.1");
    run("up t0");
    let is_up = || seen("t0")["flags"].as_array().unwrap().contains(&"UP".into());
    assert!(is_up());
    run("down t0");
    assert!(!is_up());
    run("set t0 --mtu 1400");
    run("set t0 --persist on --name t1");
    assert_eq!((&seen("t1")["mtu"], seen("t0")), (&1400.into(), Value::Null));
    // The option may also stand behind the verb.
    let shown = tunctl(&format!("show t1 --json --netns {netns}")).json();
    assert_eq!((&shown["mtu"], &shown["index"]), (&1400.into(), &seen("t1")["ifindex"]));
    let listed = tunctl(&format!("list --json --netns={netns}")).json();
    assert_eq!(listed, json!([shown]));
    assert_eq!(tunctl("list --json").json(), json!([]));

    // It holds, and watches.
    let mut holder = Running::start(&format!("create t2 --tun --hold --up --netns {netns}"));
    assert_eq!(holder.line(), "t2");
    // Its process is not in that namespace, so that only the count of queues tells of it.
    assert_eq!(tunctl(&format!("show t2 --json --netns {netns}")).json()["holders"], Value::Null);
    let mut watcher = Running::start(&format!("watch t2 --netns {netns}"));
    assert!(watcher.complaint().contains("watching t2"));
    assert_eq!(run("delete t2 t1"), "");
    assert_eq!((seen("t2"), seen("t1")), (Value::Null, Value::Null));
    drop((holder, watcher));
    assert_eq!(Snapshot::take(), before);
}

fn find(all: &Value, name: &str) -> Value {
    all.as_array().into_iter().flatten().find(|one| one["ifname"] == name).cloned().unwrap_or_default()
}

fn json_of(command: &mut Command) -> Value {
    serde_json::from_str(&finish(command)).unwrap()
}

fn every_verb_works_in_a_named_namespace() {
    own_names();
    ip("netns add blue");
    work_there("blue", &|name| {
        find(&json_of(Command::new("ip").args(["-n", "blue", "-j", "address"])), name)
    });
    // The bridge is found, and called by its name, in that namespace.
    ip("-n blue link add br7 type bridge");
    tunctl("create t3 --netns blue").ok();
    tunctl("set t3 --master br7 --netns blue").ok();
    assert_eq!(tunctl("show t3 --json --netns blue").json()["master"], "br7");
    assert_eq!(tunctl("list --json --netns blue").json()[0]["master"], "br7");
    tunctl("delete t3 --netns blue").ok();
    // A path as well.
    tunctl("--netns /run/netns/blue create t0 --tun").ok();
    // A name that is a number goes before the process.
    ip("netns add 1");
    assert_eq!(tunctl("--netns 1 list --json").json(), json!([]));
    assert_eq!(tunctl("--netns blue list --json").json()[0]["name"], "t0");
}

/// A process in a network namespace of its own.
struct Elsewhere(Child);

impl Elsewhere {
    fn start() -> Self {
        let mut command = Command::new("unshare");
        let child = command.args(["--net", "sleep", "60"]).stdout(Stdio::null()).spawn().unwrap();
        let here = fs::read_link("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{}/ns/net", child.id());
        wait_until("it is elsewhere", || fs::read_link(&path).is_ok_and(|there| there != here));
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn every_verb_works_in_the_namespace_of_a_process() {
    let there = Elsewhere::start();
    let pid = there.0.id().to_string();
    work_there(&pid, &|name| {
        let mut seen = Command::new("nsenter");
        find(&json_of(seen.args(["--net", "--target", &pid, "ip", "-j", "address"])), name)
    });
}

fn a_namespace_that_is_not_there_is_refused() {
    let before = Snapshot::take();
    for (netns, reasons) in [
        ("no-such-name", &["/run/netns/no-such-name", "ip netns list"][..]),
        ("4294967295", &["there is no process 4294967295"]),
        ("/proc/self/comm", &["/proc/self/comm is not a network namespace"]),
        ("/proc/self/ns/user", &["/proc/self/ns/user is not a network namespace"]),
    ] {
        for verb in
            ["create t0 --tun", "delete t0", "up t0", "down t0", "set t0 --mtu 1400", "show t0", "list"]
        {
            tunctl(&format!("{verb} --netns {netns}")).failed(1, reasons);
        }
    }
    assert_eq!(Snapshot::take(), before);
    assert_eq!(others(), [""; 0]);
}

fn list_without_rights() {
    let parent = std::os::unix::process::parent_id();
    tunctl(&format!("list --netns {parent}")).failed(1, &[&format!("process {parent}"), "sudo"]);
}

fn a_user_without_rights_is_told_so() {
    finish(entry("list").uid(4001).gid(4001));
}

fn lab_has_a_namespace_of_its_own() {
    tunctl("lab --netns blue --count 1").failed(2, &["lab has a network namespace of its own"]);
}
