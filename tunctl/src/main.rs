//! The command `tunctl`.

#![forbid(unsafe_code)]

#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "macos"
))]
mod command;

#[cfg(not(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "macos"
)))]
mod command {
    //! What is said where there is no driver that this project knows.

    pub(crate) fn main() -> std::process::ExitCode {
        eprintln!("tunctl: there is no backend for this system");
        std::process::ExitCode::FAILURE
    }
}

fn main() -> std::process::ExitCode {
    command::main()
}
