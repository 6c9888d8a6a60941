//! The model's system calls.

use std::ffi::CStr;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tunctl_bsd::{Family, ListedInterface, Syscalls};
use tunctl_sys::bsd::{GetText, Name, Pair, Request, SetText};

use super::configure;
use super::device::{Device, identity};
use super::numbers::{EAGAIN, EINVAL, ENOTSOCK, ENOTTY, UIO_MAXIOV};
use super::route::{Route, scoped};
use super::world::{Kind, World};
use super::{Handle, Model, System};

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// An error of the host, as the modelled system has it.
fn translated(host: &io::Error) -> io::Error {
    if host.kind() == io::ErrorKind::WouldBlock {
        error(EAGAIN)
    } else {
        error(host.raw_os_error().unwrap_or(0))
    }
}

/// Copies as much of a packet as the buffers hold.
fn scatter(mut packet: &[u8], buffers: &mut [IoSliceMut<'_>]) -> usize {
    let before = packet.len();
    for buffer in buffers {
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        packet = &packet[length..];
    }
    before - packet.len()
}

fn text(name: &Name) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

/// No interface has this index.
const NO_INTERFACE: u32 = 0;

impl Model {
    /// Opens what a call has led to, and gives the program its end.
    fn handle(&self, world: &mut World, path: &str, index: u32) -> io::Result<Handle> {
        let (device, socket) = Device::new(path)?;
        let id = world.new_device_id();
        world.devices.insert(id, device);
        if let Some(interface) = world.indexed_mut(index) {
            interface.device = Some(id);
            // Fact: that of NetBSD's driver outlives the close (asked of if_tun.c 1.127: TUN_NBIO; TAP_NBIO).
            socket.set_nonblocking(interface.nonblocking)?;
        }
        Ok(Handle { world: Arc::clone(&self.world), device: id, socket: Some(socket) })
    }
}

impl World {
    /// What an open device's interface is called; without one, how the device was opened.
    fn name_of(&self, device: u64) -> String {
        let opened = || self.devices.get(&device).map(|device| device.path.clone());
        self.of_device(device).map(|interface| interface.name.clone()).or_else(opened).unwrap_or_default()
    }

    /// FIONBIO, which is the driver's on NetBSD.
    fn note_nonblocking(&mut self, device: u64, nonblocking: bool) {
        let keeps = self.system == System::NetBsd;
        if let Some(interface) = self.of_device_mut(device).filter(|_| keeps) {
            interface.nonblocking = nonblocking;
        }
    }

    /// Notes a call to an open device.
    fn device_call(&mut self, what: &str, device: u64, more: &str) -> io::Result<()> {
        let call = format!("{what} {}{more}", self.name_of(device));
        self.trace.call(call).map_err(error)
    }
}

impl Syscalls for Model {
    type Handle = Handle;

    fn open(&self, path: &str) -> io::Result<Handle> {
        let mut world = self.enter();
        world.trace.call(format!("open {path}")).map_err(error)?;
        if let Some(filter) = world.open_filter(path) {
            let filter = filter.map_err(error)?;
            let handle = self.handle(&mut world, path, NO_INTERFACE)?;
            if let Some(device) = world.devices.get_mut(&handle.device) {
                device.filter = Some(filter);
            }
            return Ok(handle);
        }
        let index = world.open(path).map_err(error)?;
        let handle = self.handle(&mut world, path, index)?;
        world.revoke_if_asked(index);
        Ok(handle)
    }

    fn duplicate(&self, handle: &Handle) -> io::Result<Handle> {
        let mut world = self.enter();
        world.device_call("duplicate", handle.device, "")?;
        let socket = Arc::new(handle.socket().try_clone()?);
        if let Some(device) = world.devices.get_mut(&handle.device) {
            device.duplicated(&socket);
        }
        Ok(Handle { world: Arc::clone(&self.world), device: handle.device, socket: Some(socket) })
    }

    fn adopt(&self, fd: OwnedFd) -> Result<Handle, OwnedFd> {
        let mut world = self.enter();
        let Some(device) = identity(&fd).ok().and_then(|identity| world.identified(identity)) else {
            return Err(fd);
        };
        let socket = Arc::new(UnixStream::from(fd));
        if let Some(device) = world.devices.get_mut(&device) {
            device.duplicated(&socket);
        }
        Ok(Handle { world: Arc::clone(&self.world), device, socket: Some(socket) })
    }

    fn unit(&self, handle: &Handle) -> io::Result<u32> {
        let mut world = self.enter();
        world.device_call("unit", handle.device, "")?;
        // Source: FreeBSD's cloning node makes a node of the unit's (`tunclone`, if_tuntap.c of 14), whose
        // name `fdevname` tells.
        let cloned = world.of_device(handle.device).filter(|_| world.system == System::FreeBsd);
        if let Some(interface) = cloned {
            return Ok(interface.unit);
        }
        // Fact: the minor number is that of the node, whatever has become of its interface.
        let path = world.devices.get(&handle.device).map(|device| device.path.clone()).unwrap_or_default();
        let digits = path.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        digits.parse().map_err(|_| error(ENOTTY))
    }

    fn set_nonblocking(&self, handle: &Handle) -> io::Result<()> {
        let mut world = self.enter();
        world.device_call("nonblocking", handle.device, "")?;
        world.note_nonblocking(handle.device, true);
        handle.socket().set_nonblocking(true)
    }

    fn ioctl(&self, handle: &Handle, request: Request, argument: &mut [u8]) -> io::Result<()> {
        let mut world = self.enter();
        let call = world.ioctl_in_words(handle.device, request.opcode(), argument);
        world.trace.call(call).map_err(error)?;
        match world.ioctl(handle.device, request.opcode(), argument).map_err(error)? {
            Some(nonblocking) => {
                world.note_nonblocking(handle.device, nonblocking);
                handle.socket().set_nonblocking(nonblocking)
            }
            None => Ok(()),
        }
    }

    fn configure(&self, family: Family, request: Request, argument: &mut [u8]) -> io::Result<()> {
        let mut world = self.enter();
        let call = configure::in_words(world.system, request.opcode(), argument);
        world.trace.call(call).map_err(error)?;
        world.configure(family, request.opcode(), argument).map_err(error)
    }

    fn set_text(&self, request: SetText, interface: &Name, new: &CStr) -> io::Result<()> {
        let interface = text(interface);
        let mut world = self.enter();
        let verb = configure::text_verb(world.system, request.request().opcode);
        world.trace.call(format!("{verb} {interface} {}", new.to_string_lossy())).map_err(error)?;
        world.set_text(request.request().opcode, &interface, new).map_err(error)
    }

    fn text(&self, request: GetText, interface: &Name) -> io::Result<Vec<u8>> {
        let interface = text(interface);
        let mut world = self.enter();
        let verb = configure::text_verb(world.system, request.request().opcode);
        world.trace.call(format!("{verb} {interface}")).map_err(error)?;
        world.text(request.request().opcode, &interface).map_err(error)
    }

    fn pair(&self, request: Pair, one: &Name, other: &Name) -> io::Result<()> {
        let (one, other) = (text(one), text(other));
        let mut world = self.enter();
        world.trace.call(format!("pair {one} {other}")).map_err(error)?;
        // SIOCSDRVSPEC of macOS.
        if world.system != System::MacOs || request.opcode() != 0x8028_697b {
            return Err(error(ENOTTY));
        }
        world.pair(&one, &other).map_err(error)
    }

    fn connect(&self, control: &str, unit: u32) -> io::Result<Handle> {
        let mut world = self.enter();
        world.trace.call(format!("connect {control} {unit}")).map_err(error)?;
        let index = world.connect(control, unit).map_err(error)?;
        self.handle(&mut world, control, index)
    }

    fn socket_name(&self, handle: &Handle) -> io::Result<Name> {
        let mut world = self.enter();
        world.device_call("socket_name", handle.device, "")?;
        if world.system != System::MacOs {
            return Err(error(EINVAL));
        }
        let interface = world.of_device(handle.device).ok_or_else(|| error(EINVAL))?;
        if interface.third_party {
            // A node is no socket.
            return Err(error(ENOTSOCK));
        }
        Name::new(interface.name.as_bytes()).ok_or_else(|| error(EINVAL))
    }

    fn set_pending_packets(&self, handle: &Handle, packets: u32) -> io::Result<()> {
        let mut world = self.enter();
        world.device_call("pending", handle.device, &format!(" {packets}"))?;
        let is_utun = world.of_device(handle.device).is_some_and(|one| one.kind == Kind::Tun);
        if world.system != System::MacOs || world.third_party || !is_utun {
            return Err(error(ENOTSOCK));
        }
        // Source: `utun_ctl_setopt` (XNU 11417).
        let device = world.devices.get_mut(&handle.device).filter(|_| packets > 0);
        device.ok_or_else(|| error(EINVAL))?.at_socket = packets as usize;
        Ok(())
    }

    fn read(&self, handle: &Handle, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if buffers.len() > UIO_MAXIOV {
            return Err(error(EINVAL));
        }
        {
            let mut world = self.enter();
            world.device_call("read", handle.device, "")?;
            if world.filter_mut(handle.device).is_some() {
                let (length, is_empty) = world.read_filter(handle.device, buffers).map_err(error)?;
                if is_empty {
                    // What made the descriptor ready; it may have been hung up since.
                    let _ = (&mut handle.socket()).read(&mut [0]);
                }
                return Ok(length);
            }
            if !world.is_route(handle.device) {
                world.may_read(handle.device).map_err(error)?;
            }
        }
        loop {
            // It may wait here, and the system goes on.
            let _ = (&mut handle.socket()).read(&mut [0]).map_err(|error| translated(&error))?;
            let mut world = self.enter();
            let (system, gone) = (world.system, world.gone());
            if world.of_device(handle.device).is_none() && !world.is_route(handle.device) {
                return Err(error(gone));
            }
            let device = world.devices.get_mut(&handle.device).ok_or_else(|| error(gone))?;
            // It may have been lost meanwhile.
            if let Some(packet) = device.pop() {
                device.desynchronise(system);
                return Ok(scatter(&packet, buffers));
            }
        }
    }

    fn write(&self, handle: &Handle, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if pieces.len() > UIO_MAXIOV {
            return Err(error(EINVAL));
        }
        let message: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let mut world = self.enter();
        world.device_call("write", handle.device, &format!(" {}", message.len()))?;
        world.write(handle.device, &message).map_err(error)
    }

    fn watch(&self) -> io::Result<(Handle, usize)> {
        let mut world = self.enter();
        world.trace.call("watch".into()).map_err(error)?;
        let handle = self.handle(&mut world, "route", NO_INTERFACE)?;
        handle.socket().set_nonblocking(true)?;
        let room = world.route_room;
        if let Some(device) = world.devices.get_mut(&handle.device) {
            device.route = Some(Route::new(room));
        }
        Ok((handle, room))
    }

    fn interfaces(&self) -> io::Result<Vec<ListedInterface>> {
        let mut world = self.enter();
        world.trace.call("interfaces".into()).map_err(error)?;
        let is_freebsd = world.system == System::FreeBsd;
        let found = world.interfaces.iter().filter_map(|interface| {
            let name = Name::new(interface.name.as_bytes())?;
            let original_name = format!("{}{}", world.prefix(interface.kind), interface.unit);
            Some(ListedInterface {
                name,
                // Source: `sysctl_ifdata` of if_mib.c; no other system keeps it.
                original_name: if is_freebsd { Name::new(original_name.as_bytes())? } else { name },
                index: interface.index,
                // Fact: FreeBSD's `ifi_epoch`.
                created: is_freebsd.then_some(interface.created),
                mac: interface.mac,
                addresses: interface
                    .addresses
                    .iter()
                    .map(|address| scoped(world.system, address.found, interface.index))
                    .collect(),
            })
        });
        Ok(found.collect())
    }

    fn dropped(&self, name: &Name) -> io::Result<Option<u64>> {
        let name = text(name);
        let mut world = self.enter();
        world.trace.call(format!("dropped {name}")).map_err(error)?;
        // Fact: these count drops in the interface's statistics. Source: only a full queue counts (FreeBSD's
        // `IFQ_HANDOFF`, OpenBSD's `ifq_enqueue`).
        let counts = matches!(world.system, System::FreeBsd | System::OpenBsd);
        Ok(world.named(&name).filter(|_| counts).map(|interface| interface.queue_drops))
    }
}
