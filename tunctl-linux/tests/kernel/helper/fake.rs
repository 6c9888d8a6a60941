//! Helpers that are none: this test binary under another name, which does one thing wrong.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, abort};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use nix::unistd::pipe;
use tunctl_core::{CreateFlags, CreateOptions, Interface, TunBackend, TunDevice, Uid};
use tunctl_helper::protocol::{Granted, REQUEST_SIZE, Refusal, Reply, Request, name_field};
use tunctl_linux::{HelperBackend, LinuxDevice};
use tunctl_sys::linux::process::{CAP_NET_ADMIN, CapabilitySets, capabilities, set_capabilities};
use tunctl_sys::linux::{InterfaceRequest, iff, tun as driver};
use tunctl_testing::OtherNamespace;

use super::super::support::backend;

const PREFIX: &str = "tunctl-fake-helper-";

/// A behaviour: what it is called, and what it does with the request.
type Behaviour = (&'static str, fn(Request));

/// What answers as it should is among them, so that it is known that the others are refused for what they do.
const BEHAVIOURS: &[Behaviour] = &[
    ("grants", |request| grant(&request)),
    ("lingers", |request| {
        grant(&request);
        thread::sleep(Duration::from_secs(3600));
    }),
    ("talks on", |request| {
        grant(&request);
        grant(&request);
    }),
    ("dies", |_| ()),
    ("crashes", |_| abort()),
    ("is silent", |_| thread::sleep(Duration::from_secs(3600))),
    ("is cut short", |request| {
        let device = make(&request);
        send(&granted(&device, &request).to_bytes()[..10], &[device.into()]);
    }),
    ("says too much", |request| {
        let device = make(&request);
        send(&[&granted(&device, &request).to_bytes()[..], &[0]].concat(), &[device.into()]);
    }),
    ("speaks another language", |_| send(b"HTTP/1.1 200 OK", &[])),
    ("sends no descriptor", |request| {
        let device = make(&request);
        send(&granted(&device, &request).to_bytes(), &[]);
    }),
    ("sends two descriptors", |request| several(&request, 2)),
    ("sends many descriptors", |request| several(&request, 20)),
    ("refuses with a descriptor", |request| {
        send(&Reply::Refused(Refusal::NoRule).to_bytes(), &[make(&request).into()]);
    }),
    ("sends a pipe", |request| {
        let device = make(&request);
        let (reader, _writer) = pipe().unwrap();
        send(&granted(&device, &request).to_bytes(), &[reader]);
    }),
    ("sends an unattached descriptor", |request| {
        let reply = granted(&make(&request), &request);
        let node = fs::File::options().read(true).write(true).open("/dev/net/tun").unwrap();
        send(&reply.to_bytes(), &[node.into()]);
    }),
    ("sends a descriptor of what is gone", |request| {
        let device = make(&request);
        let reply = granted(&device, &request);
        device.interface().delete().unwrap();
        send(&reply.to_bytes(), &[device.into()]);
    }),
    ("tells another name", |request| {
        let device = make(&request);
        let Reply::Granted(facts) = granted(&device, &request) else { return };
        let name = name_field(b"other").unwrap();
        send(&Reply::Granted(Granted { name, ..facts }).to_bytes(), &[device.into()]);
    }),
    ("makes another name", |request| grant(&Request { name: name_field(b"other").unwrap(), ..request })),
    ("makes a longer name", |request| grant(&Request { name: name_field(b"vpn0x").unwrap(), ..request })),
    ("tells another index", |request| {
        let device = make(&request);
        let Reply::Granted(facts) = granted(&device, &request) else { return };
        send(&Reply::Granted(Granted { index: 1, ..facts }).to_bytes(), &[device.into()]);
    }),
    ("tells other flags", |request| {
        let device = make(&request);
        let Reply::Granted(facts) = granted(&device, &request) else { return };
        let flags = facts.flags | iff::VNET_HDR;
        send(&Reply::Granted(Granted { flags, ..facts }).to_bytes(), &[device.into()]);
    }),
    ("makes another layer", |request| {
        let flags = request.flags ^ (iff::TUN | iff::TAP);
        let device = make(&Request { flags, ..request });
        send(&granted(&device, &request).to_bytes(), &[device.into()]);
    }),
    ("makes packet information", |request| {
        let device = make(&Request { flags: request.flags & !iff::NO_PI, ..request.clone() });
        send(&granted(&device, &request).to_bytes(), &[device.into()]);
    }),
    ("makes it persistent", |request| {
        let device = make(&request);
        device.set_persist(true).unwrap();
        send(&granted(&device, &request).to_bytes(), &[device.into()]);
    }),
    ("makes it another's", |request| {
        let device = make(&request);
        device.set_owner(Uid::new(4005).unwrap()).unwrap();
        send(&granted(&device, &request).to_bytes(), &[device.into()]);
    }),
    ("leaves the MTU", |request| grant(&Request { mtu: None, ..request })),
    ("is elsewhere", |request| elsewhere(&request)),
];

/// Its backend.
pub(crate) fn helper(behaviour: &str) -> HelperBackend {
    HelperBackend::with_program(program(behaviour))
}

/// A helper that refuses for this reason.
pub(crate) fn refusing(refusal: Refusal) -> HelperBackend {
    let digits: String =
        Reply::Refused(refusal).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    HelperBackend::with_program(program(&digits))
}

/// A link to this binary under a name that says what it is to do.
fn program(behaviour: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tunctl-fakes-{}", std::process::id()));
    let link = folder.join(format!("{PREFIX}{behaviour}"));
    fs::create_dir_all(&folder).unwrap();
    if !link.exists() {
        symlink(fs::read_link("/proc/self/exe").unwrap(), &link).unwrap();
    }
    link
}

/// A copy of this binary with these capabilities, which any user may start: in a folder that root covers.
pub(crate) fn privileged(folder: &Path, behaviour: &str) -> HelperBackend {
    const SYS_ADMIN: u32 = 21;
    let copy = folder.join(format!("{PREFIX}{behaviour}"));
    fs::copy("/proc/self/exe", &copy).unwrap();
    tunctl_testing::grant(&copy, &[CAP_NET_ADMIN, SYS_ADMIN]).unwrap();
    HelperBackend::with_program(copy)
}

/// Removes the links.
pub(crate) fn clean() {
    let folder = std::env::temp_dir().join(format!("tunctl-fakes-{}", std::process::id()));
    let _ = fs::remove_dir_all(folder);
}

/// What this process does if it was started as a helper.
pub(crate) fn main() -> Option<ExitCode> {
    let started_as = PathBuf::from(std::env::args_os().next()?);
    let behaviour = started_as.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX))?;
    // It is told nothing by other ways, and of the sockets it inherits its own alone.
    let is_alone = std::env::args_os().len() == 1 && std::env::vars_os().next().is_none();
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:")).count();
    if !is_alone || sockets != 1 {
        return Some(ExitCode::FAILURE);
    }
    if let Ok(reply) = (0..behaviour.len() / 2)
        .map(|byte| u8::from_str_radix(behaviour.get(byte * 2..byte * 2 + 2).unwrap_or("?"), 16))
        .collect::<Result<Vec<_>, _>>()
    {
        request();
        send(&reply, &[]);
        return Some(ExitCode::SUCCESS);
    }
    // What it has by its file, as a real helper; where root's own processes start it, this changes nothing.
    let sets = capabilities().unwrap();
    set_capabilities(CapabilitySets { effective: sets.permitted, ..sets }).unwrap();
    let (_, act) = BEHAVIOURS.iter().find(|(name, _)| *name == behaviour).expect("it is one of them");
    if behaviour != "dies" {
        act(request());
    }
    Some(ExitCode::SUCCESS)
}

