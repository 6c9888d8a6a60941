//! zig, which is a C compiler and linker for other systems: it brings their headers and libraries along.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::{Outcome, cache};

/// Python's package of zig: the program and what belongs to it, with nothing to build.
const PACKAGE: &str = "ziglang";
/// The one release whose headers the constants were held against.
const RELEASE: &str = "0.17.1";
const ATTEMPTS: u32 = 3;

/// zig, installed.
pub(crate) struct Zig {
    program: PathBuf,
    folder: PathBuf,
}

impl Zig {
    /// The compiler for a target that zig knows, such as `x86_64-freebsd`; it takes the arguments of clang.
    pub(crate) fn cc(&self, target: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["cc", "-target", target]);
        let cache = self.folder.join("cache");
        command.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
        command
    }

    /// Where it is, and room for what is made with it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Installs zig unless it is there.
pub(crate) fn provide() -> Outcome<Zig> {
    let folder = folder();
    // Only the rename at the end makes it: what is there is whole, and of this release.
    let ready = folder.join(RELEASE);
    let program = ready.join(PACKAGE).join("zig").with_extension(env::consts::EXE_EXTENSION);
    if !program.exists() {
        install(&folder.join("unfinished"), &ready)?;
    }
    if !program.exists() {
        return Err(format!("{PACKAGE} {RELEASE} has no {}", program.display()));
    }
    Ok(Zig { program, folder })
}

fn install(unfinished: &Path, ready: &Path) -> Outcome {
    let python = python_with_pip()?;
    println!("installing {PACKAGE} {RELEASE}: once");
    let mut attempt = 1;
    loop {
        // What an earlier attempt has left goes.
        let _ = fs::remove_dir_all(unfinished);
        let status = Command::new(python)
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-deps", "--no-compile", "--only-binary=:all:", "--target"])
            .arg(unfinished)
            .arg(format!("{PACKAGE}=={RELEASE}"))
            // It warns root of a harm that a folder of its own cannot do.
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .status()
            .map_err(|error| format!("run pip: {error}"))?;
        if status.success() {
            break;
        }
        if attempt == ATTEMPTS {
            return Err(format!("{PACKAGE} {RELEASE} could not be installed: pip failed {ATTEMPTS} times"));
        }
        attempt += 1;
        thread::sleep(Duration::from_secs(5));
    }
    fs::rename(unfinished, ready).map_err(|error| format!("rename {}: {error}", unfinished.display()))
}

/// The Python that has pip.
fn python_with_pip() -> Outcome<&'static str> {
    let has_pip = |python: &&&str| {
        let status = Command::new(python)
            .args(["-m", "pip", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let found = ["python3", "python"].iter().find(has_pip);
    found.copied().ok_or_else(|| "Python's pip is missing: install python3-pip".to_owned())
}

fn folder() -> PathBuf {
    cache().join("zig")
}
