//! Runs [`tunctl_testing::faults`].

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tunctl_testing::faults::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("faults: it needs a running Linux kernel, and here is none");
    std::process::ExitCode::FAILURE
}
