//! A recording, read from a file and replayed.

use std::io::IoSlice;
use std::time::Duration;

use tunctl_core::{Cause, CreateFlags, Layer, Operation, Reason, Result, TunDevice};
use tunctl_packet::{EtherType, PacketInfo};

use crate::pcapng::Blocks;
use crate::recorder::VNET_HEADER_LENGTH;
use crate::{Direction, InvalidRecording};

/// A recorded packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Its direction, which a file from another program than [`Recorder`](crate::Recorder) may lack.
    pub direction: Option<Direction>,
    /// Its time, since the beginning of 1970 or the epoch of the recorder's clock. Some files lack it.
    pub time: Option<Duration>,
    /// The layer that it starts with. `None` if it is neither an IP packet nor an Ethernet frame, in the
    /// capture of another kind of network.
    pub layer: Option<Layer>,
    /// Its bytes, as many as were captured.
    pub packet: Vec<u8>,
    /// Its original length in bytes, as far as it was known; never less than the captured length.
    pub original_length: usize,
}

impl Recorded {
    pub(crate) fn new(
        layer: Option<Layer>,
        direction: Option<Direction>,
        time: Option<Duration>,
        packet: &[u8],
        original_length: u32,
    ) -> Self {
        let original_length = usize::try_from(original_length).unwrap_or(usize::MAX).max(packet.len());
        Self { direction, time, layer, packet: packet.to_vec(), original_length }
    }
}

/// The packets of a pcapng file in their order, from a [`Recorder`](crate::Recorder) or from Wireshark.
///
/// It reads enhanced and simple packet blocks, of every interface that the file describes, in either byte
/// order. It skips blocks of other kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    packets: Vec<Recorded>,
}

impl Recording {
    /// Reads a whole file. It takes memory in proportion to the file, whatever the file contains.
    ///
    /// # Errors
    ///
    /// [`InvalidRecording`] says what is wrong with the file.
    pub fn parse(file: &[u8]) -> Result<Self, InvalidRecording> {
        match Self::salvage(file) {
            (recording, None) => Ok(recording),
            (_, Some(invalid)) => Err(invalid),
        }
    }

    /// Reads a file up to the first damage. Returns the packets before it, and the error. A killed recorder
    /// may leave a half-written packet.
    #[must_use]
    pub fn salvage(file: &[u8]) -> (Self, Option<InvalidRecording>) {
        let mut recording = Self::default();
        if file.is_empty() {
            return (recording, Some(InvalidRecording::NotPcapng));
        }
        for packet in Blocks::new(file) {
            match packet {
                Ok(packet) => recording.packets.push(packet),
                Err(invalid) => return (recording, Some(invalid)),
            }
        }
        (recording, None)
    }

    /// The packets.
    #[must_use]
    pub fn packets(&self) -> &[Recorded] {
        &self.packets
    }

    /// Passes each packet to `feed`, in order and without a pause, up to the first error: to inject the
    /// received packets into a mock, and compare the sent ones. To keep the original pace, `feed` may sleep
    /// for the difference of two times.
    ///
    /// # Errors
    ///
    /// The first error of `feed`.
    pub fn replay<E>(&self, feed: impl FnMut(&Recorded) -> Result<(), E>) -> Result<(), E> {
        self.packets.iter().try_for_each(feed)
    }

    /// Sends the packets of one direction through a device, or with `None` those of both directions. Returns
    /// their number.
    ///
    /// The packets are sent as they were captured, whole or not, with the headers in front that the device's
    /// flags require. (The virtio-net header is all zeros: it leaves no work to the receiver.)
    ///
    /// # Errors
    ///
    /// `LayerMismatch` at the first packet that does not have the device's layer; the errors of
    /// [`TunDevice::send`]. The packets before it have been sent.
    pub fn send_all<D: TunDevice>(&self, device: &D, direction: Option<Direction>) -> Result<usize> {
        let mut sent = 0;
        for recorded in &self.packets {
            if direction.is_none() || recorded.direction == direction {
                send(device, recorded)?;
                sent += 1;
            }
        }
        Ok(sent)
    }
}

impl<'a> IntoIterator for &'a Recording {
    type Item = &'a Recorded;
    type IntoIter = std::slice::Iter<'a, Recorded>;

    fn into_iter(self) -> Self::IntoIter {
        self.packets.iter()
    }
}

impl IntoIterator for Recording {
    type Item = Recorded;
    type IntoIter = std::vec::IntoIter<Recorded>;

    fn into_iter(self) -> Self::IntoIter {
        self.packets.into_iter()
    }
}

fn send<D: TunDevice>(device: &D, recorded: &Recorded) -> Result<()> {
    let layer = device.layer();
    if recorded.layer != Some(layer) {
        let detail = match recorded.layer {
            Some(other) => format!("the recording is of a {other}, and the device is a {layer}"),
            None => format!("the recording is of another kind of network, and the device is a {layer}"),
        };
        return Err(Reason::new(Cause::LayerMismatch).with_detail(detail).of(Operation::Send));
    }
    let information = information(layer, &recorded.packet).to_bytes();
    let flags = device.flags();
    let mut pieces = Vec::with_capacity(3);
    if !flags.contains(CreateFlags::NO_PI) {
        pieces.push(IoSlice::new(&information));
    }
    if flags.contains(CreateFlags::VNET_HDR) {
        pieces.push(IoSlice::new(&[0; VNET_HEADER_LENGTH]));
    }
    pieces.push(IoSlice::new(&recorded.packet));
    device.send_vectored(&pieces).map(drop)
}

/// The packet information of a packet, with protocol 0 if the bytes are no packet.
fn information(layer: Layer, packet: &[u8]) -> PacketInfo {
    match layer {
        Layer::Tun => PacketInfo::for_packet(packet),
        Layer::Tap => {
            packet.get(12..14).map(|kind| PacketInfo::new(EtherType(u16::from_be_bytes([kind[0], kind[1]]))))
        }
    }
    .unwrap_or(PacketInfo::new(EtherType(0)))
}
