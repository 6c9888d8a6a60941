//! `tunctl policy`: what it explains of policies that are good, unsafe and invalid, compared with what the
//! machine of the case is like. That the helper decides alike is tested where the helper is.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};
use tunctl_testing::{CLOSED_NODE, Case, OPEN_NODE, case, ip};

use super::helper::{HELPER, Machine, POLICY};
use super::process::{PROGRAM, Run, run, tunctl};
use super::unprivileged::Program;

pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        case!(a_rule_is_explained),
        case!(rules_are_found_by_user_and_by_group),
        case!(the_caller_is_the_user_unless_another_is_named),
        case!(interfaces_that_there_are_are_counted),
        case!(a_route_of_the_system_is_warned_of),
        case!(a_namespace_is_allowed_or_not).needs_tool("unshare"),
        case!(a_policy_that_is_not_accepted_is_said_to_be),
        case!(a_helper_that_would_not_work_is_said_to_be),
        case!(what_the_caller_lacks_is_said).needs_tool("setpriv"),
        case!(users_that_there_are_not_are_refused),
        case!(the_example_allows_nothing_and_shows_a_rule_that_is_accepted),
    ];
    cases.map(|case| case.needs_root().outside_namespace()).into()
}

const RULES: &str = r#"
[[rule]]
user = "alice"
names = ["vpn%d", "work0"]
layers = ["tun", "tap"]
devices = 2
addresses = ["10.8.0.0/16", "fd77::/48"]
mtu = [1280, 1400]
queue_length = [10, 100]

[[rule]]
group = "vpn"
names = ["group%d"]

[[rule]]
user = 4711
names = ["number%d"]
"#;

/// A machine with the helper and a policy.
fn enter(policy: &str) -> Machine {
    let machine = Machine::enter();
    machine.install().ok();
    fs::write(POLICY, policy).unwrap();
    machine
}

/// The JSON of a check, whose status and message agree with it.
fn report(run: &Run) -> Value {
    let printed: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    let is_allowed = printed["allowed"] == json!(true);
    assert_eq!(run.status.code(), Some(i32::from(!is_allowed)), "{run:#?}");
    assert_eq!(
        run.stderr.contains("may not create interfaces here through the helper"),
        !is_allowed,
        "{run:#?}"
    );
    assert_eq!(printed["reasons"].as_array().unwrap().is_empty(), is_allowed, "{printed}");
    for reason in printed["reasons"].as_array().unwrap() {
        assert!(run.stderr.contains(reason.as_str().unwrap()), "{run:#?}");
    }
    printed
}

fn check(user: &str) -> Value {
    report(&tunctl(&format!("policy check {user} --json")))
}

/// The names of the rules about a user.
fn rules_about(user: &str) -> Vec<String> {
    let report = check(user);
    let rules = report["rules"].as_array().unwrap().iter();
    rules.map(|rule| rule["names"][0]["name"].as_str().unwrap().to_owned()).collect()
}

