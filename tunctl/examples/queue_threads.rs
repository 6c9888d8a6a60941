//! A thread for each queue of an interface. Linux gives the packets of a flow to the queue by which the
//! program last sent a packet of it, and to one of the others by a hash before that. A thread that answers by
//! its own queue keeps its flows, and each flow its order: no locks, no table of flows.
//!
//! ```text
//! sudo -E cargo run -p tunctl --example queue_threads
//! ping 10.78.0.2
//! ```

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::thread;

use tunctl::packet::echo_reply;
use tunctl::prelude::*;

fn main() -> Result<()> {
    println!("{:?} flows, by queue", on_the_kernel(4)?);
    Ok(())
}

/// Answers pings and datagrams until the interface is deleted, and says how many flows came by each queue.
pub(crate) fn on_the_kernel(queues: usize) -> Result<Vec<usize>> {
    let options = CreateOptions::tun().name("flow%d").queue_length(1000).address("10.78.0.1/24").up();
    let workers: Vec<_> = tunctl::native()
        .create_queues(&options, queues)?
        .into_iter()
        .map(|queue| thread::spawn(move || answer(&queue)))
        .collect();
    workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
}

/// Answers what comes by one queue.
fn answer<D: TunDevice>(queue: &D) -> Result<usize> {
    let (mut packet, mut reply) = ([0; 2048], [0; 2048]);
    let mut flows = HashSet::new();
    loop {
        let length = match queue.recv(&mut packet) {
            Err(error) if error.is_gone() => return Ok(flows.len()),
            length => length?,
        };
        let packet = &mut packet[..length];
        if packet.len() >= 28 && packet[0] == 0x45 && packet[9] == 17 {
            flows.insert(packet[12..24].to_vec());
            // Where it comes from and where it goes to change places, and its checksum holds.
            packet[12..20].rotate_left(4);
            packet[20..24].rotate_left(2);
            queue.send(packet)?;
        } else if let Ok(length) = echo_reply(packet, &mut reply) {
            queue.send(&reply[..length])?;
        }
    }
}
