use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::{readv, writev};
use tunctl_core::*;

/// A system of one interface, whose packets travel over a datagram socket, as those of passt do.
#[derive(Debug)]
struct SocketBackend(Arc<UnixDatagram>, SocketInterface);
#[derive(Debug)]
struct SocketDevice(Arc<UnixDatagram>, SocketInterface);
#[derive(Clone, Debug, Default)]
struct SocketInterface(Arc<Mutex<Option<Link>>>);
type Link = (InterfaceInfo, Vec<InterfaceAddress>);
const INDEX: InterfaceIndex = InterfaceIndex::new(1).unwrap();
impl TunBackend for SocketBackend {
    type Device = SocketDevice;
    type Interface = SocketInterface;
    fn capabilities(&self) -> Capabilities {
        Capabilities::REQUIRED
    }
    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<SocketDevice> {
        let mut link = self.1.0.lock().unwrap();
        let cause = match (mode, &*link) {
            _ if options.get_flags() != CreateOptions::tun().get_flags() => Cause::Unsupported,
            (AttachMode::Existing, None) => Cause::NotFound,
            (_, Some(_)) => Cause::Busy,
            (_, None) => {
                let name = options.get_exact_name().unwrap_or("tun0".parse()?);
                *link = Some((InterfaceInfo::new(name, INDEX, Layer::Tun, 1500.try_into()?), vec![]));
                return Ok(SocketDevice(self.0.clone(), self.1.clone()));
            }
        };
        Err(Error::new(mode.operation(), cause))
    }
    fn interfaces(&self) -> Result<Vec<SocketInterface>> {
        Ok(self.1.info().map(|_| self.1.clone()).into_iter().collect())
    }
}
impl TunDevice for SocketDevice {
    type Interface = SocketInterface;
    fn interface(&self) -> &SocketInterface {
        &self.1
    }
    fn flags(&self) -> CreateFlags {
        CreateOptions::tun().get_flags()
    }
    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.1.with(Operation::Receive, |_| readv(&self.0, buffers).map_err(reason))
    }
    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.1.with(Operation::Send, |_| writev(&self.0, pieces).map_err(reason))
    }
    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<std::time::Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        let wanted = if readiness == Readiness::Readable { PollFlags::POLLIN } else { PollFlags::POLLOUT };
        let mut fds = vec![PollFd::new(self.as_fd(), wanted)];
        fds.extend(interrupter.map(|stop| PollFd::new(stop.as_fd(), PollFlags::POLLIN)));
        let timeout = timeout.map_or(PollTimeout::NONE, |time| time.try_into().unwrap_or(PollTimeout::MAX));
        match poll(&mut fds, timeout) {
            Ok(0) => Ok(WaitOutcome::TimedOut),
            Ok(_) if fds.get(1).is_some_and(|stop| stop.any() == Some(true)) => Ok(WaitOutcome::Interrupted),
            Ok(_) => Ok(WaitOutcome::Ready),
            Err(errno) => Err(reason(errno).of(Operation::Wait)),
        }
    }
    fn try_clone(&self) -> Result<Self> {
        Ok(Self(self.0.clone(), self.1.clone()))
    }
}
impl Interface for SocketInterface {
    fn index(&self) -> InterfaceIndex {
        INDEX
    }
    fn info(&self) -> Result<InterfaceInfo> {
        self.with(Operation::Inspect, |(info, _)| Ok(info.clone()))
    }
    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        self.with(Operation::ListAddresses, |(_, held)| Ok(held.clone()))
    }
    fn add_address(&self, new: InterfaceAddress) -> Result<bool> {
        let missing = self.addresses()?.iter().all(|held| !held.same_as(&new)).then_some(new);
        self.with(Operation::AddAddress, |(_, held)| Ok(held.extend(missing)))?;
        Ok(missing.is_some())
    }
    fn remove_address(&self, old: InterfaceAddress) -> Result<()> {
        let position = self.addresses()?.iter().position(|held| held.same_as(&old));
        let removed = |(_, held): &mut Link| Ok(drop(held.remove(position.ok_or(Cause::AddressNotFound)?)));
        self.with(Operation::RemoveAddress, removed)
    }
    fn set_state(&self, state: State) -> Result<()> {
        self.with(Operation::Up, |(info, _)| Ok(info.state = state))
    }
    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        self.with(Operation::SetMtu, |(info, _)| Ok(info.mtu = mtu))
    }
    fn set_mac(&self, _: MacAddress) -> Result<()> {
        self.with(Operation::SetMac, |_| Err(Cause::LayerMismatch.into()))
    }
    fn delete(&self) -> Result<()> {
        self.0.lock().unwrap().take().map(drop).ok_or(Error::new(Operation::Delete, Cause::Gone))
    }
}
impl SocketInterface {
    fn with<T>(&self, what: Operation, act: impl FnOnce(&mut Link) -> Result<T, Reason>) -> Result<T> {
        let mut link = self.0.lock().unwrap();
        link.as_mut().ok_or(Cause::Gone.into()).and_then(act).map_err(|reason| reason.of(what))
    }
}
impl Drop for SocketDevice {
    fn drop(&mut self) {
        // The backend has one of the two, so that this was the last device.
        let _ = (Arc::strong_count(&self.0) == 2).then(|| self.1.delete());
    }
}
impl AsFd for SocketDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
fn reason(errno: nix::Error) -> Reason {
    Reason::from_io(&errno.into())
}
