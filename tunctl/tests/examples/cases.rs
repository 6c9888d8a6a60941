//! The examples that answer pings, on the running kernel: the system's own `ping` asks, and the interface is
//! deleted in the end.
#![allow(dead_code, reason = "of an example, the part for the mock is not used here")]

#[path = "../../examples/active.rs"]
mod active;
#[path = "../../examples/mio_echo.rs"]
mod mio_echo;
#[path = "../../examples/tokio_echo.rs"]
mod tokio_echo;

use std::error::Error;
use std::fmt::Debug;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tunctl_testing::{Case, addresses, case, exists, ip};

/// Runs an example until its host has answered five pings, and deletes its interface; what it tells.
fn running<T: Debug>(interface: &str, example: fn() -> Result<T, Box<dyn Error>>) -> String {
    thread::scope(|scope| {
        let host = scope.spawn(|| format!("{:?}", example()));
        let has_address = |address: &Value| address["local"] == "10.78.0.1";
        while !exists(interface) || !addresses(interface).iter().any(has_address) {
            assert!(!host.is_finished(), "it ended by itself: {}", host.join().unwrap());
            thread::sleep(Duration::from_millis(10));
        }
        let ping = Command::new("ping").args(["-c5", "-i0.01", "-W5", "10.78.0.2"]).output().unwrap();
        let told = String::from_utf8_lossy(&ping.stdout);
        ip(&format!("link delete {interface}"));
        assert!(told.contains("5 received, 0% packet loss"), "{told}");
        host.join().unwrap()
    })
}

fn mio_echo_answers() {
    assert_eq!(running("echo0", mio_echo::on_the_kernel), "Ok(5)");
}

fn tokio_echo_answers() {
    assert_eq!(running("echo0", tokio_echo::on_the_kernel), "Ok(5)");
}

fn active_answers() {
    let account = "Ok(Account { answered: 5, portions: 0, dropped: 0 })";
    assert_eq!(running("active0", active::on_the_kernel), account);
}

pub(crate) fn main() -> ExitCode {
    let cases = [case!(mio_echo_answers), case!(tokio_echo_answers), case!(active_answers)];
    tunctl_testing::main(cases.map(|case: Case| case.needs_tool("ip").needs_tool("ping")).into())
}
