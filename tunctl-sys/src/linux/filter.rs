//! The arguments of the requests about a tap's filters.

use core::marker::PhantomData;

/// The most addresses that a [`MacFilterRequest`] has room for.
pub const MAC_FILTER_ADDRESSES: usize = 256;

/// The argument of [`TUNSETTXFILTER`](super::TUNSETTXFILTER): the addresses of the frames that pass.
///
/// In C, as many addresses follow the count as it says. The fields are private, so that a count without its
/// addresses cannot be built.
#[doc(alias = "tun_filter")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacFilterRequest {
    flags: u16,
    count: u16,
    addresses: [[u8; 6]; MAC_FILTER_ADDRESSES],
}

impl MacFilterRequest {
    /// The argument that removes the filter: it has no addresses.
    pub const NONE: Self = Self { flags: 0, count: 0, addresses: [[0; 6]; MAC_FILTER_ADDRESSES] };

    /// `TUN_FLT_ALLMULTI`: all frames to groups pass.
    const ALL_GROUPS: u16 = 1;

    /// The argument with these addresses; `None` if they are more than there is room for.
    ///
    /// Without addresses, it removes the filter, whatever the groups.
    #[doc(alias = "TUN_FLT_ALLMULTI")]
    #[must_use]
    pub fn new(addresses: &[[u8; 6]], all_groups: bool) -> Option<Self> {
        let mut request = Self::NONE;
        request.addresses.get_mut(..addresses.len())?.copy_from_slice(addresses);
        request.count = u16::try_from(addresses.len()).ok()?;
        request.flags = if all_groups { Self::ALL_GROUPS } else { 0 };
        Some(request)
    }
}

/// An instruction of classic BPF.
#[doc(alias = "sock_filter")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterInstruction {
    /// What to do.
    pub code: u16,
    /// How many instructions a conditional jump skips if its condition is true.
    pub jt: u8,
    /// How many instructions a conditional jump skips if its condition is false.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A program of classic BPF, as [`TUNATTACHFILTER`](super::TUNATTACHFILTER) takes it: a length, and an
/// address.
#[doc(alias = "sock_fprog")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FilterProgram<'a> {
    length: u16,
    padding: [u8; size_of::<usize>() - 2],
    instructions: *const FilterInstruction,
    borrowed: PhantomData<&'a [FilterInstruction]>,
}

impl<'a> FilterProgram<'a> {
    /// What no driver accepts: no instructions, at no address.
    pub const NONE: FilterProgram<'static> = FilterProgram {
        length: 0,
        padding: [0; size_of::<usize>() - 2],
        instructions: core::ptr::null(),
        borrowed: PhantomData,
    };

    /// These instructions; `None` if there are more than 65535.
    #[must_use]
    pub fn new(instructions: &'a [FilterInstruction]) -> Option<Self> {
        let length = u16::try_from(instructions.len()).ok()?;
        Some(Self { length, instructions: instructions.as_ptr(), ..Self::NONE })
    }
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<MacFilterRequest>() == 4 + 6 * MAC_FILTER_ADDRESSES);
    assert!(offset_of!(MacFilterRequest, count) == 2);
    assert!(offset_of!(MacFilterRequest, addresses) == 4);
    assert!(size_of::<FilterInstruction>() == 8);
    assert!(offset_of!(FilterInstruction, k) == 4);
    assert!(size_of::<FilterProgram<'_>>() == 2 * size_of::<usize>());
    assert!(offset_of!(FilterProgram<'_>, instructions) == size_of::<usize>());
};
