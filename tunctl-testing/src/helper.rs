//! The backend of a program without any right, and the helper that it asks, for the conformance suite.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tunctl_conformance::{DeviceOf, Harness, InterfaceOf, Observation, PollState, Profile};
use tunctl_core::{
    Adopt, AdoptError, Error, EventWatcher, Events, Filters, InterfaceAddress, InterfaceIndex, InterfaceInfo,
    InterfaceName, MacFilter, Offloads, Operation, Result, Statistics, TunBackend, TunDevice,
};
use tunctl_linux::{HelperBackend, LinkType};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::{VnetFormat, VnetHeader};
use tunctl_sys::linux::file_capability::{self, CAP_NET_ADMIN, FileCapabilities};

use crate::caller::{as_caller, as_other_user, become_user};
use crate::{Case, LinuxHarness, poll_state, skip, sysfs};

/// Where the helper is installed.
const HELPER: &str = "/usr/local/libexec/tunctl-helper";
/// The user as whom the suite runs.
const NOBODY: u32 = 65534;

/// The names that the suite gives to interfaces, as far as a policy can allow them.
const NAMES: &str = r#""vpn%d", "held%d", "napi%d", "vnet%d", "if%d", "abcdefghijklm%d",
    "abcdefghijklmno", "VPN0", "Vpn0", "after", "apple",
    "bare", "before", "big", "both", "bridge", "either", "fifteen-letters", "first", "foo0bar", "foo1bar", "four",
    "free", "full", "held", "idle", "lan", "last", "late", "little", "made", "many", "mine", "mover", "new", "none",
    "once", "one", "other", "ours", "short", "try", "vpn", "x", "zebra""#;

