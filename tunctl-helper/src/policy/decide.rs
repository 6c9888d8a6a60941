//! What a policy makes of a request.

use std::os::fd::AsFd;
use std::{fs::File, io};

use nix::sys::stat::{FileStat, fstat};
use nix::unistd::{getgroups, getresgid, getresuid};
use tunctl_sys::linux::{iff, namespace};

use super::{ALIAS, NameRule, NamespaceRule, Network, Policy, Rule, file};
use crate::protocol::{Refusal, Request};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// Other groups of the user.
    pub groups: Vec<u32>,
}

/// In which network namespace the caller is, as far as a policy can ask.
#[derive(Debug)]
pub struct Namespaces {
    network: File,
    is_own: bool,
}

/// What allows a request.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The entry of its names.
    pub name: &'a NameRule,
}

impl Caller {
    /// The user who has started this process.
    ///
    /// # Errors
    ///
    /// [`Refusal::SetId`]: the process is not that user's alone, because the program has a set-user-ID or
    /// set-group-ID bit.
    pub fn current() -> Result<Self, Refusal> {
        let (user, group) = (getresuid(), getresgid());
        let (Ok(user), Ok(group), Ok(groups)) = (user, group, getgroups()) else {
            return Err(Refusal::SetId);
        };
        let is_one_user = user.real == user.effective && user.real == user.saved;
        let is_one_group = group.real == group.effective && group.real == group.saved;
        if !is_one_user || !is_one_group {
            return Err(Refusal::SetId);
        }
        let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        Ok(Self { uid: user.real.as_raw(), gid: group.real.as_raw(), groups })
    }
}

impl Namespaces {
    /// Holds on to the network namespace of this process, and finds out whether it belongs to the process's
    /// own user namespace.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or it is another file system.
    pub fn hold() -> io::Result<Self> {
        let network = File::open("/proc/self/ns/net")?;
        let user = File::open("/proc/self/ns/user")?;
        let is_own = match namespace::owner(network.as_fd())? {
            Some(owner) => is_same(&fstat(&owner)?, &fstat(&user)?),
            None => false,
        };
        Ok(Self { network, is_own })
    }

    /// Whether a rule allows the namespace.
    #[must_use]
    pub fn allow(&self, rule: &Rule) -> bool {
        rule.namespaces.iter().any(|namespace| match namespace {
            NamespaceRule::Own => self.is_own,
            NamespaceRule::Mounted(path) => {
                let here = fstat(&self.network);
                let there = file::look(path);
                here.is_ok_and(|here| there.is_ok_and(|there| is_same(&here, &there)))
            }
        })
    }
}

fn is_same(one: &FileStat, other: &FileStat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

impl Policy {
    /// The rules about a caller, each with whether it allows the namespace.
    #[must_use]
    pub fn candidates(&self, caller: &Caller, namespaces: &Namespaces) -> Vec<(Rule, bool)> {
        let rules = self.rules.iter().filter(|rule| rule.subject.is(caller));
        rules.map(|rule| (rule.clone(), namespaces.allow(rule))).collect()
    }
}

/// What allows a request, of the rules about its caller, as far as the rules alone show: neither the number
/// of interfaces nor the host's routes are looked at.
///
/// # Errors
///
/// The refusal of the rule that allows most of it.
pub fn decide<'a>(candidates: &'a [(Rule, bool)], request: &Request) -> Result<Vec<Grant<'a>>, Refusal> {
    let mut furthest = (0, Refusal::NoRule);
    let mut grants = Vec::new();
    for (rule, is_here) in candidates {
        match check(rule, *is_here, request) {
            Ok(name) => grants.push(Grant { rule, name }),
            Err((rank, refusal)) if rank > furthest.0 => furthest = (rank, refusal),
            Err(_) => {}
        }
    }
    if grants.is_empty() { Err(furthest.1) } else { Ok(grants) }
}

/// The entry of the names that allows a request; or how much of it the rule allows, and what it does not.
fn check<'a>(rule: &'a Rule, is_here: bool, request: &Request) -> Result<&'a NameRule, (u8, Refusal)> {
    let is_tap = request.flags & iff::TAP != 0;
    let name = match request.name() {
        b"" => rule.names.first(),
        name => rule.names.iter().find(|rule| rule.allows(name)),
    };
    let checks = [
        (is_here, Refusal::Namespace),
        (if is_tap { rule.layers.tap } else { rule.layers.tun }, Refusal::Layer),
        (name.is_some(), Refusal::Name),
        (
            networks(request).all(|wanted| rule.addresses.iter().any(|range| range.contains(&wanted))),
            Refusal::Address,
        ),
        (request.mtu.is_none_or(|mtu| rule.mtu.contains(&mtu)), Refusal::Mtu),
        (request.queue_length.is_none_or(|length| rule.queue_length.contains(&length)), Refusal::QueueLength),
    ];
    for (rank, (is_allowed, refusal)) in (1..).zip(checks) {
        if !is_allowed {
            return Err((rank, refusal));
        }
    }
    name.ok_or((3, Refusal::Name))
}

/// The networks that an interface reaches by its addresses: of each address the network of its prefix, and
/// with a peer the address alone and the peer's network.
pub fn networks(request: &Request) -> impl Iterator<Item = Network> + '_ {
    request.addresses.iter().flat_map(|address| {
        let whole = if address.address.is_ipv4() { 32 } else { 128 };
        let (own, far) = match address.peer {
            Some(peer) => (whole, Network::of(peer, address.prefix_length)),
            None => (address.prefix_length, None),
        };
        Network::of(address.address, own).into_iter().chain(far)
    })
}

/// The alias of the interfaces that a user has by an entry of a rule's names, by which they are counted.
#[must_use]
pub fn alias(uid: u32, name: &NameRule) -> String {
    format!("{ALIAS}{uid} name {name}")
}
