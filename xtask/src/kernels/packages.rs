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

/// A kernel's packages and busybox, unpacked into one folder.
pub(super) struct Unpacked {
    folder: PathBuf,
    release: String,
    /// The folder of the modules, which releases of Debian have in different places.
    modules: PathBuf,
}

impl Unpacked {
    /// Finds out what was unpacked.
    fn at(folder: PathBuf) -> Outcome<Self> {
        let places = ["usr/lib/modules", "lib/modules"].map(|place| folder.join(place));
        let releases = places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
        let modules = releases.map(|entry| entry.path()).next();
        let modules = modules.ok_or_else(|| format!("{} has no kernel's modules", folder.display()))?;
        let release = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { folder, release, modules })
    }

    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// What boots. Since about 7.0 it is beside the modules.
    pub(super) fn image(&self) -> PathBuf {
        let image = self.folder.join("boot").join(format!("vmlinuz-{}", self.release));
        if image.exists() { image } else { self.modules.join("vmlinuz") }
    }

    pub(super) fn modules(&self) -> &Path {
        &self.modules
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

/// The newest kernel of a suite, and the busybox of its release; those of an earlier run, if there was one.
pub(super) fn unpacked(folder: &Path, suite: &str, release: &str) -> Outcome<Unpacked> {
    let ready = folder.join("unpacked");
    if ready.exists() {
        println!("packages of {suite}: as they were; for newer ones, remove {}", folder.display());
        return Unpacked::at(ready);
    }
    // What an earlier run has left unfinished goes.
    let _ = fs::remove_dir_all(folder);
    let unfinished = folder.join("unfinished");
    let mut sources = vec![Source::release(suite)?];
    if suite != release {
        sources.push(Source::release(release)?);
    }
    let apt = Apt::new(folder, &sources)?;
    let described = apt.show(KERNEL)?;
    let kernel = image(&described).ok_or_else(|| format!("{KERNEL} of {suite} names no kernel"))?;
    let described = apt.show(kernel)?;
    let packages: Vec<_> = [kernel, BUSYBOX].into_iter().chain(parts(kernel, &described)).collect();
    println!("packages of {suite}: {}", packages.join(", "));
    apt.unpack(&packages, &unfinished)?;
    fs::rename(&unfinished, &ready).map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    Unpacked::at(ready)
}

/// What the names of kernels' packages begin with; the kernel's release follows.
const IMAGE: &str = "linux-image-";

/// The package of the kernel that the description names.
fn image(described: &str) -> Option<&str> {
    dependencies(described).find(|name| name.starts_with(IMAGE))
}

/// The packages that have parts of a kernel. Up to 6.12 there are none, and later ones divide it.
fn parts<'a>(kernel: &str, described: &'a str) -> impl Iterator<Item = &'a str> {
    let release = kernel.strip_prefix(IMAGE).unwrap_or(kernel).to_owned();
    dependencies(described).filter(move |name| name.ends_with(&release))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_found_with_its_parts() {
        let whole = "Depends: linux-image-6.12.1-cloud-amd64 (= 6.12.1-1)\n";
        assert_eq!(image(whole), Some("linux-image-6.12.1-cloud-amd64"));
        assert_eq!(
            parts("linux-image-6.12.1-cloud-amd64", "Depends: kmod, linux-base (>= 4.3~)\n").count(),
            0
        );
        let divided = "Depends: linux-base-cloud-amd64 (= 7.3), linux-image-7.3.4-cloud-amd64 (= 7.3)\n";
        assert_eq!(image(divided), Some("linux-image-7.3.4-cloud-amd64"));
        let needs =
            "Depends: dracut | x, linux-binary-7.3.4-cloud-amd64 (= 7), linux-modules-7.3.4-cloud-amd64\n";
        let parts: Vec<_> = parts("linux-image-7.3.4-cloud-amd64", needs).collect();
        assert_eq!(parts, ["linux-binary-7.3.4-cloud-amd64", "linux-modules-7.3.4-cloud-amd64"]);
        assert_eq!(image("Depends: linux-base\n"), None);
    }
}
