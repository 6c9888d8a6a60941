//! The commands, and the wait that drives the loop.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use base64::prelude::{BASE64_STANDARD, Engine};
use boringtun::x25519::{PublicKey, StaticSecret};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tunctl::linux::{HelperBackend, inherited};
use tunctl::prelude::*;
use tunctl_vpn::Vpn;
use tunctl_vpn::config::{Config, parse_key};
use tunctl_vpn::routes::{Routing, Step, inner_mtu, plan};
use tunctl_vpn::uapi::Uapi;
use tunctl_vpn::udp::Udp;

const USAGE: &str = "Usage: tunctl-vpn genkey > KEY       a new private key
       tunctl-vpn pubkey < KEY       its public key
       tunctl-vpn up [--routes] FILE run the VPN of NAME.conf on the interface NAME, until SIGINT or SIGTERM
--routes sets the routes of AllowedIPs, which are printed otherwise.";
/// How often the loop goes round before it looks for anything but packets.
const ROUNDS: usize = 64;

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["genkey"] => {
            println!("{}", BASE64_STANDARD.encode(StaticSecret::random_from_rng(rand_core::OsRng)));
            Ok(())
        }
        ["pubkey"] => public_key(),
        ["up", file] => up(Path::new(file), false),
        ["up", "--routes", file] => up(Path::new(file), true),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tunctl-vpn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn public_key() -> Outcome<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let key = StaticSecret::from(parse_key(text.trim())?);
    println!("{}", BASE64_STANDARD.encode(PublicKey::from(&key)));
    Ok(())
}

fn up(file: &Path, sets_routes: bool) -> Outcome<()> {
    let of_file = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| of_file(&error))?;
    let mut config = Config::parse(&text).map_err(|error| of_file(&error))?;
    let name = file.file_stem().and_then(|stem| stem.to_str()).ok_or("the file is not called NAME.conf")?;
    let (steps, mark) = plan(&config).map_err(|error| of_file(&error))?;
    if sets_routes {
        config.mark = mark;
    }
    let mut run = Run { config, steps, sets_routes };
    // From here on they wait to be read, so that all is removed first.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;

    let mtu = run.config.mtu.map_or_else(|| inner_mtu(&run.config), Mtu::get);
    let options = CreateOptions::tun().name(name).vnet_header(true).mtu(mtu).up();
    let options = run.config.addresses.iter().fold(options, |options, address| options.address(*address));
    if let Some(fd) = inherited()?.pop() {
        return run.on(tunctl::native().adopt(fd)?, &signals);
    }
    match tunctl::native().open_or_create(&options) {
        Err(error) if is_denied(&error) && HelperBackend::new().program().is_some() => {
            run.on(HelperBackend::new().open_or_create(&options)?, &signals)
        }
        device => run.on(device?, &signals),
    }
}

fn is_denied(error: &Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// What is to run, on one device or another.
struct Run {
    config: Config,
    steps: Vec<Step>,
    sets_routes: bool,
}

impl Run {
    fn on<D: TunDevice>(&mut self, device: D, signals: &SignalFd) -> Outcome<()> {
        let Config { listen_port, mark, .. } = self.config;
        let socket = Udp::bind(listen_port, mark)
            .map_err(|error| format!("listen on UDP port {listen_port}, with mark {mark}: {error}"))?;
        let (port, name, index) = (socket.port()?, device.name()?, device.interface().index());
        // Both are removed when this ends, however it ends.
        let uapi = Uapi::listen(name);
        if let Err(error) = &uapi {
            eprintln!("tunctl-vpn: `wg show` will not see {name}: {error}");
        }
        let uapi = uapi.ok();
        let routing =
            if self.sets_routes { Some(Routing::set(&self.steps, &name, index.get())?) } else { None };
        let mut vpn = Vpn::new(&self.config, device, socket)?;
        println!("{name}: up, UDP port {port}, MTU {}", vpn.device().interface().mtu()?);
        if routing.is_none() {
            self.steps.iter().for_each(|step| println!("# ip {}", step.on(&name)));
        }
        let outcome = self.drive(&mut vpn, uapi.as_ref(), port, signals);
        println!("{name}: down. {:?}", vpn.dropped());
        outcome
    }

    /// Calls the loop when there is something to do, until a signal comes.
    fn drive<D: TunDevice>(
        &self,
        vpn: &mut Vpn<D, Udp>,
        uapi: Option<&Uapi>,
        port: u16,
        signals: &SignalFd,
    ) -> Outcome<()> {
        let start = Instant::now();
        let mut next_tick = start;
        loop {
            let now = Instant::now();
            if now >= next_tick {
                vpn.tick();
                next_tick = now + Vpn::<D, Udp>::TICK;
            }
            let mut is_idle = false;
            for _ in 0..ROUNDS {
                is_idle = !(vpn.from_device()? | vpn.from_network(start.elapsed())?);
                if is_idle {
                    break;
                }
            }
            let wait =
                if is_idle { next_tick.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = vec![signals.as_fd(), vpn.device().as_fd(), vpn.socket().as_fd()];
            fds.extend(uapi.map(AsFd::as_fd));
            let mut fds: Vec<_> = fds.into_iter().map(readable).collect();
            poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO))?;
            let is_ready = |at: usize| fds.get(at).is_some_and(|fd| fd.any().unwrap_or(true));
            let (is_ending, is_asked) = (is_ready(0), is_ready(3));
            if is_ending {
                return Ok(());
            }
            if let (true, Some(uapi)) = (is_asked, uapi) {
                // A program that goes away before it has the answer does no harm.
                let _ = uapi.answer(vpn, &self.config, port, start.elapsed());
            }
        }
    }
}
