//! Where things are in an IP packet, looked up a second time, as plainly as can be.

use super::common::{checksum, numbered_checksum};

/// Where a packet's transport is, of one whose lengths fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) v6: bool,
    /// What is behind all headers of IP.
    pub(super) number: u8,
    pub(super) fragment: Option<Fragment>,
    /// Where that begins.
    pub(super) start: usize,
    /// Where the packet ends, as it states itself.
    pub(super) end: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) offset: u16,
    pub(super) identification: u32,
}

impl Fragment {
    fn new(offset: u16, more: bool, identification: u32) -> Option<Fragment> {
        (offset != 0 || more).then_some(Fragment { offset, identification })
    }
}

impl Layout {
    /// `None` if a length is wrong.
    pub(super) fn of(bytes: &[u8]) -> Option<Layout> {
        match bytes.first()? >> 4 {
            4 => Layout::of_v4(bytes),
            6 => Layout::of_v6(bytes),
            _ => None,
        }
    }

    fn of_v4(bytes: &[u8]) -> Option<Layout> {
        let header = bytes.get(..20)?;
        let (start, end) = (usize::from(header[0] & 0xf) * 4, usize::from(be16(header, 2)));
        let fragment = Fragment::new(be16(header, 6) << 3, header[6] & 0x20 != 0, u32::from(be16(header, 4)));
        let fits = start >= 20 && start <= end && end <= bytes.len();
        let layout = Layout { v6: false, number: header[9], fragment, start, end };
        layout.behind_extensions(bytes).filter(|_| fits)
    }

    fn of_v6(bytes: &[u8]) -> Option<Layout> {
        let header = bytes.get(..40)?;
        let end = 40 + usize::from(be16(header, 4));
        let fits = end <= bytes.len() && (end > 40 || bytes.len() == 40);
        let layout = Layout { v6: true, number: header[6], fragment: None, start: 40, end };
        layout.behind_extensions(bytes).filter(|_| fits)
    }

    fn behind_extensions(mut self, bytes: &[u8]) -> Option<Layout> {
        let packet = bytes.get(..self.end)?;
        loop {
            let is_extension = match self.number {
                51 => true,
                // What a fragment carries may be fragments in turn, which are nobody's business yet.
                44 => self.v6 && self.fragment.is_none(),
                0 | 43 | 60 => self.v6,
                _ => false,
            };
            if !is_extension || self.is_later_fragment() {
                return Some(self);
            }
            let header = packet.get(self.start..self.start + 8)?;
            self.start += match self.number {
                44 => 8,
                51 => (usize::from(header[1]) + 2) * 4,
                _ => (usize::from(header[1]) + 1) * 8,
            };
            if self.number == 44 {
                let identification = u32::from_be_bytes(header[4..].try_into().unwrap());
                self.fragment = Fragment::new(be16(header, 2) & !7, header[3] & 1 != 0, identification);
            }
            self.number = header[0];
            packet.get(self.start..)?;
        }
    }

    pub(super) fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset != 0)
    }

    /// The checksum over the transport, and over the addresses where it covers them; 0 if it is right.
    pub(super) fn sum(&self, bytes: &[u8]) -> u16 {
        let transport = &bytes[self.start..self.end];
        let transport = match (self.number, self.fragment, transport) {
            (17, None, [_, _, _, _, l0, l1, ..]) => {
                transport.get(..usize::from(u16::from_be_bytes([*l0, *l1]))).unwrap_or(transport)
            }
            _ => transport,
        };
        if self.number == 1 { checksum(transport) } else { numbered_checksum(bytes, self.number, transport) }
    }
}

/// A packet with the checksums set right that are in it, as far as its lengths allow.
pub(crate) fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    let layout = Layout::of(bytes)?;
    let mut packet = bytes.to_vec();
    if !layout.v6 {
        let header = usize::from(packet[0] & 0xf) * 4;
        packet[10..12].fill(0);
        let sum = checksum(&packet[..header]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    let offset = match layout.number {
        1 | 58 => 2,
        6 => 16,
        17 => 6,
        _ => return Some(packet),
    };
    let place = layout.start + offset..layout.start + offset + 2;
    if layout.fragment.is_none() && place.end <= layout.end {
        packet[place.clone()].fill(0);
        let sum = layout.sum(&packet);
        packet[place].copy_from_slice(&sum.to_be_bytes());
    }
    Some(packet)
}

/// That a packet is whole and right: no byte more than it states, and checksums that are.
pub(super) fn assert_right(packet: &[u8]) -> Layout {
    let layout = Layout::of(packet).unwrap();
    assert_eq!(layout.end, packet.len());
    assert!(layout.v6 || checksum(&packet[..layout.start]) == 0);
    assert!(layout.fragment.is_some() || layout.sum(packet) == 0 || has_no_sum(&layout, packet));
    layout
}

/// A datagram in IPv4 without a checksum.
pub(super) fn has_no_sum(layout: &Layout, packet: &[u8]) -> bool {
    !layout.v6 && layout.number == 17 && packet[layout.start..].get(6..8) == Some(&[0, 0])
}

pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
