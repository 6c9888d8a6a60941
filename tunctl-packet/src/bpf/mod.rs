//! Classic BPF: programs that decide how much of a packet is kept.
//!
//! A [`Program`] is what a [`Filter`](crate::Filter) compiles to, what a kernel runs on the packets of an
//! interface or a socket, and what [`Program::run`] runs here. The kernel accepts every [`Program`], because
//! it is checked by the kernel's own rules when it is made.
//!
//! ```
//! use tunctl_packet::bpf::{Instruction, Program};
//!
//! // Keep 64 bytes of each ARP message, and nothing else.
//! let program = Program::new(vec![
//!     Instruction { code: 0x28, jt: 0, jf: 0, k: 12 },     // ldh [12]
//!     Instruction { code: 0x15, jt: 0, jf: 1, k: 0x0806 }, // jeq #0x806
//!     Instruction { code: 0x06, jt: 0, jf: 0, k: 64 },     // ret #64
//!     Instruction { code: 0x06, jt: 0, jf: 0, k: 0 },      // ret #0
//! ])?;
//! let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x08, 0x06], &[0; 28]].concat();
//! assert_eq!(program.run(&arp), 64);
//! assert_eq!(program.run(&arp[..13]), 0, "a load past the end of the packet drops it");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is left out
//!
//! Linux also has loads from negative offsets: the packet's mark, its VLAN tag, a random number, … These are
//! not in the packet's bytes, so a program that contains one is [refused](Problem::NegativeOffset). A
//! negative offset that a program computes counts as one past the end of the packet; on Linux, some of them
//! count from the start of a header.
//!
//! Manual page: `bpf(4)` of the BSDs describes the instructions; Linux's are in its
//! `Documentation/networking/filter.rst`.

mod check;
mod error;
mod run;
mod step;

use alloc::vec::Vec;

pub use error::{InvalidProgram, Problem};
pub(crate) use run::load;
use step::Step;
pub(crate) use step::{Comparison, Size, code};

/// The largest number of instructions in a program.
#[doc(alias = "BPF_MAXINSNS")]
pub const MAX_INSTRUCTIONS: usize = 4096;

/// One instruction.
///
/// The fields are those of the C type. `jt` and `jf` count instructions from the next one.
#[doc(alias = "struct sock_filter")]
#[doc(alias = "struct bpf_insn")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions a conditional jump skips if its condition is true.
    pub jt: u8,
    /// How many instructions a conditional jump skips if its condition is false.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A program that a kernel accepts.
#[doc(alias = "struct sock_fprog")]
#[doc(alias = "struct bpf_program")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    instructions: Vec<Instruction>,
    /// The same instructions, decoded. Each jump leads to a step, and the last step returns.
    steps: Vec<Step>,
}

impl Program {
    /// Checks the instructions by the rules of Linux (`bpf_check_classic`, Linux 6.18).
    ///
    /// # Errors
    ///
    /// The first instruction that breaks a rule, and [the rule](Problem).
    pub fn new(instructions: Vec<Instruction>) -> Result<Program, InvalidProgram> {
        let steps = check::steps(&instructions)?;
        Ok(Program { instructions, steps })
    }

    /// The instructions, in order.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Runs the program on a packet. Returns how many bytes of the packet it keeps, which may be more than
    /// there are; 0 if it drops the packet.
    ///
    /// As in the kernel, a load past the end of the packet or a division by zero drops the packet, and the
    /// registers are 0 at the start. A program only jumps forward, so it ends.
    #[must_use]
    pub fn run(&self, packet: &[u8]) -> u32 {
        run::run(&self.steps, packet)
    }
}
