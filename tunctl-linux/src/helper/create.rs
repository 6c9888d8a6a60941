//! Creating: the helper is asked, and what it hands over is looked at before it is believed.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::getuid;
use tunctl_core::{
    AttachMode, Cause, CreateFlags, CreateOptions, Error, Interface, InterfaceInfo, InterfaceName,
    NamePattern, Reason, Result, TunDevice, Uid,
};
use tunctl_helper::protocol::{Granted, Refusal, Reply, Step};
use tunctl_sys::linux::tun::TunFile;

use super::call::call;
use super::{HelperBackend, HelperDevice, request};
use crate::adopt::{Adoption, Proof};
use crate::netlink::{DuplicateDetection, Link, Netlink};
use crate::opener::Opener;
use crate::remedy::{self, Attempt, Helped, unusable_helper};
use crate::{LinuxDevice, holders, offload};

impl HelperBackend {
    /// A device of a new interface, which has the configuration of the options as far as that takes a right.
    pub(super) fn create_new(
        &self,
        mode: AttachMode,
        options: &CreateOptions,
    ) -> Result<(HelperDevice, Option<InterfaceInfo>)> {
        let operation = mode.operation();
        let fail = |reason: Reason| named(reason.of(operation), options);
        let request = request::of(options).map_err(fail)?;
        let program = self.program().ok_or_else(|| fail(self.missing()))?;
        let netlink = Netlink::open(self.linux.opener()).map_err(fail)?;
        // The kernel looks for the name before it asks for a right, and so does this.
        if let Some(existing) = options.get_exact_name().and_then(|name| link(&netlink, &name)) {
            let attempt = attempt(mode, options, Some(&existing), &netlink);
            let reason = remedy::helper_refused(Refusal::Exists, Helped { attempt, options }).1;
            return Err(fail(reason));
        }
        let (granted, fd) = match call(program, &request).map_err(fail)? {
            (Reply::Granted(granted), Some(fd)) => (granted, fd),
            (Reply::Granted(_), None) => return Err(fail(unusable_helper("has sent no descriptor"))),
            (Reply::Refused(refusal), _) => {
                let existing = match refusal {
                    Refusal::Exists | Refusal::Kernel { step: Step::Create, .. } => {
                        options.get_exact_name().and_then(|name| link(&netlink, &name))
                    }
                    _ => None,
                };
                let attempt = attempt(mode, options, existing.as_ref(), &netlink);
                let (step, reason) = remedy::helper_refused(refusal, Helped { attempt, options });
                return Err(named(reason.of(step.unwrap_or(operation)), options));
            }
        };
        let (device, info) =
            Delivery { granted, options, opener: self.linux.opener() }.accept(fd).map_err(fail)?;
        Ok((HelperDevice::new(device), Some(info)))
    }

    fn missing(&self) -> Reason {
        match &self.program {
            Some(program) => Reason::new(Cause::MissingHelper)
                .with_detail(format!("tunctl-helper is not installed: {} does not exist", program.display())),
            None => Cause::MissingHelper.into(),
        }
    }
}

fn named(error: Error, options: &CreateOptions) -> Error {
    match options.get_name() {
        Some(&pattern) => error.with_name(pattern),
        None => error,
    }
}

fn link(netlink: &Netlink, name: &InterfaceName) -> Option<Link> {
    netlink.link_by_name(name).ok().flatten()
}

fn attempt<'a>(
    mode: AttachMode,
    options: &CreateOptions,
    existing: Option<&'a Link>,
    netlink: &Netlink,
) -> Attempt<'a> {
    let holders = match existing {
        Some(Link::Tun(info)) => holders::processes(&holders::attached(&info.name, netlink.namespace())),
        _ => Vec::new(),
    };
    let flags = options.get_flags() | CreateFlags::TUN_EXCL;
    Attempt {
        operation: mode.operation(),
        flags,
        name: options.get_exact_name(),
        index: None,
        existing,
        holders,
    }
}

