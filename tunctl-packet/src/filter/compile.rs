//! From the tree of an expression to a program.

use alloc::vec::Vec;

use super::condition::{Condition, Source, Test};
use crate::bpf::{Comparison, Instruction, Size, code};

/// What a program returns to keep the whole packet.
const WHOLE: u32 = u32::MAX;

/// The most instructions that a conditional jump skips.
const NEAR: usize = u8::MAX as usize;

/// Compiles the tree to instructions that keep a packet, or drop it.
pub(super) fn instructions(condition: &Condition) -> Vec<Instruction> {
    let mut code = Code::default();
    let drop = code.push(code::RET | code::K, 0);
    let keep = code.push(code::RET | code::K, WHOLE);
    let entry = code.emit(condition, keep, drop);
    if entry != code.next() {
        code.jump(entry);
    }
    code.reversed.reverse();
    code.reversed
}

/// Instructions from the last one to the first, because jumps lead forward only: so where a jump leads to is
/// known when it is written.
#[derive(Default)]
struct Code {
    reversed: Vec<Instruction>,
    /// Unconditional jumps, each with where it leads to and where it is.
    jumps: Vec<(Label, Label)>,
}

/// An instruction, by the number of instructions from it to the end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Label(usize);

impl Code {
    /// The instruction that was written last, and so is the next one behind what is written now.
    fn next(&self) -> Label {
        Label(self.reversed.len())
    }

    fn push(&mut self, code: u16, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt: 0, jf: 0, k });
        self.next()
    }

    /// How many instructions a jump that is written now skips.
    fn skipped(&self, target: Label) -> usize {
        self.reversed.len() - target.0
    }

    fn jump(&mut self, target: Label) -> Label {
        let skipped = u32::try_from(self.skipped(target)).unwrap_or(u32::MAX);
        let label = self.push(code::JMP | code::JA, skipped);
        self.jumps.push((target, label));
        label
    }

    /// The target, or a jump to it, so that a conditional jump reaches it.
    fn near(&mut self, target: Label) -> Label {
        if self.skipped(target) <= NEAR {
            return target;
        }
        // The nearest jump to it is the last that was written.
        let found = self.jumps.iter().rev().find(|(to, _)| *to == target);
        match found {
            Some(&(_, jump)) if self.skipped(jump) <= NEAR => jump,
            _ => self.jump(target),
        }
    }

    /// Writes what leads to `yes` if the condition is true, and otherwise to `no`. Returns its first
    /// instruction.
    fn emit(&mut self, condition: &Condition, yes: Label, no: Label) -> Label {
        match condition {
            Condition::Always => yes,
            Condition::Never => no,
            Condition::Not(inner) => self.emit(inner, no, yes),
            Condition::All(all) => all.iter().rev().fold(yes, |yes, one| self.emit(one, yes, no)),
            Condition::Any(any) => any.iter().rev().fold(no, |no, one| self.emit(one, yes, no)),
            Condition::Test(test) => self.test(test, yes, no),
        }
    }

    fn test(&mut self, test: &Test, yes: Label, no: Label) -> Label {
        // One of the two is the next instruction, or both are the same: so a jump that is put in between for
        // the second does not put the first out of reach.
        let (yes, no) = (self.near(yes), self.near(no));
        let [jt, jf] = [yes, no].map(|target| u8::try_from(self.skipped(target)).unwrap_or(u8::MAX));
        let code = code::JMP | code::K | of_comparison(test.comparison);
        self.reversed.push(Instruction { code, jt, jf, k: test.value });
        if test.mask != u32::MAX {
            self.push(code::ALU | code::AND | code::K, test.mask);
        }
        match test.source {
            Source::Length => self.push(code::LD | code::W | code::LEN, 0),
            Source::Packet { offset, size } => self.push(code::LD | code::ABS | of_size(size), offset),
            Source::BehindIpv4 { header, offset } => {
                self.push(code::LD | code::IND | code::H, header + offset);
                self.push(code::LDX | code::B | code::MSH, header)
            }
        }
    }
}

const fn of_comparison(comparison: Comparison) -> u16 {
    match comparison {
        Comparison::Equal => code::JEQ,
        Comparison::Greater => code::JGT,
        Comparison::AtLeast => code::JGE,
        Comparison::AnyBit => code::JSET,
    }
}

const fn of_size(size: Size) -> u16 {
    match size {
        Size::Byte => code::B,
        Size::Half => code::H,
        Size::Word => code::W,
    }
}
