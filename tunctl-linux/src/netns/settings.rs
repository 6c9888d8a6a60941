//! Which settings of the system forbid new namespaces, where the kernel says only that it is not permitted.

use std::fs;
use std::path::Path;

use tunctl_core::{Cause, Reason};

/// A setting that forbids them, and what permits them.
struct Setting {
    /// The file below `/proc` that shows it.
    file: &'static str,
    /// Whether it forbids them, if the file has this text.
    forbids: fn(&str) -> bool,
    is: &'static str,
    remedy: &'static str,
}

const SETTINGS: &[Setting] = &[
    Setting {
        file: "sys/kernel/unprivileged_userns_clone",
        forbids: |value| value.trim() == "0",
        is: "kernel.unprivileged_userns_clone is 0",
        remedy: "sudo sysctl kernel.unprivileged_userns_clone=1",
    },
    Setting {
        file: "sys/kernel/apparmor_restrict_unprivileged_userns",
        forbids: |value| value.trim() == "1",
        is: "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)",
        remedy: "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for the program \
                 that has \"userns,\"",
    },
    Setting {
        file: "thread-self/status",
        forbids: |status| status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])),
        is: "a seccomp filter is in force",
        remedy: "a seccomp profile that permits unshare(2) (of a container, --cap-add SYS_ADMIN adds that; \
                 of a systemd service, RestrictNamespaces=no)",
    },
];

/// The reason of a refusal, by the settings below `/proc`.
pub(super) fn refusal(proc: &Path) -> Reason {
    let is_set = |setting: &&Setting| {
        fs::read_to_string(proc.join(setting.file)).is_ok_and(|text| (setting.forbids)(&text))
    };
    let found: Vec<&Setting> = SETTINGS.iter().filter(is_set).collect();
    let listed = |text: fn(&Setting) -> &'static str, between: &str| {
        found.iter().map(|setting| text(setting)).collect::<Vec<_>>().join(between)
    };
    let reason = Reason::new(Cause::NamespacesRefused);
    if found.is_empty() {
        return reason.with_remedy(
            "Run it with sudo, or permit them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 \
             (Ubuntu) or kernel.unprivileged_userns_clone=1 (older Debian); in a container, start it with \
             --cap-add SYS_ADMIN, or with a seccomp profile that permits unshare.",
        );
    }
    let refused = Cause::NamespacesRefused.explanation();
    reason
        .with_detail(format!("{refused}: {}", listed(|setting| setting.is, ", and ")))
        .with_remedy(format!("Run it with sudo, or permit them: {}.", listed(|setting| setting.remedy, "; ")))
}

#[cfg(test)]
mod tests {
    use tunctl_core::Operation;

    use super::*;

    /// The error, where `/proc` has these files.
    fn error(name: &str, files: &[(&str, &str)]) -> String {
        let proc = std::env::temp_dir().join(format!("tunctl-settings-{}-{name}", std::process::id()));
        for (file, text) in files {
            let path = proc.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let error = refusal(&proc).of(Operation::Namespace).to_string();
        let _ = fs::remove_dir_all(proc);
        error
    }

    #[test]
    fn the_setting_that_forbids_is_named_and_no_other() {
        const DEBIAN: &str = "sys/kernel/unprivileged_userns_clone";
        const UBUNTU: &str = "sys/kernel/apparmor_restrict_unprivileged_userns";
        const STATUS: &str = "thread-self/status";
        let debian = error("debian", &[(DEBIAN, "0\n"), (UBUNTU, "0\n"), (STATUS, "Seccomp:\t0\n")]);
        assert!(debian.contains("here: kernel.unprivileged_userns_clone is 0. Run it with sudo"), "{debian}");
        assert!(!debian.contains("AppArmor") && !debian.contains("seccomp"), "{debian}");
        let both = error("both", &[(DEBIAN, "1\n"), (UBUNTU, "1\n"), (STATUS, "Seccomp:\t2\n")]);
        for words in ["AppArmor restricts them", ", and a seccomp filter", "userns,", "RestrictNamespaces=no"]
        {
            assert!(both.contains(words) && !both.contains("unprivileged_userns_clone"), "{both}");
        }
        // Where nothing is found, each is possible.
        let unknown = error("unknown", &[]);
        assert!(unknown.contains("refused here. Run it with sudo"), "{unknown}");
        assert!(unknown.contains("apparmor_restrict") && unknown.contains("seccomp"), "{unknown}");
    }
}