/// What the helper says that it has made, and what it was asked for.
struct Delivery<'a> {
    granted: Granted,
    options: &'a CreateOptions,
    opener: &'a Opener,
}

impl Delivery<'_> {
    /// Makes a device of the descriptor that came with it, if everything is as it should be. Otherwise the
    /// descriptor is closed, and the interface goes with it.
    fn accept(&self, fd: OwnedFd) -> Result<(LinuxDevice, InterfaceInfo), Reason> {
        let Ok(file) = TunFile::new(fd) else {
            return Err(unusable_helper("has sent a descriptor that is none of the TUN/TAP driver"));
        };
        let Some(owner) = Uid::new(getuid().as_raw()) else {
            return Err(unusable_helper("serves no user without a uid"));
        };
        let adoption = Adoption::of(&file, self.opener, Proof::Owner(owner)).map_err(|(reason, _)| {
            match reason.cause() {
                Cause::TooManyOpenFiles | Cause::Sandboxed => reason,
                _ => {
                    unusable_helper("has sent a descriptor that is attached to no interface of this program")
                }
            }
        })?;
        let info = self.check(&adoption, owner)?;
        self.set_header(&file)?;
        let Adoption { interface, .. } = adoption;
        let (flags, headers) = (self.options.get_flags(), self.options.get_header_kind());
        let device = LinuxDevice::new(file, interface, flags, headers);
        for &address in self.options.get_config().get_addresses() {
            let is_asked_for = !self.options.get_config().get_without_dad()
                && self.options.get_flags().contains(CreateFlags::TAP);
            let detection = if is_asked_for { DuplicateDetection::On } else { DuplicateDetection::Off };
            device.interface().settle(address, detection);
        }
        Ok((device, info))
    }

    /// The interface must be this program's new one, in its own network namespace: else what is configured
    /// or sent next would be somebody else's.
    fn check(&self, adoption: &Adoption, owner: Uid) -> Result<InterfaceInfo, Reason> {
        let Granted { index, name, flags } = self.granted;
        let elsewhere = || unusable_helper("has sent a device of another network namespace");
        if adoption.interface.is_unknown()
            || adoption.interface.netlink().namespace() != self.opener.namespace()
        {
            return Err(elsewhere());
        }
        let info = adoption.interface.info().map_err(|_| elsewhere())?;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        let wanted = self.options.get_flags() - CreateFlags::TUN_EXCL;
        if info.name.as_bytes() != &name[..end] || !self.is_wanted(&info.name) {
            return Err(unusable_helper(format!("has sent a device of an interface named {}", info.name)));
        }
        if info.index.get() != index {
            return Err(unusable_helper("has sent a device of an interface with another index"));
        }
        if adoption.flags != wanted || flags & !CreateFlags::TUN_EXCL.bits() != wanted.bits() {
            return Err(unusable_helper(format!("has sent a device with other flags: {}", adoption.flags)));
        }
        if info.owner != Some(owner) || info.persistent {
            return Err(unusable_helper("has sent a device of an interface that is not new"));
        }
        Ok(info)
    }

    /// Whether the name is the one that was asked for, or fits its pattern.
    fn is_wanted(&self, name: &InterfaceName) -> bool {
        let Some(pattern) = self.options.get_name().map(NamePattern::as_bytes) else { return true };
        match pattern.strip_suffix(b"%d") {
            Some(prefix) => name
                .as_bytes()
                .strip_prefix(prefix)
                .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit)),
            None => name.as_bytes() == pattern,
        }
    }

    /// The format of the virtio-net header and the offloads, which the helper leaves to the program.
    fn set_header(&self, file: &TunFile) -> Result<(), Reason> {
        let failed = |(errno, reason): (Errno, Reason)| reason.with_errno(errno as i32);
        match self.options.get_vnet_format() {
            Some(_) => offload::set_header(file, self.options).map_err(failed),
            None => Ok(()),
        }
    }
}
