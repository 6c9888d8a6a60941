//! The command `tunctl`.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod command;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    command::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("tunctl: this system has no backend yet: the command runs on Linux");
    std::process::ExitCode::FAILURE
}
