//! The commands, and the wait that drives the loop.

mod routes;
mod uapi;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use boringtun::x25519::{PublicKey, StaticSecret};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tunctl::linux::{HelperBackend, inherited};
use tunctl::prelude::*;
use tunctl_vpn::config::{Config, Key};
use tunctl_vpn::{Vpn, udp};

const USAGE: &str = "usage: tunctl-vpn genkey > KEY         a new private key
       tunctl-vpn pubkey < KEY         its public key
       tunctl-vpn up [--routes] FILE   run the VPN of NAME.conf on the interface NAME, until SIGINT or SIGTERM
--routes sets the routes of AllowedIPs, which are printed otherwise.";

type Outcome = std::result::Result<(), Box<dyn Error>>;

pub(crate) fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["genkey"] => print(Key(StaticSecret::random_from_rng(rand_core::OsRng).to_bytes())),
        ["pubkey"] => public_key(),
        ["up", file] => up(Path::new(file), false),
        ["up", "--routes", file] => up(Path::new(file), true),
        _ => Err(USAGE.into()),
    };
    if let Err(error) = outcome {
        eprintln!("tunctl-vpn: {error}");
        process::exit(1);
    }
}

fn public_key() -> Outcome {
    let key: Key = io::read_to_string(io::stdin())?.trim().parse()?;
    print(Key(PublicKey::from(&StaticSecret::from(key.0)).to_bytes()))
}

fn print(line: impl Display) -> Outcome {
    Ok(writeln!(io::stdout(), "{line}")?)
}

fn up(file: &Path, sets_routes: bool) -> Outcome {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let config = text.and_then(|text| text.parse::<Config>());
    let config = config.map_err(|error| format!("{}: {error}", file.display()))?;
    // From here on they wait to be read, so that all is removed first.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;

    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let mtu = config.mtu.map_or_else(|| routes::inner_mtu(&config), Mtu::get);
    let options = CreateOptions::tun().name(&*name).vnet_header(true).mtu(mtu).up();
    let options = config.addresses.iter().fold(options, |options, address| options.address(*address));
    if let Some(fd) = inherited()?.pop() {
        return run(tunctl::native().adopt(fd)?, config, sets_routes, &signals);
    }
    let helper = HelperBackend::new();
    match tunctl::native().open_or_create(&options) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && helper.program().is_some() => {
            run(helper.open_or_create(&options)?, config, sets_routes, &signals)
        }
        device => run(device?, config, sets_routes, &signals),
    }
}

fn run<D: TunDevice>(device: D, mut config: Config, sets_routes: bool, signals: &SignalFd) -> Outcome {
    let (port, mark, name) = (config.listen_port, config.mark, device.name()?.to_string());
    let routes = routes::route(&config, sets_routes, &name, device.interface().index().get())?;
    let socket = udp::bind(port, mark).map_err(|error| format!("UDP port {port}, mark {mark}: {error}"))?;
    let (port, mtu) = (socket.local_addr()?.port(), device.interface().mtu()?);
    config.listen_port = port;
    let mut vpn = Vpn::new(&config, device, socket)?;
    let uapi = uapi::listen(&name);
    let uapi = uapi.inspect_err(|error| eprintln!("tunctl-vpn: `wg show` will not see {name}: {error}")).ok();
    // It runs on without a reader.
    let _ = print(format_args!("{name}: up, UDP port {port}, MTU {mtu}"));
    routes.iter().for_each(|command| drop(print(format_args!("# {command}"))));
    let outcome = drive(&mut vpn, &config, signals, uapi.as_ref());
    let _ = uapi.map(|_| fs::remove_file(uapi::path(&name)));
    let _ = print(format_args!("{name}: down. {:?}", vpn.dropped()));
    outcome
}

/// Calls the loop when there is something to do, until a signal comes.
fn drive<D: TunDevice>(
    vpn: &mut Vpn<D, UdpSocket>,
    config: &Config,
    signals: &SignalFd,
    uapi: Option<&UnixListener>,
) -> Outcome {
    let (start, mut next_tick) = (Instant::now(), Duration::ZERO);
    loop {
        if start.elapsed() >= next_tick {
            vpn.tick();
            next_tick = start.elapsed() + Vpn::<D, UdpSocket>::TICK;
        }
        // Then anything but packets has its turn.
        for _ in 0..64 {
            if !(vpn.from_device()? | vpn.from_network(start.elapsed())?) {
                break;
            }
        }
        let wait = next_tick.saturating_sub(start.elapsed());
        let fds = [signals.as_fd(), vpn.device().as_fd(), vpn.socket().as_fd()];
        let fds = fds.into_iter().chain(uapi.map(AsFd::as_fd));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // It counts whole milliseconds: less than one would not be waited for.
        poll(&mut fds, PollTimeout::try_from(wait + Duration::from_millis(1))?)?;
        if fds[0].any().unwrap_or_default() {
            return Ok(());
        }
        if let (Some(uapi), Some(Some(true))) = (uapi, fds.get(3).map(PollFd::any)) {
            // No harm is done by a program that goes away early, or that no descriptor is left for.
            let text = || uapi::text(config, vpn.peers(), start.elapsed());
            let _ = uapi.accept().and_then(|(stream, _)| uapi::answer(stream, text));
        }
    }
}
