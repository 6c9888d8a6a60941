//! Names, and numbers for patterns (`dev_get_valid_name`, `dev_alloc_name`).

use tunctl_core::{Cause, InterfaceName, Layer, Reason};

use super::{Kernel, LOOPBACK, NamespaceId};
use crate::Errno;
use crate::kernel::Result;

/// How many numbers a pattern is tried with: `__dev_alloc_name` marks the taken ones in a bitmap of one page,
/// here of 4096 bytes.
const MAX_NUMBERS: u32 = 8 * 4096;

/// The longest name: `IFNAMSIZ`, 16 bytes, without the zero at its end.
const MAX_NAME_LENGTH: usize = 15;

const REFUSED: Reason = Errno::EINVAL.reason(Cause::InvalidName);

impl Kernel {
    /// The name of a new or renamed interface: the wanted one, or a pattern's first free number. It may be
    /// taken, which the caller has to check.
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
        // A pattern has one "%d", anywhere, and no other "%".
        let (before, after) = (&wanted[..percent], &wanted[percent + 1..]);
        let Some(after) = after.strip_prefix(b"d").filter(|rest| !rest.contains(&b'%')) else {
            return Err(REFUSED);
        };
        // The first number that no other name of the pattern has. A name that is too long is cut
        // (`snprintf`); a cut name does not count as one of the pattern, so the kernel may arrive at one that
        // is taken, and stops there: older ones at once, newer ones only when they use the name
        // (`__dev_alloc_name`, Linux 6.18).
        for number in 0..MAX_NUMBERS {
            let mut whole = [before, number.to_string().as_bytes(), after].concat();
            let is_cut = whole.len() > MAX_NAME_LENGTH;
            whole.truncate(MAX_NAME_LENGTH);
            let name = InterfaceName::from_kernel(&whole).map_err(|_| REFUSED)?;
            match self.is_taken(namespace, &name) {
                false => return Ok(name),
                true if is_cut && self.profile.exhausted() == Errno::EEXIST => return Ok(name),
                true if is_cut => return Err(exhausted(self.profile.exhausted())),
                true => {}
            }
        }
        Err(exhausted(Errno::ENFILE))
    }

    /// Whether any interface of the namespace has the name, also one of another driver.
    pub(crate) fn is_taken(&self, namespace: NamespaceId, name: &InterfaceName) -> bool {
        is_loopback(name) || self.named(namespace, name).is_some()
    }
}

pub(super) fn exhausted(errno: Errno) -> Reason {
    errno.reason(Cause::Exists).with_detail("every number that the pattern could take is taken")
}

/// Whether it is the name of the loopback interface.
pub(crate) fn is_loopback(name: &InterfaceName) -> bool {
    name.as_bytes() == LOOPBACK.as_bytes()
}

/// IPv4 and IPv6 make a directory of the interface's name under `/proc/sys/net`, in which these two names
/// stand for the settings of all interfaces and of new ones (`sysctl_dev_name_is_allowed`).
pub(super) fn check_reserved(name: &InterfaceName) -> Result {
    if matches!(name.as_bytes(), b"all" | b"default") { Err(REFUSED) } else { Ok(()) }
}

/// The bytes that a name may have (`dev_valid_name`).
pub(super) fn check(name: &[u8]) -> Result {
    // The interface has a directory under `/sys/class/net`, and these two name other directories there.
    let reserved: [&[u8]; 2] = [b".", b".."];
    // The kernel's `isspace` counts the no-break space of Latin-1.
    let refused = |&byte: &u8| matches!(byte, b'/' | b':' | b' ' | b'\t'..=b'\r' | 0xa0);
    if name.is_empty() || reserved.contains(&name) || name.iter().any(refused) {
        Err(REFUSED)
    } else {
        Ok(())
    }
}
