//! A trial of the driver, in a network namespace that nobody else sees.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tunctl::linux::{Namespace, Presence};
use tunctl::packet::{EchoMessage, ping_packet};
use tunctl::{Cause, CreateOptions, Native, Operation, Reason, Result, TunBackend, TunDevice};

use super::finding::{Check, Finding, Verdict};

/// The address of the system in the namespace, and that of the host which pings it.
const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// How long the kernel may take to answer a ping: a thousand times what it takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether namespaces can be made, and what the driver does in one.
pub(super) fn findings(backend: &Native, node_is_open: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    match Namespace::new() {
        Ok(namespace) => {
            let what = "new network namespaces are permitted, to try things in: tunctl lab";
            findings.push(Finding::ok(Check::Namespaces, what));
            if node_is_open {
                findings.push(match ping(&namespace) {
                    Ok(()) => {
                        Finding::ok(Check::Packets, "a ping through a tun in such a namespace is answered")
                    }
                    Err(error) => Finding::of(Check::Packets, Verdict::Problem, &error),
                });
            }
        }
        // Interfaces may be created all the same.
        Err(error) => findings.push(Finding::of(Check::Namespaces, Verdict::Note, &error)),
    }
    if node_is_open {
        findings.push(features(backend));
    }
    findings
}

/// Sends a ping as a neighbour would, and receives the kernel's answer.
fn ping(namespace: &Namespace) -> Result<()> {
    let options = CreateOptions::tun().name("doctor%d").address(format!("{OWN}/24").as_str()).up();
    let tun = tunctl::native().in_namespace(namespace)?.create(&options)?;
    let request = ping_packet(OTHER.into(), OWN.into(), 1, 1, b"doctor");
    let request = request
        .map_err(|error| Reason::new(Cause::Other).with_detail(error.to_string()).of(Operation::Send))?;
    tun.send(&request)?;
    let deadline = Instant::now() + PATIENCE;
    let mut packet = [0; 1500];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let length = tun.recv_timeout(&mut packet, left)?;
        // The kernel may have something of its own to send.
        if EchoMessage::parse_icmp_packet(&packet[..length]).is_some_and(|echo| echo.is_reply) {
            return Ok(());
        }
    }
}

/// What this kernel's driver has, in short.
fn features(backend: &Native) -> Finding {
    let found = match backend.features() {
        Ok(found) => found,
        Err(error) => return Finding::of(Check::Features, Verdict::Problem, &error),
    };
    let of = |presence| found.iter().filter(move |(_, its)| *its == presence);
    let mut what = format!("the driver has {} features", of(Presence::Present).count());
    let absent: Vec<_> = of(Presence::Absent).map(|(feature, _)| feature.to_string()).collect();
    if !absent.is_empty() {
        what += &format!(", and not {}", absent.join(", "));
    }
    match of(Presence::Unknown).count() {
        0 => {}
        count => what += &format!("; {count} are unknown, for want of a namespace to ask in"),
    }
    Finding::ok(Check::Features, format!("{what} (tunctl features)"))
}
