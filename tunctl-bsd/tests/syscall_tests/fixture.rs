//! A backend over a model, and a record of the system calls between the two.

use std::ffi::CStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tunctl_bsd::{BsdBackend, BsdDevice, BsdInterface, Family, ListedInterface, Syscalls};
use tunctl_core::{CreateOptions, Error, InterfaceAddress, TunBackend};
use tunctl_sys::bsd::{GetText, Name, Pair, Request, SetText};

use crate::models::{Handle, Kind, Model, Report, System};

pub(crate) const SYSTEMS: [System; 5] =
    [System::FreeBsd, System::NetBsd, System::OpenBsd, System::DragonFly, System::MacOs];

/// Those whose taps have nodes.
pub(crate) const BSDS: [System; 4] = [System::FreeBsd, System::NetBsd, System::OpenBsd, System::DragonFly];

pub(crate) type Device = BsdDevice<Recorder>;

/// A request's number, and its argument as it was sent.
pub(crate) type Sent = (u32, Vec<u8>);

/// A model's system calls, recording the arguments of all requests.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    model: Model,
    sent: Arc<Mutex<Vec<Sent>>>,
    written: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn note(&self, request: Request, argument: &[u8]) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push((request.opcode(), argument.to_vec()));
    }
}

impl Syscalls for Recorder {
    type Handle = Handle;

    fn open(&self, path: &str) -> io::Result<Handle> {
        self.model.open(path)
    }

    fn duplicate(&self, handle: &Handle) -> io::Result<Handle> {
        self.model.duplicate(handle)
    }

    fn adopt(&self, fd: OwnedFd) -> Result<Handle, OwnedFd> {
        self.model.adopt(fd)
    }

    fn unit(&self, handle: &Handle) -> io::Result<u32> {
        self.model.unit(handle)
    }

    fn set_nonblocking(&self, handle: &Handle) -> io::Result<()> {
        self.model.set_nonblocking(handle)
    }

    fn ioctl(&self, handle: &Handle, request: Request, argument: &mut [u8]) -> io::Result<()> {
        self.note(request, argument);
        self.model.ioctl(handle, request, argument)
    }

    fn configure(&self, family: Family, request: Request, argument: &mut [u8]) -> io::Result<()> {
        self.note(request, argument);
        self.model.configure(family, request, argument)
    }

    fn set_text(&self, request: SetText, interface: &Name, text: &CStr) -> io::Result<()> {
        self.model.set_text(request, interface, text)
    }

    fn text(&self, request: GetText, interface: &Name) -> io::Result<Vec<u8>> {
        self.model.text(request, interface)
    }

    fn pair(&self, request: Pair, one: &Name, other: &Name) -> io::Result<()> {
        self.model.pair(request, one, other)
    }

    fn connect(&self, control: &str, unit: u32) -> io::Result<Handle> {
        self.model.connect(control, unit)
    }

    fn socket_name(&self, handle: &Handle) -> io::Result<Name> {
        self.model.socket_name(handle)
    }

    fn set_pending_packets(&self, handle: &Handle, packets: u32) -> io::Result<()> {
        self.model.set_pending_packets(handle, packets)
    }

    fn read(&self, handle: &Handle, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.model.read(handle, buffers)
    }

    fn write(&self, handle: &Handle, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let message = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.model.write(handle, pieces)
    }

    fn watch(&self) -> io::Result<(Handle, usize)> {
        self.model.watch()
    }

    /// In reverse order: `getifaddrs` promises none.
    fn interfaces(&self) -> io::Result<Vec<ListedInterface>> {
        let mut found = self.model.interfaces()?;
        found.reverse();
        Ok(found)
    }

    fn dropped(&self, name: &Name) -> io::Result<Option<u64>> {
        Syscalls::dropped(&self.model, name)
    }
}

pub(crate) struct Fixture {
    pub(crate) model: Model,
    pub(crate) backend: BsdBackend<Recorder>,
    recorder: Recorder,
}

impl Deref for Fixture {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl Fixture {
    pub(crate) fn new(system: System) -> Self {
        Self::over(system, Model::new(system))
    }

    /// macOS with the third-party kernel extension.
    pub(crate) fn with_third_party_driver() -> Self {
        Self::over(System::MacOs, Model::with_third_party_driver())
    }

