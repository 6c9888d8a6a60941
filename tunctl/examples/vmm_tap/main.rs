//! The network of a virtual machine: a supervisor makes a tap with four queues on a bridge, in a namespace of
//! its own. A monitor without any right adopts the queues, and its guest answers a ping.
//!
//! ```text
//! sudo -E cargo run -p tunctl --example vmm_tap
//! ```

#[cfg(any(target_os = "linux", target_os = "android"))]
mod programs;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("monitor") {
        return programs::monitor();
    }
    let mut monitor = std::process::Command::new(std::env::current_exe()?);
    let answered = programs::supervise(monitor.arg("monitor"))?;
    if answered { Ok(()) } else { Err("the guest did not answer".into()) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn main() {
    eprintln!("on this system, no descriptors are adopted yet");
}
