//! `tunctl run`.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::process::Command;

use clap::Args;
use tunctl::{
    CreateFlags, CreateOptions, Interface, InterfaceConfig, InterfaceInfo, Layer, NamePattern, Native,
    NativeDevice, TunBackend, TunDevice,
};
use tunctl_sys::exec;

use super::advice::patiently;
use super::arguments::AddressArgument;
use super::kind::Kind;
use super::properties::Properties;
use super::{Failure, Outcome, complain};

/// Run a program with an open TUN/TAP interface
///
/// The program gets an attached descriptor, and needs no privilege of its own to use it. An interface that
/// exists is opened as it is; else a new one is made, which goes when the program ends (not on NetBSD,
/// DragonFly and FreeBSD before 15: there it stays until it is deleted). The descriptor is number 3, as
/// systemd's LISTEN_FDS convention has it, and LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say so. The exit
/// status is that of the program; 127 if it was not found, 126 if it could not be started.
#[derive(Args)]
pub(super) struct Run {
    /// The interface, or a pattern such as vpn%d for a new one
    name: NamePattern,
    /// The number of the descriptor. With another one than 3, no variables are set
    #[arg(long, value_name = "NUMBER", default_value_t = exec::FIRST,
        value_parser = clap::value_parser!(i32).range(i64::from(exec::FIRST)..1024))]
    fd: i32,
    #[command(flatten)]
    kind: Kind,
    /// An address, such as 10.1.1.1/24 or fd77::1/64; may be repeated
    #[arg(long = "address", value_name = "CIDR")]
    addresses: Vec<AddressArgument>,
    #[command(flatten)]
    properties: Properties,
    /// Bring it up
    #[arg(long)]
    up: bool,
    /// The program, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// The exit statuses by which shells report that a program was not found, or could not be started.
const NOT_FOUND: i32 = 127;
const NOT_STARTED: i32 = 126;

/// Whether the descriptor of a tap carries its frames. On macOS, they pass a packet filter.
const TAPS_CAN_BE_HANDED_OVER: bool = cfg!(not(target_os = "macos"));

impl Run {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let options = self.options(self.existing(backend).as_ref());
        if options.get_layer() == Layer::Tap && !TAPS_CAN_BE_HANDED_OVER {
            let name = self.name;
            return Err(Failure::Said(format!(
                "run {name}: a tap of this system cannot be handed to a program. Make a tun (--tun)."
            )));
        }
        let device = patiently(|| backend.open_or_create(&options))?;
        let mut program = Command::new(&self.program[0]);
        program.args(&self.program[1..]);
        self.announce(&mut program, &device)?;
        exec::become_program(program, OwnedFd::from(device), self.fd, |error| {
            complain(&format_args!("run {}: {error}", self.program[0].display()));
            if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED }
        })
    }

    /// The interface, if there is one of that name.
    fn existing(&self, backend: &Native) -> Option<InterfaceInfo> {
        let name = self.name.exact()?;
        backend.interface(&name).ok()?.info().ok()
    }

    fn options(&self, existing: Option<&InterfaceInfo>) -> CreateOptions {
        let options = match existing {
            Some(info) => self.kind_of(info),
            None => self.kind.options(),
        };
        let addresses = self.addresses.iter().map(|argument| argument.address);
        let config = self.properties.add_to(addresses.fold(InterfaceConfig::new(), InterfaceConfig::address));
        options.name(self.name).config(if self.up { config.up() } else { config })
    }

    /// Of an interface that exists: its own queues, and its own layer and headers unless others are asked
    /// for.
    fn kind_of(&self, existing: &InterfaceInfo) -> CreateOptions {
        let asked = &self.kind;
        let has = |flag| existing.flags.contains(flag);
        let is_tun = asked.tun || (!asked.tap && existing.layer == Layer::Tun);
        let keeps_headers = !asked.pi && !asked.vnet_hdr;
        let kind = Kind {
            tun: is_tun,
            tap: !is_tun,
            pi: asked.pi || (keeps_headers && !has(CreateFlags::NO_PI)),
            vnet_hdr: asked.vnet_hdr || (keeps_headers && has(CreateFlags::VNET_HDR)),
        };
        kind.options().multi_queue(has(CreateFlags::MULTI_QUEUE))
    }

    /// Says in the environment which descriptor it is, as `sd_listen_fds(3)` has it. The process keeps its
    /// number as it becomes the program.
    fn announce(&self, program: &mut Command, device: &NativeDevice) -> Outcome {
        let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];
        if self.fd != exec::FIRST {
            // Those of this process's own supervisor mean other descriptors.
            for variable in variables {
                program.env_remove(variable);
            }
            return Ok(());
        }
        let name = device.name()?;
        // A name of a descriptor is plain text, and names are joined by colons, which no interface has.
        let is_plain = name.as_bytes().iter().all(u8::is_ascii_graphic);
        let name = if is_plain { name.to_string() } else { "unknown".to_owned() };
        let values = [std::process::id().to_string(), "1".to_owned(), name];
        program.envs(variables.into_iter().zip(values));
        Ok(())
    }
}
