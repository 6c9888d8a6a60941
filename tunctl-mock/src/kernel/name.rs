//! Names, and numbers for patterns.

use tunctl_core::{Cause, InterfaceName, Layer};

use super::{LOOPBACK, NamespaceId, World};
use crate::Errno;
use crate::refusal::{Answer, Refusal};

/// The most interfaces that a pattern is tried for: the bits of a page, by which the kernel looks for a free number.
const MOST_NUMBERS: u32 = 8 * 4096;

const REFUSED: Refusal = Refusal::new(Errno::EINVAL, Cause::InvalidName);

impl World {
    /// The name of a new interface, from what was asked for.
    pub(super) fn choose_name(
        &self,
        namespace: NamespaceId,
        wanted: Option<&[u8]>,
        layer: Layer,
    ) -> Answer<InterfaceName> {
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
        // The first number that is free.
        let numbered = (0..MOST_NUMBERS).filter_map(|number| {
            InterfaceName::from_kernel(&[before, number.to_string().as_bytes(), after].concat()).ok()
        });
        let mut free = numbered.filter(|name| !self.is_taken(namespace, name));
        free.next().ok_or_else(|| {
            Refusal::new(Errno::ENFILE, Cause::Exists)
                .because("every number that the pattern could take is taken")
        })
    }

    /// Whether any interface of the namespace has the name, also one that is no TUN/TAP interface.
    pub(crate) fn is_taken(&self, namespace: NamespaceId, name: &InterfaceName) -> bool {
        is_other(name) || self.named(namespace, name).is_some()
    }
}

/// Whether it is the name of an interface of another kind.
pub(crate) fn is_other(name: &InterfaceName) -> bool {
    name.as_bytes() == LOOPBACK.as_bytes()
}

/// The bytes that a name may have.
pub(super) fn check(name: &[u8]) -> Answer {
    // A directory under /sys and one under /proc/sys bear the name, where these four have a meaning.
    let reserved: [&[u8]; 4] = [b".", b"..", b"all", b"default"];
    // The kernel's isspace() counts the no-break space of Latin-1.
    let refused = |&byte: &u8| matches!(byte, b'/' | b':' | b' ' | b'\t'..=b'\r' | 0xa0);
    if name.is_empty() || reserved.contains(&name) || name.iter().any(refused) {
        Err(REFUSED)
    } else {
        Ok(())
    }
}