/// What the suite's user may have: as much as a policy can allow.
fn policy() -> String {
    let rule = |layers: &str, names: &str| {
        format!(
            "[[rule]]\nuser = {NOBODY}\nlayers = [{layers}]\nnames = [{names}]\ndevices = 1000\n\
             addresses = [\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.0.0.0/8\", \"fd00::/8\", \"2001:db8::/32\"]\n\
             mtu = [68, 65535]\nqueue_length = [0, 4294967295]\n"
        )
    };
    // A device without a name takes the first one of the first rule that allows its layer.
    rule(r#""tap""#, r#""tap%d""#) + &rule(r#""tun", "tap""#, &format!(r#""tun%d", {NAMES}"#))
}

/// The running kernel, as a program without any right sees it: the process is a user's, and the helper
/// creates its interfaces. The system's side is root's, as in [`LinuxHarness`].
#[derive(Debug)]
pub struct HelperHarness {
    linux: LinuxHarness,
    backend: HelperBackend,
}

impl HelperHarness {
    /// Enters a network namespace of the first user namespace, where a file's capability counts, installs the
    /// helper there, and becomes its user. The process must be root's, in a mount namespace of its own.
    #[must_use]
    pub fn enter(beside: &Path) -> Self {
        let program = built_helper(beside);
        unshare(CloneFlags::CLONE_NEWNET)
            .unwrap_or_else(|errno| panic!("enter a network namespace: {errno}"));
        sysfs::mount_for_thread();
        install_helper(&program, &policy());
        let linux = LinuxHarness::new();
        become_user(NOBODY, NOBODY);
        Self { linux, backend: HelperBackend::new() }
    }
}

/// The helper that `cargo xtask helper` has built, beside the one that cargo builds for tests: that one has a
/// loader and libraries, and makes calls of a debugger's, which the helper's own sandbox refuses. Or another
/// one by this variable. If there is none, the case is skipped; one that is older than its sources fails it.
#[must_use]
pub fn built_helper(beside: &Path) -> PathBuf {
    if let Some(path) = std::env::var_os("TUNCTL_HELPER_UNDER_TEST") {
        return path.into();
    }
    let target =
        beside.parent().and_then(Path::parent).expect("cargo's program is in a folder of the target");
    let built = target.join(format!("{}-unknown-linux-gnu/helper/tunctl-helper", std::env::consts::ARCH));
    if !built.exists() {
        skip(&format!("{} does not exist: cargo xtask helper builds it", built.display()));
    }
    let changed =
        |path: &Path| fs::metadata(path).and_then(|file| file.modified()).expect("a file has a time");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a folder of the workspace");
    for file in ["tunctl-helper/src", "tunctl-sys/src"].map(|folder| files(&workspace.join(folder))).concat()
    {
        let is_stale = changed(&file) > changed(&built);
        assert!(!is_stale, "{} is older than {}: cargo xtask helper", built.display(), file.display());
    }
    built
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Installs a helper and its policy as root does, for this process alone: its mount namespace must be its
/// own.
pub fn install_helper(program: &Path, policy: &str) {
    // The program may be in one of the folders that are covered.
    let program = fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    for folder in ["/usr/local", "/etc"] {
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::MS_NODEV, Some("mode=0755"))
            .unwrap_or_else(|errno| panic!("cover {folder}: {errno}"));
    }
    let install = || {
        fs::create_dir("/usr/local/libexec")?;
        fs::create_dir("/etc/tunctl")?;
        write("/etc/tunctl/policy.toml", policy.as_bytes(), 0o644)?;
        write(HELPER, &program, 0o755)?;
        grant(HELPER, &[CAP_NET_ADMIN])
    };
    install().unwrap_or_else(|error| panic!("install the helper: {error}"));
}

fn write(path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    fs::write(path, content)?;
    // Neither the umask nor the owner is left to chance.
    chown(path, Some(0), Some(0))?;
    fs::set_permissions(path, PermissionsExt::from_mode(mode))
}

/// Gives a file these capabilities, as the helper has one: permitted, and not in effect when it starts.
///
/// # Errors
///
/// Those of `open(2)` and `fsetxattr(2)`.
pub fn grant(path: impl AsRef<Path>, capabilities: &[u32]) -> io::Result<()> {
    let permitted = capabilities.iter().fold(0, |mask, number| mask | 1 << number);
    let capabilities = FileCapabilities { permitted, ..FileCapabilities::default() };
    file_capability::set(File::open(path)?.as_fd(), capabilities)
}

/// The cases of the suite, over the helper that was built beside this program. Those on the list of
/// exceptions must not pass: it has reasons at the margin, and under each the cases, indented.
#[must_use]
pub fn helper_conformance_cases(beside: &'static Path, exceptions: &'static str) -> Vec<Case> {
    let excepted: Vec<_> = exceptions.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let cases = tunctl_conformance::cases::<HelperHarness>();
    let name =
        |case: &tunctl_conformance::Case<HelperHarness>| format!("{}::{}", case.subject(), case.name());
    let known: Vec<_> = cases.iter().map(name).collect();
    let unknown: Vec<_> =
        excepted.iter().copied().filter(|name| !known.iter().any(|known| known == name)).collect();
    let mut all = vec![
        Case::new("every_exception_is_a_case", move || {
            assert!(unknown.is_empty(), "there are no such cases: {}", unknown.join(", "));
        })
        .outside_namespace(),
    ];
    all.extend(cases.into_iter().map(|case| {
        let is_excepted = excepted.contains(&&*name(&case));
        let run = move || {
            let harness = HelperHarness::enter(beside);
            if !is_excepted {
                if let Some(why) = case.run(&harness).not_applicable {
                    skip(why);
                }
            } else if let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| case.run(&harness))) {
                assert!(outcome.not_applicable.is_some(), "it passes: take it off the list");
            }
        };
        Case::new(name(&case), run).needs_root().outside_namespace()
    }));
    all
}

/// What the system does and reports is the same, whoever asks.
impl Harness for HelperHarness {
    type Backend = HelperBackend;

    fn backend(&self) -> &HelperBackend {
        &self.backend
    }

