//! `tunctl lab`: a TUN interface in a namespace of its own, with hosts in user space that answer.

mod probe;
mod responder;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tunctl::linux::{LinuxDevice, netns};
use tunctl::{CreateOptions, InterfaceAddress, TunBackend, TunDevice};
use tunctl_sys::linux::process::unblock_signals;

use super::arguments::seconds;
use super::output::{Form, PacketPrinter};
use super::signals::{Caught, Signals};
use super::{Failure, Outcome, complain, output};
use probe::{Plan, Summary};
use responder::Responder;

const DEVICE: &str = "lab0";
/// The kernel's own addresses on the interface.
const ADDRESS_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// See packets now: a TUN interface in a network of its own, whose other hosts answer
///
/// Enters a new network namespace, without privilege where the system allows it, and creates lab0 there, with the addresses
/// 10.77.0.1/24 and fd77::1/64. Every other host of these networks is played by this program: it answers ICMP and ICMPv6
/// echo, and UDP echo on port 7.
///
/// Alone, it sends such requests through the kernel's own sockets, prints each packet as it passes, and fails if one went
/// unanswered. With a command, it runs that inside, and ends with its exit status: tunctl lab -- ping -c3 10.77.0.2
#[derive(Args)]
pub(super) struct Lab {
    /// Rounds of requests, one a kind (as many as seconds, unless --for says otherwise)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    count: Option<u16>,
    /// Spread the requests over this long (5 seconds, unless --count says otherwise)
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Where the interface is made
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto)]
    backend: BackendChoice,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
    /// Run this in the namespace instead of sending requests
    #[arg(last = true, value_name = "COMMAND", conflicts_with_all = ["count", "duration", "json"])]
    command: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BackendChoice {
    /// The best that there is here: the kernel
    Auto,
    /// The running kernel's driver
    Kernel,
}

impl Lab {
    pub(super) fn run(self) -> Outcome<ExitCode> {
        let device = match self.backend {
            BackendChoice::Auto | BackendChoice::Kernel => Arc::new(device()?),
        };
        if let Some((program, arguments)) = self.command.split_first() {
            return run_command(&device, program, arguments);
        }
        let form = Form::choose(self.json);
        if form != Form::Json {
            writeln!(
                io::stdout(),
                "{DEVICE} is up in a namespace of its own, as {ADDRESS_V4}/{PREFIX_V4} and {ADDRESS_V6}/{PREFIX_V6}; \
                 this program plays the other hosts"
            )?;
        }
        let signals = Signals::catch()?;
        let printer = PacketPrinter::new(form);
        let responder = Arc::new(Responder::new(device));
        let answering = {
            let responder = responder.clone();
            thread::spawn(move || responder.answer(Some(&printer)))
        };
        let summary = probe::run(&Plan::new(self.count, self.duration), &signals, &responder.stop);
        responder.stop.store(true, Ordering::Relaxed);
        answering.join().map_err(|_| Failure::Said("the answering thread panicked".into()))??;
        let summary = summary?.with_responder(&responder.counts());
        print_summary(&summary, form)?;
        Ok(if summary.all_answered() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn device() -> tunctl::Result<LinuxDevice> {
    // First of all, while there is one thread.
    netns::enter_new()?;
    let device = tunctl::native().create(&CreateOptions::tun().name(DEVICE)?)?;
    device.up(InterfaceAddress::with_prefix(ADDRESS_V4, PREFIX_V4)?)?;
    device.up(InterfaceAddress::with_prefix(ADDRESS_V6, PREFIX_V6)?)?;
    Ok(device)
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

fn run_command(device: &Arc<LinuxDevice>, program: &str, arguments: &[String]) -> Outcome<ExitCode> {
    // We are to outlive the command, and to pass on what is sent to us alone.
    let signals = Signals::catch()?;
    let responder = Responder::new(device.clone());
    thread::spawn(move || {
        if let Err(failure) = responder.answer(None) {
            failure.report();
        }
    });
    let mut command = Command::new(program);
    command.args(arguments).env("TUNCTL_DEVICE", DEVICE);
    unblock_signals(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // The statuses by which shells tell the two apart from a command's own failure.
            let (status, advice) = match error.kind() {
                io::ErrorKind::NotFound => (127, "Is it installed, and in PATH?"),
                _ => (126, "Is it a program, and executable?"),
            };
            complain(&format_args!("run {program}: {error}. {advice}"));
            return Ok(ExitCode::from(status));
        }
    };
    let pid = process_id(&child)?;
    thread::spawn(move || {
        while let Ok(Caught { signal, by_terminal }) = signals.wait() {
            if !by_terminal {
                // It may have ended a moment ago.
                let _ = kill(pid, signal);
            }
        }
    });
    let status = child.wait().map_err(|error| Failure::Said(format!("wait for {program}: {error}")))?;
    Ok(exit_code(status))
}

fn process_id(child: &Child) -> Outcome<Pid> {
    i32::try_from(child.id())
        .map(Pid::from_raw)
        .map_err(|_| Failure::Said("the process id is out of range".into()))
}

/// The command's own status, or as shells have it, 128 and the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
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
