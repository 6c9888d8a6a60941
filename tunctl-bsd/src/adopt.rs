//! Adopting: from an open descriptor to a device, as far as the system lets one tell what a descriptor is.

use std::io;
use std::os::fd::OwnedFd;

use tunctl_core::{Adopt, AdoptError, Error, InterfaceName, Layer, Operation, Reason};
use tunctl_sys::bsd::Name;

use crate::channel::Channel;
use crate::device::VNET_HEADER_LENGTH;
use crate::errno;
use crate::interface_guard::InterfaceGuard;
use crate::remedy;
use crate::syscalls::{ListedInterface, Syscalls};
use crate::system::{Kind, Proof};
use crate::{BsdBackend, BsdDevice, BsdInterface};

/// `IFT_ETHER`, by which OpenBSD's driver tells a tap from a tun.
const ETHERNET: u16 = 6;

/// Why a descriptor cannot be adopted, and the interface's name as far as it is known.
type Refusal = (Reason, Option<Name>);

/// What a descriptor is of.
struct Found {
    kind: &'static Kind,
    listed: ListedInterface,
    vnet_header: bool,
}

impl<C: Syscalls> Adopt for BsdBackend<C> {
    /// # Platform
    ///
    /// | | what shows which interface it is |
    /// |---|---|
    /// | FreeBSD | `TUNGIFNAME`, for tuns and taps |
    /// | NetBSD | `TAPGIFNAME` for a tap; for a tun `TUNGIFHEAD`, and the minor number of its node |
    /// | OpenBSD | `TUNGIFINFO`, and the minor number of its node |
    /// | DragonFly | `TUNGIFNAME`, which old kernels do not answer: then it is a `ForeignDescriptor` |
    /// | macOS | `UTUN_OPT_IFNAME`; a descriptor of a tap carries no frames, and is a `ForeignDescriptor` |
    ///
    /// `HeaderMismatch` also if the packets of a tun have no address family in front, or if the virtio-net
    /// headers of a tap are not ten bytes.
    ///
    /// An adopted device leaves its interface as it found it: where the kernel does not remove an interface
    /// with its last descriptor (NetBSD, DragonFly, FreeBSD before `TUNSTRANSIENT`), nobody does, unless the
    /// program calls [`destroy`](tunctl_core::TunDevice::destroy).
    fn adopt(&self, fd: OwnedFd) -> Result<BsdDevice<C>, AdoptError> {
        let refused = |reason: Reason, name: Option<Name>, fd| {
            let name = name.and_then(|name| InterfaceName::from_kernel(name.as_bytes()).ok());
            AdoptError::new(name.into_iter().fold(reason.of(Operation::Adopt), Error::with_name), fd)
        };
        let handle = match self.system.syscalls.adopt(fd) {
            Ok(handle) => handle,
            Err(fd) => return Err(refused(remedy::adopt(errno::ENOTTY), None, fd)),
        };
        match self.take_over(&handle) {
            // The duplicate is close-on-exec, and the descriptor itself is closed with `handle`.
            Ok(device) => Ok(device),
            Err((reason, name)) => Err(refused(reason, name, handle.into())),
        }
    }
}

impl<C: Syscalls> BsdBackend<C> {
    /// Makes a device of a duplicate, if the descriptor is of one.
    fn take_over(&self, handle: &C::Handle) -> Result<BsdDevice<C>, Refusal> {
        let Found { kind, listed, vnet_header } = self.identify(handle)?;
        let refuse = |error: &io::Error| (with_errno(error), Some(listed.name));
        let gone = || (remedy::adopt(errno::ENXIO), Some(listed.name));
        let interface = BsdInterface::new(self.system.clone(), &listed, kind).ok_or_else(gone)?;
        let syscalls = &self.system.syscalls;
        let channel = Channel::Direct(syscalls.duplicate(handle).map_err(|error| refuse(&error))?);
        // The last step: what was refused is as it was.
        channel.set_nonblocking(syscalls).map_err(|error| refuse(&error))?;
        let guard = InterfaceGuard::new(self.system.clone(), interface.identity().clone(), None, false);
        Ok(BsdDevice::new(channel, guard, interface, vnet_header))
    }

