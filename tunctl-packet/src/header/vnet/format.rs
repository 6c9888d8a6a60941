//! How long a virtio-net header is, and in what byte order.

/// In what form a device has its virtio-net headers: how long they are, and their byte order.
///
/// The default is what Linux gives a device that asked for neither: ten bytes, in the order of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VnetFormat {
    /// How long, and so what is in it.
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

/// How long a virtio-net header is: each length has what the shorter ones have, and more.
///
/// Linux takes any number of bytes from ten up, and has no use for those that stand between these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "TUNSETVNETHDRSZ")]
#[doc(alias = "TUNGETVNETHDRSZ")]
pub enum VnetLength {
    /// Ten bytes: checksum and segmentation.
    #[default]
    #[doc(alias = "struct virtio_net_hdr")]
    Basic,
    /// Twelve bytes: the number of buffers, too.
    #[doc(alias = "struct virtio_net_hdr_mrg_rxbuf")]
    #[doc(alias = "struct virtio_net_hdr_v1")]
    Buffers,
    /// Twenty bytes: the hash of the flow, too.
    #[doc(alias = "struct virtio_net_hdr_v1_hash")]
    Hash,
    /// Twenty-four bytes: where the headers inside of a UDP tunnel are, too.
    #[doc(alias = "struct virtio_net_hdr_v1_hash_tunnel")]
    Tunnel,
}

impl VnetLength {
    /// All of them, the shortest first.
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

    /// The one with this many bytes; `None` if there is none.
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
/// It is that of the checksum, the segmentation and the number of buffers. The hash and what comes behind it
/// are little endian always: virtio has them since its first version alone, which is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Endian {
    /// That of the machine this runs on.
    #[default]
    Native,
    /// The least significant byte first, as virtio has it since version 1.
    #[doc(alias = "TUNSETVNETLE")]
    Little,
    /// The most significant byte first.
    #[doc(alias = "TUNSETVNETBE")]
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
