//! A Rust compiler and the source of its standard library, from which it makes that of any system. Both are
//! Debian's, which keeps them recent for its browser; unpacked, not installed.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::apt::{Apt, Source, capture, dependencies};

/// The compiler, and the standard library of this machine.
const COMPILER: [&str; 2] = ["rustc-web", NAMES_LIBRARY];
/// Also the source of the standard library for all others, and the linter.
const FOR_OTHERS: [&str; 4] = [COMPILER[0], COMPILER[1], "rust-web-src", "rust-web-clippy"];
/// It depends on the library of the compiler, whose name has the version in it.
const NAMES_LIBRARY: &str = "libstd-rust-web-dev";
const LIBRARY: &str = "libstd-rust-web-";

/// A release of Debian's that has the oldest compiler which must compile the libraries, and its version. The
/// release's security updates, which are another archive, have a newer one.
const OLDEST: (&str, &str) = ("bookworm", "1.85.0");

/// A compiler, unpacked.
pub(crate) struct Compiler {
    usr: PathBuf,
}

/// The compiler for other systems, and where all that it builds goes.
pub(crate) struct Toolchain {
    compiler: Compiler,
    build: PathBuf,
    linkers: PathBuf,
}

/// Debian's newest compiler for this machine's release, with the source of the standard library.
pub(crate) fn provide() -> Outcome<Toolchain> {
    let folder = crate::cache().join("cross");
    let compiler = unpack(&folder, &FOR_OTHERS, Source::of_machine)?;
    Ok(Toolchain { compiler, build: folder.join("build"), linkers: folder.join("linkers") })
}

/// The oldest compiler that the libraries are to compile with.
pub(crate) fn provide_oldest() -> Outcome<Compiler> {
    let (release, version) = OLDEST;
    let folder = crate::cache().join("msrv");
    let compiler = unpack(&folder, &COMPILER, || Ok(vec![Source::release(release)?]))?;
    let printed = capture(compiler.set_on(Command::new(compiler.rustc()).arg("--version")))?;
    let printed = String::from_utf8_lossy(&printed);
    // `rustc 1.85.0 (…`
    if printed.split_whitespace().nth(1) == Some(version) {
        Ok(compiler)
    } else {
        Err(format!("{release} has another compiler than {version}: {}", printed.trim()))
    }
}

/// The compiler of an earlier run, if there was one.
fn unpack(
    folder: &Path,
    packages: &[&str],
    sources: impl FnOnce() -> Outcome<Vec<Source>>,
) -> Outcome<Compiler> {
    let ready = folder.join("toolchain");
    let compiler = Compiler { usr: ready.join("usr") };
    if ready.exists() {
        println!("Debian's Rust: as it was; for a newer one, remove {}", folder.display());
        return Ok(compiler);
    }
    // What an earlier run has left unfinished goes.
    let _ = fs::remove_dir_all(folder);
    let unfinished = folder.join("unfinished");
    let apt = Apt::new(folder, &sources()?)?;
    let described = apt.show(NAMES_LIBRARY)?;
    let library = dependencies(&described).find(|name| name.starts_with(LIBRARY));
    let library =
        library.ok_or_else(|| format!("{NAMES_LIBRARY} does not name the library of the compiler"))?;
    let packages = apt.with_missing(&[packages, &[library]].concat())?;
    println!("Debian's Rust: {}", packages.join(", "));
    apt.unpack(&packages.iter().map(String::as_str).collect::<Vec<_>>(), &unfinished)?;
    fs::rename(&unfinished, &ready).map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    Ok(compiler)
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

impl Compiler {
    /// Makes cargo, or the compiler's own program, use this compiler.
    pub(crate) fn set_on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("CARGO", env!("CARGO"))
            .env("RUSTC", self.rustc())
            .env("LD_LIBRARY_PATH", self.libraries())
    }

    fn rustc(&self) -> PathBuf {
        self.usr.join("bin/rustc")
    }

    /// Where the compiler's own libraries are, before all others.
    fn libraries(&self) -> OsString {
        let own = self.usr.join("lib").join(format!("{}-linux-gnu", env::consts::ARCH));
        let others = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let all = [own].into_iter().chain(env::split_paths(&others).filter(|path| path != Path::new("")));
        env::join_paths(all).unwrap_or_default()
    }
}

impl Toolchain {
    /// cargo with this compiler, for some targets; what is to be done with it comes first.
    pub(crate) fn cargo(&self, task: &str, library: Library, targets: &[&str]) -> Command {
        // A subcommand that is not cargo's own belongs to the compiler.
        let mut command = match task {
            "clippy" => Command::new(self.compiler.usr.join("bin/cargo-clippy")),
            _ => Command::new(env!("CARGO")),
        };
        command
            .args([task, &format!("-Zbuild-std={}", library.crates())])
            .args(targets.iter().flat_map(|target| ["--target", target]))
            .arg("--target-dir")
            .arg(&self.build)
            .current_dir(crate::root())
            // Debugging information takes time, and nobody debugs these.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // For macOS, a program that is not there would strip what is left of it.
            .env("CARGO_PROFILE_DEV_STRIP", "none")
            // To build the standard library is not stable yet.
            .env("RUSTC_BOOTSTRAP", "1");
        self.compiler.set_on(&mut command);
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
}
