//! The device: one open descriptor, attached to one queue of an interface.

pub(crate) mod waiting;

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::time::Duration;

use self::waiting::{patient, waiting};
use tunctl_packet::header::{HeaderKind, VnetFormat};

use crate::bulk::GivenBack;
use crate::{
    Bulk, Cause, CreateFlags, DestroyError, Error, Gid, Interface, InterfaceAddress, InterfaceName,
    Interrupter, Layer, Offloads, Operation, Result, Uid, WaitOutcome,
};

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// A packet can be received.
    Readable,
    /// A packet can be sent.
    Writable,
}

/// One open descriptor of the TUN/TAP driver, attached to one queue of an interface.
///
/// All but [`destroy`](Self::destroy) take `&self`: the kernel does the locking, so one thread may receive
/// while another sends. Dropping a device only closes it; an interface that is not persistent goes with its
/// last device.
///
/// The descriptor is non-blocking and close-on-exec, and [`AsFd`] lends it to event loops.
///
/// # What a backend implements
///
/// What every system has is required. What some systems lack has a default that answers
/// [`Cause::Unsupported`](crate::Cause::Unsupported); the rest is built on these, for a backend to override
/// where its system does better. [`TunBackend`](crate::TunBackend) has a whole backend as an example.
pub trait TunDevice: AsFd + fmt::Debug + Send + Sync + Sized + 'static {
    /// The interface that this device is attached to.
    type Interface: Interface;

    /// The interface: its addresses, its MTU, its state.
    fn interface(&self) -> &Self::Interface;

    /// The flags that the device was created with; their [`bits`](CreateFlags::bits) are Erlang's integer.
    #[doc(alias = "TUNGETIFF")]
    fn flags(&self) -> CreateFlags;

    /// As [`try_recv`](Self::try_recv), into several buffers, filled one after the other.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv); `TooManyPieces`, and the packet is still there.
    #[doc(alias = "readv")]
    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize>;

    /// As [`try_send`](Self::try_send), of a packet in several pieces.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send); `TooManyPieces`.
    #[doc(alias = "writev")]
    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize>;

    /// Waits until the device is ready, `timeout` has passed, or the interrupter is used, and returns what
    /// ended the wait. A pending interrupt wins. `None` disables that condition.
    ///
    /// [`wait`](Self::wait) and all receives that wait are made of this. A device whose interface is deleted
    /// is ready, so that the next call can say so. A signal does not end the wait.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    #[doc(alias = "poll")]
    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome>;

    /// A second descriptor of the same queue: what one receives, the other does not, and the interface goes
    /// with the last of them. Two queues are another matter: those are two devices that were opened.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`.
    #[doc(alias = "dup")]
    fn try_clone(&self) -> Result<Self>;

    /// The interface's name, which follows renames.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "devname")]
    #[doc(alias = "TUNGETIFF")]
    fn name(&self) -> Result<InterfaceName> {
        self.interface().name().map_err(|error| error.with_operation(Operation::Name))
    }

    /// What a packet starts with.
    fn layer(&self) -> Layer {
        if self.flags().contains(CreateFlags::TUN) { Layer::Tun } else { Layer::Tap }
    }

    /// The headers in front of each packet, which are the program's to read and to write.
    fn header_kind(&self) -> HeaderKind {
        self.flags().header_kind()
    }

    /// The most bytes that a packet of this device has at the interface's present MTU: a buffer of this
    /// length cuts none.
    ///
    /// It has room for the device's headers, and on a tap for an Ethernet header with two VLAN tags.
    ///
    /// # Errors
    ///
    /// `Gone`.
    fn longest_packet(&self) -> Result<usize> {
        /// An Ethernet header, and two tags of four bytes (IEEE 802.1ad).
        const ETHERNET: usize = 14 + 2 * 4;
        let link = match self.layer() {
            Layer::Tun => 0,
            Layer::Tap => ETHERNET,
        };
        let mtu = usize::try_from(self.interface().mtu()?.get()).unwrap_or(usize::MAX);
        Ok(mtu.saturating_add(link + self.header_kind().length()))
    }

    /// Receives one packet if one is there, and returns its length; never waits.
    ///
    /// Each call is one system call into `buffer`. A packet that is longer than `buffer` loses its tail,
    /// without a sign unless the device carries packet information, whose [strip
    /// bit](tunctl_packet::header::PacketInfo::is_stripped) tells; [`longest_packet`](Self::longest_packet)
    /// says how long a buffer must be.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; `Gone`; `TooShort` if `buffer` has no room for the headers in front of a packet, which
    /// then is lost.
    ///
    /// # Platform
    ///
    /// On Linux, an empty buffer receives 0 bytes at once, and takes no packet.
    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.try_recv_vectored(&mut [IoSliceMut::new(buffer)])
    }

    /// Sends one packet, whole or not at all, and returns its length; never waits.
    ///
    /// A packet longer than the MTU is sent all the same: no kernel checks.
    ///
    /// # Errors
    ///
    /// `Down`; `TooShort`; `MalformedPacket`; `NoBuffers`, after all of which [the packet is
    /// lost](Error::is_packet_lost); `WouldBlock` if the send buffer is full; `Gone`.
    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.try_send_vectored(&[IoSlice::new(packet)])
    }

    /// Makes the interface outlive its last device, or not.
    ///
    /// # Errors
    ///
    /// `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux, FreeBSD, NetBSD and DragonFly. OpenBSD and macOS cannot.
    #[doc(alias = "TUNSETPERSIST")]
    #[doc(alias = "IFF_PERSIST")]
    fn set_persist(&self, persistent: bool) -> Result<()> {
        let _ = persistent;
        Err(Error::new(Operation::SetPersist, Cause::Unsupported))
    }

    /// Makes a user the owner, who may then attach without privilege. There is no way back to nobody.
    ///
    /// # Errors
    ///
    /// `UnmappedId`; `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux. The other systems cannot.
    #[doc(alias = "TUNSETOWNER")]
    fn set_owner(&self, owner: Uid) -> Result<()> {
        let _ = owner;
        Err(Error::new(Operation::SetOwner, Cause::Unsupported))
    }

    /// Makes a group the owner, whose members may then attach without privilege. There is no way back to
    /// nobody.
    ///
    /// # Errors
    ///
    /// `UnmappedId`; `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux. The other systems cannot.
    #[doc(alias = "TUNSETGROUP")]
    fn set_group(&self, group: Gid) -> Result<()> {
        let _ = group;
        Err(Error::new(Operation::SetGroup, Cause::Unsupported))
    }

    /// Which packets that are not finished the system hands over now, each behind a virtio-net header.
    /// Another program may have changed them on the interface, as by `ethtool -K`.
    ///
    /// # Errors
    ///
    /// `Gone`; `UnknownInterface` of an adopted device.
    ///
    /// # Platform
    ///
    /// Linux. The packets of the other systems are always finished.
    #[doc(alias = "ETHTOOL_GFEATURES")]
    fn offloads(&self) -> Result<Offloads> {
        Ok(Offloads::NONE)
    }

    /// Sets which packets that are not finished the program takes, for all queues of the interface. The
    /// system finishes all others before it hands them over.
    ///
    /// [`CreateOptions::offloads`](crate::CreateOptions::offloads) sets them for a new device. They belong to
    /// the interface: all its queues share them, and on a persistent one they outlive the device, until
    /// [`open`](crate::TunBackend::open) sets them anew where it attaches the first queue.
    ///
    /// # Errors
    ///
    /// `NoVnetHeader`: the device has no virtio-net header, which says what is left to do. `InvalidValue`:
    /// the system does not know one of them. `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux. The other systems cannot.
    #[doc(alias = "TUNSETOFFLOAD")]
    fn set_offloads(&self, offloads: Offloads) -> Result<()> {
        let _ = offloads;
        Err(Error::new(Operation::SetOffloads, Cause::Unsupported))
    }

    /// Turns segmentation offload on where the system has it, for [`Bulk`] I/O: many packets a call.
    ///
    /// # Errors
    ///
    /// `Busy`: the interface has other queues; [`Bulk::of_queues`] takes them all. `Gone`. The error gives
    /// the device back.
    #[doc(alias = "TUNSETOFFLOAD")]
    fn into_bulk(self) -> Result<Bulk<Self>, GivenBack<Self>> {
        Bulk::of_one(self)
    }

    /// Sets length and byte order of the virtio-net header, for all queues of the interface. Afterwards
    /// [`header_kind`](Self::header_kind) of this device says so. Other devices of the interface do not know:
    /// set the same for each, before packets come.
    ///
    /// # Errors
    ///
    /// `NoVnetHeader`: the device has no virtio-net header. `InvalidValue`: the system does not know the byte
    /// order, which is the case for that of a foreign machine in most kernels; or offloads of UDP tunnels are
    /// in force, which need 24 bytes. `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux. The other systems cannot.
    #[doc(alias = "TUNSETVNETHDRSZ")]
    #[doc(alias = "TUNSETVNETLE")]
    #[doc(alias = "TUNSETVNETBE")]
    fn set_vnet_format(&mut self, format: VnetFormat) -> Result<()> {
        let _ = format;
        Err(Error::new(Operation::SetVnetFormat, Cause::Unsupported))
    }

    /// Destroys the interface, persistent or not: after success it is gone.
    ///
    /// # Errors
    ///
    /// `Busy` if other devices keep it alive and the caller may not delete it under them: the error says
    /// which processes have them, as far as can be seen, and gives the device back, with its persistence as
    /// it was. (A holder that the caller may not see comes to light only when the device is closed, too late
    /// to give it back.)
    fn destroy(self) -> Result<(), DestroyError<Self>> {
        match self.interface().delete() {
            Err(error) if !error.is_gone() => {
                Err(DestroyError::new(error.with_operation(Operation::Destroy), Some(self)))
            }
            _ => Ok(()),
        }
    }

    /// Waits until the device is ready, or `timeout` has passed, and returns whether it is ready. Without a
    /// timeout, for ever.
    ///
    /// A device whose interface is deleted is ready, so that the next call can say so.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    #[doc(alias = "poll")]
    fn wait(&self, readiness: Readiness, timeout: Option<Duration>) -> Result<bool> {
        Ok(self.wait_until(readiness, timeout, None)? == WaitOutcome::Ready)
    }

    /// Receives one packet, waiting for it if none is there, and returns its length.
    ///
    /// It sleeps until a packet comes or the interface is deleted; taking the interface down, or setting a
    /// flag, does not wake it. Neither does a signal: its handler runs, and the wait goes on. To stop it from
    /// another thread or from a signal handler, use [`recv_interruptible`](Self::recv_interruptible).
    ///
    /// A packet that is there costs one system call; see [`try_recv`](Self::try_recv) for what becomes of
    /// long ones.
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
    /// `TimedOut`; those of [`recv`](Self::recv). A packet that is there is received however short the
    /// timeout.
    #[doc(alias = "SO_RCVTIMEO")]
    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        self.recv_until(buffer, Some(timeout), None)
    }

    /// As [`recv`](Self::recv), until the [`Interrupter`] is used.
    ///
    /// # Errors
    ///
    /// `Interrupted`, also if a packet is there: it stays. Those of [`recv`](Self::recv).
    fn recv_interruptible(&self, buffer: &mut [u8], interrupter: &Interrupter) -> Result<usize> {
        self.recv_until(buffer, None, Some(interrupter))
    }

    /// As [`recv`](Self::recv), until `timeout` has passed or the interrupter is used. `None` disables that
    /// condition.
    ///
    /// # Errors
    ///
    /// `Interrupted`, also if a packet is there: it stays. `TimedOut`; those of [`recv`](Self::recv).
    fn recv_until(
        &self,
        buffer: &mut [u8],
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<usize> {
        patient(self, Readiness::Readable, timeout, interrupter, || self.try_recv(buffer))
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
    /// Those of [`try_send`](Self::try_send) but `WouldBlock`.
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

    /// Brings the interface up and gives it an address; see [`Interface::up`]. To bring it up without one,
    /// [`apply`](Interface::apply) `InterfaceConfig::new().up()` to the interface.
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
