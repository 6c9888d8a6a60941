//! Requests to an open device.

use super::argument::{has_length, number, put, put_name, short};
use super::configure::mtus;
use super::device::Device;
use super::numbers::{
    Ask, BROADCAST, EBADF, EBUSY, EINVAL, ENOENT, ENOTTY, ENXIO, EPERM, EPROTOTYPE, For, KIND_TAP, KIND_TUN,
    KIND_TUNNEL, MULTICAST, POINTOPOINT, Row, requests,
};
use super::world::{Interface, Kind, World};
use super::{System, argument};

/// What OpenBSD calls `TUN_IFF_FLAGS`.
const MODE: u32 = POINTOPOINT | BROADCAST | MULTICAST;

/// The number that the model gives to the control which makes tuns.
const CONTROL: u32 = 3;

impl World {
    /// The request that a number is to a device.
    fn of_device_request(&self, device: u64, opcode: u32) -> Option<&'static Row> {
        let is_filter = self.devices.get(&device).is_some_and(|device| device.filter.is_some());
        let kind = self.of_device(device).map(|interface| interface.kind).filter(|_| !is_filter);
        requests(self.system, opcode).find(|row| match row.2 {
            For::Device => true,
            For::Tun => kind == Some(Kind::Tun),
            For::Tap => kind == Some(Kind::Tap),
            For::Filter => is_filter,
            For::Socket | For::Text => false,
        })
    }

    /// A request in words, for the trace.
    pub(crate) fn ioctl_in_words(&self, device: u64, opcode: u32, argument: &[u8]) -> String {
        let row = self.of_device_request(device, opcode);
        // To the wrong kind of device, it is still known what was meant.
        let Some(row) = row.or_else(|| requests(self.system, opcode).next()) else {
            return format!("ioctl {opcode:#x}");
        };
        match row.3 {
            Ask::SetNonblocking
            | Ask::TunSetAfHeader
            | Ask::TunSetMode
            | Ask::TunSetLinkMode
            | Ask::SetTransient
            | Ask::SetVnetHeader
            | Ask::FilterSetLength
            | Ask::FilterSetImmediate
            | Ask::FilterSetComplete
            | Ask::FilterSetSeesSent => format!("ioctl {} {}", row.1, number(argument, 0).unwrap_or(0)),
            _ => format!("ioctl {}", row.1),
        }
    }

    /// `Some`: whether the descriptor is to be non-blocking, which is not the driver's to do.
    pub(crate) fn ioctl(
        &mut self,
        device: u64,
        opcode: u32,
        argument: &mut [u8],
    ) -> Result<Option<bool>, i32> {
        if self.filter_mut(device).is_some() {
            let row = self.of_device_request(device, opcode).ok_or(ENOTTY)?;
            has_length(opcode, argument)?;
            return self.ask_filter(device, row.3, argument);
        }
        if self.is_route(device) {
            // Fact: FIONREAD is a socket's own, and counts all that waits.
            let row =
                self.of_device_request(device, opcode).filter(|row| row.3 == Ask::Waiting).ok_or(ENOTTY)?;
            has_length(row.0, argument)?;
            let waiting = self.devices.get(&device).map_or(0, Device::bytes_waiting);
            let waiting = u32::try_from(waiting).map_err(|_| EINVAL)?;
            return put(argument, 0, &waiting.to_ne_bytes()).map(|()| None);
        }
        if self.of_device(device).is_none() {
            return Err(gone(self.system));
        }
        let row = self.of_device_request(device, opcode).ok_or(ENOTTY)?;
        has_length(opcode, argument)?;
        match row.3 {
            Ask::SetNonblocking => return Ok(Some(number(argument, 0)? != 0)),
            Ask::ControlInfo => return control_info(argument).map(|()| None),
            Ask::Waiting => {
                let length = self.devices.get(&device).map_or(0, Device::next_length);
                let length = u32::try_from(length).map_err(|_| EINVAL)?;
                return put(argument, 0, &length.to_ne_bytes()).map(|()| None);
            }
            _ => {}
        }
        let (system, root) = (self.system, self.root);
        let interface = self.of_device_mut(device).ok_or(gone(system))?;
        match row.3 {
            Ask::TunSetAfHeader => interface.af_header = number(argument, 0)? != 0,
            Ask::TunGetAfHeader => {
                put(argument, 0, &af_header_answer(system, interface.af_header).to_ne_bytes())?;
            }
            Ask::TunSetMode => set_mode(system, interface, number(argument, 0)?)?,
            // The two modes exclude each other; packets with a link-level address in front are not modelled.
            Ask::TunSetLinkMode => interface.af_header &= number(argument, 0)? == 0,
            Ask::SetInfo => set_info(system, root, interface, argument)?,
            Ask::GetInfo => get_info(system, interface, argument)?,
            Ask::DeviceName => {
                argument.fill(0);
                put_name(argument, &interface.name)?;
            }
            Ask::SetTransient => interface.transient = number(argument, 0)? != 0,
            Ask::SetVnetHeader => match number(argument, 0)? {
                // Fact: no header, or one of these sizes.
                length @ (0 | 10 | 12) => interface.vnet = length,
                _ => return Err(EINVAL),
            },
            Ask::GetVnetHeader => put(argument, 0, &interface.vnet.to_ne_bytes())?,
            _ => return Err(ENOTTY),
        }
        Ok(None)
    }
}

