//! Runs [`tunctl_testing::filters`].

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tunctl_testing::filters::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("filters: it compares with tcpdump on Linux, and here is another system");
    std::process::ExitCode::FAILURE
}
