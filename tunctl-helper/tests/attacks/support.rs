//! What the attacks share: the place where the helper is installed, and what is left behind.

pub(crate) mod helper;
pub(crate) mod request;
pub(crate) mod start;
pub(crate) mod steps;
pub(crate) mod trace;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid};
use rustix::fs::{XattrFlags, setxattr};
use serde_json::{Value, json};
use tunctl_sys::linux::process::CAP_NET_ADMIN;
use tunctl_testing::{Case, ip_json, links, skip};

/// Where the helper is installed.
pub(crate) const HELPER: &str = "/usr/local/libexec/tunctl-helper";
/// The folder of the policy.
pub(crate) const FOLDER: &str = "/etc/tunctl";
/// The policy.
pub(crate) const POLICY: &str = "/etc/tunctl/policy.toml";

/// The user whom the usual policy is about.
pub(crate) const NOBODY: u32 = 65534;
/// Another user.
pub(crate) const ALICE: u32 = 1000;
/// A user whose number is negative where numbers have 32 bits and a sign.
pub(crate) const BIG: u32 = 4_000_000_000;

const USERS: &str = "root:x:0:0:root:/root:/bin/sh\n\
    alice:x:1000:1000::/:/bin/sh\n\
    big:x:4000000000:4000000000::/:/bin/sh\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUPS: &str = "root:x:0:\nalice:x:1000:\nvpn:x:2000:alice\nnogroup:x:65534:\n";

/// What most attacks are up against.
pub(crate) const USUAL: &str = r#"
[[rule]]
user = "nobody"
names = ["vpn%d", "work0"]
layers = ["tun", "tap"]
devices = 3
addresses = ["10.8.0.0/16", "fd77::/48"]
mtu = [1280, 1500]
queue_length = [0, 1000]
"#;

/// A [`Case`] of each attack, named after it.
macro_rules! attacks {
    ($($body:ident),* $(,)?) => {
        vec![$($crate::cases::support::case(
            tunctl_testing::name(concat!(module_path!(), "::", stringify!($body))), $body)),*]
    };
}
pub(crate) use attacks;

pub(crate) fn case(name: &str, attack: fn(&World)) -> Case {
    let body = move || {
        let world = World::enter();
        attack(&world);
        world.check();
    };
    // The init user namespace stays, because the kernel honours the file's capability by it.
    Case::new(name, body)
        .outside_namespace()
        .needs_root()
        .needs_tool("ip")
        .needs_tool("strace")
        .entry("helper", start::become_helper)
        .entry("stranger", start::be_a_stranger)
        .limit(Duration::from_secs(240))
}

/// A network and a mount namespace of the case's own, in which the helper is installed with the usual policy.
pub(crate) struct World {
    before: Value,
}

