//! Creating and opening: from options to an attached device. A failure leaves nothing behind.

use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use tunctl_core::{
    AttachMode, Cause, CreateFlags, CreateOptions, Error, InterfaceInfo, InterfaceName, NamePattern, Reason,
    Result,
};
use tunctl_packet::header::{Endian, VnetFormat};
use tunctl_sys::linux::InterfaceRequest;
use tunctl_sys::linux::tun::{self, TunFile};

use crate::diagnose;
use crate::errno;
use crate::holders;
use crate::netlink::{Link, Netlink};
use crate::offload;
use crate::opener::Opener;
use crate::remedy::{self, Attempt};
use crate::{LinuxDevice, LinuxInterface};

/// How often an attempt restarts when other programs delete, create or rename interfaces between its steps.
const ATTEMPTS: usize = 8;

/// A device, and what its interface is like.
type Attached = (LinuxDevice, InterfaceInfo);

/// One call of `attach`.
pub(crate) struct Attach<'a> {
    mode: AttachMode,
    node: &'a Path,
    options: &'a CreateOptions,
    netlink: Arc<Netlink>,
}

impl<'a> Attach<'a> {
    /// Opens the netlink socket first: if that fails, there is nothing to clean up.
    pub(crate) fn begin(
        mode: AttachMode,
        opener: &Opener,
        node: &'a Path,
        options: &'a CreateOptions,
    ) -> Result<Self> {
        let netlink = Netlink::open(opener).map_err(|reason| named(reason.of(mode.operation()), options))?;
        Ok(Self { mode, node, options, netlink })
    }

    pub(crate) fn run(&self) -> Result<Attached> {
        let exclusive = self.options.get_flags().contains(CreateFlags::TUN_EXCL);
        match self.options.get_exact_name() {
            Some(name) if self.mode != AttachMode::New && !exclusive => self.by_name(&name),
            _ => self.create(),
        }
    }

    fn create(&self) -> Result<Attached> {
        let (fd, name) = self.attach(CreateFlags::TUN_EXCL)?;
        let attached = self.identify(&fd, name)?;
        let is_plain = self.options.get_vnet_format().unwrap_or_default() == VnetFormat::default();
        if !is_plain || self.options.get_offloads().is_some_and(|offloads| !offloads.is_empty()) {
            self.set_header(&fd)?;
        }
        Ok(self.device(fd, attached))
    }

