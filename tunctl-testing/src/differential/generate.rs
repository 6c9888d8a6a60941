//! The next operation of a sequence: at random, but with an eye on what is there, so that most meet an open
//! device.

use tunctl_core::{CreateFlags, Layer, MacFilter, Offloads, Readiness, State};
use tunctl_packet::Filter;
use tunctl_packet::header::{VnetFormat, VnetLength};

use crate::differential::interface_call::InterfaceCall;
use crate::differential::op::{Also, Caller, On, Op, Patience, SLOTS, System, Verb};
use crate::differential::packets;
use crate::differential::pools::{
    ENDIANS, IDS, INDICES, MTUS, NAMES, ODD_NAMES, OFFLOADS, PATTERNS, UNMAPPED, VNET_LENGTHS, address,
};
use crate::differential::random::Random;
use crate::differential::world::{Held, Known, View};
use crate::programs;

#[derive(Clone, Copy)]
enum Kind {
    Attach,
    Device,
    Interface,
    System,
    Caller,
    All,
}

/// The next operation.
pub(crate) fn next(random: &mut Random, view: &View) -> Op {
    let open = view.slots.iter().flatten().count();
    let attach = match open {
        0 => 60,
        1 => 14,
        2 => 8,
        _ => 2,
    };
    let kinds = [
        (attach, Kind::Attach),
        (if open > 0 { 52 } else { 1 }, Kind::Device),
        (if view.interfaces.is_empty() { 1 } else { 14 }, Kind::Interface),
        (if view.interfaces.is_empty() { 1 } else { 18 }, Kind::System),
        (if view.capable { 3 } else { 9 }, Kind::Caller),
        (2, Kind::All),
    ];
    match random.weighted(&kinds).unwrap_or(Kind::All) {
        Kind::Attach => attach_op(random, view),
        Kind::Device => device(random, view),
        Kind::Interface => interface(random, view),
        Kind::System => Op::System(system(random, view)),
        Kind::Caller => Op::Caller(caller(random)),
        Kind::All if random.one_of(2, 3) => Op::List,
        Kind::All => Op::Survey,
    }
}

fn attach_op(random: &mut Random, view: &View) -> Op {
    let slot = empty_slot(random, view);
    // Seldom: it costs as much as ten sequences.
    if let Some(op) = crowd(random, view, slot).filter(|_| random.one_of(1, 100)) {
        return op;
    }
    // The queue of an interface that is open: its flags, as they must be.
    if let Some(held) = some_held(random, view).filter(|_| random.one_of(1, 3)) {
        let name = held.name.clone().unwrap_or_else(|| existing(random, view));
        let verb = *random.pick(&[Verb::Open, Verb::OpenOrCreate]);
        return Op::Attach {
            verb,
            slot,
            flags: held.flags & !CreateFlags::TUN_EXCL.bits(),
            name: Some(name),
            also: None,
        };
    }
    let verb = *random.pick(&[Verb::Create, Verb::Create, Verb::Open, Verb::OpenOrCreate]);
    let name = match random.below(24) {
        0 => None,
        1 | 2 => Some((*random.pick(PATTERNS)).to_owned()),
        3 => Some((*random.pick(ODD_NAMES)).to_owned()),
        4..=7 => Some(existing(random, view)),
        _ => Some((*random.pick(NAMES)).to_owned()),
    };
    let flags = flags(random, view);
    Op::Attach { verb, slot, flags, name, also: also(random, view, flags) }
}

/// What options say beside flags and name, now and then.
fn also(random: &mut Random, view: &View, flags: u16) -> Option<Also> {
    match random.below(40) {
        // Where an interface was moved away, another one of its name and index would be taken for it, as the
        // documentation says.
        0..=3 => (!view.moved).then(|| Also::Index(*random.pick(INDICES))),
        4 => Some(Also::Offloads(*random.pick(OFFLOADS))),
        // It makes the header one of the options.
        5 if flags & CreateFlags::VNET_HDR.bits() != 0 => Some(Also::VnetFormat(vnet_format(random))),
        6 => Some(Also::Mtu(*random.pick(MTUS))),
        _ => None,
    }
}

fn vnet_format(random: &mut Random) -> VnetFormat {
    VnetFormat::new(*random.pick(VNET_LENGTHS), *random.pick(ENDIANS))
}

/// More queues for a multi-queue interface that is open.
fn crowd(random: &mut Random, view: &View, slot: usize) -> Option<Op> {
    let held = some_held(random, view)?;
    let name = held.name.clone().filter(|_| held.flags & CreateFlags::MULTI_QUEUE.bits() != 0)?;
    Some(Op::Crowd { slot, flags: held.flags & !CreateFlags::TUN_EXCL.bits(), name })
}

