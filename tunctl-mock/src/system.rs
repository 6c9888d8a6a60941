//! The test's side: it plays the system, and the programs beside the one under test.

use std::time::Duration;

use tunctl_core::{InterfaceName, Operation, Result, State};
use tunctl_packet::header::VnetHeader;

use crate::kernel::{Kernel, NO_DEVICE, NamespaceId, Skb};
use crate::rig::solicitation;
use crate::{Caller, Delivery, Fault, KernelProfile, MockBackend, Target};

/// What the system and other programs do.
impl MockBackend {
    /// The system sends a packet out of an interface: an IP packet on a tun, an Ethernet frame on a tap. It
    /// waits in a queue until the program receives it, unless the system would not send it or has to drop it.
    /// The headers that the device was created with are added.
    pub fn inject(&self, to: impl Target, packet: impl AsRef<[u8]>) -> Delivery {
        self.inject_large(to, &VnetHeader::default(), packet)
    }

    /// As [`inject`](Self::inject), a packet that is not finished: it stands for several, as a system sends
    /// them that has much to send, or its checksum is incomplete.
    ///
    /// If the interface's [offloads](tunctl_core::TunDevice::set_offloads) are for such packets, the program
    /// receives it whole, behind a header that says the same as this one. If not, the system cuts it first,
    /// completes the checksums unless [`CHECKSUM`](tunctl_core::Offloads::CHECKSUM) leaves them to the
    /// program, and the best outcome of the packets is returned. So a program that turns offload on meets
    /// what its kernel would send it:
    ///
    /// ```
    /// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
    /// use tunctl_mock::{Delivery, MockBackend};
    /// use tunctl_packet::header::{GsoType, VnetHeader};
    /// use tunctl_packet::udp_packet;
    ///
    /// let kernel = MockBackend::new();
    /// let options = CreateOptions::tun().vnet_header(true).address("10.0.0.2/24").up();
    /// let program = kernel.create(&options)?.into_bulk()?;
    ///
    /// // One datagram of 3,000 bytes that stands for three. The sum of the pseudo-header is in its place.
    /// let mut packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, &[7; 3000])?;
    /// packet[26..28].copy_from_slice(&[0x1f, 0xd4]);
    /// let header = VnetHeader::default().with_checksum(20, 6).with_segments(GsoType::UdpL4, 1200);
    /// assert_eq!(kernel.inject_large(program.interface(), &header, packet), Delivery::Queued);
    ///
    /// let mut batch = program.recv_batch();
    /// assert_eq!(program.recv(&mut batch)?, 1);
    /// let mut lengths = Vec::new();
    /// while let Some(packet) = batch.next() {
    ///     lengths.push(packet.len());
    /// }
    /// assert_eq!(lengths, [1228, 1228, 628]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "validate_xmit_skb")]
    #[doc(alias = "PACKET_VNET_HDR")]
    pub fn inject_large(&self, to: impl Target, header: &VnetHeader, packet: impl AsRef<[u8]>) -> Delivery {
        let packet = Skb::new(header, packet.as_ref().to_vec());
        let mut world = self.world.lock();
        match to.target_ref().resolve(self, &world) {
            Some(id) => world.inject(id, packet),
            None => Delivery::Refused,
        }
    }

    /// Takes the oldest packet that the system received from the program, without headers in front. Returns
    /// `None` if there is none, or no such interface.
    ///
    /// It is as a wire would carry it, and as a socket would get it: one that the program sent as several is
    /// taken one after the other, with complete checksums. [`take_large`](Self::take_large) takes it whole.
    ///
    /// Up to 65,536 packets wait for each interface; see [`missed`](Self::missed). The packets of a deleted
    /// interface can be taken while a device that was attached to it is open, and by name until another
    /// interface gets the name, or more than a thousand others were deleted after it.
    #[must_use]
    pub fn take(&self, from: impl Target) -> Option<Vec<u8>> {
        let mut world = self.world.lock();
        let id = from.target_ref().resolve_remembered(self, &world)?;
        world.take_received(id)
    }

