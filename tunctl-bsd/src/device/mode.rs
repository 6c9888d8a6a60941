//! Whether a tun is point-to-point or a broadcast interface.

use tunctl_core::{InterfaceAddress, Layer, Operation, Result};
use tunctl_sys::bsd::iff;

use super::BsdDevice;
use crate::syscalls::Syscalls;
use crate::{errno, remedy};

impl<C: Syscalls> BsdDevice<C> {
    /// Makes a tun point-to-point if `address` has a peer or is one of IPv6, and a broadcast interface
    /// otherwise. Returns the mode to restore, if it was another one.
    ///
    /// On a broadcast tun, NetBSD sends packets to IPv6 neighbours only after solicitations that nobody
    /// answers (`nd6_need_cache`). The drivers allow this only while the tun is down (TUNSIFMODE: `EBUSY`
    /// while up). An up tun keeps its mode, and adding an address that does not fit reports the error.
    pub(super) fn set_mode(&self, address: InterfaceAddress) -> Result<Option<u32>> {
        const MODE: u32 = iff::POINTOPOINT | iff::BROADCAST | iff::MULTICAST;
        let rules = self.system().rules;
        let request = rules.abi.requests.tun_set_mode.filter(|_| rules.sets_mode);
        let (Layer::Tun, Some(request)) = (self.interface.layer(), request) else { return Ok(None) };
        let leads_to_peer = address.peer().is_some() || address.address().is_ipv6();
        let mode = iff::MULTICAST | if leads_to_peer { iff::POINTOPOINT } else { iff::BROADCAST };
        let found = self.interface.found(Operation::Up)?;
        let flags = self.interface.flags(Operation::Up, &found.name)?;
        let before = flags & MODE;
        if before == mode || flags & iff::UP != 0 {
            return Ok(None);
        }
        // This request takes no right, and what follows it does. So the right is asked for first.
        self.interface.check_privilege(Operation::Up, &found.name, flags)?;
        match self.request(request, mode as i32) {
            Ok(()) => Ok(Some(before)),
            Err(error) if errno::of(&error) == errno::EBUSY => Ok(None),
            Err(error) => {
                Err(self.error(Operation::Up, remedy::configure(errno::of(&error), Operation::Up), &error))
            }
        }
    }

    /// Sets a mode again that `set_mode` has changed. It is all that a failed `up` leaves, so nobody is told.
    pub(super) fn restore_mode(&self, mode: u32) {
        if let Some(request) = self.system().rules.abi.requests.tun_set_mode {
            let _ = self.request(request, mode as i32);
        }
    }
}
