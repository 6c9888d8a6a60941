//! Instructions, decoded: a code that no operation has cannot be expressed.

use super::Instruction;

/// An instruction, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    LoadA(Value),
    LoadX(Value),
    StoreA(u32),
    StoreX(u32),
    Calculate(Arithmetic, Operand),
    Negate,
    Jump(u32),
    Branch { comparison: Comparison, operand: Operand, jt: u8, jf: u8 },
    Return(Kept),
    AToX,
    XToA,
}

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Constant(u32),
    /// A word of memory.
    Memory(u32),
    /// The length of the packet.
    Length,
    /// Bytes of the packet.
    Packet {
        offset: u32,
        size: Size,
    },
    /// Bytes of the packet, from X bytes further on.
    PacketFromX {
        offset: u32,
        size: Size,
    },
    /// Four times the low nibble of a byte of the packet: the length of an IPv4 header.
    HeaderLength(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Size {
    Byte,
    Half,
    Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Remainder,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operand {
    Constant(u32),
    X,
}

/// A comparison of A, without sign, with an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    AtLeast,
    AnyBit,
}

/// The number of bytes that a program keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    Constant(u32),
    A,
}

/// The parts of a code, as `<linux/bpf_common.h>` names them.
pub(crate) mod code {
    pub(crate) const LD: u16 = 0x00;
    pub(crate) const LDX: u16 = 0x01;
    pub(crate) const ST: u16 = 0x02;
    pub(crate) const STX: u16 = 0x03;
    pub(crate) const ALU: u16 = 0x04;
    pub(crate) const JMP: u16 = 0x05;
    pub(crate) const RET: u16 = 0x06;
    pub(crate) const MISC: u16 = 0x07;

    pub(crate) const W: u16 = 0x00;
    pub(crate) const H: u16 = 0x08;
    pub(crate) const B: u16 = 0x10;

    pub(crate) const IMM: u16 = 0x00;
    pub(crate) const ABS: u16 = 0x20;
    pub(crate) const IND: u16 = 0x40;
    pub(crate) const MEM: u16 = 0x60;
    pub(crate) const LEN: u16 = 0x80;
    pub(crate) const MSH: u16 = 0xa0;

    pub(crate) const ADD: u16 = 0x00;
    pub(crate) const SUB: u16 = 0x10;
    pub(crate) const MUL: u16 = 0x20;
    pub(crate) const DIV: u16 = 0x30;
    pub(crate) const OR: u16 = 0x40;
    pub(crate) const AND: u16 = 0x50;
    pub(crate) const LSH: u16 = 0x60;
    pub(crate) const RSH: u16 = 0x70;
    pub(crate) const NEG: u16 = 0x80;
    pub(crate) const MOD: u16 = 0x90;
    pub(crate) const XOR: u16 = 0xa0;

    pub(crate) const JA: u16 = 0x00;
    pub(crate) const JEQ: u16 = 0x10;
    pub(crate) const JGT: u16 = 0x20;
    pub(crate) const JGE: u16 = 0x30;
    pub(crate) const JSET: u16 = 0x40;

    pub(crate) const K: u16 = 0x00;
    pub(crate) const X: u16 = 0x08;
    pub(crate) const A: u16 = 0x10;

    pub(crate) const TAX: u16 = 0x00;
    pub(crate) const TXA: u16 = 0x80;
}

impl Step {
    /// Decodes an instruction; `None` if no operation has its code. The codes are those of
    /// `chk_code_allowed` (Linux 6.18).
    pub(super) fn decode(instruction: Instruction) -> Option<Step> {
        use code::*;
        let Instruction { code, jt, jf, k } = instruction;
        let (class, rest) = (code & 0x07, code & !0x07);
        let operand = if rest & X == 0 { Operand::Constant(k) } else { Operand::X };
        Some(match (class, rest) {
            (LD, _) => Step::LoadA(Value::decode(rest, k)?),
            (LDX, _) if rest == B | MSH => Step::LoadX(Value::HeaderLength(k)),
            (LDX, _) if [IMM, MEM, LEN].contains(&rest) => Step::LoadX(Value::decode(rest, k)?),
            (ST, 0) => Step::StoreA(k),
            (STX, 0) => Step::StoreX(k),
            (ALU, NEG) => Step::Negate,
            (ALU, _) => Step::Calculate(Arithmetic::decode(rest & !X)?, operand),
            (JMP, JA) => Step::Jump(k),
            (JMP, _) => Step::Branch { comparison: Comparison::decode(rest & !X)?, operand, jt, jf },
            (RET, K) => Step::Return(Kept::Constant(k)),
            (RET, A) => Step::Return(Kept::A),
            (MISC, TAX) => Step::AToX,
            (MISC, TXA) => Step::XToA,
            _ => return None,
        })
    }
}

impl Value {
    /// What a load into A loads.
    fn decode(rest: u16, k: u32) -> Option<Value> {
        use code::*;
        let size = match rest & (H | B) {
            W => Size::Word,
            H => Size::Half,
            B => Size::Byte,
            _ => return None,
        };
        match (rest & !(H | B), size) {
            (ABS, _) => Some(Value::Packet { offset: k, size }),
            (IND, _) => Some(Value::PacketFromX { offset: k, size }),
            (IMM, Size::Word) => Some(Value::Constant(k)),
            (MEM, Size::Word) => Some(Value::Memory(k)),
            (LEN, Size::Word) => Some(Value::Length),
            _ => None,
        }
    }
}

impl Arithmetic {
    fn decode(operation: u16) -> Option<Arithmetic> {
        use code::*;
        Some(match operation {
            ADD => Arithmetic::Add,
            SUB => Arithmetic::Subtract,
            MUL => Arithmetic::Multiply,
            DIV => Arithmetic::Divide,
            OR => Arithmetic::Or,
            AND => Arithmetic::And,
            LSH => Arithmetic::ShiftLeft,
            RSH => Arithmetic::ShiftRight,
            MOD => Arithmetic::Remainder,
            XOR => Arithmetic::Xor,
            _ => return None,
        })
    }
}

impl Comparison {
    fn decode(operation: u16) -> Option<Comparison> {
        use code::*;
        Some(match operation {
            JEQ => Comparison::Equal,
            JGT => Comparison::Greater,
            JGE => Comparison::AtLeast,
            JSET => Comparison::AnyBit,
            _ => return None,
        })
    }
}