/// Fact: NetBSD says any number but 0 for yes.
const fn af_header_answer(system: System, af_header: bool) -> u32 {
    match (system, af_header) {
        (_, false) => 0,
        (System::NetBsd, true) => 0x200,
        (_, true) => 1,
    }
}

/// Source: OpenBSD revokes the descriptor of a destroyed interface (`tun_clone_destroy`: `VOP_REVOKE`);
/// elsewhere the driver no longer finds it (NetBSD's `tunioctl`).
const fn gone(system: System) -> i32 {
    if matches!(system, System::OpenBsd) { EBADF } else { ENXIO }
}

fn set_mode(system: System, interface: &mut Interface, mode: u32) -> Result<(), i32> {
    match system {
        // Source: `tun_dev_ioctl` takes nothing but what is.
        System::OpenBsd => {
            return if mode == interface.flags & MODE { Ok(()) } else { Err(EINVAL) };
        }
        // Fact: while it is down, else EBUSY.
        _ if interface.is_up() => return Err(EBUSY),
        _ => {}
    }
    // Source: NetBSD looks at two bits alone (`tunioctl`: TUNSIFMODE).
    let looked_at = if matches!(system, System::NetBsd) { POINTOPOINT | BROADCAST } else { !MULTICAST };
    if !matches!(mode & looked_at, POINTOPOINT | BROADCAST) {
        return Err(EINVAL);
    }
    // Source: DragonFly never takes multicast away (`tunioctl`: TUNSIFMODE).
    let multicast = if system == System::DragonFly { 0 } else { MULTICAST };
    interface.flags = (interface.flags & !(POINTOPOINT | BROADCAST | multicast)) | mode;
    Ok(())
}

/// `tuninfo`: FreeBSD and DragonFly have the speed at 0, the MTU at 4 and the kind at 6, all 8 bytes; OpenBSD
/// has the MTU at 0, the kind at 4, flags at 6 and the speed at 8, all 12.
fn set_info(system: System, root: bool, interface: &mut Interface, argument: &[u8]) -> Result<(), i32> {
    let is_wide = system == System::OpenBsd;
    let mtu = if is_wide { number(argument, 0)? } else { short(argument, 4)?.into() };
    let kind = if is_wide { short(argument, 4)? } else { argument::bytes::<1>(argument, 6)?[0].into() };
    // Source: what it is can be said, not changed (`tunioctl`, `tun_dev_ioctl`: TUNSIFINFO).
    if kind != kind_number(system, interface.kind) {
        return Err(if is_wide { EINVAL } else { EPROTOTYPE });
    }
    // Source: on FreeBSD another MTU is root's to set, as by SIOCSIFMTU (`tunioctl`, `ifhwioctl`); on others,
    // whoever has it open may.
    if system == System::FreeBsd && mtu != interface.mtu && !root {
        return Err(EPERM);
    }
    if !mtus(system, interface.kind).contains(&mtu) {
        return Err(EINVAL);
    }
    // Source: `tun_dev_ioctl`, as for TUNSIFMODE.
    if is_wide && u32::from(short(argument, 6)?) != interface.flags & MODE {
        return Err(EINVAL);
    }
    interface.mtu = mtu;
    interface.baudrate = number(argument, if is_wide { 8 } else { 0 })?;
    Ok(())
}

fn get_info(system: System, interface: &Interface, argument: &mut [u8]) -> Result<(), i32> {
    // Source: OpenBSD has no others here (`tun_dev_ioctl`: TUNGIFINFO).
    let [low_flags, high_flags, ..] = (interface.flags & MODE).to_le_bytes();
    let kind = kind_number(system, interface.kind);
    argument.fill(0);
    if system == System::OpenBsd {
        put(argument, 0, &interface.mtu.to_ne_bytes())?;
        put(argument, 4, &kind.to_ne_bytes())?;
        put(argument, 6, &u16::from_le_bytes([low_flags, high_flags]).to_ne_bytes())?;
        return put(argument, 8, &interface.baudrate.to_ne_bytes());
    }
    let [low_kind, ..] = kind.to_le_bytes();
    put(argument, 0, &interface.baudrate.to_ne_bytes())?;
    put(argument, 4, &u16::try_from(interface.mtu).map_err(|_| EINVAL)?.to_ne_bytes())?;
    put(argument, 6, &[low_kind])
}

const fn kind_number(system: System, kind: Kind) -> u16 {
    match (kind, system) {
        (Kind::Tap, _) => KIND_TAP,
        (_, System::OpenBsd) => KIND_TUNNEL,
        _ => KIND_TUN,
    }
}

/// `ctl_info`: the number at 0, the name at 4.
fn control_info(argument: &mut [u8]) -> Result<(), i32> {
    let name = argument.get(4..).unwrap_or_default();
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    if &name[..end] != b"com.apple.net.utun_control" {
        return Err(ENOENT);
    }
    put(argument, 0, &CONTROL.to_ne_bytes())
}