    fn identify(&self, handle: &C::Handle) -> Result<Found, Refusal> {
        let listed = self.interface_of(handle).map_err(|error| (with_errno(&error), None))?;
        let listed = listed.ok_or_else(|| (remedy::adopt(errno::ENXIO), None))?;
        let refuse = |reason: Reason| (reason, Some(listed.name));
        let kind = self.kind_of(&listed).ok_or_else(|| refuse(remedy::adopt(errno::ENOTTY)))?;
        let vnet_header = self.check_headers(handle, kind).map_err(refuse)?;
        Ok(Found { kind, listed, vnet_header })
    }

    /// Finds the interface of a descriptor. `None`: it has none any more. `ENOTTY`: it is no device.
    fn interface_of(&self, handle: &C::Handle) -> io::Result<Option<ListedInterface>> {
        for proof in self.system.rules.proofs {
            let answer = match proof {
                Proof::SocketName => {
                    self.system.syscalls.socket_name(handle).map(|name| (Some(name), Vec::new()))
                }
                Proof::Name(Some(request)) | Proof::Head(Some(request)) | Proof::Info(Some(request)) => {
                    let mut argument = request.zeroed();
                    let answer = self.system.syscalls.ioctl(handle, *request, &mut argument);
                    answer.map(|()| (None, argument))
                }
                Proof::Name(None) | Proof::Head(None) | Proof::Info(None) => continue,
            };
            match answer {
                Err(error) if remedy::is_foreign(errno::of(&error)) => {}
                Err(error) => return Err(error),
                Ok((name, argument)) => return self.proven(handle, proof, name, &argument),
            }
        }
        Err(errno::error(errno::ENOTTY))
    }

    /// Finds the interface that an answer is about.
    fn proven(
        &self,
        handle: &C::Handle,
        proof: &Proof,
        name: Option<Name>,
        argument: &[u8],
    ) -> io::Result<Option<ListedInterface>> {
        let abi = self.system.rules.abi;
        let layer = match proof {
            Proof::SocketName | Proof::Name(_) => {
                let name = name.or_else(|| abi.interface_name(argument));
                return name.map_or(Ok(None), |name| self.system.by_name(name.as_bytes()));
            }
            Proof::Info(_) if abi.parse_tun_info(argument).is_some_and(|info| info.kind == ETHERNET) => {
                Layer::Tap
            }
            Proof::Info(_) | Proof::Head(_) => Layer::Tun,
        };
        let unit = self.system.syscalls.unit(handle)?;
        let name = self.system.rules.kind(layer).named(unit);
        self.system.find(|listed| listed.original_name.as_bytes() == name.as_bytes())
    }

    /// Whether frames carry a virtio-net header; or that packets have other headers than this crate expects.
    fn check_headers(&self, handle: &C::Handle, kind: &Kind) -> Result<bool, Reason> {
        let requests = &self.system.rules.abi.requests;
        let ask = |request| -> Result<i32, Reason> {
            let mut answer = 0_i32.to_ne_bytes();
            let asked = self.system.syscalls.ioctl(handle, request, &mut answer);
            asked.map(|()| i32::from_ne_bytes(answer)).map_err(|error| with_errno(&error))
        };
        if let (Some(_), Some(request)) = (kind.set_af_header, requests.tun_get_head) {
            if ask(request)? == 0 {
                return Err(remedy::no_af_header());
            }
        }
        let Some(request) = kind.set_vnet_header.and(requests.tap_get_vnet_header) else { return Ok(false) };
        match ask(request)? {
            0 => Ok(false),
            VNET_HEADER_LENGTH => Ok(true),
            length => Err(remedy::other_vnet_header(length)),
        }
    }
}

fn with_errno(error: &io::Error) -> Reason {
    remedy::with_errno(remedy::adopt(errno::of(error)), error)
}
