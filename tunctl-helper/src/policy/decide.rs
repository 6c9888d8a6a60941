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

/// The networks to which an interface gets routes by its addresses: of each address the network of its
/// prefix. If there is a peer, IPv4 takes the prefix for the peer's, and IPv6 still for the address's own
/// (`fib_add_ifaddr`, `inet6_addr_add`, Linux 6.18).
pub fn networks(request: &Request) -> impl Iterator<Item = Network> + '_ {
    request.addresses.iter().flat_map(|address| {
        let prefix_length = address.prefix_length;
        let (own, far) = match address.peer {
            None => (prefix_length, None),
            Some(peer) if peer.is_ipv4() => (32, Network::of(peer, prefix_length)),
            Some(peer) => (prefix_length, Network::of(peer, 128)),
        };
        Network::of(address.address, own).into_iter().chain(far)
    })
}

/// The alias of the interfaces that a user has by an entry of a rule's names, by which they are counted.
#[must_use]
pub fn alias(uid: u32, name: &NameRule) -> String {
    format!("{ALIAS}{uid} name {name}")
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::policy::{Accounts, PolicyError};
    use crate::protocol::{Address, Addresses, name_field};

    struct Nobody;

    impl Accounts for Nobody {
        fn user(&self, _: &str) -> Result<Option<u32>, PolicyError> {
            Ok(None)
        }

        fn group(&self, _: &str) -> Result<Option<u32>, PolicyError> {
            Ok(None)
        }
    }

    fn request(name: &[u8]) -> Request {
        Request {
            flags: iff::TUN | iff::NO_PI,
            name: name_field(name).unwrap(),
            mtu: None,
            queue_length: None,
            mac: None,
            addresses: Addresses::default(),
            without_dad: false,
            up: true,
        }
    }

    fn with_address(address: &str, prefix_length: u8, peer: Option<&str>) -> Request {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut request = request(b"vpn0");
        let (address, peer) = (parse(address), peer.map(parse));
        assert!(request.addresses.push(Address { address, prefix_length, peer }));
        request
    }

    fn candidates(text: &str) -> Vec<(Rule, bool)> {
        let policy = Policy::parse(text, &Nobody).unwrap();
        policy.rules.into_iter().map(|rule| (rule, true)).collect()
    }

    fn refusal(candidates: &[(Rule, bool)], request: &Request) -> Option<Refusal> {
        decide(candidates, request).err()
    }

    #[test]
    fn the_networks_of_a_peer_are_those_to_which_the_kernel_makes_routes() {
        let of = |request: &Request| networks(request).map(|network| network.to_string()).collect::<Vec<_>>();
        assert_eq!(of(&with_address("10.8.0.1", 24, None)), ["10.8.0.0/24"]);
        assert_eq!(of(&with_address("10.8.0.1", 24, Some("10.9.0.1"))), ["10.8.0.1/32", "10.9.0.0/24"]);
        assert_eq!(of(&with_address("fd77::1", 48, Some("fd78::1"))), ["fd77::/48", "fd78::1/128"]);
    }

    #[test]
    fn an_address_and_its_peer_are_in_the_ranges_with_their_whole_networks() {
        let rules = candidates(
            "[[rule]]\nuser = 7\nnames = ['vpn%d']\naddresses = ['10.8.0.0/16', 'fd77::/48', '2001:db8:1::5/128']\n",
        );
        for (address, prefix_length, peer) in [
            ("10.8.0.1", 16, None),
            ("10.8.0.1", 32, Some("10.8.0.2")),
            ("fd77::1", 48, None),
            ("2001:db8:1::5", 128, Some("fd77::1")),
        ] {
            assert_eq!(refusal(&rules, &with_address(address, prefix_length, peer)), None, "{address}");
        }
        for (address, prefix_length, peer) in [
            ("10.8.0.1", 15, None),
            ("10.9.0.1", 24, None),
            ("10.8.0.1", 24, Some("10.9.0.1")),
            ("10.9.0.1", 24, Some("10.8.0.1")),
            ("fd77::1", 47, None),
            ("2001:db8:1::5", 48, Some("fd77::1")),
            ("fd77::1", 64, Some("2001:db8:1::6")),
        ] {
            let refused = refusal(&rules, &with_address(address, prefix_length, peer));
            assert_eq!(refused, Some(Refusal::Address), "{address}/{prefix_length} {peer:?}");
        }
    }

    #[test]
    fn the_refusal_is_that_of_the_rule_that_allows_most() {
        let rules = candidates(
            "[[rule]]\nuser = 7\nnames = ['vpn%d']\n[[rule]]\nuser = 7\nnames = ['lab%d']\nlayers = ['tap']\n",
        );
        let of = |name: &[u8], flags| refusal(&rules, &Request { flags, ..request(name) });
        assert_eq!(of(b"vpn0", iff::TUN), None);
        assert_eq!(of(b"lab%d", iff::TAP), None);
        assert_eq!(of(b"vpn0", iff::TAP), Some(Refusal::Name));
        assert_eq!(refusal(&[], &request(b"vpn0")), Some(Refusal::NoRule));
        let mut elsewhere = rules.clone();
        elsewhere[0].1 = false;
        assert_eq!(refusal(&elsewhere[..1], &request(b"vpn0")), Some(Refusal::Namespace));
        let with = |mtu, queue_length| Request { mtu, queue_length, ..request(b"vpn0") };
        assert_eq!(refusal(&rules, &with(Some(1501), None)), Some(Refusal::Mtu));
        assert_eq!(refusal(&rules, &with(None, Some(1001))), Some(Refusal::QueueLength));
        // Without a name, the first of the rule's.
        assert_eq!(decide(&rules, &request(b"")).unwrap()[0].name.to_string(), "vpn%d");
    }
}
