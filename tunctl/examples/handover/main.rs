//! A supervisor that may open interfaces, and a worker that has no right at all and answers pings.
//!
//! ```text
//! sudo -E cargo run -p tunctl --example handover     then: ping 10.78.0.2
//! ```
//!
//! It ends when its interface is deleted (`sudo tunctl delete hand0`). `programs.rs` has the two programs.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod programs;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return programs::work().map(|answered| println!("{answered} answered"));
    }
    let mut worker = std::process::Command::new(std::env::current_exe()?);
    programs::supervise(worker.arg("worker"))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn main() {
    eprintln!("on this system, no descriptors are adopted yet");
}