    /// Takes the oldest packet that the system received from the program, as the program sent it: the
    /// virtio-net header says what is left to do, as far as the system looks at it. A packet socket on the
    /// interface sees packets so.
    ///
    /// Of a packet that [`take`](Self::take) has begun to cut, the next piece is taken.
    #[must_use]
    pub fn take_large(&self, from: impl Target) -> Option<(VnetHeader, Vec<u8>)> {
        let mut world = self.world.lock();
        let id = from.target_ref().resolve_remembered(self, &world)?;
        world.memory.take_large(id).map(|packet| (packet.header, packet.bytes))
    }

    /// As [`take`](Self::take), but waits up to `limit` for the interface to exist and for a packet.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
    /// use tunctl_mock::MockBackend;
    ///
    /// let kernel = MockBackend::new();
    /// std::thread::scope(|scope| {
    ///     let program = scope.spawn(|| {
    ///         let tun = kernel.create(&CreateOptions::tun().name("vpn0").address("10.1.1.1/24").up())?;
    ///         tun.send(&[0x45; 20])
    ///     });
    ///     let packet = kernel.take_within("vpn0", Duration::from_secs(10));
    ///     assert_eq!(packet.unwrap(), [0x45; 20]);
    ///     program.join().unwrap()
    /// })?;
    /// # Ok::<(), tunctl_core::Error>(())
    /// ```
    #[must_use]
    pub fn take_within(&self, from: impl Target, limit: Duration) -> Option<Vec<u8>> {
        let target = from.target_ref();
        self.world.wait_for(limit, |world| {
            let id = target.resolve_remembered(self, world)?;
            world.take_received(id)
        })
    }

    /// Waits up to `limit` until the interface exists and is up, so that a packet can be injected. Returns
    /// whether it is.
    #[must_use]
    pub fn wait_until_up(&self, which: impl Target, limit: Duration) -> bool {
        let target = which.target_ref();
        let is_up = self.world.wait_for(limit, |world| {
            let id = target.resolve(self, world)?;
            world.kernel().device(id).filter(|device| device.info().state == State::Up).map(drop)
        });
        is_up.is_some()
    }

