//! Operations that make, use or close devices.

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use tunctl_conformance::{DeviceOf, Harness};
use tunctl_core::{
    CreateFlags, CreateOptions, Error, Gid, Interface, InterfaceIndex, InterfaceName, Interrupter,
    NamePattern, TunBackend, TunDevice, Uid,
};
use tunctl_packet::bpf::{Instruction, Program};
use tunctl_packet::header::VnetFormat;

use super::{Slot, World};
use crate::differential::op::{Also, Op, Patience, Verb};
use crate::differential::seen::{Answer, Refusal};

/// More queues than any kernel gives an interface.
const CROWD: usize = 300;

impl<H: Harness> World<H> {
    pub(super) fn attach(&mut self, verb: Verb, slot: usize, options: CreateOptions) -> Answer {
        if self.slots[slot].is_some() {
            return Answer::Absent;
        }
        let backend = self.harness.backend();
        let opened = match verb {
            Verb::Create => backend.create(&options),
            Verb::Open => backend.open(&options),
            Verb::OpenOrCreate => backend.open_or_create(&options),
        };
        Answer::of(opened, |device| self.keep(slot, device))
    }

    /// Puts a new queue into its slot, and tells of it.
    fn keep(&mut self, slot: usize, device: DeviceOf<H>) -> Answer {
        let answer = attached(&device);
        self.slots[slot] = Some(Slot { device, queue: self.queues_opened });
        self.queues_opened += 1;
        answer
    }

    pub(super) fn crowd(&mut self, slot: usize, flags: u16, name: &str) -> Answer {
        if self.slots[slot].is_some() {
            return Answer::Absent;
        }
        let options = options(flags, Some(name), None);
        let mut opened = Vec::new();
        while opened.len() < CROWD {
            match self.harness.backend().open(&options) {
                Ok(device) => {
                    opened.push(device);
                    self.hear();
                }
                Err(error) => {
                    let count = opened.len();
                    if let Some(device) = opened.pop() {
                        self.keep(slot, device);
                    }
                    while opened.pop().is_some() {
                        self.hear();
                    }
                    return Answer::Crowded(count, Refusal::from(&error));
                }
            }
        }
        Answer::Length(opened.len())
    }

    pub(super) fn duplicate(&mut self, from: usize, to: usize) -> Answer {
        let (Some(original), None) = (&self.slots[from], &self.slots[to]) else { return Answer::Absent };
        let queue = original.queue;
        Answer::of(original.device.try_clone(), |device| {
            self.slots[to] = Some(Slot { device, queue });
            Answer::Done
        })
    }

    /// A device that is not adopted again is lost with its descriptor. So is one whose interface is elsewhere
    /// or unknown: what it would do there, nobody observes.
    pub(super) fn hand_over(&mut self, slot: usize) -> Answer {
        let Some(Slot { device, queue }) = self.slots[slot].take() else { return Answer::Absent };
        let adopted = self.harness.hand_over(device).and_then(|fd| self.harness.adopt(fd));
        let Some(adopted) = adopted else { return Answer::Absent };
        Answer::of(adopted.map_err(Error::from), |device| {
            let (answer, index) = (attached(&device), device.interface().index());
            let here = device.name().and_then(|name| self.harness.backend().interface(&name));
            if here.is_ok_and(|here| here.index() == index) {
                self.slots[slot] = Some(Slot { device, queue });
            }
            answer
        })
    }

    /// Not while another device of the interface is open, which would go on with the format that it knows.
    pub(super) fn set_vnet_format(&mut self, slot: usize, format: VnetFormat) -> Answer {
        let indices =
            self.slots.each_ref().map(|slot| slot.as_ref().map(|slot| slot.device.interface().index()));
        let is_alone = indices.iter().filter(|index| **index == indices[slot]).count() == 1;
        let Some(Slot { device, .. }) = self.slots[slot].as_mut().filter(|_| is_alone) else {
            return Answer::Absent;
        };
        Answer::of(device.set_vnet_format(format), |()| Answer::Done)
    }

    pub(super) fn destroy(&mut self, slot: usize) -> Answer {
        let Some(Slot { device, queue }) = self.slots[slot].take() else { return Answer::Absent };
        let Err(failed) = device.destroy() else { return Answer::Done };
        let refusal = Refusal::from(failed.error());
        self.slots[slot] = failed.into_device().map(|device| Slot { device, queue });
        Answer::NotDestroyed(refusal, self.slots[slot].is_some())
    }
}

/// What a device tells of itself.
fn attached<D: TunDevice>(device: &D) -> Answer {
    Answer::of(device.name(), |name| Answer::Attached {
        name,
        index: device.interface().index(),
        flags: device.flags(),
    })
}

/// What an operation asks for. Its text was checked when it was made, but for names that no user may choose,
/// which are taken as if a kernel had reported them.
pub(super) fn options(flags: u16, name: Option<&str>, also: Option<Also>) -> CreateOptions {
    let options = CreateOptions::from_bits(flags).unwrap_or_default();
    let options = match also {
        None => options,
        Some(Also::Index(index)) => {
            InterfaceIndex::new(index).into_iter().fold(options, CreateOptions::index)
        }
        Some(Also::Offloads(offloads)) => options.offloads(offloads),
        Some(Also::VnetFormat(format)) => options.vnet_format(format),
        Some(Also::Mtu(mtu)) => options.mtu(mtu),
    };
    let pattern = |name: &str| {
        let raw = || InterfaceName::from_kernel(name.as_bytes()).map(NamePattern::from);
        NamePattern::new(name).or_else(|_| raw()).ok()
    };
    match name.and_then(pattern) {
        Some(pattern) => options.name(pattern),
        None => options,
    }
}

