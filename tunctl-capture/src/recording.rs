//! A recording, read from a file and fed back.

use std::io::IoSlice;
use std::time::Duration;

use tunctl_core::{Cause, CreateFlags, Layer, Operation, Reason, Result, TunDevice};
use tunctl_packet::{EtherType, PacketInfo};

use crate::pcapng::Blocks;
use crate::recorder::VNET_HEADER_LENGTH;
use crate::{Direction, InvalidRecording};

/// A packet that passed an interface once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Which way. A file that no [`Recorder`](crate::Recorder) wrote may not know.
    pub direction: Option<Direction>,
    /// When, since the beginning of 1970 or what the recorder's clock took for it. Some files do not know.
    pub time: Option<Duration>,
    /// What it starts with. `None` for neither an IP packet nor an Ethernet frame: the capture of another
    /// kind of network.
    pub layer: Option<Layer>,
    /// Its bytes, as many as were captured.
    pub packet: Vec<u8>,
    /// How many bytes it had, as far as that was known; never less than were captured.
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

/// The packets of a pcapng file, in its order: one that a [`Recorder`](crate::Recorder) wrote, or a capture
/// of Wireshark's.
///
/// Read are enhanced and simple packet blocks, of every interface that the file describes, in either byte
/// order. Blocks of other kinds are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    packets: Vec<Recorded>,
}

impl Recording {
    /// Reads a whole file. It takes memory in proportion to the file, whatever is in there.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as [`InvalidRecording`] says.
    pub fn parse(file: &[u8]) -> Result<Self, InvalidRecording> {
        match Self::salvage(file) {
            (recording, None) => Ok(recording),
            (_, Some(invalid)) => Err(invalid),
        }
    }

    /// Reads a file up to the first damage: the packets before it, and what it is. A recorder that was killed
    /// may leave a packet half written.
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

    /// Hands each packet to `feed`, in order and without a pause, up to the first failure: to inject what was
    /// received into a mock, and compare what is sent. For the pace of old, `feed` may sleep for the
    /// difference of two times.
    ///
    /// # Errors
    ///
    /// That of `feed`.
    pub fn replay<E>(&self, feed: impl FnMut(&Recorded) -> Result<(), E>) -> Result<(), E> {
        self.packets.iter().try_for_each(feed)
    }

    /// Sends the packets of one direction through a device, or of any direction with `None`; how many they
    /// are.
    ///
    /// They are sent as they were captured, whole or not, with those headers in front that the device's flags
    /// ask for. (The virtio-net header is all zeros: nothing is left to the receiver.)
    ///
    /// # Errors
    ///
    /// `LayerMismatch` at the first packet that is none of the device's layer; those of [`TunDevice::send`].
    /// What came before is sent.
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
            Some(other) => format!("the recording is of a {other}, the device is a {layer}"),
            None => format!("the recording is of another kind of network, the device is a {layer}"),
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

/// The packet information of a packet; it says 0 of what is no packet.
fn information(layer: Layer, packet: &[u8]) -> PacketInfo {
    match layer {
        Layer::Tun => PacketInfo::for_packet(packet),
        Layer::Tap => {
            packet.get(12..14).map(|kind| PacketInfo::new(EtherType(u16::from_be_bytes([kind[0], kind[1]]))))
        }
    }
    .unwrap_or(PacketInfo::new(EtherType(0)))
}