    fn profile(&self) -> Profile {
        self.linux.profile()
    }

    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        self.linux.report(name)
    }

    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        self.linux.reported_addresses(name)
    }

    fn dropped(&self, name: &InterfaceName) -> u64 {
        self.linux.dropped(name)
    }

    fn statistics(&self, name: &InterfaceName) -> Option<Statistics> {
        self.linux.statistics(name)
    }

    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        self.linux.inject(name, packet)
    }

    fn inject_large(&self, name: &InterfaceName, header: &VnetHeader, packet: &[u8]) -> bool {
        self.linux.inject_large(name, header, packet)
    }

    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation> {
        self.linux.observe(name)
    }

    fn delete(&self, name: &InterfaceName) {
        self.linux.delete(name);
    }

    fn make_with_index(&self, name: &InterfaceName, index: InterfaceIndex) -> bool {
        self.linux.make_with_index(name, index)
    }

    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool {
        self.linux.rename(from, to)
    }

    fn move_to_namespace(&self, name: &InterfaceName) {
        self.linux.move_to_namespace(name);
    }

    fn report_elsewhere(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        self.linux.report_elsewhere(name)
    }

    fn set_up(&self, name: &InterfaceName, up: bool) {
        self.linux.set_up(name, up);
    }

    fn add_address(&self, name: &InterfaceName, address: InterfaceAddress) {
        self.linux.add_address(name, address);
    }

    fn set_carrier(&self, name: &InterfaceName, on: bool) -> Option<bool> {
        self.linux.set_carrier(name, on)
    }

    fn look_for_routers(&self, name: &InterfaceName) -> bool {
        self.linux.look_for_routers(name)
    }

    /// Another user in every respect, since the helper looks at the real ids; with the capability, as who it
    /// is, since a program of another user has none.
    fn as_caller(&self, uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut()) {
        if capable { as_caller(uid, gid, capable, work) } else { as_other_user(uid, gid, work) }
    }

    fn poll_state(&self, device: &DeviceOf<Self>) -> PollState {
        poll_state(device)
    }

    fn other_interface(&self) -> InterfaceName {
        self.linux.other_interface()
    }

    fn set_filter(&self, device: &DeviceOf<Self>, program: Option<&Program>) -> Option<Result<()>> {
        Some(match program {
            Some(program) => device.attach_filter(program),
            None => device.detach_filter(),
        })
    }

    fn set_mac_filter(&self, device: &DeviceOf<Self>, filter: Option<&MacFilter>) -> Option<Result<()>> {
        Some(device.set_mac_filter(filter))
    }

    /// It makes no interface of several queues.
    fn set_queue(&self, _device: &DeviceOf<Self>, _attached: bool) -> Option<Result<()>> {
        None
    }

    fn events(&self, of: Option<&InterfaceOf<Self>>) -> Option<Result<Box<dyn EventWatcher>>> {
        let watcher = match of {
            Some(interface) => interface.events(),
            None => self.backend.events(),
        };
        Some(watcher.map(|watcher| Box::new(watcher) as Box<dyn EventWatcher>))
    }

    fn hand_over(&self, device: DeviceOf<Self>) -> Option<OwnedFd> {
        Some(device.into())
    }

    fn adopt(&self, fd: OwnedFd) -> Option<Result<DeviceOf<Self>, AdoptError>> {
        Some(self.backend.adopt(fd))
    }

    fn attempt(&self, operation: Operation) -> Option<Result<(), Error>> {
        let create = |options: tunctl_core::CreateOptions| {
            self.backend.create(&options).unwrap_or_else(|error| panic!("{error}"))
        };
        let tap = || create(tunctl_core::CreateOptions::tap());
        let tun = || create(tunctl_core::CreateOptions::tun().vnet_header(true));
        Some(match operation {
            Operation::SetSendBuffer => tap().as_linux().set_send_buffer(1 << 20),
            Operation::SetLinkType => tap().as_linux().set_link_type(LinkType::ETHERNET),
            Operation::SetFilterProgram => tap().as_linux().set_filter_program(None),
            Operation::SetSteeringProgram => tap().as_linux().set_steering_program(None),
            Operation::SetOffloads => tun().set_offloads(Offloads::NONE),
            Operation::SetVnetFormat => tun().set_vnet_format(VnetFormat::default()),
            _ => return None,
        })
    }
}