/// The only reason why a user may not.
#[track_caller]
fn assert_reason(user: &str, words: &str) {
    let report = check(user);
    let reasons = report["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 1, "{report}");
    assert!(reasons[0].as_str().unwrap().contains(words), "{words} is not in: {report}");
}

fn a_rule_is_explained() {
    let _machine = enter(RULES);
    let alice = check("alice");
    assert_eq!(
        alice["user"],
        json!({ "uid": 1000, "name": "alice", "groups": [{ "gid": 1000, "name": "alice" }] })
    );
    assert_eq!(alice["helper"], json!({ "path": HELPER, "problem": null }));
    assert_eq!(alice["policy"], json!({ "path": POLICY, "rules": 3, "problem": null }));
    assert_eq!(
        alice["rules"],
        json!([{
            "number": 1,
            "about": "user alice (1000)",
            "layers": "tun, tap",
            "names": [
                { "name": "vpn%d", "devices": 2, "present": [] },
                { "name": "work0", "devices": 2, "present": [] },
            ],
            "addresses": [{ "range": "10.8.0.0/16", "routes": [] }, { "range": "fd77::/48", "routes": [] }],
            "mtu": [1280, 1400],
            "queue_length": [10, 100],
            "namespaces": ["own"],
            "here": true,
        }])
    );
    let printed = tunctl("policy check alice").ok();
    let expected = format!(
        "\
user          alice (1000), groups: alice (1000)
helper        {HELPER} is in order
policy        {POLICY} is in order, and has 3 rules
rule 1        about user alice (1000); in force here
  names       vpn%d: 2 at a time, none now
              work0: 2 at a time, none now
  layers      tun, tap
  addresses   10.8.0.0/16
              fd77::/48
  mtu         1280 to 1400 bytes
  queue       10 to 100 packets
  namespaces  own
"
    );
    assert_eq!(printed, expected);
}

fn rules_are_found_by_user_and_by_group() {
    let _machine = enter(RULES);
    assert_eq!(rules_about("alice"), ["vpn%d"]);
    assert_eq!(rules_about("1000"), ["vpn%d"]);
    assert_eq!(rules_about("bob"), ["group%d"], "a further group");
    assert_eq!(rules_about("4711"), ["number%d"], "a user without a name");
    assert_reason("root", "no rule");
    fs::write("/etc/passwd", "carol:x:1002:2000::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n").unwrap();
    assert_eq!(rules_about("carol"), ["group%d"], "the own group");
    let said = tunctl("policy check root").failed(1, &["/etc/passwd has no user of the name root"]);
    assert!(!said.contains("may not"), "{said}");
}

fn the_caller_is_the_user_unless_another_is_named() {
    let _machine = enter(RULES);
    let program = Program::new();
    let as_user = |user, group, words: &str| report(&run(program.command(user, group, words)));
    let alice = as_user(1000, 1000, "policy check --json");
    assert_eq!(alice["user"]["name"], "alice");
    assert_eq!(alice["rules"][0]["number"], 1);
    // The groups of the process count, and not those of a new session.
    let bob = as_user(1001, 1001, "policy check --json");
    assert_eq!((&bob["user"]["name"], &bob["rules"]), (&json!("bob"), &json!([])));
    let other = as_user(1000, 2000, "policy check --json");
    assert_eq!(other["rules"].as_array().unwrap().len(), 2);
    assert_eq!(as_user(1000, 1000, "policy check bob --json")["rules"][0]["about"], "group vpn (2000)");
}

/// Describes an interface, with words that may have spaces between them.
fn mark(name: &str, alias: &str) {
    let mut mark = Command::new("ip");
    mark.args(["link", "set", name, "alias", alias]);
    run(mark).ok();
}

fn interfaces_that_there_are_are_counted() {
    let _machine = enter("[[rule]]\nuser = \"alice\"\nnames = [\"vpn%d\"]\ndevices = 2\n");
    let present = || check("alice")["rules"][0]["names"][0]["present"].clone();
    // Of another user, and of another rule.
    for (name, alias) in [
        ("vpn7", "tunctl-helper uid 1000 name vpn%d"),
        ("vpn8", "tunctl-helper uid 1001 name vpn%d"),
        ("vpn9", "tunctl-helper uid 1000 name x%d"),
    ] {
        ip(&format!("link add {name} type bridge"));
        mark(name, alias);
    }
    ip("link add vpn0 type bridge");
    assert_eq!(present(), json!(["vpn7"]));
    assert!(tunctl("policy check alice").ok().contains("vpn%d: 2 at a time, 1 now (vpn7)"));
    // Its owner may have renamed it.
    ip("link set vpn0 name other");
    mark("other", "tunctl-helper uid 1000 name vpn%d");
    assert_eq!(present(), json!(["vpn7", "other"]));
    assert_reason("alice", "as many interfaces");
}

fn a_route_of_the_system_is_warned_of() {
    let _machine = enter(RULES);
    let routes = || check("alice")["rules"][0]["addresses"].clone();
    ip("link add lan type bridge");
    ip("link set lan up");
    // A default route covers everything, and hides nothing.
    ip("address add 192.0.2.1/24 dev lan");
    ip("route add default dev lan");
    assert_eq!(routes()[0]["routes"], json!([]));
    ip("address add 10.8.3.1/24 dev lan");
    ip("route add fd77:0:0:1::/64 dev lan");
    assert_eq!(routes()[0]["routes"], json!([{ "destination": "10.8.3.0/24", "interface": "lan" }]));
    assert_eq!(routes()[1]["routes"], json!([{ "destination": "fd77:0:0:1::/64", "interface": "lan" }]));
    let printed = tunctl("policy check alice").ok();
    assert!(
        printed
            .contains("10.8.0.0/16; warning: refused where a route of this system leads: 10.8.3.0/24 by lan")
    );
    // One above the range, in another table.
    ip("route add 10.0.0.0/8 dev lan table 7");
    assert_eq!(routes()[0]["routes"], json!([{ "destination": "10.0.0.0/8", "interface": "lan" }]));
    // An interface of the helper's own is in nobody's way.
    mark("lan", "tunctl-helper uid 1001 name vpn%d");
    assert_eq!(routes()[0]["routes"], json!([]));
}

fn a_namespace_is_allowed_or_not() {
    let _machine = enter("[[rule]]\nuser = \"alice\"\nnames = [\"vpn%d\"]\nnamespaces = [\"/etc/lab\"]\n");
    File::create("/etc/lab").unwrap();
    assert_reason("alice", "no rule allows this network namespace");
    let printed = tunctl("policy check alice").stdout;
    assert!(printed.contains("not in force") && printed.contains("namespaces  /etc/lab"), "{printed}");
    mount(Some("/proc/self/ns/net"), "/etc/lab", None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    assert_eq!(check("alice")["allowed"], true);
    let within = |arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(arguments).args([PROGRAM, "policy", "check", "alice", "--json"]);
        report(&run(unshare))
    };
    assert_eq!(within(&["--net"])["allowed"], false);
    // Its own are those of its user namespace.
    fs::write(POLICY, "[[rule]]\nuser = \"alice\"\nnames = [\"vpn%d\"]\n").unwrap();
    assert_eq!(within(&["--net"])["allowed"], true);
    assert_eq!(within(&["--user", "--map-root-user"])["rules"][0]["here"], false);
    assert_eq!(within(&["--user", "--net", "--map-root-user"])["rules"][0]["here"], true);
}

fn a_policy_that_is_not_accepted_is_said_to_be() {
    let _machine = enter(RULES);
    let chmod = |path: &str, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    for (path, wrong, right) in
        [(POLICY, 0o664, 0o644), ("/etc/tunctl", 0o757, 0o755), ("/etc", 0o775, 0o755)]
    {
        chmod(path, wrong);
        assert_reason("alice", path);
        let printed = tunctl("policy check alice").stdout;
        assert!(printed.contains(&format!("policy        problem: {path} ")), "{printed}");
        chmod(path, right);
    }
    assert_eq!(check("alice")["allowed"], true);
    // Others read it, too.
    chmod(POLICY, 0o600);
    let program = Program::new();
    let closed = run(program.command(1000, 1000, "policy check"));
    assert!(closed.stdout.contains("Permission denied"), "{closed:#?}");
    chmod(POLICY, 0o644);
    for (text, words) in [
        ("# one\n# two\n[[rule]]\nuser = \"alice\"\n", "line 3"),
        ("[[rule]]\nuser = \"alice\"\nnames = [\"lo\"]\n", "lo"),
        ("[[rule]]\nuser = \"carol\"\nnames = [\"vpn%d\"]\n", "carol"),
        ("[[rule]]\nuser = \"alice\"\nnames = [\"vpn%d\"]\naddresses = [\"127.0.0.0/8\"]\n", "127.0.0.0/8"),
        ("\u{feff}", "byte order mark"),
    ] {
        fs::write(POLICY, text).unwrap();
        assert_reason("alice", POLICY);
        let run = tunctl("policy check alice");
        assert!(run.stdout.contains(words), "{words} is not in: {run:#?}");
        assert!(!run.stdout.contains("rule 1"), "{run:#?}");
    }
    fs::remove_file(POLICY).unwrap();
    assert_reason("alice", "there is no policy");
    assert!(tunctl("policy check alice").stdout.contains("tunctl policy example"));
}

fn a_helper_that_would_not_work_is_said_to_be() {
    let machine = enter(RULES);
    fs::write(HELPER, "").unwrap();
    assert_reason("alice", "has no capability");
    fs::remove_file(HELPER).unwrap();
    assert_reason("alice", "not installed. Install it: sudo tunctl helper install");
    // What the policy would allow is shown all the same.
    assert_eq!(rules_about("alice"), ["vpn%d"]);
    machine.install().ok();
    assert_eq!(check("alice")["allowed"], true);
}

fn what_the_caller_lacks_is_said() {
    let _machine = enter(RULES);
    let program = Program::new();
    let with = |arguments: &[&str], words: &[&str]| {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=1000", "--regid=1000", "--clear-groups"]).args(arguments);
        report(&run({
            setpriv.arg(program.path()).args(["policy", "check", "--json"]).args(words);
            setpriv
        }))
    };
    assert_eq!(with(&[], &[])["allowed"], true);
    for (arguments, words) in
        [("--no-new-privs", "no_new_privs"), ("--bounding-set=-net_admin", "CapabilityBoundingSet")]
    {
        let report = with(&[arguments], &[]);
        assert!(report["reasons"][0].as_str().unwrap().contains(words), "{report}");
        // Of another user, nobody knows what a process of theirs lacks.
        assert_eq!(with(&[arguments], &["alice"])["allowed"], true);
    }
    mount(Some(CLOSED_NODE), OPEN_NODE, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    let report = with(&[], &[]);
    assert!(report["reasons"][0].as_str().unwrap().contains(OPEN_NODE), "{report}");
    // That shows for others, too.
    assert_reason("alice", "sudo chmod 0666 /dev/net/tun");
    chown(OPEN_NODE, None, Some(2000)).unwrap();
    fs::set_permissions(OPEN_NODE, PermissionsExt::from_mode(0o660)).unwrap();
    assert_reason("alice", "0660");
    assert_eq!(check("bob")["allowed"], true);
}

fn users_that_there_are_not_are_refused() {
    let _machine = enter(RULES);
    for user in ["carol", "-1", "4294967295", "alice:x", "1000.0", "\u{1b}[31m"] {
        let mut check = Command::new(PROGRAM);
        check.args(["policy", "check", "--", user]);
        let said = run(check).failed(1, &["has no user of the name"]);
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    // There is no user of the name "", and no number.
    let mut check = Command::new(PROGRAM);
    check.args(["policy", "check", ""]);
    run(check).failed(1, &["has no user of the name"]);
}

fn the_example_allows_nothing_and_shows_a_rule_that_is_accepted() {
    let _machine = enter("");
    let example = tunctl("policy example").ok();
    fs::write(POLICY, &example).unwrap();
    assert_reason("alice", "no rule");
    let from = example.find("# [[rule]]").unwrap();
    let rule: Vec<_> = example[from..].lines().map(|line| line.trim_start_matches("# ")).collect();
    let rule = rule.join("\n");
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/privileges.md");
    assert!(fs::read_to_string(document).unwrap().contains(&format!("```toml\n{rule}\n```")), "{rule}");
    fs::write(POLICY, rule).unwrap();
    let alice = check("alice");
    assert_eq!((&alice["allowed"], &alice["rules"][0]["names"][0]["devices"]), (&json!(true), &json!(2)));
}
