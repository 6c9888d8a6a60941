//! Makes the interface that a request wants.

use std::io;

use tunctl_sys::ioctl::DriverFile;
use tunctl_sys::linux::tun::{self, TunDriver};
use tunctl_sys::linux::{InterfaceRequest, NAME_SIZE, iff};

use nix::errno::Errno;

use crate::lock::Lock;
use crate::netlink::{Link, Netlink, Route};
use crate::policy::{ALIAS, Grant, Rule, alias, decide, networks};
use crate::protocol::{Granted, Refusal, Request, Step, name_field};
use crate::rights::{refused, with_right};
use crate::routers::Settings;

/// The kernel's defaults (`ether_setup`, `tun_net_initialize`, Linux 6.18).
const MTU: u32 = 1500;
const TUN_QUEUE_LENGTH: u32 = 500;
const TAP_QUEUE_LENGTH: u32 = 1000;

/// What was opened before the request was read, since nothing can be opened afterwards.
#[derive(Debug)]
pub(crate) struct Resources {
    pub(crate) device: DriverFile<TunDriver>,
    pub(crate) lock: DriverFile<TunDriver>,
    pub(crate) netlink: Netlink,
    pub(crate) settings: Settings,
}

/// Makes the interface. If anything fails, nothing is left of it as soon as the descriptor is closed.
pub(crate) fn create(
    resources: Resources,
    candidates: &[(Rule, bool)],
    uid: u32,
    request: &Request,
) -> Result<(DriverFile<TunDriver>, Granted), Refusal> {
    let Resources { device, lock, mut netlink, settings } = resources;
    let grants = decide(candidates, request)?;
    // Until the interface has its alias, by which the next request counts it.
    let _lock = Lock::take(lock, uid)?;
    // The routes first: an interface that another request makes meanwhile is then among the links, with its
    // alias.
    let routes = netlink.routes().map_err(|error| refused(Step::List, &error))?;
    let links = netlink.links().map_err(|error| refused(Step::List, &error))?;
    check_routes(&routes, &links, request)?;
    let grant = choose(&grants, &links, uid)?;
    let granted = attach(&device, grant, request, (&mut netlink, &settings), uid)?;
    configure(&mut netlink, &granted, request)?;
    Ok((device, granted))
}

/// No address may take packets that go elsewhere now. Routes of interfaces that the helper has made do not
/// count: they are its own addresses'.
fn check_routes(routes: &[Route], links: &[Link], request: &Request) -> Result<(), Refusal> {
    let is_ours =
        |index| links.iter().any(|link| link.index == index && link.alias.starts_with(ALIAS.as_bytes()));
    let mut foreign = routes.iter().filter(|route| !is_ours(route.interface));
    let is_covered = foreign.any(|route| networks(request).any(|wanted| wanted.overlaps(&route.destination)));
    if is_covered { Err(Refusal::Routed) } else { Ok(()) }
}

/// The first rule by which the user has fewer interfaces than allowed.
fn choose<'a>(grants: &[Grant<'a>], links: &[Link], uid: u32) -> Result<Grant<'a>, Refusal> {
    let mut limit = 0;
    for grant in grants {
        let alias = alias(uid, grant.name);
        let count = links.iter().filter(|link| link.alias == alias.as_bytes()).count();
        limit = grant.rule.devices;
        if count < usize::try_from(limit).unwrap_or(usize::MAX) {
            return Ok(*grant);
        }
    }
    Err(Refusal::TooMany { limit })
}

/// Creates the interface, gives it to the user, and marks it as theirs.
fn attach(
    device: &DriverFile<TunDriver>,
    grant: Grant<'_>,
    request: &Request,
    (netlink, settings): (&mut Netlink, &Settings),
    uid: u32,
) -> Result<Granted, Refusal> {
    let first = grant.name.to_string();
    let name = if request.name().is_empty() { first.as_bytes() } else { request.name() };
    let mut wanted = InterfaceRequest::new(name, request.flags | iff::TUN_EXCL).ok_or(Refusal::Malformed)?;
    with_right(Step::Create, || tun::set_iff(device, &mut wanted)).map_err(exists)?;
    // The kernel has put the number into the name.
    let name = name_field(wanted.name()).ok_or(Refusal::Malformed)?;
    tun::set_owner(device, uid).map_err(|error| refused(Step::SetOwner, &error))?;
    if let Some(mac) = request.mac {
        tun::set_mac(device, mac).map_err(|error| refused(Step::SetMac, &error))?;
    }
    let failed = |error: io::Error| refused(Step::List, &error);
    let current = tun::iff(device).map_err(failed)?;
    let setting = settings.of(current.name())?;
    let index = index_of(device, current.name(), netlink, uid).map_err(failed)?;
    // While it is down, and before an MTU that takes its IPv6 away.
    setting.ignore_routers()?;
    let alias = alias(uid, grant.name);
    let Rule { mtu, queue_length, .. } = grant.rule;
    let default = if request.flags & iff::TAP != 0 { TAP_QUEUE_LENGTH } else { TUN_QUEUE_LENGTH };
    // What the request leaves out is the kernel's default, if the rule allows that.
    let mtu = request.mtu.unwrap_or(MTU.clamp(*mtu.start(), *mtu.end()));
    let queue_length = default.clamp(*queue_length.start(), *queue_length.end());
    let queue_length = request.queue_length.unwrap_or(queue_length);
    with_right(Step::Configure, || netlink.configure(index, &alias, mtu, queue_length))?;
    Ok(Granted { index, name, flags: request.flags })
}

/// The index of the interface that the device is attached to, by its name and owner. The name is asked for
/// again afterwards: root may have renamed it, or moved it to another namespace, and another may have the
/// name, by which its setting was opened as well.
fn index_of(device: &DriverFile<TunDriver>, name: &[u8], netlink: &mut Netlink, uid: u32) -> io::Result<u32> {
    let links = netlink.links()?;
    let is_it = |link: &&Link| link.name == name && link.owner == Some(uid);
    let index = links.iter().find(is_it).map(|link| link.index);
    if tun::iff(device)?.name() == name {
        index.ok_or(Errno::ENODEV.into())
    } else {
        Err(Errno::EBUSY.into())
    }
}

/// Up comes first: the kernel never adds the route to an IPv6 peer if the interface was down when the address
/// was added.
fn configure(netlink: &mut Netlink, granted: &Granted, request: &Request) -> Result<(), Refusal> {
    if request.up {
        with_right(Step::Up, || netlink.up(granted.index))?;
    }
    for address in request.addresses.iter() {
        with_right(Step::AddAddress, || netlink.add_address(granted.index, &address, request.without_dad))?;
    }
    Ok(())
}

/// `TUN_EXCL` is refused as busy by a TUN/TAP interface of that name, and as invalid by another kind of
/// interface: flags and name are valid here.
fn exists(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Kernel { step: Step::Create, errno }
            if matches!(Errno::from_raw(errno), Errno::EBUSY | Errno::EEXIST | Errno::EINVAL) =>
        {
            Refusal::Exists
        }
        other => other,
    }
}

const _: () = assert!(NAME_SIZE == crate::protocol::NAME_SIZE);