/// A layer, and each of the others now and then. `NAPI_FRAGS` only where it is refused: it takes the
/// capability in the first user namespace, and the comparison is in another, where it has other users.
fn flags(random: &mut Random, view: &View) -> u16 {
    let mut flags = if random.one_of(1, 2) { CreateFlags::TUN } else { CreateFlags::TAP };
    for (flag, times) in [
        (CreateFlags::NO_PI, 6),
        (CreateFlags::VNET_HDR, 3),
        (CreateFlags::MULTI_QUEUE, 4),
        (CreateFlags::ONE_QUEUE, 1),
        (CreateFlags::TUN_EXCL, 1),
        (CreateFlags::NAPI, 2),
        (CreateFlags::NO_CARRIER, 1),
    ] {
        flags.set(flag, random.one_of(times, 10));
    }
    if !view.capable && random.one_of(1, 10) {
        flags.set(CreateFlags::NAPI | CreateFlags::NAPI_FRAGS, true);
    }
    flags.bits()
}

fn patience(random: &mut Random) -> Patience {
    let among = [
        (6, Patience::None),
        (1, Patience::NoTime),
        (1, Patience::Interruptible { used: false }),
        (1, Patience::Interruptible { used: true }),
    ];
    random.weighted(&among).unwrap_or(Patience::None)
}

fn device(random: &mut Random, view: &View) -> Op {
    let slot = full_slot(random, view);
    let held = view.slots[slot].as_ref();
    let flags = CreateFlags::from_bits_truncate(held.map_or(0, |held| held.flags));
    let is_tun = flags.contains(CreateFlags::TUN);
    let readable = held.is_some_and(|held| held.poll.readable);
    if flags.contains(CreateFlags::MULTI_QUEUE) && random.one_of(1, 12) {
        return Op::Reply { slot, flow: u8::try_from(random.below(4)).unwrap_or_default() };
    }
    if random.one_of(if is_tun { 1 } else { 8 }, 100) {
        return filter(random, slot);
    }
    match random.below(100) {
        0..=25 => {
            let packet = packets::to_send(random, flags, held.map_or(0, |held| held.vnet));
            let cuts = match random.below(80) {
                // As many as a call takes, or one more.
                0 => Some(vec![0; 1023 + random.below(2)]),
                1..=20 => Some(cuts(random, packet.len())),
                _ => None,
            };
            Op::Send { slot, packet, cuts }
        }
        26..=47 => Op::Receive { slot, room: room(random, readable), patience: patience(random) },
        48..=53 if flags.contains(CreateFlags::VNET_HDR) => {
            offloads(random, slot, held.map_or(0, |held| held.vnet))
        }
        48..=51 if random.one_of(1, 8) => offloads(random, slot, 0),
        48..=54 => {
            let count = if random.one_of(1, 20) { 1023 + random.below(3) } else { random.below(4) };
            let rooms = (0..count).map(|_| room(random, readable) / 2).collect();
            Op::ReceiveVectored { slot, rooms }
        }
        55 => Op::Listen { slot, patience: patience(random) },
        56..=58 => {
            let readiness = *random.pick(&[Readiness::Readable, Readiness::Writable]);
            Op::Wait { slot, readiness }
        }
        59..=61 => Op::Name { slot },
        62..=66 => Op::SetPersist { slot, on: random.one_of(2, 3) },
        67..=69 => Op::SetOwner { slot, id: id(random) },
        70..=72 => Op::SetGroup { slot, id: id(random) },
        73..=78 => Op::Queue { slot, attached: random.one_of(1, 2) },
        79..=84 => Op::Up { slot, address: address(random, is_tun) },
        85..=86 => Op::Down { slot },
        87..=90 => {
            let state = if random.one_of(3, 4) { State::Up } else { State::Down };
            Op::Interface { on: On::Slot(slot), call: InterfaceCall::SetState(state) }
        }
        91..=93 => Op::Duplicate { from: slot, to: empty_slot(random, view) },
        94..=95 => Op::HandOver { slot },
        96..=97 => Op::Close { slot },
        _ => Op::Destroy { slot },
    }
}

/// Offloads and the header that says what is left to do, which now has so many bytes.
fn offloads(random: &mut Random, slot: usize, vnet: usize) -> Op {
    match random.below(4) {
        0 => Op::Offloads { slot },
        1 => Op::SetVnetFormat { slot, format: vnet_format(random) },
        // Those of tunnels need the longest header.
        _ if vnet == VnetLength::Tunnel.bytes() && random.one_of(1, 2) => Op::SetOffloads {
            slot,
            offloads: *random.pick(&[Offloads::UDP_TUNNEL, Offloads::UDP_TUNNEL_CHECKSUM]),
        },
        _ => Op::SetOffloads { slot, offloads: *random.pick(OFFLOADS) },
    }
}

