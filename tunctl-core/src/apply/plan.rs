//! The steps from an interface's present state to the configuration: pure functions.

use crate::config::{Snapshot, Step};
use crate::{Cause, Error, InterfaceAddress, InterfaceConfig, InterfaceInfo, Mtu, Operation, Reason, Result};

/// The steps that bring an interface to `config`, except for adding and removing the addresses that it lists.
/// Their order matters: a kernel may rename only an interface that is down, and never adds the route to an
/// IPv6 peer if the interface was down when the address was added.
pub(super) fn steps(config: &InterfaceConfig, before: &Snapshot) -> Result<Vec<Step>> {
    check_absent(config, &before.addresses)?;
    let mut steps = Vec::new();
    steps.extend(config.name.filter(|name| *name != before.info.name).map(Step::Rename));
    steps.extend(ipv6_to_drop(config, &before.info, &before.addresses)?.map(Step::RemoveAddress));
    steps.extend(before.changes(config));
    steps.extend(config.state.filter(|state| *state != before.info.state).map(Step::SetState));
    Ok(steps)
}

/// The steps that restore an interface from its state `now` to its state `before`.
pub(super) fn back(now: &Snapshot, before: &Snapshot) -> impl Iterator<Item = Step> {
    let state = (now.info.state != before.info.state).then_some(Step::SetState(before.info.state));
    let name = (now.info.name != before.info.name).then_some(Step::Rename(before.info.name));
    state.into_iter().chain(name).chain(now.changes(&before.as_config()))
}

/// Removing an address that the interface does not have is an error. It is found before anything changes.
fn check_absent(config: &InterfaceConfig, addresses: &[InterfaceAddress]) -> Result<()> {
    let is_missing = |wanted: &&InterfaceAddress| !addresses.iter().any(|held| held.same_as(wanted));
    match config.absent.iter().find(is_missing) {
        Some(address) => {
            let reason = Reason::new(Cause::AddressNotFound);
            Err(reason
                .with_detail(format!("the interface does not have {address}"))
                .of(Operation::RemoveAddress))
        }
        None => Ok(()),
    }
}

/// The IPv6 addresses that the configured MTU does not permit. Link-local ones are left out: the kernel adds
/// and removes them by itself.
fn ipv6_to_drop(
    config: &InterfaceConfig,
    info: &InterfaceInfo,
    addresses: &[InterfaceAddress],
) -> Result<impl Iterator<Item = InterfaceAddress>> {
    let is_ipv6 = |address: &InterfaceAddress| address.address().is_ipv6();
    let mtu = config.mtu.unwrap_or(info.mtu);
    let mut lost = Vec::new();
    check_ipv6(config)?;
    if !mtu.carries_ipv6() {
        let goes_anyway = |held: &InterfaceAddress| {
            config.replaces || config.absent.iter().any(|absent| absent.same_as(held))
        };
        let kept = addresses
            .iter()
            .copied()
            .filter(is_ipv6)
            .filter(|held| !held.is_link_local() && !goes_anyway(held));
        lost = kept.collect();
        let changes_mtu = config.mtu.is_some_and(|mtu| mtu != info.mtu);
        if let (Some(&held), false, true) = (lost.first(), config.drop_ipv6, changes_mtu) {
            return Err(too_small_for(mtu, held));
        }
        if !config.drop_ipv6 {
            lost.clear();
        }
    }
    Ok(lost.into_iter())
}

/// A configuration contradicts itself if it names an MTU with which no interface keeps an IPv6 address that
/// it names as well.
pub(crate) fn check_ipv6(config: &InterfaceConfig) -> Result<()> {
    let wanted = config.present.iter().copied().find(|address| address.address().is_ipv6());
    match (config.mtu, wanted) {
        (Some(mtu), Some(wanted)) if !mtu.carries_ipv6() => Err(too_small_for(mtu, wanted)),
        _ => Ok(()),
    }
}

fn too_small_for(mtu: Mtu, address: InterfaceAddress) -> Error {
    Reason::new(Cause::InvalidMtu)
        .with_detail(format!(
            "with an MTU of {mtu} bytes the interface would lose {address}: IPv6 needs 1280"
        ))
        .with_remedy("Choose 1280 or more, remove its IPv6 addresses, or permit their loss (drop_ipv6, or --drop-ipv6).")
        .of(Operation::SetMtu)
}
