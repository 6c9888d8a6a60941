//! Debian's packages: of any release, without a change to what this machine has configured or installed.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::guest::QEMU;
use crate::Outcome;

/// The package of qemu, which runs here and so must be installed: it is not statically linked.
const QEMU_PACKAGE: &str = "qemu-system-x86";
/// Depends on the newest kernel of a release. The cloud flavour has all that is needed here, and is the smallest.
const KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";
/// Has the keys of all releases; without it, apt uses those that it trusts anyway.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel's package and busybox, unpacked into one folder.
pub(super) struct Unpacked {
    folder: PathBuf,
    release: String,
}

impl Unpacked {
    /// Finds out what was unpacked.
    fn at(folder: PathBuf) -> Outcome<Self> {
        let boot = folder.join("boot");
        let entries = fs::read_dir(&boot).map_err(|error| format!("list {}: {error}", boot.display()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let release = names.filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned)).next();
        let release = release.ok_or_else(|| format!("{} has no kernel", boot.display()))?;
        Ok(Self { folder, release })
    }

    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// What boots.
    pub(super) fn image(&self) -> PathBuf {
        self.folder.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The folder of the modules, which releases have in different places.
    pub(super) fn modules(&self) -> Outcome<PathBuf> {
        let places =
            ["usr/lib/modules", "lib/modules"].map(|place| self.folder.join(place).join(&self.release));
        let found = places.into_iter().find(|place| place.exists());
        found.ok_or_else(|| format!("the package of the kernel {} has no modules", self.release))
    }

    pub(super) fn busybox_path(&self) -> PathBuf {
        let places = ["usr/bin/busybox", "bin/busybox"].map(|place| self.folder.join(place));
        let [first, second] = places;
        if first.exists() { first } else { second }
    }

    pub(super) fn busybox(&self) -> Command {
        Command::new(self.busybox_path())
    }
}

/// The newest kernel of a release and its busybox; those of an earlier run, if there was one.
pub(super) fn unpacked(folder: &Path, suite: &str) -> Outcome<Unpacked> {
    let ready = folder.join("unpacked");
    if ready.exists() {
        println!("packages of {suite}: as they were; for newer ones, remove {}", folder.display());
        return Unpacked::at(ready);
    }
    // What an earlier run has left unfinished goes.
    let _ = fs::remove_dir_all(folder);
    let unfinished = folder.join("unfinished");
    let apt = Apt::new(folder, suite)?;
    let described = apt.run("apt-cache", ["show", KERNEL])?;
    let kernel = dependency(&described).ok_or_else(|| format!("{KERNEL} of {suite} names no kernel"))?;
    println!("packages of {suite}: {kernel}, {BUSYBOX}");
    apt.run("apt-get", ["--quiet=2", "download", kernel, BUSYBOX])?;
    for package in packages(&apt.folder)? {
        capture(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&unfinished))?;
    }
    let _ = fs::remove_dir_all(&apt.folder);
    fs::rename(&unfinished, &ready).map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    Unpacked::at(ready)
}

