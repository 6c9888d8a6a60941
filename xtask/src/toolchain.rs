//! A Rust compiler and the source of its standard library, from which it makes that of any system. Both are
//! Debian's, which keeps them recent for its browser; unpacked, not installed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::apt::{Apt, Source, dependencies};

/// The compiler, the standard library of this machine, the source of all others, and the linter.
const PACKAGES: [&str; 4] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src", "rust-web-clippy"];
/// It depends on the library of the compiler, whose name has the version in it.
const NAMES_LIBRARY: &str = "libstd-rust-web-dev";
const LIBRARY: &str = "libstd-rust-web-";

/// The compiler, and where all that it builds goes.
pub(crate) struct Toolchain {
    usr: PathBuf,
    build: PathBuf,
    linkers: PathBuf,
}

/// That of an earlier run, if there was one.
pub(crate) fn provide() -> Outcome<Toolchain> {
    let folder = crate::cache().join("cross");
    let ready = folder.join("toolchain");
    let toolchain =
        Toolchain { usr: ready.join("usr"), build: folder.join("build"), linkers: folder.join("linkers") };
    if ready.exists() {
        println!("Rust for other systems: as it was; for a newer one, remove {}", folder.display());
        return Ok(toolchain);
    }
    // What an earlier run has left unfinished goes.
    let _ = fs::remove_dir_all(&folder);
    let unfinished = folder.join("unfinished");
    let apt = Apt::new(&folder, &Source::of_machine()?)?;
    let described = apt.show(NAMES_LIBRARY)?;
    let library = dependencies(&described).find(|name| name.starts_with(LIBRARY));
    let library =
        library.ok_or_else(|| format!("{NAMES_LIBRARY} does not name the library of the compiler"))?;
    let packages = apt.with_missing(&[&PACKAGES[..], &[library]].concat())?;
    println!("Rust for other systems: {}", packages.join(", "));
    apt.unpack(&packages.iter().map(String::as_str).collect::<Vec<_>>(), &unfinished)?;
    fs::rename(&unfinished, &ready).map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    Ok(toolchain)
}

/// How much of Rust's library is built for a target.
#[derive(Clone, Copy)]
pub(crate) enum Library {
    /// All of it, for a program on an operating system.
    Std,
    /// What needs no operating system.
    Alloc,
}

impl Library {
    /// The crates to build, as cargo takes them.
    fn crates(self) -> &'static str {
        match self {
            Library::Std => "std,panic_abort",
            Library::Alloc => "core,alloc",
        }
    }
}

impl Toolchain {
    /// cargo with this compiler, for some targets; what is to be done with it comes first.
    pub(crate) fn cargo(&self, task: &str, library: Library, targets: &[&str]) -> Command {
        // A subcommand that is not cargo's own belongs to the compiler.
        let mut command = match task {
            "clippy" => Command::new(self.usr.join("bin/cargo-clippy")),
            _ => Command::new(env!("CARGO")),
        };
        command
            .args([task, &format!("-Zbuild-std={}", library.crates())])
            .args(targets.iter().flat_map(|target| ["--target", target]))
            .arg("--target-dir")
            .arg(&self.build)
            .current_dir(crate::root())
            .env("CARGO", env!("CARGO"))
            .env("RUSTC", self.usr.join("bin/rustc"))
            .env("LD_LIBRARY_PATH", self.libraries())
            // Debugging information takes time, and nobody debugs these.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // For macOS, a program that is not there would strip what is left of it.
            .env("CARGO_PROFILE_DEV_STRIP", "none")
            // To build the standard library is not stable yet.
            .env("RUSTC_BOOTSTRAP", "1");
        for target in targets {
            let variable = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_"));
            // Also where nothing is linked: cargo would build anew what it has built for another linker.
            command.env(variable, self.linker(target));
        }
        command
    }

    /// Where the linkers are.
    pub(crate) fn linkers(&self) -> &Path {
        &self.linkers
    }

    /// Where cargo looks for a target's linker; it is for others to make.
    pub(crate) fn linker(&self, target: &str) -> PathBuf {
        self.linkers.join(target).join("linker")
    }

    /// Where cargo puts the programs of a target.
    pub(crate) fn built(&self, target: &str) -> PathBuf {
        self.build.join(target).join("debug")
    }

    /// Where the compiler's own libraries are, before all others.
    fn libraries(&self) -> OsString {
        let own = self.usr.join("lib").join(format!("{}-linux-gnu", env::consts::ARCH));
        let others = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let all = [own].into_iter().chain(env::split_paths(&others).filter(|path| path != Path::new("")));
        env::join_paths(all).unwrap_or_default()
    }
}
