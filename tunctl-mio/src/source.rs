//! A device as an event source.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use tunctl_core::{Operation, Readiness, Reason, Result, TunDevice};

use crate::{DrainError, Drained};

/// A device as an event source of a [`Poll`](mio::Poll).
///
/// # The contract
///
/// mio is *edge-triggered*: it reports a change once. After an event, a program must receive until nothing is
/// left, or the packets left wait until another one comes. [`drain`](Self::drain) does so, and if it stops
/// early, for its budget or an error, it has the next poll return an event again. So:
///
/// 1. Register for [`Interest::READABLE`], and for `WRITABLE` only after a send has returned `WouldBlock`.
/// 2. On an event for which [`may_receive`] is true, call `drain`. Nothing else is needed.
/// 3. When `drain` returns [`Gone`](Drained::Gone), the interface was deleted: deregister the source, or drop
///    it.
///
/// To send, do not wait for an event: a TUN device takes packets whenever its interface is up, and is then
/// writable from the start. After a `WouldBlock`, an event for which [`may_send`] is true says when to try
/// again. After [`Down`](tunctl_core::Cause::Down), register the source anew with `WRITABLE`: the next such
/// event says that the interface is up. Without that Linux reports none, because nobody asked while the
/// interface was down.
///
/// # Deletion
///
/// | system | event |
/// |---|---|
/// | Linux | [`is_error`](event::Event::is_error), neither readable nor writable |
/// | the mock | [`is_readable`](event::Event::is_readable): its descriptor is a socket |
///
/// [`may_receive`] is true for either, and `drain` then returns [`Gone`](Drained::Gone). When an interface is
/// deleted, Linux wakes only a poll for input. So a source that is registered for writing alone also asks for
/// urgent data, which a device never has.
///
/// # Lifetime
///
/// Dropping the source, or taking the [device](Self::into_device) out of it, deregisters it. Closing a
/// descriptor alone would not: as long as a [clone](TunDevice::try_clone) of the device is open, epoll goes
/// on reporting events for it.
#[derive(Debug)]
pub struct TunSource<D> {
    // Before the device: fields are dropped in this order, and the registration has the device's descriptor.
    registration: Option<Registration>,
    device: D,
}

/// Where a source is registered. Dropping it deregisters the source.
#[derive(Debug)]
struct Registration {
    registry: Registry,
    fd: RawFd,
    token: Token,
    interests: Interest,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // It fails if the poll is gone, which has then forgotten the source.
        let _ = SourceFd(&self.fd).deregister(&self.registry);
    }
}

use event::Source as _;