/// The files of packages in a folder.
fn packages(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("list {}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect())
}

/// The package that the first one of a description depends on first.
fn dependency(described: &str) -> Option<&str> {
    let list = described.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    list.split([' ', ',']).next().filter(|name| !name.is_empty())
}

/// apt, with lists of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Fetches the list of a release's packages, from the mirror that this machine uses.
    fn new(folder: &Path, suite: &str) -> Outcome<Self> {
        let folder = folder.join("apt");
        let mirror = machine_mirror()?;
        let signed =
            if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
        let list = folder.join("sources.list");
        fs::create_dir_all(folder.join("lists/partial"))
            .and_then(|()| fs::create_dir_all(folder.join("cache/archives/partial")))
            .and_then(|()| fs::write(&list, format!("deb {signed}{mirror} {suite} main\n")))
            .map_err(|error| format!("write {}: {error}", list.display()))?;
        let apt = Self { folder };
        apt.run("apt-get", ["--quiet=2", "update"])?;
        Ok(apt)
    }

    /// Runs one of apt's commands, and returns what it prints.
    fn run<const COUNT: usize>(&self, program: &str, arguments: [&str; COUNT]) -> Outcome<String> {
        let own = |option: &str, path: &str| format!("{option}={}", self.folder.join(path).display());
        let options = [
            own("Dir::State", ""),
            own("Dir::Cache", "cache"),
            own("Dir::Etc::sourcelist", "sources.list"),
            "Dir::State::status=/dev/null".into(),
            "Dir::Etc::sourceparts=/dev/null".into(),
            "Dir::Etc::preferences=/dev/null".into(),
            "Dir::Etc::preferencesparts=/dev/null".into(),
            // Root's folders may be closed to the user that apt would become.
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
        ];
        let mut command = Command::new(program);
        command.args(options.iter().flat_map(|option| ["-o", option])).args(arguments);
        let printed = capture(command.current_dir(&self.folder))?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

/// The mirror of Debian that apt uses here.
fn machine_mirror() -> Outcome<String> {
    let targets = || {
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]);
        capture(&mut command).map(|printed| mirror(&String::from_utf8_lossy(&printed)))
    };
    if let Some(found) = targets()? {
        return Ok(found);
    }
    // Where apt was never updated, it knows of no labels.
    let hint = "apt has no list of Debian's packages: run `apt-get update`";
    as_root(&["apt-get", "--quiet=2", "update"]).map_err(|why| format!("{hint} ({why})"))?;
    targets()?.ok_or_else(|| "apt is configured for no mirror of Debian's".to_owned())
}

/// The first mirror with the label of Debian's main archive, of lines that have a label and an address.
fn mirror(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| line.strip_prefix("Debian ")).map(|address| address.trim().to_owned())
}

/// Installs qemu, if it isn't.
pub(super) fn provide_qemu() -> Outcome {
    if is_installed(QEMU) {
        return Ok(());
    }
    println!("{QEMU} is missing: installing {QEMU_PACKAGE}");
    as_root(&["apt-get", "--quiet=2", "update"])
        .and_then(|()| {
            as_root(&["apt-get", "--quiet=2", "install", "--yes", "--no-install-recommends", QEMU_PACKAGE])
        })
        .map_err(|why| format!("{QEMU} is missing: install {QEMU_PACKAGE} ({why})"))
}

fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs a command that changes this machine.
fn as_root(command: &[&str]) -> Outcome {
    if capture(Command::new("id").arg("-u"))?.trim_ascii() != b"0" {
        return Err(format!("`{}` needs root", command.join(" ")));
    }
    let (program, arguments) = command.split_first().ok_or("no command")?;
    capture(Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}

/// What a command prints; if it fails, what it complains.
pub(super) fn capture(command: &mut Command) -> Outcome<Vec<u8>> {
    let program = Path::new(command.get_program()).file_name().map(OsStr::to_string_lossy);
    let program = program.unwrap_or_default().into_owned();
    let output = command.output().map_err(|error| format!("run {program}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}: {}", output.status, complaint.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_main_archive() {
        let targets = "Debian-Security https://a.test/debian-security/\nDebian https://a.test/debian/\n\
                       Debian https://b.test/debian/\n";
        assert_eq!(mirror(targets).as_deref(), Some("https://a.test/debian/"));
        assert_eq!(mirror(" https://a.test/debian/\n"), None);
    }

    #[test]
    fn the_newest_kernel_is_what_the_package_depends_on() {
        let described = "Package: linux-image-cloud-amd64\nVersion: 6.1.2-1\n\
                         Depends: linux-image-6.1.0-2-cloud-amd64 (= 6.1.2-1)\n\nPackage: x\nDepends: old\n";
        assert_eq!(dependency(described), Some("linux-image-6.1.0-2-cloud-amd64"));
        assert_eq!(dependency("Package: x\n"), None);
    }
}
