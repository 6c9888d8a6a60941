//! Debian's packages, without a change to what this machine has configured or installed.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Outcome;

/// Has the keys of all releases; without it, apt uses those that it trusts anyway.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What is installed here; otherwise, apt is told of nothing.
const MACHINE: &str = "Dir::State::status=/var/lib/dpkg/status";
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

/// Where packages are: a mirror, and a suite there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    mirror: String,
    suite: String,
}

impl Source {
    /// A release of Debian's, from the mirror that this machine uses.
    pub(crate) fn release(suite: &str) -> Outcome<Self> {
        let mirror = machine_mirrors()?.into_iter().find(|(label, _)| label == "Debian");
        let (_, source) = mirror.ok_or("apt is configured for no mirror of Debian's")?;
        Ok(Self { suite: suite.to_owned(), ..source })
    }

    /// All that this machine gets from Debian, security updates among it.
    pub(crate) fn of_machine() -> Outcome<Vec<Self>> {
        let sources: Vec<_> = machine_mirrors()?.into_iter().map(|(_, source)| source).collect();
        if sources.is_empty() {
            Err("apt is configured for no mirror of Debian's".into())
        } else {
            Ok(sources)
        }
    }

    fn line(&self) -> String {
        let Self { mirror, suite } = self;
        let signed =
            if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
        format!("deb {signed}{mirror} {suite} main\n")
    }
}

/// apt, with lists of its own.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Fetches the lists of what these sources have.
    pub(crate) fn new(folder: &Path, sources: &[Source]) -> Outcome<Self> {
        let folder = folder.join("apt");
        let list = folder.join("sources.list");
        fs::create_dir_all(folder.join("lists/partial"))
            .and_then(|()| fs::create_dir_all(folder.join("cache/archives/partial")))
            .and_then(|()| fs::write(&list, sources.iter().map(Source::line).collect::<String>()))
            .map_err(|error| format!("write {}: {error}", list.display()))?;
        let apt = Self { folder };
        // Otherwise a list that could not be fetched is only warned of.
        apt.fetch(&["--quiet=2", "-o", "APT::Update::Error-Mode=any", "update"])?;
        Ok(apt)
    }

    /// What the lists say of a package, the newest version first.
    pub(crate) fn show(&self, package: &str) -> Outcome<String> {
        self.run("apt-cache", &["show", package])
    }

    /// Packages, and of those that they need those that this machine has not installed.
    pub(crate) fn with_missing(&self, packages: &[&str]) -> Outcome<Vec<String>> {
        let options = ["-o", MACHINE, "--simulate", "--reinstall", "--no-install-recommends", "install"];
        let told = self.run("apt-get", &[&options, packages].concat())?;
        Ok(told.lines().filter_map(to_install).map(str::to_owned).collect())
    }

    /// Downloads packages and unpacks them into a folder; then the lists have done their work, and go.
    pub(crate) fn unpack(self, packages: &[&str], into: &Path) -> Outcome {
        self.fetch(&[&["--quiet=2", "download"], packages].concat())?;
        let failed = |error| format!("list {}: {error}", self.folder.display());
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                capture(Command::new("dpkg-deb").arg("--extract").arg(path).arg(into))?;
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
        Ok(())
    }

    /// Runs apt-get for what comes from the network, which may fail and then work.
    fn fetch(&self, arguments: &[&str]) -> Outcome {
        let mut attempt = 1;
        loop {
            match self.run("apt-get", arguments) {
                Ok(_) => return Ok(()),
                Err(why) if attempt == ATTEMPTS => return Err(why),
                Err(_) => attempt += 1,
            }
            thread::sleep(PAUSE);
        }
    }

    /// Runs one of apt's commands, and returns what it prints.
    fn run(&self, program: &str, arguments: &[&str]) -> Outcome<String> {
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

/// What apt gets from Debian's archives here, with the label of the archive.
fn machine_mirrors() -> Outcome<Vec<(String, Source)>> {
    let targets = || {
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", "$(LABEL) $(REPO_URI) $(RELEASE)", "Created-By: Packages"]);
        capture(&mut command).map(|printed| mirrors(&String::from_utf8_lossy(&printed)))
    };
    let found = targets()?;
    if !found.is_empty() {
        return Ok(found);
    }
    // Where apt was never updated, it knows of no labels.
    let hint = "apt has no list of Debian's packages: run `apt-get update`";
    as_root(&["apt-get", "--quiet=2", "update"]).map_err(|why| format!("{hint} ({why})"))?;
    targets()
}

/// Those of Debian's, of lines that have a label, an address and a suite.
fn mirrors(targets: &str) -> Vec<(String, Source)> {
    let debian = targets.lines().filter_map(|line| {
        let [label, mirror, suite] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let source = Source { mirror: mirror.to_owned(), suite: suite.to_owned() };
        ["Debian", "Debian-Security"].contains(&label).then(|| (label.to_owned(), source))
    });
    debian.collect()
}

/// The packages that the first one of a description depends on.
pub(crate) fn dependencies(described: &str) -> impl Iterator<Item = &str> {
    let list = described.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    list.split(',').filter_map(|dependency| dependency.split_whitespace().next())
}

/// The package that apt would install, in a line of what it tells.
fn to_install(line: &str) -> Option<&str> {
    line.strip_prefix("Inst ")?.split_whitespace().next()
}

/// Whether a program is where programs are looked for.
pub(crate) fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs a command that changes this machine.
pub(crate) fn as_root(command: &[&str]) -> Outcome {
    if capture(Command::new("id").arg("-u"))?.trim_ascii() != b"0" {
        return Err(format!("`{}` needs root", command.join(" ")));
    }
    let (program, arguments) = command.split_first().ok_or("no command")?;
    capture(Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}

/// What a command prints; if it fails, what it complains.
pub(crate) fn capture(command: &mut Command) -> Outcome<Vec<u8>> {
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
    fn the_mirrors_are_those_of_debian() {
        let targets = "Debian-Security https://a.test/debian-security/ x-security\n\
                       Debian https://a.test/debian/ x\nOther https://b.test/ y\n https://c.test/ z\n";
        let mirrors = mirrors(targets);
        let found: Vec<_> = mirrors.iter().map(|(label, source)| (label.as_str(), source.line())).collect();
        assert_eq!(found[0].0, "Debian-Security");
        assert!(found[0].1.ends_with("https://a.test/debian-security/ x-security main\n"), "{found:?}");
        assert!(
            found[1].0 == "Debian" && found[1].1.ends_with("https://a.test/debian/ x main\n"),
            "{found:?}"
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn dependencies_are_those_of_the_newest_version() {
        let described = "Package: linux-image-cloud-amd64\nVersion: 6.1.2-1\n\
                         Depends: linux-image-6.1.0-2-cloud-amd64 (= 6.1.2-1), y | z\n\nPackage: x\nDepends: old\n";
        assert!(dependencies(described).eq(["linux-image-6.1.0-2-cloud-amd64", "y"]));
        assert_eq!(dependencies("Package: x\n").next(), None);
    }

    #[test]
    fn what_apt_would_install_is_what_it_tells_first() {
        assert_eq!(to_install("Inst libllvm22 (1:22.1.8-1 Debian-Security:12 [amd64])"), Some("libllvm22"));
        assert_eq!(to_install("Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])"), Some("libc6"));
        assert_eq!(to_install("Conf libllvm22 (1:22.1.8-1 Debian-Security:12 [amd64])"), None);
    }
}
