//! The steps from an interface's present state to the configuration: pure functions.

use crate::{
    Cause, Error, Interface, InterfaceAddress, InterfaceConfig, InterfaceInfo, InterfaceName, MacAddress,
    Mtu, Operation, Reason, Result, State,
};

/// One change of one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Rename(InterfaceName),
    RemoveAddress(InterfaceAddress),
    SetMtu(Mtu),
    SetMac(MacAddress),
    SetQueueLength(u32),
    SetState(State),
}

impl Step {
    pub(super) fn run<I: Interface>(self, interface: &I) -> Result<()> {
        match self {
            Self::Rename(name) => interface.rename(&name),
            Self::RemoveAddress(address) => interface.remove_address(address),
            Self::SetMtu(mtu) => interface.set_mtu(mtu),
            Self::SetMac(mac) => interface.set_mac(mac),
            Self::SetQueueLength(packets) => interface.set_queue_length(packets),
            Self::SetState(state) => interface.set_state(state),
        }
    }

    /// Says what is left of a change, when this step could not undo it.
    pub(super) fn not_undone(self, now: &InterfaceInfo) -> String {
        match self {
            Self::Rename(name) => format!("its name is {}, and was {name}", now.name),
            Self::RemoveAddress(address) => format!("it has kept {address}"),
            Self::SetMtu(mtu) => format!("its MTU is {}, and was {mtu}", now.mtu),
            Self::SetMac(mac) => format!("its MAC address was {mac}, and is another"),
            Self::SetQueueLength(packets) => format!("its queue length was {packets}, and is another"),
            Self::SetState(state) => format!("it is {}, and was {state}", now.state),
        }
    }
}

/// The steps that bring an interface to `config`, except for adding and removing the addresses that it lists.
/// Their order matters: a kernel may rename only an interface that is down, and never adds the route to an
/// IPv6 peer if the interface was down when the address was added.
pub(super) fn steps(
    config: &InterfaceConfig,
    info: &InterfaceInfo,
    addresses: &[InterfaceAddress],
) -> Result<Vec<Step>> {
    check_absent(config, addresses)?;
    let mut steps = Vec::new();
    steps.extend(config.name.filter(|name| *name != info.name).map(Step::Rename));
    steps.extend(ipv6_to_drop(config, info, addresses)?.map(Step::RemoveAddress));
    steps.extend(config.mtu.filter(|mtu| *mtu != info.mtu).map(Step::SetMtu));
    steps.extend(config.mac.filter(|mac| Some(*mac) != info.mac).map(Step::SetMac));
    let other_length = |packets: &u32| Some(*packets) != info.queue_length;
    steps.extend(config.queue_length.filter(other_length).map(Step::SetQueueLength));
    steps.extend(config.state.filter(|state| *state != info.state).map(Step::SetState));
    Ok(steps)
}

/// The steps that restore an interface from its state `now` to its state `before`.
pub(super) fn back(now: &InterfaceInfo, before: &InterfaceInfo) -> impl Iterator<Item = Step> {
    let steps = [
        (now.state != before.state).then_some(Step::SetState(before.state)),
        (now.name != before.name).then_some(Step::Rename(before.name)),
        (now.mtu != before.mtu).then_some(Step::SetMtu(before.mtu)),
        before.mac.filter(|_| now.mac != before.mac).map(Step::SetMac),
        before.queue_length.filter(|_| now.queue_length != before.queue_length).map(Step::SetQueueLength),
    ];
    steps.into_iter().flatten()
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
    if !mtu.carries_ipv6() {
        if let Some(wanted) = config.present.iter().copied().find(is_ipv6)
            && config.mtu.is_some()
        {
            return Err(too_small_for(mtu, wanted));
        }
        let goes_anyway = |held: &InterfaceAddress| {
            config.replaces || config.absent.iter().any(|absent| absent.same_as(held))
        };
        let kept = addresses
            .iter()
            .copied()
            .filter(is_ipv6)
            .filter(|held| !held.is_link_local() && !goes_anyway(held));
        lost = kept.collect();
        if let (Some(&held), false) = (lost.first(), config.drop_ipv6)
            && config.mtu.is_some_and(|mtu| mtu != info.mtu)
        {
            return Err(too_small_for(mtu, held));
        }
        if !config.drop_ipv6 {
            lost.clear();
        }
    }
    Ok(lost.into_iter())
}

fn too_small_for(mtu: Mtu, address: InterfaceAddress) -> Error {
    Reason::new(Cause::InvalidMtu)
        .with_detail(format!(
            "with an MTU of {mtu} bytes the interface would lose {address}: IPv6 needs 1280"
        ))
        .with_remedy("Choose 1280 or more, remove its IPv6 addresses, or permit their loss (drop_ipv6, or --drop-ipv6).")
        .of(Operation::SetMtu)
}
