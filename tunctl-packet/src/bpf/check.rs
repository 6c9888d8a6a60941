//! The rules by which the kernel accepts a program.

use alloc::vec;
use alloc::vec::Vec;

use super::step::{Arithmetic, Operand, Step, Value};
use super::{Instruction, InvalidProgram, MAX_INSTRUCTIONS, Problem};

/// The number of words of memory.
pub(super) const MEMORY: usize = 16;

/// Decodes instructions, and checks them as `bpf_check_classic` does (Linux 6.18).
pub(super) fn steps(instructions: &[Instruction]) -> Result<Vec<Step>, InvalidProgram> {
    let length = instructions.len();
    if !(1..=MAX_INSTRUCTIONS).contains(&length) {
        return Err(InvalidProgram { at: length.min(MAX_INSTRUCTIONS), problem: Problem::Length });
    }
    let mut steps = Vec::with_capacity(length);
    for (at, &instruction) in instructions.iter().enumerate() {
        let step = Step::decode(instruction).ok_or(InvalidProgram { at, problem: Problem::UnknownCode })?;
        check(step, length - at - 1).map_err(|problem| InvalidProgram { at, problem })?;
        steps.push(step);
    }
    if !matches!(steps.last(), Some(Step::Return(_))) {
        return Err(InvalidProgram { at: length - 1, problem: Problem::NoReturn });
    }
    check_memory(&steps)?;
    Ok(steps)
}

/// Checks a step that so many others follow.
fn check(step: Step, following: usize) -> Result<(), Problem> {
    let is_far = |skipped: u32| usize::try_from(skipped).is_ok_and(|skipped| skipped >= following);
    match step {
        Step::LoadA(Value::Packet { offset, .. }) | Step::LoadX(Value::HeaderLength(offset)) => {
            i32::try_from(offset).map_err(|_| Problem::NegativeOffset)?;
        }
        Step::LoadA(Value::Memory(word))
        | Step::LoadX(Value::Memory(word))
        | Step::StoreA(word)
        | Step::StoreX(word) => {
            let exists = usize::try_from(word).is_ok_and(|word| word < MEMORY);
            return if exists { Ok(()) } else { Err(Problem::NoSuchWord) };
        }
        Step::Calculate(Arithmetic::Divide | Arithmetic::Remainder, Operand::Constant(0)) => {
            return Err(Problem::ZeroDivisor);
        }
        Step::Calculate(Arithmetic::ShiftLeft | Arithmetic::ShiftRight, Operand::Constant(32..)) => {
            return Err(Problem::LongShift);
        }
        Step::Jump(skipped) if is_far(skipped) => return Err(Problem::JumpTooFar),
        Step::Branch { jt, jf, .. } if is_far(jt.max(jf).into()) => return Err(Problem::JumpTooFar),
        _ => {}
    }
    Ok(())
}

/// Checks that each word of memory is stored before it is loaded, as `check_load_and_stores` does
/// (Linux 6.18). That function takes a return for a step that leads to the next one, too, so it refuses some
/// loads that are never reached.
fn check_memory(steps: &[Step]) -> Result<(), InvalidProgram> {
    // For each step, the words that are stored on all ways to it by jumps.
    let mut by_jumps = vec![u16::MAX; steps.len()];
    let mut stored = 0_u16;
    for (at, &step) in steps.iter().enumerate() {
        stored &= by_jumps.get(at).copied().unwrap_or_default();
        let mut jump = |skipped: u32, stored: u16| {
            let target = usize::try_from(skipped).ok().and_then(|skipped| by_jumps.get_mut(at + 1 + skipped));
            if let Some(words) = target {
                *words &= stored;
            }
        };
        match step {
            Step::StoreA(word) | Step::StoreX(word) => stored |= 1 << word,
            Step::LoadA(Value::Memory(word)) | Step::LoadX(Value::Memory(word))
                if stored & (1 << word) == 0 =>
            {
                return Err(InvalidProgram { at, problem: Problem::NotStored });
            }
            Step::Jump(skipped) => {
                jump(skipped, stored);
                // The next step is reached by jumps alone.
                stored = u16::MAX;
            }
            Step::Branch { jt, jf, .. } => {
                jump(jt.into(), stored);
                jump(jf.into(), stored);
                stored = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}
