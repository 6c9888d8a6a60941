//! The programs that speak WireGuard, and how each is started.

use std::env;
use std::path::PathBuf;

/// Where they are looked for: folders, as in `PATH`. `cargo xtask bench` sets it. An installed one is of
/// whatever version, and not looked for.
const FOLDERS: &str = "TUNCTL_BENCH_PROGRAMS";

/// A program that makes an interface and is one end of a tunnel.
pub(super) struct Program {
    pub(super) name: &'static str,
    /// How it stays in the foreground and keeps quiet, before the last argument.
    pub(super) options: &'static [&'static str],
    /// It reads its own configuration file, named after the interface. The others are given the interface,
    /// and configured by `wg` and `ip`.
    pub(super) has_file: bool,
}

pub(super) const OURS: Program = Program { name: "tunctl-vpn", options: &["up"], has_file: true };
pub(super) const WIREGUARD_GO: Program =
    Program { name: "wireguard-go", options: &["--foreground"], has_file: false };
pub(super) const BORINGTUN: Program = Program {
    name: "boringtun-cli",
    options: &["--foreground", "--disable-drop-privileges", "--verbosity=error"],
    has_file: false,
};
pub(super) const GOTATUN: Program = Program {
    name: "gotatun",
    options: &["--foreground", "--disable-drop-privileges", "--verbosity=error"],
    has_file: false,
};

impl Program {
    /// Where it is.
    pub(super) fn find(&self) -> Result<PathBuf, String> {
        let folders = env::var_os(FOLDERS).ok_or("`cargo xtask bench` provides it")?;
        let mut files = env::split_paths(&folders).map(|folder| folder.join(self.name));
        files.find(|file| file.is_file()).ok_or_else(|| "it was not provided".to_owned())
    }
}
