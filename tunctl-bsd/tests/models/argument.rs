//! Arguments as the kernel reads them: offsets by hand, not those of the crate that wrote them.
//!
//! All systems have the name first, 16 bytes, and what follows it at 16.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::System;
use super::numbers::{AF_INET, AF_LINK, EINVAL, af_inet6, argument_length, has_wide_flags};

pub(crate) const UNION: usize = 16;
const V4_DESTINATION: usize = 32;
const V4_MASK: usize = 48;
const V6_DESTINATION: usize = 44;
const V6_MASK: usize = 72;
const V6_FLAGS: usize = 100;
const V6_VALID: usize = 120;
const V6_PREFERRED: usize = 124;

/// An address to add, as the argument has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) address: IpAddr,
    /// The peer's, or for all.
    pub(crate) other: Option<IpAddr>,
    pub(crate) prefix: u8,
    pub(crate) flags: u32,
}

pub(crate) fn has_length(opcode: u32, argument: &[u8]) -> Result<(), i32> {
    if argument.len() == argument_length(opcode) { Ok(()) } else { Err(EINVAL) }
}

pub(crate) fn bytes<const COUNT: usize>(argument: &[u8], at: usize) -> Result<[u8; COUNT], i32> {
    argument.get(at..).and_then(<[u8]>::first_chunk).copied().ok_or(EINVAL)
}

pub(crate) fn number(argument: &[u8], at: usize) -> Result<u32, i32> {
    bytes(argument, at).map(u32::from_ne_bytes)
}

pub(crate) fn short(argument: &[u8], at: usize) -> Result<u16, i32> {
    bytes(argument, at).map(u16::from_ne_bytes)
}

pub(crate) fn put(argument: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), i32> {
    argument.get_mut(at..at + bytes.len()).ok_or(EINVAL)?.copy_from_slice(bytes);
    Ok(())
}

/// The name in front, up to its NUL.
pub(crate) fn name(argument: &[u8]) -> Result<String, i32> {
    let field: [u8; 16] = bytes(argument, 0)?;
    let end = field.iter().position(|&byte| byte == 0).ok_or(EINVAL)?;
    String::from_utf8(field[..end].to_vec()).map_err(|_| EINVAL)
}

pub(crate) fn put_name(argument: &mut [u8], name: &str) -> Result<(), i32> {
    let mut field = [0; 16];
    put(&mut field, 0, name.as_bytes())?;
    put(argument, 0, &field)
}

/// Flags have 16 bits, and 16 more on FreeBSD and DragonFly: the lower half first.
pub(crate) fn flags(system: System, argument: &[u8]) -> Result<u32, i32> {
    let high = if has_wide_flags(system) { short(argument, UNION + 2)? } else { 0 };
    Ok(u32::from(high) << 16 | u32::from(short(argument, UNION)?))
}

pub(crate) fn put_flags(system: System, argument: &mut [u8], flags: u32) -> Result<(), i32> {
    let [a, b, c, d] = flags.to_le_bytes();
    put(argument, UNION, &u16::from_le_bytes([a, b]).to_ne_bytes())?;
    if has_wide_flags(system) {
        put(argument, UNION + 2, &u16::from_le_bytes([c, d]).to_ne_bytes())?;
    }
    Ok(())
}

/// A `sockaddr_in`: length 16, family, the address at 4. `None`: nothing was put there.
fn v4(argument: &[u8], at: usize) -> Result<Option<Ipv4Addr>, i32> {
    let [length, family, port_high, port_low, a, b, c, d, zero @ ..] = bytes::<16>(argument, at)?;
    match (length, u32::from(family)) {
        (0, 0) => Ok(None),
        (16, AF_INET) if (port_high, port_low) == (0, 0) && zero == [0; 8] => Ok(Some([a, b, c, d].into())),
        _ => Err(EINVAL),
    }
}

/// A `sockaddr_in6`: length 28, family, the address at 8, the scope at 24.
fn v6(system: System, argument: &[u8], at: usize) -> Result<Option<Ipv6Addr>, i32> {
    let [length, family, port @ ..] = bytes::<4>(argument, at)?;
    let flow = number(argument, at + 4)?;
    let scope = number(argument, at + 24)?;
    match (length, u32::from(family)) {
        (0, 0) => Ok(None),
        (28, family) if family == af_inet6(system) && port == [0, 0] && flow == 0 && scope == 0 => {
            Ok(Some(bytes::<16>(argument, at + 8)?.into()))
        }
        _ => Err(EINVAL),
    }
}

pub(crate) fn alias_v4(argument: &[u8]) -> Result<Alias, i32> {
    let mask = v4(argument, V4_MASK)?.ok_or(EINVAL)?.to_bits();
    Ok(Alias {
        address: v4(argument, UNION)?.ok_or(EINVAL)?.into(),
        other: v4(argument, V4_DESTINATION)?.map(IpAddr::from),
        prefix: prefix(mask.leading_ones(), mask.trailing_zeros(), 32)?,
        flags: 0,
    })
}

pub(crate) fn alias_v6(system: System, argument: &[u8]) -> Result<Alias, i32> {
    let mask = v6(system, argument, V6_MASK)?.ok_or(EINVAL)?.to_bits();
    let (valid, preferred) = (number(argument, V6_VALID)?, number(argument, V6_PREFERRED)?);
    if valid == 0 || preferred > valid {
        return Err(EINVAL);
    }
    Ok(Alias {
        address: v6(system, argument, UNION)?.ok_or(EINVAL)?.into(),
        other: v6(system, argument, V6_DESTINATION)?.map(IpAddr::from),
        prefix: prefix(mask.leading_ones(), mask.trailing_zeros(), 128)?,
        flags: number(argument, V6_FLAGS)?,
    })
}

/// A mask is ones and then zeroes.
fn prefix(ones: u32, zeroes: u32, bits: u32) -> Result<u8, i32> {
    if ones + zeroes != bits && !(ones == bits && zeroes == 0) {
        return Err(EINVAL);
    }
    u8::try_from(ones).map_err(|_| EINVAL)
}

/// The address behind a name; `None`: nothing was put there.
pub(crate) fn named_v4(argument: &[u8]) -> Result<Option<IpAddr>, i32> {
    Ok(v4(argument, UNION)?.map(IpAddr::from))
}

pub(crate) fn named_v6(system: System, argument: &[u8]) -> Result<Option<IpAddr>, i32> {
    Ok(v6(system, argument, UNION)?.map(IpAddr::from))
}

/// A MAC is a `sockaddr` whose length is that of the MAC alone.
pub(crate) fn mac(argument: &[u8]) -> Result<[u8; 6], i32> {
    match bytes::<8>(argument, UNION)? {
        [6, AF_LINK, mac @ ..] => Ok(mac),
        _ => Err(EINVAL),
    }
}

/// An `if_laddrreq` of NetBSD: flags at 16, and at 24 a `sockaddr_dl`, whose kind of address is at 1, the
/// lengths of name and address at 5 and 6, and the data at 8.
pub(crate) fn link_mac(argument: &[u8]) -> Result<[u8; 6], i32> {
    const ADDRESS: usize = 24;
    let [length, family, _, _, _, name, address, selector] = bytes::<8>(argument, ADDRESS)?;
    // Source: the address must have the interface's length; one that is not made active changes nothing
    // (NetBSD's `link_control`).
    let is_active = number(argument, UNION)? & 0x4000 != 0;
    if (family, name, address, selector) != (AF_LINK, 0, 6, 0) || length < 14 || !is_active {
        return Err(EINVAL);
    }
    bytes(argument, ADDRESS + 8)
}
