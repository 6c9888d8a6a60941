//! The addresses of a configuration.

use crate::config::Snapshot;
use crate::{Cause, Interface, InterfaceAddress, InterfaceConfig, Result, State};

/// The addresses that an interface is to have and has not, and those of IPv6 that Linux takes with "down": in
/// one request with it, they are never missing.
pub(super) fn added(config: &InterfaceConfig, before: &Snapshot) -> Vec<InterfaceAddress> {
    let missing = config.present.iter().copied().filter(|address| !contains(&before.addresses, address));
    let goes_down = config.state == Some(State::Down) && before.info.state == State::Up;
    let Wanted { kept, .. } = Wanted::of(config, &before.addresses);
    let taken = kept.into_iter().filter(|address| goes_down && address.address().is_ipv6());
    missing.chain(taken).collect()
}

/// Adds the addresses that are missing. This comes before any is removed, so that an interface is never
/// without an address of a network that it keeps.
pub(super) fn add_missing<I: Interface>(
    interface: &I,
    config: &InterfaceConfig,
    before: &Snapshot,
) -> Result<()> {
    let Wanted { stale, .. } = Wanted::of(config, &before.addresses);
    added(config, before).into_iter().try_for_each(|address| add(interface, config, address, &stale))
}

/// Removes the addresses that are to go, and puts back what a step took along.
pub(super) fn settle<I: Interface>(
    interface: &I,
    config: &InterfaceConfig,
    before: &[InterfaceAddress],
) -> Result<()> {
    let Wanted { kept, stale } = Wanted::of(config, before);
    for &address in &stale {
        remove_if_there(interface, address)?;
    }
    // Linux takes other addresses along: the later ones of a network with its first, and those of IPv6 with
    // "down".
    let may_have_lost = !stale.is_empty() || (config.state == Some(State::Down) && !kept.is_empty());
    let wanted = [&config.present[..], &kept].concat();
    if may_have_lost { put_back(interface, &wanted) } else { Ok(()) }
}

/// Gives an interface the addresses that it had, as far as it can. IPv6 link-local ones, which kernels make
/// by themselves, may be more.
pub(super) fn restore<I: Interface>(interface: &I, before: &[InterfaceAddress]) {
    let held = || interface.addresses().unwrap_or_default();
    for address in held().into_iter().filter(|held| !held.is_link_local() && !contains(before, held)) {
        let _ = interface.remove_address(address);
    }
    // From the last one, so that none takes others along.
    for address in out_of_place(&held(), before).into_iter().rev() {
        let _ = interface.remove_address(address);
    }
    // What cannot be put back shows in what is left.
    for address in missing(before, &held()) {
        let _ = interface.add_address(address);
    }
}

/// The IPv4 addresses from the first one on that is not where it was. Their order matters: the first of a
/// network is the one that a system sends from, and with which Linux removes the others.
pub(super) fn out_of_place(held: &[InterfaceAddress], before: &[InterfaceAddress]) -> Vec<InterfaceAddress> {
    let ipv4 = |all: &[InterfaceAddress]| {
        all.iter().copied().filter(|one| one.address().is_ipv4()).collect::<Vec<_>>()
    };
    let (mut held, before) = (ipv4(held), ipv4(before));
    let in_place = held.iter().zip(&before).take_while(|(held, before)| held.same_as(before)).count();
    held.split_off(in_place)
}

/// The addresses that an interface had, sorted by what becomes of them.
struct Wanted {
    /// It is to have them still.
    kept: Vec<InterfaceAddress>,
    /// They are to go.
    stale: Vec<InterfaceAddress>,
}

impl Wanted {
    fn of(config: &InterfaceConfig, before: &[InterfaceAddress]) -> Self {
        let goes = |held: &InterfaceAddress| {
            let is_replaced = config.replaces && !held.is_link_local() && !contains(&config.present, held);
            is_replaced || contains(&config.absent, held)
        };
        let (stale, mut kept): (Vec<_>, Vec<_>) = before.iter().copied().partition(goes);
        if config.mtu.is_some_and(|mtu| !mtu.carries_ipv6()) {
            kept.retain(|address| address.address().is_ipv4());
        }
        kept.retain(|address| !address.is_link_local());
        Self { kept, stale }
    }
}

fn put_back<I: Interface>(interface: &I, wanted: &[InterfaceAddress]) -> Result<()> {
    let held = interface.addresses()?;
    missing(wanted, &held).try_for_each(|address| interface.add_address(address).map(drop))
}

fn missing(wanted: &[InterfaceAddress], held: &[InterfaceAddress]) -> impl Iterator<Item = InterfaceAddress> {
    wanted.iter().copied().filter(|wanted| !wanted.is_link_local() && !contains(held, wanted))
}

/// Adds an address, in place of its old forms if they are in its way and are to go.
fn add<I: Interface>(
    interface: &I,
    config: &InterfaceConfig,
    address: InterfaceAddress,
    stale: &[InterfaceAddress],
) -> Result<()> {
    let add = || match config.without_dad && address.address().is_ipv6() {
        true => interface.add_address_without_dad(address),
        false => interface.add_address(address),
    };
    match add() {
        Err(error) if error.cause() == Cause::AddressExists => {
            let mut old_forms = stale.iter().filter(|old| old.address() == address.address()).peekable();
            if old_forms.peek().is_none() {
                return Err(error);
            }
            for &old in old_forms {
                remove_if_there(interface, old)?;
            }
            add().map(drop)
        }
        outcome => outcome.map(drop),
    }
}

fn remove_if_there<I: Interface>(interface: &I, address: InterfaceAddress) -> Result<()> {
    match interface.remove_address(address) {
        Err(error) if error.cause() == Cause::AddressNotFound => Ok(()),
        outcome => outcome,
    }
}

fn contains(addresses: &[InterfaceAddress], wanted: &InterfaceAddress) -> bool {
    addresses.iter().any(|address| address.same_as(wanted))
}
