//! The program `tunctl-vpn`. The library beside it has the loop.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod up;

fn main() {
    #[cfg(target_os = "linux")]
    up::main();
}