/// An operation on an open device.
pub(super) fn perform<H: Harness>(harness: &H, device: &DeviceOf<H>, op: &Op) -> Answer {
    let done = |()| Answer::Done;
    match op {
        Op::Send { packet, cuts, .. } => Answer::of(send(device, packet, cuts.as_deref()), Answer::Length),
        Op::Receive { room, patience, .. } => receive(device, *room, *patience),
        Op::ReceiveVectored { rooms, .. } => receive_vectored(device, rooms),
        Op::Wait { readiness, .. } => Answer::of(device.wait(*readiness, Some(Duration::ZERO)), Answer::Bool),
        Op::Listen { patience, .. } => listen(harness, device, *patience),
        Op::Name { .. } => Answer::of(device.name(), Answer::Name),
        Op::SetPersist { on, .. } => Answer::of(device.set_persist(*on), done),
        Op::SetOwner { id, .. } => match Uid::new(*id) {
            Some(uid) => Answer::of(device.set_owner(uid), done),
            None => Answer::Absent,
        },
        Op::SetGroup { id, .. } => match Gid::new(*id) {
            Some(gid) => Answer::of(device.set_group(gid), done),
            None => Answer::Absent,
        },
        Op::Queue { attached, .. } => match harness.set_queue(device, *attached) {
            Some(outcome) => Answer::of(outcome, done),
            None => Answer::Absent,
        },
        Op::SetOffloads { offloads, .. } => Answer::of(device.set_offloads(*offloads), done),
        Op::Offloads { .. } => Answer::of(device.offloads(), Answer::Offloads),
        Op::Filter { program, .. } => {
            // Of several queues, which may have different programs, nobody knows which one a packet goes to.
            let one_for_all = program.as_ref().and_then(keeping_everything);
            let has_several = device.flags().contains(CreateFlags::MULTI_QUEUE);
            let program = if has_several { one_for_all.as_ref() } else { program.as_ref() };
            match harness.set_filter(device, program) {
                Some(outcome) => Answer::of(outcome, done),
                None => Answer::Absent,
            }
        }
        Op::MacFilter { filter, .. } => match harness.set_mac_filter(device, filter.as_ref()) {
            Some(outcome) => Answer::of(outcome, done),
            None => Answer::Absent,
        },
        Op::Up { address, .. } => match address.parse() {
            Ok(address) => Answer::of(device.up(address), done),
            Err(_) => Answer::Absent,
        },
        Op::Down { .. } => Answer::of(device.down(), done),
        _ => Answer::Absent,
    }
}

/// A program in place of another, which keeps all of every packet.
fn keeping_everything(_: &Program) -> Option<Program> {
    Program::new(vec![Instruction { code: 0x06, jt: 0, jf: 0, k: u32::MAX }]).ok()
}

fn send<D: TunDevice>(device: &D, packet: &[u8], cuts: Option<&[usize]>) -> tunctl_core::Result<usize> {
    let Some(cuts) = cuts else { return device.try_send(packet) };
    let pieces = pieces(packet, cuts);
    device.try_send_vectored(&pieces.iter().map(|piece| IoSlice::new(piece)).collect::<Vec<_>>())
}

/// The packet in pieces, of which some may be empty. Cuts are kept within it, so that shrinking may shorten
/// the packet.
pub(crate) fn pieces<'a>(packet: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|&cut| cut.min(packet.len())).collect();
    ends.sort_unstable();
    ends.push(packet.len());
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| &packet[start..end]).collect()
}

fn receive<D: TunDevice>(device: &D, room: usize, patience: Patience) -> Answer {
    let mut buffer = vec![0; room];
    let received = match patience {
        Patience::None => device.try_recv(&mut buffer),
        Patience::NoTime => device.recv_timeout(&mut buffer, Duration::ZERO),
        Patience::Interruptible { used } => Interrupter::new().and_then(|stop| {
            if used {
                stop.interrupt();
            }
            device.recv_until(&mut buffer, Some(Duration::ZERO), Some(&stop))
        }),
    };
    received_into(buffer, received)
}

fn receive_vectored<D: TunDevice>(device: &D, rooms: &[usize]) -> Answer {
    let mut buffers: Vec<Vec<u8>> = rooms.iter().map(|&room| vec![0; room]).collect();
    let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
    let outcome = device.try_recv_vectored(&mut slices);
    received_into(buffers.concat(), outcome)
}

/// What has happened before is compared elsewhere, and so are the events that come late.
fn listen<H: Harness>(harness: &H, device: &DeviceOf<H>, patience: Patience) -> Answer {
    let Some(watcher) = harness.events(Some(device.interface())) else { return Answer::Absent };
    let heard = watcher.and_then(|mut watcher| {
        let stop = Interrupter::new()?;
        if matches!(patience, Patience::Interruptible { used: true }) {
            stop.interrupt();
        }
        let mut next = || match patience {
            Patience::None => watcher.try_next(),
            Patience::NoTime => watcher.next_until(Some(Duration::ZERO), None),
            Patience::Interruptible { .. } => watcher.next_until(Some(Duration::ZERO), Some(&stop)),
        };
        while next()?.is_some() {}
        Ok(())
    });
    Answer::of(heard, |()| Answer::Done)
}

/// What a receive into these bytes, which were zeros, has made of them.
fn received_into(mut bytes: Vec<u8>, outcome: tunctl_core::Result<usize>) -> Answer {
    match outcome {
        Ok(length) => {
            bytes.truncate(length);
            Answer::Packet(length, bytes)
        }
        // Most refusals leave the buffers alone.
        Err(error) if bytes.iter().all(|byte| *byte == 0) => Answer::Refused(Refusal::from(&error)),
        Err(error) => Answer::NotReceived(Refusal::from(&error), bytes),
    }
}
