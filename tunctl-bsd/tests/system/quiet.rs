//! The running system's calls, with which a device does not receive what the system sends by itself: no
//! switch of one interface stops that.

use std::ffi::CStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use tunctl_bsd::native::Host;
use tunctl_bsd::{Family, ListedInterface, Syscalls};
use tunctl_core::Layer;
use tunctl_sys::bsd::{GetText, Name, Pair, Request, SetText};

use crate::own::is_own;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quiet(Host);

/// An open file, and what passes it.
#[derive(Debug)]
pub(crate) struct Descriptor {
    fd: OwnedFd,
    /// What reads return, where it is known. The frames of macOS's taps come in bulk: nothing is left out.
    layer: Option<Layer>,
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.fd
    }
}

fn with_layer(layer: Option<Layer>) -> impl Fn(OwnedFd) -> Descriptor {
    move |fd| Descriptor { fd, layer }
}

/// The bytes that several buffers begin with.
fn gathered(buffers: &[IoSliceMut<'_>], length: usize) -> Vec<u8> {
    buffers.iter().flat_map(|buffer| buffer.iter().copied()).take(length).collect()
}

impl Syscalls for Quiet {
    type Handle = Descriptor;

    fn open(&self, path: &str) -> io::Result<Descriptor> {
        let layer = match path.get(..8) {
            Some("/dev/tun") => Some(Layer::Tun),
            Some("/dev/tap") => Some(Layer::Tap),
            _ => None,
        };
        self.0.open(path).map(with_layer(layer))
    }

    fn duplicate(&self, handle: &Descriptor) -> io::Result<Descriptor> {
        self.0.duplicate(&handle.fd).map(with_layer(handle.layer))
    }

    /// An adopted one is of a case about adoption, which has no address that the system would announce.
    fn adopt(&self, fd: OwnedFd) -> Result<Descriptor, OwnedFd> {
        self.0.adopt(fd).map(with_layer(None))
    }

    fn unit(&self, handle: &Descriptor) -> io::Result<u32> {
        self.0.unit(&handle.fd)
    }

    fn set_nonblocking(&self, handle: &Descriptor) -> io::Result<()> {
        self.0.set_nonblocking(&handle.fd)
    }

    fn ioctl(&self, handle: &Descriptor, request: Request, argument: &mut [u8]) -> io::Result<()> {
        self.0.ioctl(&handle.fd, request, argument)
    }

    fn configure(&self, family: Family, request: Request, argument: &mut [u8]) -> io::Result<()> {
        self.0.configure(family, request, argument)
    }

    fn set_text(&self, request: SetText, interface: &Name, text: &CStr) -> io::Result<()> {
        self.0.set_text(request, interface, text)
    }

    fn text(&self, request: GetText, interface: &Name) -> io::Result<Vec<u8>> {
        self.0.text(request, interface)
    }

    fn pair(&self, request: Pair, one: &Name, other: &Name) -> io::Result<()> {
        self.0.pair(request, one, other)
    }

    fn connect(&self, control: &str, unit: u32) -> io::Result<Descriptor> {
        self.0.connect(control, unit).map(with_layer(Some(Layer::Tun)))
    }

    fn socket_name(&self, handle: &Descriptor) -> io::Result<Name> {
        self.0.socket_name(&handle.fd)
    }

    fn set_pending_packets(&self, handle: &Descriptor, packets: u32) -> io::Result<()> {
        self.0.set_pending_packets(&handle.fd, packets)
    }

    fn read(&self, handle: &Descriptor, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        loop {
            let length = self.0.read(&handle.fd, buffers)?;
            // Each tun that the backend reads has its address family in front.
            let family = if handle.layer == Some(Layer::Tun) { 4 } else { 0 };
            let packet = gathered(buffers, length);
            if !handle.layer.is_some_and(|layer| is_own(layer, family, &packet)) {
                return Ok(length);
            }
        }
    }

    fn write(&self, handle: &Descriptor, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(&handle.fd, pieces)
    }

    fn watch(&self) -> io::Result<(Descriptor, usize)> {
        let (fd, room) = self.0.watch()?;
        Ok((Descriptor { fd, layer: None }, room))
    }

    fn interfaces(&self) -> io::Result<Vec<ListedInterface>> {
        self.0.interfaces()
    }

    fn dropped(&self, name: &Name) -> io::Result<Option<u64>> {
        self.0.dropped(name)
    }
}