/// A filter of a tap: a program of any kind, one that keeps something at least, MAC addresses, or none.
fn filter(random: &mut Random, slot: usize) -> Op {
    const MACS: &[[u8; 6]] = &[[0xff; 6], [2, 0, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 9], [2; 6]];
    let chosen = |text| Filter::parse(Layer::Tap, text).map(|filter| filter.program().clone()).ok();
    match random.below(8) {
        0 => Op::Filter { slot, program: None },
        1 => Op::MacFilter { slot, filter: None },
        2..=3 => Op::Filter { slot, program: Some(programs::valid(random.next(), 0)) },
        4..=5 => {
            let text = *random.pick(&["ip", "ip6", "not arp", "less 40", "net 10.99.0.0/31"]);
            Op::Filter { slot, program: chosen(text) }
        }
        _ => {
            let filter = (0..random.below(3)).fold(MacFilter::of(*random.pick(MACS)), |filter, _| {
                filter.clone().and(*random.pick(MACS)).unwrap_or(filter)
            });
            let filter = if random.one_of(1, 4) { filter.and_all_groups() } else { filter };
            Op::MacFilter { slot, filter: Some(filter) }
        }
    }
}

fn interface(random: &mut Random, view: &View) -> Op {
    let (on, name) = if random.one_of(1, 2) && view.slots.iter().any(Option::is_some) {
        let slot = full_slot(random, view);
        (On::Slot(slot), view.slots[slot].as_ref().and_then(|held| held.name.clone()).unwrap_or_default())
    } else {
        let odd = random.one_of(1, 12);
        let name = if odd { (*random.pick(&["lo", "nix"])).to_owned() } else { existing(random, view) };
        (On::Name(name.clone()), name)
    };
    if random.one_of(1, 20) {
        return Op::Move { on };
    }
    let call = if name.is_empty() {
        InterfaceCall::draw_for_a_gone_one(random)
    } else {
        InterfaceCall::draw(random, known(view, &name))
    };
    Op::Interface { on, call }
}

fn system(random: &mut Random, view: &View) -> System {
    let name = existing(random, view);
    match random.below(40) {
        0 => System::Delete { name },
        1..=3 => {
            let to = (*random.pick(NAMES)).to_owned();
            System::Rename { from: name, to }
        }
        4 if random.one_of(1, 2) => System::Move { name },
        4..=13 => System::SetUp { name, up: random.one_of(4, 5) },
        _ => {
            let is_tun = known(view, &name).is_some_and(|known| known.is_tun);
            // Seldom enough to fill a queue of 500, or of 1000.
            let times = *random.weighted(&[(100, &1), (10, &2), (1, &503), (1, &1002)]).unwrap_or(&1);
            System::Inject { packet: packets::to_inject(random, is_tun), name, times }
        }
    }
}

fn caller(random: &mut Random) -> Caller {
    if random.one_of(1, 2) {
        return Caller::ROOT;
    }
    Caller { uid: *random.pick(IDS), gid: *random.pick(IDS), capable: random.one_of(1, 4) }
}

fn id(random: &mut Random) -> u32 {
    if random.one_of(1, 10) { UNMAPPED } else { *random.pick(IDS) }
}

/// Bytes to receive into: enough for all, or around the headers.
fn room(random: &mut Random, readable: bool) -> usize {
    if random.one_of(if readable { 2 } else { 1 }, 3) { 2048 } else { random.below(48) }
}

fn cuts(random: &mut Random, length: usize) -> Vec<usize> {
    (0..random.below(4)).map(|_| random.below((length + 1).min(40))).collect()
}

/// Most often an interface that exists.
fn existing(random: &mut Random, view: &View) -> String {
    if view.interfaces.is_empty() || random.one_of(1, 16) {
        (*random.pick(NAMES)).to_owned()
    } else {
        random.pick(&view.interfaces).name.clone()
    }
}

fn known<'a>(view: &'a View, name: &str) -> Option<&'a Known> {
    view.interfaces.iter().find(|known| known.name == name)
}

fn some_held<'a>(random: &mut Random, view: &'a View) -> Option<&'a Held> {
    view.slots[full_slot(random, view)].as_ref()
}

fn full_slot(random: &mut Random, view: &View) -> usize {
    slot_where(random, |slot| view.slots[slot].is_some())
}

fn empty_slot(random: &mut Random, view: &View) -> usize {
    slot_where(random, |slot| view.slots[slot].is_none())
}

/// Any slot, if there is none of that kind.
fn slot_where(random: &mut Random, is_wanted: impl Fn(usize) -> bool) -> usize {
    let wanted: Vec<usize> = (0..SLOTS).filter(|&slot| is_wanted(slot)).collect();
    if wanted.is_empty() { random.below(SLOTS) } else { *random.pick(&wanted) }
}
