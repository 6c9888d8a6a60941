//! Programs of classic BPF: which are accepted, and what they do.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use tunctl_packet::bpf::{Instruction, InvalidProgram, MAX_INSTRUCTIONS, Problem, Program};

const RET_K: u16 = 0x06;
const RET_A: u16 = 0x16;

const fn jump(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn statement(code: u16, k: u32) -> Instruction {
    jump(code, 0, 0, k)
}

/// What these instructions, and a return of A, make of a packet.
fn outcome(instructions: &[Instruction], packet: &[u8]) -> u32 {
    let instructions = [instructions, &[statement(RET_A, 0)]].concat();
    Program::new(instructions).unwrap().run(packet)
}

/// The first mistake in these instructions, and a return.
fn mistake(instructions: &[Instruction]) -> Option<(usize, Problem)> {
    let instructions = [instructions, &[statement(RET_K, 0)]].concat();
    Program::new(instructions).err().map(|InvalidProgram { at, problem }| (at, problem))
}

#[test]
fn numbers_are_loaded_big_endian_and_end_with_the_packet() {
    let packet = [0x01, 0x82, 0x03, 0x84, 0x45];
    let load = |code, k| outcome(&[statement(0x00, 7), statement(code, k)], &packet);
    // ld, ldh, ldb with an absolute offset; a load past the end drops the packet, whatever A was.
    assert_eq!([load(0x20, 0), load(0x20, 1), load(0x20, 2)], [0x0182_0384, 0x8203_8445, 0]);
    assert_eq!([load(0x28, 3), load(0x28, 4)], [0x8445, 0]);
    assert_eq!([load(0x30, 4), load(0x30, 5)], [0x45, 0]);
    assert_eq!(load(0x80, 0), 5, "the length");
    // ldx 4*([4]&0xf), then ldb [x - 20]: an offset that wraps.
    let indirect = |k| outcome(&[statement(0xb1, 4), statement(0x50, k)], &packet);
    assert_eq!([indirect(20_u32.wrapping_neg()), indirect(16_u32.wrapping_neg())], [0x01, 0x45]);
    assert_eq!(indirect(21_u32.wrapping_neg()), 0, "in front of the packet");
    assert_eq!(indirect(0), 0);
}

#[test]
fn arithmetic_wraps_and_a_division_by_zero_drops() {
    let calculate = |a, operation: u16, x| {
        // ld #a; ldx #x; operation with X.
        outcome(&[statement(0x00, a), statement(0x01, x), statement(0x0c | operation, 0)], &[])
    };
    assert_eq!(calculate(u32::MAX, 0x00, 2), 1, "add");
    assert_eq!(calculate(1, 0x10, 2), u32::MAX, "sub");
    assert_eq!(calculate(1 << 31, 0x20, 2), 0, "mul");
    assert_eq!([calculate(7, 0x30, 2), calculate(7, 0x30, 0)], [3, 0], "div");
    assert_eq!([calculate(7, 0x90, 4), calculate(7, 0x90, 0)], [3, 0], "mod");
    assert_eq!(
        [calculate(6, 0x40, 3), calculate(6, 0x50, 3), calculate(6, 0xa0, 3)],
        [7, 2, 5],
        "or, and, xor"
    );
    assert_eq!([calculate(3, 0x60, 1), calculate(3, 0x60, 33)], [6, 6], "of a shift, five bits count");
    assert_eq!([calculate(6, 0x70, 1), calculate(6, 0x70, 33)], [3, 3]);
    assert_eq!(outcome(&[statement(0x00, 1), statement(0x84, 0)], &[]), u32::MAX, "neg");
    // The same with a constant: ld #7; div #2.
    assert_eq!(outcome(&[statement(0x00, 7), statement(0x34, 2)], &[]), 3);
}

#[test]
fn jumps_compare_without_sign() {
    let jumps = |code: u16, a, k| {
        // ld #a; jump to "ret #1" if it is true, else to "ret #2".
        let program = [statement(0x00, a), jump(code, 0, 1, k), statement(RET_K, 1), statement(RET_K, 2)];
        Program::new(program.to_vec()).unwrap().run(&[]) == 1
    };
    assert!(jumps(0x15, 5, 5) && !jumps(0x15, 5, 6));
    assert!(jumps(0x25, u32::MAX, 1) && !jumps(0x25, 1, 1));
    assert!(jumps(0x35, 1, 1) && !jumps(0x35, 1, u32::MAX));
    assert!(jumps(0x45, 6, 3) && !jumps(0x45, 6, 9));
    // ja +1 over "ret #1".
    let program = [statement(0x05, 1), statement(RET_K, 1), statement(RET_K, 2)];
    assert_eq!(Program::new(program.to_vec()).unwrap().run(&[]), 2);
    // X is compared with, too: ldx #5; ld #5; jeq x.
    let with_x = [
        statement(0x01, 5),
        statement(0x00, 5),
        jump(0x1d, 0, 1, 0),
        statement(RET_K, 9),
        statement(RET_K, 0),
    ];
    assert_eq!(Program::new(with_x.to_vec()).unwrap().run(&[]), 9);
}

#[test]
fn registers_begin_as_zero_and_memory_keeps_words() {
    assert_eq!(outcome(&[], &[1]), 0);
    // txa, from an X that nothing has set.
    assert_eq!(outcome(&[statement(0x00, 3), statement(0x87, 0)], &[]), 0);
    // ld #3; st M[15]; ld #4; tax; stx M[0]; ld M[15]; add x.
    let program = [
        statement(0x00, 3),
        statement(0x02, 15),
        statement(0x00, 4),
        statement(0x07, 0),
        statement(0x03, 0),
        statement(0x60, 15),
        statement(0x0c, 0),
    ];
    assert_eq!(outcome(&program, &[]), 7);
    // ldx M[0]; txa.
    assert_eq!(outcome(&[&program[..], &[statement(0x61, 0), statement(0x87, 0)]].concat(), &[]), 4);
}

#[test]
fn what_a_kernel_refuses_is_refused_and_where() {
    assert_eq!(Program::new(vec![]).unwrap_err(), InvalidProgram { at: 0, problem: Problem::Length });
    let long = vec![statement(RET_K, 0); MAX_INSTRUCTIONS + 1];
    assert_eq!(
        Program::new(long[1..].to_vec()).map(|program| program.instructions().len()),
        Ok(MAX_INSTRUCTIONS)
    );
    assert_eq!(Program::new(long).unwrap_err().problem, Problem::Length);
    let last = Program::new(vec![statement(0x00, 0)]).unwrap_err();
    assert_eq!(last, InvalidProgram { at: 0, problem: Problem::NoReturn });

    // ret x, a word into X by an absolute offset, a code of more than eight bits.
    for code in [0x0e, 0x21, 0x106, 0x18, 0x8c] {
        assert_eq!(
            mistake(&[statement(0x00, 0), statement(code, 0)]),
            Some((1, Problem::UnknownCode)),
            "{code:#x}"
        );
    }
    for code in [0x34, 0x94] {
        assert_eq!(mistake(&[statement(code, 0)]), Some((0, Problem::ZeroDivisor)));
        assert_eq!(mistake(&[statement(code | 0x08, 0)]), None, "of X nothing is known");
    }
    for code in [0x64, 0x74] {
        assert_eq!(mistake(&[statement(code, 32)]), Some((0, Problem::LongShift)));
        assert_eq!(mistake(&[statement(code, 31)]), None);
    }
    for code in [0x02, 0x03, 0x60, 0x61] {
        assert_eq!(mistake(&[statement(code, 16)]), Some((0, Problem::NoSuchWord)));
    }
    // The VLAN tag of Linux; the header of the link layer, through X.
    assert_eq!(mistake(&[statement(0x20, 0xffff_f02c)]), Some((0, Problem::NegativeOffset)));
    assert_eq!(mistake(&[statement(0xb1, 0xffe0_0000)]), Some((0, Problem::NegativeOffset)));
    assert_eq!(mistake(&[statement(0x20, i32::MAX as u32)]), None);
}

#[test]
fn the_codes_are_those_that_linux_allows() {
    // As the table in chk_code_allowed (Linux 6.18) has them: with a constant, and with X.
    let calculations = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0];
    let mut allowed: Vec<u16> = calculations.iter().flat_map(|code| [code | 0x04, code | 0x0c]).collect();
    allowed.extend([0x10, 0x20, 0x30, 0x40].iter().flat_map(|code| [code | 0x05, code | 0x0d]));
    // neg, ja; ret #k, ret a; tax, txa.
    allowed.extend([0x84, 0x05, 0x06, 0x16, 0x07, 0x87]);
    // ld: of the packet, of the packet from X on, a constant, memory, the length; ldx; st, stx.
    allowed.extend([0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x60, 0x80]);
    allowed.extend([0x01, 0x61, 0x81, 0xb1, 0x02, 0x03]);
    for code in 0..=u16::MAX {
        // Each operation accepts the operand 1: M[1] is stored, and a jump has two instructions behind it.
        let found = mistake(&[statement(0x02, 1), statement(code, 1), statement(RET_K, 0)]);
        let expected = (!allowed.contains(&code)).then_some((1, Problem::UnknownCode));
        assert_eq!(found, expected, "{code:#x}");
    }
}

