//! How to do the usual things, as programs that compile and run.
//!
//! Each of them starts with `use tunctl::prelude::*;`. `backend` is [`native()`](crate::native), or the mock
//! in a test.
//!
//! # A tun with addresses, up
//!
//! One expression and one `?`. If anything fails, nothing is left behind, and the error says what to do.
//!
//! ```no_run
//! # use tunctl::prelude::*;
//! # fn main() -> Result<()> {
//! let tun = tunctl::native().create(
//!     &CreateOptions::tun().name("vpn%d").mtu(1420).address("10.1.1.1/24").address("fd77::1/64").up(),
//! )?;
//! println!("{} is there", tun.name()?);
//! # Ok(())
//! # }
//! ```
//!
//! [`open_or_create`](crate::TunBackend::open_or_create) with the same options attaches to an interface that
//! exists and makes it so, too. To change one later, [`apply`](crate::Interface::apply) an
//! [`InterfaceConfig`](crate::InterfaceConfig) to it:
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn example<D: TunDevice>(tun: &D) -> Result<()> {
//! tun.interface().apply(&InterfaceConfig::new().mtu(1400).remove_address("10.1.1.1/24").address("10.2.2.2/24"))?;
//! # Ok(())
//! # }
//! ```
//!
//! # An interface that exists
//!
//! Another program may have it open, and keeps it:
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn example<B: TunBackend>(backend: &B) -> Result<()> {
//! let interface = backend.interface(&"vpn0".parse()?)?; // tunctl::native(), or the mock
//! interface.apply(&InterfaceConfig::new().mtu(1400).address("10.2.2.2/24").replace_addresses(true))?;
//! println!("{:?}", interface.info()?);
//! # Ok(())
//! # }
//! ```
//!
//! # A tap for a bridge
//!
//! ```no_run
//! # use tunctl::prelude::*;
//! # fn main() -> Result<()> {
//! let tap = tunctl::native().create(&CreateOptions::tap().name("tap%d").up())?; // it needs no address
//! # Ok(())
//! # }
//! ```
//!
//! Then `ip link set tap0 master br0`. The bridge is not this library's.
//!
//! # Another network namespace
//!
//! A namespace is a value. The program stays where it is, and so do its threads; the device works from any of
//! them. It takes no privilege where users may make namespaces (Linux).
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tunctl::linux::Namespace;
//! use tunctl::prelude::*;
//!
//! let ns = Namespace::new()?; // or open("/run/netns/blue"), of_process(pid)
//! let options = CreateOptions::tap().name("tap0").address("10.0.0.1/24").up();
//! let tap = tunctl::native().in_namespace(&ns)?.create(&options)?;
//! let mut ping = ns.command("ping").args(["-c1", "10.0.0.2"]).spawn()?; // it starts there
//! let mut frame = [0; 1514];
//! let length = tap.recv(&mut frame)?;
//! # ping.wait()?;
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! The example `three_namespaces` connects three of them by a switch. In generic code, and on the mock, the
//! trait [`Namespaces`](crate::Namespaces) makes namespaces and moves interfaces.
//!
//! # Receive and send
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn example<D: TunDevice>(tun: &D) -> Result<()> {
//! let mut buffer = vec![0; tun.longest_packet()?]; // MTU, on a tap an Ethernet header with tags: no packet is cut
//! loop {
//!     let length = tun.recv(&mut buffer)?; // one packet, one system call
//!     let packet = &buffer[..length];
//!     if let Ok(packet) = Packet::parse(tun.layer(), packet) {
//!         println!("{:?} {}", packet.source(), packet.summary());
//!     }
//!     match tun.send(packet) {
//!         Err(error) if error.is_packet_lost() => println!("{error}"), // this packet is gone: count it, and go on
//!         sent => drop(sent?),
//!     }
//! }
//! # }
//! ```
//!
//! A device with packet information or a virtio-net header has them in front of each packet:
//! [`header_kind`](crate::TunDevice::header_kind) says which, and [`Framed`](crate::packet::Framed) takes
//! them off.
//!
//! # Two threads, and a stop
//!
//! A device is shared by reference: one thread receives while another sends.
//!
//! ```
//! # use tunctl::prelude::*;
//! fn serve<D: TunDevice>(tun: &D, stop: &Interrupter) -> Result<()> {
//!     std::thread::scope(|scope| {
//!         let receiver = scope.spawn(|| {
//!             let mut buffer = [0; 1500];
//!             loop {
//!                 match tun.recv_interruptible(&mut buffer, stop) {
//!                     Ok(length) => println!("{length} bytes"),
//!                     Err(error) if error.is_interrupted() || error.is_gone() => return Ok(()),
//!                     Err(error) => return Err(error),
//!                 }
//!             }
//!         });
//!         // … send on `tun` here. From anywhere, a signal handler included:
//!         stop.interrupt();
//!         receiver.join().expect("it does not panic")
//!     })
//! }
//! # #[cfg(feature = "mock")]
//! # serve(&tunctl::mock::MockBackend::new().create(&CreateOptions::tun())?, &Interrupter::new()?)?;
//! # Ok::<(), Error>(())
//! ```
//!
//! To end on Ctrl-C, give a clone to a handler, for instance of the crate `ctrlc`:
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn set_handler(handler: impl Fn() + Send + 'static) {}
//! # fn example() -> Result<()> {
//! let stop = Interrupter::new()?;
//! let on_signal = stop.clone();
//! set_handler(move || on_signal.interrupt()); // ctrlc::set_handler
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to an interface
//!
//! Up, down, an address, another name, deleted: whoever does it. This sender waits for "up" while its
//! interface is down, and neither spins nor sleeps:
//!
//! ```
//! # use tunctl::prelude::*;
//! /// Sends a packet as soon as the interface is up.
//! fn send_when_up<D: TunDevice<Interface: Events>>(tun: &D, packet: &[u8]) -> Result<usize> {
//!     let mut events = tun.interface().events()?; // first, so that no change is missed
//!     loop {
//!         match tun.send(packet) {
//!             Err(error) if error.cause() == Cause::Down => {}
//!             sent => return sent,
//!         }
//!         // One event, of whatever kind, and try again. At the end of the interface, `send` says so.
//!         events.next().transpose()?;
//!     }
//! }
//! # #[cfg(feature = "mock")] {
//! # let kernel = tunctl::mock::MockBackend::new();
//! # let tun = kernel.create(&CreateOptions::tun())?;
//! # std::thread::scope(|scope| {
//! #     let sender = scope.spawn(|| send_when_up(&tun, &[0x45; 20]));
//! #     std::thread::sleep(std::time::Duration::from_millis(20));
//! #     kernel.set_state(&tun, State::Up);
//! #     sender.join().unwrap()
//! # })?;
//! # }
//! # Ok::<(), Error>(())
//! ```
//!
//! All interfaces, also those that come later, until the program ends (`tunctl events` is this):
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn example<B: TunBackend + Events>(backend: &B) -> Result<()> {
//! for event in backend.events()? {
//!     println!("{}", event?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`next_until`](crate::EventWatcher::next_until) takes a timeout and an
//! [`Interrupter`](crate::Interrupter); [`try_next`](crate::EventWatcher::try_next) never waits. In tasks:
//! [`tunctl::tokio::AsyncEvents`](../tokio/struct.AsyncEvents.html).
//!
//! # Many packets a call
//!
//! A system with segmentation offload hands over up to 64 KiB in one call, and takes as many. The program
//! sees packets of the MTU's size all the same. On a device without offload, each call is for one packet.
//!
//! ```no_run
//! # use tunctl::prelude::*;
//! # fn main() -> Result<()> {
//! let tun = tunctl::native().create(&CreateOptions::tun().vnet_header(true).address("10.1.1.1/24").up())?;
//! let bulk = tun.into_bulk()?;
//! let (mut received, mut sent) = (bulk.recv_batch(), bulk.send_batch());
//! loop {
//!     bulk.recv(&mut received)?;
//!     while let Some(packet) = received.next() {
//!         sent.push(packet)?; // turns each packet around
//!     }
//!     bulk.send(&mut sent)?;
//! #   if sent.is_empty() { break }
//! }
//! let tun = bulk.into_device()?;
//! # drop(tun);
//! # Ok(())
//! # }
//! ```
//!
//! All queues of an interface are converted together: [`Bulk::of_queues`](crate::Bulk::of_queues). In tasks:
//! [`tunctl::tokio::AsyncBulk`](../tokio/struct.AsyncBulk.html); in mio's event loop: `drain_into` of a
//! [`tunctl::mio::TunSource`](../mio/struct.TunSource.html).
//!
//! # A queue for each thread
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn serve<D: TunDevice>(queue: D) {}
//! # fn example<B: TunBackend>(backend: &B, options: &CreateOptions) -> Result<()> {
//! let queues = backend.create_queues(options, 4)?.into_iter();
//! let threads: Vec<_> = queues.map(|queue| std::thread::spawn(move || serve(queue))).collect();
//! for thread in threads {
//!     thread.join().expect("it does not panic");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Open here, use there
//!
//! A supervisor has the right to open an interface, and a worker none. The descriptor goes from one to the
//! other, by `SCM_RIGHTS` over a Unix socket, or because a child process inherits it:
//!
//! ```
//! # use tunctl::prelude::*;
//! # fn example<B: Adopt>(backend: &B) -> Result<()> {
//! let tun = backend.create(&CreateOptions::tun().name("vpn0").address("10.1.1.1/24").up())?;
//! let fd: std::os::fd::OwnedFd = tun.into();
//!
//! let tun = backend.adopt(fd)?; // in the worker
//! println!("{}, with {:?}", tun.name()?, tun.header_kind());
//! # Ok(())
//! # }
//! ```
//!
//! The repository's example `handover` is both programs. `tunctl run vpn0 -- PROGRAM` is a supervisor that
//! passes the descriptor on as systemd does; on Linux, `tunctl::linux::inherited()` takes it over.
//!
//! # An interface for an unprivileged program
//!
//! Where root has installed the privileged helper (`sudo tunctl helper install`), and its policy allows it, a
//! program needs no right to create an interface. On Linux:
//!
//! ```no_run
//! # #[cfg(target_os = "linux")] {
//! use tunctl::linux::HelperBackend;
//! use tunctl::prelude::*;
//!
//! let options = CreateOptions::tun().name("vpn%d").mtu(1420).address("10.8.0.2/24").up();
//! let tun = HelperBackend::new().create(&options)?;
//! let mut packet = [0; 1500];
//! let length = tun.recv(&mut packet)?;
//! # let _ = length;
//! # }
//! # Ok::<(), tunctl::Error>(())
//! ```
//!
//! It is a backend as any other. But MTU, addresses, queue length and state are decided by the options: to
//! change them afterwards takes a right, so that the operations are absent from its `capabilities()`. An
//! error says what the policy does not allow, and `tunctl policy check` shows what it does.
//!
//! # Async
//!
//! With the feature `tokio`:
//!
//! ```
//! # #[cfg(feature = "tokio")] mod example {
//! use tunctl::prelude::*;
//! use tunctl::tokio::AsyncDevice;
//!
//! struct Vpn {
//!     tun: AsyncDevice<tunctl::NativeDevice>,
//! }
//!
//! // In a runtime, as all of tokio.
//! async fn start(options: &CreateOptions) -> Result<Vpn> {
//!     Ok(Vpn { tun: AsyncDevice::new(tunctl::native().create(options)?)? })
//! }
//!
//! async fn run(vpn: &Vpn) -> Result<()> {
//!     let mut buffer = vec![0; vpn.tun.device().longest_packet()?];
//!     loop {
//!         let length = vpn.tun.recv(&mut buffer).await?;
//!         match vpn.tun.send(&buffer[..length]).await {
//!             Err(error) if error.is_packet_lost() => {}
//!             sent => drop(sent?),
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! In an event loop of mio's: [`tunctl::mio`](../mio/index.html). As events, without a loop:
//! [`active`](crate::active).
//!
//! # Generic code, and its test
//!
//! A program that takes any backend is tested on the mock (feature `mock`), in plain `cargo test`:
//!
//! ```
//! use tunctl::prelude::*;
//!
//! fn echo_one<B: TunBackend>(backend: &B) -> Result<B::Device> {
//!     let tun = backend.create(&CreateOptions::tun().name("vpn0").address("10.1.1.1/24").up())?;
//!     let mut buffer = vec![0; tun.longest_packet()?];
//!     let length = tun.recv(&mut buffer)?;
//!     tun.send(&buffer[..length])?;
//!     Ok(tun)
//! }
//!
//! # #[cfg(feature = "mock")] {
//! let kernel = tunctl::mock::MockBackend::new();
//! let soon = std::time::Duration::from_secs(10);
//! std::thread::scope(|scope| {
//!     let program = scope.spawn(|| echo_one(&kernel));
//!     assert!(kernel.wait_until_up("vpn0", soon)); // the test plays the system
//!     kernel.inject("vpn0", [0x45; 20]);
//!     assert_eq!(kernel.take_within("vpn0", soon).unwrap(), [0x45; 20]);
//!     program.join().unwrap()
//! })?;
//! # }
//! # Ok::<(), Error>(())
//! ```
//!
//! # Errors in the hands of a newcomer
//!
//! `fn main() -> Result<()>` and `unwrap()` print the sentence: what, why, what to do. `{:#?}` prints the
//! parts.
//!
//! ```
//! # use tunctl::prelude::*;
//! fn report(error: &Error) {
//!     match error.cause() {
//!         Cause::MissingCapability => eprintln!("{error}"), // with how to get it
//!         Cause::Busy => eprintln!("held by {:?}", error.holders()),
//!         _ => eprintln!("{error}, errno {:?}", error.raw_os_error()),
//!     }
//! }
//! # report(&CreateOptions::from_bits(0).map(drop).map_err(Error::from).unwrap_err());
//! ```
