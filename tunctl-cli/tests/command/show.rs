//! `tunctl show` and `tunctl list`.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tunctl_testing::{Case, case, ip, link, skip};

use super::process::{Running, tunctl};
use super::support::{held_tun, members, others, quiet_ipv6, send, shown};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(show_tells_what_iproute2_tells),
        case!(show_tells_owner_and_group).needs_root(),
        case!(show_names_the_holder),
        case!(show_counts_queues),
        case!(show_counts_packets),
        case!(show_names_the_bridge),
        case!(show_in_text_has_everything),
        case!(show_follows_a_rename),
        case!(show_refuses_what_is_missing_or_of_another_kind),
        case!(list_is_empty_without_interfaces),
        case!(list_has_them_all_and_no_others),
        case!(list_in_text_has_a_line_each),
    ]
}

fn show_tells_what_iproute2_tells() {
    quiet_ipv6();
    ip("tuntap add dev t0 mode tap pi multi_queue");
    ip("link set dev t0 mtu 1400 address 02:00:5e:10:00:07 up");
    ip("address add 10.1.1.1/24 dev t0");
    ip("address add fd01::1/48 dev t0");
    let mut told = shown("t0");
    let flags = told["flags"].take();
    let expected = json!({
        "name": "t0", "index": link("t0").unwrap()["ifindex"], "layer": "tap", "flags": null, "mtu": 1400,
        "mac": "02:00:5e:10:00:07", "state": "up", "queue_length": 1000, "persistent": true, "owner": null, "group": null,
        "description": null, "addresses": ["10.1.1.1/24", "fd01::1/48"], "queues": 0, "detached_queues": 0,
        "holders": [], "carrier": "off", "master": null,
    });
    assert_eq!(told, expected);
    assert_eq!(sorted(&flags), ["multi_queue", "tap"]);
    ip("tuntap add dev t1 mode tun vnet_hdr");
    let told = shown("t1");
    assert_eq!(sorted(&told["flags"]), ["no_pi", "tun", "vnet_hdr"]);
    assert_eq!((&told["layer"], &told["state"]), (&"tun".into(), &"down".into()));
    assert!(told["mac"].is_null(), "{told}");
}

fn sorted(texts: &Value) -> Vec<&str> {
    let mut texts: Vec<_> = texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    texts.sort_unstable();
    texts
}

fn show_tells_owner_and_group() {
    ip("tuntap add dev t0 mode tun user 4001 group 4002");
    let told = shown("t0");
    assert_eq!((&told["owner"], &told["group"]), (&4001.into(), &4002.into()));
    let text = tunctl("show t0").ok();
    assert!(text.contains("4001") && text.contains("4002"), "{text}");
    // As names, if they have some.
    ip("tuntap add dev t1 mode tun user root group root");
    let text = tunctl("show t1").ok();
    assert_eq!(text.lines().filter(|line| line.ends_with(" 0 (root)")).count(), 2, "{text}");
}

fn show_names_the_holder() {
    ip("tuntap add dev free mode tun");
    let mut holder = Running::start("create t0 --tun --hold");
    holder.line();
    let expected = json!([{ "pid": holder.pid(), "command": "tunctl" }]);
    let told = shown("t0");
    assert_eq!((&told["holders"], &told["persistent"]), (&expected, &false.into()));
    assert_eq!(shown("free")["holders"], json!([]));
    let text = tunctl("show t0").ok();
    assert!(text.contains(&holder.pid().to_string()) && text.contains("tunctl"), "{text}");
    let list = tunctl("list").ok();
    let line = list.lines().find(|line| line.starts_with("t0")).unwrap();
    assert!(line.contains("tunctl"), "{list}");
}

fn show_counts_queues() {
    ip("tuntap add dev t0 mode tun multi_queue");
    assert_eq!(shown("t0")["queues"], 0);
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let mut reader = Running::start("watch t0 --attach");
            reader.complaint();
            reader
        })
        .collect();
    let told = shown("t0");
    assert_eq!(told["queues"], 3);
    let holders = told["holders"].as_array().unwrap();
    for reader in &readers {
        assert!(holders.iter().any(|holder| holder["pid"] == reader.pid()), "{told}");
    }
}

fn show_counts_packets() {
    quiet_ipv6();
    let _holder = held_tun("t0");
    // Nobody receives: the queue takes what it has room for.
    tunctl("set t0 --queue-length 2").ok();
    for _ in 0..5 {
        send(b"hello", "10.1.1.5:9");
    }
    let zero = json!({ "packets": 0, "bytes": 0, "errors": 0, "dropped": 0 });
    let lost = json!({ "packets": 0, "bytes": 0, "errors": 0, "dropped": 3 });
    let expected = json!({ "from_program": zero, "to_program": lost });
    let told: Value = serde_json::from_str(&tunctl("show t0 --stats --json").ok()).unwrap();
    assert_eq!(told["statistics"], expected);
    let told: Value = serde_json::from_str(&tunctl("list --stats --json").ok()).unwrap();
    assert_eq!(told[0]["statistics"], expected);
    assert!(shown("t0").get("statistics").is_none());
    let text = tunctl("show t0 --stats").ok();
    assert!(text.contains("to_program") && text.contains("3 dropped"), "{text}");
    assert!(!tunctl("show t0").ok().contains("dropped"));
    tunctl("list --stats").failed(2, &["--json"]);
}