impl World {
    fn enter() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        // The runner has made the mount namespace, in which nothing propagates: the folders are covered for
        // this process alone.
        let libraries = fs::read("/etc/ld.so.cache");
        for folder in ["/etc", "/usr/local", "/run"] {
            cover(folder);
        }
        if let Ok(libraries) = libraries {
            fs::write("/etc/ld.so.cache", libraries).unwrap();
        }
        fs::write("/etc/passwd", USERS).unwrap();
        fs::write("/etc/group", GROUPS).unwrap();
        for folder in ["/usr/local/libexec", FOLDER, "/run/netns"] {
            fs::create_dir(folder).unwrap();
            set_mode(folder, 0o755);
        }
        let world = Self { before: interfaces() };
        world.install();
        world.policy(USUAL);
        world
    }

    /// Installs the program that was built, as `tunctl helper install` does.
    pub(crate) fn install(&self) {
        let built = program();
        if Path::new(HELPER).exists() {
            fs::remove_file(HELPER).unwrap();
        }
        fs::write(HELPER, &built).unwrap();
        assert!(fs::read(HELPER).unwrap() == built, "the program under test is the one that was built");
        set_mode(HELPER, 0o755);
        grant(HELPER);
    }

    /// Writes the policy, as root would.
    pub(crate) fn policy(&self, text: impl AsRef<[u8]>) {
        if fs::symlink_metadata(POLICY).is_ok() {
            fs::remove_file(POLICY).unwrap();
        }
        fs::write(POLICY, text).unwrap();
        set_mode(POLICY, 0o644);
    }

    /// Waits until the namespace is as it was at the start, and fails the case if it doesn't become so.
    ///
    /// The wait is for the kernel, which deletes in the background what is left in an unread message.
    pub(crate) fn is_as_before(&self) {
        let started = Instant::now();
        while interfaces() != self.before {
            assert!(started.elapsed().as_secs() < 5, "left behind: {:#} was {:#}", interfaces(), self.before);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// At the end of the attack: no interface, no lock and no process is left.
    fn check(&self) {
        self.is_as_before();
        let started = Instant::now();
        while !processes().is_empty() {
            assert!(started.elapsed().as_secs() < 5, "processes are left: {:?}", processes());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The program under test: the one that `cargo xtask helper` builds to be installed, or another one by this
/// variable, such as a mutant of it.
fn program() -> Vec<u8> {
    if let Some(path) = env::var_os("TUNCTL_HELPER_UNDER_TEST") {
        return fs::read(path).unwrap();
    }
    // Beside the one that cargo has built for the tests, which needs a loader and libraries.
    let target = Path::new(env!("CARGO_BIN_EXE_tunctl-helper")).parent().unwrap().parent().unwrap();
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let built = target.join(host).join("helper/tunctl-helper");
    let Ok(program) = fs::read(&built) else {
        skip(&format!("{} does not exist: cargo xtask helper builds it", built.display()));
    };
    let age = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for source in [package.join("src"), package.join("../tunctl-sys/src")] {
        let stale = newest(&source) > age(&built);
        assert!(!stale, "{} is older than its sources: cargo xtask helper", built.display());
    }
    program
}

/// When a file below a folder was changed last.
fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let changed = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => newest(&entry.path()),
        false => entry.metadata().unwrap().modified().unwrap(),
    });
    changed.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn cover(folder: &str) {
    mount(Some("attack"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
}

pub(crate) fn set_mode(path: &str, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

pub(crate) fn give_to(path: &str, uid: u32) {
    chown(path, Some(uid), None).unwrap();
}

/// Gives a file the capability, permitted and not effective: what `setcap cap_net_admin=p` writes.
pub(crate) fn grant(path: &str) {
    let revision_2: u32 = 0x0200_0000;
    let permitted: u32 = 1 << CAP_NET_ADMIN;
    let value = [revision_2, permitted, 0, 0, 0].map(u32::to_le_bytes).concat();
    setxattr(path, "security.capability", &value, XattrFlags::empty()).unwrap();
}

/// Takes the capability from a file.
pub(crate) fn revoke(path: &str) {
    rustix::fs::removexattr(path, "security.capability").unwrap();
}

/// The interfaces of the namespace, with all that could be changed about them.
pub(crate) fn interfaces() -> Value {
    let mut links = links();
    for link in &mut links {
        // A queue's state follows the traffic.
        link.as_object_mut().unwrap().remove("operstate");
    }
    json!({ "links": links, "addresses": ip_json("address show") })
}

/// All that can be changed about one interface.
pub(crate) fn facts(name: &str) -> Value {
    let of = |list: Vec<Value>| list.into_iter().find(|link| link["ifname"] == name);
    let settings = ["accept_ra", "autoconf", "disable_ipv6"].map(|setting| {
        let value = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/{setting}"));
        value.unwrap_or_default()
    });
    json!({ "link": of(links()).unwrap(), "address": of(ip_json("address show")), "settings": settings })
}

/// Sends a signal to a process.
pub(crate) fn signal_to(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// The other processes of the case.
pub(crate) fn processes() -> Vec<String> {
    let own = getpgid(None).unwrap();
    let numbers =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let others =
        numbers.map(Pid::from_raw).filter(|&pid| pid != Pid::this() && getpgid(Some(pid)) == Ok(own));
    others
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter(|line| !line.contains(") Z "))
        .collect()
}
