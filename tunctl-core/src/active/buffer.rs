//! Packets in buffers that go round.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::channel::Channel;

/// A packet, in a buffer that goes back when this is dropped.
///
/// It is as the device gives it: with the headers in front that the device was asked for. The bytes may be changed in place,
/// say into a reply.
pub struct PacketBuffer {
    bytes: Vec<u8>,
    length: usize,
    home: Arc<Channel>,
}

impl PacketBuffer {
    pub(super) const fn new(bytes: Vec<u8>, length: usize, home: Arc<Channel>) -> Self {
        Self { bytes, length, home }
    }
}

impl Drop for PacketBuffer {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.bytes));
    }
}

impl Deref for PacketBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl DerefMut for PacketBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for PacketBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for PacketBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PacketBuffer").field(&&**self).finish()
    }
}
