//! What a kernel takes from Debian's packages, and qemu.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::guest::QEMU;
use crate::Outcome;
use crate::apt::{Apt, Source, as_root, dependencies, is_installed};

/// The package of qemu, which runs here and so must be installed: it is not statically linked.
const QEMU_PACKAGE: &str = "qemu-system-x86";
/// Depends on the newest kernel of a release. The cloud flavour has all that is needed here, and is the
/// smallest.
const KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";

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
    let apt = Apt::new(folder, &[Source::release(suite)?])?;
    let described = apt.show(KERNEL)?;
    let kernel = dependencies(&described).next();
    let kernel = kernel.ok_or_else(|| format!("{KERNEL} of {suite} names no kernel"))?;
    println!("packages of {suite}: {kernel}, {BUSYBOX}");
    apt.unpack(&[kernel, BUSYBOX], &unfinished)?;
    fs::rename(&unfinished, &ready).map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    Unpacked::at(ready)
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
