//! The Linux backend, and the kernel around it, for the conformance suite.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::{fs, io};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use tunctl_conformance::{DeviceOf, Harness, Need, Observation, PollState, Profile};
use tunctl_core::{
    Adopt, AdoptError, Cause, CreateFlags, CreateOptions, Error, EventWatcher, Events, Filters,
    InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, MacFilter, Namespaces, Offloads,
    Operation, Queues, Result, Statistics, TunBackend, TunDevice,
};
use tunctl_linux::{LinkType, LinuxBackend, LinuxInterface, Namespace, Observer, netns};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::{VnetFormat, VnetHeader};
use tunctl_sys::linux::{InterfaceRequest, process, tun};

use crate::caller::{as_caller, as_root};
use crate::packets::{Injector, Watch, inject_large};
use crate::{Case, OtherNamespace, profile, rtnetlink, skip, sysfs};

/// The running kernel, as the conformance suite sees it: in the namespace of the case that makes this.
///
/// What it reports comes from sysfs, netlink and packet sockets, by code of this crate's own; no program is
/// run.
#[derive(Debug, Default)]
pub struct LinuxHarness {
    backend: LinuxBackend,
    elsewhere: OnceLock<OtherNamespace>,
    injector: OnceLock<Injector>,
}

impl LinuxHarness {
    /// Silences the namespace in which the case is, which must be its own. Ends the process if it cannot be
    /// used: the case is skipped.
    #[must_use]
    pub fn new() -> Self {
        if !sysfs::is_ours() {
            skip("sysfs could not be mounted anew");
        }
        if let Err(error) = silence() {
            skip(&format!("/proc/sys/net: {error}"));
        }
        Self::default()
    }

    fn elsewhere(&self) -> &OtherNamespace {
        self.elsewhere.get_or_init(|| {
            let other = OtherNamespace::new();
            other.run(silence).unwrap_or_else(|error| panic!("silence the other namespace: {error}"));
            other
        })
    }

    fn elsewhere_as_value(&self) -> Namespace {
        let namespace = as_root(|| Namespace::open(self.elsewhere().path()));
        namespace.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Has the kernel send nothing of its own: no link-local address, no question for routers, and none for
/// another who has an address. Addresses of IPv6 can still be added.
///
/// One thing no switch stops: an Ethernet interface that is up reports to multicast routers (MLD) when it
/// gets an IPv6 address. So a case in which a tap has one must not count what it receives. A tun reports
/// nothing.
pub(crate) fn silence() -> io::Result<()> {
    const SWITCHES: [(&str, &str); 4] =
        [("addr_gen_mode", "1"), ("accept_ra", "0"), ("router_solicitations", "0"), ("dad_transmits", "0")];
    for scope in ["all", "default"] {
        for (switch, value) in SWITCHES {
            match fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/{switch}"), value) {
                // A kernel without IPv6.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
    }
    // Else some systems keep the later addresses of a network when its first goes.
    for scope in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/promote_secondaries"), "0")?;
    }
    Ok(())
}

/// The cases of the suite, each over a harness of its own.
#[must_use]
pub fn conformance_cases() -> Vec<Case> {
    tunctl_conformance::cases::<LinuxHarness>().into_iter().map(conformance_case).collect()
}

fn conformance_case(case: tunctl_conformance::Case<LinuxHarness>) -> Case {
    let name = format!("{}::{}", case.subject(), case.name());
    let need = case.need();
    let ours = Case::new(name, move || {
        if need == Need::FirstUserNamespace {
            enter_without_user_namespace();
        }
        if let Some(why) = case.run(&LinuxHarness::new()).not_applicable {
            skip(why);
        }
    });
    match need {
        Need::OtherUsers => ours.needs_root(),
        Need::FirstUserNamespace => ours.needs_root().outside_namespace(),
        _ => ours,
    }
}

/// Enters a new network namespace, and stays in the first user namespace.
fn enter_without_user_namespace() {
    let entered = unshare(CloneFlags::CLONE_NEWNET);
    entered.unwrap_or_else(|errno| panic!("enter a network namespace: {errno}"));
    sysfs::mount_for_thread();
}

impl Harness for LinuxHarness {
    type Backend = LinuxBackend;

    fn backend(&self) -> &LinuxBackend {
        &self.backend
    }

    fn profile(&self) -> Profile {
        profile::running_kernel().conformance()
    }

    /// From sysfs. An interface that is no TUN/TAP interface is reported as none.
    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        sysfs::report(name)
    }

    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        rtnetlink::addresses_of(name)
    }