    /// Takes all packets that the system received from the program, as [`take`](Self::take) does.
    #[must_use]
    pub fn packets(&self, from: impl Target) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take(&from)).collect()
    }

    /// How many packets the system received and could not keep, because too many waited to be taken.
    ///
    /// # Panics
    ///
    /// There was no such interface, or it is forgotten: a deleted one is remembered as for
    /// [`take`](Self::take).
    #[must_use]
    #[track_caller]
    pub fn missed(&self, from: impl Target) -> u64 {
        self.ask(&from, |world, device| world.memory.missed(device.id()))
    }

    /// How many packets the system dropped on the way to the program: the queue was full, or no queue was in
    /// service.
    ///
    /// # Panics
    ///
    /// There was no such interface, or it is forgotten: a deleted one is remembered as for
    /// [`take`](Self::take).
    #[doc(alias = "tx_dropped")]
    #[must_use]
    #[track_caller]
    pub fn dropped(&self, on: impl Target) -> u64 {
        self.ask(&on, |_, device| device.statistics().to_program.dropped)
    }

    /// How many packets were lost on a wire of this interface: an impairment dropped them or made them unfit,
    /// they came from another end while the interface was down, or they were on their way when it was
    /// deleted. So is one behind a virtio-net header by which it cannot be finished, since no wire carries
    /// it.
    ///
    /// # Panics
    ///
    /// There was no such interface, or it is forgotten: a deleted one is remembered as for
    /// [`take`](Self::take).
    #[must_use]
    #[track_caller]
    pub fn lost(&self, on: impl Target) -> u64 {
        self.ask(&on, |world, device| world.wires.lost(device.id()))
    }

    /// Another program deletes the interface.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn delete(&self, which: impl Target) {
        self.with(&which, |world, id| world.step(|kernel| kernel.unregister(id)));
    }

    /// Another program renames the interface.
    ///
    /// # Errors
    ///
    /// As the kernel refuses that program: `Exists`, `InvalidName`, `Busy` if it is up and the kernel does
    /// not permit that. `NotFound`.
    pub fn rename(&self, which: impl Target, to: InterfaceName) -> Result<()> {
        self.try_with(&which, Operation::Rename, |world, id| {
            let key = world.kernel().device(id).ok_or(NO_DEVICE)?.key();
            world.step(|kernel| kernel.rename(key, to))
        })
    }

    /// Another program moves the interface to another namespace of this system.
    ///
    /// # Errors
    ///
    /// `Exists` if its name is taken there; `NotFound`.
    ///
    /// # Panics
    ///
    /// `namespace` belongs to another system.
    #[track_caller]
    pub fn move_to_namespace(&self, which: impl Target, namespace: &Self) -> Result<()> {
        assert!(self.is_same_system(&namespace.world), "an interface can move within one system only");
        self.try_with(&which, Operation::Move, |world, id| {
            let key = world.kernel().device(id).ok_or(NO_DEVICE)?.key();
            world.step(|kernel| kernel.move_to(key, namespace.namespace))
        })
    }

    /// Another program brings the interface up or down.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn set_state(&self, of: impl Target, state: State) {
        self.with(&of, |world, id| world.step(|kernel| kernel.set_state(id, state)));
    }

    /// Another program switches the carrier of the interface, as if a cable were plugged in or pulled out.
    /// Without carrier, what the test [injects](Self::inject) is dropped.
    ///
    /// # Errors
    ///
    /// As the kernel refuses that program: `NoQueue` if the carrier is to go on and no queue is in service.
    /// `NotFound`.
    #[doc(alias = "IFLA_CARRIER")]
    pub fn set_carrier(&self, of: impl Target, on: bool) -> Result<()> {
        self.try_with(&of, Operation::SetCarrier, |world, id| world.step(|kernel| kernel.set_carrier(id, on)))
    }

    /// The system looks for routers, as Linux does by itself after `up` if IPv6 is on: a program must expect
    /// packets that it did not ask for. Returns the outcome of the router solicitation.
    ///
    /// On a tap, Linux first reports the multicast group of its link-local address, asks whether another
    /// station has that address, and reports once more. The solicitation is the last of these four frames. On
    /// a tun it is all. Where IPv6 is off, also because the MTU is less than 1,280 bytes, nothing is sent:
    /// `Refused`.
    pub fn solicit_routers(&self, on: impl Target) -> Delivery {
        let mut world = self.world.lock();
        let Some(id) = on.target_ref().resolve(self, &world) else { return Delivery::Refused };
        let Some(device) = world.kernel().device(id).filter(|device| world.kernel().has_ipv6(device)) else {
            return Delivery::Refused;
        };
        let info = device.info();
        let packets = match info.mac {
            Some(mac) => solicitation::of_tap(mac).to_vec(),
            None => vec![solicitation::of_tun(info.index)],
        };
        packets.into_iter().fold(Delivery::Refused, |_, packet| world.inject(id, packet.into()))
    }

    /// Makes a new network namespace in this system. Returns a backend that creates and finds interfaces
    /// there.
    #[must_use]
    pub fn new_namespace(&self) -> Self {
        let namespace: NamespaceId = self.world.lock().step(Kernel::new_namespace);
        Self { world: self.world.clone(), namespace }
    }

    /// Switches IPv6 on or off in this namespace. While it is off, interfaces have no IPv6 addresses and get
    /// none.
    #[doc(alias = "disable_ipv6")]
    pub fn set_ipv6(&self, on: bool) {
        self.world.lock().step(|kernel| kernel.set_ipv6(self.namespace, on));
    }

    /// Sets the credentials of the program under test: of all of it, whichever handle it uses.
    pub fn set_caller(&self, caller: Caller) {
        self.replace_caller(caller);
    }

    /// Does some work with other credentials, then restores the ones before, also after a panic.
    pub fn as_caller<T>(&self, caller: Caller, work: impl FnOnce() -> T) -> T {
        struct Restore<'a>(&'a MockBackend, Caller);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.set_caller(self.1.clone());
            }
        }
        let before = self.replace_caller(caller);
        let _restore = Restore(self, before);
        work()
    }

    fn replace_caller(&self, caller: Caller) -> Caller {
        self.world.lock().step(|kernel| std::mem::replace(&mut kernel.caller, caller))
    }

    /// How the kernel differs from others.
    #[must_use]
    pub fn profile(&self) -> KernelProfile {
        self.world.lock().kernel().profile
    }

    /// Scripts a fault; see [`Fault`].
    pub fn script(&self, fault: Fault) {
        self.world.lock().faults.add(fault);
    }

    /// How many of the scripted faults were not applied yet. A test that expects all of them asserts that it
    /// is 0.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        self.world.lock().faults.pending()
    }
}
