//! Headers in front of a packet, and the numbers in them.

mod address_family;
mod ether_type;
mod kind;
mod packet_info;
mod vnet;

pub use crate::error::Truncated;
pub use address_family::{AddressFamily, OtherFamily, System};
pub use ether_type::EtherType;
pub use kind::{HeaderError, HeaderKind, Headers};
pub use packet_info::PacketInfo;
pub use vnet::{ChecksumError, Endian, GsoMismatch, GsoType, VnetFormat, VnetHeader, VnetLength, VnetRules};
