//! `tunctl-vpn-simulation`: see `README.md` beside it.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod command;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    command::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("tunctl-vpn-simulation: it runs on Linux only");
}
