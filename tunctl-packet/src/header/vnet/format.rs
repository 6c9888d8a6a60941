//! The length of a virtio-net header, and its byte order.

/// The format of the virtio-net headers of a device: their length and their byte order.
///
/// The default is the format that Linux uses if a device sets neither: ten bytes, in the order of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VnetFormat {
    /// The length, which determines the fields.
    pub length: VnetLength,
    /// The byte order of its first twelve bytes.
    pub endian: Endian,
}

impl VnetFormat {
    /// The format with this length and byte order.
    #[must_use]
    pub const fn new(length: VnetLength, endian: Endian) -> Self {
        VnetFormat { length, endian }
    }
}

/// The length of a virtio-net header. A longer header has all fields of the shorter ones, and more.
///
/// Linux accepts any length from ten bytes up. A length between two of these adds no field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "TUNSETVNETHDRSZ")]
#[doc(alias = "TUNGETVNETHDRSZ")]
pub enum VnetLength {
    /// Ten bytes: checksum and segmentation.
    #[default]
    #[doc(alias = "struct virtio_net_hdr")]
    Basic,
    /// Twelve bytes: also the number of buffers.
    #[doc(alias = "struct virtio_net_hdr_mrg_rxbuf")]
    #[doc(alias = "struct virtio_net_hdr_v1")]
    Buffers,
    /// Twenty bytes: also the hash of the flow.
    #[doc(alias = "struct virtio_net_hdr_v1_hash")]
    Hash,
    /// Twenty-four bytes: also the offsets of the headers in a UDP tunnel.
    #[doc(alias = "struct virtio_net_hdr_v1_hash_tunnel")]
    Tunnel,
}

impl VnetLength {
    /// All lengths, the shortest first.
    pub const ALL: [VnetLength; 4] =
        [VnetLength::Basic, VnetLength::Buffers, VnetLength::Hash, VnetLength::Tunnel];

    /// The length in bytes, as `TUNSETVNETHDRSZ` takes it.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            VnetLength::Basic => 10,
            VnetLength::Buffers => 12,
            VnetLength::Hash => 20,
            VnetLength::Tunnel => 24,
        }
    }

    /// The length with this many bytes; `None` if there is none.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<VnetLength> {
        match bytes {
            10 => Some(VnetLength::Basic),
            12 => Some(VnetLength::Buffers),
            20 => Some(VnetLength::Hash),
            24 => Some(VnetLength::Tunnel),
            _ => None,
        }
    }
}

/// The byte order of a virtio-net header.
///
/// It applies to the checksum, the segmentation and the number of buffers. The hash and the fields behind it
/// are always little endian: virtio has had them only since version 1, which is little endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Endian {
    /// The byte order of this machine.
    #[default]
    Native,
    /// The least significant byte first, as in virtio since version 1.
    #[doc(alias = "TUNSETVNETLE")]
    #[doc(alias = "TUNGETVNETLE")]
    Little,
    /// The most significant byte first.
    #[doc(alias = "TUNSETVNETBE")]
    #[doc(alias = "TUNGETVNETBE")]
    Big,
}

impl Endian {
    pub(super) const fn get(self, bytes: [u8; 2]) -> u16 {
        match self {
            Endian::Native => u16::from_ne_bytes(bytes),
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) const fn put(self, value: u16) -> [u8; 2] {
        match self {
            Endian::Native => value.to_ne_bytes(),
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Endian, VnetFormat, VnetLength};

    #[test]
    fn the_default_is_that_of_a_new_device() {
        let default = VnetFormat::default();
        assert_eq!(default, VnetFormat::new(VnetLength::Basic, Endian::Native));
        assert_eq!(default.length.bytes(), 10);
    }

    #[test]
    fn only_four_lengths_are_known() {
        let known: Vec<_> = (0..=300).filter_map(VnetLength::from_bytes).collect();
        assert_eq!(known, VnetLength::ALL);
        assert_eq!(known.iter().map(|length| length.bytes()).collect::<Vec<_>>(), [10, 12, 20, 24]);
    }
}
