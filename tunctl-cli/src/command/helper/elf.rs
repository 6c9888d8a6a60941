//! Whether a file is a program that may be given a capability: for this machine, and without libraries.

use std::fmt;

/// Why a file cannot be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// No program at all, or one that is cut off.
    NoProgram,
    /// One for another machine.
    Foreign,
    /// It needs a program interpreter, which loads libraries for it.
    Dynamic,
    /// It has no place where it starts.
    Library,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoProgram => "it is no program (ELF)",
            Self::Foreign => "it is a program for another machine",
            Self::Dynamic => {
                "it is linked dynamically, and with a capability it must not depend on libraries"
            }
            Self::Library => "it is a library",
        })
    }
}

/// The numbers of `<elf.h>`.
const ET_EXEC: u64 = 2;
const ET_DYN: u64 = 3;
const PT_INTERP: u64 = 3;

/// Where a header has the fields that matter here, by the size of its words.
struct Layout {
    word: usize,
    table: usize,
    row_size: usize,
    row_count: usize,
}

const ENTRY: usize = 24;
const OF_32_BITS: Layout = Layout { word: 4, table: 28, row_size: 42, row_count: 44 };
const OF_64_BITS: Layout = Layout { word: 8, table: 32, row_size: 54, row_count: 56 };

/// Checks that the bytes are a static program for the machine that another program is for.
pub(super) fn check(program: &[u8], other: &[u8]) -> Result<(), Unfit> {
    if !program.starts_with(b"\x7fELF") {
        return Err(Unfit::NoProgram);
    }
    // The size of words and the order of bytes; the number of the machine.
    if [4..6, 18..20].into_iter().any(|field| program.get(field.clone()) != other.get(field)) {
        return Err(Unfit::Foreign);
    }
    let header = Header::read(program).ok_or(Unfit::NoProgram)?;
    if header.has_interpreter {
        Err(Unfit::Dynamic)
    } else if !matches!(header.kind, ET_EXEC | ET_DYN) {
        Err(Unfit::NoProgram)
    } else if header.entry == 0 {
        Err(Unfit::Library)
    } else {
        Ok(())
    }
}

struct Header {
    kind: u64,
    entry: u64,
    has_interpreter: bool,
}

impl Header {
    /// `None` if the file is cut off, or has nothing to load.
    fn read(file: &[u8]) -> Option<Self> {
        let layout = if *file.get(4)? == 1 { OF_32_BITS } else { OF_64_BITS };
        let is_little = *file.get(5)? == 1;
        let number = |at: usize, size: usize| {
            let bytes = file.get(at..at.checked_add(size)?)?;
            let join = |number, byte: &u8| number << 8 | u64::from(*byte);
            Some(if is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) })
        };
        let index = |at, size| number(at, size).and_then(|number| usize::try_from(number).ok());
        let table = index(layout.table, layout.word)?;
        let (size, count) = (index(layout.row_size, 2)?, index(layout.row_count, 2)?);
        let row = |position: usize| {
            let at = table.checked_add(position.checked_mul(size)?)?;
            file.get(at..at.checked_add(size)?).map(|_| at)
        };
        let kinds: Option<Vec<u64>> = (0..count).map(|position| number(row(position)?, 4)).collect();
        let kinds = kinds.filter(|kinds| !kinds.is_empty())?;
        Some(Self {
            kind: number(16, 2)?,
            entry: number(ENTRY, layout.word)?,
            has_interpreter: kinds.contains(&PT_INTERP),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of 64-bit words, little end first, with one row in its table.
    fn program(kind: u8, machine: u8, entry: u8, row: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        for (at, value) in [(16, kind), (18, machine), (24, entry), (32, 64), (54, 56), (56, 1), (64, row)] {
            bytes[at] = value;
        }
        bytes
    }

    #[test]
    fn only_a_static_program_for_this_machine_is_fit() {
        let own = program(3, 62, 1, 3);
        let of = |bytes: &[u8]| check(bytes, &own);
        assert_eq!(of(&program(2, 62, 1, 1)), Ok(()));
        assert_eq!(of(&program(3, 62, 1, 1)), Ok(()), "static-pie");
        assert_eq!(of(&own), Err(Unfit::Dynamic));
        assert_eq!(of(&program(3, 62, 0, 1)), Err(Unfit::Library));
        assert_eq!(of(&program(1, 62, 1, 1)), Err(Unfit::NoProgram), "an object file");
        assert_eq!(of(&program(3, 183, 1, 1)), Err(Unfit::Foreign));
        assert_eq!(of(b"#!/bin/sh\n"), Err(Unfit::NoProgram));
        assert_eq!(of(b""), Err(Unfit::NoProgram));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_unfit() {
        let whole = program(3, 62, 1, 1);
        for length in 0..whole.len() {
            assert!(check(&whole[..length], &whole).is_err(), "{length}");
        }
        let mut endless = whole.clone();
        endless[32..40].fill(0xff);
        assert_eq!(check(&endless, &whole), Err(Unfit::NoProgram));
        let mut empty = whole.clone();
        empty[56] = 0;
        assert_eq!(check(&empty, &whole), Err(Unfit::NoProgram));
    }

    #[test]
    fn words_of_32_bits_and_the_other_order_of_bytes_are_read() {
        let mut bytes = vec![0; 52 + 32];
        bytes[..6].copy_from_slice(b"\x7fELF\x01\x02");
        for (at, value) in [(17, 2), (19, 8), (27, 1), (31, 52), (43, 32), (45, 1), (55, 1)] {
            bytes[at] = value;
        }
        assert_eq!(check(&bytes, &bytes), Ok(()));
        bytes[55] = 3;
        assert_eq!(check(&bytes, &bytes), Err(Unfit::Dynamic));
    }

    #[test]
    fn this_test_itself_is_for_this_machine() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let expected = if cfg!(target_feature = "crt-static") { Ok(()) } else { Err(Unfit::Dynamic) };
        assert_eq!(check(&own, &own), expected);
    }
}