impl<D: TunDevice> TunSource<D> {
    /// A source that is not registered yet.
    #[must_use]
    pub const fn new(device: D) -> Self {
        Self { registration: None, device }
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// Deregisters the source and returns the device.
    #[must_use]
    pub fn into_device(self) -> D {
        let Self { registration, device } = self;
        drop(registration);
        device
    }

    /// Receives the packets that wait, at most `budget` of them, calls `each` with every one, and returns
    /// what is left.
    ///
    /// The budget shares the loop's time: a flood on this device does not delay other sources and timers. 64
    /// suits most programs. A packet longer than `buffer` loses its tail, as in
    /// [`try_recv`](TunDevice::try_recv).
    ///
    /// # Errors
    ///
    /// Those of a receive, other than a deletion, which is [`Drained::Gone`]. The next poll returns an event
    /// for the packets left.
    pub fn drain(
        &self,
        buffer: &mut [u8],
        budget: usize,
        mut each: impl FnMut(&mut [u8]),
    ) -> Result<Drained> {
        let drained = self.try_drain(buffer, budget, |packet| {
            each(packet);
            Ok::<_, Infallible>(())
        });
        drained.map_err(|error| match error {
            DrainError::Device(error) => error,
            DrainError::Each(never) => match never {},
        })
    }

    /// Like [`drain`](Self::drain), but stops at the first error of `each`, as [`Iterator::try_for_each`]
    /// does. The packet for which `each` failed is not received again.
    ///
    /// ```
    /// use tunctl_core::{Result, TunDevice};
    /// use tunctl_mio::{Drained, TunSource};
    ///
    /// /// Forwards packets. `Drained::Gone`: `from` was deleted. An error with the cause `Gone`: `to` was.
    /// fn forward<D: TunDevice>(from: &TunSource<D>, to: &D, buffer: &mut [u8]) -> Result<Drained> {
    ///     let drained = from.try_drain(buffer, 64, |packet| {
    ///         to.send(packet)?;
    ///         Ok(())
    ///     })?;
    ///     Ok(drained)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`DrainError::Each`] with the error of `each`, [`DrainError::Device`] as in [`drain`](Self::drain).
    /// The next poll returns an event for the packets left.
    pub fn try_drain<E>(
        &self,
        buffer: &mut [u8],
        budget: usize,
        mut each: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Drained, DrainError<E>> {
        for _ in 0..budget {
            let outcome = match self.device.try_recv(buffer) {
                Ok(length) => each(buffer.get_mut(..length).unwrap_or_default()).map_err(DrainError::Each),
                Err(error) if error.is_would_block() => return self.emptied().map_err(DrainError::Device),
                Err(error) if error.is_gone() => return Ok(Drained::Gone),
                Err(error) => Err(DrainError::Device(error)),
            };
            if let Err(error) = outcome {
                return self.rearm().map_err(DrainError::Device).and(Err(error));
            }
        }
        self.rearm().map_err(DrainError::Device)?;
        Ok(Drained::More)
    }

    /// The device had no packet. For some microseconds of a deletion, Linux polls the device as in error
    /// while a receive still returns `WouldBlock`, and no other event follows. So a device that is ready all
    /// the same is to be drained again.
    fn emptied(&self) -> Result<Drained> {
        if self.device.wait(Readiness::Readable, Some(Duration::ZERO))? {
            self.rearm()?;
            return Ok(Drained::More);
        }
        Ok(Drained::Empty)
    }

    /// Registers the source anew, so that the next poll returns an event if the device is ready already.
    fn rearm(&self) -> Result<()> {
        let Some(Registration { registry, fd, token, interests }) = &self.registration else { return Ok(()) };
        let rearmed = SourceFd(fd).reregister(registry, *token, *interests);
        rearmed.map_err(|error| Reason::from_io(&error).of(Operation::Wait))
    }
}

impl<D: AsFd> AsFd for TunSource<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl<D: TunDevice> event::Source for TunSource<D> {
    /// # Errors
    ///
    /// `AlreadyExists`: the source is registered, with this poll or another one. Those of the system: the
    /// source keeps a clone of the registry, which takes a descriptor.
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        if self.registration.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the device is registered already"));
        }
        let (registry, fd, interests) =
            (registry.try_clone()?, self.device.as_fd().as_raw_fd(), with_deletion(interests));
        SourceFd(&fd).register(&registry, token, interests)?;
        self.registration = Some(Registration { registry, fd, token, interests });
        Ok(())
    }

    /// # Errors
    ///
    /// `NotFound`: the source is not registered.
    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        let registration = self.registration.as_mut().ok_or_else(not_registered)?;
        let interests = with_deletion(interests);
        SourceFd(&registration.fd).reregister(registry, token, interests)?;
        (registration.token, registration.interests) = (token, interests);
        Ok(())
    }

    /// # Errors
    ///
    /// `NotFound`: the source is not registered.
    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        let registration = self.registration.take().ok_or_else(not_registered)?;
        SourceFd(&registration.fd).deregister(registry)
    }
}

fn not_registered() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the device is not registered")
}

/// The interests, completed so that a deletion wakes the poll.
fn with_deletion(interests: Interest) -> Interest {
    if interests.is_readable() { interests } else { interests | URGENT }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const URGENT: Interest = Interest::PRIORITY;
/// Other systems report a deletion to a poll for output, too.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const URGENT: Interest = Interest::WRITABLE;

/// Whether an event means that a receive will return something: a packet, or that the interface is gone.
#[must_use]
pub fn may_receive(event: &event::Event) -> bool {
    event.is_readable() || event.is_error() || event.is_read_closed()
}

/// Whether an event means that a send will not block. It succeeds, or fails because the interface is gone.
#[must_use]
pub fn may_send(event: &event::Event) -> bool {
    event.is_writable() || event.is_error() || event.is_write_closed()
}
