//! An open device: two sockets that keep messages apart, one of them the program's.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;

use super::filter::Filter;
use super::numbers::ENOBUFS;

#[derive(Debug)]
pub(crate) struct Device {
    /// How it was opened.
    pub(crate) path: String,
    /// How many descriptors it has.
    pub(crate) handles: usize,
    /// The system's end.
    system: UnixDatagram,
    /// The program's, to hang up.
    program: UnixDatagram,
    /// The lengths of the packets that wait in the sockets, which have room for few of them.
    in_sockets: VecDeque<usize>,
    /// The packets behind those.
    behind: VecDeque<Vec<u8>>,
    /// macOS: it is no device of an interface, but a packet filter.
    pub(crate) filter: Option<Filter>,
}

impl Device {
    /// A device, and the program's end of it.
    pub(crate) fn new(path: &str) -> io::Result<(Self, UnixDatagram)> {
        let (system, program) = UnixDatagram::pair()?;
        system.set_nonblocking(true)?;
        let device = Self {
            path: path.into(),
            handles: 1,
            system,
            program: program.try_clone()?,
            in_sockets: VecDeque::new(),
            behind: VecDeque::new(),
            filter: None,
        };
        Ok((device, program))
    }

    pub(crate) fn waiting(&self) -> usize {
        self.in_sockets.len() + self.behind.len()
    }

    pub(crate) fn next_length(&self) -> usize {
        self.in_sockets.front().copied().unwrap_or(0)
    }

    pub(crate) fn push(&mut self, packet: Vec<u8>) {
        self.behind.push_back(packet);
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

    /// A packet was read.
    pub(crate) fn popped(&mut self) {
        self.in_sockets.pop_front();
        self.move_up();
    }

    fn move_up(&mut self) {
        while let Some(packet) = self.behind.front() {
            match self.system.send(packet) {
                Ok(length) => self.in_sockets.push_back(length),
                // Full: it waits for a read.
                Err(_) => return,
            }
            self.behind.pop_front();
        }
    }

    /// Reads end, and do not wait any more.
    pub(crate) fn hang_up(&mut self) {
        self.behind.clear();
        self.in_sockets.clear();
        // The socket may be shut down already.
        let _ = self.program.shutdown(Shutdown::Both);
    }
}
