//! See the library of this package, which this runs.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tunctl_differential::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("differential: it compares with a running Linux kernel, and here is none");
    std::process::ExitCode::FAILURE
}
