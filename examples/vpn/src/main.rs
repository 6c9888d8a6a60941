//! `tunctl-vpn`: see `README.md` beside it.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod up;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    up::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("tunctl-vpn: it runs on Linux only");
}
