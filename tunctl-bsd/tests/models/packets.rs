//! Packets: to the program, and from it.

use super::System;
use super::device::Device;
use super::numbers::{
    AF_INET, EAFNOSUPPORT, EHOSTDOWN, EINVAL, EIO, EMSGSIZE, ENETDOWN, ENOBUFS, ENXIO, af_inet6,
};
use super::world::{Interface, Kind, World};

const ETHERNET: usize = 14;
/// Source: OpenBSD's `tun_dev_write` (`if_tun.c` 1.252) takes as much behind the header, MAXMCLBYTES.
const MAXMCLBYTES: usize = 65536;
/// Source: TUNMRU of DragonFly's `tunwrite` and TAPMRU of its `tapwrite`.
const DRAGONFLY_MRU: usize = 16384;

/// What becomes of what a program wrote.
enum Written {
    /// The interface has received it.
    Packet(Vec<u8>),
    /// The write was fine, and that was all.
    Nothing,
}

impl World {
    /// The system sends a packet out of an interface.
    pub(crate) fn send(&mut self, name: &str, packet: &[u8]) -> Result<(), i32> {
        let (system, queue_length) = (self.system, self.queue_length);
        let interface = self.named(name).ok_or(ENXIO)?;
        // Fact: NetBSD's `tun_output` looks at what makes the tun ready, and not at UP.
        let is_sent_down = (system, interface.kind) == (System::NetBsd, Kind::Tun);
        if !interface.is_up() && !is_sent_down {
            return Err(ENETDOWN);
        }
        let most = interface.mtu as usize + if interface.kind == Kind::Tap { ETHERNET } else { 0 };
        if packet.len() > most {
            return Err(EMSGSIZE);
        }
        let is_ready = self.is_ready(interface);
        let mut message = front(system, interface, packet)?;
        message.extend_from_slice(packet);
        // Of a pair, it arrives at the other.
        let arrives = if interface.is_of_pair(system) {
            interface.peer.and_then(|peer| self.indexed(peer))
        } else {
            Some(interface)
        };
        let device = arrives.and_then(|interface| interface.device).filter(|_| is_ready);
        let sent = match device.and_then(|device| self.devices.get_mut(&device)) {
            Some(device) if device.filter.is_some() => device.capture(&message),
            // The device is not open, or the driver does not carry packets yet.
            None => Err(EHOSTDOWN),
            // Source: on macOS as many more as the socket of a utun holds (`utun_start`, XNU 11417).
            Some(device) if device.waiting() >= queue_length + at_socket(system, device) => Err(ENOBUFS),
            Some(device) => {
                device.push(message);
                Ok(())
            }
        };
        if let (Err(errno), Some(interface)) = (sent, self.named_mut(name)) {
            interface.dropped += 1;
            interface.queue_drops += u64::from(errno == ENOBUFS);
        }
        sent
    }

    /// Whether the driver lets a program read; the packets are at the socket.
    pub(crate) fn may_read(&self, device: u64) -> Result<(), i32> {
        let interface = self.of_device(device).ok_or(self.gone())?;
        // Source: of macOS's extension, while it is down (`tuntap_interface::cdev_read`).
        if interface.third_party && !interface.is_up() {
            return Err(EIO);
        }
        // Fact: EHOSTDOWN until it is ready.
        if self.is_ready(interface) { Ok(()) } else { Err(EHOSTDOWN) }
    }

    /// What reading and writing say where the interface has gone. Source: OpenBSD takes the descriptor away
    /// (`tun_clone_destroy`), and NetBSD's driver looks for the interface in vain (`tunread`, `tunwrite`).
    pub(crate) const fn gone(&self) -> i32 {
        if matches!(self.system, System::OpenBsd) { EIO } else { ENXIO }
    }

    /// What a program writes: the number of bytes that the call says.
    pub(crate) fn write(&mut self, device: u64, message: &[u8]) -> Result<usize, i32> {
        let system = self.system;
        if self.filter_mut(device).is_some() {
            return self.write_filter(device, message);
        }
        let interface = self.of_device(device).ok_or(self.gone())?;
        // Fact: on FreeBSD a write while down returns 0 and sends nothing.
        if system == System::FreeBsd && !interface.is_up() {
            return Ok(0);
        }
        if interface.third_party {
            return self.write_third_party(device, message);
        }
        // Source: no driver looks whether it is ready: NetBSD's `tunwrite` and `tap_dev_write` (asked),
        // DragonFly's `tunwrite`. Of UP, DragonFly's and NetBSD's `ether_input` think; OpenBSD's `if_vinput`,
        // macOS's `utun_ctl_send` and the input of IP do not.
        let is_taken = interface.is_up()
            || match interface.kind {
                Kind::Tap => system == System::OpenBsd,
                _ => true,
            };
        let written = match interface.kind {
            Kind::Tap => frame(system, interface, message)?,
            _ => packet(system, interface, message)?,
        };
        if let (Written::Packet(packet), Some(interface), true) =
            (written, self.of_device_mut(device), is_taken)
        {
            interface.taken.push_back(packet);
        }
        Ok(message.len())
    }
}

