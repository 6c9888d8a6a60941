//! Packets in reused buffers.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::channel::Channel;

/// A packet, in a buffer that is reused when this is dropped.
///
/// The packet has the headers in front of it that the device was opened with. Its bytes may be changed in
/// place, for instance into a reply.
pub struct PacketBuffer {
    bytes: Vec<u8>,
    length: usize,
    origin: Arc<Channel>,
}

impl PacketBuffer {
    pub(super) const fn new(bytes: Vec<u8>, length: usize, origin: Arc<Channel>) -> Self {
        Self { bytes, length, origin }
    }
}

impl Drop for PacketBuffer {
    fn drop(&mut self) {
        self.origin.return_buffer(std::mem::take(&mut self.bytes));
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
