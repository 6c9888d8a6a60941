//! The reply.

use super::{MAGIC, NAME_SIZE};

/// The bytes of a reply.
pub const REPLY_SIZE: usize = 40;

// Where each part begins.
const STATUS: usize = 8;
const STEP: usize = 9;
const FLAGS: usize = 10;
const ERRNO: usize = 12;
const INDEX: usize = 16;
const LIMIT: usize = 20;
const NAME: usize = 24;

const GRANTED: u8 = 0;

/// What the helper answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The interface is there, and a descriptor comes with the reply.
    Granted(Granted),
    /// It is not, and nothing was left behind.
    Refused(Refusal),
}

/// The facts of a new interface, so that the program can compare them with what the descriptor shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The index.
    pub index: u32,
    /// The name, padded with NULs.
    pub name: [u8; NAME_SIZE],
    /// The flags with which it was created.
    pub flags: u16,
}

/// Why there is no interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request is none of this version.
    Malformed,
    /// The helper has a set-user-ID or set-group-ID bit.
    SetId,
    /// The helper's file has no capability.
    NotGranted,
    /// The caller, or its supervisor, has forbidden that programs gain rights (`no_new_privs`).
    NoNewPrivileges,
    /// The helper is on a file system that is mounted with `nosuid`.
    NosuidMount,
    /// The capability is not in the caller's bounding set, as in a container.
    BoundingSet,
    /// A debugger is attached, so the kernel has withheld the capability.
    Traced,
    /// There is no policy.
    NoPolicy,
    /// Somebody else than root could have written the policy, or it is no regular file.
    UnsafePolicy,
    /// The policy makes no sense.
    InvalidPolicy,
    /// No rule is about the caller.
    NoRule,
    /// The caller's network namespace is none of those that the rules allow.
    Namespace,
    /// No rule allows the layer.
    Layer,
    /// No rule allows the name.
    Name,
    /// No rule allows an address.
    Address,
    /// A route of the host covers an address.
    Routed,
    /// No rule allows the MTU.
    Mtu,
    /// No rule allows the length of the queue.
    QueueLength,
    /// The caller has as many interfaces as the rule allows.
    TooMany {
        /// How many that is.
        limit: u32,
    },
    /// Another request of the same user did not end in time.
    Busy,
    /// There is an interface of that name.
    Exists,
    /// The kernel refused a step.
    Kernel {
        /// Which.
        step: Step,
        /// Its errno.
        errno: i32,
    },
}

/// A step of the helper that the kernel can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Begin: descriptors, limits and rights.
    Prepare,
    /// Open the driver's node.
    OpenNode,
    /// Reach the network namespace, and open a netlink socket there.
    Namespace,
    /// Count the caller's interfaces, and read the routes.
    List,
    /// Create the interface.
    Create,
    /// Give it to the caller.
    SetOwner,
    /// Set its MAC address.
    SetMac,
    /// Set its MTU, the length of its queue and its description.
    Configure,
    /// Add an address.
    AddAddress,
    /// Bring it up.
    Up,
    /// Send the descriptor.
    Send,
}

const STEPS: [Step; 11] = [
    Step::Prepare,
    Step::OpenNode,
    Step::Namespace,
    Step::List,
    Step::Create,
    Step::SetOwner,
    Step::SetMac,
    Step::Configure,
    Step::AddAddress,
    Step::Up,
    Step::Send,
];

/// The refusals without a detail. Their position, from one, is their number.
const PLAIN: [Refusal; 20] = [
    Refusal::Malformed,
    Refusal::SetId,
    Refusal::NotGranted,
    Refusal::NoNewPrivileges,
    Refusal::NosuidMount,
    Refusal::BoundingSet,
    Refusal::Traced,
    Refusal::NoPolicy,
    Refusal::UnsafePolicy,
    Refusal::InvalidPolicy,
    Refusal::NoRule,
    Refusal::Namespace,
    Refusal::Layer,
    Refusal::Name,
    Refusal::Address,
    Refusal::Routed,
    Refusal::Mtu,
    Refusal::QueueLength,
    Refusal::Busy,
    Refusal::Exists,
];
const TOO_MANY: u8 = 128;
const KERNEL: u8 = 129;

