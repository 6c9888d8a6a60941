//! An open file of the driver, as its devices share it, and as it goes on in descriptors outside.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::FileId;
use crate::rig::{SharedWorld, Signal};

/// An open file. It is closed with its last descriptor.
pub(crate) struct OpenFile {
    pub(crate) world: Arc<SharedWorld>,
    pub(crate) id: FileId,
    pub(crate) signal: Arc<Signal>,
    /// The end that a device without one of its own lends; `None` once it is handed over.
    lent: Option<Arc<UnixStream>>,
    /// Another one, for that device to hand over: made with the next device of the file, since handing over
    /// cannot fail.
    spare: Mutex<Option<UnixStream>>,
}

impl OpenFile {
    /// A file that the world has opened, and whose descriptor is this end of the signal.
    pub(crate) fn new(
        world: &Arc<SharedWorld>,
        id: FileId,
        signal: Arc<Signal>,
        lent: Arc<UnixStream>,
    ) -> Self {
        Self { world: world.clone(), id, signal, lent: Some(lent), spare: Mutex::new(None) }
    }

    pub(crate) fn lent(&self) -> BorrowedFd<'_> {
        match &self.lent {
            Some(lent) => lent.as_fd(),
            None => unreachable!("the last device has handed the descriptor over"),
        }
    }

    /// A descriptor for a clone of a device.
    pub(crate) fn duplicate(&self) -> io::Result<UnixStream> {
        self.expect_another()?;
        self.lent().try_clone_to_owned().map(UnixStream::from)
    }

    /// Prepares for another device, which has a descriptor of its own.
    pub(crate) fn expect_another(&self) -> io::Result<()> {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.is_none() {
            *spare = Some(self.lent().try_clone_to_owned()?.into());
        }
        Ok(())
    }

    /// The descriptor of the only device that has the file.
    pub(crate) fn take_lent(&mut self) -> Option<UnixStream> {
        self.lent.take().and_then(Arc::into_inner)
    }

    /// The descriptor that was made for the device without one of its own when it got company.
    pub(crate) fn take_spare(&self) -> Option<UnixStream> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let world = self.world.clone();
        let mut world = world.lock();
        drop((self.lent.take(), self.take_spare()));
        world.release(self.id, self);
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenFile").field(&self.id).finish()
    }
}
