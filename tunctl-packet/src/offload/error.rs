//! Why a packet is not cut.

use super::split::MOST_OF_UDP;
use crate::header::{ChecksumError, GsoMismatch, GsoType};
use crate::{ParseError, Protocol};

/// The reason why a packet was not cut. It is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The headers could not be decoded.
    #[error("malformed: {0}")]
    Malformed(#[from] ParseError),
    /// The checksum that the packet lacks has no place in it.
    #[error("{0}")]
    Checksum(#[from] ChecksumError),
    /// Packets of this type are not cut: they are fragments, or of a type without a name.
    #[error("packets of the type {gso_type:?} are not cut into segments")]
    Type {
        /// The type of segmentation.
        gso_type: GsoType,
    },
    /// The type of segmentation is for the other version of IP.
    #[error("{gso_type:?} is for the other version of IP")]
    Version {
        /// The type of segmentation.
        gso_type: GsoType,
    },
    /// The type of segmentation is for another transport.
    #[error("{protocol} cannot be cut into {gso_type:?}")]
    Protocol {
        /// The type of segmentation.
        gso_type: GsoType,
        /// The packet's transport.
        protocol: Protocol,
    },
    /// Explicit congestion notification is stated, but not for TCP.
    #[error("explicit congestion notification goes with TCP, not with {gso_type:?}")]
    Ecn {
        /// The type of segmentation.
        gso_type: GsoType,
    },
    /// The packet is a fragment.
    #[error("a fragment cannot be cut into segments")]
    Fragment,
    /// The stated size of segments is none.
    #[error("segments cannot have {size} bytes of payload")]
    SegmentSize {
        /// The stated size, in bytes.
        size: u16,
    },
    /// Behind the headers is less than two segments have, though the packet states to be longer.
    #[error("{payload} bytes of payload are not more than one segment")]
    OneSegment {
        /// The bytes behind the headers.
        payload: usize,
    },
    /// The checksum is not left to the receiver, or not at its place in the transport's header.
    #[error("the checksum to be completed is not the transport's")]
    ChecksumPlace,
    /// A packet of UDP would be cut into more segments than Linux makes.
    #[error("{segments} segments are too many for UDP: at most {MOST_OF_UDP}")]
    TooMany {
        /// How many that would be.
        segments: usize,
    },
    /// A segment would be longer than an IP packet can be.
    #[error("a segment of {length} bytes would be too long")]
    TooLong {
        /// The segment's length, in bytes.
        length: usize,
    },
    /// The packet is in a PPPoE session, or behind MPLS labels.
    #[error("packets in a PPPoE session or behind MPLS labels are not cut")]
    Tunnel,
    /// The packet is not in such a UDP tunnel as the header states.
    #[error("{0}")]
    UdpTunnel(GsoMismatch),
}
