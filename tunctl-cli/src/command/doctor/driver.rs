//! The driver: in the kernel, loaded, or missing, and then why.

use super::files::Files;
use super::finding::{Check, Finding};

/// Where the modules of kernels are, a folder for each release.
const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];
/// Where modprobe is configured.
const MODPROBE: [&str; 3] = ["etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d"];

/// `None` where the system does not say whether the driver is there.
pub(super) fn finding(files: &Files, container: bool) -> Option<Finding> {
    // The driver registers itself as the miscellaneous device "tun" (`tun_init`, Linux 6.18).
    let devices = files.read("proc/misc")?;
    if devices.lines().any(|line| line.split_whitespace().last() == Some("tun")) {
        // Only what was loaded has this file.
        let how = if files.exists("sys/module/tun/initstate") {
            "is loaded, as a module"
        } else if files.exists("sys/module") {
            "is built into the kernel"
        } else {
            "is there"
        };
        return Some(Finding::ok(Check::Driver, format!("the driver {how}")));
    }
    if container {
        return Some(Finding::problem(
            Check::Driver,
            "the driver is not loaded, and a container cannot load it",
            "On the machine itself: sudo modprobe tun.",
        ));
    }
    let release = files.read("proc/sys/kernel/osrelease")?.trim().to_owned();
    let folder = MODULES.iter().map(|modules| format!("{modules}/{release}")).find(|path| files.exists(path));
    match folder {
        None => Some(without_modules(files, &release)),
        Some(folder) if has_module(files, &folder, "modules.dep") => Some(not_loaded(files)),
        // The kernel's own list disagrees with the kernel.
        Some(folder) if has_module(files, &folder, "modules.builtin") => None,
        Some(folder) => Some(Finding::problem(
            Check::Driver,
            format!("the driver is missing: its module tun is not among those of the kernel, in /{folder}"),
            format!(
                "Install the package with the rest of the modules (of Ubuntu, linux-modules-extra-{release}), \
                 or a kernel built with CONFIG_TUN."
            ),
        )),
    }
}

/// The running kernel has no modules at all.
fn without_modules(files: &Files, release: &str) -> Finding {
    let mut others: Vec<_> = MODULES.iter().flat_map(|modules| files.list(modules)).collect();
    others.dedup();
    match others.last() {
        Some(other) => Finding::problem(
            Check::Driver,
            format!(
                "the driver is missing, and cannot be loaded: the kernel was upgraded since it started, so \
                 that the modules of {release} are gone (there are those of {other})"
            ),
            "Reboot.",
        ),
        None => Finding::problem(
            Check::Driver,
            format!("the driver is missing, and the kernel {release} has no modules here"),
            "Install the package of its modules, or start a kernel with CONFIG_TUN built in.",
        ),
    }
}

/// Whether a list of modules has the driver's, whatever it is compressed with.
fn has_module(files: &Files, folder: &str, list: &str) -> bool {
    let list = files.read(&format!("{folder}/{list}")).unwrap_or_default();
    list.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        path.rsplit('/').next().is_some_and(|name| name == "tun.ko" || name.starts_with("tun.ko."))
    })
}

/// The module is there, and is not loaded.
fn not_loaded(files: &Files) -> Finding {
    let configured = MODPROBE
        .iter()
        .flat_map(|folder| files.list(folder).into_iter().map(move |file| format!("{folder}/{file}")));
    let forbidding = configured.filter_map(|file| Some((forbids(&files.read(&file)?)?, file))).next();
    match forbidding {
        Some((line, file)) => Finding::problem(
            Check::Driver,
            format!("the driver is not loaded: /{file} has \"{line}\""),
            "Remove that line, then load it: sudo modprobe tun.",
        ),
        None => Finding::problem(Check::Driver, "the driver is not loaded", "Load it: sudo modprobe tun."),
    }
}

/// The line of modprobe's configuration that keeps the module from being loaded.
fn forbids(configuration: &str) -> Option<String> {
    let line = configuration.lines().find(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        matches!(words.as_slice(), ["blacklist", "tun"] | ["install", "tun", ..])
    });
    line.map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::System;
    use super::super::finding::Verdict;
    use super::*;

    const RELEASE: (&str, &str) = ("proc/sys/kernel/osrelease", "6.12.9-amd64\n");
    const WITHOUT: (&str, &str) = ("proc/misc", "183 hw_random\n227 mcelog\n");

    fn found(files: &[(&str, &str)]) -> Finding {
        finding(&System::new(files).files, false).unwrap()
    }

    fn problem(files: &[(&str, &str)], words: &[&str]) {
        let finding = found(&[&[RELEASE, WITHOUT], files].concat());
        assert_eq!((finding.check, finding.verdict), (Check::Driver, Verdict::Problem));
        let text = format!("{} {}", finding.what, finding.remedy.unwrap_or_default());
        for word in words {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }

    #[test]
    fn a_driver_that_is_there_is_no_problem() {
        const WITH: (&str, &str) = ("proc/misc", "183 hw_random\n200 tun\n");
        assert_eq!(found(&[WITH]), Finding::ok(Check::Driver, "the driver is there"));
        let built_in = found(&[WITH, ("sys/module/kvm/initstate", "live")]);
        assert_eq!(built_in.what, "the driver is built into the kernel");
        let loaded = found(&[WITH, ("sys/module/tun/initstate", "live")]);
        assert_eq!(loaded.what, "the driver is loaded, as a module");
        // Without /proc nobody knows.
        assert_eq!(finding(&System::new(&[RELEASE]).files, false), None);
    }

    #[test]
    fn an_upgraded_kernel_takes_a_reboot() {
        problem(
            &[("usr/lib/modules/6.12.11-amd64/modules.dep", "kernel/drivers/net/tun.ko.xz:\n")],
            &["upgraded since it started", "modules of 6.12.9-amd64 are gone", "6.12.11-amd64", "Reboot."],
        );
        problem(&[], &["6.12.9-amd64 has no modules here", "CONFIG_TUN"]);
    }

    #[test]
    fn a_module_that_is_not_loaded_is_loaded_by_modprobe() {
        const THERE: (&str, &str) = (
            "lib/modules/6.12.9-amd64/modules.dep",
            "kernel/net/tls/tls.ko:\nkernel/drivers/net/tun.ko.zst:\n",
        );
        problem(&[THERE], &["the driver is not loaded", "sudo modprobe tun"]);
        let forbidding = ("etc/modprobe.d/hardening.conf", "# no tunnels\ninstall tun /bin/false\n");
        problem(&[THERE, forbidding], &["/etc/modprobe.d/hardening.conf has \"install tun /bin/false\""]);
        problem(&[THERE, ("etc/modprobe.d/a.conf", "install tunnel4 /bin/false")], &["Load it"]);
    }

    #[test]
    fn a_kernel_without_the_driver_needs_a_package() {
        const OTHERS: (&str, &str) =
            ("lib/modules/6.12.9-amd64/modules.dep", "kernel/net/ipv4/tunnel4.ko:\n");
        problem(&[OTHERS], &["not among those of the kernel", "linux-modules-extra-6.12.9-amd64"]);
        let in_kernel = ("lib/modules/6.12.9-amd64/modules.builtin", "kernel/drivers/net/tun.ko\n");
        assert_eq!(finding(&System::new(&[RELEASE, WITHOUT, OTHERS, in_kernel]).files, false), None);
        let container = finding(&System::new(&[RELEASE, WITHOUT, OTHERS]).files, true).unwrap();
        assert!(container.what.contains("a container cannot load it"), "{container:?}");
    }
}