    fn over(system: System, model: Model) -> Self {
        let recorder = Recorder { model: model.clone(), sent: Arc::default(), written: Arc::default() };
        Self { backend: BsdBackend::with_syscalls(system, recorder.clone()), model, recorder }
    }

    /// A new tun with a name that the system chooses.
    pub(crate) fn tun(&self) -> Device {
        self.backend.create(&CreateOptions::tun()).expect("a tun")
    }

    pub(crate) fn tap(&self) -> Device {
        self.backend.create(&CreateOptions::tap()).expect("a tap")
    }

    /// The first tun that is made.
    pub(crate) fn tun_name(&self) -> &'static str {
        match self.system() {
            System::MacOs => "utun0",
            _ => "tun0",
        }
    }

    /// The first tap that is made.
    pub(crate) fn tap_name(&self) -> &'static str {
        match self.system() {
            System::MacOs => "feth0",
            _ => "tap0",
        }
    }

    /// Runs `work` and returns the system calls that it made.
    pub(crate) fn calls_of<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<String>) {
        self.forget_calls();
        let done = work();
        (done, self.calls())
    }

    /// The arguments that were sent with a request, since the fixture was made.
    pub(crate) fn sent(&self, opcode: u32) -> Vec<Vec<u8>> {
        let sent = self.recorder.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().filter(|sent| sent.0 == opcode).map(|sent| sent.1.clone()).collect()
    }

    /// Everything written to devices, headers included.
    pub(crate) fn written(&self) -> Vec<Vec<u8>> {
        self.recorder.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The argument of the only such request.
    pub(crate) fn sent_once(&self, opcode: u32) -> Vec<u8> {
        let mut sent = self.sent(opcode);
        assert_eq!(sent.len(), 1, "{opcode:#x} {:?}", self.calls());
        sent.remove(0)
    }

    /// The argument that has added an address to a tun: one of IPv4 is sent twice on NetBSD, and the same
    /// both times.
    pub(crate) fn sent_to_add(&self, opcode: u32) -> Vec<u8> {
        let mut sent = self.sent(opcode);
        let is_twice = self.system() == System::NetBsd && opcode == 0x8040_691a;
        assert_eq!(sent.len(), if is_twice { 2 } else { 1 }, "{:?}", self.calls());
        sent.dedup();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// An interface by its name, whether it is open or not.
    pub(crate) fn backend_interface(&self, name: &str) -> BsdInterface<Recorder> {
        self.backend.interface(&name.parse().expect("a name")).expect("an interface")
    }

    /// Another program makes an interface by request, and does not open it.
    pub(crate) fn made_by_another(&self, name: &str) {
        let (opcode, length) = match self.system() {
            System::NetBsd => (0x8090_697a, 144),
            System::OpenBsd => (0x8020_697a, 32),
            _ => (0xc020_697a, 32),
        };
        let mut argument = vec![0; length];
        argument[..name.len()].copy_from_slice(name.as_bytes());
        let abi = match self.system() {
            System::NetBsd => tunctl_sys::bsd::netbsd::ABI,
            System::OpenBsd => tunctl_sys::bsd::openbsd::ABI,
            System::DragonFly => tunctl_sys::bsd::dragonfly::ABI,
            _ => tunctl_sys::bsd::freebsd::ABI,
        };
        assert_eq!(abi.requests.create.opcode(), opcode);
        self.model.configure(Family::V4, abi.requests.create, &mut argument).expect("an interface");
    }
}

pub(crate) fn options(layer: &CreateOptions, name: &str) -> CreateOptions {
    layer.clone().name(name)
}

pub(crate) fn named_tun(name: &str) -> CreateOptions {
    options(&CreateOptions::tun(), name)
}

pub(crate) fn named_tap(name: &str) -> CreateOptions {
    options(&CreateOptions::tap(), name)
}

pub(crate) fn address(text: &str) -> InterfaceAddress {
    text.parse().expect("an address")
}

/// Returns the error of an outcome that must be one.
pub(crate) fn refused<T>(outcome: Result<T, Error>) -> Error {
    outcome.err().expect("it was to fail")
}

/// All interfaces except the loopback.
pub(crate) fn others(model: &Model) -> Vec<Report> {
    model.reports().into_iter().filter(|report| report.kind != Kind::Loopback).collect()
}
