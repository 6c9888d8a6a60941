//! Names, and numbers for patterns.

use tunctl_core::{Cause, InterfaceName, Layer, Reason};

use super::{Kernel, LOOPBACK, NamespaceId};
use crate::Errno;
use crate::kernel::Result;

/// The most interfaces that a pattern is tried for: the bits of a page, by which the kernel looks for a free number.
const MAX_NUMBERS: u32 = 8 * 4096;

/// The most bytes that a name has.
const MAX_NAME_LENGTH: usize = 15;

const REFUSED: Reason = Errno::EINVAL.reason(Cause::InvalidName);

impl Kernel {
    /// The name of a new interface, from what was asked for.
    pub(super) fn choose_name(
        &self,
        namespace: NamespaceId,
        wanted: Option<&[u8]>,
        layer: Layer,
    ) -> Result<InterfaceName> {
        let wanted = wanted.unwrap_or(match layer {
            Layer::Tun => b"tun%d",
            Layer::Tap => b"tap%d",
        });
        check(wanted)?;
        let Some(percent) = wanted.iter().position(|&byte| byte == b'%') else {
            return InterfaceName::from_kernel(wanted).map_err(|_| REFUSED);
        };
        // "%d" may stand once, anywhere; no other % may.
        let (before, after) = (&wanted[..percent], &wanted[percent + 1..]);
        let Some(after) = after.strip_prefix(b"d").filter(|rest| !rest.contains(&b'%')) else {
            return Err(REFUSED);
        };
        // The first number whose name is free; one that would be too long is cut, and that need not be free.
        for number in 0..MAX_NUMBERS {
            let mut whole = [before, number.to_string().as_bytes(), after].concat();
            let is_cut = whole.len() > MAX_NAME_LENGTH;
            whole.truncate(MAX_NAME_LENGTH);
            let name = InterfaceName::from_kernel(&whole).map_err(|_| REFUSED)?;
            match self.is_taken(namespace, &name) {
                false => return Ok(name),
                true if is_cut => return Err(exhausted(self.profile.exhausted())),
                true => {}
            }
        }
        Err(exhausted(Errno::ENFILE))
    }

    /// Whether any interface of the namespace has the name, also one that is no TUN/TAP interface.
    pub(crate) fn is_taken(&self, namespace: NamespaceId, name: &InterfaceName) -> bool {
        is_loopback(name) || self.named(namespace, name).is_some()
    }
}

fn exhausted(errno: Errno) -> Reason {
    errno.reason(Cause::Exists).with_detail("every number that the pattern could take is taken")
}

/// Whether it is the name of an interface of another kind.
pub(crate) fn is_loopback(name: &InterfaceName) -> bool {
    name.as_bytes() == LOOPBACK.as_bytes()
}

/// A directory under `/proc/sys` bears the name, where these two have a meaning.
pub(super) fn check_reserved(name: &InterfaceName) -> Result {
    if matches!(name.as_bytes(), b"all" | b"default") { Err(REFUSED) } else { Ok(()) }
}

/// The bytes that a name may have.
pub(super) fn check(name: &[u8]) -> Result {
    // A directory under /sys bears the name, where these two have a meaning.
    let reserved: [&[u8]; 2] = [b".", b".."];
    // The kernel's isspace() counts the no-break space of Latin-1.
    let refused = |&byte: &u8| matches!(byte, b'/' | b':' | b' ' | b'\t'..=b'\r' | 0xa0);
    if name.is_empty() || reserved.contains(&name) || name.iter().any(refused) {
        Err(REFUSED)
    } else {
        Ok(())
    }
}
