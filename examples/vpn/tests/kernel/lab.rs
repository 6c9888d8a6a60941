//! Hosts, the wires between them, and the programs on them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tunctl::linux::{LinuxBackend, LinuxDevice, Namespace};
use tunctl::prelude::*;
use tunctl::pump::{Direction, Pump, Verdict, Wire};
use tunctl_testing::Background;

/// Where the program is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tunctl-vpn");

/// How long anything may take. The longest is what the protocol itself waits for: 15 seconds without an
/// answer, then 5 until it calls again.
const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "after {PATIENCE:?} still not: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Gives the case a `/run` of its own, where the programs put their sockets.
pub(crate) fn own_run() {
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID, None::<&str>).unwrap();
}

/// Takes it away again, for the next [`Lab`] of the case.
pub(crate) fn unmount_run() {
    umount("/run").unwrap();
}

/// A wire between two hosts: `near` on the one, `wan` on the other.
pub(crate) struct Cable {
    pump: Arc<Pump<LinuxDevice, LinuxDevice>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) captured: Arc<Mutex<Vec<Vec<u8>>>>,
    captures: Arc<AtomicBool>,
}

impl Cable {
    /// The hosts have these addresses on it.
    pub(crate) fn new(ends: [(&Namespace, String, [String; 2]); 2], mtu: u32, wire: Wire) -> Self {
        let [one, other] = ends.map(|(host, name, addresses)| {
            let options = CreateOptions::tun().name(&*name).vnet_header(true).mtu(mtu).without_dad(true).up();
            let options = addresses.iter().fold(options, |options, address| options.address(&**address));
            LinuxBackend::new().in_namespace(host).unwrap().create(&options).unwrap().into_bulk().unwrap()
        });
        let pump = Arc::new(Pump::new(vec![one], vec![other]).unwrap().with_wire(wire));
        let (captured, captures) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (running, into, is_on) = (Arc::clone(&pump), Arc::clone(&captured), Arc::clone(&captures));
        let thread = thread::spawn(move || {
            let hook = |direction, packet: &mut [u8]| {
                if direction == Direction::Back && is_on.load(Ordering::Relaxed) {
                    into.lock().unwrap().push(packet.to_vec());
                }
                Verdict::Pass
            };
            // It ends with the namespaces, too.
            let _ = running.run_with(&hook);
        });
        Self { pump, thread: Some(thread), captured, captures }
    }

    /// Keeps a copy of what the second host sends.
    pub(crate) fn capture(&self, on: bool) {
        self.captures.store(on, Ordering::Relaxed);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.pump.interrupter().interrupt();
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// A server, and clients that each have a wire to it: number `n`, from 0, is 192.0.2.4n+2 and `fd00:n::2`;
/// the server has the addresses before these.
pub(crate) struct Lab {
    pub(crate) server: Namespace,
    pub(crate) clients: Vec<Namespace>,
    pub(crate) cables: Vec<Cable>,
    folder: PathBuf,
}

impl Lab {
    pub(crate) fn new(clients: usize) -> Self {
        Self::with_wire(clients, 1500, &Wire::new())
    }

    pub(crate) fn with_wire(clients: usize, mtu: u32, wire: &Wire) -> Self {
        own_run();
        let folder = std::env::temp_dir().join(format!("tunctl-vpn-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let server = Namespace::new().unwrap();
        let clients: Vec<_> = (0..clients).map(|_| Namespace::new().unwrap()).collect();
        let cable = |(number, client): (usize, &Namespace)| {
            let address = |host: usize| {
                [format!("192.0.2.{}/30", 4 * number + host), format!("fd00:{number}::{host}/64")]
            };
            let ends =
                [(&server, format!("near{number}"), address(1)), (client, "wan".to_owned(), address(2))];
            Cable::new(ends, mtu, *wire)
        };
        let cables = clients.iter().enumerate().map(cable).collect();
        Self { server, clients, cables, folder }
    }

    /// Writes a configuration; its name is that of the interface.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(format!("{name}.conf"));
        fs::write(&path, text).unwrap();
        path
    }

    /// Starts ours, and waits until it is up.
    pub(crate) fn start(&self, host: &Namespace, name: &str, text: &str) -> Ours {
        Ours::start(host, name, &["up", self.write(name, text).to_str().unwrap()])
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Our program, which is killed when this is dropped.
pub(crate) struct Ours {
    running: Option<Background>,
    pub(crate) pid: Pid,
    name: String,
    /// What it printed when it was up.
    pub(crate) greeting: String,
}

impl Ours {
    pub(crate) fn start(host: &Namespace, name: &str, arguments: &[&str]) -> Self {
        let mut command = host.command(PROGRAM);
        command.args(arguments);
        let mut running = Background::start(command);
        let greeting = running.line();
        assert!(greeting.starts_with(&format!("{name}: up")), "{greeting}");
        let pid = Pid::from_raw(running.pid().cast_signed());
        Self { running: Some(running), pid, name: name.to_owned(), greeting }
    }

    /// Ends it by a signal, and returns what it dropped.
    pub(crate) fn stop(mut self) -> Dropped {
        kill(self.pid, Signal::SIGTERM).unwrap();
        let mut running = self.running.take().unwrap();
        let last = loop {
            let line = running.line();
            if line.starts_with(&format!("{}: down", self.name)) {
                break line;
            }
        };
        running.end();
        assert!(!fs::exists(socket(&self.name)).unwrap(), "its socket is removed");
        Dropped(last)
    }

    /// What it prints next.
    pub(crate) fn next_line(&mut self) -> String {
        self.running.as_mut().unwrap().line()
    }

    /// The answer to `get=1`.
    pub(crate) fn report(&self) -> String {
        let mut stream = UnixStream::connect(socket(&self.name)).unwrap();
        stream.write_all(b"get=1\n\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("errno=0\n\n"), "{text}");
        text
    }

    /// The values of a key in the report.
    pub(crate) fn reported(&self, key: &str) -> Vec<String> {
        let of_key = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
        self.report().lines().filter_map(of_key).collect()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

fn socket(name: &str) -> String {
    format!("/run/wireguard/{name}.sock")
}

/// What a program says it dropped.
#[derive(Debug)]
pub(crate) struct Dropped(String);

impl Dropped {
    pub(crate) fn count(&self, reason: &str) -> u64 {
        let (_, rest) = self.0.split_once(&format!("{reason}: ")).unwrap();
        rest.split([',', ' ', '}']).next().unwrap().parse().unwrap()
    }
}

/// A private key and its public one, by the program.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) private: String,
    pub(crate) public: String,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let private = printed(Command::new(PROGRAM).arg("genkey").output().unwrap());
        let mut child =
            Command::new(PROGRAM).arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(private.as_bytes()).unwrap();
        let public = printed(child.wait_with_output().unwrap());
        Self { private: private.trim().to_owned(), public: public.trim().to_owned() }
    }
}

/// What a program printed, which succeeded.
pub(crate) fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program on a host: `ip address`, …
pub(crate) fn on(host: &Namespace, words: &str) -> String {
    let mut words = words.split_whitespace();
    printed(host.command(words.next().unwrap()).args(words).output().unwrap())
}

/// `[Interface]`.
pub(crate) fn interface(keys: &Keys, addresses: &str, more: &str) -> String {
    format!("[Interface]\nPrivateKey = {}\nAddress = {addresses}\n{more}\n", keys.private)
}

/// `[Peer]`.
pub(crate) fn peer(keys: &Keys, allowed: &str, more: &str) -> String {
    format!("[Peer]\nPublicKey = {}\nAllowedIPs = {allowed}\n{more}\n", keys.public)
}
