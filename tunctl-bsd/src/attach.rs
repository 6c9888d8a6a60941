//! Creating and opening: from options to an open device, with nothing left behind on failure.

use std::io;
use std::thread;
use std::time::Duration;

use tunctl_core::{
    AttachMode, Cause, CreateFlags, CreateOptions, Error, Interface, Operation, Reason, Result, State,
    TunDevice,
};
use tunctl_packet::header::System;
use tunctl_sys::bsd::Name;

use crate::attach_plan::{AttachPlan, NameRequest};
use crate::channel::Channel;
use crate::device::VNET_HEADER_LENGTH;
use crate::errno;
use crate::interface_guard::InterfaceGuard;
use crate::remedy;
use crate::syscalls::{Family, ListedInterface, Syscalls};
use crate::system::{CreateMethod, RemovePolicy};
use crate::{BsdBackend, BsdDevice, BsdInterface};

/// How many units are tried before giving up, when other programs keep taking them first.
const ATTEMPTS: usize = 64;

/// How often a unit is asked for that was just given up, and the pause before each time but the first: some
/// kernels take a moment to free one after its last close has returned.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// The greatest number of a utun: XNU refuses greater ones with `EINVAL`, which says nothing of the name.
const LAST_UTUN: u32 = 32767;

impl<C: Syscalls> BsdBackend<C> {
    /// Opens the named interface if it exists and `mode` allows it; otherwise creates a new one.
    pub(crate) fn create_or_open(&self, mode: AttachMode, options: &CreateOptions) -> Result<BsdDevice<C>> {
        let operation = mode.operation();
        let plan = AttachPlan::of_existing(operation, self.system.rules, options)?;
        let existing = match options.get_exact_name().filter(|_| mode != AttachMode::New) {
            Some(name) => self.find(operation, &name)?,
            None => None,
        };
        match existing {
            Some(found) if options.get_flags().contains(CreateFlags::TUN_EXCL) => {
                Err(plan.error(self.taken(&found)))
            }
            Some(found) => match self.open_listed(&plan, &found) {
                // It went in between, which is as if it had not been there.
                Err(error) if error.cause() == Cause::NotFound && mode != AttachMode::Existing => {
                    self.create_new(&AttachPlan::new(operation, self.system.rules, options)?)
                }
                outcome => outcome,
            },
            None if mode == AttachMode::Existing => Err(plan.error(Cause::NotFound)),
            None => self.create_new(&AttachPlan::new(operation, self.system.rules, options)?),
        }
    }

    /// Turns the open node or socket of a new interface into a device. A failure removes the interface again.
    fn set_up_new(&self, plan: &AttachPlan<'_>, channel: Channel<C>, name: &Name) -> Result<BsdDevice<C>> {
        match self.system.by_name(name.as_bytes()) {
            Ok(Some(found)) => self.set_up_device(plan, channel, &found, true),
            Ok(None) => Err(plan.error(lost())),
            Err(error) => {
                drop(channel);
                if plan.kind.remove_policy != RemovePolicy::OnLastClose {
                    // Report the first error.
                    let _ = self.system.destroy(name);
                }
                Err(plan.failed(remedy::configure(errno::of(&error), plan.operation), &error))
            }
        }
    }

