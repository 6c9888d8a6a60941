//! The device: one open descriptor, attached to one queue of an interface.

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::{
    Cause, CreateFlags, DestroyError, Error, Gid, Interface, InterfaceAddress, InterfaceName, Interrupter,
    Layer, Operation, Result, Uid, Wake,
};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// A packet can be received.
    Readable,
    /// A packet can be sent.
    Writable,
}

/// What a poll of a device's descriptor reports at one moment.
#[doc(alias = "poll")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PollState {
    /// A packet waits.
    #[doc(alias = "POLLIN")]
    pub readable: bool,
    /// The interface is up, and takes packets.
    #[doc(alias = "POLLOUT")]
    pub writable: bool,
    /// The interface is gone.
    #[doc(alias = "POLLERR")]
    pub error: bool,
}

/// One open descriptor of the TUN/TAP driver, attached to one queue of an interface.
///
/// All but [`destroy`](Self::destroy) take `&self`: the kernel does the locking, so one thread may receive while
/// another sends. Dropping a device only closes it; an interface that is not persistent goes with its last device.
///
/// The descriptor is non-blocking and close-on-exec, and [`AsFd`] lends it to event loops.
pub trait TunDevice: AsFd + fmt::Debug + Send + Sync + Sized {
    /// The interface that this device is attached to.
    type Interface: Interface;

    /// The interface: its addresses, its MTU, its state.
    fn interface(&self) -> &Self::Interface;

    /// The interface's name, which follows renames.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "devname")]
    #[doc(alias = "TUNGETIFF")]
    fn name(&self) -> Result<InterfaceName>;

    /// The flags that the device was created with; their [`bits`](CreateFlags::bits) are Erlang's integer.
    #[doc(alias = "TUNGETIFF")]
    fn flags(&self) -> CreateFlags;

    /// Receives one packet if one is there, and its length; never waits.
    ///
    /// Each call is one system call into `buffer`. A packet that is longer than `buffer` loses its tail, without a
    /// sign unless the device carries packet information, whose
    /// [strip bit](tunctl_packet::header::PacketInfo::is_stripped) tells.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; `Gone`; `TooShort` if `buffer` has no room for the headers in front of a packet, which then is lost.
    ///
    /// # Platform
    ///
    /// On Linux, an empty buffer receives 0 bytes at once, and takes no packet.
    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize>;

    /// As [`try_recv`](Self::try_recv), into several buffers, filled one after the other.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    #[doc(alias = "readv")]
    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize>;

    /// Sends one packet, whole or not at all, and returns its length; never waits.
    ///
    /// A packet longer than the MTU is sent all the same: no kernel checks.
    ///
    /// # Errors
    ///
    /// `Down`; `TooShort`; `MalformedPacket`; `WouldBlock` if the send buffer is full; `Gone`.
    fn try_send(&self, packet: &[u8]) -> Result<usize>;

    /// As [`try_send`](Self::try_send), of a packet in several pieces.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    #[doc(alias = "writev")]
    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize>;

    /// Waits until the device is ready, `timeout` has passed, or the interrupter is used, which comes first if it was used
    /// before: which of the three. What is `None` does not end the wait.
    ///
    /// [`wait`](Self::wait) and all receives that wait are made of this. A device whose interface is deleted is ready, so that
    /// the next call can say so.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    #[doc(alias = "poll")]
    fn wait_interruptible(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<Wake>;

    /// Makes the interface outlive its last device, or not.
    ///
    /// # Errors
    ///
    /// `Gone`; `Unsupported`.
    #[doc(alias = "TUNSETPERSIST")]
    fn set_persist(&self, persistent: bool) -> Result<()>;

    /// Makes a user the owner, who may then attach without privilege. There is no way back to nobody.
    ///
    /// # Errors
    ///
    /// `UnmappedId`; `Gone`; `Unsupported`.
    #[doc(alias = "TUNSETOWNER")]
    fn set_owner(&self, owner: Uid) -> Result<()>;

    /// Makes a group the owner, whose members may then attach without privilege. There is no way back to nobody.
    ///
    /// # Errors
    ///
    /// `UnmappedId`; `Gone`; `Unsupported`.
    #[doc(alias = "TUNSETGROUP")]
    fn set_group(&self, group: Gid) -> Result<()>;

    /// A second descriptor of the same queue: what one receives, the other does not, and the interface goes with the last of
    /// them. Two queues are another matter: those are two devices that were opened.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`.
    #[doc(alias = "dup")]
    fn try_clone(&self) -> Result<Self>;

    /// Destroys the interface, persistent or not: after success it is gone.
    ///
    /// # Errors
    ///
    /// `Busy` if other devices keep it alive and the caller may not delete it under them: the error says who they
    /// are, as far as can be seen, and gives the device back, with its persistence as it was. (Only a holder that the
    /// caller may not see comes to light when the device is closed, too late to give it back.)
    fn destroy(self) -> Result<(), DestroyError<Self>>;

    /// What a packet starts with.
    fn layer(&self) -> Layer {
        if self.flags().contains(CreateFlags::TUN) { Layer::Tun } else { Layer::Tap }
    }

    /// Waits until the device is ready, or `timeout` has passed: whether it is ready. Without a timeout, for ever.
    ///
    /// A device whose interface is deleted is ready, so that the next call can say so.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    #[doc(alias = "poll")]
    fn wait(&self, readiness: Readiness, timeout: Option<Duration>) -> Result<bool> {
        Ok(self.wait_interruptible(readiness, timeout, None)? == Wake::Ready)
    }

    /// Receives one packet, waiting for it if none is there, and returns its length.
    ///
    /// It sleeps until a packet comes or the interface is deleted; taking the interface down, or setting a flag, does not wake
    /// it. To stop it from another thread, use [`recv_interruptible`](Self::recv_interruptible) instead.
    ///
    /// A packet that is there costs one system call; see [`try_recv`](Self::try_recv) for what becomes of long ones.
    ///
    /// # Errors
    ///
    /// `Gone`; `TooShort` as in [`try_recv`](Self::try_recv).
    #[doc(alias = "read")]
    fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        waiting(self, Readiness::Readable, || self.try_recv(buffer))
    }

