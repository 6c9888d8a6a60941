//! The interpreter.

use super::check::MEMORY;
use super::step::{Arithmetic, Comparison, Kept, Operand, Size, Step, Value};

/// The registers and the memory of a program that runs.
struct Machine<'a> {
    packet: &'a [u8],
    a: u32,
    x: u32,
    memory: [u32; MEMORY],
}

/// Runs checked steps on a packet; returns how many bytes they keep.
pub(super) fn run(steps: &[Step], packet: &[u8]) -> u32 {
    let mut machine = Machine { packet, a: 0, x: 0, memory: [0; MEMORY] };
    machine.run(steps).unwrap_or(0)
}

impl Machine<'_> {
    /// `None` if a load or a division ends the program.
    fn run(&mut self, steps: &[Step]) -> Option<u32> {
        let mut rest = steps.iter();
        loop {
            match *rest.next()? {
                Step::LoadA(value) => self.a = self.load(value)?,
                Step::LoadX(value) => self.x = self.load(value)?,
                Step::StoreA(word) => *self.word(word)? = self.a,
                Step::StoreX(word) => *self.word(word)? = self.x,
                Step::Calculate(operation, operand) => {
                    self.a = calculate(operation, self.a, self.value(operand))?;
                }
                Step::Negate => self.a = self.a.wrapping_neg(),
                Step::Jump(skipped) => skip(&mut rest, skipped),
                Step::Branch { comparison, operand, jt, jf } => {
                    let is_true = comparison.holds(self.a, self.value(operand));
                    skip(&mut rest, if is_true { jt } else { jf }.into());
                }
                Step::Return(Kept::Constant(kept)) => return Some(kept),
                Step::Return(Kept::A) => return Some(self.a),
                Step::AToX => self.x = self.a,
                Step::XToA => self.a = self.x,
            }
        }
    }

    fn load(&mut self, value: Value) -> Option<u32> {
        match value {
            Value::Constant(constant) => Some(constant),
            Value::Memory(word) => self.word(word).copied(),
            Value::Length => Some(u32::try_from(self.packet.len()).unwrap_or(u32::MAX)),
            Value::Packet { offset, size } => load(self.packet, offset, size),
            Value::PacketFromX { offset, size } => load(self.packet, self.x.wrapping_add(offset), size),
            Value::HeaderLength(offset) => {
                load(self.packet, offset, Size::Byte).map(|byte| (byte & 0x0f) << 2)
            }
        }
    }

    fn word(&mut self, word: u32) -> Option<&mut u32> {
        self.memory.get_mut(usize::try_from(word).ok()?)
    }

    const fn value(&self, operand: Operand) -> u32 {
        match operand {
            Operand::Constant(constant) => constant,
            Operand::X => self.x,
        }
    }
}

fn skip(rest: &mut core::slice::Iter<'_, Step>, skipped: u32) {
    *rest = rest.as_slice().get(skipped as usize..).unwrap_or_default().iter();
}

/// A big-endian number in the packet; `None` if it is not all there, or the offset is negative.
pub(crate) fn load(packet: &[u8], offset: u32, size: Size) -> Option<u32> {
    let start = usize::try_from(i32::try_from(offset).ok()?).ok()?;
    let bytes = packet.get(start..)?;
    Some(match size {
        Size::Byte => u32::from(*bytes.first()?),
        Size::Half => u32::from(u16::from_be_bytes(*bytes.first_chunk()?)),
        Size::Word => u32::from_be_bytes(*bytes.first_chunk()?),
    })
}

/// `None` for a division by zero.
fn calculate(operation: Arithmetic, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        Arithmetic::Add => a.wrapping_add(operand),
        Arithmetic::Subtract => a.wrapping_sub(operand),
        Arithmetic::Multiply => a.wrapping_mul(operand),
        Arithmetic::Divide => a.checked_div(operand)?,
        Arithmetic::Remainder => a.checked_rem(operand)?,
        Arithmetic::Or => a | operand,
        Arithmetic::And => a & operand,
        Arithmetic::Xor => a ^ operand,
        // Of a number of bits in X, only the lowest five count (`___bpf_prog_run`, Linux 6.18).
        Arithmetic::ShiftLeft => a.wrapping_shl(operand),
        Arithmetic::ShiftRight => a.wrapping_shr(operand),
    })
}

impl Comparison {
    /// Whether a register compares so with an operand.
    pub(crate) const fn holds(self, a: u32, operand: u32) -> bool {
        match self {
            Comparison::Equal => a == operand,
            Comparison::Greater => a > operand,
            Comparison::AtLeast => a >= operand,
            Comparison::AnyBit => a & operand != 0,
        }
    }
}
