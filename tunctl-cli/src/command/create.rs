//! `tunctl create`.

use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl::{
    Cause, CreateOptions, Gid, Interface, InterfaceAddress, InterfaceConfig, MacAddress, Mtu, NamePattern,
    NativeDevice, NativeInterface, TunBackend, TunDevice, Uid,
};

use super::arguments::{AddressArgument, group, user};
use super::report::Report;
use super::signals::Signals;
use super::{Failure, Outcome, output};

/// Create a persistent TUN/TAP interface, and print its name
///
/// It stays until it is deleted, and programs can open it by its name. If it exists already and nobody has it
/// open, it is given what is asked for here, its packet headers included, and keeps the rest.
#[derive(Args)]
pub(super) struct Create {
    /// Its name, or a pattern such as vpn%d, for the first free number; the kernel chooses if there is none
    name: Option<NamePattern>,
    /// IP packets
    #[arg(long, conflicts_with = "tap")]
    tun: bool,
    /// Ethernet frames (the default)
    #[arg(long)]
    tap: bool,
    /// Put the packet information header in front of each packet
    #[arg(long)]
    pi: bool,
    /// Put a virtio-net header in front of each packet
    #[arg(long)]
    vnet_hdr: bool,
    /// Let several programs, or threads, each open a queue of it
    #[arg(long)]
    multi_queue: bool,
    /// Fail if it exists already
    #[arg(long)]
    exclusive: bool,
    /// The user who may open it without privilege, by name or number
    #[arg(long, value_name = "USER", value_parser = user)]
    owner: Option<Uid>,
    /// The group whose members may open it without privilege, by name or number
    #[arg(long, value_name = "GROUP", value_parser = group)]
    group: Option<Gid>,
    /// An address, as 10.1.1.1/24 or fd77::1/64; may be repeated
    #[arg(long = "address", value_name = "CIDR")]
    addresses: Vec<AddressArgument>,
    /// The other end of a point-to-point link, for the address of the same family
    #[arg(long, value_name = "IP", requires = "addresses")]
    peer: Option<IpAddr>,
    /// The most bytes that a packet may have
    #[arg(long, value_name = "BYTES")]
    mtu: Option<Mtu>,
    /// The MAC address of a tap; the kernel chooses if there is none
    #[arg(long, value_name = "MAC", conflicts_with = "tun")]
    mac: Option<MacAddress>,
    /// How many packets wait for a program at most, in each queue
    #[arg(long, value_name = "PACKETS")]
    queue_length: Option<u32>,
    /// Bring it up
    #[arg(long)]
    up: bool,
    /// Keep a new one in the foreground instead: it is gone when this program is
    #[arg(long)]
    hold: bool,
    /// Print what `show --json` prints
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(super) fn run(self) -> Outcome {
        let options = self.options()?;
        if self.hold { self.hold(&options) } else { self.leave(&options.persistent(true)) }
    }

    /// Leaves a persistent interface behind.
    fn leave(&self, options: &CreateOptions) -> Outcome {
        let (device, is_new) = self.open(options)?;
        let interface = device.interface().clone();
        // What is printed is how it is left: with nobody who has it open.
        drop(device);
        self.print(&interface).inspect_err(|_| {
            if is_new {
                // Nobody would learn its name. That it could not be printed is the error to report.
                let _ = interface.delete();
            }
        })
    }

    /// Stays with it, until a signal asks to end or it is deleted.
    fn hold(&self, options: &CreateOptions) -> Outcome {
        let signals = Signals::catch()?;
        let device = tunctl::native().create(options)?;
        self.print(device.interface())?;
        eprintln!("{} is there until this program ends (Ctrl-C)", device.name()?);
        loop {
            // A deleted device reports an error even to who asks for nothing.
            let mut fds = [
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(device.as_fd(), PollFlags::empty()),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) if fds[0].any().unwrap_or(true) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => device.name().map(|_| ())?,
                Err(errno) => return Err(Failure::Said(format!("wait for a signal: {errno}"))),
            }
        }
    }

    /// The device, and whether its interface is new.
    fn open(&self, options: &CreateOptions) -> tunctl::Result<(NativeDevice, bool)> {
        match tunctl::native().create(options) {
            Err(error) if error.cause() == Cause::Exists && !self.exclusive => {
                Ok((tunctl::native().open_or_create(options)?, false))
            }
            outcome => Ok((outcome?, true)),
        }
    }

    fn print(&self, interface: &NativeInterface) -> Outcome {
        let report = Report::of(interface)?;
        let printed =
            if self.json { output::json(&report) } else { writeln!(io::stdout(), "{}", report.name()) };
        Ok(printed?)
    }

    fn options(&self) -> Outcome<CreateOptions> {
        let layer = if self.tun { CreateOptions::tun() } else { CreateOptions::tap() };
        let mut options = layer
            .packet_information(self.pi)
            .vnet_header(self.vnet_hdr)
            .multi_queue(self.multi_queue)
            .exclusive(self.exclusive)
            .config(self.config()?);
        if let Some(pattern) = self.name {
            options = options.name(pattern);
        }
        if let Some(owner) = self.owner {
            options = options.owner(owner);
        }
        if let Some(group) = self.group {
            options = options.group(group);
        }
        Ok(options)
    }

    fn config(&self) -> Outcome<InterfaceConfig> {
        let mut config = self.addresses()?.into_iter().fold(InterfaceConfig::new(), InterfaceConfig::address);
        if let Some(mtu) = self.mtu {
            config = config.mtu(mtu);
        }
        if let Some(mac) = self.mac {
            config = config.mac(mac);
        }
        if let Some(packets) = self.queue_length {
            config = config.queue_length(packets);
        }
        Ok(if self.up { config.up() } else { config })
    }

    fn addresses(&self) -> Outcome<Vec<InterfaceAddress>> {
        let Some(peer) = self.peer else {
            return Ok(self.addresses.iter().map(|argument| argument.address).collect());
        };
        let has_its_family =
            |argument: &AddressArgument| argument.address.address().is_ipv4() == peer.is_ipv4();
        if self.addresses.iter().filter(|argument| has_its_family(argument)).count() != 1 {
            return Err(Failure::Usage("--peer goes with exactly one --address of its family".into()));
        }
        let with_peer = |argument: &AddressArgument| {
            if has_its_family(argument) { argument.towards(peer) } else { Ok(argument.address) }
        };
        let addresses: Result<_, _> = self.addresses.iter().map(with_peer).collect();
        addresses.map_err(|invalid| Failure::Usage(invalid.to_string()))
    }
}
