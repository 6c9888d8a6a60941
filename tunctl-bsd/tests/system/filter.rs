//! Packets past an interface, by the system's packet filter.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use tunctl_core::Layer;
use tunctl_sys::bsd::bpf::{DLT_NULL, Packets};
use tunctl_sys::bsd::calls::{self, native::ABI};
use tunctl_sys::bsd::{AF_INET, Name, Request};

/// In front of a packet of a tun, to the filter: four bytes.
const FAMILY: usize = 4;

/// Whether a packet of a tun is to pass the filter as it is. The tuns of the BSDs take a family that says so
/// (`pseudo_AF_HDRCMPLT`, `bpfwrite`) for the packet's (NetBSD's `tun_output`, asked; FreeBSD's `tunoutput`,
/// DragonFly's `tunifoutput`, read). XNU's `bpfwrite` puts a second one in front without it.
const TUNS_ARE_COMPLETE: bool = cfg!(target_os = "macos");

/// Whether the filter leaves the four bytes of a tun to the program that reads them: NetBSD's `bpf_movein`
/// and `tun_output` do not look at them, so that they stand in the queue as they were written.
const FAMILY_REACHES_THE_PROGRAM: bool = cfg!(target_os = "netbsd");

/// A packet filter at one interface.
pub(crate) struct Filter {
    file: File,
    layer: Layer,
    /// The address family is in the byte order of the host; on OpenBSD and NetBSD, of the network.
    host_order: bool,
    room: usize,
    waiting: VecDeque<Vec<u8>>,
}

impl Filter {
    /// Sees what the interface receives, and sends the frames it is given.
    pub(crate) fn new(name: &str, layer: Layer) -> io::Result<Self> {
        let file = open()?;
        let set = |request: Request, value: u32| -> io::Result<u32> {
            let mut argument = value.to_ne_bytes();
            calls::ioctl(file.as_fd(), request, &mut argument)?;
            Ok(u32::from_ne_bytes(argument))
        };
        let name = Name::new(name.as_bytes()).ok_or(ErrorKind::InvalidInput)?;
        calls::ioctl(file.as_fd(), ABI.bpf.set_interface, &mut ABI.ifreq(&name))?;
        set(ABI.bpf.set_immediate, 1)?;
        set(ABI.bpf.set_header_complete, u32::from(layer == Layer::Tap || TUNS_ARE_COMPLETE))?;
        set(ABI.bpf.set_direction, ABI.bpf.received_only)?;
        let room = set(ABI.bpf.buffer_length, 0)?;
        let host_order = set(ABI.bpf.link_type, 0)? == DLT_NULL && !FAMILY_REACHES_THE_PROGRAM;
        set(ABI.requests.set_nonblocking, 1)?;
        let room = usize::try_from(room).map_err(io::Error::other)?;
        Ok(Self { file, layer, host_order, room, waiting: VecDeque::new() })
    }

    /// Has the system send a packet out of the interface; whether it did. To a tun of NetBSD or DragonFly, it
    /// may be as long as the MTU less the four bytes, which count there (`bpf_movein`, `bpfwrite`).
    pub(crate) fn send(&mut self, packet: &[u8]) -> bool {
        let message = match self.layer {
            Layer::Tap => packet.to_vec(),
            Layer::Tun => [&self.family(packet), packet].concat(),
        };
        self.file.write(&message).is_ok_and(|length| length == message.len())
    }

    fn family(&self, packet: &[u8]) -> [u8; FAMILY] {
        let is_ipv6 = packet.first().is_some_and(|first| first >> 4 == 6);
        let family = u32::from(if is_ipv6 { ABI.af_inet6 } else { AF_INET });
        if self.host_order { family.to_ne_bytes() } else { family.to_be_bytes() }
    }

    /// The oldest packet that the interface has received, and that was not taken.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        if self.waiting.is_empty() {
            // A read has to have room for all that the filter may hold.
            let mut buffer = vec![0; self.room];
            let length = self.file.read(&mut buffer).unwrap_or(0);
            let front = if self.layer == Layer::Tun { FAMILY } else { 0 };
            let packets = Packets::new(&buffer[..length], ABI.bpf.header);
            self.waiting.extend(packets.filter_map(|packet| Some(packet.bytes.get(front..)?.to_vec())));
        }
        self.waiting.pop_front()
    }
}

/// A free filter: from the cloning node, or without one, the first numbered node that opens.
fn open() -> io::Result<File> {
    let open = |path: &str| OpenOptions::new().read(true).write(true).open(path);
    let mut last = match open("/dev/bpf") {
        Err(error) => error,
        opened => return opened,
    };
    for number in 0..256 {
        match open(&format!("/dev/bpf{number}")) {
            // Another program has it open.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => last = error,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            outcome => return outcome,
        }
    }
    Err(last)
}
