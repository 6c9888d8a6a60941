//! Why instructions are no program.

use core::fmt;

/// The instruction that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvalidProgram {
    /// The place of the instruction, from 0.
    pub at: usize,
    /// The rule.
    pub problem: Problem,
}

/// A rule that a program breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There are no instructions, or more than [`MAX_INSTRUCTIONS`](super::MAX_INSTRUCTIONS).
    #[error("a program has 1 to 4096 instructions")]
    Length,
    /// No operation has the code.
    #[error("no operation has this code")]
    UnknownCode,
    /// A load from a fixed negative offset, by which Linux lends data that is not in the packet.
    #[doc(alias = "SKF_AD_OFF")]
    #[error("it loads from a negative offset, which is not in the packet")]
    NegativeOffset,
    /// A division by a constant zero, or its remainder.
    #[error("it divides by zero")]
    ZeroDivisor,
    /// A shift by a constant of 32 bits or more.
    #[error("it shifts by more than 31 bits")]
    LongShift,
    /// The memory has 16 words.
    #[doc(alias = "BPF_MEMWORDS")]
    #[error("there are 16 words of memory")]
    NoSuchWord,
    /// It loads a word of memory that was not stored before on each way to it.
    #[error("it loads a word of memory that may not have been stored")]
    NotStored,
    /// It jumps past the last instruction.
    #[error("it jumps past the end of the program")]
    JumpTooFar,
    /// The last instruction does not return.
    #[error("the last instruction must return")]
    NoReturn,
}

/// `instruction 3: it divides by zero`.
impl fmt::Display for InvalidProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.at, self.problem)
    }
}

impl core::error::Error for InvalidProgram {}
