//! A slow link behind a bridge, which fills the send buffer of a tap.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{CreateOptions, TunBackend};
use tunctl_linux::{LinuxBackend, LinuxDevice};

use crate::{ip, link, skip};

/// A tap in a bridge with a veth, whose link takes 1,000 bytes a second. What is sent to an unknown address
/// is in flight until the link has taken it.
#[must_use]
pub fn tap_with_slow_link(options: CreateOptions) -> LinuxDevice {
    for scope in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1").expect("it has the setting");
    }
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("link add veth0 type veth peer name veth1");
    ip("link set veth0 up master br0");
    ip("link set veth1 up");
    if let Err(complaint) = set_rate("add", "8kbit") {
        skip(&format!("the kernel has no tbf: {complaint}"));
    }
    let device = LinuxBackend::new().create(&options.name("tap0").up()).expect("a tap");
    ip("link set tap0 master br0");
    ["veth0", "tap0"].into_iter().for_each(wait_until_forwarding);
    device
}

/// Changes what the link takes, such as to `80kbit`.
pub fn set_link_rate(rate: &str) {
    set_rate("change", rate).expect("tbf changes its rate");
}

/// Bounds what the link takes, but for the first two thousand bytes.
fn set_rate(verb: &str, rate: &str) -> Result<(), String> {
    let words = format!("qdisc {verb} dev veth0 root tbf rate {rate} burst 2000 limit 1000000");
    let output = Command::new("tc").args(words.split_whitespace()).output().expect("tc starts");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Waits until a bridge forwards what comes from a port and goes to it, which begins in the background.
pub fn wait_until_forwarding(name: &str) {
    let started = Instant::now();
    while link(name).expect("it exists")["linkinfo"]["info_slave_data"]["state"] != "forwarding" {
        assert!(started.elapsed() < Duration::from_secs(10), "{name} does not forward");
        thread::sleep(Duration::from_millis(5));
    }
}