#[test]
fn a_jump_reaches_the_last_instruction_and_no_further() {
    assert_eq!(mistake(&[jump(0x15, 0, 0, 0)]), None);
    assert_eq!(mistake(&[jump(0x15, 1, 0, 0)]), Some((0, Problem::JumpTooFar)));
    assert_eq!(mistake(&[jump(0x15, 0, 1, 0)]), Some((0, Problem::JumpTooFar)));
    assert_eq!(mistake(&[statement(0x05, 0)]), None);
    assert_eq!(mistake(&[statement(0x05, 1)]), Some((0, Problem::JumpTooFar)));
    assert_eq!(mistake(&[statement(0x05, u32::MAX)]), Some((0, Problem::JumpTooFar)));
    // It is the instructions behind the jump that count.
    let behind = [statement(0x00, 0), statement(0x00, 0)];
    assert_eq!(mistake(&[&behind[..], &[statement(0x05, 0)]].concat()), None);
    assert_eq!(mistake(&[&behind[..], &[statement(0x05, 1)]].concat()), Some((2, Problem::JumpTooFar)));
}

#[test]
fn memory_is_stored_on_every_way_to_a_load() {
    let load = statement(0x60, 3);
    let store = statement(0x02, 3);
    assert_eq!(mistake(&[load]), Some((0, Problem::NotStored)));
    assert_eq!(mistake(&[store, load]), None);
    assert_eq!(mistake(&[statement(0x02, 2), load]), Some((1, Problem::NotStored)));
    // One branch passes by the store.
    assert_eq!(mistake(&[jump(0x15, 1, 0, 0), store, load]), Some((2, Problem::NotStored)));
    // Both branches store.
    let both = [jump(0x15, 0, 2, 0), store, statement(0x05, 1), store, load];
    assert_eq!(mistake(&both), None);
    // A jump passes by the store.
    assert_eq!(mistake(&[statement(0x05, 1), store, load]), Some((2, Problem::NotStored)));
    // Nothing reaches the load.
    assert_eq!(mistake(&[statement(0x05, 1), load]), None);
    // The kernel takes a return for a step that leads on.
    assert_eq!(mistake(&[statement(RET_K, 0), load]), Some((1, Problem::NotStored)));
}

#[test]
fn an_error_says_where_and_what() {
    let error = Program::new(vec![statement(0x34, 0)]).unwrap_err();
    assert_eq!(error.to_string(), "instruction 0: it divides by zero");
}