fn request() -> Request {
    let mut bytes = [0; REQUEST_SIZE + 1];
    let length = recv(0, &mut bytes, MsgFlags::empty()).unwrap();
    Request::from_bytes(&bytes[..length]).expect("it is a request")
}

fn send(bytes: &[u8], descriptors: &[OwnedFd]) {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() { &[][..] } else { &rights[..] };
    // The other end may have had enough.
    let _ = sendmsg::<()>(0, &[std::io::IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None);
}

/// What a helper is to make.
fn make(request: &Request) -> LinuxDevice {
    let options = CreateOptions::from_flags(CreateFlags::from_bits_retain(request.flags)).unwrap();
    let options = options.owner(Uid::new(nix::unistd::getuid().as_raw()).unwrap());
    let options = options.name(name_of(request));
    let options = request.mtu.into_iter().fold(options, CreateOptions::mtu);
    let options = request.addresses.iter().fold(options, |options, address| {
        options.address(format!("{}/{}", address.address, address.prefix_length).as_str())
    });
    backend().create(&if request.up { options.up() } else { options }).unwrap()
}

fn name_of(request: &Request) -> &str {
    std::str::from_utf8(request.name()).unwrap()
}

fn granted(device: &LinuxDevice, request: &Request) -> Reply {
    let name = name_field(device.name().unwrap().as_bytes()).unwrap();
    let index = device.interface().index().get();
    Reply::Granted(Granted { index, name, flags: request.flags })
}

fn grant(request: &Request) {
    let device = make(request);
    send(&granted(&device, request).to_bytes(), &[device.into()]);
}

fn several(request: &Request, count: usize) {
    let device = make(request);
    let reply = granted(&device, request);
    let first = OwnedFd::from(device);
    let mut all: Vec<_> = (1..count).map(|_| first.try_clone().unwrap()).collect();
    all.push(first);
    send(&reply.to_bytes(), &all);
}

/// The number of an interface that has a twin in another network namespace.
pub(crate) const TWIN: u32 = 77;

/// Makes `vpn0` in another network namespace.
fn elsewhere(request: &Request) {
    let name = name_field(b"vpn0").unwrap();
    let owner = nix::unistd::getuid().as_raw();
    let there = OtherNamespace::new();
    let device = there.run(|| {
        let node = fs::File::options().read(true).write(true).open("/dev/net/tun").unwrap();
        driver::set_index(node.as_fd(), TWIN).unwrap();
        let mut attach = InterfaceRequest::new(b"vpn0", request.flags).unwrap();
        driver::set_iff(node.as_fd(), &mut attach).unwrap();
        driver::set_owner(node.as_fd(), owner).unwrap();
        node
    });
    send(&Reply::Granted(Granted { index: TWIN, name, flags: request.flags }).to_bytes(), &[device.into()]);
}
