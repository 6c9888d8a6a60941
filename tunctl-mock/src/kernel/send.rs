//! Packets from the program: what is malformed, and who gets the others.

use std::io::IoSlice;

use tunctl_core::{Cause, CreateFlags, Layer, State};

use super::vnet::Malformed;
use super::{FileId, InterfaceId, Kernel, NetDevice, vnet};
use crate::kernel::Result;
use crate::{Errno, KernelProfile};

/// The packet information header: two bytes of flags, and the EtherType.
pub(super) const PACKET_INFORMATION: usize = 4;
/// Addresses and EtherType.
pub(super) const ETHERNET_HEADER: usize = 14;

/// A packet that the program sent, on its way into the network stack (`netif_rx`).
pub(crate) struct Sent {
    pub(crate) from: InterfaceId,
    /// Without the headers in front.
    pub(crate) packet: Vec<u8>,
    /// What the system call returns: how many bytes the program wrote.
    pub(crate) length: usize,
}

impl Kernel {
    /// The program sends one packet.
    pub(crate) fn send(&self, file: FileId, pieces: &[IoSlice<'_>]) -> Result<Sent> {
        let device = self.attached(file)?;
        let length = pieces.iter().map(|piece| piece.len()).sum();
        // What is malformed is refused first, also by an interface that is down.
        let Ok(headers) = device.check(pieces, &self.profile) else {
            let cause = if length < device.least_length() { Cause::TooShort } else { Cause::MalformedPacket };
            return Err(Errno::EINVAL.reason(cause));
        };
        if device.state == State::Down {
            return Err(Errno::EIO.reason(Cause::Down));
        }
        // Neither the MTU nor a queue bounds what comes from the program. A detached queue sends as well.
        Ok(Sent { from: device.id, packet: gather(pieces, headers), length })
    }
}

impl NetDevice {
    /// The rules in the kernel's order; how many bytes stand in front of the packet.
    fn check(&self, pieces: &[IoSlice<'_>], profile: &KernelProfile) -> Result<usize, Malformed> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut headers = 0;
        if self.has_packet_information() {
            // Whatever EtherType it names is taken.
            headers += PACKET_INFORMATION;
            require(length >= headers)?;
        }
        let mut told = 0;
        if self.has_vnet_header() {
            let mut header = [0; vnet::LENGTH];
            require(length >= headers + vnet::LENGTH)?;
            copy(pieces, headers, &mut header);
            headers += vnet::LENGTH;
            told = vnet::check(&header, length - headers, profile)?;
        }
        match self.layer {
            Layer::Tap => {
                require(length - headers >= ETHERNET_HEADER && (told == 0 || told >= ETHERNET_HEADER))?;
            }
            // Without packet information, the first four bits tell the protocol.
            Layer::Tun if !self.has_packet_information() => {
                let mut first = [0];
                copy(pieces, headers, &mut first);
                require(matches!(first[0] >> 4, 4 | 6))?;
            }
            Layer::Tun => {}
        }
        Ok(headers)
    }

    /// The bytes that a packet has at least, headers included.
    fn least_length(&self) -> usize {
        let packet = match self.layer {
            Layer::Tun => 1,
            Layer::Tap => ETHERNET_HEADER,
        };
        self.headers_length() + packet
    }

    /// The bytes in front of each packet.
    pub(super) fn headers_length(&self) -> usize {
        let information = if self.has_packet_information() { PACKET_INFORMATION } else { 0 };
        let vnet = if self.has_vnet_header() { vnet::LENGTH } else { 0 };
        information + vnet
    }

    pub(super) const fn has_packet_information(&self) -> bool {
        !self.flags.contains(CreateFlags::NO_PI)
    }

    pub(super) const fn has_vnet_header(&self) -> bool {
        self.flags.contains(CreateFlags::VNET_HDR)
    }
}

const fn require(condition: bool) -> Result<(), Malformed> {
    if condition { Ok(()) } else { Err(Malformed) }
}

/// Copies bytes from a position of a packet in pieces; where it ends, what is left of `into` stays.
fn copy(pieces: &[IoSlice<'_>], from: usize, into: &mut [u8]) {
    let bytes = pieces.iter().flat_map(|piece| piece.iter()).skip(from);
    for (slot, &byte) in into.iter_mut().zip(bytes) {
        *slot = byte;
    }
}

/// The packet behind its headers, in one piece.
fn gather(pieces: &[IoSlice<'_>], headers: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    let mut skip = headers;
    for piece in pieces {
        packet.extend_from_slice(piece.get(skip..).unwrap_or_default());
        skip = skip.saturating_sub(piece.len());
    }
    packet
}
