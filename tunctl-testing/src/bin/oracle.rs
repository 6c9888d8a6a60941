//! Runs [`tunctl_testing::oracle`].

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tunctl_testing::oracle::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("oracle: it asks Linux's kernel, and here is another system");
    std::process::ExitCode::FAILURE
}
