//! How many packets have to wait, so that none is dropped.

use crate::Mtu;

/// What TCP passes to an interface in one piece, in bytes (`GSO_LEGACY_MAX_SIZE`, Linux 6.18).
const BURST: u32 = 65_536;
/// The headers of IPv4 and TCP in front of each part.
const HEADERS: u32 = 40;
/// The bursts that wait at once, for as many streams.
const STREAMS: u32 = 100;
/// Packets in a queue take the system's memory: at most some 80 MiB.
const LEAST: u32 = 1000;
const MOST: u32 = 20_000;

/// The length of a queue that 100 streams of TCP do not overrun, in packets: for
/// [`CreateOptions::queue_length`](crate::CreateOptions::queue_length).
///
/// `offload` is whether the device receives what stands for many packets, as a [`Bulk`](crate::Bulk) does
/// where the system has offload. That takes one place in the queue, and each of its packets takes one
/// otherwise. Linux's own lengths are 500 for a TUN and 1,000 for a TAP interface, whatever their MTU; what
/// does not fit is dropped, and its sender is not told.
///
/// ```
/// use tunctl_core::bulk::queue_length;
/// use tunctl_core::{CreateOptions, Mtu};
///
/// let mtu = Mtu::new(1500)?;
/// assert_eq!((queue_length(mtu, true), queue_length(mtu, false)), (1000, 4500));
/// let options = CreateOptions::tun().mtu(mtu).queue_length(queue_length(mtu, false));
/// # Ok::<(), tunctl_core::InvalidMtu>(())
/// ```
#[doc(alias = "txqueuelen")]
#[must_use]
pub fn queue_length(mtu: Mtu, offload: bool) -> u32 {
    if offload {
        return LEAST;
    }
    let packets = BURST.div_ceil(mtu.get().saturating_sub(HEADERS).max(1));
    packets.saturating_mul(STREAMS).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_the_packets_the_longer_the_queue() {
        let length = |mtu| queue_length(Mtu::new(mtu).unwrap(), false);
        assert_eq!([68, 576, 1280, 1500, 9000, 65_521].map(length), [20_000, 12_300, 5300, 4500, 1000, 1000]);
        for mtu in [68, 1500, 65_521] {
            assert_eq!(queue_length(Mtu::new(mtu).unwrap(), true), 1000);
        }
    }
}
