//! A descriptor of an open device.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use super::enter;
use super::world::World;

/// A descriptor: a real one, to wait at. Dropping the last of a device closes it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) device: u64,
    /// The program's end, unless it was handed over.
    pub(super) socket: Option<Arc<UnixStream>>,
}

impl Handle {
    /// The program's end.
    pub(super) fn socket(&self) -> &UnixStream {
        self.socket.as_ref().expect("only what is dropped has none")
    }
}

impl From<Handle> for OwnedFd {
    /// From now on the model sees by a hang-up when the last descriptor is closed.
    fn from(mut handle: Handle) -> Self {
        let socket = handle.socket.take().expect("only what is dropped has none");
        enter(&handle.world).hand_over(handle.device);
        Arc::into_inner(socket).expect("the model has only weak ones").into()
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.socket.is_some() {
            enter(&self.world).drop_handle(self.device);
        }
    }
}