    /// Attaches to the interface of this name. If there is none, it creates one or fails, depending on the
    /// mode.
    fn by_name(&self, name: &InterfaceName) -> Result<Attached> {
        for _ in 0..ATTEMPTS {
            let attempt = match self.existing(name)? {
                Some(existing) => self.attach_to(&existing),
                None if self.mode == AttachMode::Existing => return Err(self.fail(remedy::not_found())),
                None => match self.create() {
                    Err(error) if error.cause() == Cause::Exists => Ok(None),
                    outcome => outcome.map(Some),
                },
            };
            match attempt {
                Ok(Some(attached)) => return Ok(attached),
                Ok(None) => {}
                // It was deleted since it was attached to.
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.overtaken())
    }

    /// The interface of this name, if there is one. An interface that is not a TUN/TAP interface is an error.
    fn existing(&self, name: &InterfaceName) -> Result<Option<InterfaceInfo>> {
        match self.netlink.link_by_name(name) {
            Ok(None) => Ok(None),
            Ok(Some(Link::Tun(info))) => Ok(Some(info)),
            Ok(Some(Link::Other(_))) => Err(self.fail(remedy::not_a_tun())),
            Err(error) => Err(self.fail_with(errno::of(&error), remedy::from_errno(errno::of(&error)))),
        }
    }

    /// Attaches to an interface that was just seen. Returns `None` if another interface has its name by now.
    /// If the kernel created that one for this attempt, it goes when the descriptor closes.
    fn attach_to(&self, existing: &InterfaceInfo) -> Result<Option<Attached>> {
        let several = CreateFlags::MULTI_QUEUE;
        let shared = existing.flags.contains(several) && existing.queues != Some(0);
        // The kernel itself refuses another layer or a single queue, with a more specific error.
        let joins = self.options.get_flags().contains(several) && self.options.get_layer() == existing.layer;
        if shared && joins && headers(existing.flags) != headers(self.options.get_flags()) {
            // Attaching would change the headers of the other queues' packets.
            return Err(self.fail(remedy::header_mismatch(headers(existing.flags))));
        }
        let (fd, name) = match self.attach(CreateFlags::empty()) {
            Err(_) if !self.is_there(existing) => return Ok(None),
            outcome => outcome?,
        };
        let attached = self.identify(&fd, name)?;
        if attached.index != existing.index {
            return Ok(None);
        }
        // Other programs may have attached in the meantime.
        if shared || attached.queues.is_some_and(|queues| queues > 1) {
            self.check_shared(&fd)?;
        } else {
            self.reset(&fd)
                .map_err(|error| self.fail_with(errno::of(&error), remedy::attached(errno::of(&error))))?;
            self.set_header(&fd)?;
        }
        Ok(Some(self.device(fd, attached)))
    }

    /// Whether an interface that was seen is still there. If not, an error of attaching to it is about what
    /// has its name by now.
    fn is_there(&self, seen: &InterfaceInfo) -> bool {
        let now = self.netlink.link_by_name(&seen.name);
        !matches!(now, Ok(now) if now.as_ref().map(Link::index) != Some(seen.index))
    }

    /// A virtio-net header of another format would make every packet of this device unreadable, and other
    /// offloads would be a surprise for the other queues.
    fn check_shared(&self, fd: &TunFile) -> Result<()> {
        let Some(format) = self.options.get_vnet_format() else { return Ok(()) };
        let failed =
            |error: io::Error| self.fail_with(errno::of(&error), remedy::attached(errno::of(&error)));
        match offload::format_of(fd).map_err(failed)? {
            Ok(shared) if is_same(shared, format) => {}
            Ok(VnetFormat { length, endian }) => {
                return Err(self.fail(remedy::header_format(length.bytes(), Some(endian))));
            }
            Err(bytes) => {
                return Err(self.fail(remedy::header_format(usize::try_from(bytes).unwrap_or(0), None)));
            }
        }
        let Some(wanted) = self.options.get_offloads() else { return Ok(()) };
        match offload::active(fd, &self.netlink).map_err(failed)? {
            shared if shared == wanted => Ok(()),
            shared => Err(self.fail(remedy::other_offloads(shared))),
        }
    }

    /// Sets format and offloads of a new interface, or of one that nobody else has open.
    fn set_header(&self, fd: &TunFile) -> Result<()> {
        offload::set_header(fd, self.options).map_err(|(errno, reason)| self.fail_with(errno, reason))
    }

    /// Opens the node and attaches the descriptor by `TUNSETIFF`, which answers with the name.
    fn attach(&self, extra: CreateFlags) -> Result<(TunFile, InterfaceName)> {
        let fd = self.netlink.opener().node(self.node).map_err(|reason| self.fail(reason))?;
        let flags = self.options.get_flags() | extra;
        let fd = TunFile::new(fd).map_err(|(_, error)| self.refused(errno::of(&error), flags))?;
        self.check_known(&fd, flags)?;
        let wanted = self.options.get_name().map_or(&[][..], NamePattern::as_bytes);
        let Some(mut request) = InterfaceRequest::new(wanted, flags.bits()) else {
            // A pattern holds at most 15 bytes and no NUL.
            return Err(self.fail(Reason::new(Cause::InvalidName)));
        };
        // The driver ignores it where the interface exists.
        if let Some(index) = self.options.get_index() {
            tun::set_index(&fd, index.get()).map_err(|error| {
                let reason =
                    Reason::new(Cause::InvalidValue).with_detail(format!("the kernel has no index {index}"));
                self.fail_with(errno::of(&error), reason)
            })?;
        }
        tun::set_iff(&fd, &mut request).map_err(|error| self.refused(errno::of(&error), flags))?;
        let name = InterfaceName::from_kernel(request.name())
            .map_err(|invalid| self.fail(Reason::new(Cause::Other).with_detail(invalid.to_string())))?;
        Ok((fd, name))
    }

    /// The driver ignores flags that it does not know.
    fn check_known(&self, fd: &TunFile, flags: CreateFlags) -> Result<()> {
        let asked = flags & CreateFlags::OPTIONAL;
        if asked.is_empty() {
            return Ok(());
        }
        let known = tun::features(fd)
            .map_err(|error| self.fail_with(errno::of(&error), remedy::other_driver(errno::of(&error))))?;
        let known = CreateFlags::from_bits_truncate(u16::try_from(known).unwrap_or(u16::MAX));
        if known.contains(asked) { Ok(()) } else { Err(self.fail(remedy::unknown_flags(asked - known))) }
    }

    /// The interface that a descriptor is attached to, which had this name when it was attached.
    fn identify(&self, fd: &TunFile, name: InterfaceName) -> Result<InterfaceInfo> {
        let general = |error| self.fail_with(errno::of(&error), remedy::attached(errno::of(&error)));
        attached_link(fd, name, &self.netlink).map_err(general)?.ok_or_else(|| self.overtaken())
    }

    /// Resets the state that the driver keeps with the interface rather than the descriptor, but for what
    /// `set_header` sets: a former user's filters would drop packets.
    fn reset(&self, fd: &TunFile) -> io::Result<()> {
        if self.options.get_flags().contains(CreateFlags::TAP) {
            tun::set_tap_filters_off(fd)?;
        }
        match tun::set_programs_off(fd) {
            // A kernel that does not know such programs has none to remove.
            Err(error) if errno::of(&error) == Errno::EINVAL => {}
            outcome => outcome?,
        }
        tun::set_send_buffer(fd, i32::MAX)
    }

    fn device(&self, fd: TunFile, info: InterfaceInfo) -> Attached {
        let flags = self.options.get_flags();
        let interface = LinuxInterface::new(self.netlink.clone(), &info);
        (LinuxDevice::new(fd, interface, flags, self.options.get_header_kind()), info)
    }

    fn refused(&self, errno: Errno, flags: CreateFlags) -> Error {
        let name = self.options.get_exact_name();
        let existing = name.and_then(|name| self.netlink.link_by_name(&name).ok().flatten());
        let holders = match (errno, &existing) {
            (Errno::EBUSY, Some(Link::Tun(info))) => {
                holders::processes(&holders::attached(&info.name, self.netlink.namespace()))
            }
            _ => Vec::new(),
        };
        let operation = self.mode.operation();
        let index = self.options.get_index();
        let attempt = Attempt { operation, flags, name, index, existing: existing.as_ref(), holders };
        let reason = remedy::attach(errno, attempt, &diagnose::caller());
        self.fail_with(errno, reason)
    }

    fn overtaken(&self) -> Error {
        let reason = Reason::new(Cause::Other)
            .with_detail("other programs deleted, created or renamed the interface during every attempt")
            .with_remedy("Try again once they are done.");
        self.fail(reason)
    }

    fn fail(&self, reason: Reason) -> Error {
        named(reason.of(self.mode.operation()), self.options)
    }

    fn fail_with(&self, errno: Errno, reason: Reason) -> Error {
        self.fail(reason.with_errno(errno as i32))
    }
}

/// Whether headers of the one format can be read as the other.
fn is_same(one: VnetFormat, other: VnetFormat) -> bool {
    let is_little = |format: VnetFormat| match format.endian {
        Endian::Native => cfg!(target_endian = "little"),
        Endian::Little => true,
        Endian::Big => false,
    };
    (one.length, is_little(one)) == (other.length, is_little(other))
}

/// The flags that select the headers in front of each packet.
fn headers(flags: CreateFlags) -> CreateFlags {
    flags & (CreateFlags::NO_PI | CreateFlags::VNET_HDR)
}

fn named(error: Error, options: &CreateOptions) -> Error {
    match options.get_name() {
        Some(&pattern) => error.with_name(pattern),
        None => error,
    }
}

/// The name of the interface that a descriptor is attached to.
pub(crate) fn attached_name(fd: &TunFile) -> io::Result<InterfaceName> {
    let request = tun::iff(fd)?;
    InterfaceName::from_kernel(request.name())
        .map_err(|invalid| io::Error::new(io::ErrorKind::InvalidData, invalid))
}

/// The interface that a descriptor is attached to, if it is in the socket's namespace. The descriptor reports
/// only the name, which was this one at first. The lookup by name is valid only if the descriptor still
/// reports the same name afterwards. `None` if that was not so in any attempt.
pub(crate) fn attached_link(
    fd: &TunFile,
    mut name: InterfaceName,
    netlink: &Netlink,
) -> io::Result<Option<InterfaceInfo>> {
    for _ in 0..ATTEMPTS {
        let link = netlink.link_by_name(&name)?;
        let still = attached_name(fd)?;
        match link {
            Some(Link::Tun(info)) if name == still => return Ok(Some(info)),
            _ => name = still,
        }
    }
    Ok(None)
}
