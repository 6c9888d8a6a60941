//! Runs [`tunctl_testing::differential`].

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tunctl_testing::differential::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("differential: it compares with a running Linux kernel, and here is none");
    std::process::ExitCode::FAILURE
}
