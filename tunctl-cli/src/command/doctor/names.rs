//! Whether the names that interfaces are to have are free.

use tunctl::{Cause, CreateFlags, Holders, InterfaceName, Layer, Native, Result, TunBackend};

use super::finding::{Check, Finding, Verdict};

pub(super) fn findings(backend: &Native, names: &[InterfaceName]) -> Vec<Finding> {
    names.iter().filter_map(|name| finding(backend, name)).collect()
}

/// `None` where interfaces cannot be looked up, which the finding about rights says.
fn finding(backend: &Native, name: &InterfaceName) -> Option<Finding> {
    match existing(backend, name) {
        Ok(finding) => Some(finding),
        Err(error) if error.cause() == Cause::NotFound => {
            Some(Finding::ok(Check::Name, format!("{name} is free")))
        }
        Err(error) if error.cause() == Cause::NotATun => {
            Some(Finding::of(Check::Name, Verdict::Problem, &error))
        }
        Err(_) => None,
    }
}

/// An interface that has the name already.
fn existing(backend: &Native, name: &InterfaceName) -> Result<Finding> {
    let interface = backend.interface(name)?;
    let info = interface.snapshot()?.info;
    let kind = match info.layer {
        Layer::Tun => "tun",
        Layer::Tap => "tap",
    };
    let Holders { seen, others, .. } = interface.holders()?;
    if seen.is_empty() && !others {
        let what = format!("{name} exists, as a {kind} that no program has open: tunctl create opens it");
        return Ok(Finding::ok(Check::Name, what));
    }
    let mut holders: Vec<_> = seen.iter().map(ToString::to_string).collect();
    holders.extend(others.then(|| "a program that this user does not see".to_owned()));
    let what = format!("{name} exists, as a {kind} that is held by {}", holders.join(", "));
    Ok(if info.flags.contains(CreateFlags::MULTI_QUEUE) {
        Finding::ok(Check::Name, format!("{what}, and may have further queues"))
    } else {
        Finding::note(Check::Name, what, "Choose another name, or stop that program.")
    })
}
