//! From a long sequence that ends in a difference to a short one.

use crate::differential::op::{Caller, Op, Patience, System};

/// Shrinks a sequence for which `still_differs`, which replays it on both sides, `budget` times at most.
pub(crate) fn shrink(ops: Vec<Op>, budget: usize, still_differs: &mut dyn FnMut(&[Op]) -> bool) -> Vec<Op> {
    let mut search = Search { ops, left: budget, still_differs };
    search.leave_out();
    search.simplify();
    // Simpler operations may have made others superfluous.
    search.leave_out();
    search.ops
}

struct Search<'a> {
    ops: Vec<Op>,
    left: usize,
    still_differs: &'a mut dyn FnMut(&[Op]) -> bool,
}

impl Search<'_> {
    /// Takes a candidate if it still differs.
    fn try_out(&mut self, candidate: Vec<Op>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let differs = (self.still_differs)(&candidate);
        if differs {
            self.ops = candidate;
        }
        differs
    }

    /// Leaves out stretches, long ones first.
    fn leave_out(&mut self) {
        let mut length = self.ops.len() / 2;
        while length > 0 {
            let mut start = 0;
            while start < self.ops.len() && self.left > 0 {
                let end = (start + length).min(self.ops.len());
                let candidate = [&self.ops[..start], &self.ops[end..]].concat();
                if candidate.is_empty() || !self.try_out(candidate) {
                    start += length;
                }
            }
            length /= 2;
        }
    }

    fn simplify(&mut self) {
        let mut at = 0;
        while at < self.ops.len() && self.left > 0 {
            let simpler = simpler(&self.ops[at]);
            let taken = simpler.into_iter().any(|op| {
                let mut candidate = self.ops.clone();
                candidate[at] = op;
                self.try_out(candidate)
            });
            if !taken {
                at += 1;
            }
        }
    }
}

/// Simpler forms of an operation, the simplest first. None is as complicated as the operation, so this comes
/// to an end.
fn simpler(op: &Op) -> Vec<Op> {
    match op {
        Op::Send { slot, packet, cuts } => {
            let with = |packet, cuts| Op::Send { slot: *slot, packet, cuts };
            let whole = cuts.is_some().then(|| with(packet.clone(), None));
            whole
                .into_iter()
                .chain(shorter(packet).into_iter().map(|packet| with(packet, cuts.clone())))
                .collect()
        }
        Op::ReceiveVectored { slot, rooms } => {
            vec![Op::Receive { slot: *slot, room: rooms.iter().sum(), patience: Patience::None }]
        }
        Op::Receive { slot, room, patience } if *room > 100 || *patience != Patience::None => {
            let with = |room, patience| Op::Receive { slot: *slot, room, patience };
            let shorter = (*room > 100).then(|| with(100, *patience));
            let plainer = (*patience != Patience::None).then(|| with(*room, Patience::None));
            shorter.into_iter().chain(plainer).collect()
        }
        Op::Attach { verb, slot, flags, name, also } => {
            let with = |flags, also| Op::Attach { verb: *verb, slot: *slot, flags, name: name.clone(), also };
            let plainer = also.map(|_| with(*flags, None));
            let fewer = single_bits(*flags).map(|bit| with(flags & !bit, *also));
            plainer.into_iter().chain(fewer).collect()
        }
        Op::Caller(caller) if *caller != Caller::ROOT => {
            let Caller { uid, gid, .. } = *caller;
            let plainer = [Caller::ROOT, Caller { uid: 0, ..*caller }, Caller { gid: 0, ..*caller }];
            let plainer = plainer.into_iter().filter(|plain| plain != caller && (uid != 0 || plain.uid == 0));
            plainer.filter(|plain| gid != 0 || plain.gid == 0).map(Op::Caller).collect()
        }
        Op::System(System::Inject { name, packet, times }) => {
            let with = |packet, times| Op::System(System::Inject { name: name.clone(), packet, times });
            // The queue of a tun holds 500 packets.
            let fewer = [1, 499, 500, 501].into_iter().filter(|fewer| fewer < times);
            // An empty packet, or half a frame, cannot be injected.
            let shorter = shorter(packet).into_iter().filter(|packet| packet.len() >= 20);
            let shorter = shorter.map(|packet| with(packet, *times));
            fewer.map(|fewer| with(packet.clone(), fewer)).chain(shorter).collect()
        }
        _ => Vec::new(),
    }
}

