//! The cases, one after the other.

use std::env;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Completion, Failed, Trial};
use nix::unistd::Uid;
use tunctl_conformance::Case;
use tunctl_sys::bsd::calls::native;

use crate::exceptions::{Exceptions, OF_MODELS, OF_SYSTEMS};
use crate::harness::{self, SystemHarness};

const SYSTEM: &str = if cfg!(target_os = "freebsd") {
    "freebsd"
} else if cfg!(target_os = "netbsd") {
    "netbsd"
} else if cfg!(target_os = "openbsd") {
    "openbsd"
} else if cfg!(target_os = "dragonfly") {
    "dragonfly"
} else {
    "macos"
};

/// Turns skips into failures.
const REQUIRE: &str = "TUNCTL_REQUIRE_KERNEL";

static SKIPS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The cases that apply to this system and need no more evidence than it provides.
pub(crate) fn trials() -> Vec<Trial> {
    let exceptions = Exceptions::read(&[OF_MODELS, OF_SYSTEMS]);
    let name = |case: &Case<SystemHarness>| format!("{}::{}", case.subject(), case.name());
    let cases = tunctl_conformance::cases::<SystemHarness>();
    let known: Vec<_> = cases.iter().map(name).collect();
    let is_there = |request| native::TABLE.iter().any(|row| row.0 == request);
    let concerned = cases
        .into_iter()
        .filter(|case| case.request().is_none_or(is_there) && !exceptions.concern(SYSTEM, &name(case)));
    let trials = concerned.map(|case| Trial::ignorable_test(name(&case), move || run(case)));
    let mut trials: Vec<_> = trials.collect();
    trials
        .push(Trial::test("every_exception_is_a_case", move || exceptions.check(&known).map_err(Into::into)));
    trials
}

fn run(case: Case<SystemHarness>) -> Result<Completion, Failed> {
    let why = match obstacle() {
        Some(why) => Some(why),
        None => case.run(&SystemHarness::new()).not_applicable.map(str::to_owned),
    };
    let Some(why) = why else { return Ok(Completion::Completed) };
    if env::var_os(REQUIRE).is_some_and(|value| value != "0" && !value.is_empty()) {
        return Err(format!("{REQUIRE} is set, and the case is skipped: {why}").into());
    }
    let mut skips = SKIPS.lock().unwrap_or_else(PoisonError::into_inner);
    skips.push(format!("{}::{}: {why}", case.subject(), case.name()));
    Ok(Completion::ignored_with(format!("skipped: {why}")))
}

/// Why no case can run here.
fn obstacle() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("it needs root".to_owned());
    }
    // macOS creates utuns itself; exceptions cover the affected cases.
    if SYSTEM == "macos" {
        return None;
    }
    if let Some(node) = missing_node() {
        return Some(format!("{node} is missing, as others may be: {MAKE_NODES}"));
    }
    let there = harness::interfaces().into_iter().find(|name| harness::layer(name).is_some())?;
    Some(format!("{there} is there already, and the suite wants the driver to itself"))
}

/// NetBSD and OpenBSD have nodes on disk, for units 0 to 3. The suite's are higher.
const MAKE_NODES: &str = "cd /dev && for i in $(jot 50 0); do sh MAKEDEV tun$i tap$i; done";

fn missing_node() -> Option<String> {
    let has_nodes_on_disk = matches!(SYSTEM, "netbsd" | "openbsd");
    // Those of the lowest units that the suite has, and of the highest.
    let nodes = [10, 49].into_iter().flat_map(|unit| ["tun", "tap"].map(|kind| format!("/dev/{kind}{unit}")));
    nodes.filter(|_| has_nodes_on_disk).find(|node| !Path::new(node).exists())
}

/// The reasons once more, at the end.
pub(crate) fn tell_skips() {
    for skip in SKIPS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("skipped: {skip}");
    }
}
