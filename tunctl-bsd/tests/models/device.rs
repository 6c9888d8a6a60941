//! An open device: what waits for the program, and a pair of sockets that shows it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use super::filter::Filter;
use super::numbers::ENOBUFS;
use super::route::Route;
use super::world::World;

#[derive(Debug)]
pub(crate) struct Device {
    /// How it was opened.
    pub(crate) path: String,
    /// How many descriptors it has.
    pub(crate) handles: usize,
    /// The system's end. In the other one is a byte for each packet that waits, as far as they have room.
    system: UnixStream,
    /// The program's ends, as long as these are descriptors of the model.
    program: Vec<Weak<UnixStream>>,
    packets: VecDeque<Vec<u8>>,
    /// How many of them wait at the socket of a utun; the others are in the interface's queue.
    pub(crate) at_socket: usize,
    /// NetBSD: what the driver knows of it when its interface is deleted: whether packets have their address
    /// family in front, and whether reads wait.
    pub(crate) left: (bool, bool),
    /// The bytes in the program's end.
    tokens: usize,
    /// By what a descriptor of the program's end is recognised.
    identity: (u64, u64),
    /// A descriptor was handed over, and there may be more of it than the model knows.
    is_outside: bool,
    is_hung_up: bool,
    /// macOS: it is no device of an interface, but a packet filter.
    pub(crate) filter: Option<Filter>,
    /// It is no device of an interface, but a routing socket.
    pub(crate) route: Option<Route>,
}

impl Device {
    /// A device, and the program's end of it.
    pub(crate) fn new(path: &str) -> io::Result<(Self, Arc<UnixStream>)> {
        let (system, program) = UnixStream::pair()?;
        system.set_nonblocking(true)?;
        let program = Arc::new(program);
        let device = Self {
            path: path.into(),
            handles: 1,
            system,
            program: vec![Arc::downgrade(&program)],
            packets: VecDeque::new(),
            // Source: `utun_ctl_bind` (XNU 11417).
            at_socket: 1,
            left: (false, false),
            tokens: 0,
            identity: identity(&program)?,
            is_outside: false,
            is_hung_up: false,
            filter: None,
            route: None,
        };
        Ok((device, program))
    }

    /// Another descriptor, of the same device.
    pub(crate) fn duplicated(&mut self, program: &Arc<UnixStream>) {
        self.handles += 1;
        self.program.push(Arc::downgrade(program));
    }

    pub(crate) fn waiting(&self) -> usize {
        self.packets.len()
    }

    pub(crate) fn next_length(&self) -> usize {
        self.packets.front().map_or(0, Vec::len)
    }

    /// The bytes of all that waits.
    pub(crate) fn bytes_waiting(&self) -> usize {
        self.packets.iter().map(Vec::len).sum()
    }

    pub(crate) fn push(&mut self, packet: Vec<u8>) {
        self.packets.push_back(packet);
        self.move_up();
    }

    /// A packet filter keeps a frame, if it has room.
    pub(crate) fn capture(&mut self, frame: &[u8]) -> Result<(), i32> {
        let is_first = self.filter.as_mut().and_then(|filter| filter.store(frame)).ok_or(ENOBUFS)?;
        if is_first {
            // The descriptor is ready as long as there is anything.
            self.push(vec![0]);
        }
        Ok(())
    }

    /// The program has taken a byte, and gets the packet that it stood for.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.tokens = self.tokens.saturating_sub(1);
        let packet = self.packets.pop_front();
        self.move_up();
        packet
    }

    /// What waits is lost.
    pub(crate) fn purge(&mut self) {
        self.keep(0);
    }

    /// What waits is lost, but the oldest.
    pub(crate) fn keep(&mut self, most: usize) {
        self.packets.truncate(most);
        let surplus = self.tokens.saturating_sub(self.packets.len());
        let Some(program) = self.program.iter().find_map(Weak::upgrade) else { return };
        if surplus > 0 {
            // Another thread may just take one.
            let _ = recv(program.as_raw_fd(), &mut vec![0; surplus], MsgFlags::MSG_DONTWAIT);
        }
        self.tokens -= surplus;
    }

    fn move_up(&mut self) {
        while self.tokens < self.packets.len() {
            // Full: it waits for a read.
            if !matches!(self.system.write(&[0]), Ok(1)) {
                return;
            }
            self.tokens += 1;
        }
    }

    /// A descriptor of it leaves the model.
    fn handed_over(&mut self) {
        self.handles -= 1;
        self.is_outside = true;
    }

    pub(crate) const fn was_handed_over(&self) -> bool {
        self.is_outside
    }

    /// Whether there may be descriptors of it that the model does not count.
    fn is_open_outside(&self) -> bool {
        let mut polled = [PollFd::new(self.system.as_fd(), PollFlags::empty())];
        // What was hung up shows nothing any more.
        self.is_hung_up || !matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1))
    }

    /// Reads end, and do not wait any more.
    pub(crate) fn hang_up(&mut self) {
        self.is_hung_up = true;
        self.purge();
        // The socket may be shut down already.
        let _ = self.system.shutdown(Shutdown::Both);
    }
}

/// What is the same of all descriptors of an open file.
pub(crate) fn identity<F: AsFd>(fd: F) -> io::Result<(u64, u64)> {
    let metadata = File::from(fd.as_fd().try_clone_to_owned()?).metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

impl World {
    pub(crate) fn hand_over(&mut self, device: u64) {
        if let Some(device) = self.devices.get_mut(&device) {
            device.handed_over();
        }
    }

    /// The device of which a descriptor is.
    pub(crate) fn identified(&self, identity: (u64, u64)) -> Option<u64> {
        self.devices.iter().find(|(_, device)| device.identity == identity).map(|(&id, _)| id)
    }

    /// Closes the devices of which the last descriptor was closed where nobody saw it.
    pub(crate) fn close_unseen(&mut self) {
        let is_closed =
            |device: &Device| device.is_outside && device.handles == 0 && !device.is_open_outside();
        let closed: Vec<u64> =
            self.devices.iter().filter(|(_, device)| is_closed(device)).map(|(&id, _)| id).collect();
        closed.into_iter().for_each(|id| self.close(id));
    }
}
