//! Halves of a device.

use std::sync::Arc;

use tunctl_core::{Result, TunDevice};

use crate::AsyncDevice;

/// The half that receives: see [`AsyncDevice::into_split`].
///
/// The device is closed when both halves are gone.
#[derive(Debug)]
pub struct RecvHalf<D> {
    shared: Arc<AsyncDevice<D>>,
}

/// The half that sends: see [`AsyncDevice::into_split`].
///
/// The device is closed when both halves are gone.
#[derive(Debug)]
pub struct SendHalf<D> {
    shared: Arc<AsyncDevice<D>>,
}

impl<D: TunDevice> RecvHalf<D> {
    pub(crate) const fn new(shared: Arc<AsyncDevice<D>>) -> Self {
        Self { shared }
    }

    /// As [`AsyncDevice::recv`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn recv(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.shared.recv(buffer).await
    }

    /// The device, which the other half has too.
    #[must_use]
    pub fn device(&self) -> &AsyncDevice<D> {
        &self.shared
    }

    /// Joins the two halves of a device.
    ///
    /// # Errors
    ///
    /// Returns both halves, if they are not of the same device.
    pub fn reunite(self, other: SendHalf<D>) -> std::result::Result<AsyncDevice<D>, (Self, SendHalf<D>)> {
        if !Arc::ptr_eq(&self.shared, &other.shared) {
            return Err((self, other));
        }
        drop(other);
        Arc::try_unwrap(self.shared).map_err(|shared| (Self::new(shared.clone()), SendHalf { shared }))
    }
}

impl<D: TunDevice> SendHalf<D> {
    pub(crate) const fn new(shared: Arc<AsyncDevice<D>>) -> Self {
        Self { shared }
    }

    /// As [`AsyncDevice::send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn send(&mut self, packet: &[u8]) -> Result<usize> {
        self.shared.send(packet).await
    }

    /// The device, which the other half has too.
    #[must_use]
    pub fn device(&self) -> &AsyncDevice<D> {
        &self.shared
    }
}