    fn dropped(&self, name: &InterfaceName) -> u64 {
        sysfs::dropped(name)
    }

    fn statistics(&self, name: &InterfaceName) -> Option<Statistics> {
        Some(sysfs::statistics(name))
    }

    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        self.injector.get_or_init(|| as_root(Injector::new)).inject(name, packet)
    }

    fn inject_large(&self, name: &InterfaceName, header: &VnetHeader, packet: &[u8]) -> bool {
        as_root(|| inject_large(name, header, packet));
        true
    }

    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation> {
        Box::new(as_root(|| Watch::new(name)))
    }

    fn delete(&self, name: &InterfaceName) {
        as_root(|| rtnetlink::delete(name));
    }

    fn make_with_index(&self, name: &InterfaceName, index: InterfaceIndex) -> bool {
        as_root(|| {
            let node = File::options().read(true).write(true).open("/dev/net/tun");
            let node = node.unwrap_or_else(|error| panic!("open the node: {error}"));
            let flags = CreateFlags::TAP | CreateFlags::NO_PI | CreateFlags::TUN_EXCL;
            let mut request = InterfaceRequest::new(name.as_bytes(), flags.bits()).expect("it is a name");
            let made = tun::set_index(node.as_fd(), index.get())
                .and_then(|()| tun::set_iff(node.as_fd(), &mut request))
                .and_then(|()| tun::set_persist(node.as_fd(), true));
            made.unwrap_or_else(|error| panic!("make {name} with the index {index}: {error}"));
        });
        true
    }

    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool {
        as_root(|| rtnetlink::rename(from, to))
    }

    fn move_to_namespace(&self, name: &InterfaceName) {
        as_root(|| rtnetlink::move_to(name, self.elsewhere()));
    }

    fn report_elsewhere(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        let look = || {
            sysfs::mount_for_thread();
            sysfs::report(name)
        };
        as_root(|| self.elsewhere().run(look))
    }

    fn backend_elsewhere(&self) -> Option<Result<LinuxBackend>> {
        Some(self.backend.in_namespace(&self.elsewhere_as_value()))
    }

    fn move_by_handle(&self, interface: &LinuxInterface) -> Option<Result<()>> {
        Some(self.backend.move_to(interface, &self.elsewhere_as_value()))
    }

    fn set_up(&self, name: &InterfaceName, up: bool) {
        as_root(|| rtnetlink::set_up(name, up));
    }

    fn add_address(&self, name: &InterfaceName, address: InterfaceAddress) {
        as_root(|| rtnetlink::add_address(name, address));
    }

    fn set_carrier(&self, name: &InterfaceName, on: bool) -> Option<bool> {
        Some(as_root(|| rtnetlink::set_carrier(name, on)))
    }

    /// The switches of the interface itself: those of the namespace stay as [`LinuxHarness::new`] sets them.
    fn look_for_routers(&self, name: &InterfaceName) -> bool {
        as_root(|| look_for_routers(name));
        true
    }

    fn as_caller(&self, uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut()) {
        as_caller(uid, gid, capable, work);
    }

    fn poll_state(&self, device: &DeviceOf<Self>) -> PollState {
        poll_state(device)
    }

    fn other_interface(&self) -> InterfaceName {
        "lo".parse().expect("it is a name")
    }

    fn set_filter(&self, device: &DeviceOf<Self>, program: Option<&Program>) -> Option<Result<()>> {
        Some(match program {
            Some(program) => device.attach_filter(program),
            None => device.detach_filter(),
        })
    }

    fn set_mac_filter(&self, device: &DeviceOf<Self>, filter: Option<&MacFilter>) -> Option<Result<()>> {
        Some(device.set_mac_filter(filter))
    }

    fn set_queue(&self, device: &DeviceOf<Self>, attached: bool) -> Option<Result<()>> {
        Some(if attached { device.attach_queue() } else { device.detach_queue() })
    }

    fn events(&self, of: Option<&LinuxInterface>) -> Option<Result<Box<dyn EventWatcher>>> {
        let watcher = match of {
            Some(interface) => interface.events(),
            None => self.backend.events(),
        };
        Some(watcher.map(|watcher| Box::new(watcher) as Box<dyn EventWatcher>))
    }

    fn hand_over(&self, device: DeviceOf<Self>) -> Option<OwnedFd> {
        Some(device.into())
    }

    fn adopt(&self, fd: OwnedFd) -> Option<std::result::Result<DeviceOf<Self>, AdoptError>> {
        Some(self.backend.adopt(fd))
    }

    fn attempt(&self, operation: Operation) -> Option<std::result::Result<(), Error>> {
        match operation {
            Operation::Observe => {
                let device = as_root(|| self.backend.create(&CreateOptions::tun()));
                let device = device.unwrap_or_else(|error| panic!("{error}"));
                Some(Observer::new(device.interface()).map(drop))
            }
            Operation::Probe => Some(self.backend.features().map(drop)),
            Operation::SetMaster
            | Operation::SetSendBuffer
            | Operation::SetLinkType
            | Operation::SetFilterProgram
            | Operation::SetSteeringProgram => {
                let device = as_root(|| self.backend.create(&CreateOptions::tap()));
                let device = device.unwrap_or_else(|error| panic!("{error}"));
                Some(match operation {
                    Operation::SetMaster => device.interface().clear_master(),
                    Operation::SetSendBuffer => device.set_send_buffer(1 << 20),
                    Operation::SetFilterProgram => device.set_filter_program(None),
                    Operation::SetSteeringProgram => device.set_steering_program(None),
                    _ => device.set_link_type(LinkType::ETHERNET),
                })
            }
            Operation::SetOffloads | Operation::SetVnetFormat => {
                let device = as_root(|| self.backend.create(&CreateOptions::tun().vnet_header(true)));
                let mut device = device.unwrap_or_else(|error| panic!("{error}"));
                Some(match operation {
                    Operation::SetOffloads => device.set_offloads(Offloads::NONE),
                    _ => device.set_vnet_format(VnetFormat::default()),
                })
            }
            Operation::EnterNamespace => Some(enter_in_copy()),
            Operation::Namespace => Some(self.backend.make_namespace().map(drop)),
            Operation::Move => {
                let device = as_root(|| self.backend.create(&CreateOptions::tun()));
                let device = device.unwrap_or_else(|error| panic!("{error}"));
                self.move_by_handle(device.interface())
            }
            _ => None,
        }
    }
}