impl Reply {
    /// The reply as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REPLY_SIZE] {
        let mut bytes = [0; REPLY_SIZE];
        bytes[..STATUS].copy_from_slice(&MAGIC);
        match *self {
            Self::Granted(Granted { index, name, flags }) => {
                bytes[STATUS] = GRANTED;
                bytes[FLAGS..ERRNO].copy_from_slice(&flags.to_ne_bytes());
                bytes[INDEX..LIMIT].copy_from_slice(&index.to_ne_bytes());
                bytes[NAME..].copy_from_slice(&name);
            }
            Self::Refused(Refusal::TooMany { limit }) => {
                bytes[STATUS] = TOO_MANY;
                bytes[LIMIT..NAME].copy_from_slice(&limit.to_ne_bytes());
            }
            Self::Refused(Refusal::Kernel { step, errno }) => {
                bytes[STATUS] = KERNEL;
                bytes[STEP] = position(&STEPS, &step);
                bytes[ERRNO..INDEX].copy_from_slice(&errno.to_ne_bytes());
            }
            Self::Refused(plain) => bytes[STATUS] = position(&PLAIN, &plain),
        }
        bytes
    }

    /// The reply that the bytes are; `None` if they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REPLY_SIZE] = bytes.try_into().ok()?;
        let word = |offset: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[offset..offset + 4]);
            word
        };
        let item = |number: u8| usize::from(number).checked_sub(1);
        let reply = match bytes[STATUS] {
            GRANTED => Self::Granted(Granted {
                index: u32::from_ne_bytes(word(INDEX)),
                name: bytes[NAME..].try_into().ok()?,
                flags: u16::from_ne_bytes([bytes[FLAGS], bytes[FLAGS + 1]]),
            }),
            TOO_MANY => Self::Refused(Refusal::TooMany { limit: u32::from_ne_bytes(word(LIMIT)) }),
            KERNEL => Self::Refused(Refusal::Kernel {
                step: *STEPS.get(item(bytes[STEP])?)?,
                errno: i32::from_ne_bytes(word(ERRNO)),
            }),
            plain => Self::Refused(*PLAIN.get(item(plain)?)?),
        };
        // What a reply does not use is zero.
        (reply.to_bytes() == *bytes).then_some(reply)
    }
}

/// The number of an item of a list, from one. Zero if the list lacks it, which is no number of any.
fn position<T: PartialEq>(list: &[T], item: &T) -> u8 {
    let position = list.iter().position(|other| other == item).map_or(0, |position| position + 1);
    u8::try_from(position).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_reply() -> Vec<Reply> {
        let name = *b"vpn0\0\0\0\0\0\0\0\0\0\0\0\0";
        let kernel = STEPS.map(|step| Refusal::Kernel { step, errno: 16 });
        let refused = PLAIN.iter().chain(&kernel).copied().chain([Refusal::TooMany { limit: 3 }]);
        let granted = Reply::Granted(Granted { index: 7, name, flags: 0x1001 });
        refused.map(Reply::Refused).chain([granted]).collect()
    }

    #[test]
    fn each_reply_is_itself_again_and_no_two_are_the_same() {
        let replies = every_reply();
        for (position, reply) in replies.iter().enumerate() {
            assert_eq!(Reply::from_bytes(&reply.to_bytes()), Some(*reply));
            assert!(replies[..position].iter().all(|other| other.to_bytes() != reply.to_bytes()));
        }
    }

    #[test]
    fn bytes_that_no_helper_sends_are_no_reply() {
        for reply in every_reply() {
            let bytes = reply.to_bytes();
            assert_eq!(Reply::from_bytes(&bytes[1..]), None);
            assert_eq!(Reply::from_bytes(&[&bytes[..], &[0]].concat()), None);
            let mut other = bytes;
            other[7] += 1;
            assert_eq!(Reply::from_bytes(&other), None, "another version");
        }
        let mut unknown = Reply::Refused(Refusal::Busy).to_bytes();
        for status in (21..=127).chain(130..=255) {
            unknown[STATUS] = status;
            assert_eq!(Reply::from_bytes(&unknown), None, "{status}");
        }
        let mut more = Reply::Refused(Refusal::Busy).to_bytes();
        more[NAME] = b'x';
        assert_eq!(Reply::from_bytes(&more), None, "a name that no refusal has");
    }
}
