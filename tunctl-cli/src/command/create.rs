//! `tunctl create`.

use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl::{
    Cause, CreateOptions, Error, Gid, Interface, InterfaceAddress, InterfaceConfig, InterfaceIndex,
    NamePattern, Native, NativeDevice, NativeInterface, Operation, TunBackend, TunDevice, Uid,
};

use super::advice::{self, patiently};
use super::arguments::{AddressArgument, group, index, user, with};
use super::kind::Kind;
use super::properties::Properties;
use super::signals::Signals;
use super::{Failure, Outcome, helped, note, output, output_advice, reports};

/// Create a persistent TUN/TAP interface, and print its name
///
/// The interface stays until it is deleted, and programs can open it by its name. If it already exists and no
/// program has it open, it gets the properties specified here, packet headers included, and keeps the others.
///
/// On Linux, a user without the right to create one gets it from the privileged helper, if that is installed
/// and its policy allows it: see "tunctl helper --help" and "tunctl policy check".
#[derive(Args)]
pub(super) struct Create {
    /// Its name, or a pattern such as vpn%d, which takes the first free number; without it, the kernel
    /// chooses
    name: Option<NamePattern>,
    #[command(flatten)]
    kind: Kind,
    /// Let several programs or threads open it, each with its own queue
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
    /// An address, such as 10.1.1.1/24 or fd77::1/64; may be repeated
    #[arg(long = "address", value_name = "CIDR")]
    addresses: Vec<AddressArgument>,
    /// Add IPv6 addresses without asking first whether another station has them, so that they are usable at
    /// once
    #[arg(long, requires = "addresses")]
    no_dad: bool,
    /// The index of a new interface
    #[arg(long, value_name = "NUMBER", value_parser = index)]
    index: Option<InterfaceIndex>,
    /// The other end of a point-to-point link, for the address of the same family
    #[arg(long, value_name = "IP", requires = "addresses")]
    peer: Option<IpAddr>,
    #[command(flatten)]
    properties: Properties,
    /// Bring it up
    #[arg(long)]
    up: bool,
    /// Hold a new interface in the foreground instead: it goes when this program ends
    #[arg(long)]
    hold: bool,
    /// Print the JSON object that `show --json` prints
    #[arg(long)]
    json: bool,
}

const NOTHING_LEFT: &str = "No interface was left behind.";
const AS_IT_WAS: &str = "The interface is as it was.";

/// The failure of a configuration, and what it left.
fn with_rest(error: Error, rest: &str) -> Failure {
    let attached =
        !matches!(error.operation(), Operation::Create | Operation::Open | Operation::OpenOrCreate);
    if attached && error.leftovers().is_none() {
        Failure::Said(advice::with_sentence(&advice::message(&error), rest))
    } else {
        error.into()
    }
}

/// Where interfaces are created.
#[derive(Clone, Copy)]
struct Place<'a> {
    backend: &'a Native,
    /// Whether it is another network namespace than the caller's.
    elsewhere: bool,
}

impl Place<'_> {
    fn create(self, options: &CreateOptions) -> tunctl::Result<NativeDevice> {
        helped::create(self.backend, options, self.elsewhere)
    }

    /// The failure to create an interface.
    fn refused(self, error: Error) -> Failure {
        match with_rest(error, NOTHING_LEFT) {
            Failure::Tun(error) => Failure::Said(helped::message(&error, self.elsewhere)),
            other => other,
        }
    }
}

impl Create {
    /// `elsewhere`: the backend is in another network namespace than the caller.
    pub(super) fn run(self, backend: &Native, elsewhere: bool) -> Outcome {
        let options = self.options()?;
        let place = Place { backend, elsewhere };
        if self.hold { self.hold(place, &options) } else { self.leave(place, &options.persistent(true)) }
    }

    /// Leaves a persistent interface behind.
    fn leave(&self, place: Place<'_>, options: &CreateOptions) -> Outcome {
        let (device, is_new) = self.open(place, options)?;
        let (name, interface) = (name_of(&device), device.interface().clone());
        // Dropped first, so that the report does not list this program as a holder.
        drop(device);
        match self.print(&interface) {
            // The caller would not learn its name.
            Err(failure) if is_new => Err(unnamed(failure, &name, interface.delete())),
            printed => printed.map_err(|failure| unshown(failure, &name)),
        }
    }