impl World {
    /// What a program writes to a device of macOS's extension.
    fn write_third_party(&mut self, device: u64, message: &[u8]) -> Result<usize, i32> {
        let system = self.system;
        let interface = self.of_device_mut(device).ok_or(ENXIO)?;
        // Source: while it is down (`tuntap_interface::cdev_write`).
        if !interface.is_up() {
            return Err(EIO);
        }
        // Source: the driver copies in pieces until it has the MTU or more, and ignores the rest of the
        // write (`tuntap_interface::cdev_write`). Assumed: pieces of 224 bytes.
        let most = (interface.mtu as usize).next_multiple_of(224);
        if message.len() > most {
            return Ok(most);
        }
        // Source: a tun looks at the version (`tun_interface::if_demux`).
        let is_sound = match interface.kind {
            Kind::Tap => message.len() >= ETHERNET,
            _ => family(system, message).is_some(),
        };
        if is_sound {
            interface.taken.push_back(message.to_vec());
        }
        Ok(message.len())
    }
}

/// How many packets wait somewhere else than in the interface's queue.
fn at_socket(system: System, device: &Device) -> usize {
    if system == System::MacOs { device.at_socket } else { 0 }
}

/// Whether a tun has the address family in front. Fact: OpenBSD's and macOS's always have.
const fn has_af_header(system: System, interface: &Interface) -> bool {
    let always = matches!(system, System::OpenBsd | System::MacOs) && !interface.third_party;
    matches!(interface.kind, Kind::Tun) && (interface.af_header || always)
}

/// What stands in front of a packet that a program reads.
fn front(system: System, interface: &Interface, packet: &[u8]) -> Result<Vec<u8>, i32> {
    if interface.kind == Kind::Tap {
        if packet.len() < ETHERNET {
            return Err(EMSGSIZE);
        }
        return Ok(vec![0; interface.vnet as usize]);
    }
    let family = family(system, packet).ok_or(EAFNOSUPPORT)?;
    match has_af_header(system, interface) {
        true => Ok(family.to_be_bytes().to_vec()),
        // Source: macOS's extension goes by the version (`tun_interface::if_demux`).
        false if interface.third_party => Ok(Vec::new()),
        // Fact: without it, IPv6 cannot be sent.
        false if family != AF_INET => Err(EAFNOSUPPORT),
        false => Ok(Vec::new()),
    }
}

fn family(system: System, packet: &[u8]) -> Option<u32> {
    match packet.first()? >> 4 {
        4 => Some(AF_INET),
        6 => Some(af_inet6(system)),
        _ => None,
    }
}

/// A tun's.
fn packet(system: System, interface: &Interface, message: &[u8]) -> Result<Written, i32> {
    let header_length = if has_af_header(system, interface) { 4 } else { 0 };
    match system {
        // Fact: EMSGSIZE, too short or too long.
        System::OpenBsd if message.len() < header_length || message.len() > MAXMCLBYTES + header_length => {
            return Err(EMSGSIZE);
        }
        // Source: `utun_register_control` gives the socket that room. Assumed: the errno.
        System::MacOs if message.len() > 512 * 1024 => return Err(EMSGSIZE),
        // Source: `utun_ctl_send` returns no error of what it is given, and IP takes no more.
        System::MacOs if message.len() < header_length || message.len() > 65535 + header_length => {
            return Ok(Written::Nothing);
        }
        // Fact: longer packets are EIO. Source: no driver counts the header, but DragonFly's did before its
        // rework (`tunwrite`, at 017d03c); NetBSD also refuses an empty packet.
        System::FreeBsd if message.len() > 65535 + header_length => return Err(EIO),
        System::DragonFly if message.len() > DRAGONFLY_MRU + header_length => return Err(EIO),
        System::NetBsd if message.len() <= header_length || message.len() > 1500 + header_length => {
            return Err(EIO);
        }
        _ if message.is_empty() => return Ok(Written::Nothing),
        // Source: half a header cannot be pulled up (`tunwrite_l3`, `tunwrite`: `m_pullup`).
        _ if message.len() < header_length => return Err(ENOBUFS),
        _ => {}
    }
    let (front, packet) = message.split_at(header_length);
    // Fact: without a header, all is IPv4.
    let claimed = front.first_chunk().map_or(AF_INET, |&front| u32::from_be_bytes(front));
    if claimed != AF_INET && claimed != af_inet6(system) {
        // Source: OpenBSD's `tun_input` and macOS's `utun_demux` drop it, and say nothing.
        let says_nothing = matches!(system, System::OpenBsd | System::MacOs);
        return if says_nothing { Ok(Written::Nothing) } else { Err(EAFNOSUPPORT) };
    }
    // IP that is not of the version which it is said to be goes no further.
    let is_sound = family(system, packet) == Some(claimed);
    Ok(if is_sound { Written::Packet(packet.to_vec()) } else { Written::Nothing })
}

/// A tap's.
fn frame(system: System, interface: &Interface, message: &[u8]) -> Result<Written, i32> {
    let front = interface.vnet as usize;
    match system {
        // Fact: EMSGSIZE, too short or too long.
        System::OpenBsd if message.len() < ETHERNET || message.len() > MAXMCLBYTES + ETHERNET => {
            return Err(EMSGSIZE);
        }
        // Fact: more than these is EIO.
        System::FreeBsd if message.len() > 65535 + front => return Err(EIO),
        System::DragonFly if message.len() > DRAGONFLY_MRU => return Err(EIO),
        _ if message.len() < front => return Err(EINVAL),
        _ => {}
    }
    let frame = &message[front..];
    // Assumed: what is no frame goes no further.
    Ok(if frame.len() < ETHERNET { Written::Nothing } else { Written::Packet(frame.to_vec()) })
}
