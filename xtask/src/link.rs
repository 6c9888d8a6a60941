//! `cargo xtask link`: links the command for the systems that this one is not.
//!
//! A program that was compiled may still name what its system's libraries do not have, which only a linker
//! finds.

mod form;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::apt::capture;
use crate::toolchain::{self, Library, Toolchain};
use crate::zig::{self, Zig};
use crate::{Outcome, targets};
use form::{Form, Machine};

/// A target, by the names that others have for it.
struct Target {
    rust: &'static str,
    zig: &'static str,
    /// That of its programs.
    form: Form,
    /// Libraries that Rust names and zig has not. Nothing of them is used, so empty ones do.
    stubs: &'static [&'static str],
}

const TARGETS: &[Target] = &[
    Target {
        rust: "x86_64-unknown-freebsd",
        zig: "x86_64-freebsd",
        form: Form::Elf("FreeBSD"),
        stubs: &["kvm", "memstat", "procstat", "devstat"],
    },
    Target { rust: "x86_64-unknown-netbsd", zig: "x86_64-netbsd", form: Form::Elf("NetBSD"), stubs: &[] },
    Target { rust: "x86_64-unknown-openbsd", zig: "x86_64-openbsd", form: Form::Elf("OpenBSD"), stubs: &[] },
    Target {
        rust: "x86_64-apple-darwin",
        zig: "x86_64-macos",
        form: Form::MachO(Machine::X86_64),
        stubs: &["iconv"],
    },
    Target {
        rust: "aarch64-apple-darwin",
        zig: "aarch64-macos",
        form: Form::MachO(Machine::Aarch64),
        stubs: &["iconv"],
    },
];

const PACKAGES: &[&str] = &["--package", "tunctl-cli", "--package", "tunctl"];
/// The command, and programs with the mock in them; and where cargo puts each.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("--bin", "tunctl", ""),
    ("--example", "mock_cable", "examples"),
    ("--example", "mock_unit_test", "examples"),
];

/// Links for the targets that are named, or for all.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let names: Vec<_> = TARGETS.iter().map(|target| target.rust).collect();
    let named = targets::named(options, &names, &[])?;
    let (toolchain, zig) = (toolchain::provide()?, zig::provide()?);
    let chosen = |name: &str| TARGETS.iter().find(|target| target.rust == name).ok_or("no such target");
    for name in &named {
        prepare(&toolchain.linker(name), chosen(name)?, &zig)?;
    }
    // Whose failure it is, comes out below.
    let _ = targets::at_once(&named, |names| build(&toolchain, names));
    targets::each(&named, |name| link(&toolchain, chosen(name)?))
}

fn build(toolchain: &Toolchain, targets: &[&str]) -> Outcome {
    let status = toolchain
        .cargo("build", Library::Std, targets)
        .args(PACKAGES)
        .args(PROGRAMS.iter().flat_map(|(kind, name, _)| [*kind, *name]))
        // zig has what a Mac's would have. Not told of any, the compiler looks for Xcode, and complains.
        .env("SDKROOT", toolchain.linkers())
        .status()
        .map_err(|error| format!("run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("it does not link ({status})")) }
}

fn link(toolchain: &Toolchain, target: &Target) -> Outcome {
    build(toolchain, &[target.rust])?;
    for (_, name, place) in PROGRAMS {
        let program = toolchain.built(target.rust).join(place).join(name);
        let bytes = fs::read(&program).map_err(|error| format!("read {}: {error}", program.display()))?;
        let found = Form::of(&bytes);
        println!("{name}: {} bytes, for {}", bytes.len(), found.as_ref().map_or("no system", Form::name));
        if found.as_ref() != Some(&target.form) {
            return Err(format!("{} is no program of {}", program.display(), target.form.name()));
        }
    }
    Ok(())
}

/// Makes a linker that is a program of one word, and beside it the libraries that it would not find.
fn prepare(linker: &Path, target: &Target, zig: &Zig) -> Outcome {
    let folder = linker.parent().ok_or("a linker has no folder")?;
    fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    let mut command = zig.cc(target.zig);
    for stub in target.stubs {
        let library = folder.join(format!("lib{stub}")).with_extension(target.form.library());
        let mut compile = zig.cc(target.zig);
        compile.args(["-shared", "-nostdlib", "-x", "c", "/dev/null", "-o"]).arg(library);
        capture(&mut compile)?;
    }
    // Not by flags of Rust's, which would have the standard library built anew.
    command.arg("-L").arg(folder);
    fs::write(linker, script(&command))
        .and_then(|()| fs::set_permissions(linker, Permissions::from_mode(0o755)))
        .map_err(|error| format!("write {}: {error}", linker.display()))
}

/// A script that runs a command with more arguments.
fn script(command: &Command) -> String {
    let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
    let set = command.get_envs().filter_map(|(name, value)| Some((name.to_string_lossy(), quoted(value?))));
    let exports: String = set.map(|(name, value)| format!("export {name}={value}\n")).collect();
    let words: Vec<_> = iter::once(command.get_program()).chain(command.get_args()).map(quoted).collect();
    format!("#!/bin/sh\n{exports}exec {} \"$@\"\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_the_words_and_the_environment_of_its_command() {
        let mut command = Command::new("/a b/zig");
        command.args(["cc", "it's"]).env("CACHE", "/c d");
        assert_eq!(
            script(&command),
            "#!/bin/sh\nexport CACHE='/c d'\nexec '/a b/zig' 'cc' 'it'\\''s' \"$@\"\n"
        );
    }
}