/// The optional flags that are set. (The layer is no option.)
fn single_bits(flags: u16) -> impl Iterator<Item = u16> {
    [0x0010, 0x0040, 0x0100, 0x2000, 0x4000, 0x8000].into_iter().filter(move |bit| flags & bit != 0)
}

fn shorter(packet: &[u8]) -> Vec<Vec<u8>> {
    let lengths = [packet.len() / 2, packet.len().saturating_sub(8), packet.len().saturating_sub(1)];
    let mut shorter: Vec<Vec<u8>> = lengths
        .into_iter()
        .filter(|&length| length < packet.len())
        .map(|length| packet[..length].to_vec())
        .collect();
    if packet.len() > 40 && packet[40..].iter().any(|&byte| byte != 0) {
        let mut cleared = packet.to_vec();
        cleared[40..].fill(0);
        shorter.push(cleared);
    }
    shorter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::interface_call::InterfaceCall;
    use crate::differential::op::{On, Verb};

    fn create(slot: usize, flags: u16) -> Op {
        Op::Attach { verb: Verb::Create, slot, flags, name: Some("a".into()), also: None }
    }

    fn noise() -> Vec<Op> {
        (0..30).map(|slot| Op::Name { slot: slot % 6 }).collect()
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let mut ops = noise();
        ops.insert(7, create(0, 0x1001));
        ops.push(Op::Interface { on: On::Slot(0), call: InterfaceCall::Delete });
        // A fake pair of worlds: they differ once a created device is deleted.
        let mut differs = |ops: &[Op]| {
            let made = ops.iter().position(|op| *op == create(0, 0x1001));
            let deleted =
                ops.iter().position(|op| matches!(op, Op::Interface { call: InterfaceCall::Delete, .. }));
            made.zip(deleted).is_some_and(|(made, deleted)| made < deleted)
        };
        let short = shrink(ops, 1000, &mut differs);
        assert_eq!(
            short,
            [create(0, 0x1001), Op::Interface { on: On::Slot(0), call: InterfaceCall::Delete }]
        );
    }

    #[test]
    fn arguments_become_simple() {
        let ops = vec![
            create(1, 0x6101),
            Op::Caller(Caller { uid: 4001, gid: 4002, capable: false }),
            Op::Send { slot: 1, packet: vec![7; 90], cuts: Some(vec![3, 5]) },
        ];
        // They differ on any packet of at least 10 bytes, from any device with a virtio-net header.
        let mut differs = |ops: &[Op]| {
            let device = ops.iter().any(|op| matches!(op, Op::Attach { flags, .. } if flags & 0x4000 != 0));
            device && ops.iter().any(|op| matches!(op, Op::Send { packet, .. } if packet.len() >= 10))
        };
        let short = shrink(ops, 1000, &mut differs);
        assert_eq!(short, [create(1, 0x4001), Op::Send { slot: 1, packet: vec![7; 10], cuts: None }]);
    }

    #[test]
    fn the_budget_is_kept() {
        let mut replays = 0;
        let mut differs = |_: &[Op]| {
            replays += 1;
            false
        };
        assert_eq!(shrink(noise(), 12, &mut differs).len(), 30);
        assert_eq!(replays, 12);
    }

    #[test]
    fn simplifying_comes_to_an_end() {
        let mut ops = vec![
            create(0, 0xe101),
            Op::Caller(Caller { uid: 4001, gid: 4001, capable: true }),
            Op::Send { slot: 0, packet: vec![1; 3000], cuts: Some(Vec::new()) },
            Op::System(System::Inject { name: "a".into(), packet: vec![1; 300], times: 600 }),
        ];
        for _ in 0..200 {
            ops = ops.into_iter().map(|op| simpler(&op).pop().unwrap_or(op)).collect();
        }
        let total: usize = ops.iter().map(|op| simpler(op).len()).sum();
        let mut rounds = 0;
        while rounds < 4000 && ops.iter().any(|op| !simpler(op).is_empty()) {
            ops = ops.into_iter().map(|op| simpler(&op).pop().unwrap_or(op)).collect();
            rounds += 1;
        }
        assert!(rounds < 4000, "{total} {ops:?}");
    }
}
