//! Random programs of classic BPF.

use tunctl_packet::bpf::{Instruction, Program};

use crate::differential::random::Random;

/// The program of this number: valid, and of all operations.
///
/// What it keeps of a packet is from 0 to 63 bytes, so that all bits of its result decide about a length that
/// can be seen.
#[must_use]
pub fn valid(seed: u64, number: u64) -> Program {
    let random = &mut Random::of_case(seed, number);
    loop {
        if let Ok(program) = Program::new(draw(random)) {
            return program;
        }
    }
}

/// The instructions of this number, most of which are no program.
#[must_use]
pub fn any(seed: u64, number: u64) -> Vec<Instruction> {
    let random = &mut Random::of_case(seed, number);
    let mut instructions = valid(seed, number).instructions().to_vec();
    for _ in 0..random.below(3) {
        let at = random.below(instructions.len());
        let instruction = &mut instructions[at];
        match random.below(4) {
            // A code with a bit more or less, or one of another operation.
            0 => instruction.code ^= 1 << random.below(9),
            1 => instruction.code = *random.pick(CODES),
            2 => instruction.jt = random.bytes(1)[0] & 0x1f,
            _ => instruction.k = *random.pick(&[0, 1, 15, 16, 31, 32, 0xffff_f000, u32::MAX]),
        }
    }
    if random.one_of(1, 20) {
        instructions.truncate(random.below(instructions.len()));
    }
    instructions
}

/// Loads, arithmetic and jumps, with a constant or with X, as `<linux/filter.h>` has them.
const CODES: &[u16] = &[
    // ld, ldh, ldb: [k], [x + k]
    0x20, 0x28, 0x30, 0x40, 0x48, 0x50, // ld #k, M[k], #len; ldx #k, M[k], #len, 4*([k]&0xf)
    0x00, 0x60, 0x80, 0x01, 0x61, 0x81, 0xb1, // st, stx
    0x02, 0x03, // add, sub, mul, div, or, and, lsh, rsh, neg, mod, xor
    0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84,
    0x94, 0x9c, 0xa4, 0xac, // ja, jeq, jgt, jge, jset
    0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, // tax, txa
    0x07, 0x87,
];

fn draw(random: &mut Random) -> Vec<Instruction> {
    let plain = |code, k| Instruction { code, jt: 0, jf: 0, k };
    // Whatever is loaded from these words later was stored on every way.
    let mut instructions = vec![plain(0x80, 0), plain(0x02, 0), plain(0x03, 1)];
    let count = 1 + random.below(24);
    for left in (1..=count).rev() {
        let code = *random.pick(CODES);
        // The jump may lead to the end, which begins behind the instructions that are left.
        let skip = |random: &mut Random| u8::try_from(random.below(left.min(8))).unwrap_or_default();
        let (jt, jf) = (skip(random), skip(random));
        let k = operand(random, code, jt);
        instructions.push(Instruction { code, jt, jf, k });
    }
    instructions.push(plain(0x74, u32::try_from(random.below(32)).unwrap_or_default()));
    instructions.extend([plain(0x54, 63), plain(0x16, 0)]);
    instructions
}

/// An operand with which the code makes sense, most often.
fn operand(random: &mut Random, code: u16, skip: u8) -> u32 {
    let small = |random: &mut Random, bound| u32::try_from(random.below(bound)).unwrap_or_default();
    match code {
        0x20 | 0x28 | 0x30 | 0xb1 => small(random, 70),
        0x40 | 0x48 | 0x50 => *random.pick(&[0, 1, 14, u32::MAX, u32::MAX - 3]),
        0x02 | 0x03 | 0x60 | 0x61 => small(random, 2),
        0x64 | 0x74 => small(random, 32),
        0x05 => skip.into(),
        _ => match random.below(3) {
            0 => small(random, 80),
            1 => *random.pick(&[1, 2, 0x0800, 0x7fff_ffff, 0x8000_0000, u32::MAX]),
            _ => u32::try_from(random.next() >> 32).unwrap_or_default(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_occurs_and_what_is_kept_varies() {
        let programs: Vec<_> = (0..1000).map(|number| valid(1, number)).collect();
        let codes: BTreeSet<_> = programs.iter().flat_map(Program::instructions).map(|i| i.code).collect();
        assert!(CODES.iter().all(|code| codes.contains(code)), "{codes:x?}");
        let packet: Vec<_> = (0..90).collect();
        let kept: BTreeSet<_> = programs.iter().map(|program| program.run(&packet)).collect();
        assert!(kept.len() > 48, "{kept:?}");
    }

    #[test]
    fn some_instructions_are_a_program_and_some_are_none() {
        let valid = (0..1000).filter(|&number| Program::new(any(1, number)).is_ok()).count();
        assert!((200..800).contains(&valid), "{valid}");
    }
}
