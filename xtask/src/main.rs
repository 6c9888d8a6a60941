//! Builds, checks, tests and measures the workspace: `cargo xtask TASK`.

#![forbid(unsafe_code)]

mod abi;
mod apt;
mod bench;
mod ci;
mod cross;
mod defences;
mod differential;
mod faults;
mod filters;
mod fuzz;
mod helper;
mod kernels;
mod link;
mod linux_table;
mod msrv;
mod mutate;
mod oracle;
mod release;
mod targets;
mod test;
mod tidy;
mod tool;
mod toolchain;
mod zig;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tool::Build;

const HELP: &str = "\
cargo xtask TASK

  test          check the format, lint, build the documentation, run all tests; says what was skipped, and why
  ci            what must pass before a change lands: all but the long campaigns; says where the time went
  tidy          check that ARCHITECTURE.md tells the truth, and that the layers are kept
  abi           hold our numbers and layouts of the BSD systems and macOS against those systems' headers, and
                docs/linux.md against Linux's
  kernels       run the conformance suite on Debian's kernels in qemu [6.1] [6.12] [7.3] [-- ITS ARGUMENTS]
  differential  random operations on the mock and on the running kernel [--cases N] [--headers N] [--seed S]
  faults        make each system call of the command and of the library fail [--scenario NAME] [--inject I]
  filters       hold filter expressions to what tcpdump makes of them [--expressions N] [--packets N] [--seed S]
                [--expression E]
  cross         lint for the BSDs, macOS, other Linux and a machine without a system, with Debian's compiler
                [--target T]...
  msrv          compile the libraries with the oldest Rust that they promise to compile with
  release       make the packages, and compare the libraries' public items with docs/api [--renew]
  link          link the command for FreeBSD, NetBSD, OpenBSD and macOS [--target T]...
  mutate        change the mock's model, the filters and classic BPF in every place: does a test notice?
                [--file GLOB]... [--since COMMIT] [--jobs N]
  fuzz          look for bytes for which tunctl-packet or the helper does not hold [--seconds N] [--target NAME] [--keep]
  defences      take each defence out of the helper: does its attack succeed then? [--test NAME]
  helper        build the privileged helper as it is installed: one static file
  oracle        cut packets as the kernel does: the same segments? [--cases N] [--seed S] [--case C]
  bench         measure ours beside raw system calls and other libraries [[--section] NAME] [--seconds N] [--mock]

The kernel tests run in namespaces of their own. Without root they run as far as the system lets them;
with TUNCTL_REQUIRE_KERNEL=1, a test that is skipped is a failure.
";

/// What a task ends with: nothing to add, or why it failed.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::run(),
        ["ci"] => ci::run(),
        ["tidy"] => tidy::run(),
        ["abi"] => abi::run(),
        ["kernels", options @ ..] => kernels::run(options),
        ["differential", options @ ..] => differential::run(Build::Optimised, options),
        ["faults", options @ ..] => faults::run(options),
        ["filters", options @ ..] => filters::run(Build::Optimised, options),
        ["cross", options @ ..] => cross::run(options),
        ["release", options @ ..] => release::run(options),
        ["msrv"] => msrv::run(),
        ["link", options @ ..] => link::run(options),
        ["mutate", options @ ..] => mutate::run(options),
        ["helper"] => helper::run(),
        ["oracle", options @ ..] => oracle::run(Build::Optimised, options),
        ["defences", options @ ..] => defences::run(options),
        ["fuzz", options @ ..] => fuzz::run(options),
        ["bench", options @ ..] => bench::run(options),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where all goes that is built of this checkout.
fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Where tools, and libraries for other systems, are kept for all checkouts: in the user's cache, or below
/// the target folder if the user has none.
fn cache() -> PathBuf {
    let absolute = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    base.map_or_else(|| target().join("cache"), |base| base.join("tunctl"))
}
