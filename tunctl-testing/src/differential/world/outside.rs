//! What another program, or the system, does.

use std::collections::BTreeSet;

use tunctl_conformance::Harness;
use tunctl_core::{CreateFlags, Interface, InterfaceInfo, InterfaceName, Layer, TunDevice};

use super::{Slot, World, vnet_length};
use crate::differential::op::System;
use crate::differential::packets;
use crate::differential::seen::{Answer, Refusal};

/// Room for any packet that is injected, and its headers.
const ROOM: usize = 4096;

/// A name of an operation. Where a user could not choose it, it is taken as if a kernel had reported it.
pub(super) fn name(text: &str) -> InterfaceName {
    let parsed = InterfaceName::new(text).or_else(|_| InterfaceName::from_kernel(text.as_bytes()));
    parsed.unwrap_or_else(|invalid| panic!("{text:?}: {invalid}"))
}

/// Whether it can be tried: empty, or no longer than the MTU and with whole headers.
fn can_be_injected(info: &InterfaceInfo, packet: &[u8]) -> bool {
    let header = match info.layer {
        Layer::Tun => 0,
        Layer::Tap => 14,
    };
    let room = usize::try_from(info.mtu.get()).unwrap_or(usize::MAX);
    packet.is_empty() || (packet.len() > header && packet.len() <= room + header)
}

impl<H: Harness> World<H> {
    pub(super) fn system(&mut self, system: &System) -> Answer {
        let harness = self.harness.clone();
        let infos = self.infos().unwrap_or_default();
        let find = |wanted: &InterfaceName| infos.iter().find(|info| info.name == *wanted);
        let exists = |name: &InterfaceName| find(name).is_some();
        match system {
            System::Delete { name: wanted } if exists(&name(wanted)) => harness.delete(&name(wanted)),
            System::SetUp { name: wanted, up } if exists(&name(wanted)) => harness.set_up(&name(wanted), *up),
            System::Rename { from, to } if exists(&name(from)) && !exists(&name(to)) => {
                return Answer::Bool(harness.rename(&name(from), &name(to)));
            }
            System::Move { name: wanted } if exists(&name(wanted)) && !self.moved.contains(wanted) => {
                harness.move_to_namespace(&name(wanted));
                self.moved.insert(wanted.clone());
            }
            System::Inject { name: wanted, packet, times } => {
                return match find(&name(wanted)).filter(|info| can_be_injected(info, packet)) {
                    // What a queue has room for depends on what it held before: which nobody knows of one
                    // among several.
                    Some(info) if info.flags.contains(CreateFlags::MULTI_QUEUE) => {
                        self.inject(&info.name, packet, 1)
                    }
                    Some(info) => self.inject(&info.name, packet, *times),
                    None => Answer::Absent,
                };
            }
            _ => return Answer::Absent,
        }
        Answer::Done
    }

    /// Has the system send a packet. With several queues the kernel chooses one, by a hash whose key is
    /// random at each boot: so then all queues are emptied before and after, and only what they held together
    /// is compared.
    fn inject(&self, name: &InterfaceName, packet: &[u8], times: usize) -> Answer {
        let before = self.drained(name);
        let reached = (0..times).filter(|_| self.harness.inject(name, packet)).count();
        let after = self.drained(name);
        Answer::Injected { reached, before, after }
    }

    /// Sends a packet of a flow by one of several queues, and has the system answer it at once, so that the
    /// kernel has not forgotten the flow. What else the queues held is taken out before.
    pub(super) fn reply(&self, slot: usize, flow: u8) -> Answer {
        let Some(Slot { device, queue }) = &self.slots[slot] else { return Answer::Absent };
        let Ok(name) = device.name() else { return Answer::Absent };
        let infos = self.infos().unwrap_or_default();
        let is_here = infos.iter().any(|info| info.name == name && info.index == device.interface().index());
        if !is_here || !self.has_several_queues(&name) || self.detached.contains(queue) {
            return Answer::Absent;
        }
        let before = self.drained(&name);
        let (sent, answer) = packets::conversation(flow, device.flags(), vnet_length(device.header_kind()));
        if let Err(error) = device.try_send(&sent) {
            return Answer::Refused(Refusal::from(&error));
        }
        self.harness.inject(&name, &answer);
        let mut buffer = vec![0; ROOM];
        let slot = self.slots.iter().position(|slot| {
            slot.as_ref().is_some_and(|slot| {
                slot.device.name() == Ok(name) && slot.device.try_recv(&mut buffer).is_ok()
            })
        });
        Answer::Steered { slot, packets: [sent, answer], before }
    }

    fn has_several_queues(&self, name: &InterfaceName) -> bool {
        let own = self.slots.iter().flatten().filter(|slot| slot.device.name() == Ok(*name));
        own.map(|slot| slot.queue).collect::<BTreeSet<_>>().len() > 1
    }

    /// Takes all packets from all queues, if there are several; sorted.
    fn drained(&self, name: &InterfaceName) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        if !self.has_several_queues(name) {
            return packets;
        }
        let mut buffer = vec![0; ROOM];
        for slot in self.slots.iter().flatten().filter(|slot| slot.device.name() == Ok(*name)) {
            while let Ok(length) = slot.device.try_recv(&mut buffer) {
                packets.push(buffer[..length].to_vec());
            }
        }
        packets.sort();
        packets
    }
}
