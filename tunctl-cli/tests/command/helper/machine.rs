//! A machine whose `/etc` and `/usr/local` are the case's own, and a program that behaves as the helper does
//! which nobody asks.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tunctl_sys::linux::file_capability::{self, FileCapabilities};
use tunctl_testing::{ip, skip};

use crate::cases::process::{PROGRAM, Run, run};

pub(crate) const HELPER: &str = "/usr/local/libexec/tunctl-helper";
pub(crate) const POLICY: &str = "/etc/tunctl/policy.toml";

/// `cap_net_admin=p`.
pub(crate) const RIGHTS: FileCapabilities =
    FileCapabilities { permitted: 1 << 12, inheritable: 0, effective: false };

/// The users and groups of the machine.
const USERS: &str = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nalice:x:1000:\nbob:x:1001:\nvpn:x:2000:bob\n";

pub(crate) struct Machine(());

impl Machine {
    /// Enters it: a network and mounts of the case's own, which end with it.
    pub(crate) fn enter() -> Self {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set dev lo up");
        for folder in ["/etc", "/usr/local"] {
            mount(Some("own"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
        }
        fs::write("/etc/passwd", USERS).unwrap();
        fs::write("/etc/group", GROUPS).unwrap();
        let machine = Self(());
        fs::write(machine.program(), program(UNASKED)).unwrap();
        make_executable(&machine.program());
        machine
    }

    /// The program that is installed.
    pub(crate) fn program(&self) -> PathBuf {
        PathBuf::from("/etc/tunctl-helper.new")
    }

    pub(crate) fn install(&self) -> Run {
        self.install_with("")
    }

    pub(crate) fn install_with(&self, words: &str) -> Run {
        run(self.install_command(words))
    }

    pub(crate) fn install_command(&self, words: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["helper", "install", "--program"]).arg(self.program()).args(words.split_whitespace());
        command
    }

    /// Gives a file these capabilities.
    pub(crate) fn give(&self, path: &str, permitted: u64) {
        let file = File::open(path).unwrap();
        let given = FileCapabilities { permitted, ..FileCapabilities::default() };
        file_capability::set(file.as_fd(), given).unwrap();
    }
}

fn make_executable(path: &Path) {
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// The capabilities of a file.
pub(crate) fn capabilities(path: &str) -> Option<FileCapabilities> {
    file_capability::get(File::open(path).unwrap().as_fd()).unwrap()
}

/// The paths of all that is below a folder, sorted.
pub(crate) fn listing(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        found.push(path.to_str().unwrap().to_owned());
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(listing(path.to_str().unwrap()));
        }
    }
    found.sort();
    found
}

/// Everything about the files of the machine that an installation may change.
pub(crate) fn state() -> Vec<String> {
    let describe = |path: String| {
        let found = fs::symlink_metadata(&path).unwrap();
        let rights = if found.is_file() { capabilities(&path) } else { None };
        let text = if found.is_file() { fs::read(&path).unwrap().len() } else { 0 };
        let (mode, uid, links) = (found.mode(), found.uid(), found.nlink());
        format!("{path} {mode:o} {uid} {links} {text} {rights:?}")
    };
    ["/usr/local", "/etc"].into_iter().flat_map(listing).map(describe).collect()
}

/// The status with which the helper ends if nobody asks it.
pub(crate) const UNASKED: u8 = 2;

/// A static program that says what the helper says, and ends with a status.
pub(crate) fn program(status: u8) -> Vec<u8> {
    saying("tunctl-helper is started by programs\n", status)
}

/// A static program that says something, and ends with a status.
pub(crate) fn saying(text: &str, status: u8) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let code = [
        &[0xbf, 2, 0, 0, 0][..],          // mov edi, 2
        &[0x48, 0x8d, 0x35, 24, 0, 0, 0], // lea rsi, [rip + 24]
        &[0xba, length, 0, 0, 0],         // mov edx, LENGTH
        &[0xb8, 1, 0, 0, 0, 0x0f, 0x05],  // mov eax, 1 (write); syscall
        &[0xbf, status, 0, 0, 0],         // mov edi, STATUS
        &[0xb8, 60, 0, 0, 0, 0x0f, 0x05], // mov eax, 60 (exit); syscall
        text.as_bytes(),
    ];
    elf(&code.concat())
}

/// A program that does not end: it jumps to where it is.
pub(crate) fn endless() -> Vec<u8> {
    elf(&[0xeb, 0xfe])
}

/// A static program with this code: a header, one part to be loaded, and the code.
fn elf(code: &[u8]) -> Vec<u8> {
    if !cfg!(target_arch = "x86_64") {
        skip("the tests have programs for x86-64 alone");
    }
    const PLACE: u64 = 0x40_0000;
    const HEADERS: u8 = 64 + 56;
    let own = fs::read("/proc/self/exe").unwrap();
    let mut bytes = vec![0; HEADERS.into()];
    bytes[..20].copy_from_slice(&own[..20]);
    // A program (ET_EXEC) with one row in its table, which is behind the header.
    for (at, value) in [(16, 2), (17, 0), (20, 1), (32, 64), (52, 64), (54, 56), (56, 1), (64, 1), (68, 5)] {
        bytes[at] = value;
    }
    let length = u64::from(HEADERS) + code.len() as u64;
    let entry = PLACE + u64::from(HEADERS);
    for (at, value) in [(24, entry), (80, PLACE), (88, PLACE), (96, length), (104, length), (112, 4096)] {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(code);
    bytes
}