fn show_names_the_bridge() {
    ip("tuntap add dev t0 mode tap");
    ip("link add br0 type bridge");
    ip("link set t0 master br0");
    assert_eq!(shown("t0")["master"], "br0");
    let text = tunctl("show t0").ok();
    assert!(text.lines().any(|line| line.contains("master") && line.ends_with("br0")), "{text}");
}

fn show_in_text_has_everything() {
    ip("tuntap add dev t0 mode tun vnet_hdr");
    ip("link set dev t0 mtu 1400");
    ip("address add 10.1.1.1/24 dev t0");
    let text = tunctl("show t0").ok();
    for member in members(&shown("t0")) {
        // Detached queues stand in the line of the queues, where there are some.
        let stands_elsewhere = ["name", "detached_queues"].contains(&member);
        assert!(stands_elsewhere || text.contains(member), "{member} is not in: {text}");
    }
    for value in ["t0", "tun", "vnet_hdr", "1400", "down", "10.1.1.1/24"] {
        assert!(text.contains(value), "{value} is not in: {text}");
    }
}

fn show_follows_a_rename() {
    let mut holder = Running::start("create t0 --tun --hold");
    holder.line();
    ip("link set dev t0 name vpn");
    let told = shown("vpn");
    assert_eq!((&told["name"], &told["holders"][0]["pid"]), (&"vpn".into(), &holder.pid().into()));
    tunctl("show t0").failed(1, &["t0", "no interface of that name"]);
}

fn show_refuses_what_is_missing_or_of_another_kind() {
    for json in ["", "--json"] {
        tunctl(&format!("show nope {json}")).failed(1, &["nope", "no interface of that name"]);
        tunctl(&format!("show lo {json}")).failed(1, &["lo", "not a TUN/TAP interface"]);
    }
}

fn list_is_empty_without_interfaces() {
    assert_eq!(tunctl("list --json").json(), json!([]));
    let run = tunctl("list");
    assert!(run.status.success() && !run.stdout.contains("lo "), "{run:#?}");
}

/// Makes interfaces of other kinds, those that this kernel has.
fn strangers() -> Vec<&'static str> {
    let kinds = [
        ("dummy0", "dummy0 type dummy"),
        ("veth0", "veth0 type veth peer name veth1"),
        ("br0", "br0 type bridge"),
    ];
    let added = kinds.into_iter().filter(|(_, words)| {
        let mut command = Command::new("ip");
        command.args(["link", "add"]).args(words.split_whitespace()).stderr(Stdio::null());
        command.status().unwrap().success()
    });
    added.map(|(name, _)| name).collect()
}

fn list_has_them_all_and_no_others() {
    let strangers = strangers();
    if strangers.is_empty() {
        skip("this kernel has none of dummy, veth, bridge");
    }
    assert_eq!(tunctl("list --json").json(), json!([]), "there are only {strangers:?}");
    ip("tuntap add dev a mode tun");
    ip("tuntap add dev b mode tap");
    let holder = Running::start("create c --hold --json");
    super::process::wait_until("c is there", || others().contains(&"c".to_owned()));
    let list = tunctl("list --json").json();
    let list = list.as_array().unwrap();
    let names: Vec<_> = list.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    for one in list {
        assert_eq!(*one, shown(one["name"].as_str().unwrap()));
    }
    drop(holder);
    for stranger in strangers {
        tunctl(&format!("show {stranger}")).failed(1, &[stranger, "not a TUN/TAP interface"]);
        tunctl(&format!("delete {stranger}")).failed(1, &[stranger, "not a TUN/TAP interface"]);
        assert!(link(stranger).is_some());
    }
}

fn list_in_text_has_a_line_each() {
    strangers();
    ip("tuntap add dev abcdefghijklmno mode tun");
    ip("tuntap add dev b mode tap");
    ip("link set dev b mtu 65521 up");
    ip("address add 10.1.1.1/24 dev b");
    let text = tunctl("list").ok();
    let lines: Vec<_> = text.lines().collect();
    let [_, first, second] = lines[..] else { panic!("a heading, and two lines: {text}") };
    assert!(first.starts_with("abcdefghijklmno ") && first.contains(" tun ") && first.contains(" down "));
    for word in ["b ", " tap ", " up ", " 65521 ", " 10.1.1.1/24"] {
        assert!(second.contains(word), "{word:?} is not in: {text}");
    }
}
