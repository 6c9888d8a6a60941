//! How a configuration is applied: what differs is changed, and what was changed is undone if a step fails.

mod addresses;
mod changes;
mod plan;

use crate::config::Snapshot;
use crate::{
    CreateOptions, Error, Gid, Interface, InterfaceAddress, InterfaceConfig, InterfaceInfo, Operation,
    Result, TunDevice, Uid,
};

pub use changes::Changes;
pub(crate) use plan::check_ipv6;

/// Makes an interface what `config` names. On failure, it is what it was before, or the error says in what it
/// is not.
pub(crate) fn apply<I: Interface>(interface: &I, config: &InterfaceConfig) -> Result<()> {
    if let Some(invalid) = &config.invalid {
        let error = invalid.clone().with_operation(Operation::Configure);
        return Err(match interface.name() {
            Ok(name) => error.with_name(name),
            Err(_) => error,
        });
    }
    if config.is_empty() {
        return Ok(());
    }
    let before = Snapshot::of(interface, config)?;
    apply_to(interface, config, &before).map_err(|error| undo(interface, config, &before, error))
}

/// The same without the undoing, to what `before` describes.
pub(crate) fn apply_to<I: Interface>(
    interface: &I,
    config: &InterfaceConfig,
    before: &Snapshot,
) -> Result<()> {
    let name = before.info.name;
    let refused = |error: Error| error.with_name(name);
    let interface = &interface.unchecked();
    let steps = plan::steps(config, before).map_err(refused)?;
    let (first, last) = steps.split_at(Changes::begin(&steps));
    first.iter().try_for_each(|step| step.run(interface))?;
    // If not all are made, some may be: each can be made twice.
    let together = Changes::of(last, addresses::added(config, before), config.without_dad);
    if !together.is_some_and(|changes| interface.change_together(&changes)) {
        last.iter().try_for_each(|step| step.run(interface))?;
        addresses::add_missing(interface, config, before)?;
    }
    addresses::settle(interface, config, &before.addresses)
}

/// Makes an interface what it was before, and adds to the error in what it is not.
fn undo<I: Interface>(interface: &I, config: &InterfaceConfig, before: &Snapshot, error: Error) -> Error {
    // The first error is the one to report; what could not be undone shows in what is left.
    if let Ok(now) = Snapshot::of(interface, config) {
        let interface = &interface.unchecked();
        for step in plan::back(&now, before) {
            let _ = step.run(interface);
        }
    }
    if config.concerns_addresses() {
        addresses::restore(interface, &before.addresses);
    }
    let leftovers = match Snapshot::of(interface, config) {
        Ok(now) => differences(&now, before),
        // Of an interface that is gone, nothing is left.
        Err(_) => Vec::new(),
    };
    let text = (!leftovers.is_empty()).then(|| leftovers.join("; "));
    error.with_leftovers(text)
}

/// A phrase for each property that is not as it was.
fn differences(now: &Snapshot, before: &Snapshot) -> Vec<String> {
    let mut found: Vec<_> = plan::back(now, before).map(|step| step.not_undone(&now.info)).collect();
    let owner = |id: Option<String>| id.unwrap_or_else(|| "nobody".to_owned());
    if now.info.owner != before.info.owner {
        let (is, was) = (now.info.owner.map(|id| id.to_string()), before.info.owner.map(|id| id.to_string()));
        found.push(format!("its owner is {}, and was {}", owner(is), owner(was)));
    }
    if now.info.group != before.info.group {
        let (is, was) = (now.info.group.map(|id| id.to_string()), before.info.group.map(|id| id.to_string()));
        found.push(format!("its group is {}, and was {}", owner(is), owner(was)));
    }
    let lacks =
        |held: &[InterfaceAddress], address: &InterfaceAddress| !held.iter().any(|one| one.same_as(address));
    for address in before.addresses.iter().filter(|address| lacks(&now.addresses, address)) {
        found.push(format!("it has lost {address}"));
    }
    let added = now.addresses.iter().filter(|address| lacks(&before.addresses, address));
    for address in added.filter(|address| !address.is_link_local()) {
        found.push(format!("it has kept {address}"));
    }
    if found.is_empty() && !addresses::out_of_place(&now.addresses, &before.addresses).is_empty() {
        found.push("its IPv4 addresses are in another order".to_owned());
    }
    found
}

/// Makes the interface of a device what its options name, owner, group and persistence included. On failure,
/// it is what it was before, or the error says in what it is not. `info` is what it is like, if that is
/// known. Whether it `is_bare`, new and without addresses, the backend knows.
pub(crate) fn configure<D: TunDevice>(
    device: &D,
    options: &CreateOptions,
    is_bare: bool,
    info: Option<InterfaceInfo>,
) -> Result<()> {
    let (owner, group, persistent) = (options.get_owner(), options.get_group(), options.get_persistent());
    let config = options.get_config();
    if config.is_empty() && owner.is_none() && group.is_none() && persistent.is_none() {
        return Ok(());
    }
    let interface = device.interface();
    let info = info.map_or_else(|| interface.info(), Ok)?;
    let before = if is_bare {
        Snapshot::of_new(info, interface, config)?
    } else {
        Snapshot::with_info(info, interface, config)?
    };
    let done = apply_to(interface, config, &before).and_then(|()| {
        // The last ones, since an owner or a group cannot be taken back to nobody.
        if let Some(owner) = owner.filter(|owner| Some(*owner) != before.info.owner) {
            device.set_owner(owner)?;
        }
        if let Some(group) = group.filter(|group| Some(*group) != before.info.group) {
            device.set_group(group)?;
        }
        // Not every system reports it, and what is so already succeeds.
        persistent.map_or(Ok(()), |on| device.set_persist(on))
    });
    done.map_err(|error| {
        let now = interface.info();
        let changed = |theirs: fn(&InterfaceInfo) -> Option<u32>| {
            now.as_ref().is_ok_and(|now| theirs(now) != theirs(&before.info))
        };
        if let (Some(owner), true) = (before.info.owner, changed(|info| info.owner.map(Uid::get))) {
            let _ = device.set_owner(owner);
        }
        if let (Some(group), true) = (before.info.group, changed(|info| info.group.map(Gid::get))) {
            let _ = device.set_group(group);
        }
        undo(interface, config, &before, error)
    })
}
