//! `tunctl lab`: a TUN interface in a new namespace, with simulated hosts that answer.

mod kernel;
mod kind;
mod memory;
mod probe;
mod responder;
mod summary;
mod tally;
mod within;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tunctl::linux::LinuxDevice;
use tunctl::{CreateOptions, InterfaceAddress, TunBackend, TunDevice};

use super::duration::seconds;
use super::output::{self, Columns, width};
use super::packets::{Form, PacketPrinter};
use super::shortage::start;
use super::signals::Signals;
use super::{Failure, Outcome, complain};
use kernel::Sockets;
use probe::{Path, Plan};
use responder::Responder;
use summary::Summary;

const DEVICE: &str = "lab0";
/// The kernel's own addresses on the interface.
const ADDRESS_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;
/// Why the mock runs no command.
const NO_COMMAND: &str = "a command cannot run with --backend mock: it uses the kernel's sockets, which do \
                          not reach a driver in memory. Leave out --backend, or the command";

/// See packets now: a TUN interface in an isolated network, whose other hosts answer
///
/// Enters a new network namespace, without privilege where the system allows it, and creates lab0 there, with
/// the addresses 10.77.0.1/24 and fd77::1/64. This program plays every other host of these networks: it
/// answers ICMP and ICMPv6 echo, and UDP echo on port 7. All other ports are closed, and say so.
///
/// Without a command, it sends such requests through the kernel's own sockets, prints each packet as it
/// passes, and fails if a request goes unanswered. With a command, it runs the command inside, and exits with
/// its status: tunctl lab -- ping -c3 10.77.0.2
///
/// Where the kernel's driver is not available, it says why, and does the same on a driver in memory, where no
/// command can run.
#[derive(Args)]
pub(super) struct Lab {
    /// How many rounds of requests to send, each with one request of every kind (default: one a second)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    count: Option<u16>,
    /// Spread the requests over this time: seconds, or with a unit (default: 5 seconds, or with --count one
    /// second a round)
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    duration: Option<Duration>,
    /// The driver that makes the interface
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto)]
    backend: BackendChoice,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Run this command in the namespace instead of sending requests
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["count", "duration", "json"])]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendChoice {
    /// The kernel; where it is not available, say why, and use the mock
    Auto,
    /// The running kernel's driver
    Kernel,
    /// A driver in this program's memory, which needs no privilege, no device node and no namespace
    Mock,
}

impl BackendChoice {
    /// Creates the kernel's device, unless this choice or the system calls for the mock.
    fn kernel_device(self) -> Outcome<Option<LinuxDevice>> {
        if self == Self::Mock {
            return Ok(None);
        }
        match kernel::device() {
            Err(error) if self == Self::Auto && kernel::is_out_of_reach(&error) => {
                complain(&error);
                complain(&"continuing with the driver in memory, as with --backend mock");
                Ok(None)
            }
            device => Ok(Some(device?)),
        }
    }
}

impl Lab {
    pub(super) fn run(self) -> Outcome<ExitCode> {
        if let Some((program, arguments)) = self.command.split_first() {
            if self.backend == BackendChoice::Mock {
                return Err(Failure::Usage(NO_COMMAND.into()));
            }
            return within::run(kernel::device()?, program, arguments);
        }
        match self.backend.kernel_device()? {
            Some(device) => self.probe(device, &Sockets::open()?),
            None => {
                let (device, cable) = memory::device()?;
                self.probe(device, &cable)
            }
        }
    }

    fn probe<D: TunDevice + 'static, P: Path>(&self, device: D, path: &P) -> Outcome<ExitCode> {
        let form = Form::choose(self.json);
        if form != Form::Json {
            let (v4, v6) =
                (format_args!("{ADDRESS_V4}/{PREFIX_V4}"), format_args!("{ADDRESS_V6}/{PREFIX_V6}"));
            let opening = format!("{DEVICE} is up {}, as {v4} and {v6}; {}", P::WHERE, P::PLAYED);
            let mut line = Columns::new(width(), 4);
            line.push_words(0, &opening);
            writeln!(io::stdout(), "{}", line.finish())?;
        }
        let signals = Signals::catch()?;
        let mut printer = PacketPrinter::new(form);
        let responder = Arc::new(Responder::new(device));
        let answering = {
            let responder = responder.clone();
            start(move || responder.answer(Some(&mut printer)))?
        };
        let plan = Plan::new(self.count, self.duration);
        let summary = probe::run(path, &plan, &signals, &responder.stop);
        responder.stop.store(true, Ordering::Relaxed);
        answering.join().map_err(|_| Failure::Said("the answering thread panicked".into()))??;
        let summary = summary?.with_responder(&responder.counts());
        print_summary(&summary, form)?;
        Ok(if summary.all_answered() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Makes the lab's device.
fn create<B: TunBackend>(backend: &B) -> tunctl::Result<B::Device> {
    let v4 = InterfaceAddress::new(ADDRESS_V4, PREFIX_V4)?;
    let v6 = InterfaceAddress::new(ADDRESS_V6, PREFIX_V6)?;
    backend.create(&CreateOptions::tun().name(DEVICE).address(v4).address(v6).up())
}

/// Whether the lab plays this host: a unicast address of one of its networks that is not the kernel's.
fn is_played(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(host) => {
            let suffix = host.to_bits() & (u32::MAX >> PREFIX_V4);
            let here = (host.to_bits() ^ ADDRESS_V4.to_bits()) >> (32 - PREFIX_V4) == 0;
            here && host != ADDRESS_V4 && suffix != 0 && suffix != u32::MAX >> PREFIX_V4
        }
        IpAddr::V6(host) => {
            let here = (host.to_bits() ^ ADDRESS_V6.to_bits()) >> (128 - PREFIX_V6) == 0;
            // Host 0 is the anycast address of the network's routers (RFC 4291).
            here && host != ADDRESS_V6 && host.to_bits() << PREFIX_V6 != 0
        }
    }
}

fn print_summary(summary: &Summary, form: Form) -> io::Result<()> {
    if form == Form::Json { output::json(summary) } else { write!(io::stdout(), "\n{summary}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hosts_of_the_networks_are_played_but_the_kernels_own() {
        for host in ["10.77.0.2", "10.77.0.254", "fd77::2", "fd77::ffff:ffff:ffff:ffff"] {
            assert!(is_played(host.parse().unwrap()), "{host}");
        }
        for host in
            ["10.77.0.0", "10.77.0.1", "10.77.0.255", "10.77.1.2", "fd77::", "fd77::1", "fd77:0:0:1::2"]
        {
            assert!(!is_played(host.parse().unwrap()), "{host}");
        }
    }
}