    /// Turns an open node or socket into a device, and configures it the way this crate uses it.
    ///
    /// `is_new` says that this call created the interface; then a failure removes it again.
    fn set_up_device(
        &self,
        plan: &AttachPlan<'_>,
        channel: Channel<C>,
        found: &ListedInterface,
        is_new: bool,
    ) -> Result<BsdDevice<C>> {
        let failed = |error: &io::Error| {
            let errno = errno::of(error);
            plan.failed(remedy::configure(errno, plan.operation), error)
        };
        let interface = BsdInterface::new(self.system.clone(), found, plan.kind);
        let interface = interface.ok_or_else(|| plan.error(lost()))?;
        // From here on the guard removes a new interface if a step fails.
        let guard = InterfaceGuard::new(
            self.system.clone(),
            interface.identity().clone(),
            channel.was_bound(),
            is_new && plan.kind.remove_policy != RemovePolicy::OnLastClose,
        );
        let device = BsdDevice::new(channel, guard, interface, plan.vnet_header);
        if let Some(request) = plan.kind.set_af_header {
            device.request(request, 1).map_err(|error| failed(&error))?;
        }
        if let (true, Some(request)) = (plan.vnet_header, plan.kind.set_vnet_header) {
            // FreeBSD's driver resets the length when the device closes, so the next opener is unaffected.
            device.request(request, VNET_HEADER_LENGTH).map_err(|error| failed(&error))?;
        }
        if let CreateMethod::Socket { .. } = plan.kind.create_method {
            device.make_room_at_socket().map_err(|error| failed(&error))?;
        }
        device.make_nonblocking().map_err(|error| failed(&error))?;
        if is_new {
            // OpenBSD and macOS bring a new interface up at once. Here it starts down on every system.
            let in_attach = |error: Error| error.with_operation(plan.operation);
            if device.interface().state().map_err(in_attach)? == State::Up {
                match device.interface().set_state(State::Down) {
                    // Who may open the node of OpenBSD, but is not root, has one that is up.
                    Err(error) if error.cause() == Cause::MissingCapability => {}
                    outcome => outcome.map_err(in_attach)?,
                }
            }
        }
        if let (true, RemovePolicy::Transient(request)) = (is_new, plan.kind.remove_policy) {
            match device.request(request, 1) {
                Ok(()) => device.leave_removal_to_kernel(),
                // This kernel predates TUNSTRANSIENT: the guard removes the interface.
                Err(error) if errno::of(&error) == errno::ENOTTY => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(device)
    }

    /// Asks an open device for its interface name.
    fn name_of(&self, plan: &AttachPlan<'_>, handle: &C::Handle) -> io::Result<Name> {
        let request = match (plan.kind.create_method, plan.kind.get_name) {
            (CreateMethod::Socket { .. }, ..) => return self.system.syscalls.socket_name(handle),
            (_, request) => request.ok_or_else(|| errno::error(errno::EIO))?,
        };
        let mut argument = request.zeroed();
        match self.system.syscalls.ioctl(handle, request, &mut argument) {
            Ok(()) => self.system.rules.abi.interface_name(&argument),
            // This kernel predates TUNGIFNAME (FreeBSD 13). The cloning node has made one of the interface's.
            Err(error) if errno::of(&error) == errno::ENOTTY => {
                Name::new(plan.kind.named(self.system.syscalls.unit(handle)?).as_bytes())
            }
            Err(error) => return Err(error),
        }
        .ok_or_else(|| errno::error(errno::EIO))
    }

    /// Makes a call, and again for a moment as long as it fails with `errno`, if the plan is for one unit.
    pub(crate) fn insist<T>(
        plan: &AttachPlan<'_>,
        errno: i32,
        call: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let tries = if matches!(plan.name, NameRequest::Unit(_)) { TRIES } else { 1 };
        for _ in 1..tries {
            match call() {
                Err(error) if errno::of(&error) == errno => thread::sleep(PAUSE),
                outcome => return outcome,
            }
        }
        call()
    }

    /// Opens the node of a unit.
    ///
    /// FreeBSD's `tun_destroy` takes the interface away before its node, which says `ENXIO` in between; so
    /// does OpenBSD's `tun_dev_open` of an interface that is being destroyed.
    fn open_unit(&self, plan: &AttachPlan<'_>, unit: u32) -> io::Result<C::Handle> {
        let open = || self.system.syscalls.open(&plan.kind.node(unit));
        match plan.system {
            System::FreeBsd | System::OpenBsd => Self::insist(plan, errno::ENXIO, open),
            _ => open(),
        }
    }

    /// Creates an interface by opening the node of its unit.
    ///
    /// OpenBSD's `tun_dev_close` gives the device up before it destroys the interface, and that takes the
    /// descriptor away from whoever has opened it in between (`tun_clone_destroy`). So what is gone at once
    /// is opened again.
    fn open_new(&self, plan: &AttachPlan<'_>, unit: u32, name: &Name) -> Result<BsdDevice<C>> {
        let open = || {
            let handle = self.open_unit(plan, unit).map_err(|error| plan.not_opened(&error))?;
            self.set_up_new(plan, Channel::Direct(handle), name)
        };
        let tries = if plan.system == System::OpenBsd { TRIES } else { 1 };
        for _ in 1..tries {
            match open() {
                Err(error) if error.is_gone() => thread::sleep(PAUSE),
                outcome => return outcome,
            }
        }
        open()
    }

    /// Creates the interface with this unit number.
    fn create_unit(&self, plan: &AttachPlan<'_>, unit: u32) -> Result<BsdDevice<C>> {
        let text = plan.kind.named(unit);
        let name = Name::new(text.as_bytes()).ok_or_else(|| plan.refuse_name())?;
        let syscalls = &self.system.syscalls;
        let listed = self.system.interfaces().map_err(|error| plan.not_opened(&error))?;
        if let Some(found) = listed.iter().find(|found| found.name == name) {
            return Err(plan.error(self.taken(found)));
        }
        if self.system.rules.far_end(&name).is_some_and(|far| listed.iter().any(|found| found.name == far)) {
            let taken = Reason::new(Cause::Exists).with_detail("the other end of the pair exists");
            return Err(plan.error(taken));
        }
        if listed.iter().any(|found| found.original_name == name) {
            // The unit belongs to a renamed interface. Opening its node, even briefly, would cost that
            // interface its addresses.
            return Err(plan.error(Cause::Busy));
        }
        let handle = match plan.kind.create_method {
            CreateMethod::OpenNode { .. } => return self.open_new(plan, unit, &name),
            CreateMethod::Socket { .. } if unit > LAST_UTUN => return Err(plan.refuse_name()),
            CreateMethod::Socket { control } => {
                // A unit is taken until `utun_detached` (XNU), which comes after the close.
                let connected = Self::insist(plan, errno::EBUSY, || syscalls.connect(control, unit + 1));
                connected.map_err(|error| match errno::of(&error) {
                    errno::EBUSY => {
                        plan.failed(remedy::create(errno::EEXIST, plan.system, plan.kind.layer), &error)
                    }
                    _ => plan.not_opened(&error),
                })?
            }
            CreateMethod::Request => self.request_and_open(plan, &name, unit)?,
            CreateMethod::Pair(request) => {
                return self.set_up_new(plan, self.create_pair(plan, request, &name)?, &name);
            }
        };
        self.set_up_new(plan, Channel::Direct(handle), &name)
    }

    /// Creates an interface by request and opens its node; if that fails, removes the interface.
    fn request_and_open(&self, plan: &AttachPlan<'_>, name: &Name, unit: u32) -> Result<C::Handle> {
        let abi = self.system.rules.abi;
        let created = self.system.syscalls.configure(Family::V4, abi.requests.create, &mut abi.ifreq(name));
        created.map_err(|error| plan.not_created(&error))?;
        self.open_unit(plan, unit).map_err(|error| {
            // Report the first error.
            let _ = self.system.destroy(name);
            plan.not_opened(&error)
        })
    }

    /// Creates an interface with a unit that the system, or this program, chooses.
    fn create_any(&self, plan: &AttachPlan<'_>) -> Result<BsdDevice<C>> {
        let syscalls = &self.system.syscalls;
        let opened = match plan.kind.create_method {
            CreateMethod::OpenNode { cloning: Some(node) } => syscalls.open(node),
            CreateMethod::Socket { control } => syscalls.connect(control, 0),
            CreateMethod::OpenNode { cloning: None } | CreateMethod::Request | CreateMethod::Pair(_) => {
                return self.create_first_free(plan);
            }
        };
        let handle = opened.map_err(|error| plan.not_opened(&error))?;
        let name = self.name_of(plan, &handle).map_err(|error| {
            if let RemovePolicy::Transient(request) = plan.kind.remove_policy {
                // This program cannot remove an interface whose name it does not know; the kernel can.
                let _ = syscalls.ioctl(&handle, request, &mut 1_i32.to_ne_bytes());
            }
            plan.not_opened(&error)
        })?;
        self.set_up_new(plan, Channel::Direct(handle), &name)
    }

    /// Creates an interface with the first free unit.
    fn create_first_free(&self, plan: &AttachPlan<'_>) -> Result<BsdDevice<C>> {
        let mut last = None;
        for unit in (0..).take(ATTEMPTS) {
            match self.create_unit(plan, unit) {
                // The unit is in use, or another program took it first.
                Err(error) if matches!(error.cause(), Cause::Exists | Cause::Busy) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| plan.error(Cause::Exists)))
    }

    /// Creates an interface and renames it.
    fn create_renamed(&self, plan: &AttachPlan<'_>, wanted: &NameRequest) -> Result<BsdDevice<C>> {
        if let NameRequest::Exactly(name) = wanted {
            let found = self.system.by_name(name.as_bytes());
            if let Some(found) =
                found.map_err(|error| plan.failed(remedy::from_errno(errno::of(&error)), &error))?
            {
                return Err(plan.error(self.taken(&found)));
            }
        }
        let Some(rename) = self.system.rules.abi.rename else { return Err(plan.refuse_name()) };
        let device = self.create_any(plan)?;
        let original_name =
            Name::new(device.interface().last_name().as_bytes()).ok_or_else(|| plan.refuse_name())?;
        for number in 0.. {
            let name = wanted.candidate(number).ok_or_else(|| plan.refuse_name())?;
            match self.system.syscalls.set_text(rename, &original_name, name.as_c_str()) {
                Ok(()) => {
                    device.interface().identity().renamed(name);
                    break;
                }
                Err(error) if errno::of(&error) == errno::EEXIST && wanted.has_number() => {}
                Err(error) => {
                    return Err(plan.failed(remedy::configure(errno::of(&error), Operation::Rename), &error));
                }
            }
        }
        Ok(device.with_current_name())
    }

    /// Creates an interface with the requested name.
    fn create_new(&self, plan: &AttachPlan<'_>) -> Result<BsdDevice<C>> {
        match &plan.name {
            NameRequest::Any => self.create_any(plan),
            NameRequest::Unit(unit) => match self.create_unit(plan, *unit) {
                Err(error) if self.is_unit_of_renamed(plan, *unit) => {
                    let Some(name) = Name::new(plan.kind.named(*unit).as_bytes()) else { return Err(error) };
                    self.create_renamed(plan, &NameRequest::Exactly(name))
                }
                outcome => outcome,
            },
            wanted => self.create_renamed(plan, wanted),
        }
    }

    /// Whether the unit belongs to a renamed interface: the name is then free, but the unit is not.
    fn is_unit_of_renamed(&self, plan: &AttachPlan<'_>, unit: u32) -> bool {
        let original_name = plan.kind.named(unit);
        let found = self.system.find(|found| found.original_name.as_bytes() == original_name.as_bytes());
        matches!(found, Ok(Some(found)) if found.name != found.original_name)
    }

    /// Opens an interface that exists.
    fn open_listed(&self, plan: &AttachPlan<'_>, found: &ListedInterface) -> Result<BsdDevice<C>> {
        match self.kind_of(found) {
            None => return Err(plan.error(Cause::NotATun)),
            Some(kind) if kind.layer != plan.kind.layer => return Err(plan.error(Cause::LayerMismatch)),
            Some(_) => {}
        }
        if let CreateMethod::Socket { .. } | CreateMethod::Pair(_) = plan.kind.create_method {
            // It exists because its creator still holds the socket or the far end.
            return Err(plan.error(Cause::Busy));
        }
        match self.system.open_node(found).map_err(|error| plan.not_opened(&error))? {
            Some((handle, found)) => self.set_up_device(plan, Channel::Direct(handle), &found, false),
            None => Err(plan.error(Cause::NotFound)),
        }
    }

    /// Returns why the name of this interface is not available.
    fn taken(&self, found: &ListedInterface) -> Cause {
        if self.kind_of(found).is_some() { Cause::Exists } else { Cause::NotATun }
    }
}

fn lost() -> Reason {
    Reason::new(Cause::Gone).with_detail("it was removed as soon as it was opened")
}
