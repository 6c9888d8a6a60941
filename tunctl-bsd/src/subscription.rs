//! What the kernel reports unasked: a routing socket.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use tunctl_sys::bsd::RouteReport;

use crate::errno;
use crate::syscalls::Syscalls;
use crate::system_handle::SystemHandle;

/// Room for every message that matters: a header, and three addresses behind it.
const LONGEST: usize = 2048;

/// A socket to which the kernel reports the changes of all interfaces.
pub(crate) struct Subscription<C: Syscalls> {
    system: Arc<SystemHandle<C>>,
    socket: C::Handle,
    /// How many bytes may wait before it must be assumed that the kernel has dropped some.
    reliable_room: usize,
}

impl<C: Syscalls> Subscription<C> {
    pub(crate) fn open(system: Arc<SystemHandle<C>>) -> io::Result<Self> {
        let (socket, room) = system.syscalls.watch()?;
        // FreeBSD, NetBSD, DragonFly and macOS drop what has no room, and say nothing (`raw_input`,
        // `rt_dispatch`; `SO_RERROR`, where it exists, is off by default). They count the buffers that a
        // message takes, too, which may be eight times its bytes (`sb_efficiency`) and more, so that a
        // quarter of the room is safe.
        Ok(Self { system, socket, reliable_room: room / 4 })
    }

    /// Takes the next report about an interface, if there is one. After [`RouteReport::Lost`], nothing was
    /// taken.
    pub(crate) fn try_next(&self) -> io::Result<Option<RouteReport>> {
        let mut message = [0; LONGEST];
        loop {
            if self.waiting()? > self.reliable_room {
                return Ok(Some(RouteReport::Lost));
            }
            match self.read(&mut message) {
                Ok(length) => {
                    if let Some(report) = self.system.rules.abi.route_report(&message[..length]) {
                        return Ok(Some(report));
                    }
                }
                Err(error) => match errno::of(&error) {
                    errno::EAGAIN => return Ok(None),
                    errno::ENOBUFS => return Ok(Some(RouteReport::Lost)),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Whether something was reported that was not taken yet.
    pub(crate) fn has_more(&self) -> io::Result<bool> {
        self.waiting().map(|waiting| waiting > 0)
    }

    /// Lets go what was reported so far.
    pub(crate) fn drain(&self) -> io::Result<()> {
        let mut message = [0; LONGEST];
        loop {
            match self.read(&mut message) {
                Err(error) if errno::of(&error) == errno::EAGAIN => return Ok(()),
                Err(error) if errno::of(&error) != errno::ENOBUFS => return Err(error),
                _ => {}
            }
        }
    }

    fn read(&self, message: &mut [u8]) -> io::Result<usize> {
        self.system.syscalls.read(&self.socket, &mut [IoSliceMut::new(message)])
    }

    /// How many bytes wait.
    fn waiting(&self) -> io::Result<usize> {
        let mut waiting = 0_i32.to_ne_bytes();
        let request = self.system.rules.abi.requests.waiting;
        self.system.syscalls.ioctl(&self.socket, request, &mut waiting)?;
        Ok(usize::try_from(i32::from_ne_bytes(waiting)).unwrap_or(0))
    }
}

impl<C: Syscalls> AsFd for Subscription<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
