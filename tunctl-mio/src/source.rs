//! A device as an event source.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use tunctl_core::bulk::RecvBatch;
use tunctl_core::{Bulk, Operation, Readiness, Reason, Result, TunDevice, WaitOutcome};

use crate::{DrainError, Drained};

/// A device as an event source of a [`Poll`](mio::Poll): a [`TunDevice`], or a [`Bulk`] of one.
///
/// # The contract
///
/// mio is *edge-triggered*: it reports a change once. After an event, a program must receive until nothing is
/// left, or the packets left wait until another one comes. [`drain`](Self::drain) does so, and if it stops
/// early, for its budget or an error, it has the next poll return an event again. So:
///
/// 1. Register for [`Interest::READABLE`], and for `WRITABLE` only after a send has returned `WouldBlock`.
/// 2. On an event for which [`may_receive`] is true, call `drain`, or [`drain_into`](Self::drain_into) for
///    many packets a call. Nothing else is needed.
/// 3. When that returns [`Gone`](Drained::Gone), the interface was deleted: deregister the source, or drop
///    it.
///
/// To send, do not wait for an event: a TUN device takes packets whenever its interface is up, and is then
/// writable from the start. After each `WouldBlock`, and after [`Down`](tunctl_core::Cause::Down), register
/// the source anew with `WRITABLE`: the next event for which [`may_send`] is true says that there is room, or
/// that the interface is up. Without that Linux reports none, because nobody asked while the device was not
/// writable.
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

impl<D: AsFd> TunSource<D> {
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

    /// The device had no packet. For some microseconds of a deletion, Linux polls the device as in error
    /// while a receive still returns `WouldBlock`, and no other event follows. So a device that is ready all
    /// the same is to be drained again.
    fn emptied(&self, is_ready: bool) -> Result<Drained> {
        if is_ready {
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

impl<D: TunDevice> TunSource<D> {
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
                Err(error) if error.is_would_block() => {
                    let is_ready = self.device.wait(Readiness::Readable, Some(Duration::ZERO));
                    let drained = is_ready.and_then(|is_ready| self.emptied(is_ready));
                    return drained.map_err(DrainError::Device);
                }
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
}

impl<D: TunDevice> TunSource<Bulk<D>> {
    /// Receives the packets that wait into a batch, as many as one call of [`Bulk::try_recv`] takes, and
    /// returns what is left. What the batch had is forgotten.
    ///
    /// The batch is the budget, which shares the loop's time. What waits beyond it comes with the next event.
    ///
    /// ```
    /// use tunctl_core::bulk::{RecvBatch, SendBatch};
    /// use tunctl_core::{Bulk, Result, TunDevice};
    /// use tunctl_mio::{Drained, TunSource};
    ///
    /// /// Turns packets around: on each event for which `may_receive` is true. Whether the interface exists.
    /// fn turn<D: TunDevice>(
    ///     tun: &TunSource<Bulk<D>>,
    ///     received: &mut RecvBatch,
    ///     sent: &mut SendBatch,
    /// ) -> Result<bool> {
    ///     if tun.drain_into(received)? == Drained::Gone {
    ///         return Ok(false);
    ///     }
    ///     while let Some(packet) = received.next() {
    ///         if sent.is_full_for(packet.len()) {
    ///             send(tun, sent)?;
    ///         }
    ///         if sent.push(packet).is_err() {
    ///             break; // the system takes no more now: as on any network, packets can be lost
    ///         }
    ///     }
    ///     send(tun, sent)?;
    ///     Ok(true)
    /// }
    ///
    /// /// What was not sent is still in the batch, and goes with the next one.
    /// fn send<D: TunDevice>(tun: &TunSource<Bulk<D>>, sent: &mut SendBatch) -> Result<()> {
    ///     match tun.device().try_send(sent) {
    ///         Err(error) if !error.is_packet_lost() && !error.is_would_block() => Err(error),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// # use tunctl_core::{CreateOptions, TunBackend};
    /// # let kernel = tunctl_mock::MockBackend::new();
    /// # let options = CreateOptions::tun().name("tun0").address("10.1.1.1/24").vnet_header(true).up();
    /// # let tun = TunSource::new(kernel.create(&options)?.into_bulk()?);
    /// # let (mut received, mut sent) = (tun.device().recv_batch(), tun.device().send_batch());
    /// # kernel.inject("tun0", [0x45; 20]);
    /// # assert!(turn(&tun, &mut received, &mut sent)?);
    /// # assert_eq!(kernel.take("tun0").unwrap(), [0x45; 20]);
    /// # kernel.delete("tun0");
    /// # assert!(!turn(&tun, &mut received, &mut sent)?);
    /// # Ok::<(), tunctl_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As in [`drain`](Self::drain).
    pub fn drain_into(&self, batch: &mut RecvBatch) -> Result<Drained> {
        match self.device.try_recv(batch) {
            Err(error) if error.is_would_block() => {
                let outcome = self.device.wait_until(Readiness::Readable, Some(Duration::ZERO), None)?;
                self.emptied(outcome == WaitOutcome::Ready)
            }
            Err(error) if error.is_gone() => Ok(Drained::Gone),
            received => self.rearm().and(received).map(|_| Drained::More),
        }
    }
}

impl<D: AsFd> AsFd for TunSource<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl<D: AsFd> event::Source for TunSource<D> {
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