/// Switches on what the namespace has switched off, for this interface alone.
fn look_for_routers(name: &InterfaceName) {
    rtnetlink::set_up(name, true);
    // A tun has no MAC address, of which an address could be made: the kernel draws one at random.
    let mode = if sysfs::report(name).is_some_and(|info| info.mac.is_some()) { "0" } else { "3" };
    // The last one has the interface get its address, from which the kernel asks.
    for (switch, value) in
        [("accept_ra", "1"), ("router_solicitations", "1"), ("dad_transmits", "1"), ("addr_gen_mode", mode)]
    {
        match fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{switch}"), value) {
            // IPv6 is off, there or everywhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            outcome => outcome.unwrap_or_else(|error| panic!("{switch} of {name}: {error}")),
        }
    }
}

/// What a poll reports of a descriptor at this moment.
#[must_use]
pub fn poll_state(file: impl AsFd) -> PollState {
    let mut files = [PollFd::new(file.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
    poll(&mut files, PollTimeout::ZERO).expect("a descriptor can be polled");
    let told = files[0].revents().expect("the kernel reports bits that exist");
    PollState {
        readable: told.contains(PollFlags::POLLIN),
        writable: told.contains(PollFlags::POLLOUT),
        error: told.contains(PollFlags::POLLERR),
    }
}

/// Enters a new namespace in a copy of this process, which ends with it: there is no way back.
fn enter_in_copy() -> Result<()> {
    const UNKNOWN: i32 = 255;
    let enter = || match netns::enter_new() {
        Ok(()) => 0,
        Err(error) => {
            let position = Cause::ALL.iter().position(|&cause| cause == error.cause());
            position.and_then(|position| i32::try_from(position + 1).ok()).unwrap_or(UNKNOWN)
        }
    };
    let failed = |cause| Error::new(Operation::EnterNamespace, cause);
    let pid = process::in_copy(enter).map_err(|_| failed(Cause::SeveralThreads))?;
    match waitpid(Pid::from_raw(pid), None).expect("the copy is our child") {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Exited(_, position) => {
            let cause = usize::try_from(position - 1).ok().and_then(|position| Cause::ALL.get(position));
            Err(failed(cause.copied().unwrap_or(Cause::Other)))
        }
        other => panic!("the copy ended with {other:?}"),
    }
}
