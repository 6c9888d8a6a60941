//! What keeps this user from creating interfaces: the node, the driver behind it, and rights.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tunctl::{Cause, Error, Native};

use super::files::Files;
use super::finding::{Check, Finding, Verdict};

/// The first user namespace of a machine, above all others (`PROC_USER_INIT_INO`).
const FIRST: &str = "user:[4026531837]";

/// Whether an obstacle is that the node cannot be used.
pub(super) fn is_about_the_node(obstacle: &Error) -> bool {
    matches!(
        obstacle.cause(),
        Cause::MissingNode | Cause::MissingDriver | Cause::ClosedNode | Cause::ContainerRules
    )
}

/// Findings about the node, the driver and the rights, in this order.
pub(super) fn findings(
    backend: &Native,
    files: &Files,
    obstacles: &[Error],
    driver: Option<Finding>,
    container: bool,
) -> Vec<Finding> {
    let problem = |check, obstacle| Finding::of(check, Verdict::Problem, obstacle);
    let (of_node, of_rights): (Vec<_>, Vec<_>) =
        obstacles.iter().partition(|obstacle| is_about_the_node(obstacle));
    let mut node: Vec<_> = of_node.into_iter().map(|obstacle| problem(Check::Node, obstacle)).collect();
    let mut rights: Vec<_> = of_rights.into_iter().map(|obstacle| problem(Check::Rights, obstacle)).collect();
    if node.is_empty() {
        node.push(Finding::ok(Check::Node, described(backend.node())));
    } else if !container && driver.as_ref().is_some_and(|driver| driver.verdict == Verdict::Problem) {
        // The driver's finding says which of the remedies it is. A container also needs the node, which is
        // another matter.
        node.iter_mut().for_each(|finding| finding.remedy = None);
    }
    if rights.is_empty() {
        let uid = nix::unistd::geteuid();
        let whose = match files.link("proc/self/ns/user") {
            Some(link) if link == Path::new(FIRST) => "the first user namespace",
            _ => "a user namespace below the first",
        };
        let what = format!("uid {uid} of {whose} has CAP_NET_ADMIN over this network namespace");
        rights.push(Finding::ok(Check::Rights, what));
    }
    [node, driver.into_iter().collect(), rights].concat()
}

/// The node, which was opened, and is the driver's.
fn described(node: &Path) -> String {
    let mode = fs::metadata(node).map(|file| format!(", with mode {:04o}", file.mode() & 0o777));
    let link = fs::read_link(node).map(|target| format!(", a link to {}", target.display()));
    format!("{}{} can be opened{}", node.display(), link.unwrap_or_default(), mode.unwrap_or_default())
}