    /// As [`recv`](Self::recv), for no longer than `timeout`.
    ///
    /// ```no_run
    /// # use tunctl_core::{Result, TunDevice};
    /// # use std::time::Duration;
    /// # fn keep_alive<D: TunDevice>(tun: &D) -> Result<()> {
    /// let mut packet = [0; 1500];
    /// loop {
    ///     match tun.recv_timeout(&mut packet, Duration::from_secs(25)) {
    ///         Ok(length) => println!("{length} bytes"),
    ///         Err(error) if error.is_timed_out() => println!("quiet: time to show that we are there"),
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `TimedOut`; those of [`recv`](Self::recv). A packet that is there is received however short the timeout.
    #[doc(alias = "SO_RCVTIMEO")]
    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        patient(self, Some(timeout), None, || self.try_recv(buffer))
    }

    /// As [`recv`](Self::recv), until the [`Interrupter`] is used, for no longer than `timeout` if there is one.
    ///
    /// # Errors
    ///
    /// `Interrupted`, also if a packet is there: it stays. `TimedOut`; those of [`recv`](Self::recv).
    fn recv_interruptible(
        &self,
        buffer: &mut [u8],
        interrupter: &Interrupter,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        patient(self, timeout, Some(interrupter), || self.try_recv(buffer))
    }

    /// As [`recv`](Self::recv), into several buffers, filled one after the other.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    #[doc(alias = "readv")]
    fn recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        waiting(self, Readiness::Readable, || self.try_recv_vectored(buffers))
    }

    /// Sends one packet, whole or not at all, waiting for room if there is none, and returns its length.
    ///
    /// # Errors
    ///
    /// `Down`; `TooShort`; `MalformedPacket`; `Gone`.
    #[doc(alias = "write")]
    fn send(&self, packet: &[u8]) -> Result<usize> {
        waiting(self, Readiness::Writable, || self.try_send(packet))
    }

    /// As [`send`](Self::send), of a packet in several pieces.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "writev")]
    fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        waiting(self, Readiness::Writable, || self.try_send_vectored(pieces))
    }

    /// Brings the interface up and gives it an address; see [`Interface::up`].
    ///
    /// # Errors
    ///
    /// Those of [`Interface::up`].
    fn up(&self, address: InterfaceAddress) -> Result<()> {
        self.interface().up(address)
    }

    /// Takes the interface down; see [`Interface::down`].
    ///
    /// # Errors
    ///
    /// Those of [`Interface::down`].
    fn down(&self) -> Result<()> {
        self.interface().down()
    }
}

/// Tries first and waits only when there is nothing: a packet that is there costs no `poll`.
#[inline]
fn waiting<D: TunDevice>(
    device: &D,
    readiness: Readiness,
    mut attempt: impl FnMut() -> Result<usize>,
) -> Result<usize> {
    loop {
        match attempt() {
            Err(error) if error.is_would_block() => device.wait(readiness, None)?,
            outcome => return outcome,
        };
    }
}

/// Tries to receive until there is a packet, or the caller's patience ends.
fn patient<D: TunDevice>(
    device: &D,
    timeout: Option<Duration>,
    interrupter: Option<&Interrupter>,
    mut attempt: impl FnMut() -> Result<usize>,
) -> Result<usize> {
    let ended = |cause| Err(Error::new(Operation::Receive, cause));
    let mut deadline = None;
    loop {
        if interrupter.is_some_and(Interrupter::is_interrupted) {
            return ended(Cause::Interrupted);
        }
        match attempt() {
            Err(error) if error.is_would_block() => {}
            outcome => return outcome,
        }
        // Another reader may take the packet that we were woken for: what is left of the time is what counts. A time too far
        // off to be told is no limit.
        let now = timeout.map(|_| Instant::now());
        let until = *deadline.get_or_insert_with(|| now?.checked_add(timeout?));
        let left = until.and_then(|until| Some(until.saturating_duration_since(now?)));
        match device.wait_interruptible(Readiness::Readable, left, interrupter)? {
            Wake::Ready => {}
            Wake::TimedOut => return ended(Cause::TimedOut),
            Wake::Interrupted => return ended(Cause::Interrupted),
        }
    }
}
