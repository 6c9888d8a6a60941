//! `tunctl policy check`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use clap::Args;
use nix::unistd::{getgid, getgroups, getuid};
use serde::Serialize;
use tunctl::{Cause, Escaped};
use tunctl_helper::netlink::{Link, Netlink, Route};
use tunctl_helper::policy::{self, Namespaces, PolicyError};

use super::account::{Account, Lists};
use super::report::{self, RuleReport};
use crate::command::helper::{HelperStatus, PolicyStatus, Status};
use crate::command::{Failure, Outcome, complain, output};

/// Explain what a user may create through the helper, and why not
///
/// Each rule about the user, or about a group of the user, is shown with what it allows: names and how many
/// interfaces of them there are now, layers, addresses, MTUs, queue lengths, and whether the present network
/// namespace is allowed. A warning follows an address range that a route of this system covers.
///
/// It needs no privilege. Exit status: 0 if the user may create interfaces here, 1 if not.
#[derive(Args)]
pub(super) struct Check {
    /// The user, by name or number, with the groups of /etc/passwd and /etc/group; without one, the caller
    /// with the caller's groups
    user: Option<String>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Report {
    /// Whether the user may create interfaces here.
    pub(super) allowed: bool,
    /// Why not.
    pub(super) reasons: Vec<String>,
    pub(super) user: Account,
    pub(super) helper: HelperStatus,
    pub(super) policy: PolicyStatus,
    pub(super) rules: Vec<RuleReport>,
}

impl Check {
    pub(super) fn run(&self) -> Outcome<ExitCode> {
        let report =
            self.examine().map_err(|problem| Failure::Said(format!("check the policy: {problem}")))?;
        if self.json {
            output::json(&report)?;
        } else {
            report::write(&report)?;
        }
        if report.allowed {
            return Ok(ExitCode::SUCCESS);
        }
        let user = report.user.shown();
        let reasons = report.reasons.join("; ");
        complain(&Escaped::new(&format!(
            "{user} may not create interfaces here through the helper: {reasons}"
        )));
        Ok(ExitCode::FAILURE)
    }

    fn examine(&self) -> Result<Report, String> {
        let lists = Lists::read()?;
        let user = match &self.user {
            Some(user) => lists.account(user)?,
            None => caller(&lists)?,
        };
        let found = policy::Policy::read();
        let System { links, routes, namespaces } =
            System::ask().map_err(|error| format!("examine the network: {error}"))?;
        let rules = match &found {
            Ok(policy) => report::rules(policy, &user, &namespaces, &links, &routes),
            Err(_) => Vec::new(),
        };
        let mut reasons = reasons(&found, &rules);
        let status = Status::of(&found);
        if let Some(problem) = &status.helper.problem {
            reasons.insert(0, format!("the helper: {problem}"));
        }
        match self.user {
            Some(_) => reasons.extend(closed_node(&user)),
            None => reasons.extend(own_obstacles()),
        }
        let Status { helper, policy } = status;
        Ok(Report { allowed: reasons.is_empty(), reasons, user, helper, policy, rules })
    }
}

/// The user who runs this.
fn caller(lists: &Lists) -> Result<Account, String> {
    let own = getgid().as_raw();
    let further = getgroups().map_err(|errno| format!("list this user's groups: {errno}"))?;
    let further = further.into_iter().map(nix::unistd::Gid::as_raw).filter(|&further| further != own);
    let groups: Vec<_> = [own].into_iter().chain(further).collect();
    Ok(lists.named(getuid().as_raw(), &groups))
}

/// What the policy is compared with.
struct System {
    links: Vec<Link>,
    routes: Vec<Route>,
    namespaces: Namespaces,
}

impl System {
    fn ask() -> io::Result<Self> {
        let mut netlink = Netlink::open()?;
        Ok(Self { links: netlink.links()?, routes: netlink.routes()?, namespaces: Namespaces::hold()? })
    }
}

/// Why the policy allows nothing here.
fn reasons(policy: &Result<policy::Policy, PolicyError>, rules: &[RuleReport]) -> Vec<String> {
    let reason = match policy {
        // Where it is, which is a text of several lines, is shown above.
        Err(error) => {
            let error = error.to_string();
            format!("the policy: {}", error.lines().next().unwrap_or_default())
        }
        Ok(_) if rules.is_empty() => {
            format!("no rule of {} is about this user, or a group of this user", policy::PATH)
        }
        Ok(_) if !rules.iter().any(|rule| rule.here) => "no rule allows this network namespace".to_owned(),
        Ok(_) if !rules.iter().any(|rule| rule.here && rule.has_room()) => {
            "there are as many interfaces of this user as the rules allow".to_owned()
        }
        Ok(_) => return Vec::new(),
    };
    vec![reason]
}

/// That another user may not open the driver's node, as far as its mode shows. The helper opens it as the
/// user.
fn closed_node(user: &Account) -> Option<String> {
    const OPENED: u32 = 0o6;
    let native = tunctl::native();
    let node = fs::metadata(native.node()).ok()?;
    let class = if user.uid == node.uid() {
        6
    } else if user.groups.iter().any(|group| group.gid == node.gid()) {
        3
    } else {
        0
    };
    let mode = node.mode() & 0o777;
    let shown = native.node().display();
    (mode >> class & OPENED != OPENED).then(|| {
        format!("the mode of {shown} ({mode:04o}) does not let this user open it: sudo chmod 0666 {shown}")
    })
}

/// What keeps the helper from gaining its right if this process starts it, and from using it.
fn own_obstacles() -> Vec<String> {
    /// `CAP_NET_ADMIN` in a set of capabilities.
    const NET_ADMIN: u64 = 1 << 12;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    let mut found = Vec::new();
    if value("NoNewPrivs").as_deref() == Some("1") {
        found.push(
            "programs that this process starts gain no rights (no_new_privs: NoNewPrivileges= of a service, or \
             a container's security options)"
                .to_owned(),
        );
    }
    let bounding = value("CapBnd").and_then(|set| u64::from_str_radix(&set, 16).ok());
    if bounding.is_some_and(|set| set & NET_ADMIN == 0) {
        found.push(
            "programs that this process starts cannot have CAP_NET_ADMIN (CapabilityBoundingSet= of a service, or \
             a container without --cap-add NET_ADMIN)"
                .to_owned(),
        );
    }
    let is_about_the_node = |cause| {
        matches!(cause, Cause::MissingNode | Cause::MissingDriver | Cause::ClosedNode | Cause::ContainerRules)
    };
    let obstacles = tunctl::native().obstacles().into_iter();
    found.extend(obstacles.filter(|error| is_about_the_node(error.cause())).map(|error| error.to_string()));
    found
}