    /// Holds the interface until a signal arrives or the interface is deleted.
    fn hold(&self, place: Place<'_>, options: &CreateOptions) -> Outcome {
        let signals = Signals::catch()?;
        let device = place.create(options).map_err(|error| place.refused(error))?;
        let name = name_of(&device);
        // The interface goes with the device.
        self.print(device.interface()).map_err(|failure| unnamed(failure, &name, Ok(())))?;
        note(&format_args!("{name} stays until this program ends (Ctrl-C)"));
        loop {
            // A poll reports an error on a deleted device whatever it asks for, but is woken only if it asks
            // for POLLIN or POLLPRI: `tun_detach_all` (Linux 6.18) wakes by `sk_data_ready`, which names
            // these. POLLIN would also report each packet that waits.
            let mut fds = [
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
                PollFd::new(device.as_fd(), PollFlags::POLLPRI),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) if fds[0].any().unwrap_or(true) => return Ok(()),
                Ok(_) | Err(Errno::EINTR) => device.name().map(|_| ())?,
                Err(errno) => return Err(Failure::Said(format!("wait for a signal: {errno}"))),
            }
        }
    }

    /// The device, and whether its interface is new.
    fn open(&self, place: Place<'_>, options: &CreateOptions) -> Outcome<(NativeDevice, bool)> {
        match place.create(options) {
            Err(error) if error.cause() == Cause::Exists && !self.exclusive => {
                let opened = patiently(|| place.backend.open_or_create(options));
                Ok((opened.map_err(|error| with_rest(error, AS_IT_WAS))?, false))
            }
            created => Ok((created.map_err(|error| place.refused(error))?, true)),
        }
    }

    fn print(&self, interface: &NativeInterface) -> Outcome {
        let report = reports::one(interface, false)?;
        let printed =
            if self.json { output::json(&report) } else { writeln!(io::stdout(), "{}", report.name()) };
        Ok(printed?)
    }

    fn options(&self) -> Outcome<CreateOptions> {
        let mut options = self
            .kind
            .options()
            .multi_queue(self.multi_queue)
            .exclusive(self.exclusive)
            .config(self.config()?);
        options = with(options, self.name, CreateOptions::name);
        options = with(options, self.index, CreateOptions::index);
        options = with(options, self.owner, CreateOptions::owner);
        options = with(options, self.group, CreateOptions::group);
        Ok(options)
    }

    fn config(&self) -> Outcome<InterfaceConfig> {
        let none = InterfaceConfig::new().without_dad(self.no_dad);
        let addresses = self.addresses()?.into_iter().fold(none, InterfaceConfig::address);
        let config = self.properties.add_to(addresses);
        Ok(if self.up { config.up() } else { config })
    }

    fn addresses(&self) -> Outcome<Vec<InterfaceAddress>> {
        let Some(peer) = self.peer else {
            return Ok(self.addresses.iter().map(|argument| argument.address).collect());
        };
        let has_its_family =
            |argument: &AddressArgument| argument.address.address().is_ipv4() == peer.is_ipv4();
        if self.addresses.iter().filter(|argument| has_its_family(argument)).count() != 1 {
            return Err(Failure::Usage("--peer needs exactly one --address of its own family".into()));
        }
        let with_peer = |argument: &AddressArgument| {
            if has_its_family(argument) { argument.towards(peer) } else { Ok(argument.address) }
        };
        let addresses: Result<_, _> = self.addresses.iter().map(with_peer).collect();
        addresses.map_err(|invalid| Failure::Usage(invalid.to_string()))
    }
}

/// The name of a device's interface, for messages.
fn name_of(device: &NativeDevice) -> String {
    device.name().map_or_else(|_| "the interface".to_owned(), |name| name.to_string())
}

/// The failure to print an interface that existed. By then it is what was asked for.
fn unshown(failure: Failure, name: &str) -> Failure {
    let error = match failure {
        Failure::Tun(error) => error.to_string(),
        Failure::Output(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            format!("write the output: {error}{}", output_advice(&error))
        }
        other => return other,
    };
    Failure::Said(format!("Not undone: {name} is what was asked for, but cannot be shown: {error}"))
}

/// The failure to print the name of a new interface. It was removed for that reason, or could not be.
fn unnamed(failure: Failure, name: &str, removed: tunctl::Result<()>) -> Failure {
    let Failure::Output(error) = &failure else { return failure };
    match removed {
        Err(left) if !left.is_gone() => Failure::Said(format!(
            "print the name of {name}: {error}; the new interface is still there: {left}"
        )),
        _ => Failure::Said(format!(
            "print the name of {name}: {error}, so the new interface was removed again{}",
            output_advice(error)
        )),
    }
}
