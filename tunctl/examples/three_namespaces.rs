//! Three namespaces, a tap in each, and a switch between them: one program, without any privilege.
//!
//! `cargo run -p tunctl --example three_namespaces`. It pings from one namespace to another.

#[cfg(target_os = "linux")]
pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::{collections::HashMap, sync::Mutex, thread};
    use tunctl::linux::{LinuxBackend, LinuxDevice, Namespace};
    use tunctl::prelude::*;

    let namespaces = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
    let mut taps: Vec<LinuxDevice> = Vec::new();
    for (number, namespace) in (1..).zip(&namespaces) {
        let options = CreateOptions::tap().name("tap0").address(format!("10.0.0.{number}/24").as_str()).up();
        taps.push(LinuxBackend::new().in_namespace(namespace)?.create(&options)?);
    }

    let stop = Interrupter::new()?;
    let ports = Mutex::new(HashMap::new());
    // Takes frames from one port, and passes each on: to the port of its destination, or to all others.
    let switch = |from: usize| -> Result<()> {
        let mut buffer = [0; 1514];
        loop {
            let frame = match taps[from].recv_interruptible(&mut buffer, &stop) {
                Err(error) if error.cause() == Cause::Interrupted => return Ok(()),
                length => &buffer[..length?],
            };
            let mut ports = ports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            ports.insert(frame[6..12].to_vec(), from);
            let known = ports.get(&frame[..6]).copied();
            for to in (0..taps.len()).filter(|&to| to != from && known.is_none_or(|known| known == to)) {
                match taps[to].send(frame) {
                    Err(error) if !error.is_packet_lost() => return Err(error),
                    _ => {}
                }
            }
        }
    };
    let pinged = thread::scope(|scope| {
        (0..taps.len()).for_each(|port| drop(scope.spawn(move || switch(port))));
        let pinged = namespaces[0].command("ping").args(["-c1", "10.0.0.3"]).status();
        stop.interrupt();
        pinged
    });
    if pinged?.success() { Ok(()) } else { Err("no answer".into()) }
}

#[cfg(not(target_os = "linux"))]
fn main() {}
