//! What happens by itself: ticks, conversations, moves, faults.

use std::time::Duration;

use tunctl::mock::{Errno, Fault, MockDevice};
use tunctl::{Operation, State};
use tunctl_vpn::Vpn;

use super::{Event, Simulation};
use crate::ledger::Claim;
use crate::network::{Datagram, Train};
use crate::node::DEVICE;
use crate::plan::{self, Flow, QUIET};
use crate::socket::Socket;
use crate::traffic;

impl Simulation {
    pub(super) fn tick(&mut self, node: usize) -> Result<(), String> {
        let Some(vpn) = &mut self.nodes[node].vpn else { return Ok(()) };
        vpn.tick();
        self.dispatch(node, &mut [])?;
        self.observe(node);
        self.schedule(self.now + Vpn::<MockDevice, Socket>::TICK, Event::Tick(node));
        Ok(())
    }

    /// A node says something, and will again.
    pub(super) fn talk(&mut self, flow: Flow) -> Result<(), String> {
        let Flow { from, to, gap } = flow;
        if self.now + QUIET > self.duration || [from, to].iter().any(|node| self.nodes[*node].vpn.is_none()) {
            return Ok(());
        }
        let next = self.now + plan::about(gap, &mut self.rng);
        self.schedule(next, Event::Talk(flow));
        self.number += 1;
        let (number, is_v6, rng) = (self.number, self.rng.bool(), &mut self.rng);
        let [mut source, mut destination] = [from, to].map(|node| traffic::inner_address(node, is_v6));
        let (load, claim) = match rng.u32(..100) {
            0..65 => (traffic::ping(source, destination, number, rng)?, Claim::Fair),
            65..80 => (traffic::datagram(source, destination, number, rng)?, Claim::Fair),
            80..92 => (traffic::burst(from, to, number, rng)?, Claim::Fair),
            92..97 => {
                // To a client, the server may send from any address of the VPN.
                source = match rng.u32(..3) {
                    0 if from != 0 => traffic::inner_address(from % self.plan.clients + 1, is_v6),
                    1 if from != 0 => traffic::strange_address(true, is_v6),
                    _ => traffic::strange_address(false, is_v6),
                };
                // A client's only neighbour is itself.
                if source == traffic::inner_address(from, is_v6) {
                    source = traffic::inner_address(0, is_v6);
                }
                (traffic::datagram(source, destination, number, rng)?, Claim::Unfit)
            }
            _ => {
                destination = traffic::strange_address(false, is_v6);
                (traffic::datagram(source, destination, number, rng)?, Claim::Unfit)
            }
        };
        let to = (destination == traffic::inner_address(to, is_v6)).then_some(to);
        self.send_from(from, &load, to, claim)
    }

    /// A client gets another address, as behind a NAT.
    pub(super) fn roam(&mut self, client: usize) {
        let number = u16::try_from(self.addresses.len()).unwrap_or(u16::MAX);
        let address = plan::address(client, number % 50_000, self.plan.is_v6);
        self.nodes[client].address = address;
        self.addresses.insert(address, client);
        self.trace.line(self.now, &format!("{client} moves to {address}"));
        let next = self.now + plan::about(self.plan.roam_gap, &mut self.rng);
        self.schedule(next, Event::Roam(client));
    }

    /// One of the next calls of a device or a socket fails.
    pub(super) fn fault(&mut self) {
        let (index, call) = (self.rng.usize(..self.nodes.len()), self.rng.u32(1..=3));
        let node = &self.nodes[index];
        let device = |fault: Fault| node.kernel.script(fault.nth(call));
        let what = match self.rng.u32(..6) {
            0 => {
                device(Fault::on(Operation::Send).errno(Errno::ENOBUFS));
                "device refuses a packet"
            }
            1 => {
                device(Fault::on(Operation::Send).takes_down());
                "interface goes down as the device sends"
            }
            2 => {
                device(Fault::on(Operation::Receive).errno(Errno::EAGAIN));
                "device has nothing, against what it said"
            }
            3 => {
                device(Fault::on(Operation::Receive).errno(Errno::EINVAL));
                "device fails to receive"
            }
            4 => {
                node.socket.fail_send(call);
                "socket fails to send"
            }
            _ => {
                node.socket.fail_receive(call);
                "socket fails to receive"
            }
        };
        self.trace.line(self.now, &format!("{index} at call {call}: {what}"));
        let next = self.now + plan::about(self.plan.fault_gap, &mut self.rng);
        self.schedule(next, Event::Fault);
    }

    /// Somebody brings the interface up that a fault took down.
    pub(super) fn bring_up(&mut self, node: usize) {
        self.nodes[node].is_down = false;
        if self.nodes[node].vpn.is_some() {
            self.nodes[node].kernel.set_state(DEVICE, State::Up);
            self.trace.line(self.now, &format!("{node} is up"));
        }
    }

    /// Somebody sends bytes that no peer made.
    pub(super) fn noise(&mut self) {
        let node = self.rng.usize(..self.nodes.len());
        let lengths = [148, 92, 64, 32, 60, 1_400, 1, 3];
        let mut bytes = vec![0; lengths[self.rng.usize(..lengths.len())]];
        self.rng.fill(&mut bytes);
        if let [first, zeros @ ..] = &mut bytes[..] {
            *first = self.rng.u8(0..6);
            zeros.iter_mut().take(3).for_each(|byte| *byte = 0);
        }
        // Indices of tunnels are small, and chance would not find them.
        if bytes.len() > 8 && self.rng.bool() {
            bytes[4..8].copy_from_slice(&self.rng.u32(0..1_024).to_le_bytes());
        }
        let from = plan::address(100, self.rng.u16(..1_000), self.plan.is_v6);
        let datagrams = vec![Datagram { bytes, packet: None, is_damaged: true }];
        let train = Train { sender: None, from, to: self.nodes[node].address, datagrams };
        self.depart(Duration::from_millis(1), train);
        let next = self.now + plan::about(Duration::from_secs(20), &mut self.rng);
        self.schedule(next, Event::Noise);
    }

    /// The device is deleted, and the program ends.
    pub(super) fn die(&mut self, client: usize) -> Result<(), String> {
        self.trace.line(self.now, &format!("{client} has its device deleted"));
        self.nodes[client].kernel.delete(DEVICE);
        let Some(mut vpn) = self.nodes[client].vpn.take() else { return Ok(()) };
        // A fault may be due before, a few calls later.
        match (0..8).find_map(|_| vpn.from_device().err()) {
            Some(error) if error.is_gone() => Ok(()),
            outcome => Err(format!("the device is deleted, and reading it gives {outcome:?}")),
        }
    }
}
