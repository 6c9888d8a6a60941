//! The two sides, and where they part.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tunctl_conformance::Harness;

use crate::differential::generate;
use crate::differential::op::{Op, SLOTS};
use crate::differential::random::Random;
use crate::differential::seen::{Answer, Seen};
use crate::differential::table::Tally;
use crate::differential::world::World;

/// How fresh systems are made, one of each side.
pub(crate) struct Pair<M, K> {
    pub(crate) model: fn() -> M,
    pub(crate) kernel: fn() -> K,
}

/// Where the sides part.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// The operations up to the one after which they differ.
    pub(crate) ops: Vec<Op>,
    /// What the kernel showed after each.
    pub(crate) kernel: Vec<Seen>,
    /// What the model showed after the last.
    pub(crate) model: Seen,
}

impl Difference {
    fn last(&self) -> Option<(&Op, &Seen)> {
        self.ops.last().zip(self.kernel.last())
    }

    /// What differs, without particulars: two differences of one kind most likely have one reason.
    pub(crate) fn kind(&self) -> String {
        let Some((op, kernel)) = self.last() else { return String::new() };
        let row = op.row();
        if kernel.answer != self.model.answer {
            let (kernel, model) = (&kernel.answer, &self.model.answer);
            let told = |answer: &Answer| match answer.refusal() {
                Some(refusal) => format!("{refusal:?}"),
                None => answer.label(),
            };
            format!("{row}: kernel {}, model {}", told(kernel), told(model))
        } else if kernel.polls != self.model.polls {
            format!("{row}, {}: poll", kernel.answer.label())
        } else if kernel.counted != self.model.counted {
            format!("{row}, {}: counters", kernel.answer.label())
        } else if kernel.received != self.model.received {
            format!("{row}, {}: received", kernel.answer.label())
        } else {
            format!("{row}, {}: events", kernel.answer.label())
        }
    }
}

impl<M: Harness, K: Harness> Pair<M, K> {
    /// Runs a sequence that grows as it goes; the first difference.
    ///
    /// One side runs after the other, not in step, so that both may be kernels: a process is in one namespace
    /// at a time.
    pub(crate) fn explore(
        &self,
        random: &mut Random,
        length: usize,
        tally: &mut Tally,
    ) -> Option<Difference> {
        let mut model = World::new((self.model)());
        let (mut ops, mut expected, mut met) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..length {
            let op = if step + 1 == length { Op::Survey } else { generate::next(random, &model.view()) };
            met.push(model.meets_a_device(&op));
            expected.push(run(&mut model, &op));
            ops.push(op);
        }
        model.abandon();
        let mut is_met = met.into_iter();
        self.against_kernel(&ops, expected, |op, seen| {
            tally.add(op, &seen.answer, is_met.next().unwrap_or_default());
        })
    }

    /// Runs these operations; the first difference.
    pub(crate) fn replay(&self, ops: &[Op]) -> Option<Difference> {
        let mut model = World::new((self.model)());
        let expected = ops.iter().map(|op| run(&mut model, op)).collect();
        model.abandon();
        self.against_kernel(ops, expected, |_, _| {})
    }

    fn against_kernel(
        &self,
        ops: &[Op],
        expected: Vec<Seen>,
        mut count: impl FnMut(&Op, &Seen),
    ) -> Option<Difference> {
        let mut kernel = World::new((self.kernel)());
        let mut shown = Vec::new();
        for (op, model) in ops.iter().zip(expected) {
            let seen = run(&mut kernel, op);
            count(op, &seen);
            let differs = seen != model;
            shown.push(seen);
            if differs {
                kernel.abandon();
                return Some(Difference { ops: ops[..shown.len()].to_vec(), kernel: shown, model });
            }
        }
        kernel.abandon();
        None
    }
}

/// A panic is an answer: a wrong one, that shall be shrunk like any other.
fn run<H: Harness>(world: &mut World<H>, op: &Op) -> Seen {
    catch_unwind(AssertUnwindSafe(|| world.run(op))).unwrap_or_else(|panic| {
        let answer = Answer::Panicked(message(panic.as_ref()));
        Seen {
            answer,
            polls: [None; SLOTS],
            counted: [None; SLOTS],
            received: Vec::new(),
            events: Vec::new(),
        }
    })
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
