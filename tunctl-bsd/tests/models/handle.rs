//! A descriptor of an open device.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use super::enter;
use super::world::World;

/// A descriptor: a real one, to wait at. Dropping the last of a device closes it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) device: u64,
    pub(super) socket: UnixDatagram,
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        enter(&self.world).drop_handle(self.device);
    }
}
