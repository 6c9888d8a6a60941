//! Two namespaces with a veth pair between them, and the same program at each end of a tunnel through it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path as FilePath;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use tunctl_core::{Interface, InterfaceName, Statistics, TunBackend};
use tunctl_linux::{LinuxBackend, Namespace};

use super::program::{OURS, Program};
use crate::sections::pump::path::{HOSTS, Path, ip, veth};
use crate::sections::pump::transfer::{Streams, during};

const MTU: u16 = 1420;
const PORT: u16 = 51820;
/// Where files and the programs' own sockets go.
const RUN: &str = "/run";
/// A program has made its interface by then.
const START: Duration = Duration::from_secs(10);

/// The two ends, and the processes, which end with this.
pub(super) struct Tunnel {
    /// By the addresses inside of the tunnel.
    pub(super) path: Path,
    interfaces: [String; 2],
    processes: Vec<Process>,
}

impl Tunnel {
    /// Starts both ends, and has them shake hands.
    pub(super) fn new(program: &Program) -> Result<Self, String> {
        let failed = |why: String| format!("{}: {why}", program.name);
        Self::start(program).map_err(failed)
    }

    fn start(program: &Program) -> Result<Self, String> {
        let outside = veth(program.name)?;
        let inside = [0, 1].map(|end| [10, 99, 0, end + 1].into());
        // Sockets are named after interfaces, so no two have the same name.
        let interfaces = [0, 1].map(|end| format!("{}{end}", program.name));
        let (keys, mut processes) = ([Keys::new()?, Keys::new()?], Vec::new());
        for (end, namespace) in outside.namespaces.iter().enumerate() {
            let other = 1 - end;
            let (private, public) = (&keys[end].private, &keys[other].public);
            let (near, far) = (format!("{}/24", inside[end]), inside[other]);
            let own =
                if program.has_file { format!("Address = {near}\nMTU = {MTU}\n") } else { String::new() };
            let configuration = format!(
                "[Interface]\nPrivateKey = {private}\nListenPort = {PORT}\n{own}\
                 [Peer]\nPublicKey = {public}\nAllowedIPs = {far}/32\nEndpoint = {}:{PORT}\n",
                HOSTS[other]
            );
            let name = &interfaces[end];
            let file = format!("{RUN}/{name}.conf");
            fs::write(&file, configuration).map_err(|error| format!("write {file}: {error}"))?;
            let last = if program.has_file { &file } else { name };
            processes.push(Process::start(namespace, program, last, format!("{RUN}/{name}.log"))?);
            let started = processes.last_mut().ok_or("no process")?;
            started.wait_until("answered", || run(namespace.command("wg").args(["show", name])).is_ok())?;
            if !program.has_file {
                run(namespace.command("wg").args(["setconf", name, &file]))?;
                ip(namespace, &format!("address add {near} dev {name}"))?;
                ip(namespace, &format!("link set {name} mtu {MTU} up"))?;
            }
        }
        let mut tunnel = Self { path: outside.with_hosts(inside), interfaces, processes };
        // The first packet has them shake hands.
        during(&tunnel.path, Streams { each_way: 1, back: false }, |_| Ok(()))?;
        tunnel.check_handshake()?;
        Ok(tunnel)
    }

    /// Both ends have the keys of a session with the other.
    fn check_handshake(&mut self) -> Result<(), String> {
        for (end, process) in self.processes.iter_mut().enumerate() {
            let (namespace, name) = (&self.path.namespaces[end], &self.interfaces[end]);
            // Boringtun tells how long ago it was, and not when: 0 in the first second.
            process.wait_until("shaken hands", || {
                let told = run(namespace.command("wg").args(["show", name, "latest-handshakes"]));
                let seconds = told.ok().and_then(|told| told.split_whitespace().nth(1)?.parse().ok());
                seconds.is_some_and(|seconds: u64| seconds > 0)
            })?;
        }
        Ok(())
    }

    /// The bytes of packets that the kernel has given to the program at the first end, and has been given at
    /// the second.
    pub(super) fn carried(&self) -> Result<[u64; 2], String> {
        let of = |end: usize| -> tunctl_core::Result<Statistics> {
            let backend = LinuxBackend::new().in_namespace(&self.path.namespaces[end])?;
            backend.interface(&InterfaceName::new(&self.interfaces[end])?)?.statistics()
        };
        let both = || Ok([of(0)?.to_program.bytes, of(1)?.from_program.bytes]);
        both().map_err(|error: tunctl_core::Error| error.to_string())
    }

    /// The numbers of both processes.
    pub(super) fn processes(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().map(|process| process.child.id())
    }

    /// The most that either process ever had in memory, in MB.
    pub(super) fn resident(&self) -> Result<f64, String> {
        let of = |process: u32| {
            let path = format!("/proc/{process}/status");
            let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            most_resident(&status).ok_or_else(|| format!("{path} has no VmHWM"))
        };
        let all = self.processes().map(of).collect::<Result<Vec<_>, String>>()?;
        Ok(all.into_iter().fold(0.0, f64::max))
    }
}

/// In MB, of what the kernel tells in KiB.
fn most_resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Gives this process a `/run` of its own, where the programs put their sockets.
pub(super) fn own_run() -> Result<(), String> {
    let none: Option<&str> = None;
    // Otherwise others would see it, too, where mounts are shared.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .and_then(|()| mount(Some("run"), RUN, Some("tmpfs"), MsFlags::MS_NOSUID, none))
        .map_err(|errno| format!("mount a {RUN}: {errno}"))
}

/// A process that is killed when this is dropped, and when this process ends without that.
struct Process {
    child: Child,
    /// What it complains.
    log: String,
}

impl Process {
    fn start(namespace: &Namespace, program: &Program, last: &str, log: String) -> Result<Self, String> {
        let complaints = fs::File::create(&log).map_err(|error| format!("write {log}: {error}"))?;
        let mut command = namespace.command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program.find()?).args(program.options).arg(last);
        command.env("LOG_LEVEL", "error").stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints);
        let child = command.spawn().map_err(|error| format!("run setpriv: {error}"))?;
        Ok(Self { child, log })
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !is_so() {
            let complaints = || fs::read_to_string(&self.log).unwrap_or_default();
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it has ended ({status}): {}", complaints()));
            }
            if start.elapsed() > START {
                return Err(format!("after {START:?} it has not {what}: {}", complaints()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A private key and its public one.
struct Keys {
    private: String,
    public: String,
}

impl Keys {
    fn new() -> Result<Self, String> {
        let file = OURS.find()?;
        let private = run(Command::new(&file).arg("genkey"))?;
        let public = public_key(&file, &private)?;
        Ok(Self { private: private.trim().to_owned(), public: public.trim().to_owned() })
    }
}

fn public_key(file: &FilePath, private: &str) -> Result<String, String> {
    let ask = || {
        let mut command = Command::new(file);
        let mut child = command.arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(private.as_bytes())?;
        }
        child.wait_with_output()
    };
    printed(ask().map_err(|error: io::Error| format!("run {}: {error}", file.display()))?)
}

/// What a command prints, which must succeed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("run {:?}: {error}", command.get_program()))?;
    printed(output)
}

fn printed(output: Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_the_most_it_was() {
        let status = "Name:\tx\nVmPeak:\t  9000 kB\nVmHWM:\t    1000 kB\nVmRSS:\t     900 kB\n";
        assert_eq!(most_resident(status), Some(1.024));
        assert_eq!(most_resident("VmRSS:\t 900 kB\n"), None);
    }
}
