//! Broken systems: each is made in a process of its own, as root of the machine with a network and mounts of
//! its own, and examined there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use nix::libc::{AF_NETLINK, EAFNOSUPPORT};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tunctl::linux::netns;
use tunctl_sys::linux::seccomp::refuse_sockets;
use tunctl_testing::{CLOSED_NODE, Case, DRIVERLESS_NODE, OPEN_NODE, case, finish, ip, skip};

use super::super::process::{PROGRAM, Run, Running, run, tunctl, wait_until};
use super::super::support::with_entry;
use super::super::unprivileged::Program;
use super::{document, found};

pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        case!(a_container_without_the_device).needs_tool("unshare").needs_tool("setpriv"),
        case!(an_upgraded_kernel),
        case!(a_service_with_device_rules),
        case!(a_user_without_any_right),
        case!(a_service_without_netlink).entry("sandboxed", sandboxed),
        case!(root_of_another_user_namespace).needs_tool("unshare"),
        case!(an_interface_that_systemd_networkd_takes_over),
    ];
    cases.map(|case| case.needs_root().outside_namespace()).into()
}

/// A network and mounts of the case's own.
fn enter() {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    ip("link set dev lo up");
}

/// An empty folder in the place of this one.
fn cover(folder: &str) {
    mount(Some("empty"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
}

/// Another file in the place of this one.
fn replace(path: &str, by: impl AsRef<Path>) {
    mount(Some(by.as_ref()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}

/// A text in the place of a file.
fn rewrite(path: &str, text: &str) {
    let own = Path::new("/dev/net").join(path.replace('/', "-"));
    fs::write(&own, text).unwrap();
    replace(path, own);
}

fn a_container_without_the_device() {
    enter();
    cover("/dev/net");
    cover("/run");
    fs::write("/run/.containerenv", "").unwrap();
    // As engines do it: it has a name of its own, and root has the rights that they leave in this set.
    let contained = |words: &str| {
        let mut contained = Command::new("unshare");
        contained.args([
            "--uts",
            "setpriv",
            "--inh-caps=-all",
            "--bounding-set=-net_admin,-sys_admin",
            PROGRAM,
        ]);
        contained.args(words.split(' '));
        run(contained)
    };
    document::assert_has("A container without the device", &contained("doctor"));
    let findings = found(&contained("doctor --json"));
    assert_eq!(findings[0], "node problem MissingNode");
    assert_eq!(findings[2], "rights problem MissingCapability");
}

fn an_upgraded_kernel() {
    enter();
    replace(OPEN_NODE, DRIVERLESS_NODE);
    let devices = fs::read_to_string("/proc/misc").unwrap();
    let others: Vec<_> = devices.lines().filter(|line| !line.ends_with(" tun")).collect();
    rewrite("/proc/misc", &others.join("\n"));
    rewrite("/proc/sys/kernel/osrelease", "6.12.48+deb13-amd64\n");
    add_modules_of("6.12.57+deb13-amd64");
    document::assert_has("A kernel that was upgraded, and still runs", &tunctl("doctor"));
    let findings = found(&tunctl("doctor --json"));
    assert_eq!(findings[..2], ["node problem MissingDriver", "driver problem -"]);
}

/// Makes a folder of modules, which a system has for each of its kernels, the only one.
fn add_modules_of(release: &str) {
    let place = Path::new("/lib/modules");
    if !place.exists() {
        // A layer above the folder, which nobody else sees.
        let (upper, work) = ("/dev/net/upper", "/dev/net/work");
        fs::create_dir(upper).and_then(|()| fs::create_dir(work)).unwrap();
        fs::create_dir(format!("{upper}/modules")).unwrap();
        let below = fs::canonicalize("/lib").unwrap();
        let layers = format!("lowerdir={},upperdir={upper},workdir={work}", below.display());
        mount(Some("layers"), &below, Some("overlay"), MsFlags::empty(), Some(&*layers))
            .unwrap_or_else(|errno| skip(&format!("no folder can be laid over /lib: {errno}")));
    }
    cover("/lib/modules");
    fs::create_dir(place.join(release)).unwrap();
}

/// A group of processes that may not open the node.
struct Forbidden(PathBuf);

impl Forbidden {
    fn new() -> Self {
        fs::create_dir("/dev/net/groups").unwrap();
        mount(Some("groups"), "/dev/net/groups", Some("cgroup"), MsFlags::empty(), Some("devices"))
            .unwrap_or_else(|errno| skip(&format!("there is no controller of devices to mount: {errno}")));
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = groups.lines().find_map(|line| line.split_once(":devices:")).map_or("/", |(_, own)| own);
        let group = Path::new("/dev/net/groups").join(own.trim_start_matches('/'));
        let group = group.join(format!("tunctl-doctor-{}", process::id()));
        fs::create_dir(&group).unwrap_or_else(|error| skip(&format!("no group can be made: {error}")));
        let forbidden = Self(group);
        fs::write(forbidden.0.join("devices.deny"), "c 10:200 rwm").unwrap();
        forbidden
    }

    fn tunctl(&self, words: &str) -> Run {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        shell.arg(PROGRAM).args(words.split(' '));
        run(shell)
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn a_service_with_device_rules() {
    enter();
    let service = Forbidden::new();
    document::assert_has(
        "A service, or a container, whose device rules forbid the node",
        &service.tunctl("doctor"),
    );
    assert_eq!(found(&service.tunctl("doctor --json"))[0], "node problem ContainerRules");
}

fn a_user_without_any_right() {
    // The limit is that of the user namespace.
    netns::enter_new().unwrap();
    fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    replace(OPEN_NODE, CLOSED_NODE);
    let program = Program::new();
    let examined = |words: &str| {
        // Under the name that it has in the document, whoever looks.
        let mut run = run(program.command(1000, 1000, words));
        run.stdout = run.stdout.replace(program.path().to_str().unwrap(), PROGRAM);
        run
    };
    document::assert_has("A user, where root has closed everything", &examined("doctor"));
    assert_eq!(
        found(&examined("doctor --json")),
        [
            "node problem ClosedNode",
            "driver ok -",
            "rights problem MissingCapability",
            "namespaces note NamespacesRefused",
            "managers ok -"
        ]
    );
}

fn sandboxed() {
    refuse_sockets(AF_NETLINK, EAFNOSUPPORT).unwrap();
    document::assert_has("A service that may not configure networks", &tunctl("doctor"));
    let findings = found(&tunctl("doctor --json"));
    assert_eq!(findings[2..4], ["rights problem Sandboxed", "namespaces note Sandboxed"]);
}

fn a_service_without_netlink() {
    enter();
    finish(&mut with_entry(Command::new("env"), "sandboxed"));
}

fn root_of_another_user_namespace() {
    enter();
    let foreign = |words: &str| {
        let mut foreign = Command::new("unshare");
        foreign.args(["--user", "--map-root-user", PROGRAM]).args(words.split(' '));
        run(foreign)
    };
    let title = "Root of a user namespace, in the network of the machine";
    document::assert_has(title, &foreign("doctor"));
    assert_eq!(found(&foreign("doctor --json"))[2], "rights problem ForeignNamespace");
}

/// A program that is called as systemd-networkd is.
fn networkd() -> Running {
    let program = "/dev/net/systemd-networkd";
    fs::copy("/bin/sleep", program).unwrap();
    let mut networkd = Command::new(program);
    networkd.arg("40");
    let networkd = Running::of(networkd);
    wait_until("it has its name", || {
        let comm = fs::read_to_string(format!("/proc/{}/comm", networkd.pid()));
        comm.is_ok_and(|comm| comm == "systemd-network\n")
    });
    networkd
}

fn an_interface_that_systemd_networkd_takes_over() {
    enter();
    cover("/run");
    for folder in ["netif", "network"] {
        fs::create_dir_all(format!("/run/systemd/{folder}")).unwrap();
    }
    fs::write("/run/systemd/netif/state", "").unwrap();
    fs::write("/run/systemd/network/10-wired.network", "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n")
        .unwrap();
    ip("tuntap add dev vm0 mode tap");
    ip("link set dev vm0 txqueuelen 10");
    let networkd = networkd();
    document::assert_has("An interface that systemd-networkd takes over", &tunctl("doctor"));
    let last = |run| found(&run).split_off(6);
    assert_eq!(last(tunctl("doctor --json")), ["managers note -", "queue note -"]);
    // What the remedies say is a remedy.
    let unmanaged = "[Match]\nName=vm0 tap0\n[Link]\nUnmanaged=yes\n";
    fs::write("/run/systemd/network/00-tunctl.network", unmanaged).unwrap();
    tunctl("set vm0 --queue-length 500").ok();
    assert_eq!(last(tunctl("doctor --json")), ["managers ok -", "queue ok -"]);
    // One that runs in another network namespace is not in the way.
    fs::remove_file("/run/systemd/network/00-tunctl.network").unwrap();
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--net", PROGRAM, "doctor", "--json"]);
    assert_eq!(last(run(elsewhere)), ["managers ok -"]);
    assert_eq!(last(tunctl("doctor --json")), ["managers note -", "queue ok -"]);
    drop(networkd);
    assert_eq!(last(tunctl("doctor --json")), ["managers ok -", "queue ok -"]);
}
