//! From start to end: what the helper does, in this order.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;

use nix::fcntl::{OFlag, open};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, recv, sendmsg};
use nix::sys::stat::Mode;
use tunctl_sys::ioctl::DriverFile;
use tunctl_sys::linux::tun::TunDriver;

use crate::create::{Resources, create};
use crate::netlink::Netlink;
use crate::policy::{Caller, Namespaces, Policy, PolicyError, Rule};
use crate::protocol::{REQUEST_SIZE, Refusal, Reply, Request, Step};
use crate::rights::{self, refused, with_right};
use crate::routers::Settings;
use crate::{sandbox, state};

const NODE: &str = "/dev/net/tun";

/// Answers the one request that comes by the standard input.
///
/// # Errors
///
/// Nobody could be answered: the other end is gone.
pub fn serve() -> io::Result<()> {
    let prepared = prepare();
    let settings = prepared.as_ref().ok().and_then(|prepared| prepared.resources.settings.folder());
    let sandboxed = sandbox::enter(settings).map_err(|error| refused(Step::Prepare, &error));
    // It is read in any case: a socket that is closed with unread data discards what was sent by it.
    let request = receive();
    let served = prepared.and_then(|Prepared { caller, candidates, resources }| {
        sandboxed?;
        create(resources, &candidates, caller.uid, &request?)
    });
    match served {
        Ok((device, granted)) => send(&Reply::Granted(granted), Some(&device)),
        Err(refusal) => send(&Reply::Refused(refusal), None),
    }
}

/// What is there before the request is read.
struct Prepared {
    caller: Caller,
    candidates: Vec<(Rule, bool)>,
    resources: Resources,
}

/// Gets rid of what the caller has chosen and of all rights but one, reads the policy, and opens what will be
/// needed.
fn prepare() -> Result<Prepared, Refusal> {
    let failed = |error: io::Error| refused(Step::Prepare, &error);
    state::reset().map_err(failed)?;
    let caller = Caller::current()?;
    if let Some(refusal) = rights::missing().map_err(failed)? {
        return Err(refusal);
    }
    rights::give_up_others().map_err(failed)?;
    let namespaces = Namespaces::hold().map_err(|error| refused(Step::Namespace, &error))?;
    let policy = Policy::read().map_err(|error| refusal_of(&error))?;
    let candidates = policy.candidates(&caller, &namespaces);
    if candidates.is_empty() {
        return Err(Refusal::NoRule);
    }
    // The kernel asks whether the socket was opened with the right.
    let netlink = with_right(Step::Namespace, Netlink::open)?;
    let settings = Settings::open().map_err(|error| refused(Step::Namespace, &error))?;
    let resources = Resources { device: node()?, lock: node()?, netlink, settings };
    Ok(Prepared { caller, candidates, resources })
}

fn node() -> Result<DriverFile<TunDriver>, Refusal> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let fd = open(NODE, flags, Mode::empty()).map_err(|errno| refused(Step::OpenNode, &errno.into()))?;
    DriverFile::new(fd).map_err(|(_, error)| refused(Step::OpenNode, &error))
}

fn refusal_of(error: &PolicyError) -> Refusal {
    match error {
        PolicyError::Missing => Refusal::NoPolicy,
        PolicyError::Unsafe { .. } => Refusal::UnsafePolicy,
        PolicyError::Unreadable { .. } | PolicyError::Invalid { .. } => Refusal::InvalidPolicy,
    }
}

/// A request has its length and nothing behind it. Descriptors that come with it are closed by the kernel,
/// as nobody asks for them.
fn receive() -> Result<Request, Refusal> {
    let mut bytes = [0; REQUEST_SIZE];
    let length = recv(io::stdin().as_raw_fd(), &mut bytes, MsgFlags::MSG_TRUNC);
    let length = length.map_err(|errno| refused(Step::Prepare, &errno.into()))?;
    if length != REQUEST_SIZE {
        return Err(Refusal::Malformed);
    }
    Request::from_bytes(&bytes).map_err(|_| Refusal::Malformed)
}

fn send(reply: &Reply, device: Option<&DriverFile<TunDriver>>) -> io::Result<()> {
    let bytes = reply.to_bytes();
    let descriptors: Vec<_> = device.map(AsRawFd::as_raw_fd).into_iter().collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let control = if device.is_some() { &rights[..] } else { &[] };
    let pieces = [IoSlice::new(&bytes)];
    sendmsg::<UnixAddr>(io::stdin().as_raw_fd(), &pieces, control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}
