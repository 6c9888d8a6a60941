//! Which system a program is for, as its file says.

/// A kind of program file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An ELF executable for x86-64, with a note of the system that it is for, by the name that this gives
    /// itself.
    Elf(&'static str),
    /// A Mach-O executable for macOS.
    MachO(Machine),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
}

/// The systems whose notes are told apart.
const NOTED: [&str; 3] = ["FreeBSD", "NetBSD", "OpenBSD"];

// ELF, 64 bit, little endian: <elf.h>.
const ELF: &[u8] = b"\x7fELF\x02\x01";
const EM_X86_64: u16 = 62;
const PT_NOTE: u32 = 4;
/// Of a program header.
const HEADER: usize = 56;

// Mach-O, 64 bit, little endian: <mach-o/loader.h>, <mach/machine.h>.
const MACH_O: &[u8] = b"\xcf\xfa\xed\xfe";
const CPU_X86_64: u32 = 0x0100_0007;
const CPU_ARM64: u32 = 0x0100_000c;
const MH_EXECUTE: u32 = 2;
const LC_VERSION_MIN_MACOSX: u32 = 0x24;
const LC_BUILD_VERSION: u32 = 0x32;
const PLATFORM_MACOS: u32 = 1;
/// Of the file's header.
const COMMANDS: usize = 32;

impl Form {
    /// That of a file with these bytes, if it is one of these at all.
    pub(super) fn of(file: &[u8]) -> Option<Self> {
        if file.starts_with(ELF) { Self::of_elf(file) } else { Self::of_mach_o(file) }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Elf(system) => system,
            Self::MachO(Machine::X86_64) => "macOS on x86-64",
            Self::MachO(Machine::Aarch64) => "macOS on ARM",
        }
    }

    /// How the names of its shared libraries end.
    pub(super) fn library(&self) -> &'static str {
        match self {
            Self::Elf(_) => "so",
            Self::MachO(_) => "dylib",
        }
    }

    fn of_elf(file: &[u8]) -> Option<Self> {
        if half(file, 18)? != EM_X86_64 {
            return None;
        }
        let headers = usize::try_from(wide(file, 32)?).ok()?;
        let notes = (0..usize::from(half(file, 56)?)).map(|index| headers + index * HEADER);
        let notes = notes.filter(|at| word(file, *at) == Some(PT_NOTE));
        notes.filter_map(|at| owner_of(file, at)).next().map(Self::Elf)
    }

    fn of_mach_o(file: &[u8]) -> Option<Self> {
        if !file.starts_with(MACH_O) || word(file, 12)? != MH_EXECUTE {
            return None;
        }
        let machine = match word(file, 4)? {
            CPU_X86_64 => Machine::X86_64,
            CPU_ARM64 => Machine::Aarch64,
            _ => return None,
        };
        let mut at = COMMANDS;
        for _ in 0..word(file, 16)? {
            match (word(file, at)?, word(file, at + 8)?) {
                (LC_VERSION_MIN_MACOSX, _) | (LC_BUILD_VERSION, PLATFORM_MACOS) => {
                    return Some(Self::MachO(machine));
                }
                _ => at += usize::try_from(word(file, at + 4)?).ok()?,
            }
        }
        None
    }
}

/// The system whose note is in the segment of a program header.
fn owner_of(file: &[u8], header: usize) -> Option<&'static str> {
    let mut at = usize::try_from(wide(file, header + 8)?).ok()?;
    let end = at + usize::try_from(wide(file, header + 32)?).ok()?;
    while at < end {
        let name = usize::try_from(word(file, at)?).ok()?;
        let content = usize::try_from(word(file, at + 4)?).ok()?;
        let text = file.get(at + 12..at + 12 + name)?;
        let owner = NOTED.into_iter().find(|system| text.strip_suffix(b"\0") == Some(system.as_bytes()));
        if owner.is_some() {
            return owner;
        }
        at += 12 + name.next_multiple_of(4) + content.next_multiple_of(4);
    }
    None
}

fn half(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

fn wide(file: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elf_file_says_in_a_note_whose_it_is() {
        assert_eq!(Form::of(&elf("OpenBSD")), Some(Form::Elf("OpenBSD")));
        assert_eq!(Form::of(&elf("FreeBSD")), Some(Form::Elf("FreeBSD")));
        assert_eq!(Form::of(&elf("GNU")), None);
        // Nobody reads what comes after the name: its padding, and what the note says.
        for length in 0..elf("NetBSD").len() - 5 {
            assert_eq!(Form::of(&elf("NetBSD")[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_mach_o_file_says_its_machine_and_platform() {
        assert_eq!(Form::of(&mach_o(CPU_ARM64, PLATFORM_MACOS)), Some(Form::MachO(Machine::Aarch64)));
        assert_eq!(Form::of(&mach_o(CPU_X86_64, PLATFORM_MACOS)), Some(Form::MachO(Machine::X86_64)));
        assert_eq!(Form::of(&mach_o(CPU_ARM64, 2)), None);
        assert_eq!(Form::of(&mach_o(7, PLATFORM_MACOS)), None);
    }

    #[test]
    fn this_program_is_for_none_of_them() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(Form::of(&own), None);
    }

    /// A header, one program header, and a segment of two notes, of which the first is of no system.
    fn elf(owner: &str) -> Vec<u8> {
        let mut file = vec![0; 64 + HEADER];
        file[..6].copy_from_slice(ELF);
        file[18] = 62;
        file[32] = 64;
        file[56] = 1;
        file[64] = 4;
        file[72] = 120;
        let notes = [note("xy"), note(owner)].concat();
        file[96] = u8::try_from(notes.len()).unwrap();
        [file, notes].concat()
    }

    fn note(owner: &str) -> Vec<u8> {
        let length = u32::try_from(owner.len() + 1).unwrap();
        let mut note = [length, 4, 1].map(u32::to_le_bytes).concat();
        note.extend(owner.bytes());
        note.resize(12 + (owner.len() + 1).next_multiple_of(4), 0);
        note.extend([0; 4]);
        note
    }

    /// A header, a command of another sort, and the one of the platform.
    fn mach_o(machine: u32, platform: u32) -> Vec<u8> {
        let magic = u32::from_le_bytes(*MACH_O.first_chunk().unwrap());
        let header = [magic, machine, 0, MH_EXECUTE, 2, 28, 0, 0];
        let commands = [1, 12, 0, LC_BUILD_VERSION, 16, platform, 0];
        [&header[..], &commands].concat().into_iter().flat_map(u32::to_le_bytes).collect()
    }
}
